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
use crate::exchange::{Attribute, Extra, Kept, Operation, Outcome, Protocol, Side, path};

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

/// What a request asked for over and over.
#[derive(Clone, Debug, PartialEq)]
pub struct NPlusOne {
    /// How often: [`super::repeats::MANY`] or more.
    pub count: u32,
    /// The durations of these calls together, ns.
    pub total: u64,
    /// The operation's name.
    pub operation: String,
}

/// The tags of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Tags {
    /// In which protocol.
    pub protocol: Protocol,
    /// What was asked for ([`crate::exchange::RequestHead::method`]).
    pub method: Arc<str>,
    /// Of what ([`crate::exchange::RequestHead::target`]): target, statement, destination; secrets masked.
    pub url: Box<str>,
    /// The Host field; of databases the name.
    pub host: Option<Arc<str>>,
    /// Status code; absent when no response was seen, or where the protocol has none.
    pub status: Option<u16>,
    /// Code of an error, where the protocol has words for it.
    pub error_code: Option<Arc<str>>,
    /// Server or client.
    pub kind: Side,
    /// A message that nobody answers: producer or consumer.
    pub is_message: bool,
    /// The request failed: an error code, 5xx for a server, 4xx and 5xx for a client, or no response although the connection ended.
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
    /// The same operation was asked for over and over.
    pub n_plus_one: Option<Box<NPlusOne>>,
    /// What the request said beyond what every request is asked for.
    pub extra: Option<Box<Extra>>,
}

impl Tags {
    /// The headers that the user wants to see.
    pub fn kept(&self) -> &[Kept] {
        self.extra.as_deref().map_or(&[], |extra| &extra.kept)
    }

    /// What else the protocol says.
    pub fn attributes(&self) -> &[Attribute] {
        self.extra.as_deref().map_or(&[], |extra| &extra.attributes)
    }

    /// What the exchange is called where it was observed, if that was not here. Then `url` is the operation.
    pub fn id(&self) -> Option<&str> {
        self.extra.as_deref()?.id.as_deref()
    }
}

impl Span {
    /// What its operation is called.
    pub fn operation(&self) -> Operation<'_> {
        match self.tags.id() {
            // What was observed elsewhere has been named there.
            Some(_) => Operation { verb: "", object: Some(&self.tags.url) },
            None => {
                let Tags { protocol, method, url, .. } = &self.tags;
                Operation::new(*protocol, method, url, self.tags.attributes())
            }
        }
    }

    /// The path, which with the method names the operation of a request in HTTP.
    pub fn path(&self) -> &str {
        path(&self.tags.url)
    }
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
