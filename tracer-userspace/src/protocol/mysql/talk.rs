//! What is being said on a connection: the login, commands, and answers in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::answer::Next;
use super::command::{self, Command, Effect, Setting};
use super::handshake::{self, Reply};
use super::open::Open;
use super::packet::{self, LONGEST, Packet};
use super::statements::Statements;
use crate::event::{Direction, Stamp};
use crate::protocol::calls::{Begun, Calls};
use crate::protocol::frames::{Cut, Frame};
use crate::protocol::moved::Move;
use crate::protocol::sql::Backslash;
use crate::protocol::tally::Skip;
use crate::protocol::{Bytes, Context};
use crate::time::Nanos;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server greets.
    Greeting,
    /// The client says who it is, and the server is not content yet. `packed`: what follows is compressed.
    Login { capabilities: u32, packed: bool },
    /// Commands.
    Commands,
    /// Encrypted.
    Tls,
    /// Compressed.
    Packed,
    /// Commands were sent ahead, and which of them are answered is not known.
    Dead,
}

impl Phase {
    /// Whether nothing can be read any more.
    pub fn is_opaque(self) -> bool {
        matches!(self, Phase::Tls | Phase::Packed | Phase::Dead)
    }
}

pub(super) struct Talk {
    /// In which direction the commands go.
    pub requests: Direction,
    pub phase: Phase,
    pub understood: bool,
    calls: Calls,
    open: VecDeque<Open>,
    schema: Option<Arc<str>>,
    backslash: Backslash,
    statements: Statements,
    /// Whether the server sends EOF packets.
    eof: Option<bool>,
    /// A command was sent before the answer to the one before.
    ahead: bool,
}

impl Talk {
    pub fn new(requests: Direction, phase: Phase) -> Talk {
        Talk {
            requests,
            phase,
            understood: false,
            calls: Calls::default(),
            open: VecDeque::new(),
            schema: None,
            backslash: Backslash::Unknown,
            statements: Statements::default(),
            eof: None,
            ahead: false,
        }
    }

    pub fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Accounts for bytes that are not read.
    pub fn skip(&self, cx: &mut Context<'_>, bytes: u64) {
        let why = match self.phase {
            Phase::Tls => Skip::Tls,
            Phase::Packed => Skip::Compressed,
            _ => Skip::Desync,
        };
        cx.skip(self.understood, why, bytes);
    }

    fn understand(&mut self, cx: &mut Context<'_>) {
        cx.understand(&mut self.understood);
    }

    /// What comes out of a direction. False: it contradicts what was thought to be known.
    pub fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) -> bool {
        let is_request = dir == self.requests;
        match cut {
            Cut::Frame(frame) => {
                let Some(packet) = Packet::of(&frame) else {
                    self.skip(cx, frame.len);
                    return false;
                };
                if self.phase.is_opaque() {
                    self.skip(cx, frame.len);
                    return true;
                }
                match (self.phase, is_request) {
                    (Phase::Commands, true) => self.asks(cx, &packet, &frame),
                    (Phase::Commands, false) => self.answers(cx, &packet, &frame),
                    _ => self.introduces(cx, is_request, &packet, &frame),
                }
            }
            Cut::Broken(bytes, _) => {
                self.skip(cx, bytes);
                false
            }
            Cut::Lost(bytes, gap) => {
                if bytes > 0 {
                    cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
                }
                self.unseen(cx, is_request, bytes, Move::from(&gap));
                if !is_request && let Some(open) = self.open.back_mut() {
                    open.maybe = gap.tail.is_some_and(|tail| packet::is_end_of_rows(&tail));
                }
                true
            }
            Cut::Passed(bytes, moved) => {
                self.unseen(cx, is_request, bytes, moved);
                true
            }
        }
    }

    /// What comes behind a contradiction.
    pub fn pass(&self, cx: &mut Context<'_>, cut: &Cut<'_>) {
        let bytes = match cut {
            Cut::Frame(frame) => frame.len,
            Cut::Broken(bytes, _) | Cut::Lost(bytes, _) | Cut::Passed(bytes, _) => *bytes,
        };
        self.skip(cx, bytes);
    }

    /// Bytes of packets that are not known.
    fn unseen(&mut self, cx: &mut Context<'_>, is_request: bool, bytes: u64, moved: Move) {
        if bytes == 0 {
            return;
        }
        if let Phase::Greeting | Phase::Login { .. } = self.phase {
            // How it ended is not known; a compressed connection says nothing more.
            let packed = matches!(self.phase, Phase::Login { packed: true, .. });
            self.phase = if packed { Phase::Packed } else { Phase::Commands };
            self.schema = None;
        }
        if is_request {
            // A command that is out of sight may change the schema, and begin its numbers anew.
            self.forget();
        }
        match self.open.back_mut() {
            Some(open) if !self.ahead => {
                open.maybe = false;
                if is_request {
                    open.hides();
                    open.call.asked(bytes, moved);
                } else {
                    open.call.moved(bytes, moved);
                }
                cx.tally.body(bytes);
            }
            _ => self.skip(cx, bytes),
        }
    }

    /// A call passed while the position of its direction was not known, all of it captured: its last bytes may be the end.
    pub fn passed(&mut self, dir: Direction, bytes: &Bytes<'_>) {
        let tail = bytes.data.last_chunk::<8>().filter(|_| bytes.ends_call);
        if let (Some(tail), Some(open)) = (tail, self.open.back_mut())
            && dir != self.requests
        {
            open.maybe = packet::is_end_of_rows(tail);
        }
    }

    fn forget(&mut self) {
        self.schema = None;
        self.statements.clear();
        self.backslash = Backslash::Unknown;
    }

    /// The greeting and the login.
    fn introduces(
        &mut self,
        cx: &mut Context<'_>,
        is_request: bool,
        packet: &Packet<'_>,
        frame: &Frame<'_>,
    ) -> bool {
        match (self.phase, is_request) {
            (Phase::Greeting, false) => {
                let Some(greeting) = handshake::greeting(packet.payload) else {
                    self.skip(cx, frame.len);
                    return false;
                };
                self.understand(cx);
                self.phase = Phase::Login { capabilities: greeting.capabilities, packed: false };
                self.told(Some(greeting.status));
            }
            (Phase::Login { capabilities, .. }, true) if packet.number == 1 => {
                match handshake::reply(packet.payload, packet.is_whole(), capabilities) {
                    Some(Reply::Tls) => self.phase = Phase::Tls,
                    Some(Reply::Login { schema, compressed }) => {
                        self.schema = schema.and_then(|schema| cx.names.host(schema));
                        self.phase = Phase::Login { capabilities, packed: compressed };
                    }
                    None => self.phase = Phase::Dead,
                }
            }
            (Phase::Login { packed, .. }, false) if packet.payload.first() == Some(&0) => {
                self.told(packet::ok_status(packet.payload));
                self.phase = if packed { Phase::Packed } else { Phase::Commands };
            }
            _ => {}
        }
        if self.understood {
            cx.tally.head(frame.len);
        } else {
            self.skip(cx, frame.len);
        }
        true
    }

    /// The server told its status.
    fn told(&mut self, status: Option<u16>) {
        if let Some(status) = status {
            let plain = status & packet::status::NO_BACKSLASH != 0;
            self.backslash = if plain { Backslash::Plain } else { Backslash::Escapes };
        }
    }

    /// A packet of the client.
    fn asks(&mut self, cx: &mut Context<'_>, packet: &Packet<'_>, frame: &Frame<'_>) -> bool {
        if packet.number != 0 {
            // The rest of a command, a file, or what the server wants to know for CHANGE_USER.
            let known = self.open.back_mut().is_some_and(|open| open.continues(packet, frame));
            if known {
                cx.tally.body(frame.len);
            } else {
                self.skip(cx, frame.len);
            }
            return known;
        }
        let mut setting = Setting {
            schema: self.schema.as_ref(),
            backslash: self.backslash,
            statements: &self.statements,
            names: cx.names,
            limit: cx.limits.target,
        };
        let (head, shape, effect) = match command::read(packet.payload, !packet.is_whole(), &mut setting) {
            Command::Ask { head, shape, effect } => (head, shape, effect),
            Command::Tell { closes } => {
                if let Some(number) = closes {
                    self.statements.close(number);
                }
                if self.understood {
                    cx.tally.head(frame.len);
                } else {
                    self.skip(cx, frame.len);
                }
                return true;
            }
            Command::Unknown => {
                self.skip(cx, frame.len);
                return false;
            }
        };
        self.understand(cx);
        self.complete_maybe(cx);
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.skip(cx, frame.len);
            return false;
        }
        if let Effect::Prepare(statement) = &effect {
            self.statements.asked(statement);
        }
        self.ahead |= !self.open.is_empty();
        cx.tally.head(frame.len);
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let mut call = self.calls.ask(cx, self.requests, begun, frame.stamp, frame.len, head);
        // The rest of it was only counted.
        call.asked(0, frame.last);
        self.open.push_back(Open::new(call, shape, effect, packet.number, packet.len == LONGEST));
        !self.phase.is_opaque()
    }

    /// A packet of the server.
    fn answers(&mut self, cx: &mut Context<'_>, packet: &Packet<'_>, frame: &Frame<'_>) -> bool {
        let Some(open) = self.open.front_mut() else {
            // Its command was out of sight; or the server says that it will close the connection.
            self.understand(cx);
            cx.tally.unrequested = cx.tally.unrequested.saturating_add(u64::from(packet.number <= 1));
            cx.tally.skip(Skip::Unrequested, frame.len);
            return true;
        };
        let next = open.answered(cx, packet, frame, &mut self.eof);
        if next == Next::Wrong {
            // Its bytes were counted for the answer if its number was right.
            self.skip(cx, frame.len);
            return false;
        }
        cx.tally.body(frame.len);
        if next == Next::Over
            && let Some(open) = self.open.pop_front()
        {
            self.told(open.status());
            self.works(&open);
            open.complete(cx);
        }
        true
    }

    /// The client goes on, so what may have been the end of an answer was it.
    fn complete_maybe(&mut self, cx: &mut Context<'_>) {
        while self.open.front().is_some_and(|open| open.maybe)
            && let Some(open) = self.open.pop_front()
        {
            self.works(&open);
            open.complete(cx);
        }
    }

    /// What a command that was answered changes.
    fn works(&mut self, open: &Open) {
        if open.failed() {
            // Of several statements the first may have succeeded.
            if let Effect::Schema(_) = open.effect {
                self.schema = None;
            }
            return;
        }
        match &open.effect {
            Effect::None => {}
            Effect::Schema(schema) => self.schema.clone_from(schema),
            Effect::Prepare(statement) => {
                if let Some(number) = open.statement() {
                    self.statements.add(number, Arc::clone(statement));
                }
            }
            Effect::Reset => self.statements.clear(),
            Effect::User(schema) => {
                self.statements.clear();
                self.schema.clone_from(schema);
            }
        }
    }

    /// A command begins where nothing can be open any more. `lost`: which answers have been seen is not known.
    pub fn settle(&mut self, cx: &mut Context<'_>, at: Nanos, lost: bool) {
        for open in std::mem::take(&mut self.open) {
            self.unsettle(&open.effect);
            open.settle(cx, at);
        }
        if lost && self.ahead {
            self.phase = Phase::Dead;
        }
    }

    /// Whether a command succeeded is not known.
    fn unsettle(&mut self, effect: &Effect) {
        match effect {
            Effect::None | Effect::Prepare(_) => {}
            Effect::Schema(_) => self.schema = None,
            Effect::Reset => self.statements.clear(),
            Effect::User(_) => self.forget(),
        }
    }

    /// The position is lost in both directions.
    pub fn desync(&mut self, cx: &mut Context<'_>, at: Nanos) {
        for mut open in std::mem::take(&mut self.open) {
            open.maybe = false;
            open.settle(cx, at);
        }
        self.forget();
        if self.ahead {
            self.phase = Phase::Dead;
        }
        if let Phase::Greeting | Phase::Login { .. } = self.phase {
            let packed = matches!(self.phase, Phase::Login { packed: true, .. });
            self.phase = if packed { Phase::Packed } else { Phase::Commands };
        }
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
    }

    /// The connection (`closed`) or the capture is over. `lost`: the position of the answers is not known; `rest`: a packet of the
    /// server that is not over.
    pub fn end(
        &mut self,
        cx: &mut Context<'_>,
        at: Nanos,
        closed: bool,
        lost: bool,
        rest: (&[u8], Stamp, u32),
    ) {
        if let Some(open) = self.open.front_mut().filter(|_| !rest.0.is_empty()) {
            open.unfinished(cx, rest.0, (rest.1, rest.2));
        }
        for open in std::mem::take(&mut self.open) {
            if lost || open.maybe {
                open.settle(cx, at);
            } else {
                open.call.cut(cx, at, closed);
            }
        }
    }
}
