//! How the engine makes links: partners that meet, verdicts that are carried out at once or when their question is
//! answered.

use std::cmp::Reverse;

use super::engine::Engine;
use super::id::SpanId;
use super::join::{Meeting, Place};
use super::record::{MAX_CANDIDATES, Question};
use crate::arena::Key;
use crate::causality::joint::Decision;
use crate::causality::{Evidence, EvidenceSet, Hold, Link, Reason, Settled, Verdict};
use crate::exchange::Side;
use crate::time::Nanos;

/// A call waits this long for several requests that are being answered to end; then it is undecided.
const PATIENCE: u64 = 2_000_000_000;
/// Stamps of the two ends of one connection contradict their true order by less than this.
const SKEW: u64 = 50_000_000;

impl Engine {
    /// A request looks for its partner by its position in the stream.
    pub(super) fn meet_at_request(&mut self, key: Key) {
        let Some(record) = self.forest.get(key) else { return };
        let Some(place) = record.place().filter(|_| !record.join.shifted) else { return };
        match self.joins.come(place, record.side, key) {
            Meeting::Alone => {}
            Meeting::Partner(partner) => self.join(key, partner, Evidence::Connection.into()),
            Meeting::Crowd => self.stats.join_ambiguous += 1,
        }
    }

    /// One that has not found it by then looks again, when its response begins.
    pub(super) fn meet_at_response(&mut self, key: Key, now: Nanos) {
        let Some(record) = self.forest.get_mut(key) else { return };
        let (Some(response), None) = (record.response.as_ref(), record.partner) else { return };
        let connection = EvidenceSet::from(Evidence::Connection);
        match record.flow.filter(|_| record.join.shifted) {
            Some(flow) => {
                record.join.queued = true;
                let (side, id) = (record.side, record.id);
                let forest = &self.forest;
                let meeting =
                    self.in_order.come(flow, side, (id, key), |other| is_same_call(forest, key, other));
                match meeting {
                    Meeting::Alone => {}
                    Meeting::Partner(other) => self.join(key, other, connection.with(Evidence::Order)),
                    Meeting::Crowd => self.stats.join_ambiguous += 1,
                }
            }
            None if record.port.is_some() || record.peer == super::Peer::Unix || record.join.translated => {}
            None => {
                record.join.translated = true;
                let place = Place::Translated { request: record.seq, response: response.seq };
                match self.joins.come(place, record.side, key) {
                    Meeting::Alone => {}
                    Meeting::Partner(other) => {
                        if is_same_call(&self.forest, key, other) {
                            self.join(key, other, connection.with(Evidence::Translated));
                        }
                    }
                    Meeting::Crowd => self.stats.join_ambiguous += 1,
                }
            }
        }
        self.wait_for_partner(key, now);
    }

    fn join(&mut self, one: Key, other: Key, evidence: EvidenceSet) {
        let side = self.forest.get(one).map(|record| record.side);
        let (client, server) = if side == Some(Side::Client) { (one, other) } else { (other, one) };
        let (Some(c), Some(s)) = (self.forest.get(client), self.forest.get(server)) else { return };
        // A request cannot have been answered before it was made: then it is another one at the same position.
        let possible = s.response.as_ref().is_none_or(|response| c.first.since(response.at) < SKEW);
        // A question that is forwarded under the same number, by chance, was read before it was asked on.
        let skew = if c.stamp.tgid == s.stamp.tgid { 0 } else { SKEW };
        let possible = possible && (c.port.is_none() || c.first.since(s.first) <= skew);
        if c.partner.is_some()
            || s.partner.is_some()
            || !possible
            || self.forest.attach(server, client).is_err()
        {
            self.stats.join_ambiguous += 1;
            return;
        }
        self.stats.joined += 1;
        self.stats.joined_translated += u64::from(evidence.has(Evidence::Translated));
        self.stats.joined_in_order += u64::from(evidence.has(Evidence::Order));
        if let Some(record) = self.forest.get_mut(server) {
            record.evidence = evidence;
            record.confidence = evidence.confidence();
        }
        for (one, other) in [(client, server), (server, client)] {
            if let Some(record) = self.forest.get_mut(one) {
                record.partner = Some(other);
                if std::mem::replace(&mut record.join.held, false) {
                    self.forest.release(one);
                }
            }
        }
    }

    /// A request without partner is not given out for a while from now on. For a server that begins with the
    /// request; for a client with the response, because the server's stamp of writing it can be the later one.
    pub(super) fn wait_for_partner(&mut self, key: Key, now: Nanos) {
        self.wait_for_partner_until(key, Nanos(now.0.saturating_add(self.limits.join_grace_unseen)));
    }

    /// A client that gave up and closed. The server may still have the request before it, behind others.
    pub(super) fn wait_for_late_server(&mut self, key: Key, now: Nanos) {
        self.wait_for_partner_until(key, Nanos(now.0.saturating_add(self.limits.join_grace)));
    }

    fn wait_for_partner_until(&mut self, key: Key, until: Nanos) {
        let Some(record) = self.forest.get_mut(key) else { return };
        if record.partner.is_some() {
            return;
        }
        record.join.until = until;
        if !std::mem::replace(&mut record.join.held, true) {
            self.forest.hold(key);
            self.timers.push(Reverse((until, key)));
        }
    }

    /// A timer of a record has run out.
    pub(super) fn timer(&mut self, key: Key, now: Nanos) {
        let Some(record) = self.forest.get_mut(key) else { return };
        if record.join.held {
            let longest = Nanos(record.first.0.saturating_add(self.limits.join_grace));
            let sees_both = record.flow.is_some_and(|flow| self.conns.sees_both(flow));
            let until = if sees_both { record.join.until.max(longest) } else { record.join.until };
            if now < until {
                self.timers.push(Reverse((until, key)));
            } else {
                record.join.held = false;
                self.forest.release(key);
            }
            return;
        }
        if let Some(Question::Waiting { certain, answering }) = record.question.as_deref() {
            let count = answering.len() + usize::from(certain.is_some());
            if count > 1 {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.decline(key, Reason::Several(count));
            }
        }
    }

    /// Carries a verdict out.
    pub(super) fn judge(&mut self, call: Key, verdict: Verdict) {
        match verdict {
            Verdict::Nobody => {
                self.stats.ownerless += 1;
                self.weigh(call);
            }
            Verdict::Unknown(reason) => self.no_parent(call, reason),
            Verdict::Link(link) if link.hold == Hold::No => self.tell(call, &link),
            Verdict::Link(link) => self.ask(call, Question::Held(link)),
            Verdict::Wait { certain, answering } => {
                for link in &answering {
                    if let Some(parent) = self.forest.get_mut(link.parent) {
                        parent.waiters.push(call);
                    }
                }
                let first = self.forest.get(call).map_or(Nanos(0), |record| record.first);
                self.timers.push(Reverse((Nanos(first.0.saturating_add(PATIENCE)), call)));
                self.ask(call, Question::Waiting { certain, answering });
                // An answer that ended before this was asked does not come again.
                self.answer(call, false);
            }
        }
    }

    /// A link that was held back is settled.
    pub(super) fn settle(&mut self, Settled { call, accepted }: Settled) {
        let Some(Question::Held(link)) = self.forest.get(call).and_then(|record| record.question.as_deref())
        else {
            return;
        };
        let link = *link;
        if accepted {
            self.tell(call, &link);
            self.answered(call);
        } else {
            let reason = match link.hold {
                Hold::BeforeCapture => Reason::BeforeCapture,
                Hold::Prompt => Reason::PutOff,
                Hold::No | Hold::Affinity => Reason::NotAffine,
            };
            self.decline(call, reason);
        }
    }

    /// A request that was being answered has ended.
    pub(super) fn answer_waiters(&mut self, calls: Vec<Key>) {
        for call in calls {
            self.answer(call, false);
        }
    }

    /// The capture is over: who has not ended lasted.
    pub(super) fn answer_at_last(&mut self, call: Key) {
        self.answer(call, true);
    }

    /// Looks whether a waiting question can be answered.
    fn answer(&mut self, call: Key, at_last: bool) {
        let Some(record) = self.forest.get(call) else { return };
        let Some(Question::Waiting { certain, answering }) = record.question.as_deref() else { return };
        let (mut lasted, mut open, mut count) = (None, certain.is_none() && answering.is_empty(), 0);
        for link in certain.iter().chain(answering) {
            let end = self.forest.get(link.parent).map(|parent| parent.end.as_ref().map(|ended| ended.end));
            match end {
                Some(Some(end)) if end < record.first => continue,
                Some(None) if !at_last && Some(link) != certain.as_ref() => open = true,
                _ => {}
            }
            count += 1;
            lasted = Some(*link);
        }
        if open && count > 0 {
            return;
        }
        match (count, lasted) {
            (1, Some(link)) => match self.causality.admit(record.stamp.tgid, call, link.hold) {
                Some(true) => {
                    self.tell(call, &link);
                    self.answered(call);
                }
                Some(false) => self.decline(call, Reason::NotAffine),
                None => {
                    // The holds of the other candidates are not needed any more; this one's are.
                    self.forest.hold(call);
                    self.forest.hold(link.parent);
                    self.answered(call);
                    if let Some(record) = self.forest.get_mut(call) {
                        record.question = Some(Box::new(Question::Held(link)));
                    }
                }
            },
            (0, _) => self.decline(call, Reason::Ended),
            (several, _) => self.decline(call, Reason::Several(several)),
        }
    }

    /// Puts a question: the call and all who may become its parent are held until it is answered.
    fn ask(&mut self, call: Key, question: Question) {
        for parent in question.parents() {
            self.forest.hold(parent);
        }
        self.forest.hold(call);
        if let Some(record) = self.forest.get_mut(call) {
            record.question = Some(Box::new(question));
        }
    }

    /// Takes the question and its holds away.
    fn answered(&mut self, call: Key) {
        let Some(question) = self.forest.get_mut(call).and_then(|record| record.question.take()) else {
            return;
        };
        for parent in question.parents() {
            self.forest.release(parent);
        }
        self.forest.release(call);
    }

    fn decline(&mut self, call: Key, reason: Reason) {
        self.no_parent(call, reason);
        self.answered(call);
    }

    /// No single rule says whose a call is: it is weighed with all others of its time, where that may help.
    fn no_parent(&mut self, call: Key, reason: Reason) {
        self.stats.undecided += 1;
        let Some(record) = self.forest.get_mut(call) else { return };
        record.reason = Some(reason);
        if reason.is_final() { self.is(call, None) } else { self.weigh(call) }
    }

    /// A call is weighed with all others of its time.
    fn weigh(&mut self, call: Key) {
        let Some(record) = self.forest.get(call) else { return };
        if self.joint.wait(record.stamp.tgid, call) {
            self.forest.hold(call);
        }
    }

    /// A rule says whose a call is.
    fn is(&mut self, call: Key, parent: Option<Key>) {
        if let Some(record) = self.forest.get(call) {
            self.joint.is(record.stamp.tgid, call, parent);
        }
    }

    /// Calls that were weighed together.
    pub(super) fn decide(&mut self, now: Nanos, last: bool) {
        let outcome = self.joint.advance(now, last);
        for decision in outcome.decisions {
            self.weighed(decision);
        }
        for span in outcome.free {
            self.forest.release(span);
        }
    }

    fn weighed(&mut self, decision: Decision) {
        let call = decision.call;
        let Some(record) = self.forest.get_mut(call) else { return };
        if record.node.parent().is_some() || record.question.is_some() {
            return;
        }
        let Some((parent, confidence)) = decision.candidates.first().copied() else { return };
        record.confidence = confidence;
        if confidence < self.settings.min_confidence {
            return self.name_candidates(call, &decision.candidates);
        }
        if self.forest.get(parent).is_some() && self.forest.attach(call, parent).is_ok() {
            self.stats.undecided = self.stats.undecided.saturating_sub(1);
            self.stats.told(decision.evidence);
            if let Some(record) = self.forest.get_mut(call) {
                record.evidence = decision.evidence;
                record.reason = None;
            }
        }
    }

    /// Nobody is sure enough to be the parent of a call: it names the best.
    fn name_candidates(&mut self, call: Key, candidates: &[(Key, f32)]) {
        let named = candidates.iter().filter_map(|(key, confidence)| {
            let candidate = self.forest.get(*key)?;
            Some((SpanId::derive(candidate.id, candidate.first), *confidence))
        });
        let named: Box<[(SpanId, f32)]> = named.take(MAX_CANDIDATES).collect();
        if let Some(record) = self.forest.get_mut(call) {
            record.candidates = named;
        }
    }

    fn tell(&mut self, call: Key, link: &Link) {
        let confidence = link.evidence.confidence();
        if confidence < self.settings.min_confidence && self.forest.get(link.parent).is_some() {
            // What others may be weighed by is not what is told.
            self.is(call, Some(link.parent));
            self.stats.undecided += 1;
            if let Some(record) = self.forest.get_mut(call) {
                record.reason = Some(Reason::Unsure);
            }
            return self.name_candidates(call, &[(link.parent, confidence)]);
        }
        if self.forest.get(link.parent).is_none() {
            self.no_parent(call, Reason::Limit);
        } else if self.forest.attach(call, link.parent).is_err() {
            self.no_parent(call, Reason::Circular);
        } else {
            self.is(call, Some(link.parent));
            self.stats.told(link.evidence);
            if let Some(record) = self.forest.get_mut(call) {
                record.evidence = link.evidence;
                record.confidence = confidence;
            }
        }
    }
}

/// Whether two requests with the same numbers, or in the same queue, are one call: the same words, and times that
/// contain each other.
fn is_same_call(forest: &super::forest::Forest, one: Key, other: Key) -> bool {
    let (Some(one), Some(other)) = (forest.get(one), forest.get(other)) else { return false };
    let (client, server) = if one.side == Side::Client { (one, other) } else { (other, one) };
    let answered = |at: &super::record::Record| at.response.as_ref().map(|response| response.at);
    let nested = match (answered(client), answered(server)) {
        (Some(read), Some(written)) => {
            client.first.since(server.first) < SKEW && written.since(read) < SKEW && server.first <= read
        }
        _ => client.first.since(server.first) < SKEW,
    };
    client.partner.is_none()
        && server.partner.is_none()
        && nested
        && client.head.method == server.head.method
        && client.head.target == server.head.target
}
