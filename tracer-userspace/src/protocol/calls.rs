//! What every protocol but HTTP/1 says of an exchange in the same way: its steps, and the account of them.
//!
//! A parser keeps its open calls in whatever order its protocol answers them (a queue, or a map by stream or request
//! number). [`Calls`] gives the numbers, [`Call`] knows how far one is and tells each step once.

use super::Context;
use super::moved::{Half, Move};
use crate::event::{Direction, Stamp};
use crate::exchange::{ExchangeId, Outcome, RequestHead, ResponseHead, Side, Step, Trailer};
use crate::time::Nanos;

/// Gives the exchanges of a connection their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    next: u32,
}

/// A call that is open.
#[derive(Clone, Debug)]
pub struct Call {
    number: u32,
    request: Half,
    response: Half,
    answered: bool,
}

/// Where and when a request began.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    /// TCP sequence number of its first byte ([`super::Bytes::seq`] plus how far into the piece it stands).
    pub seq: u32,
    /// When its first byte moved.
    pub at: Nanos,
}

impl Calls {
    /// Goes on after the exchanges of another protocol that the connection spoke before.
    pub(super) fn from(next: u32) -> Calls {
        Calls { next }
    }

    /// Tells a request whose head is complete: `dir` is the direction that it moved in, `stamp` who moved the last part
    /// of what is known of it, `bytes` how many it has had so far.
    pub fn ask(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        begun: Begun,
        stamp: Stamp,
        bytes: u64,
        head: RequestHead,
    ) -> Call {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let mut request = Half::default();
        request.add(bytes, stamp.into());
        cx.tally.requests = cx.tally.requests.saturating_add(1);
        cx.tally.truncated = cx.tally.truncated.saturating_add(u64::from(head.truncated));
        let side = if dir == Direction::Rx { Side::Server } else { Side::Client };
        let id = ExchangeId { conn: cx.conn, number };
        let first = begun.at.min(stamp.at);
        cx.out.push(Step::Request { id, side, first, stamp, seq: begun.seq, head });
        Call { number, request, response: Half::default(), answered: false }
    }
}

impl Call {
    /// A request that was told elsewhere: in another protocol, or by a parser that keeps its own account of both halves.
    pub(super) fn adopted(number: u32, request: Half, response: Half) -> Call {
        Call { number, request, response, answered: false }
    }

    /// More bytes of the request moved.
    pub fn asked(&mut self, bytes: u64, moved: Move) {
        self.request.add(bytes, moved);
    }

    /// Bytes of the response moved.
    pub fn moved(&mut self, bytes: u64, moved: Move) {
        self.response.add(bytes, moved);
    }

    /// Whether the response has begun.
    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// When the last byte of the request moved.
    pub fn request_end(&self) -> Nanos {
        self.request.last
    }

    /// When the last byte of the response moved that is known of; 0: none.
    pub fn response_end(&self) -> Nanos {
        self.response.last
    }

    /// The response begins: told once, later ones are ignored.
    pub fn answer(&mut self, cx: &mut Context<'_>, stamp: Stamp, seq: u32, head: ResponseHead) {
        if self.answered {
            return;
        }
        self.answered = true;
        cx.tally.responses = cx.tally.responses.saturating_add(1);
        let id = ExchangeId { conn: cx.conn, number: self.number };
        cx.out.push(Step::Response { id, stamp, seq, head });
    }

    /// Nothing more will be said of it. `at`: the last byte of its response; without a response the time until which none came.
    pub fn end(self, cx: &mut Context<'_>, outcome: Outcome, at: Nanos, trailer: Trailer) {
        cx.tally.end(outcome);
        cx.out.push(Step::End {
            id: ExchangeId { conn: cx.conn, number: self.number },
            request_end: self.request.last,
            request_by: self.request.by,
            end: at,
            by: self.response.by,
            request_bytes: self.request.bytes,
            response_bytes: self.response.bytes,
            outcome,
            trailer,
        });
    }

    /// The connection (`closed`) or the capture is over while it is open.
    pub fn cut(self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let outcome = match (self.answered, closed) {
            (true, true) => Outcome::Aborted,
            (true, false) => Outcome::Streaming,
            (false, true) => Outcome::Unanswered,
            (false, false) => Outcome::Pending,
        };
        self.end(cx, outcome, at, Trailer::default());
    }

    /// Bytes were lost, and its response, or the rest of it, may have been among them.
    pub fn lose(self, cx: &mut Context<'_>, at: Nanos) {
        let outcome = if self.answered { Outcome::EndUnframed } else { Outcome::ResponseUnseen };
        self.end(cx, outcome, at, Trailer::default());
    }
}
