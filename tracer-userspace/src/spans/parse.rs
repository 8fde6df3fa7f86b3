//! Reads one span of a file. Strings are borrowed from its bytes where nothing in them is escaped.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::elements::Element;
use super::problems::Doubt;
use super::timestamp;
use super::{FileSpan, Value};

/// What stands for the name of a service that a file does not name.
pub const NO_SERVICE: &str = "(no service)";
/// Likewise of an operation.
pub const NO_OPERATION: &str = "(no name)";

/// A span that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {what}")]
pub struct Unusable {
    /// From 1.
    pub line: u64,
    /// From 1, in bytes.
    pub column: u64,
    /// A sentence without its end.
    pub what: String,
}

/// What an object says of a span, nothing of it checked. Its tags are kept or not ([`Tags`]).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fields<'a, const TAGS: bool> {
    #[serde(borrow, default)]
    trace_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    span_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    parent_span_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    service_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    operation_name: Option<Text<'a>>,
    #[serde(borrow, default)]
    start_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    duration: Option<Value<'a>>,
    #[serde(borrow, default)]
    tags: Option<Tags<'a, TAGS>>,
}

impl<'a, const TAGS: bool> Fields<'a, TAGS> {
    /// Of one object, from its first byte to its last.
    pub fn read(bytes: &'a [u8]) -> serde_json::Result<Self> {
        // Looked at once, all of it, that costs less than string by string. Where it is no UTF-8 the error is to name the place.
        match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(bytes),
        }
    }

    /// The span of this element; what is odd in it and was made good by rule is handed to `doubt`.
    pub fn span(self, element: Element<'_>, mut doubt: impl FnMut(Doubt)) -> Result<FileSpan<'a>, Unusable> {
        let unusable = |what: &str| Unusable::at(element, what);
        let id = |text: Option<Text<'a>>, name: &str| {
            text.map(|text| text.0)
                .filter(|id| !id.is_empty())
                .ok_or_else(|| unusable(&format!("a span without {name}")))
        };
        let named = |text: Option<Text<'a>>, instead: &'static str| {
            text.map_or(Cow::Borrowed(instead), |text| text.0)
        };
        let start = self.start_time.ok_or_else(|| unusable("a span without startTime"))?.0;
        let start = timestamp::parse(&start).ok_or_else(|| {
            unusable(&format!("startTime {start:?} is not an RFC 3339 time in UTC or with an offset"))
        })?;
        let duration = self.duration.ok_or_else(|| unusable("a span without duration"))?;
        let duration = duration
            .number()
            .filter(|milliseconds| milliseconds.abs() < 1e13)
            .ok_or_else(|| unusable("a duration that is not a number of milliseconds"))?;
        if duration < 0.0 {
            doubt(Doubt::NegativeDuration);
        }
        if self.service_name.is_none() || self.operation_name.is_none() {
            doubt(Doubt::Unnamed);
        }
        Ok(FileSpan {
            trace_id: id(self.trace_id, "traceId")?,
            span_id: id(self.span_id, "spanId")?,
            parent_span_id: self.parent_span_id.map(|text| text.0).filter(|id| !id.is_empty()),
            service_name: named(self.service_name, NO_SERVICE),
            operation_name: named(self.operation_name, NO_OPERATION),
            start,
            duration: (duration.max(0.0) * 1e6).round() as u64,
            tags: self.tags.map_or_else(Vec::new, |tags| tags.0),
        })
    }
}

impl Unusable {
    fn at(element: Element<'_>, what: &str) -> Self {
        Self { line: element.line, column: element.column, what: what.to_owned() }
    }
}

/// Reads an element, with its tags or without; what is odd in it and was made good by rule is handed to `doubt`.
pub fn parse<'a, const TAGS: bool>(
    element: Element<'a>,
    doubt: impl FnMut(Doubt),
) -> Result<FileSpan<'a>, Unusable> {
    let Element { bytes, line, column, .. } = element;
    if bytes.first() != Some(&b'{') {
        return Err(Unusable::at(element, "not a span: spans are objects"));
    }
    let fields = Fields::<TAGS>::read(bytes).map_err(|error| {
        let within = error.line().saturating_sub(1) as u64;
        let before = if within == 0 { column.saturating_sub(1) } else { 0 };
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
        Unusable { line: line + within, column: before + error.column().max(1) as u64, what: what.to_owned() }
    })?;
    fields.span(element, doubt)
}

/// Text, or a number that somebody wrote for it.
pub struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(number.to_string().into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(number.to_string().into()))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The tags of a span. Where they are not kept there are none, but what would be refused is refused all the same.
pub struct Tags<'a, const KEPT: bool>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'de: 'a, 'a, const KEPT: bool> Deserialize<'de> for Tags<'a, KEPT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tags = if KEPT {
            match Value::deserialize(deserializer)? {
                Value::Map(tags) => Some(tags),
                Value::Null => Some(Vec::new()),
                Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) => None,
            }
        } else {
            match Passed::deserialize(deserializer)? {
                Passed::Map | Passed::Null => Some(Vec::new()),
                Passed::Other => None,
            }
        };
        tags.map(Tags).ok_or_else(|| D::Error::custom("tags are an object"))
    }
}

/// A value that was read as [`Value`] is, and not kept.
enum Passed {
    Null,
    Map,
    Other,
}

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Passed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Passed, E> {
                Ok(Passed::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Passed, E> {
                Ok(Passed::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Passed, E> {
                Ok(Passed::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Passed, E> {
                Ok(Passed::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Passed, E> {
                Ok(Passed::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Passed, E> {
                Ok(Passed::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Passed, A::Error> {
                while seq.next_element::<Passed>()?.is_some() {}
                Ok(Passed::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Passed, A::Error> {
                while map.next_entry::<Passed, Passed>()?.is_some() {}
                Ok(Passed::Map)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value<'de>, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
                Ok(Value::Int(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
                Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
                Ok(Value::Float(value))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
                // As many as a span of ours has tags.
                let mut values = Vec::with_capacity(24);
                while let Some(Name(name)) = map.next_key()? {
                    values.push((name, map.next_value()?));
                }
                Ok(Value::Map(values))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// The name of a tag.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<FileSpan<'_>, Unusable>, Vec<Doubt>) {
        let mut doubts = Vec::new();
        let element = Element { bytes: text.as_bytes(), offset: 0, line: 10, column: 5 };
        (parse::<true>(element, |doubt| doubts.push(doubt)), doubts)
    }

    #[test]
    fn the_documented_form_is_read() {
        let (span, doubts) = read(
            r#"{ "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "parentSpanId": null,
                 "serviceName": "frontend-api", "operationName": "POST /users",
                 "startTime": "2023-10-27T10:00:00.050123Z", "duration": 150.25,
                 "tags": { "http.method": "POST", "http.status_code": 201, "span.kind": "server",
                           "tracer.link.evidence": ["thread"], "tracer.link.confidence": 0.95 } }"#,
        );
        let span = span.unwrap();
        assert!(matches!(span.service_name, Cow::Borrowed("frontend-api")));
        assert_eq!((span.start, span.duration), (1_698_400_800_050_123_000, 150_250_000));
        assert_eq!(span.parent_span_id, None);
        assert_eq!(span.tag("http.status_code").and_then(Value::whole::<u16>), Some(201));
        assert_eq!(span.tag("tracer.link.confidence").and_then(Value::number), Some(0.95));
        assert_eq!(span.tag("tracer.link.evidence"), Some(&Value::List(vec![Value::Text("thread".into())])));
        assert_eq!(doubts, []);
    }

    #[test]
    fn what_others_write_is_read() {
        let (span, doubts) = read(
            r#"{"traceId":"t","spanId":17,"startTime":"2023-10-27T12:00:00+02:00","duration":"1",
                "extra":{"x":[1]},"tags":{"http.status_code":"503","error":"true","nested":{"a":1},"none":null,"big":18446744073709551615}}"#,
        );
        let span = span.unwrap();
        assert_eq!(
            (&*span.span_id, &*span.service_name, &*span.operation_name),
            ("17", NO_SERVICE, NO_OPERATION)
        );
        assert_eq!(span.duration, 1_000_000);
        assert_eq!(span.tag("http.status_code").and_then(Value::whole::<u16>), Some(503));
        assert!(span.tag("error").is_some_and(Value::truth));
        assert_eq!(doubts, [Doubt::Unnamed]);
        let (span, doubts) = read(
            r#"{"traceId":"t","spanId":"s","serviceName":"a","operationName":"b\n\"c\"","startTime":"2023-10-27T12:00:00Z","duration":-2,"tags":null}"#,
        );
        assert_eq!(span.as_ref().map(|span| (&*span.operation_name, span.duration)), Ok(("b\n\"c\"", 0)));
        assert_eq!(doubts, [Doubt::NegativeDuration]);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_place() {
        let good = r#""spanId":"s","startTime":"2023-10-27T12:00:00Z","duration":1"#;
        for (text, says) in [
            ("7".to_owned(), "line 10 column 5: not a span"),
            (format!("{{{good}}}"), "line 10 column 5: a span without traceId"),
            (format!("{{\"traceId\":\"\",{good}}}"), "without traceId"),
            (
                r#"{"traceId":"t","spanId":"s","startTime":"now","duration":1}"#.into(),
                "startTime \"now\" is not",
            ),
            (r#"{"traceId":"t","spanId":"s","duration":1}"#.into(), "without startTime"),
            (r#"{"traceId":"t","spanId":"s","startTime":"2023-10-27T12:00:00Z"}"#.into(), "without duration"),
            (
                r#"{"traceId":"t","spanId":"s","startTime":"2023-10-27T12:00:00Z","duration":[]}"#.into(),
                "not a number",
            ),
            (
                r#"{"traceId":"t","spanId":"s","startTime":"2023-10-27T12:00:00Z","duration":1e300}"#.into(),
                "not a number",
            ),
            ("{\n\"traceId\":{}}".into(), "line 11 column 12: invalid type: map, expected text"),
            ("{\n\"traceId\":\"a\" \"b\"}".into(), "line 11 column 15: expected `,` or `}`"),
            (format!("{{\"traceId\":\"t\",{good},\"tags\":[]}}"), "tags are an object"),
        ] {
            let error = read(&text).0.unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        let deep = format!("{{\"tags\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&deep).0.unwrap_err().what.contains("recursion limit"));
    }
}
