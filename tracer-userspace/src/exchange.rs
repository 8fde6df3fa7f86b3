//! What the protocol stage hands on: requests and responses, paired, as steps in time.
//!
//! An exchange is told in up to three steps instead of one finished value, because whoever infers causes must know
//! of a request while it is open, and because a capture that runs for minutes cannot keep every exchange to its end.

use std::sync::Arc;

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

/// A W3C trace context (Trace Context, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// trace-id.
    pub trace_id: u128,
    /// parent-id: the caller's span.
    pub parent_id: u64,
}

/// What a request's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, as sent.
    pub method: Arc<str>,
    /// The request target as sent (path and query, `*`, or absolute form), secrets masked.
    pub target: Box<str>,
    /// The Host field.
    pub host: Option<Arc<str>>,
    /// Minor version of HTTP/1.
    pub minor_version: u8,
    /// The traceparent field, if it was valid.
    /// Boxed, because few requests have it and what all have must stay small.
    pub traceparent: Option<Box<TraceParent>>,
    /// The head was longer than what was captured: fields may be missing.
    pub truncated: bool,
    /// What few requests have, or what was asked for. Boxed for the same reason.
    pub extra: Option<Box<Extra>>,
}

/// What a request says beyond what every request is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// The headers that the user wants to see (`--keep-header`), in the order in which they came.
    pub kept: Vec<Kept>,
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
}

/// What a response's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// Status code.
    pub status: u16,
    /// The head was longer than what was captured.
    pub truncated: bool,
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
