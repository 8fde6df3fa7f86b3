//! memcached's text protocol with the meta commands (memcached's `doc/protocol.txt`). The [`binary`] protocol stands beside it.
//!
//! Commands are answered in their order. One with `noreply` is not: it is a message. Meta commands that are answered only if they
//! have something to say (`q`) are one exchange with the command that ends them, mostly `mn`: whose answer is whose is not known.
//!
//! Blocks of data are counted by the lengths that lines have said. Where a gap hides a line the position in that direction is lost.
//! It is found again at a call that begins with a command behind bytes of the server, because clients wait for their answers; on a
//! connection on which one did not, never.

pub mod binary;
mod command;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod lane;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use memchr::memchr;

use super::calls::{Begun, Call, Calls};
use super::moved::Move;
use super::recognise::Begin;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::exchange::{Attribute, Extra, Outcome, Protocol, RequestHead, ResponseHead, Trailer};
use crate::time::Nanos;
use command::{Command, Next, Shape};
use lane::{Lane, Line, Part};

/// memcached on one connection end.
pub struct Memcached {
    rx: Lane,
    tx: Lane,
    /// In which direction bytes moved last.
    moved: Option<Direction>,
    talk: Talk,
}

/// A command that waits for (the rest of) its answer.
struct Open {
    call: Call,
    shape: Shape,
    /// Data is the last of the answer.
    last: bool,
    /// What was seen last may have been the end.
    maybe: bool,
    /// Bytes of answers moved since it was sent of which it is not known what they are.
    unseen: bool,
}

/// Quiet commands whose end has not come.
struct Quiet {
    name: Vec<u8>,
    begun: Begun,
    bytes: u64,
    keys: usize,
}

struct Talk {
    requests: Direction,
    calls: Calls,
    open: VecDeque<Open>,
    quiet: Option<Quiet>,
    /// A command without an answer, whose data is coming.
    silent: Option<Call>,
    /// A command was sent before the answer to the one before.
    ahead: bool,
    /// A command that nobody saw was.
    stray: bool,
    /// It began before the tracer came.
    joined: bool,
    dead: bool,
    understood: bool,
}

/// A parser for a connection on which a call begins with a command.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    let text = (is_quiet(begin) && begins(begin.data, command::is_certain)).then(|| {
        let talk = Talk {
            requests: begin.dir,
            calls: Calls::default(),
            open: VecDeque::new(),
            quiet: None,
            silent: None,
            ahead: false,
            stray: false,
            joined: !begin.whole,
            dead: false,
            understood: false,
        };
        let (rx, tx) = (Lane::new(), Lane::new());
        Box::new(Memcached { rx, tx, moved: begin.moved, talk }) as Box<dyn Parser>
    });
    text.or_else(|| binary::recognise(begin))
}

/// Whether no command may be waiting that nobody saw: it is the first of all, or stands behind bytes of the server.
fn is_quiet(begin: &Begin<'_>) -> bool {
    begin.whole || begin.moved == Some(begin.dir.opposite())
}

/// Whether a call begins with a line that `is` one.
fn begins(data: &[u8], is: impl Fn(&[u8]) -> bool) -> bool {
    let line = memchr(b'\n', data).and_then(|end| data.get(..end));
    line.and_then(|line| line.strip_suffix(b"\r")).is_some_and(is)
}

impl Memcached {
    /// A call begins with a command: finds the position again where it was lost.
    fn resume(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let (requests, answers) = match self.talk.requests {
            Direction::Rx => (&mut self.rx, &mut self.tx),
            Direction::Tx => (&mut self.tx, &mut self.rx),
        };
        let lost = requests.is_lost() || answers.is_lost();
        let within = !(requests.is_lost() || requests.is_between());
        if !lost || within || self.moved == Some(self.talk.requests) {
            return;
        }
        self.talk.settle(cx, at, answers.is_lost() || self.talk.stray);
        let bytes = requests.restart(true) + answers.restart(true);
        cx.skip(self.talk.understood, Skip::Desync, bytes);
        cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
    }
}

impl Talk {
    fn requests(&mut self, cx: &mut Context<'_>, part: Part<'_>) -> Option<u64> {
        match part {
            Part::Line(line) => self.asks(cx, &line),
            Part::Data(bytes, moved, last) => {
                match (&mut self.silent, self.quiet.as_mut(), self.open.back_mut()) {
                    (Some(call), ..) => call.asked(bytes, moved),
                    (None, Some(quiet), _) => quiet.bytes = quiet.bytes.saturating_add(bytes),
                    (None, None, Some(open)) => open.call.asked(bytes, moved),
                    // It was answered before it was all there.
                    (None, None, None) => {}
                }
                cx.tally.body(bytes);
                if last {
                    self.silence(cx);
                }
                Some(0)
            }
            Part::Lost(bytes, moved, ..) => {
                self.silence(cx);
                self.quiet = None;
                match self.open.back() {
                    Some(open) if !open.unseen && bytes > 0 => (self.stray, self.ahead) = (true, true),
                    // Where answers were hidden as well, the client goes on behind them.
                    Some(_) if bytes > 0 => self.settle(cx, moved.at, false),
                    _ => {}
                }
                self.unseen(cx, None, bytes);
                None
            }
            Part::Broken(bytes, _) => {
                cx.skip(self.understood, Skip::Malformed, bytes);
                None
            }
        }
    }

    /// A call begins with a command. On a connection on which that does not wait for the answers to those before, who knows how many waited
    /// when the tracer came?
    fn goes_on(&mut self, cx: &mut Context<'_>, at: Nanos) {
        if self.joined {
            self.complete_maybe(cx);
            self.ahead |= !self.open.is_empty();
            if self.open.iter().any(|open| !open.unseen) {
                self.settle(cx, at, true);
            }
        }
    }

    /// A command's line. How many bytes of data follow it.
    fn asks(&mut self, cx: &mut Context<'_>, line: &Line<'_>) -> Option<u64> {
        let Some(command) = command::read(line.text).filter(|_| !self.dead) else {
            cx.skip(self.understood, Skip::Malformed, line.len);
            return None;
        };
        cx.understand(&mut self.understood);
        self.complete_maybe(cx);
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.settle(cx, line.first.at, true);
            cx.tally.skip(Skip::Desync, line.len);
            return None;
        }
        cx.tally.head(line.len);
        let begun = Begun { seq: line.seq, at: line.first.at };
        if command.quiet {
            let quiet = self.quiet.get_or_insert_with(|| Quiet {
                name: command.name.to_vec(),
                begun,
                bytes: 0,
                keys: 0,
            });
            quiet.bytes = quiet.bytes.saturating_add(line.len);
            quiet.keys = quiet.keys.saturating_add(command.keys);
            return Some(command.data);
        }
        self.ask(cx, line, &command, begun);
        Some(command.data)
    }

    fn ask(&mut self, cx: &mut Context<'_>, line: &Line<'_>, command: &Command<'_>, begun: Begun) {
        let quiet = self.quiet.take();
        let is_end = command.name == b"mn";
        let name = quiet.as_ref().filter(|_| is_end).map_or(command.name, |quiet| &quiet.name);
        let keys = command.keys.saturating_add(quiet.as_ref().map_or(0, |quiet| quiet.keys));
        let name = cx.names.method(name);
        let key = if keys > 0 { " ?" } else { "" };
        // Exactly as long as it gets: it need not be moved.
        let mut target = String::with_capacity(name.len() + key.len());
        target.push_str(&name);
        target.push_str(key);
        let count = Attribute::number("memcached.key_count", i64::try_from(keys).unwrap_or(i64::MAX));
        let extra = Extra { attributes: vec![count], ..Extra::default() };
        let head = RequestHead {
            protocol: Protocol::Memcached,
            method: name,
            target: target.into_boxed_str(),
            is_message: command.shape == Shape::Silence,
            extra: (keys > 0).then(|| Box::new(extra)),
            ..RequestHead::default()
        };
        let begun = quiet.as_ref().map_or(begun, |quiet| quiet.begun);
        let bytes = line.len.saturating_add(quiet.as_ref().map_or(0, |quiet| quiet.bytes));
        let shape = match (command.shape, &quiet) {
            (Shape::Meta, Some(_)) => Shape::Batch,
            (shape, _) => shape,
        };
        let call = self.calls.ask(cx, self.requests, begun, line.stamp, bytes, head);
        if shape == Shape::Silence {
            self.silent = Some(call);
            if command.data == 0 {
                self.silence(cx);
            }
            return;
        }
        self.ahead |= !self.open.is_empty();
        self.open.push_back(Open { call, shape, last: false, maybe: false, unseen: false });
    }

    /// A command without an answer is over.
    fn silence(&mut self, cx: &mut Context<'_>) {
        if let Some(call) = self.silent.take() {
            let at = call.request_end();
            call.end(cx, Outcome::Complete, at, Trailer::default());
        }
    }

    fn answers(&mut self, cx: &mut Context<'_>, part: Part<'_>) -> Option<u64> {
        match part {
            Part::Line(line) => self.says(cx, &line),
            Part::Data(bytes, moved, last) => {
                cx.tally.body(bytes);
                if let Some(open) = self.open.front_mut() {
                    open.call.moved(bytes, moved);
                    if last && open.last {
                        self.complete(cx, None);
                    }
                }
                Some(0)
            }
            Part::Lost(bytes, moved, between, tail) => {
                self.unseen(cx, Some(moved), bytes);
                // Of commands that were sent ahead it could be the end of any.
                let alone = if self.ahead { None } else { self.open.back_mut() };
                if let Some(open) = alone.filter(|open| open.shape == Shape::Values) {
                    // Behind a value no line but this is as short. The tail comes later, or never.
                    let is_short = between && bytes == END.len() as u64;
                    open.maybe |= is_short || tail.is_some_and(|tail| is_end(&tail));
                }
                None
            }
            Part::Broken(bytes, moved) => {
                self.unseen(cx, Some(moved), bytes);
                None
            }
        }
    }

    /// A line of an answer.
    fn says(&mut self, cx: &mut Context<'_>, line: &Line<'_>) -> Option<u64> {
        let Some(open) = self.open.front_mut().filter(|_| !self.dead) else {
            cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
            cx.skip(self.understood, Skip::Unrequested, line.len);
            // How far it goes is not known.
            return None;
        };
        let next = command::answer(open.shape, line.text);
        if next == Next::Wrong {
            self.settle(cx, line.first.at, true);
            cx.skip(self.understood, Skip::Malformed, line.len);
            return None;
        }
        cx.tally.head(line.len);
        open.call.moved(line.len, line.stamp.into());
        let error = if let Next::Error(code) = next { Some(code) } else { None };
        // An error behind the first values is told at the end.
        let shared = error.map(|code| cx.names.method(code.as_bytes()));
        open.call.answer(cx, line.first, line.seq, ResponseHead { error: shared, ..ResponseHead::default() });
        match next {
            // Errors of quiet commands come before the end of all of them.
            Next::Error(_) if open.shape == Shape::Batch => {
                open.maybe = true;
                Some(0)
            }
            Next::Error(_) | Next::Over(0) => {
                self.complete(cx, error);
                Some(0)
            }
            Next::Over(data) => {
                open.last = true;
                Some(data)
            }
            Next::More(data) => {
                // What ended a batch may be answered as its parts are.
                open.maybe = open.shape == Shape::Batch;
                Some(data)
            }
            Next::Wrong => None,
        }
    }

    fn complete(&mut self, cx: &mut Context<'_>, error: Option<&str>) {
        if let Some(open) = self.open.pop_front() {
            let (at, error) = (open.call.response_end(), error.map(|code| cx.names.method(code.as_bytes())));
            open.call.end(cx, Outcome::Complete, at, Trailer { status: None, error });
        }
    }

    /// The client goes on, so what may have been the end of an answer was it.
    fn complete_maybe(&mut self, cx: &mut Context<'_>) {
        while self.open.front().is_some_and(|open| open.maybe) {
            self.complete(cx, None);
        }
    }

    /// Bytes of lines that are not known: of answers, if it is said how they moved. What they belong to is certain only of an answer to
    /// the one command that waits.
    fn unseen(&mut self, cx: &mut Context<'_>, answers: Option<Move>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        if answers.is_some() {
            // What was seen last was not the end of what these are.
            self.open.iter_mut().for_each(|open| (open.maybe, open.unseen) = (false, true));
        }
        match (self.open.back_mut(), answers) {
            (Some(open), Some(moved)) if !self.ahead => {
                open.call.moved(bytes, moved);
                cx.tally.body(bytes);
            }
            _ => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    /// What is open has been answered, if at all, before `at`. `lost`: which answers have been seen is not known.
    fn settle(&mut self, cx: &mut Context<'_>, at: Nanos, lost: bool) {
        for open in std::mem::take(&mut self.open) {
            let seen = open.call.response_end();
            if open.maybe && open.call.is_answered() {
                open.call.end(cx, Outcome::Complete, seen, Trailer::default());
            } else {
                open.call.lose(cx, if seen.0 > 0 { seen } else { at });
            }
        }
        self.quiet = None;
        self.dead |= lost && self.ahead;
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        self.silence(cx);
        self.complete_maybe(cx);
        for open in std::mem::take(&mut self.open) {
            open.call.cut(cx, at, closed);
        }
    }
}

/// The line behind the last value.
const END: &[u8] = b"END\r\n";

/// Whether the last bytes of a call are the end of values.
fn is_end(tail: &[u8; 8]) -> bool {
    tail.strip_suffix(END).is_some_and(|before| before.ends_with(b"\r\n"))
}

impl Parser for Memcached {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let is_request = dir == self.talk.requests;
        if let Piece::Bytes(bytes) = &piece
            && is_request
            && begins(bytes.data, |line| command::read(line).is_some())
        {
            self.resume(cx, bytes.stamp.at);
            self.talk.goes_on(cx, bytes.stamp.at);
        }
        let talk = &mut self.talk;
        let lane = if dir == Direction::Rx { &mut self.rx } else { &mut self.tx };
        lane.feed(&piece, &mut |part| {
            if is_request { talk.requests(cx, part) } else { talk.answers(cx, part) }
        });
        if !matches!(piece, Piece::Gap(gap) if gap.len == 0) {
            self.moved = Some(dir);
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.talk.silence(cx);
        self.talk.open.iter_mut().for_each(|open| open.maybe = false);
        self.talk.settle(cx, at, true);
        let bytes = self.rx.restart(false) + self.tx.restart(false);
        cx.skip(self.talk.understood, Skip::Desync, bytes);
        self.moved = None;
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let answers = if self.talk.requests == Direction::Rx { &self.tx } else { &self.rx };
        if answers.is_lost() {
            self.talk.settle(cx, at, false);
        }
        let bytes = self.rx.restart(false) + self.tx.restart(false);
        cx.skip(self.talk.understood, Skip::Incomplete, bytes);
        self.talk.end(cx, at, closed);
    }

    fn understood(&self) -> bool {
        self.talk.understood
    }

    fn pending(&self) -> u64 {
        self.rx.pending().saturating_add(self.tx.pending())
    }

    fn interest(&self) -> Interest {
        if self.talk.dead { Interest::Nothing } else { Interest::Calls }
    }

    fn is_busy(&self) -> bool {
        !self.talk.open.is_empty()
    }
}
