//! What the protocol stage hands on: requests and responses, paired, as steps in time.
//!
//! An exchange is told in up to three steps instead of one finished value, because whoever infers causes must know
//! of a request while it is open, and because a capture that runs for minutes cannot keep every exchange to its end.

pub mod dns_code;
mod message;
mod operation;
mod protocol;
pub mod route;

use std::sync::Arc;

pub use message::{Handing, Handover, MAX_MESSAGES};
pub use operation::{Operation, path, segments};
pub use protocol::{Attribute, Family, Protocol, Value};
use tracer_common::abi::ConnId;

use crate::event::{Mover, Stamp};
use crate::time::Nanos;

/// Names an exchange within a capture: its connection end and its running number on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId {
    /// The connection end that saw it.
    pub conn: ConnId,
    /// First is 0.
    pub number: u32,
}

/// Which side of the call the observed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It received the request.
    Server,
    /// It sent the request.
    Client,
}

/// How a trace context was written. The order is the one in which they are believed where a request carries several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// `traceparent` (W3C Trace Context, section 3.2).
    W3c,
    /// `b3` or `X-B3-…` (Zipkin).
    B3,
    /// `uber-trace-id` (Jaeger).
    Jaeger,
    /// `x-datadog-…`.
    Datadog,
    /// `X-Amzn-Trace-Id` (AWS X-Ray).
    Aws,
    /// `sw8` (Apache SkyWalking). Its ids are texts: what stands here are hashes of them.
    SkyWalking,
}

/// A trace context that came with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// How it was written.
    pub format: Format,
    /// The trace; ids of 64 bits stand in the lower half.
    pub trace_id: u128,
    /// The caller's span; 0: not told.
    pub span_id: u64,
    /// The span that the caller's is part of; 0: not told.
    pub parent_id: u64,
}

impl TraceContext {
    /// A `traceparent`.
    pub fn w3c(trace_id: u128, span_id: u64) -> TraceContext {
        TraceContext { format: Format::W3c, trace_id, span_id, parent_id: 0 }
    }

    /// Whether both name the same trace: where one of them has an id of 64 bits, by that.
    pub fn is_same_trace(&self, other: &TraceContext) -> bool {
        let hashed = |context: &TraceContext| context.format == Format::SkyWalking;
        let is_short = |context: &TraceContext| context.trace_id >> 64 == 0;
        let lower_halves = self.trace_id as u64 == other.trace_id as u64;
        hashed(self) == hashed(other)
            && (self.trace_id == other.trace_id || (lower_halves && (is_short(self) || is_short(other))))
    }
}

/// The hash of a value that looks drawn at random, such as a request's id. The key of the hashes is not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// The same for the same value, within a capture.
    pub value: u64,
    /// Where it stood: CRC-32 of the header's name in lower case, 0 for the target.
    pub from: u32,
}

/// What a request's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// In which protocol.
    pub protocol: Protocol,
    /// What is asked for, in one word. HTTP: the method, as sent; SQL: the statement's first word (`SELECT`); Redis, memcached,
    /// MongoDB: the command; messaging: `publish`, `receive` and the like; DNS: the record type.
    pub method: Arc<str>,
    /// Of what. HTTP: the request target as sent (path and query, `*`, or absolute form), secrets masked; gRPC: `/service/method`;
    /// databases: the statement or command with every literal replaced by `?`; messaging: the destination; DNS: the name.
    pub target: Box<str>,
    /// HTTP, gRPC: the Host field (`:authority`); databases: the name (or number) of the database.
    pub host: Option<Arc<str>>,
    /// Minor version of HTTP/1.
    pub minor_version: u8,
    /// Nobody answers it on this connection: it is a message for whoever takes it. Its sender is its producer, and who
    /// receives it its consumer.
    pub is_message: bool,
    /// The head was longer than what was captured: fields may be missing.
    pub truncated: bool,
    /// What few requests have, or what was asked for. Boxed, because what all have must stay small.
    pub extra: Option<Box<Extra>>,
}

/// What a request says beyond what every request is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The headers that the user wants to see (`--keep-header`), in the order in which they came.
    pub kept: Vec<Kept>,
    /// The trace contexts, at most one of each format, in the order of [`Format`].
    pub contexts: Vec<TraceContext>,
    /// Values that look drawn at random, at most eight.
    pub tokens: Box<[Token]>,
    /// What the exchange is called where it was observed, if that was not here ([`crate::exchanges`]).
    pub id: Option<Box<str>>,
    /// What else its protocol says, under OpenTelemetry's names.
    pub attributes: Vec<Attribute>,
    /// The messages that it hands over, where they can be known again.
    pub handover: Option<Box<Handover>>,
}

/// A header that the user wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name, in lower case.
    pub name: Arc<str>,
    /// Its value, ASCII, secrets masked; of several fields of that name the list.
    pub value: Box<str>,
}

impl RequestHead {
    /// The headers that the user wants to see.
    pub fn kept(&self) -> &[Kept] {
        self.extra.as_deref().map_or(&[], |extra| &extra.kept)
    }

    /// What else its protocol says.
    pub fn attributes(&self) -> &[Attribute] {
        self.extra.as_deref().map_or(&[], |extra| &extra.attributes)
    }

    /// All trace contexts.
    pub fn contexts(&self) -> &[TraceContext] {
        self.extra.as_deref().map_or(&[], |extra| &extra.contexts)
    }

    /// The trace context that names the request: of those whose ids are numbers the one that is believed first.
    pub fn context(&self) -> Option<&TraceContext> {
        self.contexts().iter().find(|context| context.format != Format::SkyWalking)
    }

    /// The messages that it hands over.
    pub fn handover(&self) -> Option<&Handover> {
        self.extra.as_deref()?.handover.as_deref()
    }

    /// Whether a process takes a message from a broker with it, and no request of its peer's stands behind it.
    pub fn is_taken(&self) -> bool {
        self.handover().is_some_and(|handover| handover.handing == Handing::Taken)
    }

    /// Values that look drawn at random.
    pub fn tokens(&self) -> &[Token] {
        self.extra.as_deref().map_or(&[], |extra| &extra.tokens)
    }
}

/// What a response's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code, of those protocols that have numbers for it (HTTP, gRPC, DNS); else 0.
    pub status: u16,
    /// The code of an error, where the protocol has words for it (SQLSTATE, Redis' first word of an error); never its text, in
    /// which values may stand. `None`: no error, or `status` says it.
    pub error: Option<Arc<str>>,
    /// The head was longer than what was captured.
    pub truncated: bool,
}

/// What the end of a response says that its beginning did not: gRPC's trailers, an error after the first rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailer {
    /// The status code, which takes the place of the head's; `None`: nothing was said.
    pub status: Option<u16>,
    /// Code of an error, as [`ResponseHead::error`].
    pub error: Option<Arc<str>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The last byte of the response was seen, by its own framing.
    Complete,
    /// The response's framing was not visible (cut off); its end is the last byte before the next message, the close,
    /// or the end of the capture.
    EndUnframed,
    /// The connection closed in the middle of the response.
    Aborted,
    /// The connection closed without a response.
    Unanswered,
    /// No response, and the connection was still open when the capture ended.
    Pending,
    /// The response had begun, and was not over, when the capture ended.
    Streaming,
    /// The response's beginning was not captured (bytes lost or cut off), though bytes of it were seen.
    ResponseUnseen,
    /// The connection changed its protocol (status 101, or CONNECT).
    Upgraded,
}

/// One step of an exchange. Within one exchange the steps come in this order; `Response` may be missing. Across
/// exchanges they come in the order in which the capture delivered them, which is nearly the order of time.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// The request's head is complete (or as much of it as will ever be known).
    Request {
        /// Which exchange.
        id: ExchangeId,
        /// Which side the observed process is.
        side: Side,
        /// First byte of the request. For the server: read; for the client: sent.
        first: Nanos,
        /// Who moved the last part of the head, and when.
        stamp: Stamp,
        /// TCP sequence number of the request's first byte (stream offset for unix sockets).
        seq: u32,
        /// The head.
        head: RequestHead,
    },
    /// The final response (not a 1xx) began.
    Response {
        /// Which exchange.
        id: ExchangeId,
        /// First byte of the response, and who moved it.
        stamp: Stamp,
        /// TCP sequence number of the response's first byte.
        seq: u32,
        /// The head.
        head: ResponseHead,
    },
    /// Nothing more will be said of it.
    End {
        /// Which exchange.
        id: ExchangeId,
        /// Last byte of the request.
        request_end: Nanos,
        /// Who moved it.
        request_by: Mover,
        /// Last byte of the response; without a response the time until which none came.
        end: Nanos,
        /// Who moved the last byte of the response.
        by: Mover,
        /// Bytes of the request, head and body.
        request_bytes: u64,
        /// Bytes of the response, head and body, interim responses included.
        response_bytes: u64,
        /// How it ended.
        outcome: Outcome,
        /// What only the end of the response said.
        trailer: Trailer,
    },
}

impl Step {
    /// Which exchange the step belongs to.
    pub fn id(&self) -> ExchangeId {
        match self {
            Step::Request { id, .. } | Step::Response { id, .. } | Step::End { id, .. } => *id,
        }
    }
}
