//! memcached's binary protocol (memcached's wiki, "BinaryProtocolRevamped"). Deprecated, and still what many clients speak.
//!
//! Packets tell their length, and answers come in the order of commands and repeat their opcode and opaque, so what is paired is
//! certain. Commands that are answered only if they have something to say (`getkq`, `setq`, …) are one exchange with the command that ends
//! them, mostly `noop`, as in the text protocol; what the server says before that has come is kept for it.
//!
//! Where a gap hides where packets begin the position is found again as in the text protocol: at a call that begins with a command behind
//! bytes of the server; never on a connection on which a call began with a command while others waited. Several commands in one call are
//! no such thing: a client that sends a batch waits for all of its answers.

mod header;
mod quiet;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::event::{Direction, Stamp};
use crate::exchange::{Attribute, Extra, Outcome, Protocol, RequestHead, ResponseHead, Trailer};
use crate::protocol::calls::{Begun, Call, Calls};
use crate::protocol::frames::{Cut, Frame, Frames};
use crate::protocol::moved::Move;
use crate::protocol::recognise::Begin;
use crate::protocol::tally::Skip;
use crate::protocol::{Context, Interest, Parser, Piece};
use crate::time::Nanos;
use header::{Command, HEADER, Header, Packets};
use quiet::{Asked, Quiet};

/// memcached's binary protocol on one connection end.
pub struct Binary {
    asking: Frames,
    answering: Frames,
    /// In which direction bytes moved last.
    moved: Option<Direction>,
    talk: Talk,
}

/// A command that waits for (the rest of) its answer.
struct Open {
    call: Call,
    opcode: u8,
    opaque: u32,
    /// Quiet commands that came before it, and may be answered.
    quiet: Asked,
    /// The first error of one of those.
    error: Option<&'static str>,
    /// Answers to those may have been out of sight.
    holed: bool,
}

struct Talk {
    requests: Direction,
    calls: Calls,
    open: VecDeque<Open>,
    quiet: Option<Quiet>,
    /// A call began with a command before those of earlier calls were answered.
    ahead: bool,
    /// It began before the tracer came.
    joined: bool,
    /// Sequence number of the first byte of the client's latest call that begins with a command, and whether another one waited then.
    call: (u32, bool),
    dead: bool,
    understood: bool,
}

/// A parser for a connection on which a call begins with a command.
pub(super) fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    (super::is_quiet(begin) && header::is_request(begin.data)).then(|| {
        let talk = Talk {
            requests: begin.dir,
            calls: Calls::default(),
            open: VecDeque::new(),
            quiet: None,
            ahead: false,
            joined: !begin.whole,
            call: (0, false),
            dead: false,
            understood: false,
        };
        let (asking, answering) = (Frames::new(HEADER, true), Frames::new(HEADER, true));
        Box::new(Binary { asking, answering, moved: begin.moved, talk }) as Box<dyn Parser>
    })
}

impl Binary {
    /// A call begins with a command: finds the position again where it was lost.
    fn resume(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let lost = self.asking.is_lost() || self.answering.is_lost();
        let within = self.asking.pending() > 0 || self.answering.pending() > 0;
        if !lost || within || self.moved == Some(self.talk.requests) {
            return;
        }
        if self.asking.is_lost() {
            self.talk.quiet = None;
        }
        self.talk.settle(cx, at, self.answering.is_lost());
        let bytes = self.asking.resume() + self.answering.resume();
        cx.skip(self.talk.understood, Skip::Desync, bytes);
        cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
    }
}

impl Open {
    fn is_own(&self, header: &Header) -> bool {
        (self.opcode, self.opaque) == (header.opcode, header.opaque)
    }
}

/// Tells that the answer to a call begins, if that has not been told.
fn answer(cx: &mut Context<'_>, call: &mut Call, (first, seq): (Stamp, u32), error: Option<&'static str>) {
    let error = error.map(|code| cx.names.method(code.as_bytes()));
    call.answer(cx, first, seq, ResponseHead { error, ..ResponseHead::default() });
}

/// Accounts for a packet.
fn count(cx: &mut Context<'_>, frame: &Frame<'_>) {
    cx.tally.head(HEADER as u64);
    cx.tally.body(frame.len.saturating_sub(HEADER as u64));
}

impl Talk {
    fn requests(&mut self, cx: &mut Context<'_>, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) => {
                let header = header::read(frame.bytes).filter(|_| !self.dead);
                let known = header.and_then(|header| Some((header, header::command(header.opcode)?)));
                match known {
                    Some((header, command)) => self.asks(cx, &frame, &header, command),
                    // Its header was not captured whole.
                    None => {
                        self.dead = true;
                        cx.skip(self.understood, Skip::Desync, frame.len);
                    }
                }
            }
            Cut::Broken(bytes, _) => cx.skip(self.understood, Skip::Malformed, bytes),
            Cut::Lost(bytes, _) | Cut::Passed(bytes, _) => {
                // Commands that nobody saw were sent while another waited, or may wait while others are sent.
                self.dead |= bytes > 0 && (self.ahead || !self.open.is_empty());
                cx.tally.desyncs = cx.tally.desyncs.saturating_add(u64::from(bytes > 0));
                cx.skip(self.understood, Skip::Desync, bytes);
            }
        }
    }

    fn asks(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, header: &Header, command: Command) {
        cx.understand(&mut self.understood);
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.quiet = None;
            self.settle(cx, frame.first.at, true);
            cx.tally.skip(Skip::Desync, frame.len);
            return;
        }
        self.ahead |= self.call == (frame.seq, true);
        if self.joined && self.ahead {
            // Who knows how many waited when the tracer came?
            self.quiet = None;
            self.settle(cx, frame.first.at, true);
            cx.tally.skip(Skip::Desync, frame.len);
            return;
        }
        count(cx, frame);
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let keys = usize::from(header.key > 0 && header.opcode != header::STAT);
        if command.quiet && header.opcode != header::QUITQ {
            let quiet = self.quiet.get_or_insert_with(|| Quiet::new(command.name, begun, frame.stamp));
            if quiet.early.is_none() {
                quiet.stamp = frame.stamp;
            }
            quiet.bytes = quiet.bytes.saturating_add(frame.len);
            quiet.keys = quiet.keys.saturating_add(keys);
            quiet.asked.push(header);
            return;
        }
        let quiet = self.quiet.take();
        let quiet = quiet.unwrap_or_else(|| Quiet::new(command.name, begun, frame.stamp));
        let name = if header.opcode == header::NOOP { quiet.name } else { command.name };
        let head = head(cx, name, keys.saturating_add(quiet.keys), header.opcode == header::QUITQ);
        let bytes = frame.len.saturating_add(quiet.bytes);
        // An answer stands behind what it answers.
        let stamp = if quiet.early.is_some() { quiet.stamp } else { frame.stamp };
        let mut call = self.calls.ask(cx, self.requests, quiet.begun, stamp, bytes, head);
        call.asked(0, frame.last);
        let (error, holed) = (quiet.early.as_ref().and_then(|early| early.error), quiet.holed);
        if let Some(early) = quiet.early {
            call.moved(early.bytes, early.last);
            answer(cx, &mut call, (early.first, early.seq), early.begins);
        }
        if header.opcode == header::QUITQ {
            call.end(cx, Outcome::Complete, frame.last.at, Trailer::default());
            return;
        }
        let (opcode, opaque) = (header.opcode, header.opaque);
        self.open.push_back(Open { call, opcode, opaque, quiet: quiet.asked, error, holed });
    }

    fn answers(&mut self, cx: &mut Context<'_>, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) => match header::read(frame.bytes).filter(|_| !self.dead) {
                Some(header) => self.says(cx, &frame, &header),
                None => {
                    self.settle(cx, frame.last.at, true);
                    cx.skip(self.understood, Skip::Desync, frame.len);
                }
            },
            Cut::Broken(bytes, at) => {
                self.settle(cx, at, true);
                cx.skip(self.understood, Skip::Malformed, bytes);
            }
            Cut::Lost(bytes, gap) => self.unseen(cx, bytes, Move::from(&gap)),
            Cut::Passed(bytes, moved) => self.unseen(cx, bytes, moved),
        }
    }

    fn says(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, header: &Header) {
        let error = header::error(header.status);
        if self.open.is_empty()
            && let Some(quiet) = self.quiet.as_mut()
            && quiet.asked.answered(header)
        {
            count(cx, frame);
            quiet.answered(frame, error);
            return;
        }
        let Some(open) = self.open.front_mut() else {
            cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
            cx.skip(self.understood, Skip::Unrequested, frame.len);
            return;
        };
        let own = open.is_own(header);
        if !own && !open.quiet.answered(header) {
            // Commands that nobody saw are answered, and how many are still waiting nobody knows.
            self.settle(cx, frame.first.at, true);
            self.dead = true;
            cx.skip(self.understood, Skip::Desync, frame.len);
            return;
        }
        count(cx, frame);
        open.call.moved(frame.len, frame.last);
        open.error = open.error.or(error);
        answer(cx, &mut open.call, (frame.first, frame.seq), error);
        let more = header.opcode == header::STAT && header.key > 0;
        if own
            && !more
            && let Some(open) = self.open.pop_front()
        {
            let at = open.call.response_end();
            if open.holed {
                open.call.lose(cx, at);
                return;
            }
            let error = open.error.map(|code| cx.names.method(code.as_bytes()));
            open.call.end(cx, Outcome::Complete, at, Trailer { status: None, error });
        }
    }

    /// Bytes of answers whose beginnings are not known.
    fn unseen(&mut self, cx: &mut Context<'_>, bytes: u64, moved: Move) {
        if bytes == 0 {
            return;
        }
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        self.hole(true);
        match self.open.make_contiguous() {
            [open] if !self.ahead => {
                open.call.moved(bytes, moved);
                cx.tally.body(bytes);
            }
            _ => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    /// Answers to quiet commands may have been out of sight.
    fn hole(&mut self, lost: bool) {
        if let Some(quiet) = &mut self.quiet {
            quiet.holed |= lost;
        }
    }

    /// What is open has been answered, if at all, before `at`. `lost`: which answers have been seen is not known.
    fn settle(&mut self, cx: &mut Context<'_>, at: Nanos, lost: bool) {
        for open in std::mem::take(&mut self.open) {
            let seen = open.call.response_end();
            open.call.lose(cx, if seen.0 > 0 { seen } else { at });
        }
        self.dead |= lost && self.ahead;
        self.hole(lost);
    }
}

/// What is told of a command: its name, and how many keys, of which none is shown.
fn head(cx: &mut Context<'_>, name: &str, keys: usize, is_message: bool) -> RequestHead {
    let method = cx.names.method(name.as_bytes());
    let target = if keys > 0 { format!("{name} ?") } else { name.to_owned() };
    let count = Attribute::number("memcached.key_count", i64::try_from(keys).unwrap_or(i64::MAX));
    let extra = Extra { attributes: vec![count], ..Extra::default() };
    RequestHead {
        protocol: Protocol::Memcached,
        method,
        target: target.into_boxed_str(),
        is_message,
        extra: (keys > 0).then(|| Box::new(extra)),
        ..RequestHead::default()
    }
}

impl Parser for Binary {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let is_request = dir == self.talk.requests;
        if let Piece::Bytes(bytes) = &piece
            && is_request
            && header::is_request(bytes.data)
        {
            self.resume(cx, bytes.stamp.at);
        }
        let talk = &mut self.talk;
        if is_request {
            if let Piece::Bytes(bytes) = &piece
                && self.asking.pending() == 0
            {
                talk.call = (bytes.seq, !talk.open.is_empty());
            }
            self.asking.feed(&Packets::Requests, piece, &mut |cut| talk.requests(cx, cut));
        } else {
            self.answering.feed(&Packets::Answers, piece, &mut |cut| talk.answers(cx, cut));
        }
        if !matches!(piece, Piece::Gap(gap) if gap.len == 0) {
            self.moved = Some(dir);
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.talk.quiet = None;
        self.talk.settle(cx, at, true);
        let bytes = self.asking.lose() + self.answering.lose();
        cx.skip(self.talk.understood, Skip::Desync, bytes);
        self.moved = None;
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        if self.answering.is_lost() {
            self.talk.settle(cx, at, false);
        }
        let (first, seq, stamp) = self.answering.begun();
        if let Some(open) = self.talk.open.front_mut()
            && header::read(self.answering.unfinished()).is_some_and(|header| open.is_own(&header))
        {
            let begun = self.answering.lose();
            open.call.moved(begun, stamp.into());
            open.call.answer(cx, first, seq, ResponseHead::default());
            cx.tally.body(begun);
        }
        let bytes = self.asking.lose() + self.answering.lose();
        cx.skip(self.talk.understood, Skip::Incomplete, bytes);
        for open in std::mem::take(&mut self.talk.open) {
            open.call.cut(cx, at, closed);
        }
    }

    fn understood(&self) -> bool {
        self.talk.understood
    }

    fn pending(&self) -> u64 {
        self.asking.pending().saturating_add(self.answering.pending())
    }

    fn interest(&self) -> Interest {
        if self.talk.dead { Interest::Nothing } else { Interest::Calls }
    }

    fn is_busy(&self) -> bool {
        !self.talk.open.is_empty()
    }
}
