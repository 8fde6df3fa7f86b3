//! Messages that went through a broker: who sent what somebody takes.
//!
//! Nothing joins the two ends but what the message says ([`crate::exchange::Handover`]). Who takes a message is the child of who sent it
//! if exactly one sender is known for everything that it took, among all messages of the last [`AGE`]; else nothing is linked, and the
//! candidates are named. A sender whose span was given out before is remembered by its ids.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::id::{SpanId, TraceId};
use crate::arena::Key;
use crate::exchange::{Protocol, Side};
use crate::time::Nanos;

/// Messages that are remembered, about 100 bytes each, and for how long, ns.
const MAX_MESSAGES: usize = 1 << 16;
const AGE: u64 = 600_000_000_000;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// Its span is still open to children.
    Here(Key, SpanId),
    /// It was given out.
    Gone(TraceId, SpanId),
}

impl Sender {
    /// The id of its span.
    pub fn span(self) -> SpanId {
        match self {
            Sender::Here(_, span) | Sender::Gone(_, span) => span,
        }
    }
}

/// What is known of the sender of what was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody was seen to send it.
    Unknown,
    /// This one.
    One(Sender),
    /// Which of these is not known; or it was taken before.
    Several(Vec<SpanId>),
}

/// A message that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    sender: Sender,
    side: Side,
    /// How often it was sent, as far as senders' ends saw, and as the broker's end saw.
    by_clients: u8,
    by_servers: u8,
    is_taken: bool,
}

/// The messages of the last minutes.
#[derive(Debug, Default)]
pub(super) struct Messages {
    sent: FxHashMap<u64, Sent>,
    order: VecDeque<(Nanos, u64)>,
}

impl Messages {
    /// A message was sent: the record of the exchange is `sender`, observed from this side of the connection to the broker.
    pub fn send(&mut self, key: u64, at: Nanos, side: Side, sender: Sender) {
        while let Some((first, old)) = self.order.front().copied()
            && (self.order.len() >= MAX_MESSAGES || at.since(first) >= AGE)
        {
            self.order.pop_front();
            self.sent.remove(&old);
        }
        let sent = self.sent.entry(key).or_insert_with(|| {
            self.order.push_back((at, key));
            Sent { sender, side, by_clients: 0, by_servers: 0, is_taken: false }
        });
        let count = match side {
            Side::Client => &mut sent.by_clients,
            Side::Server => &mut sent.by_servers,
        };
        *count = count.saturating_add(1);
        if (sent.side, side) == (Side::Server, Side::Client) {
            // Whoever sent it, not the broker that received it.
            (sent.sender, sent.side) = (sender, side);
        }
    }

    /// The span of a sender is given out.
    pub fn give(&mut self, key: u64, trace: TraceId, span: SpanId) {
        if let Some(sent) = self.sent.get_mut(&key)
            && sent.sender.span() == span
        {
            sent.sender = Sender::Gone(trace, span);
        }
    }

    /// Messages were taken: `count` of them, of which these have keys.
    pub fn take(&mut self, protocol: Protocol, count: u32, keys: &[u64]) -> Origin {
        let (mut senders, mut is_sure) = (Vec::new(), count as usize == keys.len());
        for key in keys {
            let Some(sent) = self.sent.get_mut(key) else {
                is_sure = false;
                continue;
            };
            // An exchange may hand one message to many. An element of a list goes to one.
            let again = std::mem::replace(&mut sent.is_taken, true) && protocol != Protocol::Amqp;
            is_sure &= sent.by_clients.max(sent.by_servers) == 1 && !again;
            if !senders.contains(&sent.sender) {
                senders.push(sent.sender);
            }
        }
        match senders.as_slice() {
            [] => Origin::Unknown,
            [sender] if is_sure => Origin::One(*sender),
            several => Origin::Several(several.iter().map(|sender| sender.span()).collect()),
        }
    }

    /// How many are remembered.
    pub fn held(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(number: u64) -> Sender {
        Sender::Gone(TraceId(number.into()), SpanId(number))
    }

    #[test]
    fn one_sender_and_one_taker_belong_together() {
        let mut all = Messages::default();
        all.send(7, Nanos(1), Side::Client, gone(1));
        // The broker's end of the same.
        all.send(7, Nanos(2), Side::Server, gone(2));
        assert_eq!(all.take(Protocol::Redis, 1, &[8]), Origin::Unknown);
        assert_eq!(all.take(Protocol::Redis, 1, &[7]), Origin::One(gone(1)));
        assert_eq!(all.take(Protocol::Redis, 1, &[7]), Origin::Several(vec![SpanId(1)]), "taken twice");
    }

    #[test]
    fn an_exchange_may_hand_a_message_to_many() {
        let mut all = Messages::default();
        all.send(7, Nanos(1), Side::Client, gone(1));
        for _ in 0..3 {
            assert_eq!(all.take(Protocol::Amqp, 1, &[7]), Origin::One(gone(1)));
        }
    }

    #[test]
    fn what_was_sent_twice_has_no_sender() {
        for sides in [[Side::Client, Side::Client], [Side::Server, Side::Server]] {
            let mut all = Messages::default();
            for (at, side) in sides.into_iter().enumerate() {
                all.send(7, Nanos(1), side, gone(at as u64 + 1));
            }
            assert_eq!(all.take(Protocol::Amqp, 1, &[7]), Origin::Several(vec![SpanId(1)]));
        }
    }

    #[test]
    fn several_messages_have_a_sender_only_if_it_is_the_same() {
        let mut all = Messages::default();
        for (key, sender) in [(1, 1), (2, 1), (3, 2)] {
            all.send(key, Nanos(1), Side::Client, gone(sender));
        }
        assert_eq!(all.take(Protocol::Amqp, 2, &[1, 2]), Origin::One(gone(1)));
        assert_eq!(all.take(Protocol::Amqp, 3, &[1, 2]), Origin::Several(vec![SpanId(1)]), "one has no name");
        assert_eq!(all.take(Protocol::Amqp, 2, &[1, 3]), Origin::Several(vec![SpanId(1), SpanId(2)]));
    }

    #[test]
    fn a_sender_that_was_given_out_is_remembered_for_a_while() {
        let mut all = Messages::default();
        let mut arena = crate::arena::Arena::default();
        all.send(7, Nanos(1), Side::Client, Sender::Here(arena.insert(0), SpanId(5)));
        all.give(7, TraceId(1), SpanId(6));
        all.give(7, TraceId(2), SpanId(5));
        assert_eq!(all.take(Protocol::Amqp, 1, &[7]), Origin::One(Sender::Gone(TraceId(2), SpanId(5))));
        all.send(8, Nanos(1 + AGE), Side::Client, gone(1));
        assert_eq!(all.take(Protocol::Amqp, 1, &[7]), Origin::Unknown);
        assert_eq!(all.held(), 1);
    }
}
