//! One line of an exchanges file: a JSON object with the fields that `docs/exchanges.md` lists.

use serde::Deserialize;

use crate::exchange::Side;
use crate::time::LATEST;

/// Longest name of a process, bytes.
const MAX_NAME: usize = 256;

/// A line as it is written.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// Who made the call, or served the request.
    pub process: String,
    /// On which thread; none: nothing is known of threads.
    #[serde(default)]
    pub thread: Option<Thread>,
    /// Which side.
    pub kind: Kind,
    /// What was asked for.
    pub operation: String,
    /// First byte of the request, ns since 1970 or any other moment.
    pub start_ns: u64,
    /// Last byte of the response.
    pub end_ns: u64,
    /// Names a connection.
    #[serde(default)]
    pub connection: Option<String>,
    /// What it is called where it comes from.
    pub id: String,
}

/// A thread's name.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a thread is a string or a whole number")]
pub(super) enum Thread {
    /// A number; the same as its digits.
    Number(i64),
    /// A text.
    Text(String),
}

impl Thread {
    /// As a text.
    pub fn into_text(self) -> String {
        match self {
            Thread::Number(number) => number.to_string(),
            Thread::Text(text) => text,
        }
    }
}

/// Which side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// It received the request.
    Server,
    /// It sent it.
    Client,
}

impl From<Kind> for Side {
    fn from(kind: Kind) -> Side {
        match kind {
            Kind::Server => Side::Server,
            Kind::Client => Side::Client,
        }
    }
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Column of the byte at which it shows, from 1.
    pub column: usize,
    /// In words.
    pub why: String,
}

/// Reads a line, without its end.
pub(super) fn parse(line: &[u8]) -> Result<Line, Wrong> {
    let read: Line = serde_json::from_slice(line).map_err(|error| {
        let (text, place) =
            (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
        let why = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        Wrong { column: error.column().max(1), why }
    })?;
    let at = |field: &str, why: String| {
        let name = format!("\"{field}\"");
        let column = line.windows(name.len()).position(|part| part == name.as_bytes()).unwrap_or(0) + 1;
        Err(Wrong { column, why })
    };
    if read.process.is_empty() || read.process.len() > MAX_NAME {
        return at("process", format!("a process has a name of 1 to {MAX_NAME} bytes"));
    }
    if read.end_ns > LATEST {
        return at("end_ns", format!("{} is later than any time can be ({LATEST})", read.end_ns));
    }
    if read.end_ns < read.start_ns {
        return at("end_ns", format!("it ends {} ns before it starts", read.start_ns - read.end_ns));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"process":"p","thread":7,"kind":"server","operation":"GET /","start_ns":1,"end_ns":2,"connection":"c","id":"i"}"#;

    #[test]
    fn the_documented_form_is_read() {
        let line = parse(GOOD.as_bytes()).unwrap();
        assert_eq!((&*line.process, line.kind, line.start_ns, line.end_ns), ("p", Kind::Server, 1, 2));
        assert_eq!(line.thread.map(Thread::into_text).as_deref(), Some("7"));
        let text = GOOD.replace(r#""thread":7"#, r#""thread":"7""#);
        assert_eq!(parse(text.as_bytes()).unwrap().thread.map(Thread::into_text).as_deref(), Some("7"));
        let bare = GOOD.replace(r#""thread":7,"#, "").replace(r#""connection":"c","#, "");
        let bare = parse(bare.as_bytes()).unwrap();
        assert_eq!((bare.thread, bare.connection), (None, None));
        let null = GOOD.replace(":7,", ":null,").replace(r#""server""#, r#""client""#);
        assert_eq!(parse(null.as_bytes()).unwrap().kind, Kind::Client);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_column() {
        for (from, to, column, says) in [
            (r#""id":"i""#, r#""id":7"#, 108, "expected a string"),
            (r#","id":"i""#, "", 104, "missing field `id`"),
            (r#""process":"p""#, r#""process":"""#, 2, "a name of 1 to 256 bytes"),
            ("\"end_ns\":2", "\"end_ns\":0", 73, "ends 1 ns before"),
            ("\"end_ns\":2", "\"end_ns\":18446744073709551615", 73, "later than any"),
            ("\"end_ns\":2", "\"end_ns\":-2", 83, "invalid value"),
            ("\"end_ns\":2", "\"end_ns\":2.5", 84, "invalid type"),
            ("\"thread\":7", "\"thread\":[]", 26, "a string or a whole number"),
            ("server", "producer", 43, "unknown variant `producer`"),
            ("connection", "conection", 96, "unknown field `conection`"),
            (r#""kind""#, r#""process":"q","kind""#, 39, "duplicate field"),
            ("}", "} x", 115, "trailing characters"),
            ("{", "", 1, "expected"),
        ] {
            let line = GOOD.replacen(from, to, 1);
            let wrong = parse(line.as_bytes()).unwrap_err();
            assert!(wrong.why.contains(says), "{line}: {wrong:?}");
            assert!(!wrong.why.contains("column"), "{wrong:?}");
            assert!(wrong.column.abs_diff(column) <= 9, "{line}: {wrong:?}, expected about {column}");
        }
        assert!(parse(b"").is_err() && parse(b"\xff").is_err() && parse(b"[]").is_err());
        assert!(parse(&b"[".repeat(100_000)).is_err());
    }
}
