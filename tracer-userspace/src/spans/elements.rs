//! Cuts a JSON array into its elements, reading it piece by piece.
//!
//! Only strings, braces and brackets are looked at; whether an element is right is for [`super::parse`] to say. So one that
//! is wrong inside costs no other, and each has a place at which it can be read again.

use std::io::{self, Read};

/// An element may have so many bytes. Ours have below a thousand, a few tens of thousands with many headers kept.
pub const MAX_ELEMENT: usize = 16 << 20;
/// So many are read at a time.
const READ: usize = 256 << 10;

/// One element of the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// From its first byte to its last.
    pub bytes: &'a [u8],
    /// Of its first byte in the file.
    pub offset: u64,
    /// Its first line, from 1.
    pub line: u64,
    /// The column of its first byte, from 1, in bytes.
    pub column: u64,
}

/// The file is not an array, or cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ElementError {
    /// The system's error.
    #[error("reading failed: {0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("it is not a JSON array of spans: line {line} column {column} has {found}")]
    NotAnArray {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// What stands there.
        found: String,
    },
    /// One element has no end in sight.
    #[error("line {line} begins something longer than 16 MiB, which no span is")]
    TooLong {
        /// From 1.
        line: u64,
    },
}

/// How the array ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With its bracket, and nothing but space behind it.
    Whole,
    /// Without one: whoever wrote it was interrupted.
    Cut {
        /// Where that was, from 1.
        line: u64,
    },
    /// With its bracket, and something behind it, which was not read.
    More {
        /// Where that begins, from 1.
        line: u64,
    },
}

/// The elements of an array.
#[derive(Debug)]
pub struct Elements<R> {
    input: R,
    buffer: Vec<u8>,
    /// What is before it in the buffer has been given out.
    at: usize,
    /// Offset in the file, and line and column, of `at`.
    offset: u64,
    line: u64,
    column: u64,
    is_read: bool,
    begun: bool,
    /// The last element ended its line.
    is_by_line: bool,
    ending: Option<Ending>,
}

impl<R: Read> Elements<R> {
    /// Of this file.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            offset: 0,
            line: 1,
            column: 1,
            is_read: false,
            begun: false,
            is_by_line: true,
            ending: None,
        }
    }

    /// How the array ended, once there are no more elements.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Goes to the next one; whether there is one. It is had by [`Elements::line`] or [`Elements::element`].
    pub fn advance(&mut self) -> Result<bool, ElementError> {
        if self.ending.is_some() {
            return Ok(false);
        }
        if !self.begun {
            self.begin()?;
        }
        let first = loop {
            match self.skip_space()? {
                Some(b',') => self.consume(1),
                other => break other,
            }
        };
        match first {
            None => {
                self.ending = Some(Ending::Cut { line: self.line });
                Ok(false)
            }
            Some(b']') => {
                self.consume(1);
                self.ending = Some(if self.skip_space()?.is_some() {
                    Ending::More { line: self.line }
                } else {
                    Ending::Whole
                });
                Ok(false)
            }
            Some(_) => Ok(true),
        }
    }

    /// What may be the next one: the rest of its line, in a file that has had one on a line so far, as ours have. It is the element if it is an
    /// object, read to its end as JSON; then [`Elements::skip`] goes on behind it. Like that no byte is looked at twice.
    pub fn line(&self) -> Option<Element<'_>> {
        let rest = self.buffer.get(self.at..).filter(|_| self.is_by_line)?;
        let line = rest.get(..memchr::memchr(b'\n', rest)?)?.trim_ascii_end();
        let bytes = line.strip_suffix(b",").unwrap_or(line);
        let is_object = bytes.first() == Some(&b'{');
        is_object.then_some(Element { bytes, offset: self.offset, line: self.line, column: self.column })
    }

    /// Goes on behind an element of that length, which [`Elements::line`] gave.
    pub fn skip(&mut self, len: usize) {
        // No line ends in it.
        self.at += len;
        self.offset += len as u64;
        self.column += len as u64;
    }

    fn begin(&mut self) -> Result<(), ElementError> {
        self.begun = true;
        // The mark of byte order, which some editors put there.
        while self.buffer.len() < 3 && self.more()? {}
        if self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.at = 3;
            self.offset = 3;
        }
        if self.skip_space()? == Some(b'[') {
            self.consume(1);
            return Ok(());
        }
        while self.buffer.len() < self.at + 4096 && self.more()? {}
        let begins = self.buffer.get(self.at..).unwrap_or_default();
        Err(ElementError::NotAnArray { line: self.line, column: self.column, found: found(begins) })
    }

    /// The next one, found by its braces; `None` where the file ends within it.
    pub fn element(&mut self) -> Result<Option<Element<'_>>, ElementError> {
        let mut scan = Scan::default();
        let mut from = self.at;
        let end = loop {
            if let Some(end) = scan.end(self.buffer.get(from..).unwrap_or_default()) {
                break from + end;
            }
            let scanned = self.buffer.len() - self.at;
            if scanned > MAX_ELEMENT {
                return Err(ElementError::TooLong { line: self.line });
            }
            if !self.more()? {
                self.ending = Some(Ending::Cut { line: self.line });
                return Ok(None);
            }
            // What was given out may have been dropped from the buffer.
            from = self.at + scanned;
        };
        let (start, offset, line, column) = (self.at, self.offset, self.line, self.column);
        self.consume(end - start);
        let behind = self.buffer.get(end..).unwrap_or_default();
        self.is_by_line = [&b",\n"[..], b"\n", b",\r\n"].iter().any(|ending| behind.starts_with(ending));
        Ok(Some(Element { bytes: self.buffer.get(start..end).unwrap_or_default(), offset, line, column }))
    }

    /// The first byte that is not space, which is not consumed.
    fn skip_space(&mut self) -> Result<Option<u8>, ElementError> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let next = rest.get(space).copied();
            self.consume(space);
            if next.is_some() || !self.more()? {
                return Ok(next);
            }
        }
    }

    fn consume(&mut self, count: usize) {
        let taken = self.buffer.get(self.at..self.at + count).unwrap_or_default();
        let lines = memchr::memchr_iter(b'\n', taken).count() as u64;
        self.line += lines;
        match memchr::memrchr(b'\n', taken) {
            Some(last) => self.column = (count - last) as u64,
            None => self.column += count as u64,
        }
        self.at += count;
        self.offset += count as u64;
    }

    /// Reads on; whether there was more.
    fn more(&mut self) -> io::Result<bool> {
        if self.is_read {
            return Ok(false);
        }
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        let before = self.buffer.len();
        self.buffer.resize(before + READ, 0);
        let count = loop {
            match self.input.read(self.buffer.get_mut(before..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(before + *count.as_ref().unwrap_or(&0));
        self.is_read = count? == 0;
        Ok(!self.is_read)
    }
}

/// What a file that is no array begins with, in words.
fn found(begins: &[u8]) -> String {
    let has = |name: &[u8]| memchr::memmem::find(begins, name).is_some();
    let text = match begins.first() {
        None => "nothing: the file is empty",
        Some(b'{') if has(b"\"resourceSpans\"") => {
            "an object: this looks like OTLP/JSON; give the trace JSON it was made from"
        }
        Some(b'{') if has(b"\"traceEvents\"") => {
            "an object: this looks like Chrome trace events; give the trace JSON they were made from"
        }
        Some(b'{') if has(b"\"traceID\"") => {
            "an object: this looks like Jaeger's JSON; give the trace JSON it was made from"
        }
        Some(b'{') if has(b"\"traceId\"") && has(b"}\n{") => {
            "an object: this looks like spans without an array around them; `jq -s . FILE` makes one"
        }
        Some(b'{') => "an object",
        Some(0x1f) if begins.starts_with(b"\x1f\x8b") => {
            "what gzip packed: give it unpacked, as in `zcat FILE | tracer show -`"
        }
        Some(0x28) if begins.starts_with(b"\x28\xb5\x2f\xfd") => {
            "what zstd packed: give it unpacked, as in `zstdcat FILE | tracer show -`"
        }
        Some(0x89) if begins.starts_with(b"\x89tcap") => {
            "a capture: `tracer analyze FILE -o traces.json` makes traces of it"
        }
        Some(byte) if byte.is_ascii_graphic() => return format!("{:?}", char::from(*byte)),
        Some(byte) => return format!("a byte {byte:#04x}"),
    };
    text.to_owned()
}

/// Finds the end of an element.
#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    begun: bool,
}

impl Scan {
    /// Behind the last byte of the element, if it is among these, which follow the ones given before.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.in_string {
                if std::mem::take(&mut self.is_escaped) {
                    at += 1;
                    continue;
                }
                let next = memchr::memchr2(b'"', b'\\', rest)?;
                at += next + 1;
                if rest.get(next) == Some(&b'"') {
                    self.in_string = false;
                    if self.depth == 0 {
                        return Some(at);
                    }
                } else {
                    self.is_escaped = true;
                }
                continue;
            }
            for byte in rest {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    // A number or a word ends before what follows it.
                    b',' | b']' | b'}' if self.depth == 0 && self.begun => return Some(at),
                    b'}' | b']' if self.depth <= 1 => return Some(at + 1),
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
                self.begun = true;
                at += 1;
                if self.in_string {
                    break;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(out.len());
            out[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    /// Text, offset, line, column.
    type Found = (String, u64, u64, u64);

    fn next<R: Read>(elements: &mut Elements<R>) -> Result<Option<Element<'_>>, ElementError> {
        if elements.advance()? { elements.element() } else { Ok(None) }
    }

    fn all(text: &str, piece: usize) -> (Vec<Found>, Option<Ending>) {
        let mut elements = Elements::new(Pieces(text.as_bytes(), piece));
        let mut found = Vec::new();
        while let Some(element) = next(&mut elements).unwrap() {
            let text = String::from_utf8(element.bytes.to_vec()).unwrap();
            found.push((text, element.offset, element.line, element.column));
        }
        (found, elements.ending())
    }

    #[test]
    fn elements_have_their_places_in_any_pieces() {
        let text = "\u{feff} [\n{\"a\":\"}]\\\"{\"},\n  {\"b\":[{}]} , 7,\"x,y\",null,[1]\n]\n ";
        for piece in [1, 2, 3, 7, 1000] {
            let (found, ending) = all(text, piece);
            let texts: Vec<&str> = found.iter().map(|(text, ..)| &**text).collect();
            assert_eq!(texts, ["{\"a\":\"}]\\\"{\"}", "{\"b\":[{}]}", "7", "\"x,y\"", "null", "[1]"]);
            for (element, offset, ..) in &found {
                assert!(text[*offset as usize..].starts_with(element.as_str()));
            }
            assert_eq!((found[0].2, found[0].3), (2, 1));
            assert_eq!((found[1].2, found[1].3), (3, 3));
            assert_eq!(ending, Some(Ending::Whole));
        }
    }

    #[test]
    fn an_array_that_was_cut_off_gives_what_is_whole() {
        for (text, count, line) in [
            ("[", 0, 1),
            ("[{},\n{\"a\":1}", 2, 2),
            ("[{},\n{\"a\":", 1, 2),
            ("[{\"a\":\"\\", 0, 1),
            ("[{},", 1, 1),
        ] {
            let (found, ending) = all(text, 4);
            assert_eq!((found.len(), ending), (count, Some(Ending::Cut { line })), "{text}");
        }
        assert_eq!(all("[{}]\n\nx", 4).1, Some(Ending::More { line: 3 }));
        assert_eq!(all("[]", 4), (Vec::new(), Some(Ending::Whole)));
    }

    #[test]
    fn what_is_no_array_is_named() {
        for (text, says) in [
            ("", "line 1 column 1 has nothing"),
            ("\n {\"resourceSpans\":[]}", "line 2 column 2 has an object: this looks like OTLP/JSON"),
            ("{\"data\":[{\"traceID\":\"a\"}]}", "Jaeger"),
            ("{}", "an object"),
            ("{\"traceId\":\"a\"}\n{}", "jq -s"),
            ("\"a\"", "'\"'"),
            ("\u{1}", "a byte 0x01"),
        ] {
            let error = next(&mut Elements::new(text.as_bytes())).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let error = next(&mut Elements::new(&b"\x1f\x8b\x08\0"[..])).unwrap_err().to_string();
        assert!(error.contains("zcat FILE"), "{error}");
        let error = next(&mut Elements::new(&b"\x89tcap\r\n\x1a"[..])).unwrap_err().to_string();
        assert!(error.contains("tracer analyze FILE"), "{error}");
    }

    #[test]
    fn nothing_without_end_is_held() {
        let input = io::Read::chain(&b"[\n{\"a\":\""[..], io::repeat(b'x'));
        let error = next(&mut Elements::new(input)).unwrap_err();
        assert!(matches!(error, ElementError::TooLong { line: 2 }), "{error}");
    }
}
