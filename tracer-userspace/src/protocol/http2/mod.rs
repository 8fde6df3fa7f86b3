//! HTTP/2 (RFC 9113) and gRPC over it, on one connection end.
//!
//! # How exchanges are found: right or absent
//!
//! A stream's number is never used twice on a connection, so a response answers the request of its number, whatever was lost
//! between them. What a loss can hide is (a) where frames begin: a direction is then skipped until a call begins with
//! frames again ([`wire::is_chain`]); (b) header fields, because the tables that they are compressed with are no longer known
//! ([`hpack`]): they are left out, never guessed; (c) the end of a response: see *doubt* below.
//!
//! A connection is joined in the middle in the same way: frames are recognised at the beginning of a call, tables are
//! unknown. A request of which some field is not known is told with what is known of it, and says that it is cut
//! ([`crate::exchange::RequestHead::truncated`]); whether it is a gRPC call may be among the unknown, and it is then told as HTTP/2.
//!
//! # When an exchange is over
//!
//! With its response (END_STREAM, after trailers if there are any), or with RST_STREAM or a GOAWAY that says that it will not be
//! processed. What the client goes on to send after that is not counted as the request's.
//!
//! # Doubt
//!
//! Bytes of responses that were not captured, and that go beyond the end of a frame, may have held the end of any response. A stream of
//! which nothing more is seen for a while after such a hole is ended as far as it is known: after [`DOUBT`] if its response
//! had begun (`EndUnframed`), after [`LONG_DOUBT`] if not (`ResponseUnseen`), for a slow answer is more likely than one that
//! was hidden from its first byte to its last.
//!
//! # Two views of one moment
//!
//! The probes record a call when it has ended. Where one thread of a client writes and another reads, the record of a response can
//! come before that of its request. It is kept, and told after it, if the request is certain to come: the number is
//! higher than those of all requests, in a direction that is followed without a break.

mod connection;
mod end;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod head;
mod hpack;
mod lane;
mod message;
#[cfg(any(test, feature = "test-support"))]
mod peer;
#[cfg(any(test, feature = "test-support"))]
mod script;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "test-support"))]
mod watch;
mod wire;

use super::calls::{Call, Calls};
use super::recognise::Begin;
use super::{Context, Interest, Parser, Piece};
use crate::event::{Direction, Role};
use crate::time::Nanos;
use hpack::Fields;
use lane::Lane;
use stream::{Stream, Streams};
use wire::{PREFACE, Stage};

/// How long a response that had begun is waited for after bytes that may have ended it.
const DOUBT: u64 = 1_000_000_000;
/// The same for one that had not begun.
const LONG_DOUBT: u64 = 30_000_000_000;
/// Responses that are kept until their requests' records come.
const MAX_EARLY: usize = 64;

/// HTTP/2 on one connection end.
pub struct Http2 {
    rx: Lane,
    tx: Lane,
    /// In which direction the requests go, once that is known.
    requests: Option<Direction>,
    streams: Streams,
    calls: Calls,
    /// The highest number of a request that was seen.
    newest: u32,
    understood: bool,
    /// Bytes of the preface, until what follows it is known to be HTTP/2.
    held: u64,
    /// When doubts are looked at next.
    check: Nanos,
    /// The fields of the block that is being read; its memory is used again.
    fields: Fields,
}

impl Http2 {
    /// A connection on which `dir` begins with frames (`Stage::Open`), or with what comes first; `other` is how far the other
    /// direction is, if anything is known of it.
    fn new(dir: Direction, stage: Stage, other: Option<Stage>, requests: Option<Direction>) -> Http2 {
        let (this, that) = (Lane::new(Some(stage)), Lane::new(other));
        let (rx, tx) = if dir == Direction::Rx { (this, that) } else { (that, this) };
        Http2 {
            rx,
            tx,
            requests,
            streams: Streams::default(),
            calls: Calls::default(),
            newest: 0,
            understood: stage == Stage::Open,
            held: 0,
            check: Nanos(0),
            fields: Fields::default(),
        }
    }

    /// A connection that HTTP/1 was spoken on, and that was upgraded (RFC 7540 section 3.2): the request in direction `dir` that asked
    /// for it is stream 1, and further exchanges are numbered from `next`.
    pub(super) fn upgraded(dir: Direction, call: Call, next: u32) -> Http2 {
        let mut http2 = Http2::new(dir, Stage::Start, Some(Stage::Start), Some(dir));
        http2.understood = true;
        http2.calls = Calls::from(next);
        http2.newest = 1;
        http2.streams.insert(1, Stream::open(call, false));
        http2
    }

    fn lane(&mut self, dir: Direction) -> &mut Lane {
        match dir {
            Direction::Rx => &mut self.rx,
            Direction::Tx => &mut self.tx,
        }
    }
}

/// A parser for a connection on which a call begins with the preface, with a server's SETTINGS as the first of all, or, joined in the middle,
/// with frames.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    let (data, dir) = (begin.data, begin.dir);
    let fresh = begin.whole.then_some(Stage::Start);
    let by_role = match begin.role {
        Role::Active => Some(Direction::Tx),
        Role::Passive => Some(Direction::Rx),
        Role::Unseen => None,
    };
    let is_part = data.len() as u64 == begin.call_len && data.len() >= 4 && PREFACE.starts_with(data);
    if data.starts_with(PREFACE) || is_part {
        return Some(Box::new(Http2::new(dir, Stage::Start, fresh, Some(dir))));
    }
    if !wire::is_chain(data, begin.call_len) {
        return None;
    }
    if begin.whole {
        // Only a server's SETTINGS can come before the preface.
        let is_settings = data.get(3) == Some(&wire::kind::SETTINGS) && data.get(4) == Some(&0);
        let http2 = || Http2::new(dir, Stage::Start, fresh, Some(dir.opposite()));
        return is_settings.then(|| Box::new(http2()) as Box<dyn Parser>);
    }
    Some(Box::new(Http2::new(dir, Stage::Open, None, by_role)))
}

impl Parser for Http2 {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        self.piece(cx, dir, piece);
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.lose_all(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        self.end_all(cx, at, closed);
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.held + self.rx.pending() + self.tx.pending()
    }

    fn interest(&self) -> Interest {
        Interest::Everything
    }

    fn is_busy(&self) -> bool {
        !self.streams.is_empty()
    }
}
