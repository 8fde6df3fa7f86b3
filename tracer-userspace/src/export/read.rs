//! Reads trace files: ours, or anybody's with the same eight fields.
//!
//! Streaming: one span in memory at a time, besides what the caller keeps. Unknown fields are ignored; a missing or
//! malformed one is an error with its line and column.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use super::timestamp;

/// A span as a file tells it, reduced to what a report needs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSpan {
    /// Its trace.
    pub trace_id: Box<str>,
    /// Its id.
    pub span_id: Box<str>,
    /// Its parent's id.
    #[serde(default)]
    pub parent_span_id: Option<Box<str>>,
    /// Service.
    pub service_name: Box<str>,
    /// Operation.
    pub operation_name: Box<str>,
    /// Nanoseconds since 1970.
    #[serde(rename = "startTime", deserialize_with = "time")]
    pub start: i64,
    /// Nanoseconds.
    #[serde(deserialize_with = "milliseconds")]
    pub duration: u64,
    /// The tags that a report shows.
    #[serde(default)]
    pub tags: ReadTags,
}

/// Tags of a span in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadTags {
    /// `http.status_code`.
    pub status: Option<u16>,
    /// `span.kind`.
    pub kind: Option<Box<str>>,
    /// `error`.
    pub error: bool,
    /// `tracer.incomplete`.
    pub incomplete: bool,
    /// `tracer.outcome`.
    pub outcome: Option<Box<str>>,
    /// `tracer.link.reason`.
    pub reason: Option<Box<str>>,
    /// `tracer.link.confidence`.
    pub confidence: Option<f32>,
    /// `db.statement`.
    pub statement: Option<Box<str>>,
    /// `db.response.status_code`, `error.type`.
    pub error_code: Option<Box<str>>,
    /// `tracer.n_plus_one`.
    pub repeated: Option<u32>,
    /// `tracer.n_plus_one.operation`.
    pub repeated_operation: Option<Box<str>>,
}

/// A value of a tag. Tools differ in whether they write numbers and truth values as such or as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tag {
    Bool(bool),
    Number(f64),
    Text(Box<str>),
    Other(IgnoredAny),
}

impl Tag {
    fn truth(&self) -> bool {
        match self {
            Tag::Bool(value) => *value,
            Tag::Text(text) => &**text == "true",
            Tag::Number(_) | Tag::Other(_) => false,
        }
    }

    fn text(self) -> Option<Box<str>> {
        match self {
            Tag::Text(text) => Some(text),
            Tag::Bool(_) | Tag::Number(_) | Tag::Other(_) => None,
        }
    }

    fn share(&self) -> Option<f32> {
        match self {
            Tag::Number(number) if (0.0..=1.0).contains(number) => Some(*number as f32),
            Tag::Bool(_) | Tag::Number(_) | Tag::Text(_) | Tag::Other(_) => None,
        }
    }

    fn status(&self) -> Option<u16> {
        match self {
            Tag::Number(number) if (0.0..1000.0).contains(number) => Some(*number as u16),
            Tag::Text(text) => text.parse().ok(),
            Tag::Bool(_) | Tag::Number(_) | Tag::Other(_) => None,
        }
    }
}

impl Tag {
    fn count(&self) -> Option<u32> {
        if let Tag::Number(number) = self { Some(*number as u32) } else { None }
    }
}

impl<'de> Deserialize<'de> for ReadTags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tags = ReadTags::default();
        let all: Option<HashMap<Cow<'de, str>, Tag>> = Option::deserialize(deserializer)?;
        for (name, value) in all.unwrap_or_default() {
            match &*name {
                "http.status_code" | "http.response.status_code" | "rpc.grpc.status_code" => {
                    tags.status = value.status()
                }
                "span.kind" => tags.kind = value.text(),
                "error" => tags.error = value.truth(),
                "tracer.incomplete" => tags.incomplete = value.truth(),
                "tracer.outcome" => tags.outcome = value.text(),
                "tracer.link.reason" => tags.reason = value.text(),
                "tracer.link.confidence" => tags.confidence = value.share(),
                "db.statement" | "db.query.text" => tags.statement = value.text(),
                "db.response.status_code" | "error.type" => tags.error_code = value.text(),
                "tracer.n_plus_one" => tags.repeated = value.count(),
                "tracer.n_plus_one.operation" => tags.repeated_operation = value.text(),
                _ => {}
            }
        }
        Ok(tags)
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text: Cow<'de, str> = Cow::deserialize(deserializer)?;
    timestamp::parse(&text).ok_or_else(|| {
        D::Error::custom(format_args!("startTime {text:?} is not an RFC 3339 time in UTC or with an offset"))
    })
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let duration = f64::deserialize(deserializer)?;
    if !(0.0..1e13).contains(&duration) {
        return Err(D::Error::custom(format_args!("duration {duration} is not a number of milliseconds")));
    }
    Ok((duration * 1e6).round() as u64)
}

/// The file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("not a trace file (a JSON array of spans): {0}")]
pub struct ReadError(#[from] serde_json::Error);

/// Reads all spans of a trace file, in the file's order.
pub fn read_spans(reader: impl Read, each: impl FnMut(ReadSpan)) -> Result<(), ReadError> {
    struct Spans<F>(F);

    impl<'de, F: FnMut(ReadSpan)> Visitor<'de> for Spans<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of spans")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(span) = seq.next_element()? {
                (self.0)(span);
            }
            Ok(())
        }
    }

    let mut deserializer = serde_json::Deserializer::from_reader(std::io::BufReader::new(reader));
    deserializer.deserialize_seq(Spans(each))?;
    Ok(deserializer.end()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ReadSpan>, String> {
        let mut spans = Vec::new();
        read_spans(text.as_bytes(), |span| spans.push(span)).map_err(|error| error.to_string())?;
        Ok(spans)
    }

    #[test]
    fn the_documented_form_is_read() {
        let spans = read(
            r#"[{ "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "parentSpanId": null,
                 "serviceName": "frontend-api", "operationName": "POST /users",
                 "startTime": "2023-10-27T10:00:00.050123Z", "duration": 150.25,
                 "tags": { "http.method": "POST", "http.status_code": 201, "span.kind": "server",
                           "tracer.link.confidence": 0.95 } }]"#,
        )
        .unwrap();
        assert_eq!(spans[0].start, 1_698_400_800_050_123_000);
        assert_eq!(spans[0].duration, 150_250_000);
        assert_eq!(spans[0].tags.confidence, Some(0.95));
        assert_eq!((spans[0].tags.status, spans[0].tags.kind.as_deref()), (Some(201), Some("server")));
    }

    #[test]
    fn what_others_write_is_read() {
        let spans = read(
            r#"[{"traceId":"t","spanId":"s","serviceName":"a","operationName":"b\n\"c\"","startTime":"2023-10-27T12:00:00+02:00",
                 "duration":1,"extra":{"x":[1]},"tags":{"http.status_code":"503","error":"true","nested":{"a":1},"none":null}},
                {"traceId":"t","spanId":"s2","parentSpanId":"s","serviceName":"a","operationName":"b",
                 "startTime":"2023-10-27T12:00:00Z","duration":0,"tags":null}]"#,
        )
        .unwrap();
        assert_eq!(spans.len(), 2);
        assert_eq!(spans[0].tags.status, Some(503));
        assert!(spans[0].tags.error);
        assert_eq!(spans[1].parent_span_id.as_deref(), Some("s"));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, says) in [
            ("{}", "array of spans"),
            ("", "line 1 column 0"),
            ("[\n{\"traceId\":\"t\"}]", "missing field `spanId` at line 2"),
            ("[] x", "trailing characters at line 1"),
            ("[{\"traceId\":\"t\",", "EOF"),
            (
                r#"[{"traceId":"t","spanId":"s","serviceName":"a","operationName":"b","startTime":"now","duration":1}]"#,
                "startTime \"now\" is not an RFC 3339 time",
            ),
            (
                r#"[{"traceId":"t","spanId":"s","serviceName":"a","operationName":"b","startTime":"2023-10-27T12:00:00Z","duration":-1}]"#,
                "duration -1 is not",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
