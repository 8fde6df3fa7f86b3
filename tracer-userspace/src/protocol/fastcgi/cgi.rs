//! The header of a CGI response (RFC 3875 section 6): lines up to an empty one, in which `Status` may stand.

use memchr::memchr;

/// Bytes of a header that are looked at; what is beyond is unknown.
pub(super) const MAX: usize = 8 * 1024;

/// The status that a header says. `None`: it is not over, and does not say it so far.
pub(super) fn status(header: &[u8]) -> Option<u16> {
    let (mut rest, mut located) = (header, false);
    loop {
        let (line, after) = rest.split_at_checked(memchr(b'\n', rest)?)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            // A redirect may go without (section 6.2.3).
            return Some(if located { 302 } else { 200 });
        }
        if let Some(value) = value(line, b"status") {
            return number(value);
        }
        located |= value(line, b"location").is_some();
        rest = after.get(1..)?;
    }
}

fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(memchr(b':', line)?)?;
    found.eq_ignore_ascii_case(name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

/// Three digits, and then nothing or a space. What is no status is 0, unknown.
fn number(value: &[u8]) -> Option<u16> {
    let digits = value.split(|byte| *byte == b' ').next().filter(|digits| digits.len() == 3);
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Some(number.filter(|status| (100..1000).contains(status)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_said_or_follows() {
        for (header, expected) in [
            ("Status: 404 Not Found\r\n", Some(404)),
            ("X: y\nstatus:503\n\n", Some(503)),
            ("Content-type: text/html\r\n\r\nStatus: 500\r\n", Some(200)),
            ("Location: /a\r\nX: y\r\n\r\n", Some(302)),
            ("Location: /a\r\nStatus: 301 Moved\r\n\r\n", Some(301)),
            ("\r\n", Some(200)),
            ("Status: 99\n", Some(0)),
            ("Status: 2000\n", Some(0)),
            ("Status: abc\n", Some(0)),
            ("Status: 40", None),
            ("Content-type: text/html\r\n", None),
            ("", None),
        ] {
            assert_eq!(status(header.as_bytes()), expected, "{header:?}");
        }
    }
}
