//! What is known of one exchange until its span is given out.

use std::net::IpAddr;
use std::sync::Arc;

use super::id::{SpanId, TraceId};
use super::join::Place;
use crate::arena::Key;
use crate::causality::{CallState, EvidenceSet, Link, Owner, Reason};
use crate::event::Stamp;
use crate::exchange::{ExchangeId, Outcome, RequestHead, Side, Trailer};
use crate::time::Nanos;

/// Candidates that are named.
pub(super) const MAX_CANDIDATES: usize = 3;

/// The other end, as the tags of a span name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Peer {
    /// The record that told it was lost.
    #[default]
    Unknown,
    /// TCP: address and port. IPv4-mapped addresses are IPv4 here.
    Inet(IpAddr, u16),
    /// UDP: the same, as far as it is known.
    Datagram(Option<(IpAddr, u16)>),
    /// A unix socket.
    Unix,
}

impl Peer {
    /// A number that is the same for calls to the same server.
    pub(super) fn number(self) -> u64 {
        match self {
            Peer::Inet(ip, port) | Peer::Datagram(Some((ip, port))) => {
                let address = match ip {
                    std::net::IpAddr::V4(ip) => u64::from(ip.to_bits()),
                    std::net::IpAddr::V6(ip) => (ip.to_bits() ^ ip.to_bits() >> 64) as u64,
                };
                address.wrapping_mul(65_537) ^ u64::from(port)
            }
            Peer::Unix => 1,
            Peer::Unknown | Peer::Datagram(None) => 0,
        }
    }
}

/// The response, once it has begun.
#[derive(Clone, Debug)]
pub(super) struct Response {
    /// First byte.
    pub at: Nanos,
    /// Position of the first byte in the stream.
    pub seq: u32,
    /// Status code.
    pub status: u16,
    /// Code of an error.
    pub error: Option<Arc<str>>,
    /// The head was cut.
    pub truncated: bool,
}

/// The end, once it is known.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Last byte of the response.
    pub end: Nanos,
    /// Bytes of the request.
    pub request_bytes: u64,
    /// Bytes of the response.
    pub response_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What only the end said.
    pub trailer: Trailer,
}

/// What is not decided yet about a call's parent.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// The link stands when the process is believed.
    Held(Link),
    /// The link depends on when requests that are being answered end.
    Waiting {
        /// Qualifies in any case.
        certain: Option<Link>,
        /// Qualify if they lasted until the call began.
        answering: Vec<Link>,
    },
}

impl Question {
    /// Everybody who may become the parent.
    pub fn parents(&self) -> impl Iterator<Item = Key> {
        let (certain, answering) = match self {
            Question::Held(link) => (Some(link), [].as_slice()),
            Question::Waiting { certain, answering } => (certain.as_ref(), answering.as_slice()),
        };
        certain.into_iter().chain(answering).map(|link| link.parent)
    }
}

/// Where an exchange stands in the search for its partner.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JoinState {
    /// It is held for its partner.
    pub held: bool,
    /// Until when.
    pub until: Nanos,
    /// Positions on this connection cannot be compared with the other end's.
    pub shifted: bool,
    /// It came to the place of its sequence numbers.
    pub translated: bool,
    /// It came to the queue of its flow.
    pub queued: bool,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Record {
    /// Its name.
    pub id: ExchangeId,
    /// Which side.
    pub side: Side,
    /// First byte of the request.
    pub first: Nanos,
    /// Who moved the head.
    pub stamp: Stamp,
    /// Position of the request's first byte in the stream.
    pub seq: u32,
    /// The request.
    pub head: RequestHead,
    /// Name of the service.
    pub service: Arc<str>,
    /// The other end.
    pub peer: Peer,
    /// The connection that both ends share, see [`super::conn`].
    pub flow: Option<u32>,
    /// UDP: the server's port.
    pub port: Option<u16>,
    /// The response.
    pub response: Option<Response>,
    /// The end.
    pub end: Option<Ended>,
    /// The exchange at the other end of the connection.
    pub partner: Option<Key>,
    /// Where it stands in the search for the partner.
    pub join: JoinState,
    /// The request, while it is open (server).
    pub owner: Option<Owner>,
    /// The call (client).
    pub call: CallState,
    /// What the link to the parent rests on.
    pub evidence: EvidenceSet,
    /// How sure the link is.
    pub confidence: f32,
    /// Without a parent: who it could be and how sure that is, the surest first; at most [`MAX_CANDIDATES`].
    pub candidates: Box<[(SpanId, f32)]>,
    /// Why there is no parent.
    pub reason: Option<Reason>,
    /// What is not decided.
    pub question: Option<Box<Question>>,
    /// Who sent the message that was taken, if its span was given out before: the trace, and the span.
    pub sender: Option<(TraceId, SpanId)>,
    /// Calls whose question waits for the end of this request.
    pub waiters: Vec<Key>,
    /// Place in the tree; kept by [`super::forest`].
    pub node: super::forest::Node,
}

impl Record {
    /// Where it meets the exchange at the other end of the connection.
    pub fn place(&self) -> Option<Place> {
        match (self.flow, self.port) {
            (Some(flow), _) => Some(Place::Exact { flow, seq: self.seq }),
            (None, Some(port)) => Some(Place::Said { port, hash: self.seq }),
            (None, None) => None,
        }
    }
}
