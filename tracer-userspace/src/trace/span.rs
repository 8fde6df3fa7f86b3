//! The span: what is given out. Its JSON form is the product's file format, so the order and the names of the fields
//! here are the order and the names in the file.
//!
//! Server span: from the first byte of the request read to the last byte of the response written. Client span: from
//! the first byte sent to the last byte read. Tag names follow OpenTelemetry's conventions for HTTP of the 1.x
//! generation (`http.method`, `net.peer.ip`), which every viewer understands; what this tool adds begins with
//! `tracer.`.

use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde::ser::Serializer;

use super::id::{SpanId, TraceId};
use crate::causality::{EvidenceSet, Reason};
use crate::exchange::{Outcome, Side};
use crate::time::Rfc3339Micros;

/// One span.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
    /// Who did the work (server) or made the call (client).
    pub service_name: Arc<str>,
    /// Method and path.
    pub operation_name: Box<str>,
    /// Nanoseconds since 1970; RFC 3339 with microseconds in the file.
    #[serde(serialize_with = "rfc3339")]
    pub start_time: u64,
    /// Nanoseconds; milliseconds with at most three decimals in the file.
    #[serde(serialize_with = "milliseconds")]
    pub duration: u64,
    /// Everything else.
    pub tags: Tags,
}

/// The tags of a span.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tags {
    /// The method, as sent.
    #[serde(rename = "http.method")]
    pub method: Arc<str>,
    /// The request target, as sent, secrets masked.
    #[serde(rename = "http.url")]
    pub url: Box<str>,
    /// The Host field.
    #[serde(rename = "http.host", skip_serializing_if = "Option::is_none")]
    pub host: Option<Arc<str>>,
    /// Status code; absent when no response was seen.
    #[serde(rename = "http.status_code", skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Server or client.
    #[serde(rename = "span.kind", serialize_with = "kind")]
    pub kind: Side,
    /// The request failed: 5xx for a server, 4xx and 5xx for a client, or no response although the connection ended.
    #[serde(rename = "error", skip_serializing_if = "is_false")]
    pub error: bool,
    /// Process id, as in the initial pid namespace.
    #[serde(rename = "process.pid")]
    pub pid: u32,
    /// Thread that moved the request's head.
    #[serde(rename = "thread.id")]
    pub tid: u32,
    /// The other end's address.
    #[serde(rename = "net.peer.ip", skip_serializing_if = "Option::is_none")]
    pub peer_ip: Option<IpAddr>,
    /// The other end's port.
    #[serde(rename = "net.peer.port", skip_serializing_if = "Option::is_none")]
    pub peer_port: Option<u16>,
    /// `unix` for unix sockets.
    #[serde(rename = "net.transport", skip_serializing_if = "Option::is_none")]
    pub transport: Option<&'static str>,
    /// Bytes of the request, head and body.
    #[serde(rename = "http.request.bytes", skip_serializing_if = "Option::is_none")]
    pub request_bytes: Option<u64>,
    /// Bytes of the response, head and body.
    #[serde(rename = "http.response.bytes", skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<u64>,
    /// Nanoseconds from the first byte of the request to the first byte of the response; milliseconds in the file.
    #[serde(
        rename = "tracer.ttfb_ms",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_milliseconds"
    )]
    pub first_byte: Option<u64>,
    /// How the exchange ended, when not by the last byte of its response.
    #[serde(rename = "tracer.outcome", skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// The duration is a lower bound.
    #[serde(rename = "tracer.incomplete", skip_serializing_if = "is_false")]
    pub incomplete: bool,
    /// A head was longer than what was captured: fields may be missing.
    #[serde(rename = "tracer.truncated", skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// What the link to the parent rests on.
    #[serde(rename = "tracer.link.evidence", skip_serializing_if = "EvidenceSet::is_empty")]
    pub evidence: EvidenceSet,
    /// Why there is no parent although requests were open.
    #[serde(rename = "tracer.link.reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How many requests could have been the parent.
    #[serde(rename = "tracer.link.candidates", skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
    /// The trace id that came in this request's traceparent, where the trace has another one.
    #[serde(rename = "tracer.traceparent.trace_id", skip_serializing_if = "Option::is_none")]
    pub other_trace: Option<TraceId>,
}

/// Method and path: the target without query, and without scheme and authority where it has them (RFC 9112, 3.2).
pub fn operation(method: &str, target: &str) -> Box<str> {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut name = String::with_capacity(method.len() + 1 + path.len());
    name.push_str(method);
    name.push(' ');
    name.push_str(path);
    name.into_boxed_str()
}

/// The word for an outcome, and whether the span's end is then only a lower bound.
pub fn outcome(outcome: Option<Outcome>) -> (Option<&'static str>, bool) {
    match outcome {
        Some(Outcome::Complete) => (None, false),
        Some(Outcome::Upgraded) => (Some("upgraded"), false),
        Some(Outcome::EndUnframed) => (Some("end-unframed"), true),
        Some(Outcome::Aborted) => (Some("aborted"), true),
        Some(Outcome::Unanswered) => (Some("unanswered"), true),
        Some(Outcome::Pending) => (Some("pending"), true),
        Some(Outcome::Streaming) => (Some("streaming"), true),
        Some(Outcome::ResponseUnseen) => (Some("response-unseen"), true),
        // Given out before its end because the limit of undecided spans was reached.
        None => (Some("undecided"), true),
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn kind<S: Serializer>(side: &Side, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match side {
        Side::Server => "server",
        Side::Client => "client",
    })
}

fn rfc3339<S: Serializer>(unix_nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Rfc3339Micros(*unix_nanos))
}

/// Whole microseconds, as the start is, so that start plus duration never passes the end of the parent by rounding.
fn milliseconds<S: Serializer>(nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((nanos / 1_000) as f64 / 1_000.0)
}

fn optional_milliseconds<S: Serializer>(nanos: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match nanos {
        Some(nanos) => milliseconds(nanos, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_method_and_path() {
        for (target, path) in [
            ("/users?id=1", "GET /users"),
            ("/a/17#x", "GET /a/17"),
            ("*", "GET *"),
            ("http://shop.example:80/cart?x=/", "GET /cart"),
            ("http://shop.example", "GET /"),
            ("/redirect?to=http://x/", "GET /redirect"),
            ("shop.example:443", "GET shop.example:443"),
        ] {
            assert_eq!(&*operation("GET", target), path);
        }
    }
}
