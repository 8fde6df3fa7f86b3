//! What the engine counted: for the ledger at the end of a run.

use crate::causality::{Evidence, EvidenceSet};

/// Counters of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Spans given out.
    pub spans: u64,
    /// Traces given out.
    pub traces: u64,
    /// Server spans.
    pub servers: u64,
    /// Client spans.
    pub clients: u64,
    /// Calls of which both ends were joined.
    pub joined: u64,
    /// Of these: by sequence numbers, addresses differing.
    pub joined_translated: u64,
    /// Of these: by order.
    pub joined_in_order: u64,
    /// Requests that were not joined because there was more than one candidate.
    pub join_ambiguous: u64,
    /// Calls with a parent in their process.
    pub linked: u64,
    /// Of these: because a connection was opened for the request.
    pub linked_birth: u64,
    /// Of these: because there was only one request.
    pub linked_sole: u64,
    /// Messages that were taken from a broker and whose sender is known.
    pub messages: u64,
    /// Calls without a parent although open requests could have made them.
    pub undecided: u64,
    /// Calls made while no request was open that could have made them.
    pub ownerless: u64,
    /// Spans given out before they were decided, because of the limit.
    pub forced: u64,
    /// Steps of exchanges that were already given out or never began.
    pub stray_steps: u64,
    /// Steps that came after the watermark had passed their time.
    pub late_steps: u64,
    /// The most undecided spans at one time.
    pub peak: u64,
}

impl Stats {
    /// Both together.
    pub fn plus(&self, other: &Stats) -> Stats {
        Stats {
            spans: self.spans + other.spans,
            traces: self.traces + other.traces,
            servers: self.servers + other.servers,
            clients: self.clients + other.clients,
            joined: self.joined + other.joined,
            joined_translated: self.joined_translated + other.joined_translated,
            joined_in_order: self.joined_in_order + other.joined_in_order,
            join_ambiguous: self.join_ambiguous + other.join_ambiguous,
            linked: self.linked + other.linked,
            linked_birth: self.linked_birth + other.linked_birth,
            linked_sole: self.linked_sole + other.linked_sole,
            messages: self.messages + other.messages,
            undecided: self.undecided + other.undecided,
            ownerless: self.ownerless + other.ownerless,
            forced: self.forced + other.forced,
            stray_steps: self.stray_steps + other.stray_steps,
            late_steps: self.late_steps + other.late_steps,
            peak: self.peak.max(other.peak),
        }
    }

    /// A link inside a process is told.
    pub(super) fn told(&mut self, evidence: EvidenceSet) {
        self.linked += 1;
        self.linked_birth += u64::from(evidence.has(Evidence::Birth));
        self.linked_sole += u64::from(evidence.has(Evidence::SoleRequest));
    }
}
