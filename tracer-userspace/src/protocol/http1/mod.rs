//! HTTP/1.x (RFC 9112, semantics RFC 9110) on one connection end, from streams of which the bodies, and parts of the
//! heads, are only counted.
//!
//! # How messages are delimited
//!
//! Each direction (a `lane::Lane`) is followed byte by byte. **Framing decides; hints do not.** As long as the
//! position in a message is known, bytes are what the framing says, even if a call begins like a message. Only where
//! the framing is unknown (`body::Body::Blind`, `Skip`) does the beginning of a call count.
//! A body whose framing was not captured ends (a) by the last bytes of its last call (`0\r\n\r\n`), (b) where a call
//! in the same direction begins like a message, (c) for a response: where a new request begins while nothing else is
//! outstanding, or (d) with the connection. Only (a) makes it `Complete`.
//!
//! # How requests and responses are paired: right or absent
//!
//! The k-th response on a connection answers the k-th request (RFC 9112 section 9.3). That is exact as long as every
//! byte of both directions has been framed since a *certain point*. Certain points are
//!
//! 1. the first byte of a connection that was established while the tracer watched, and
//! 2. a request that begins with a call while no response bytes are owed.
//!
//! The second cannot be read from the stream alone: after a loss, or on a connection that was open before, an unknown
//! number of requests may be waiting. It is accepted when
//! * no request is known to be waiting, nor was any given up (below) whose response has not been seen since, and
//! * the bytes that moved last before it were the other direction's: had there been unseen requests, they have been
//!   answered with something, and
//! * the connection has not been seen to *stagger*: to begin a request in a new call while an earlier one waits (while on
//!   probation, see below: and after some of the bytes that answer the earlier ones; a batch may take several calls).
//!
//! A client that sends requests one by one, or in batches, waits for all answers before it goes on, so this is right
//! for it. A client that staggers is paired exactly while every byte is seen, and is given up after the first loss.
//! **The assumptions that remain**: a connection does not stagger for the first time within bytes that were lost or
//! cut off (or before the tracer came), and hide it behind a perfect alternation of calls ever after. And behind a
//! request whose end was cut off or lost no other follows before its answer; were it so, a response whose framing is out of
//! sight as well could be told with bytes, and the end, of the next ones. The pairing would still be right.
//!
//! After such a point pairing is on probation until one exchange has been framed without a break and nothing else
//! was waiting: if the connection staggers before that, what waits is ended as `ResponseUnseen` and the connection
//! is given up.
//!
//! When bytes of unknown content hide message boundaries:
//! * hidden bytes where a request should begin, or a request whose end was not captured: what was asked before still
//!   pairs in order; later requests are skipped until the next certain point;
//! * hidden bytes where a response should begin: if one request waits, they are (the beginning of) its response:
//!   `ResponseUnseen`; if several wait, it is not known how many were answered: all of them are `ResponseUnseen`, and
//!   as many responses must be seen before pairing begins again, which may be never;
//! * more bytes than a Content-Length had left: the message is over (`EndUnframed`: when, is not known), then as above;
//! * a response's body followed blindly while other requests wait: those are `ResponseUnseen`, and the response's own end
//!   is not known (`EndUnframed`): nothing that follows is counted as its own.
//!
//! # Unusual methods
//!
//! The probes know the methods in use (`tracer_common::classify`); any other token may be one (RFC 9110 section 9.1). The first calls of a
//! new connection are captured whatever they are, and `method` recognises a request line of which nothing but the method is unknown. From then on the
//! probes are asked for all calls of the connection. Where such a request comes on a connection that began with usual ones, all that is seen
//! of it is that bytes moved where a request should begin: it is not told, its response is counted as one without a request,
//! and the next one is captured.
//!
//! # Tunnels
//!
//! After status 101 (RFC 9110 section 15.2.2) and after a CONNECT that was answered with 2xx (section 9.3.6) the connection carries something
//! else, which is only counted: TLS mostly, or WebSocket. There is one exception: a tunnel in which the client's first call begins with a
//! request carries HTTP/1 from its first byte, which is as certain a point as a connection's first byte. It is read, as it is on the
//! proxy's own connection to the origin, so that a chain of calls does not end at a proxy. HTTP/2 follows an upgrade that named it (`h2c`).
//!
//! # Two views of one moment
//!
//! The probes record a call when it has ended. On a client with one thread that writes and another that reads, the
//! response's record can therefore come before the request's. While pairing is exact, a response that nobody waits
//! for is kept (`queue::Held`) and told after the request that follows; the request's times are then no later than
//! the response's. On a server the record of a response can likewise come after that of the next request: that is
//! told from staggering by nothing, does no harm, and is forgotten after `CALM` (16) orderly exchanges.

mod body;
mod call;
mod end;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod gap;
mod head;
mod lane;
pub(super) mod lines;
mod method;
mod queue;
mod request;
mod response;

#[cfg(test)]
mod tests;

use tracer_common::classify::Class;

use super::http2::Http2;
use super::recognise::Begin;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::time::Nanos;
use lane::{Lane, State};
use queue::Queue;

/// Orderly exchanges (asked and answered, nothing else waiting) after which staggering is forgotten.
pub(crate) const CALM: u8 = 16;

/// Responses that are kept until their requests' records come.
const MAX_AHEAD: usize = 4;

/// What a direction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Requests,
    Responses,
    /// The first bytes do not tell yet.
    Undecided,
    /// Neither.
    Neither,
}

/// HTTP/1.x on one connection end.
pub struct Http1 {
    rx: Lane,
    tx: Lane,
    /// In which direction the requests go.
    requests: Option<Direction>,
    queue: Queue,
    /// Every byte has been framed since a certain point.
    exact: bool,
    /// Orderly exchanges until staggering is forgotten; 0: none was seen.
    staggered: u8,
    /// A response was skipped since pairing was last exact: it may have been the next request's.
    strayed: bool,
    /// Requests may be hidden among those that wait: none can be added to them.
    holed: bool,
    /// Requests that were seen and given up, whose responses have not been seen since.
    missing: u32,
    /// In which direction bytes moved last.
    moved: Option<Direction>,
    understood: bool,
    /// A CONNECT was answered, and nothing has moved in the tunnel yet: what it carries may be HTTP/1 again.
    fresh: bool,
    /// Requests came, or seem to have come, whose methods the probes do not know: they are to be told to capture every call.
    unusual: bool,
    /// The connection was upgraded to HTTP/2, and this follows it now.
    next: Option<Box<Http2>>,
}

impl Http1 {
    /// A connection on which a call just began like a message. `whole`: nothing moved on it before; `moved`: in which
    /// direction bytes moved last.
    pub fn new(whole: bool, moved: Option<Direction>) -> Http1 {
        let state = if whole { State::Start } else { State::Skip(Skip::Joined) };
        Http1 {
            rx: Lane::new(state),
            tx: Lane::new(state),
            requests: None,
            queue: Queue::default(),
            exact: whole,
            staggered: 0,
            strayed: false,
            holed: false,
            missing: 0,
            moved,
            understood: false,
            fresh: false,
            unusual: false,
            next: None,
        }
    }

    fn lane(&mut self, dir: Direction) -> &mut Lane {
        match dir {
            Direction::Rx => &mut self.rx,
            Direction::Tx => &mut self.tx,
        }
    }

    /// The direction of the responses, once that is known.
    fn responses(&self) -> Option<Direction> {
        self.requests.map(Direction::opposite)
    }

    /// What a direction carries, given the first bytes of a message on it. `strict`: only bytes that are certain to be
    /// a message's beginning pass.
    fn kind(&self, dir: Direction, bytes: &[u8], strict: bool) -> Kind {
        let known =
            self.requests.map(|requests| if requests == dir { Kind::Requests } else { Kind::Responses });
        if let Some(known) = known
            && !strict
        {
            return known;
        }
        let after = if dir == Direction::Rx { self.rx.mark.after } else { self.tx.mark.after };
        match (method::class(bytes, dir, after), known) {
            (Class::Http1Request, None | Some(Kind::Requests)) => Kind::Requests,
            (Class::Http1Response, None | Some(Kind::Responses)) => Kind::Responses,
            (Class::Prefix, _) => Kind::Undecided,
            _ => Kind::Neither,
        }
    }

    /// The protocol is certain: what was skipped before, because the beginning of this was missed, is accounted for.
    fn understand(&mut self, cx: &mut Context<'_>) {
        cx.understand(&mut self.understood);
    }

    fn skip(&self, cx: &mut Context<'_>, why: Skip, bytes: usize) {
        cx.skip(self.understood, why, bytes as u64);
    }
}

/// A parser for a connection on which a call begins like a message.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    // Of a connection that was open before, bytes of the same message may have been read already.
    let moved = if begin.whole { None } else { begin.moved.or(Some(begin.dir)) };
    match method::class(begin.data, begin.dir, moved) {
        Class::Http1Request | Class::Http1Response | Class::Prefix => {
            Some(Box::new(Http1::new(begin.whole, begin.moved)))
        }
        Class::Unknown | Class::Http2 | Class::Tls => None,
    }
}

impl Parser for Http1 {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        match (&mut self.next, piece) {
            (Some(next), piece) => next.feed(cx, dir, piece),
            (None, Piece::Bytes(bytes)) => self.bytes(cx, dir, &bytes),
            (None, Piece::Gap(gap)) => self.gap(cx, dir, gap),
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        match &mut self.next {
            Some(next) => next.lose(cx, at),
            None => self.lose_all(cx, at),
        }
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        match &mut self.next {
            Some(next) => next.end(cx, at, closed),
            None => self.end_all(cx, at, closed),
        }
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.next.as_ref().map_or_else(|| self.rx.pending() + self.tx.pending(), |next| next.pending())
    }

    fn interest(&self) -> Interest {
        match &self.next {
            Some(next) => next.interest(),
            // Nothing of an opaque tunnel is looked at any more.
            None if self.rx.state == State::Tunnel && !self.fresh => Interest::Nothing,
            None if self.unusual => Interest::Calls,
            None => Interest::Heads,
        }
    }

    fn is_busy(&self) -> bool {
        self.next.as_ref().map_or(!self.queue.is_empty(), |next| next.is_busy())
    }
}
