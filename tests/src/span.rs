//! The tracer's output as a reader sees it: an array of spans of exactly eight keys.
//!
//! Strict on purpose: a ninth key, a missing one or a wrong type is an error here, so every test checks the form.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

/// The top-level keys of a span, all of them.
const KEYS: [&str; 8] =
    ["traceId", "spanId", "parentSpanId", "serviceName", "operationName", "startTime", "duration", "tags"];

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The process that received the request.
    Server,
    /// The process that sent it.
    Client,
    /// Neither of these words.
    Other,
}

/// One span.
#[derive(Clone, Debug)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or none.
    pub parent: Option<String>,
    /// Whose span it is.
    pub service: String,
    /// For instance `GET /users`.
    pub operation: String,
    /// Start, nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Duration in milliseconds.
    pub duration_ms: f64,
    /// `span.kind`.
    pub kind: Kind,
    /// All tags.
    pub tags: Map<String, Value>,
}

impl Span {
    /// A tag's text.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).and_then(Value::as_str)
    }

    /// `http.method`, or nothing.
    pub fn method(&self) -> &str {
        self.tag("http.method").unwrap_or_default()
    }

    /// The target (path and query) in `http.url`; scheme and host, should they be there, are cut off.
    pub fn target(&self) -> &str {
        let url = self.tag("http.url").unwrap_or_default();
        match url.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"),
            None => url,
        }
    }

    /// `http.status_code`, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.tags.get("http.status_code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok())
    }

    /// What the link to its parent rests on, as it stands in the file.
    pub fn evidence(&self) -> Option<String> {
        let value = self.tags.get("tracer.link.evidence")?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }

    /// How the exchange ended, if not with the last byte of its response.
    pub fn outcome(&self) -> Option<&str> {
        self.tag("tracer.outcome")
    }

    /// End, nanoseconds since the Unix epoch.
    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add((self.duration_ms * 1e6) as u64)
    }

    fn from_value(value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else { bail!("not an object") };
        if let Some(extra) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
            bail!("the key {extra} does not belong to the form");
        }
        let parent = match fields.remove("parentSpanId").context("no parentSpanId")? {
            Value::Null => None,
            Value::String(id) => Some(hex(id, 16)?),
            other => bail!("parentSpanId is {other}"),
        };
        let tags = match fields.remove("tags").context("no tags")? {
            Value::Object(tags) => tags,
            other => bail!("tags is {other}"),
        };
        let duration_ms =
            fields.get("duration").and_then(Value::as_f64).context("duration is missing or no number")?;
        ensure!(duration_ms >= 0.0, "the duration is {duration_ms}");
        let kind = match tags.get("span.kind").and_then(Value::as_str) {
            Some("server") => Kind::Server,
            Some("client") => Kind::Client,
            _ => Kind::Other,
        };
        let start = text(&mut fields, "startTime")?;
        Ok(Self {
            trace_id: hex(text(&mut fields, "traceId")?, 32)?,
            span_id: hex(text(&mut fields, "spanId")?, 16)?,
            parent,
            service: text(&mut fields, "serviceName")?,
            operation: text(&mut fields, "operationName")?,
            start_ns: rfc3339_nanos(&start).with_context(|| format!("startTime is {start}"))?,
            duration_ms,
            kind,
            tags,
        })
    }
}

fn text(fields: &mut Map<String, Value>, key: &str) -> Result<String> {
    match fields.remove(key) {
        Some(Value::String(text)) => Ok(text),
        other => bail!("{key} is {other:?}"),
    }
}

fn hex(id: String, digits: usize) -> Result<String> {
    let valid = id.len() == digits && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    ensure!(valid, "{id} is not {digits} lower-case hex digits");
    Ok(id)
}

/// All spans of one recording.
#[derive(Debug)]
pub struct Trace {
    /// The spans, in the order of the file.
    pub spans: Vec<Span>,
}

impl Trace {
    /// Reads the tracer's output and checks its form; span ids must be unique.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("no output at {}", path.display()))?;
        Self::parse(&bytes).with_context(|| format!("{} is not in the documented form", path.display()))
    }

    /// As [`Trace::read`], from bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes).context("not JSON")?;
        let Value::Array(values) = value else { bail!("not an array") };
        let spans = values
            .into_iter()
            .enumerate()
            .map(|(index, value)| Span::from_value(value).with_context(|| format!("span {index}")))
            .collect::<Result<Vec<_>>>()?;
        let mut seen = HashMap::new();
        for (index, span) in spans.iter().enumerate() {
            if let Some(earlier) = seen.insert(span.span_id.as_str(), index) {
                bail!("spans {earlier} and {index} have the same id {}", span.span_id);
            }
        }
        Ok(Self { spans })
    }

    /// The server spans whose target begins with `prefix`.
    pub fn servers(&self, prefix: &str) -> Vec<&Span> {
        self.of(Kind::Server, prefix)
    }

    /// The client spans whose target begins with `prefix`.
    pub fn clients(&self, prefix: &str) -> Vec<&Span> {
        self.of(Kind::Client, prefix)
    }

    fn of(&self, kind: Kind, prefix: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.kind == kind && span.target().starts_with(prefix)).collect()
    }

    /// Fails unless `server` is the other end of the call `client`.
    pub fn check_joined(client: &Span, server: &Span) -> Result<()> {
        ensure!(
            server.parent.as_deref() == Some(client.span_id.as_str()),
            "the server's span of {} has the parent {:?}, not the client's span {}",
            server.target(),
            server.parent,
            client.span_id
        );
        ensure!(
            server.trace_id == client.trace_id,
            "client and server of {} are in different traces",
            server.target()
        );
        Ok(())
    }
}

/// RFC 3339 in UTC with any number of fraction digits, to nanoseconds since the Unix epoch.
fn rfc3339_nanos(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let year: i64 = date.next()?.parse().ok()?;
    let month: i64 = date.next()?.parse().ok()?;
    let day: i64 = date.next()?.parse().ok()?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.splitn(3, ':');
    let hours: i64 = time.next()?.parse().ok()?;
    let minutes: i64 = time.next()?.parse().ok()?;
    let seconds: i64 = time.next()?.parse().ok()?;
    let nanos: u64 = match fraction.get(..9.min(fraction.len()))? {
        "" => 0,
        digits => {
            let scale = 10u64.checked_pow(9 - u32::try_from(digits.len()).ok()?)?;
            digits.parse::<u64>().ok()?.checked_mul(scale)?
        }
    };
    // Days since the epoch in the proleptic Gregorian calendar; the year begins in March so that the leap day is
    // its last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
        - 719_468;
    let seconds = days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
    u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A span as the tracer writes it.
    pub(crate) fn value(id: u64, kind: &str, target: &str, parent: Option<u64>, ms: f64) -> Value {
        json!({
            "traceId": format!("{:032x}", 7),
            "spanId": format!("{id:016x}"),
            "parentSpanId": parent.map(|id| format!("{id:016x}")),
            "serviceName": "shop",
            "operationName": format!("GET {target}"),
            "startTime": "2023-10-27T10:00:00.050123Z",
            "duration": ms,
            "tags": { "http.method": "GET", "http.url": target, "http.status_code": 200, "span.kind": kind },
        })
    }

    pub(crate) fn trace(values: Vec<Value>) -> Trace {
        Trace::parse(Value::Array(values).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_span_is_read() {
        let trace = trace(vec![value(1, "server", "/users?x=1", Some(9), 150.25)]);
        let span = trace.servers("/users").pop().unwrap();
        assert_eq!(span.parent.as_deref(), Some("0000000000000009"));
        assert_eq!((span.method(), span.target(), span.status()), ("GET", "/users?x=1", Some(200)));
        // date -d 2023-10-27T10:00:00Z +%s
        assert_eq!(span.start_ns, 1_698_400_800_050_123_000);
        assert_eq!(span.end_ns(), 1_698_400_800_200_373_000);
    }

    #[test]
    fn a_ninth_key_and_a_repeated_id_are_refused() {
        let mut ninth = value(1, "server", "/", None, 1.0);
        ninth["notes"] = json!("hello");
        assert!(Trace::parse(json!([ninth]).to_string().as_bytes()).is_err());
        let twice = json!([value(1, "server", "/", None, 1.0), value(1, "client", "/", None, 1.0)]);
        assert!(Trace::parse(twice.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_url_with_scheme_and_host_is_cut_to_its_target() {
        let trace = trace(vec![value(1, "client", "http://127.0.0.1:80/a?b=c", None, 1.0)]);
        assert_eq!(trace.clients("/a").len(), 1);
    }

    #[test]
    fn times_of_any_precision_are_read() {
        assert_eq!(rfc3339_nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339_nanos("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500_000_000));
        assert_eq!(rfc3339_nanos("2024-03-01T00:00:00.000000001Z"), Some(1_709_251_200_000_000_001));
        assert_eq!(rfc3339_nanos("yesterday"), None);
    }
}
