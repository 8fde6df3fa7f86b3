//! Makes a request target fit to be shown and stored: credentials in it become `***`, and what could not be printed
//! is percent-encoded. Nothing behind this module ever sees the target as it was sent.
//!
//! Masked are, in targets of every form (RFC 9112 section 3.2):
//! * userinfo before an `@` in an authority (`http://user:pw@host/`), also in a URL inside the query;
//! * the values of query parameters, and of path parameters (`;jsessionid=…`), whose name is sensitive.
//!
//! A name is sensitive if it, or what stands in its last brackets (`user[password]`), percent-decoded, in lower case
//! and with `-` and `.` read as `_`, is in the lists of [`crate::secret`].

use std::sync::Arc;

use super::Limits;
use super::names::Names;
use crate::secret::{MASK, Masking, is_sensitive, is_sensitive_header};

/// Bytes of a header's value that are kept.
pub(crate) const HEADER: usize = 256;

/// The value of a header as it may be shown: ASCII, at most [`HEADER`] bytes (ending in `...` if it was longer). Masked as a whole if
/// the header's name is sensitive; otherwise in it what a target would have masked, and parameters with sensitive names.
pub(crate) fn header(name: &[u8], value: &[u8], limits: &Limits) -> String {
    let mut out = Vec::with_capacity(value.len().min(HEADER));
    if limits.masking == Masking::On && is_sensitive_header(name) {
        out.extend_from_slice(MASK);
    } else {
        for (at, word) in value.split(|byte| matches!(byte, b' ' | b'\t')).enumerate() {
            if out.len() > HEADER {
                break;
            }
            if at > 0 {
                out.push(b' ');
            }
            match limits.masking {
                // A word may begin with a parameter, as in `sid=17; theme=dark`.
                Masking::On => mask(after_parameter(word, false, &mut out), &mut out, HEADER),
                Masking::Off => word.iter().take(HEADER).for_each(|byte| encode(*byte, &mut out)),
            }
        }
    }
    bounded(out, HEADER)
}

/// The target as it may be shown: ASCII, at most `limits.target` bytes (ending in `...` if it was longer), secrets masked
/// unless that was switched off.
pub(crate) fn target(target: &[u8], limits: &Limits) -> Box<str> {
    let limit = limits.target;
    if target.len() <= limit && target.iter().all(|byte| is_plain(*byte)) {
        return String::from_utf8_lossy(target).into_owned().into_boxed_str();
    }
    // Mostly nothing changes, and then this is the exact size.
    let mut out = Vec::with_capacity(target.len().min(limit));
    match limits.masking {
        Masking::On => mask(target, &mut out, limit),
        Masking::Off => target.iter().take(limit + 1).for_each(|byte| encode(*byte, &mut out)),
    }
    bounded(out, limit).into_boxed_str()
}

/// The same, of which there is one copy if nothing of it changes: for what repeats in nearly every request.
pub(crate) fn shared(value: &[u8], limits: &Limits, names: &mut Names) -> Arc<str> {
    if value.len() <= limits.target && value.iter().all(|byte| is_plain(*byte)) {
        return names.method(value);
    }
    Arc::from(target(value, limits))
}

/// Cut off at `limit`, and that is said. All of it is ASCII.
fn bounded(mut out: Vec<u8>, limit: usize) -> String {
    if out.len() > limit {
        out.truncate(limit.saturating_sub(3));
        out.extend_from_slice(b"...");
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Whether a byte neither needs encoding nor can be part of something to be masked.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'=' | b'@' | b'%')
}

/// Whether a byte is shown as it is and begins nothing: neither a parameter nor an authority.
fn is_dull(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'?' | b'&' | b';' | b'#' | b'%' | b':')
}

/// Where the walk through the target is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// In the authority.
    Authority,
    /// In a path segment, or a parameter without a sensitive name.
    Plain,
}

fn mask(target: &[u8], out: &mut Vec<u8>, limit: usize) {
    // Authority-form (CONNECT) and a bare `user:pw@host` begin with an authority; origin-form and `*` do not.
    let mut at = if matches!(target.first(), Some(b'/' | b'*')) { At::Plain } else { At::Authority };
    let mut in_path = true;
    let mut rest = target;
    while let Some((byte, after)) = rest.split_first() {
        if out.len() > limit {
            return;
        }
        if at == At::Authority || rest.starts_with(b"://") {
            let skipped = if rest.starts_with(b"://") { 3 } else { 0 };
            let (marks, authority) = rest.split_at_checked(skipped).unwrap_or((b"", rest));
            out.extend_from_slice(marks);
            rest = after_userinfo(authority, out);
            at = At::Plain;
            continue;
        }
        let dull = rest.iter().take_while(|byte| is_dull(**byte)).count();
        if let Some((run, more)) = rest.split_at_checked(dull)
            && dull > 0
        {
            out.extend_from_slice(run);
            rest = more;
        } else if let Some(separator) = separator(rest) {
            in_path &= *byte == b';';
            let (separator, after) = rest.split_at_checked(separator).unwrap_or((rest, b""));
            out.extend_from_slice(separator);
            rest = after_parameter(after, in_path, out);
        } else {
            encode(*byte, out);
            rest = after;
        }
    }
}

/// Length of what stands before a parameter's name here. A URL inside a value comes percent-encoded.
fn separator(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'?' | b'&' | b';' | b'#', ..] => Some(1),
        [b'%', b'3', b'f' | b'F', ..] | [b'%', b'2', b'6', ..] => Some(3),
        _ => None,
    }
}

/// Masks userinfo at the beginning of an authority; returns what follows it.
fn after_userinfo<'a>(authority: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let end = authority.iter().position(|byte| b"/?#&".contains(byte)).unwrap_or(authority.len());
    let userinfo = authority.get(..end).unwrap_or_default().iter().rposition(|byte| *byte == b'@');
    match userinfo.and_then(|at| authority.get(at..)) {
        Some(rest) => {
            out.extend_from_slice(MASK);
            rest
        }
        None => authority,
    }
}

/// Writes a parameter's name, and `***` for its value if the name is sensitive; returns what follows.
fn after_parameter<'a>(parameter: &'a [u8], in_path: bool, out: &mut Vec<u8>) -> &'a [u8] {
    let stops = |at: &usize| {
        let here = parameter.get(*at..).unwrap_or_default();
        matches!(here, [b'=' | b'/', ..] | [b'%', b'3', b'd' | b'D', ..]) || separator(here).is_some()
    };
    let name_end = (0..parameter.len()).find(stops).unwrap_or(parameter.len());
    let Some((name, rest)) = parameter.split_at_checked(name_end) else { return parameter };
    let sign = match rest {
        [b'=', ..] => 1,
        [b'%', ..] if separator(rest).is_none() => 3,
        _ => 0,
    };
    if sign == 0 || !is_sensitive(name) {
        // What it holds is walked over like the rest: there may be a URL with secrets in it.
        return parameter;
    }
    let (sign, value) = rest.split_at_checked(sign).unwrap_or((rest, b""));
    name.iter().for_each(|byte| encode(*byte, out));
    out.extend_from_slice(sign);
    out.extend_from_slice(MASK);
    // A path parameter's value ends with its segment; a query's may contain nearly anything (RFC 3986 section 3.4).
    let ends: &[u8] = if in_path { b"/?;" } else { b"&" };
    let value_end = value.iter().position(|byte| ends.contains(byte)).unwrap_or(value.len());
    value.get(value_end..).unwrap_or_default()
}

/// Writes a byte, percent-encoded unless it is a visible ASCII character.
fn encode(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_graphic() {
        out.push(byte);
    } else {
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        target(bytes, &Limits::default()).into()
    }

    fn within(target: usize) -> Limits {
        Limits { target, ..Limits::default() }
    }

    #[test]
    fn harmless_targets_stay_as_they_are() {
        for text in [
            "/",
            "*",
            "/users/1?page=2&sort=name",
            "/a@b/c",
            "h:443",
            "http://h/p?q=1",
            "/?",
            "/?a",
            "/x;v=1",
        ] {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn sensitive_values_are_masked_and_nothing_else() {
        let cases = [
            ("/a?password=x&b=1", "/a?password=***&b=1"),
            ("/a?b=1&token=abc;d#f", "/a?b=1&token=***"),
            ("/a?Access-Token=x", "/a?Access-Token=***"),
            ("/a?acc%65ss_token=x", "/a?acc%65ss_token=***"),
            ("/a?X-Amz-Signature=1&X-Amz-Date=2", "/a?X-Amz-Signature=***&X-Amz-Date=2"),
            (
                "/a?X-Amz-Credential=1&X-Amz-Security-Token=2",
                "/a?X-Amz-Credential=***&X-Amz-Security-Token=***",
            ),
            ("/a?user%5Bpassword%5D=x&user[name]=n", "/a?user%5Bpassword%5D=***&user[name]=n"),
            ("/a;jsessionid=AB/b;v=1?x=1", "/a;jsessionid=***/b;v=1?x=1"),
            ("/a?key=a=b&c=d", "/a?key=***&c=d"),
            ("/a?key=&c=d", "/a?key=***&c=d"),
            ("/a?monkey=1&tokens=2&keys=3", "/a?monkey=1&tokens=2&keys=3"),
            ("/a?b=1;sig=2;c=3", "/a?b=1;sig=***"),
            ("/a?b?token=x", "/a?b?token=***"),
            (
                "/a?next=https%3A%2F%2Fh%2F%3Ftoken%3Dabc%26b%3D1&c=2",
                "/a?next=https%3A%2F%2Fh%2F%3Ftoken%3D***&c=2",
            ),
            ("/a?next=/b?token=x&c=2", "/a?next=/b?token=***&c=2"),
        ];
        for (sent, expected) in cases {
            assert_eq!(shown(sent.as_bytes()), expected, "{sent}");
        }
    }

    #[test]
    fn userinfo_is_masked_wherever_an_authority_stands() {
        let cases = [
            ("http://user:pw@h:80/p@q", "http://***@h:80/p@q"),
            ("user:pw@h:443", "***@h:443"),
            ("http://u@x@h/", "http://***@h/"),
            ("/p?next=https://u:p@h/x", "/p?next=https://***@h/x"),
            ("/proxy/http://u:p@h/x", "/proxy/http://***@h/x"),
        ];
        for (sent, expected) in cases {
            assert_eq!(shown(sent.as_bytes()), expected, "{sent}");
        }
    }

    #[test]
    fn what_cannot_be_printed_is_encoded() {
        assert_eq!(shown(b"/a\xffb\x1b[31m c\xc3\xa9"), "/a%FFb%1B[31m%20c%C3%A9");
    }

    #[test]
    fn the_length_is_bounded_and_says_so() {
        let long = [b'/'; 5000];
        assert_eq!(target(&long, &within(100)).len(), 100);
        assert!(target(&long, &within(100)).ends_with("..."));
        let encoded = [0xffu8; 5000];
        assert!(target(&encoded, &within(100)).len() <= 100);
        assert_eq!(target(&[b'/'; 100], &within(100)).len(), 100);
    }

    #[test]
    fn nothing_is_masked_where_that_was_switched_off() {
        let limits = Limits { masking: Masking::Off, target: 40, ..Limits::default() };
        let sent = b"http://u:p@h/a b?token=x";
        assert_eq!(&*target(sent, &limits), "http://u:p@h/a%20b?token=x");
        assert_eq!(target(&[b'='; 100], &limits).len(), 40);
    }

    #[test]
    fn header_values_are_masked_by_the_name_and_by_what_is_in_them() {
        let value = |name: &str, value: &str| header(name.as_bytes(), value.as_bytes(), &Limits::default());
        for (name, sent, expected) in [
            ("x-truth-id", "00000017", "00000017"),
            ("user-agent", "curl/8.5 (x; y)", "curl/8.5 (x; y)"),
            ("cookie", "a=1", "***"),
            ("set-cookie", "a=1", "***"),
            ("proxy-authorization", "Basic abc", "***"),
            ("x-api-key", "abc", "***"),
            ("x-amz-security-token", "abc", "***"),
            ("referer", "http://u:p@h/a?token=abc&b=1", "http://***@h/a?token=***&b=1"),
            ("x-options", "sid=17/4; theme=dark", "sid=*** theme=dark"),
            ("x-odd", "a\x1b[31m\u{fc}", "a%1B[31m%C3%BC"),
        ] {
            assert_eq!(value(name, sent), expected, "{name}");
        }
        assert_eq!(value("x-long", &"a".repeat(5000)).len(), HEADER);
        assert!(value("x-long", &"a b ".repeat(500)).ends_with("..."));
        let off = Limits { masking: Masking::Off, ..Limits::default() };
        assert_eq!(header(b"cookie", b"a=1; token=2", &off), "a=1; token=2");
    }

    #[test]
    fn no_name_however_long_leaks_its_value() {
        let name = "a".repeat(500) + "password";
        assert!(shown(format!("/?{name}=hunter2").as_bytes()).ends_with("=***"));
    }
}
