//! Goes through the field lines of a head once more, for what is not needed to follow the message: headers that the user
//! wants to see.
//!
//! `head` reads what delimits and pairs messages, in one pass that knows its few names by their first letters. What is here
//! looks at every name, and only where something was asked for.

use memchr::memchr;

/// The whole field lines of a head (or of the part of it that was captured), as names and values without surrounding white
/// space. A field that is continued on the next line (obs-fold, RFC 9112 section 5.2) is left out: what it says is read in
/// different ways by different servers.
#[derive(Clone, Copy, Debug)]
pub(in crate::protocol) struct Lines<'a>(pub &'a [u8]);

impl<'a> Lines<'a> {
    /// One line without its end.
    fn line(&mut self) -> Option<&'a [u8]> {
        let newline = memchr(b'\n', self.0)?;
        let (line, rest) = self.0.split_at_checked(newline)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line().filter(|line| !line.is_empty())?;
            let mut is_folded = matches!(line.first(), Some(b' ' | b'\t'));
            while matches!(self.0.first(), Some(b' ' | b'\t')) {
                self.line()?;
                is_folded = true;
            }
            if !is_folded
                && let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
                && !name.is_empty()
            {
                return Some((name, value.get(1..).unwrap_or_default().trim_ascii()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, String)> {
        let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Lines(text.as_bytes()).map(|(name, value)| (owned(name), owned(value))).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn whole_lines_are_fields_up_to_the_empty_one() {
        let expected = [pair("A", "1"), pair("b", "x: y"), pair("c", "")];
        assert_eq!(all("A: 1\r\nb:x: y\t \nc:\r\n\r\nd: 4\r\n"), expected);
    }

    #[test]
    fn what_is_cut_off_or_continued_or_no_field_is_left_out() {
        assert_eq!(all("a: 1\r\nb: 2"), [pair("a", "1")]);
        assert_eq!(all("a: 1\r\n 2\r\n\t3\r\nb: 4\r\n\r\n"), [pair("b", "4")]);
        assert_eq!(all(" a: 1\r\nnothing\r\n: x\r\nb: 4\r\n"), [pair("b", "4")]);
        assert_eq!(all("a: 1\r\n "), [] as [(String, String); 0]);
        assert!(all("").is_empty());
    }
}
