//! One channel: its calls, the messages that go through it, and those that wait to be confirmed or acknowledged.

use std::collections::VecDeque;

use super::PATIENCE;
use super::content::Destination;
use crate::exchange::{Outcome, RequestHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::{Begun, Call};
use crate::time::Nanos;

/// Consumers of a channel of which it is kept whether they acknowledge.
const MAX_TAGS: usize = 64;

/// A call that waits for its answer.
#[derive(Debug)]
pub(super) struct Ask {
    /// Class, and the numbers of the methods that answer it.
    pub class: u16,
    /// The usual one.
    pub answer: u16,
    /// The other one; 0: there is none.
    pub other: u16,
    /// `basic.get`, `basic.consume`: what comes is not acknowledged.
    pub no_ack: bool,
    /// Which call of the channel it is.
    pub serial: u64,
    /// It.
    pub call: Call,
}

/// The last call of a kind that asks for no answer. It may fail all the same.
#[derive(Clone, Copy, Debug)]
struct Hasty {
    /// Class, and the number of the method that would answer it.
    kind: (u16, u16),
    /// Which call of the channel it is.
    serial: u64,
    at: Nanos,
}

/// What a method said of the message whose content follows it.
#[derive(Clone, Debug)]
pub(super) enum Method {
    /// `basic.publish`.
    Publish,
    /// `basic.deliver`, `basic.get-ok`.
    Deliver { tag: u64, no_ack: bool, redelivered: bool },
    /// `basic.return`: a message comes back to who sent it.
    Return,
}

/// A message of which the content is on its way.
#[derive(Debug)]
pub(super) struct Content {
    pub method: Method,
    pub destination: Destination,
    /// Where its first frame began.
    pub begun: Begun,
    /// Bytes of its frames so far.
    pub bytes: u64,
    /// Bytes of content that are missing; `None`: the header has not come.
    pub left: Option<u64>,
    /// What will be told of it.
    pub head: Option<RequestHead>,
    /// It has been told.
    pub call: Option<Call>,
}

/// A channel.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub asks: VecDeque<Ask>,
    /// From the client, and from the server.
    pub contents: [Option<Content>; 2],
    /// It was opened in sight, and nothing of the client has been missed since.
    pub is_fresh: bool,
    /// The number of the next message that is published, where the broker confirms them.
    pub confirms: Option<u64>,
    /// Calls so far.
    pub serial: u64,
    hasty: Vec<Hasty>,
    pub unconfirmed: VecDeque<(u64, Call)>,
    /// Messages that are being worked on, by the numbers of their deliveries, which rise.
    pub taken: VecDeque<(u64, Call)>,
    /// Something was acknowledged.
    pub acks: bool,
    consumers: Vec<(Box<[u8]>, bool)>,
    /// Of the message that was fetched last (`basic.get`), whether it is not acknowledged.
    got_no_ack: bool,
}

impl Channel {
    /// Calls and messages that are open.
    pub(super) fn open(&self) -> usize {
        self.asks.len() + self.unconfirmed.len() + self.taken.len()
    }

    /// Whether somebody waits for the other side.
    pub(super) fn is_busy(&self) -> bool {
        !self.asks.is_empty() || !self.unconfirmed.is_empty()
    }

    /// Whether a consumer does not acknowledge is known.
    pub(super) fn consumes(&mut self, tag: &[u8], no_ack: bool) {
        if let Some((_, known)) = self.consumers.iter_mut().find(|(known, _)| **known == *tag) {
            *known = no_ack;
        } else if self.consumers.len() < MAX_TAGS {
            self.consumers.push((tag.into(), no_ack));
        }
    }

    /// Whether a consumer does not acknowledge. Of one that is not known that is believed until something is acknowledged.
    pub(super) fn is_no_ack(&self, tag: &[u8]) -> bool {
        let known = self.consumers.iter().find(|(known, _)| **known == *tag);
        known.map_or(!self.acks, |(_, no_ack)| *no_ack)
    }

    /// A message was fetched.
    pub(super) fn got_no_ack(&mut self, no_ack: bool) {
        self.got_no_ack = no_ack;
    }

    /// Whether the message that was fetched last is not acknowledged.
    pub(super) fn is_got_no_ack(&self) -> bool {
        self.got_no_ack
    }

    /// Whether a call of a kind may be waiting, or have failed.
    pub(super) fn has_asked(&self, kind: (u16, u16), now: Nanos) -> bool {
        self.is_hasty(kind, now) || self.asks.iter().any(|ask| (ask.class, ask.answer) == kind)
    }

    /// A call asks for no answer.
    pub(super) fn hastens(&mut self, kind: (u16, u16), at: Nanos) {
        self.hasty.retain(|hasty| hasty.kind != kind);
        self.hasty.push(Hasty { kind, serial: self.serial, at });
    }

    /// A call is answered: those before it did not fail.
    pub(super) fn reached(&mut self, serial: u64) {
        self.hasty.retain(|hasty| hasty.serial > serial);
    }

    /// Whether a call of a kind that asks for no answer may still fail.
    fn is_hasty(&self, kind: (u16, u16), now: Nanos) -> bool {
        self.hasty.iter().any(|hasty| hasty.kind == kind && now.since(hasty.at) < PATIENCE)
    }

    /// Takes out the call that a failure of that kind answers: the first that waits, for calls are worked on in their order. Unless it
    /// may be one that asked for no answer.
    pub(super) fn take_failed(&mut self, kind: (u16, u16), now: Nanos) -> Option<Ask> {
        let at = self.asks.iter().position(|ask| (ask.class, ask.answer) == kind)?;
        if self.is_hasty(kind, now) { None } else { self.asks.remove(at) }
    }

    /// All that is open ends, because its answers were lost, or (`is_client`) frames of the client. How its consumers work is still known.
    pub(super) fn lose(&mut self, cx: &mut Context<'_>, at: Nanos, is_client: bool) {
        for ask in std::mem::take(&mut self.asks) {
            ask.call.lose(cx, at);
        }
        self.end_messages(cx, at, Outcome::EndUnframed);
        if is_client {
            self.confirms = None;
            self.is_fresh = false;
        }
    }

    /// The connection (`closed`) or the capture is over.
    pub(super) fn cut(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        for ask in std::mem::take(&mut self.asks) {
            ask.call.cut(cx, at, closed);
        }
        let outcome = if closed { Outcome::EndUnframed } else { Outcome::Pending };
        self.end_messages(cx, at, outcome);
    }

    fn end_messages(&mut self, cx: &mut Context<'_>, at: Nanos, outcome: Outcome) {
        let sent =
            std::mem::take(&mut self.contents).into_iter().flatten().filter_map(|content| content.call);
        let unconfirmed = std::mem::take(&mut self.unconfirmed).into_iter().map(|(_, call)| call);
        for call in sent.chain(unconfirmed) {
            let at = call.request_end();
            call.end(cx, outcome, at, Trailer::default());
        }
        self.end_taken(cx, at, outcome);
    }

    /// Nobody will say any more that messages are worked on.
    pub(super) fn end_taken(&mut self, cx: &mut Context<'_>, at: Nanos, outcome: Outcome) {
        for (_, call) in std::mem::take(&mut self.taken) {
            let at = at.max(call.request_end());
            call.end(cx, outcome, at, Trailer::default());
        }
    }
}

/// Takes out what a number, and with `multiple` all before it (0: all), stands for, and gives it to `each`.
pub(super) fn settle(
    waiting: &mut VecDeque<(u64, Call)>,
    tag: u64,
    multiple: bool,
    mut each: impl FnMut(Call),
) {
    if !multiple {
        let at = waiting.iter().position(|(number, _)| *number == tag);
        if let Some((_, call)) = at.and_then(|at| waiting.remove(at)) {
            each(call);
        }
        return;
    }
    while let Some((number, _)) = waiting.front()
        && (tag == 0 || *number <= tag)
    {
        if let Some((_, call)) = waiting.pop_front() {
            each(call);
        }
    }
}
