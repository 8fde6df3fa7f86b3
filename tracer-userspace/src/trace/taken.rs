//! What the engine does with messages: notes who sends them, and links who takes them.

use super::engine::Engine;
use super::id::SpanId;
use super::messages::{Origin, Sender};
use super::record::MAX_CANDIDATES;
use crate::arena::Key;
use crate::causality::{CallKind, Evidence, EvidenceSet, Reason};
use crate::exchange::{ExchangeId, Handing, Protocol};

impl Engine {
    /// An exchange may put messages into a broker.
    pub(super) fn send(&mut self, key: Key) {
        let Some(record) = self.forest.get(key) else { return };
        let Some(handover) = record.head.handover().filter(|all| all.handing == Handing::Given) else {
            return;
        };
        let sender = Sender::Here(key, SpanId::derive(record.id, record.first));
        for message in &handover.keys {
            self.messages.send(*message, record.first, record.side, sender);
        }
    }

    /// Whether it takes messages from a broker.
    pub(super) fn is_taken(&self, key: Key) -> bool {
        self.forest.get(key).is_some_and(|record| record.head.is_taken())
    }

    /// Messages were taken: whoever sent them is the parent. What the thread does next is work on them, unless it took them in the
    /// middle of a request.
    pub(super) fn taken(&mut self, key: Key) {
        let call = self.call_that_took(key);
        let Some(record) = self.forest.get_mut(key) else { return };
        let (first, stamp) = (record.first, record.stamp);
        let asked_by = call.is_some_and(|call| self.causality.is_of_request(&call));
        if !asked_by {
            let kind = CallKind::of(0, &record.head);
            record.owner = self.causality.message_read(key, kind, first, stamp, &record.head);
            if record.owner.is_some() {
                self.joint.request(stamp.tgid, key, kind, first, stamp);
            }
        }
        self.link_to_sender(key);
    }

    /// The call that a message was the answer of, where it is one: the exchange before it on its connection.
    fn call_that_took(&self, key: Key) -> Option<crate::causality::CallState> {
        let record = self.forest.get(key).filter(|record| record.head.protocol == Protocol::Redis)?;
        let before = ExchangeId { number: record.id.number.checked_sub(1)?, ..record.id };
        self.call_state(before)
    }

    fn link_to_sender(&mut self, key: Key) {
        let Some(record) = self.forest.get(key) else { return };
        let Some(handover) = record.head.handover() else { return };
        let evidence = EvidenceSet::from(Evidence::Message);
        let sender = match self.messages.take(record.head.protocol, handover.count, &handover.keys) {
            Origin::Unknown => return,
            Origin::Several(spans) => return self.name_senders(key, &spans),
            Origin::One(sender) if evidence.confidence() < self.settings.min_confidence => {
                return self.name_senders(key, &[sender.span()]);
            }
            Origin::One(sender) => sender,
        };
        match sender {
            Sender::Here(parent, _) if self.forest.attach(key, parent).is_ok() => {}
            Sender::Here(_, span) => return self.name_senders(key, &[span]),
            Sender::Gone(trace, span) => {
                if let Some(record) = self.forest.get_mut(key) {
                    record.sender = Some((trace, span));
                }
            }
        }
        self.stats.messages += 1;
        if let Some(record) = self.forest.get_mut(key) {
            (record.evidence, record.confidence) = (evidence, evidence.confidence());
        }
    }

    /// Nobody is known to be the only sender.
    fn name_senders(&mut self, key: Key, spans: &[SpanId]) {
        let share = 0.99 / (spans.len().max(2) as f32);
        let Some(record) = self.forest.get_mut(key) else { return };
        record.candidates = spans.iter().take(MAX_CANDIDATES).map(|span| (*span, share)).collect();
        record.reason = Some(Reason::Senders);
    }
}
