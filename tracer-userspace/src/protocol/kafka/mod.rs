//! Kafka's protocol on one connection end (Kafka's protocol guide): requests and answers say their lengths, and answers, which come in
//! the order of the requests, the number of what they answer.
//!
//! # What is told
//!
//! * A Produce is a message to a topic, at both ends, until it is answered; one that nobody answers (`acks=0`) until its last byte.
//! * A Fetch is a call that waits until there is something to bring. What it brought is told at the consumer's end as messages that
//!   were taken, at the moment when all of it was there: when the work on them is done nobody says, and the next Fetch is sent before it
//!   begins. The broker's end tells nothing of that.
//! * Every other request is a call, by its name.
//!
//! # Right or absent
//!
//! An answer belongs to the request with its number, and to no other. Where one before it was not answered its answer was lost.
//! Where answers hide (a gap) the next one is found at the beginning of a call that carries the number of a request which waits.

mod api;
mod codes;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod read;
mod records;
mod request;
mod response;
mod topics;

#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::calls::{Begun, Call, Calls};
use super::frames::{Cut, Frame, Frames};
use super::moved::Move;
use super::recognise::Begin;
use super::tally::Skip;
use super::{Bytes, Context, Interest, Parser, Piece};
use crate::event::{Direction, Role, Stamp};
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::time::Nanos;
use request::{Begins, Head, LENGTH};
use topics::{Known, Topics};

/// Bytes of a message that are kept while it is not over: as much as is captured of a call.
const MAX_KEPT: usize = 8 * 1024 + 64;

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    asked: Head,
    call: Call,
}

/// Kafka on one connection end.
#[derive(Debug)]
pub struct Kafka {
    /// The direction of the requests.
    client: Direction,
    requests: Frames,
    answers: Frames,
    calls: Calls,
    open: VecDeque<Open>,
    known: Known,
    understood: bool,
    /// What is recognised is a request whose length was read before: it cannot be told any more.
    is_certain: bool,
    /// The position of the requests was found at a call that shows little more than a length.
    is_unproven: bool,
    /// The position of the answers was found again by nothing but a length.
    is_tentative: bool,
    /// A message is none.
    broke: bool,
}

/// A parser for a connection on which a call begins with a request.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    // Some answers look like requests.
    if matches!((begin.role, begin.dir), (Role::Active, Direction::Rx) | (Role::Passive, Direction::Tx)) {
        return None;
    }
    let begins = request::begins(begin.data, begin.call_len)?;
    Some(Box::new(Kafka {
        client: begin.dir,
        requests: Frames::new(MAX_KEPT, begins == Begins::Request),
        answers: Frames::new(MAX_KEPT, begin.whole),
        calls: Calls::default(),
        open: VecDeque::new(),
        known: Known::default(),
        understood: false,
        is_certain: begins == Begins::Rest,
        is_unproven: true,
        is_tentative: false,
        broke: false,
    }))
}

impl Kafka {
    /// A call begins where the position is lost: perhaps it is found again.
    fn find(&mut self, cx: &mut Context<'_>, dir: Direction, bytes: &Bytes<'_>) {
        // Brokers, and many clients, read a length in a call of its own.
        let is_length = bytes.call_len == LENGTH as u64 && bytes.data.len() == LENGTH;
        let found = if dir == self.client {
            self.requests.is_lost()
                && (is_length || request::begins(bytes.data, bytes.call_len) == Some(Begins::Request))
                && {
                    self.requests.resume();
                    self.is_unproven = true;
                    true
                }
        } else {
            let answers_one = || {
                let number = response::number(bytes.data)?;
                self.open.iter().any(|open| open.asked.number == number).then_some(())
            };
            self.answers.is_lost() && (is_length || answers_one().is_some()) && {
                self.is_tentative = true;
                self.answers.resume();
                true
            }
        };
        cx.tally.resyncs = cx.tally.resyncs.saturating_add(u64::from(found && self.understood));
    }

    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) if dir == self.client => {
                if !self.asks(cx, dir, &frame) {
                    self.broke = true;
                    cx.tally.malformed = cx.tally.malformed.saturating_add(u64::from(self.understood));
                    cx.skip(self.understood, Skip::Malformed, frame.len);
                }
            }
            Cut::Frame(frame) => self.answered(cx, &frame),
            Cut::Broken(bytes, _) => {
                cx.tally.malformed = cx.tally.malformed.saturating_add(u64::from(self.understood));
                cx.skip(self.understood, Skip::Malformed, bytes);
            }
            Cut::Lost(bytes, gap) => {
                cx.skip(self.understood, Skip::Desync, bytes);
                let times = u64::from(self.understood && gap.len > 0);
                cx.tally.desyncs = cx.tally.desyncs.saturating_add(times);
            }
            Cut::Passed(bytes, _) => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    /// A request; false: it is none.
    fn asks(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) -> bool {
        if self.is_unproven && request::begins(frame.bytes, frame.len) != Some(Begins::Request) {
            // Twelve bytes may be anybody's, and what is cut off behind them says no more.
            return false;
        }
        self.is_unproven = false;
        let Some(request) = request::read(cx, frame.bytes, frame.is_cut(), &self.known) else { return false };
        cx.understand(&mut self.understood);
        // A number that is used again: whose answer comes would not be known.
        if let Some(same) = self.open.iter().position(|open| open.asked.number == request.head.number) {
            self.lose_first(cx, same + 1, frame.first.at);
        }
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.lose_first(cx, 1, frame.first.at);
        }
        cx.tally.head(frame.len);
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let mut call = self.calls.ask(cx, dir, begun, frame.stamp, frame.len, request.told);
        call.asked(0, frame.last);
        if request.is_unanswered {
            let at = call.request_end();
            call.end(cx, Outcome::Complete, at, Trailer::default());
        } else {
            self.open.push_back(Open { asked: request.head, call });
        }
        true
    }

    /// The answers of the oldest requests were not seen.
    fn lose_first(&mut self, cx: &mut Context<'_>, count: usize, at: Nanos) {
        for open in self.open.drain(..count.min(self.open.len())) {
            let at = at.max(open.call.request_end());
            open.call.lose(cx, at);
        }
    }

    fn answered(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        let number = response::number(frame.bytes);
        let found = self.open.iter().position(|open| Some(open.asked.number) == number);
        let Some(place) = found else {
            if std::mem::take(&mut self.is_tentative) {
                // It was no answer.
                self.broke = true;
                cx.skip(self.understood, Skip::Desync, frame.len);
            } else {
                cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
                cx.skip(self.understood, Skip::Unrequested, frame.len);
            }
            return;
        };
        self.is_tentative = false;
        self.lose_first(cx, place, frame.first.at);
        let Some(mut open) = self.open.pop_front() else { return };
        let answer = response::read(cx, &open.asked, frame.bytes, frame.is_cut(), &mut self.known);
        cx.tally.body(frame.len);
        let head = ResponseHead { status: 0, error: answer.error, truncated: answer.truncated };
        open.call.answer(cx, frame.first, frame.seq, head);
        open.call.moved(frame.len, frame.last);
        let at = frame.last.at.max(open.call.request_end());
        open.call.end(cx, Outcome::Complete, at, Trailer::default());
        if let Some(topics) = answer.taken
            && self.client == Direction::Tx
        {
            self.takes(cx, frame, &topics);
        }
    }

    /// Messages are there.
    fn takes(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, topics: &Topics) {
        let head = request::taken(cx, topics);
        let begun = Begun { seq: frame.seq, at: frame.last.at };
        let stamp = Stamp { at: frame.last.at.max(frame.stamp.at), ..frame.stamp };
        let call = self.calls.ask(cx, Direction::Rx, begun, stamp, 0, head);
        let at = call.request_end();
        call.end(cx, Outcome::Complete, at, Trailer::default());
    }

    /// An answer that has begun and is not over when the connection, or the capture, is.
    fn begun(&mut self, cx: &mut Context<'_>) {
        let number = response::number(self.answers.unfinished());
        let found = self.open.iter().position(|open| Some(open.asked.number) == number);
        let (bytes, (first, seq, last)) = (self.answers.pending(), self.answers.begun());
        let Some(place) = found else { return };
        self.lose_first(cx, place, first.at);
        let Some(open) = self.open.front_mut() else { return };
        open.call.answer(cx, first, seq, ResponseHead { truncated: true, ..ResponseHead::default() });
        open.call.moved(bytes, Move::from(last));
        cx.tally.body(bytes);
        self.answers.lose();
    }

    fn lose_lanes(&mut self, cx: &mut Context<'_>, why: Skip) {
        let pending = self.requests.lose().saturating_add(self.answers.lose());
        cx.skip(self.understood, why, pending);
    }
}

impl Parser for Kafka {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        if std::mem::take(&mut self.is_certain) {
            cx.understand(&mut self.understood);
        }
        if let Piece::Bytes(bytes) = &piece {
            self.find(cx, dir, bytes);
        }
        let is_request = dir == self.client;
        let lane = if is_request { &mut self.requests } else { &mut self.answers };
        let mut lane = std::mem::replace(lane, Frames::new(0, false));
        let mut is_broken = false;
        let mut take = |cut: Cut<'_>| match &cut {
            // What follows a message that is none.
            Cut::Frame(frame) if is_broken => cx.skip(self.understood, Skip::Desync, frame.len),
            _ => {
                self.cut(cx, dir, cut);
                is_broken |= std::mem::take(&mut self.broke);
            }
        };
        if is_request {
            lane.feed(&request::Shape, piece, &mut take);
        } else {
            lane.feed(&response::Shape, piece, &mut take);
        }
        if is_broken {
            let pending = lane.lose();
            cx.skip(self.understood, Skip::Desync, pending);
        }
        if is_request {
            self.requests = lane;
        } else {
            self.answers = lane;
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.lose_lanes(cx, Skip::Desync);
        self.lose_first(cx, self.open.len(), at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let is_lost = self.answers.is_lost();
        self.begun(cx);
        while let Some(open) = self.open.pop_front() {
            let at = if open.call.is_answered() { open.call.response_end() } else { at };
            let at = at.max(open.call.request_end());
            match is_lost && !open.call.is_answered() {
                true => open.call.lose(cx, at),
                false => open.call.cut(cx, at, closed),
            }
        }
        self.lose_lanes(cx, Skip::Incomplete);
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.requests.pending().saturating_add(self.answers.pending())
    }

    fn interest(&self) -> Interest {
        // Lengths are read in calls of their own, and several messages share calls.
        Interest::Everything
    }

    fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }
}
