//! Headers that go along with every push: most often who we are. They are secrets.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers whose values show nowhere.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// Adds one, `Name: value`.
    ///
    /// # Errors
    ///
    /// Says what is wrong without repeating any of it.
    pub fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, value) = line.split_once(':').ok_or("a header is a name, a colon and a value")?;
        let name: HeaderName =
            name.trim().parse().map_err(|_| "what stands before the colon is no name of a header")?;
        if RESERVED.contains(&name.as_str()) {
            return Err("the tracer sets this header itself");
        }
        let mut value: HeaderValue =
            value.trim().parse().map_err(|_| "what stands behind the colon cannot be in a header")?;
        value.set_sensitive(true);
        self.0.append(name, value);
        Ok(())
    }

    /// Adds those of a file: one a line; lines with nothing in them do not count.
    ///
    /// # Errors
    ///
    /// Says what is wrong with which line.
    pub fn add_lines(&mut self, text: &str) -> Result<(), String> {
        let mut has_any = false;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            self.add(line).map_err(|problem| format!("line {}: {problem}", at + 1))?;
            has_any = true;
        }
        if has_any { Ok(()) } else { Err("there is no header in it".to_owned()) }
    }

    /// All of them.
    pub fn all(&self) -> &HeaderMap {
        &self.0
    }
}

/// What says how a message is to be read is not for others to say.
const RESERVED: [&str; 7] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding"];

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_kept_and_their_values_show_nowhere() {
        let mut headers = Headers::default();
        headers.add("Authorization: Bearer hunter2:x").unwrap();
        headers.add_lines("\nX-Scope: a\r\nx-scope:b\n\n").unwrap();
        assert_eq!(headers.all().get("authorization").unwrap().as_bytes(), b"Bearer hunter2:x");
        assert_eq!(headers.all().get_all("x-scope").iter().count(), 2);
        let shown = format!("{headers:?} {:?}", headers.all());
        assert!(!shown.contains("hunter2") && shown.contains("authorization"), "{shown}");
    }

    #[test]
    fn what_is_no_header_is_told_without_repeating_it() {
        let mut headers = Headers::default();
        for bad in ["hunter2", "hun ter2: x", "x: hunter2\u{1}", "Content-Type: hunter2", ": hunter2"] {
            let said = headers.add(bad).unwrap_err();
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert!(headers.add_lines("a: b\nhunter2").unwrap_err().starts_with("line 2: "));
        headers.add_lines(" \n").unwrap_err();
    }
}
