//! The span: what is given out. Its form in a file is in [`crate::export`].
//!
//! Server span: from the first byte of the request read to the last byte of the response written. Client span: from
//! the first byte sent to the last byte read. Tag names follow OpenTelemetry's conventions for HTTP of the 1.x
//! generation (`http.method`, `net.peer.ip`), which every viewer understands; what this tool adds begins with
//! `tracer.`.

use std::net::IpAddr;
use std::sync::Arc;

use super::id::{SpanId, TraceId};
use crate::causality::{EvidenceSet, Reason};
use crate::exchange::{Extra, Kept, Outcome, Side};

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
    /// Who did the work (server) or made the call (client).
    pub service_name: Arc<str>,
    /// Nanoseconds since 1970.
    pub start_time: u64,
    /// Nanoseconds, whole microseconds.
    pub duration: u64,
    /// Everything else.
    pub tags: Tags,
}

/// The tags of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Tags {
    /// The method, as sent.
    pub method: Arc<str>,
    /// The request target, as sent, secrets masked.
    pub url: Box<str>,
    /// The Host field.
    pub host: Option<Arc<str>>,
    /// Status code; absent when no response was seen.
    pub status: Option<u16>,
    /// Server or client.
    pub kind: Side,
    /// The request failed: 5xx for a server, 4xx and 5xx for a client, or no response although the connection ended.
    pub error: bool,
    /// Process id, as in the initial pid namespace.
    pub pid: u32,
    /// Thread that moved the request's head; 0: not known, and then it is not written.
    pub tid: u32,
    /// The other end's address.
    pub peer_ip: Option<IpAddr>,
    /// The other end's port.
    pub peer_port: Option<u16>,
    /// `unix` for unix sockets.
    pub transport: Option<&'static str>,
    /// Bytes of the request, head and body.
    pub request_bytes: Option<u64>,
    /// Bytes of the response, head and body.
    pub response_bytes: Option<u64>,
    /// Nanoseconds from the first byte of the request to the first byte of the response.
    pub first_byte: Option<u64>,
    /// How the exchange ended, when not by the last byte of its response.
    pub outcome: Option<&'static str>,
    /// The duration is a lower bound.
    pub incomplete: bool,
    /// A head was longer than what was captured: fields may be missing.
    pub truncated: bool,
    /// What the link to the parent rests on.
    pub evidence: EvidenceSet,
    /// Why there is no parent although requests were open.
    pub reason: Option<Reason>,
    /// How sure the link to the parent is, 0 to 1.
    pub confidence: Option<f32>,
    /// Without a parent: who it could be and how sure that is, the surest first.
    pub candidates: Box<[(SpanId, f32)]>,
    /// The trace id that came in this request's traceparent, where the trace has another one.
    pub other_trace: Option<TraceId>,
    /// What the request said beyond what every request is asked for.
    pub extra: Option<Box<Extra>>,
}

impl Tags {
    /// The headers that the user wants to see.
    pub fn kept(&self) -> &[Kept] {
        self.extra.as_deref().map_or(&[], |extra| &extra.kept)
    }

    /// What the exchange is called where it was observed, if that was not here. Then `url` is the operation.
    pub fn id(&self) -> Option<&str> {
        self.extra.as_deref()?.id.as_deref()
    }
}

impl Span {
    /// The path, which with the method names the operation: the target without query, and without scheme and authority
    /// where it has them (RFC 9112, 3.2).
    pub fn path(&self) -> &str {
        path(&self.tags.url)
    }
}

fn path(target: &str) -> &str {
    let absolute = if target.starts_with('/') { None } else { target.split_once("://") };
    let path = match absolute {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let end = path.bytes().position(|byte| byte == b'?' || byte == b'#');
    end.and_then(|end| path.get(..end)).unwrap_or(path)
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

#[cfg(test)]
mod tests {
    #[test]
    fn the_path_is_the_target_without_what_surrounds_it() {
        for (target, path) in [
            ("/users?id=1", "/users"),
            ("/a/17#x", "/a/17"),
            ("*", "*"),
            ("http://shop.example:80/cart?x=/", "/cart"),
            ("http://shop.example", "/"),
            ("/redirect?to=http://x/", "/redirect"),
            ("shop.example:443", "shop.example:443"),
        ] {
            assert_eq!(super::path(target), path);
        }
    }
}
