//! Bytes that were only counted: what they do to framing and pairing. The rules are in the module above.

use super::body::{self, Body, Taken};
use super::lane::State;
use super::queue::{Answering, Asking};
use super::{Http1, Kind};
use crate::event::Direction;
use crate::exchange::Outcome;
use crate::protocol::moved::Move;
use crate::protocol::tally::Skip;
use crate::protocol::{Context, Gap};
use crate::time::Nanos;

impl Http1 {
    /// Takes bytes that were not captured.
    pub(super) fn gap(&mut self, cx: &mut Context<'_>, dir: Direction, gap: Gap) {
        if self.lane(dir).state == State::Head && gap.len > 0 {
            self.exhausted(cx, dir);
        }
        if gap.len > 0 && !is_blank(&gap) {
            self.may_be_answered(cx, dir);
        }
        self.may_be_unusual(dir, &gap);
        match self.lane(dir).state {
            State::Tunnel => {
                self.fresh &= gap.len == 0;
                cx.tally.skip(Skip::Upgraded, gap.len);
            }
            State::Skip(why) => cx.skip(self.understood, why, gap.len),
            State::Start if is_blank(&gap) => self.count_blank(cx, gap.len),
            State::Start if gap.len > 0 => self.hidden(cx, dir, gap.len, Move::from(&gap), Skip::Desync),
            State::Start | State::Head => {}
            State::Body(body) => self.body_gap(cx, dir, gap, body),
        }
        if gap.len > 0 {
            self.moved = Some(dir);
        }
    }

    /// A call where a request should begin was not captured though its buffer could be read (its tail was): what it began with is
    /// nothing that the probes know. Of calls that were captured whole and lost, no tail is told.
    fn may_be_unusual(&mut self, dir: Direction, gap: &Gap) {
        let expected = matches!(self.lane(dir).state, State::Start | State::Skip(_));
        let turned = self.moved != Some(dir) && self.requests == Some(dir);
        self.unusual |= expected && turned && gap.len > 0 && gap.tail.is_some() && !is_blank(gap);
    }

    fn body_gap(&mut self, cx: &mut Context<'_>, dir: Direction, gap: Gap, was: Body) {
        let mut body = was;
        let taken = body.gap(gap.len, gap.tail);
        if body.is_blind() && (gap.len > 0 || taken != Taken::All) && self.others_may_follow(dir) {
            self.let_go(cx, dir, gap.len, gap.last);
            return;
        }
        let (used, at) = match taken {
            // When the last of them moved is not known: earlier than the gap's end.
            Taken::Passed(left) => (left, Move::default()),
            Taken::All | Taken::Ended(_) => (gap.len, Move::from(&gap)),
        };
        self.body_moved(cx, dir, used, at);
        self.lane(dir).state = State::Body(body);
        if body.is_blind() && (gap.len > 0 || !was.is_blind()) {
            self.blinded(cx, dir, gap.last);
        }
        match taken {
            Taken::All => {}
            Taken::Ended(_) => self.body_ended(cx, dir, Outcome::Complete),
            Taken::Passed(left) => {
                self.exact = false;
                self.body_ended(cx, dir, Outcome::EndUnframed);
                if self.lane(dir).state == State::Start {
                    self.hidden(cx, dir, gap.len.saturating_sub(left), Move::from(&gap), Skip::Desync);
                } else {
                    self.skip(
                        cx,
                        Skip::Desync,
                        usize::try_from(gap.len.saturating_sub(left)).unwrap_or(usize::MAX),
                    );
                }
            }
        }
    }

    /// Bytes of a body moved: they belong to the direction's current exchange, if that is not over yet.
    pub(super) fn body_moved(&mut self, cx: &mut Context<'_>, dir: Direction, bytes: u64, moved: Move) {
        cx.tally.body(bytes);
        let is_request = self.requests == Some(dir);
        let owner = self.lane(dir).owner;
        if let Some(exchange) = self.queue.get(owner) {
            let half = if is_request { &mut exchange.request } else { &mut exchange.response };
            half.add(bytes, moved);
        }
    }

    /// A body's last byte has moved.
    pub(super) fn body_ended(&mut self, cx: &mut Context<'_>, dir: Direction, outcome: Outcome) {
        self.lane(dir).state = State::Start;
        let owner = self.lane(dir).owner;
        if self.requests == Some(dir) {
            if let Some(exchange) = self.queue.get(owner) {
                exchange.asking = Asking::Done;
                exchange.framed &= outcome == Outcome::Complete;
            }
            self.end_if_over(cx, owner);
        } else {
            self.answered(cx, owner, outcome);
        }
    }

    /// A body is followed blindly from here on: messages may hide in it.
    pub(super) fn blinded(&mut self, cx: &mut Context<'_>, dir: Direction, at: Nanos) {
        let owner = self.lane(dir).owner;
        let is_request = self.requests == Some(dir);
        if let Some(exchange) = self.queue.get(owner) {
            exchange.framed = false;
            if is_request {
                exchange.asking = Asking::Blind;
            }
        }
        if is_request {
            self.exact = false;
            self.holed = true;
            self.end_if_over(cx, owner);
        } else if self.queue.len() > 1 {
            self.exact = false;
            self.drop_where(cx, at, |exchange| exchange.number != owner);
        }
        // A response that is the only one due may be followed blindly without harm to the pairing.
    }

    /// Bytes of unknown content move where a response may begin, while the head of a request is not complete in the other
    /// direction. They may be its response, so it is told now, as far as it is known: told later it would wait for the next one.
    pub(super) fn may_be_answered(&mut self, cx: &mut Context<'_>, dir: Direction) {
        let asks = dir.opposite();
        let begins = matches!(self.lane(dir).state, State::Start | State::Skip(_));
        if !begins || self.requests == Some(dir) || self.lane(asks).state != State::Head {
            return;
        }
        let buffer = std::mem::take(&mut self.lane(asks).buffer);
        let kind = self.kind(asks, &buffer, false);
        self.lane(asks).buffer = buffer;
        if kind != Kind::Responses {
            self.exhausted(cx, asks);
        }
    }

    /// Whether other responses are due behind the one whose body is on its way.
    pub(super) fn others_may_follow(&self, dir: Direction) -> bool {
        self.responses() == Some(dir)
            && (self.missing > 0 || self.queue.iter().filter(|exchange| exchange.is_owed()).count() > 1)
    }

    /// Where a response ends is out of sight, and others follow it: none of these bytes is known to be its own.
    pub(super) fn let_go(&mut self, cx: &mut Context<'_>, dir: Direction, bytes: u64, at: Nanos) {
        let owner = self.lane(dir).owner;
        self.exact = false;
        self.drop_where(cx, at, |exchange| exchange.number != owner);
        self.lane(dir).state = State::Skip(Skip::Desync);
        self.answered(cx, owner, Outcome::EndUnframed);
        cx.skip(self.understood, Skip::Desync, bytes);
    }

    /// Bytes stand where a message should begin, and its beginning is not known.
    pub(super) fn hidden(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        bytes: u64,
        moved: Move,
        why: Skip,
    ) {
        self.exact = false;
        self.lane(dir).tentative = None;
        if self.understood {
            cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        }
        if self.responses() == Some(dir) {
            if let Some(exchange) = self.queue.only().filter(|exchange| exchange.is_awaiting()) {
                exchange.answering = Answering::Begun;
                exchange.framed = false;
                if exchange.asking == Asking::Open {
                    // Whether the rest of the request still comes does not matter any more.
                    exchange.asking = Asking::Blind;
                }
                let number = exchange.number;
                let lane = self.lane(dir);
                lane.owner = number;
                lane.state = State::Body(Body::Unseen);
                self.body_moved(cx, dir, bytes, moved);
                return;
            }
            self.lose(cx, moved.at);
        } else if self.requests == Some(dir) {
            // A request begins, whatever it is: a response that was followed blindly is over.
            self.settle(cx);
            self.holed = true;
        }
        self.lane(dir).state = State::Skip(why);
        cx.skip(self.understood, why, bytes);
    }
}

/// Whether a gap is no more than the empty line that some clients send after a body (RFC 9112 section 2.2).
fn is_blank(gap: &Gap) -> bool {
    let Some(tail) = gap.tail else { return false };
    let tail = body::unpadded(&tail);
    match gap.len {
        1 => tail.ends_with(b"\n") || tail.ends_with(b"\r"),
        2 => tail.ends_with(b"\r\n") || tail == b"\n",
        _ => false,
    }
}
