//! The client/server protocol of MySQL and MariaDB (MySQL Internals; MariaDB's "Client/Server Protocol").
//!
//! The server greets, the client logs in, and then commands and answers alternate. Neither the greeting nor the login is told, nor
//! commands that nobody answers. Commands that are sent ahead (MariaDB's connectors do it) are answered in their order. The packets
//! of a command and its answer are numbered; where a number is not the next one nothing that is open is believed any more.
//!
//! # What is out of sight
//!
//! A large answer is cut off, and its end is then the last byte before the next command: commands and answers alternate. That is
//! certain unless the client has sent commands ahead; a connection on which one did is given up when an answer's position is
//! lost. Where its last bytes are the end of a result set, or the position was never lost, an answer is `Complete`.
//! It is also assumed that nobody writes the next command while another thread still reads the answer before: no client library
//! lets a connection be used so.
//! After a loss the next certain point is a call that begins with packet number 0 after bytes of the server.
//!
//! What was prepared out of sight, or before a loss, is not known: the request is then `EXECUTE` without a statement.
//! A connection that is encrypted or compressed after its login is counted, and not read.

mod answer;
mod command;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod handshake;
mod join;
mod open;
mod packet;
mod statements;
mod talk;

#[cfg(test)]
mod tests;

use super::frames::Frames;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::time::Nanos;
pub use join::recognise;
use packet::Packets;
use talk::{Phase, Talk};

/// Bytes of a packet that are kept while it is not over: as much as is captured of a call.
const KEPT: usize = 8 * 1024 + 64;

/// MySQL on one connection end.
pub struct MySql {
    rx: Frames,
    tx: Frames,
    talk: Talk,
    /// In which direction bytes moved last.
    moved: Option<Direction>,
    /// Packets are read in two calls, the header first: the second call must be captured as far as the first.
    split: bool,
}

impl MySql {
    fn new(requests: Direction, phase: Phase, moved: Option<Direction>) -> MySql {
        MySql {
            rx: Frames::new(KEPT, true),
            tx: Frames::new(KEPT, true),
            talk: Talk::new(requests, phase),
            moved,
            split: false,
        }
    }

    /// A call begins in the direction of the commands. Finds the position again where it was lost.
    fn resume(&mut self, cx: &mut Context<'_>, data: &[u8], at: Nanos) {
        let (requests, answers) = match self.talk.requests {
            Direction::Rx => (&mut self.rx, &mut self.tx),
            Direction::Tx => (&mut self.tx, &mut self.rx),
        };
        if self.moved == Some(self.talk.requests) || !(requests.is_lost() || answers.is_lost()) {
            return;
        }
        // Within a packet its framing decides.
        let starts = matches!(data, [_, _, _, 0])
            || matches!(data, [_, _, _, 0, command, ..] if command::is_command(*command));
        if requests.pending() > 0 || !starts {
            return;
        }
        self.talk.settle(cx, at, answers.is_lost());
        requests.resume();
        let bytes = answers.resume();
        cx.skip(self.talk.understood, Skip::Desync, bytes);
        cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
    }

    /// Nothing can be read any more.
    fn give_up(&mut self, cx: &mut Context<'_>) {
        let bytes = self.rx.lose().saturating_add(self.tx.lose());
        self.talk.skip(cx, bytes);
    }
}

impl Parser for MySql {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let (len, at) = match &piece {
            Piece::Bytes(bytes) => (bytes.data.len() as u64, bytes.stamp.at),
            Piece::Gap(gap) => (gap.len, gap.last),
        };
        if self.talk.phase.is_opaque() {
            self.talk.skip(cx, len);
            return;
        }
        if let Piece::Bytes(bytes) = &piece
            && dir == self.talk.requests
        {
            self.split |= bytes.call_len == packet::HEADER as u64;
            self.resume(cx, bytes.data, bytes.stamp.at);
        }
        let frames = if dir == Direction::Rx { &mut self.rx } else { &mut self.tx };
        let (talk, was_lost) = (&mut self.talk, frames.is_lost());
        let mut wrong = false;
        frames.feed(&Packets, piece, &mut |cut| match wrong {
            true => talk.pass(cx, &cut),
            false => wrong = !talk.cut(cx, dir, cut),
        });
        if wrong {
            // What is in sight contradicts what was thought to be known.
            self.talk.desync(cx, at);
            self.give_up(cx);
        } else if was_lost && let Piece::Bytes(bytes) = &piece {
            self.talk.passed(dir, bytes);
        }
        if len > 0 {
            self.moved = Some(dir);
        }
        if self.talk.phase.is_opaque() {
            self.give_up(cx);
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.talk.desync(cx, at);
        self.give_up(cx);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let answers = if self.talk.requests == Direction::Rx { &self.tx } else { &self.rx };
        let (first, seq, _) = answers.begun();
        self.talk.end(cx, at, closed, answers.is_lost(), (answers.unfinished(), first, seq));
        let bytes = self.rx.lose().saturating_add(self.tx.lose());
        cx.skip(self.talk.understood, Skip::Incomplete, bytes);
    }

    fn understood(&self) -> bool {
        self.talk.understood
    }

    fn pending(&self) -> u64 {
        self.rx.pending().saturating_add(self.tx.pending())
    }

    fn interest(&self) -> Interest {
        match self.talk.phase {
            phase if phase.is_opaque() => Interest::Nothing,
            _ if self.split => Interest::Everything,
            _ => Interest::Calls,
        }
    }

    fn is_busy(&self) -> bool {
        self.talk.is_busy()
    }
}
