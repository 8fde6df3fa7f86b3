//! A command that is open, and what is known of its answer.

use std::sync::Arc;

use super::answer::{Answer, Next, Shape};
use super::command::Effect;
use super::packet::{HEADER, Packet};
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::Call;
use crate::protocol::frames::Frame;
use crate::time::Nanos;

/// A command without the end of its answer.
pub(super) struct Open {
    pub call: Call,
    pub effect: Effect,
    answer: Answer,
    /// The number of the packet that comes next, whoever sends it. `None`: some were out of sight.
    next: Option<u8>,
    /// The client sends a file.
    pub uploads: bool,
    /// What was seen last may have been the end of the answer.
    pub maybe: bool,
    /// The last of a packet of full length has not come yet.
    asking: bool,
}

impl Open {
    /// A command that was told. `continues`: its packet goes on in the next one.
    pub fn new(call: Call, shape: Shape, effect: Effect, number: u8, continues: bool) -> Open {
        Open {
            call,
            effect,
            answer: Answer::new(shape),
            next: Some(number.wrapping_add(1)),
            uploads: false,
            maybe: false,
            asking: continues,
        }
    }

    /// More of the command, or what the client sends while it is being answered. False: it does not belong to it.
    pub fn continues(&mut self, packet: &Packet<'_>, frame: &Frame<'_>) -> bool {
        if !self.is_next(packet) {
            return false;
        }
        self.asking &= packet.len == super::packet::LONGEST;
        // An empty packet is the end of a file.
        self.uploads &= packet.len > 0;
        self.call.asked(frame.len, frame.last);
        true
    }

    /// Whether the packet's number is the next one.
    fn is_next(&mut self, packet: &Packet<'_>) -> bool {
        let fits = self.next.is_none_or(|next| next == packet.number);
        self.next = Some(packet.number.wrapping_add(1));
        fits
    }

    /// Packets of the client were out of sight.
    pub fn hides(&mut self) {
        (self.next, self.asking, self.uploads) = (None, false, false);
    }

    /// A packet of the answer.
    pub fn answered(
        &mut self,
        cx: &mut Context<'_>,
        packet: &Packet<'_>,
        frame: &Frame<'_>,
        eof: &mut Option<bool>,
    ) -> Next {
        if self.asking || self.uploads || !self.is_next(packet) {
            return Next::Wrong;
        }
        self.call.moved(frame.len, frame.last);
        let next = self.answer.packet(packet, eof);
        if next != Next::Wrong {
            let error = self.error().filter(|_| !self.call.is_answered());
            self.call.answer(cx, frame.first, frame.seq, ResponseHead { error, ..ResponseHead::default() });
        }
        self.uploads = next == Next::File;
        self.maybe = next == Next::Maybe;
        next
    }

    /// The answer begins with this packet, of which only the beginning is there and the end will not come.
    pub fn unfinished(&mut self, cx: &mut Context<'_>, bytes: &[u8], begun: (crate::event::Stamp, u32)) {
        if bytes.get(HEADER - 1).is_some_and(|number| self.next.is_none_or(|next| next == *number)) {
            self.call.answer(cx, begun.0, begun.1, ResponseHead::default());
        }
    }

    /// The code of the error that the answer is or ends with: the server's number for it.
    fn error(&self) -> Option<Arc<str>> {
        self.answer.error.map(|code| Arc::from(code.to_string()))
    }

    pub fn failed(&self) -> bool {
        self.answer.error.is_some()
    }

    /// The status that the server told last.
    pub fn status(&self) -> Option<u16> {
        self.answer.status
    }

    /// The number of the statement that was prepared.
    pub fn statement(&self) -> Option<u32> {
        self.answer.statement
    }

    /// The answer is over.
    pub fn complete(self, cx: &mut Context<'_>) {
        let (at, error) = (self.call.response_end(), self.error());
        self.call.end(cx, Outcome::Complete, at, Trailer { status: None, error });
    }

    /// It was answered, if at all, before `at`; where the answer ended is out of sight unless it may have been seen.
    pub fn settle(self, cx: &mut Context<'_>, at: Nanos) {
        if self.maybe && self.call.is_answered() {
            self.complete(cx);
            return;
        }
        let seen = self.call.response_end();
        self.call.lose(cx, if seen.0 > 0 { seen } else { at });
    }
}
