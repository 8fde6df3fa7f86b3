//! MongoDB's wire protocol on one connection end: OP_MSG, and OP_QUERY with OP_REPLY, with which old drivers and every handshake begin.
//!
//! # What is told
//!
//! A request with its answer: the command, its shape, the collection, the database, and the code of an error. What asks for no
//! answer (`moreToCome`: write concern 0) is a message. Of a request that has several answers (an exhaust cursor, the monitor's
//! streaming `hello`) the first ends it; nobody asks for the others, and their bytes are counted as such. What is compressed is
//! counted, and so are the operations of before version 3.6.
//!
//! # Right or absent
//!
//! An answer carries the number of its request, so pairs are exact whatever was lost. A request whose answer may have been among lost
//! bytes is given up when the next request comes: drivers use a connection for one at a time.

mod bson;
mod command;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod reply;
mod shape;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::calls::{Begun, Call, Calls};
use super::frames::{Cut, Frame, Frames};
use super::recognise::Begin;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::time::Nanos;
use wire::{HEADER, Head, Op, Shape};

/// Bytes of a message that are kept while it is not over: as much as is captured of a call.
const MAX_KEPT: usize = 8 * 1024 + 64;

/// A request that waits for its answer.
#[derive(Debug)]
struct Open {
    id: i32,
    call: Call,
    /// Its answer may have been among bytes that were lost.
    is_unsure: bool,
}

/// MongoDB on one connection end.
#[derive(Debug)]
pub struct MongoDb {
    /// The direction in which the client speaks, once it is known.
    client: Option<Direction>,
    /// What is received, and what is sent.
    lanes: [Frames; 2],
    calls: Calls,
    open: VecDeque<Open>,
    /// Where what is shown of a command is put together.
    text: String,
    understood: bool,
    /// Messages are read in two calls, the header first: the second must be captured as far as the first of a message.
    is_split: bool,
    /// A message is none.
    broke: bool,
}

/// A parser for a connection on which a call begins with a message.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    wire::begins(begin.data, begin.call_len).then(|| {
        let parser = MongoDb {
            client: None,
            lanes: [Frames::new(MAX_KEPT, begin.whole), Frames::new(MAX_KEPT, begin.whole)],
            calls: Calls::default(),
            open: VecDeque::new(),
            text: String::new(),
            understood: false,
            is_split: false,
            broke: false,
        };
        Box::new(parser) as Box<dyn Parser>
    })
}

impl MongoDb {
    fn lane(&mut self, dir: Direction) -> &mut Frames {
        let [rx, tx] = &mut self.lanes;
        match dir {
            Direction::Rx => rx,
            Direction::Tx => tx,
        }
    }

    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) => {
                if let Err(why) = self.message(cx, dir, &frame) {
                    if why == Skip::Malformed {
                        self.broke = true;
                        self.broken(cx, dir, frame.len);
                    } else {
                        cx.skip(self.understood, why, frame.len);
                    }
                }
            }
            Cut::Broken(bytes, _) => self.broken(cx, dir, bytes),
            Cut::Lost(bytes, gap) => {
                cx.skip(self.understood, Skip::Desync, bytes);
                if gap.len > 0 {
                    self.lost(cx, dir);
                }
            }
            Cut::Passed(bytes, _) => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    fn broken(&mut self, cx: &mut Context<'_>, dir: Direction, bytes: u64) {
        cx.tally.malformed = cx.tally.malformed.saturating_add(u64::from(self.understood));
        cx.skip(self.understood, Skip::Malformed, bytes);
        self.lost(cx, dir);
    }

    /// Messages of one side may have been missed.
    fn lost(&mut self, cx: &mut Context<'_>, dir: Direction) {
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(u64::from(self.understood));
        if self.client != Some(dir) {
            self.open.iter_mut().for_each(|open| open.is_unsure = true);
        }
    }

    /// What may have been answered out of sight is not waited for any longer.
    fn give_up(&mut self, cx: &mut Context<'_>, at: Nanos) {
        while let Some(place) = self.open.iter().position(|open| open.is_unsure)
            && let Some(open) = self.open.remove(place)
        {
            let at = at.max(open.call.request_end());
            open.call.lose(cx, at);
        }
    }

    /// A message, whole or cut off. `Err`: why its bytes belong to no exchange.
    fn message(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) -> Result<(), Skip> {
        let head = wire::head(frame.bytes).ok_or(Skip::Malformed)?;
        let is_request = match (head.op, self.client) {
            (Op::Query | Op::Told, _) => true,
            (Op::Reply, _) => false,
            (_, Some(client)) => client == dir,
            (_, None) => head.to == 0,
        };
        let client = if is_request { dir } else { dir.opposite() };
        if self.client.is_some_and(|known| known != client) {
            return Err(Skip::Malformed);
        }
        let body = match head.op {
            Op::Compressed => {
                self.says(cx, client);
                let answered = !is_request && self.answered(cx, &head, frame, ResponseHead::default());
                return if answered { Ok(()) } else { Err(Skip::Compressed) };
            }
            Op::Told | Op::Old => {
                self.says(cx, client);
                return Err(Skip::NotUnderstood);
            }
            _ => wire::body(&head, frame.bytes),
        };
        let Some(body) = body else {
            if !frame.is_cut() {
                return Err(Skip::Malformed);
            }
            // Not even its beginning is there.
            let answered = !is_request && {
                let unknown = ResponseHead { truncated: true, ..ResponseHead::default() };
                self.answered(cx, &head, frame, unknown)
            };
            return if answered { Ok(()) } else { Err(Skip::Desync) };
        };
        if !is_request {
            self.says(cx, client);
            let told = reply::read(cx, &body);
            return if self.answered(cx, &head, frame, told) { Ok(()) } else { Err(Skip::Unrequested) };
        }
        let asked = command::head(cx, &body, &mut self.text).ok_or(Skip::Malformed)?;
        self.says(cx, client);
        self.give_up(cx, frame.first.at);
        // A number that is used again before it was answered: whose answer comes would not be known.
        self.open.iter_mut().for_each(|open| open.is_unsure |= open.id == head.id);
        self.give_up(cx, frame.first.at);
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            return Err(Skip::Desync);
        }
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        cx.tally.head(frame.len);
        let mut call = self.calls.ask(cx, dir, begun, frame.stamp, frame.len, asked);
        call.asked(0, frame.last);
        if body.more {
            let at = call.request_end();
            call.end(cx, Outcome::Complete, at, Trailer::default());
        } else {
            self.open.push_back(Open { id: head.id, call, is_unsure: false });
        }
        Ok(())
    }

    /// The protocol is certain, and who is the client.
    fn says(&mut self, cx: &mut Context<'_>, client: Direction) {
        self.client = Some(client);
        cx.understand(&mut self.understood);
    }

    /// An answer; false: nobody waits for it.
    fn answered(&mut self, cx: &mut Context<'_>, head: &Head, frame: &Frame<'_>, told: ResponseHead) -> bool {
        let found = self.open.iter().position(|open| open.id == head.to);
        let Some(mut open) = found.and_then(|at| self.open.remove(at)) else {
            cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
            return false;
        };
        cx.tally.body(frame.len);
        open.call.answer(cx, frame.first, frame.seq, told);
        open.call.moved(frame.len, frame.last);
        let at = frame.last.at.max(open.call.request_end());
        open.call.end(cx, Outcome::Complete, at, Trailer::default());
        true
    }

    /// An answer that has begun and is not over when the connection, or the capture, is: to which request, and how much of it there is.
    fn begun(&mut self, cx: &mut Context<'_>) -> u64 {
        let Some(answers) = self.client.map(Direction::opposite) else { return 0 };
        let lane = self.lane(answers);
        let Some(head) = wire::head(lane.unfinished()) else { return 0 };
        let (bytes, (first, seq, last)) = (lane.pending(), lane.begun());
        let Some(open) = self.open.iter_mut().find(|open| open.id == head.to) else { return 0 };
        open.call.answer(cx, first, seq, ResponseHead { truncated: true, ..ResponseHead::default() });
        open.call.moved(bytes, last.into());
        cx.tally.body(bytes);
        self.lane(answers).lose();
        bytes
    }
}

impl Parser for MongoDb {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        if let Piece::Bytes(bytes) = &piece {
            let is_header = bytes.call_len == HEADER as u64 && wire::head(bytes.data).is_some();
            self.is_split |= is_header && self.client == Some(dir);
            if self.lane(dir).is_lost() && wire::begins(bytes.data, bytes.call_len) {
                self.lane(dir).resume();
                cx.tally.resyncs = cx.tally.resyncs.saturating_add(u64::from(self.understood));
            }
        }
        let mut lane = std::mem::replace(self.lane(dir), Frames::new(0, false));
        let mut is_broken = false;
        lane.feed(&Shape, piece, &mut |cut| match &cut {
            // What follows a message that is none.
            Cut::Frame(frame) if is_broken => cx.skip(self.understood, Skip::Desync, frame.len),
            _ => {
                self.cut(cx, dir, cut);
                is_broken |= std::mem::take(&mut self.broke);
            }
        });
        if is_broken {
            let pending = lane.lose();
            cx.skip(self.understood, Skip::Desync, pending);
        }
        *self.lane(dir) = lane;
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        for dir in [Direction::Rx, Direction::Tx] {
            let bytes = self.lane(dir).lose();
            cx.skip(self.understood, Skip::Desync, bytes);
        }
        self.open.iter_mut().for_each(|open| open.is_unsure = true);
        self.give_up(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        self.begun(cx);
        while let Some(open) = self.open.pop_front() {
            let at = at.max(open.call.request_end());
            match open.is_unsure && !open.call.is_answered() {
                true => open.call.lose(cx, at),
                false => {
                    let at = if open.call.is_answered() { open.call.response_end() } else { at };
                    open.call.cut(cx, at, closed);
                }
            }
        }
        for dir in [Direction::Rx, Direction::Tx] {
            let bytes = self.lane(dir).lose();
            cx.skip(self.understood, Skip::Incomplete, bytes);
        }
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.lanes.iter().map(Frames::pending).sum()
    }

    fn interest(&self) -> Interest {
        if self.is_split { Interest::Everything } else { Interest::Calls }
    }

    fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }
}
