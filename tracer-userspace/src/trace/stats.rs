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
    /// A link inside a process is told.
    pub(super) fn told(&mut self, evidence: EvidenceSet) {
        self.linked += 1;
        self.linked_birth += u64::from(evidence.has(Evidence::Birth));
        self.linked_sole += u64::from(evidence.has(Evidence::SoleRequest));
    }
}
