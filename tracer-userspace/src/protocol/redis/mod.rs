//! Redis serialization protocol, versions 2 and 3 (RESP), on one connection end: Redis, Valkey, KeyDB and what speaks like them.
//!
//! A command is an array of strings, or a line; its answer is a value of any type. The k-th answer belongs to the k-th command, but
//! for what the server tells unasked: messages of subscriptions, the lines of MONITOR, and pushes of RESP3 belong to nobody.
//! Messages do not tell their length, so both directions are followed type by type ([`scan`]); of strings only the length is
//! needed, so their contents may be out of sight.
//!
//! # Right or absent
//!
//! Pairing is exact from a *certain point* on, as long as every message's end is known. Certain points are the first byte of a connection
//! that was established while the tracer watched, and a command that begins with a call while no answer is owed: none is known to be
//! waiting, the bytes that moved last were answers, and the connection has not been seen to *stagger* (to send a command in a call of
//! its own while an earlier one waits), or nothing has moved on it for [`QUIET`]. The reasons, and the assumptions that remain, are those
//! of `http1`: a client that sends one by one, or in batches, waits for all answers before it goes on. After such a point pairing is on
//! probation until nothing waits; a connection that staggers before that is given up until the next certain point.
//!
//! Where the position in the answers is lost (a gap that hides more than the rest of a string) and exactly one command waits, the bytes are
//! its answer until the next command begins (`EndUnframed`, or `ResponseUnseen` if its beginning was not seen); if several wait, it
//! is not known whose they are: all of them are `ResponseUnseen`. Where the position in the commands is lost, those that are known still
//! pair in order; later ones are skipped up to the next certain point.
//!
//! # What is told of messages
//!
//! A command that takes the next element of a list or of a stream for a group, and waits for it (BRPOP, XREADGROUP), is how workers get
//! their work. At the client's end its answer begins an exchange of its own, a message that was received: it lasts until the next such command
//! (or XACK) on this connection, for then the worker is done with it, as far as the connection tells. The hash of the element is told with
//! it, and with the command that appended it, if the element holds something that looks drawn at random.

mod command;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod lane;
mod pair;
mod reply;
mod scan;
mod words;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::calls::{Call, Calls};
use super::recognise::Begin;
use super::tally::Skip;
use super::{Bytes, Context, Gap, Interest, Parser, Piece};
use crate::event::Direction;
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::moved::Move;
use crate::time::Nanos;
use command::{Act, Queue};
use lane::{Lane, Message, Next};
use scan::Kind;

/// A connection on which nothing has moved for so long owes no answer, ns: whatever takes longer holds up all of Redis, which then does not
/// answer anybody. (Commands that wait are not sent over connections that are shared.)
const QUIET: u64 = 5_000_000_000;
/// Answers that are kept until their commands' records come, and how much earlier they may have moved, ns.
const MAX_AHEAD: usize = 4;
const AHEAD: u64 = 10_000_000;

/// A command that is not answered.
#[derive(Debug)]
struct Open {
    call: Call,
    act: Act,
    queue: Queue,
    /// Confirmations that are missing.
    left: u32,
}

/// Which commands are answered at all (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replies {
    On,
    SkipNext,
    Off,
}

/// RESP on one connection end.
#[derive(Debug)]
pub struct Redis {
    requests: Direction,
    asks: Lane,
    answers: Lane,
    calls: Calls,
    queue: VecDeque<Open>,
    /// Answers whose commands have not been seen yet, with their bytes.
    ahead: VecDeque<(Message, Vec<u8>)>,
    /// The position in the answers is lost, and the bytes are the answer of the only command that waits.
    blind: bool,
    staggers: bool,
    probation: bool,
    moved: Option<Direction>,
    last: Nanos,
    understood: bool,
    /// The current database, if it is known.
    database: Option<u32>,
    /// Version 3 is spoken: what is told unasked has a type of its own.
    resp3: bool,
    subscriptions: u64,
    monitors: bool,
    in_transaction: bool,
    replies: Replies,
    /// Another protocol follows.
    over: bool,
    /// The message that was taken last and is being worked on.
    taken: Option<Call>,
}

/// A parser for a connection on which a command begins.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    is_command(begin.data).then(|| Box::new(Redis::new(begin)) as Box<dyn Parser>)
}

/// Whether bytes begin like a command as client libraries send them: `*N`, `$M`, and the first letters of a name that is M long.
fn is_command(data: &[u8]) -> bool {
    fn number(data: &[u8], kind: u8, max: usize) -> Option<(usize, &[u8])> {
        let rest = data.strip_prefix(&[kind])?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = rest.split_at_checked(digits)?;
        let value = std::str::from_utf8(text).ok()?.parse().ok()?;
        let leading_zero = text.first() == Some(&b'0');
        (!leading_zero && (1..=max).contains(&value)).then_some((value, rest.strip_prefix(b"\r\n")?))
    }
    let found = number(data, b'*', 1 << 20).and_then(|(_, rest)| number(rest, b'$', 32));
    let Some((len, name)) = found else { return false };
    let name = name.get(..len).unwrap_or(name);
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

impl Redis {
    fn new(begin: &Begin<'_>) -> Redis {
        Redis {
            requests: begin.dir,
            asks: Lane::new(Kind::Commands, begin.whole),
            answers: Lane::new(Kind::Replies, begin.whole),
            calls: Calls::default(),
            queue: VecDeque::new(),
            ahead: VecDeque::new(),
            blind: false,
            staggers: false,
            probation: !begin.whole,
            moved: begin.moved,
            last: Nanos(0),
            understood: false,
            database: begin.whole.then_some(0),
            resp3: false,
            subscriptions: 0,
            monitors: false,
            in_transaction: false,
            replies: Replies::On,
            over: false,
            taken: None,
        }
    }

    /// Whether the end of every message is known since a certain point.
    fn is_exact(&self) -> bool {
        !self.asks.is_lost() && !self.answers.is_lost()
    }

    fn ask_bytes(&mut self, cx: &mut Context<'_>, bytes: &Bytes<'_>) {
        if !self.is_exact() {
            if !is_command(bytes.data) || !self.is_certain(bytes.stamp.at) {
                let why = if self.understood { Skip::Desync } else { Skip::Joined };
                let pending = self.asks.lose();
                return cx.skip(self.understood, why, pending + bytes.data.len() as u64);
            }
            self.settle(cx);
            let pending = self.asks.resume() + self.answers.resume();
            cx.skip(self.understood, Skip::Desync, pending);
            cx.tally.resyncs = cx.tally.resyncs.saturating_add(u64::from(self.understood));
            self.probation = true;
        } else if self.asks.is_between() && !self.queue.is_empty() {
            self.staggers = true;
            if self.probation && self.moved != Some(self.requests) {
                // What waits may be answers of others.
                self.lose_all(cx, bytes.stamp.at);
                return cx.skip(self.understood, Skip::Desync, bytes.data.len() as u64);
            }
        }
        let mut at = 0;
        loop {
            match self.asks.take(bytes, &mut at) {
                Next::More => return,
                Next::Message(message) => {
                    let kept = self.asks.lend();
                    self.asked(cx, &message, &kept);
                    self.asks.give_back(kept);
                    if self.asks.is_lost() {
                        let rest = bytes.data.len().saturating_sub(at);
                        return cx.skip(self.understood, Skip::Desync, rest as u64);
                    }
                }
                Next::Broken(len) => return self.broken(cx, len, bytes.stamp.at),
            }
        }
    }

    /// Whether no answer is owed, given that a command begins with a call.
    fn is_certain(&self, at: Nanos) -> bool {
        let only = self.queue.is_empty() || (self.blind && self.queue.len() == 1);
        only && self.moved.is_some_and(|moved| moved != self.requests)
            && (!self.staggers || at.since(self.last) >= QUIET)
    }

    fn answer_bytes(&mut self, cx: &mut Context<'_>, bytes: &Bytes<'_>) {
        if self.answers.is_lost() {
            return self.blind_bytes(cx, bytes.data.len() as u64, bytes.stamp.into());
        }
        let mut at = 0;
        loop {
            match self.answers.take(bytes, &mut at) {
                Next::More => return self.begun(cx),
                Next::Message(message) => {
                    let kept = self.answers.lend();
                    self.answered(cx, message, &kept);
                    self.answers.give_back(kept);
                    if self.answers.is_lost() {
                        let rest = bytes.data.len().saturating_sub(at);
                        return cx.skip(self.understood, Skip::Desync, rest as u64);
                    }
                }
                Next::Broken(len) => return self.broken(cx, len, bytes.stamp.at),
            }
        }
    }

    /// Bytes of answers while the position in them is not known.
    fn blind_bytes(&mut self, cx: &mut Context<'_>, bytes: u64, moved: Move) {
        match self.queue.front_mut() {
            Some(open) if self.blind => {
                open.call.moved(bytes, moved);
                cx.tally.body(bytes);
            }
            _ => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    fn ask_gap(&mut self, cx: &mut Context<'_>, gap: &Gap) {
        let (message, beyond) = self.asks.gap(gap);
        if let Some(message) = message {
            let kept = self.asks.lend();
            self.asked(cx, &message, &kept);
            self.asks.give_back(kept);
        }
        if beyond > 0 {
            self.hidden(cx, beyond);
        }
    }

    /// Bytes hide where messages begin.
    fn hidden(&mut self, cx: &mut Context<'_>, bytes: u64) {
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(u64::from(self.understood));
        // What is set by commands that were not seen is not known.
        self.database = None;
        cx.skip(self.understood, Skip::Desync, bytes);
    }

    fn answer_gap(&mut self, cx: &mut Context<'_>, gap: &Gap) {
        if self.answers.is_lost() {
            return self.blind_bytes(cx, gap.len, Move::from(gap));
        }
        let begun = (!self.answers.is_between()).then(|| self.answers.first());
        let (message, beyond) = self.answers.gap(gap);
        if let Some(message) = message {
            let kept = self.answers.lend();
            self.answered(cx, message, &kept);
            self.answers.give_back(kept);
        } else if beyond > 0
            && let (1, false, 0) = (self.queue.len(), self.asks.is_lost(), self.subscriptions)
            && let Some(open) = self.queue.front_mut()
        {
            // All of it is the answer of the only one.
            if let Some((stamp, seq)) = begun {
                open.call.answer(cx, stamp, seq, ResponseHead::default());
            }
            self.blind = true;
            cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
            return self.blind_bytes(cx, beyond, Move::from(gap));
        }
        if beyond > 0 {
            self.hidden(cx, beyond);
            self.lose_all(cx, gap.last);
        }
    }

    /// The only one that waits has its answer, if that was followed blindly.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if !std::mem::take(&mut self.blind) {
            return;
        }
        if let Some(open) = self.queue.pop_front() {
            let at = open.call.response_end();
            let outcome =
                if open.call.is_answered() { Outcome::EndUnframed } else { Outcome::ResponseUnseen };
            open.call.end(cx, outcome, at, Trailer::default());
        }
    }

    /// What stands on a direction is no message.
    fn broken(&mut self, cx: &mut Context<'_>, bytes: u64, at: Nanos) {
        cx.tally.malformed = cx.tally.malformed.saturating_add(u64::from(self.understood));
        cx.skip(self.understood, Skip::Malformed, bytes);
        self.lose_all(cx, at);
    }

    /// Nothing that was going on is certain any more.
    fn lose_all(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.blind = false;
        for open in std::mem::take(&mut self.queue) {
            open.call.lose(cx, at);
        }
        self.end_taken(cx, at, Outcome::EndUnframed);
        let ahead: u64 = std::mem::take(&mut self.ahead).iter().map(|(message, _)| message.len).sum();
        let pending = self.asks.lose() + self.answers.lose();
        cx.skip(self.understood, Skip::Desync, pending + ahead);
        self.database = None;
    }

    /// The message that was taken has been dealt with.
    fn end_taken(&mut self, cx: &mut Context<'_>, at: Nanos, outcome: Outcome) {
        if let Some(call) = self.taken.take() {
            let at = at.max(call.request_end());
            call.end(cx, outcome, at, Trailer::default());
        }
    }
}

impl Parser for Redis {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let (len, at) = match &piece {
            Piece::Bytes(bytes) => (bytes.data.len() as u64, bytes.stamp.at),
            Piece::Gap(gap) => (gap.len, gap.last),
        };
        if len == 0 {
            return;
        }
        match piece {
            _ if self.over => cx.skip(self.understood, Skip::Upgraded, len),
            Piece::Bytes(bytes) if dir == self.requests => self.ask_bytes(cx, &bytes),
            Piece::Bytes(bytes) => self.answer_bytes(cx, &bytes),
            Piece::Gap(gap) if dir == self.requests => self.ask_gap(cx, &gap),
            Piece::Gap(gap) => self.answer_gap(cx, &gap),
        }
        self.moved = Some(dir);
        self.last = self.last.max(at);
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.lose_all(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        if self.blind {
            self.settle(cx);
        }
        for open in std::mem::take(&mut self.queue) {
            open.call.cut(cx, at, closed);
        }
        if closed {
            self.end_taken(cx, at, Outcome::EndUnframed);
        } else if let Some(call) = self.taken.take() {
            call.cut(cx, at, false);
        }
        let ahead: u64 = std::mem::take(&mut self.ahead).iter().map(|(message, _)| message.len).sum();
        cx.skip(self.understood, Skip::Unrequested, ahead);
        let pending = self.asks.lose() + self.answers.lose();
        cx.skip(self.understood, Skip::Incomplete, pending);
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        let ahead: u64 = self.ahead.iter().map(|(message, _)| message.len).sum();
        self.asks.pending() + self.answers.pending() + ahead
    }

    fn interest(&self) -> Interest {
        match () {
            () if self.over => Interest::Nothing,
            // Answers and commands of several exchanges share calls.
            () if self.staggers => Interest::Everything,
            () => Interest::Calls,
        }
    }

    fn is_busy(&self) -> bool {
        !self.queue.is_empty()
    }
}
