//! The account of a capture: how many bytes moved, and where each of them went.

use crate::protocol::tally::Tally;

/// Counts that close: `seen == tally.parsed() + tally.skipped_total() + pending`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Connection ends that were seen.
    pub connections: u64,
    /// Of them, on how many a parsed protocol was spoken.
    pub understood: u64,
    /// Events of connection ends for which there was no room ([`crate::protocol::Limits::connections`]). Their bytes are
    /// in no other count.
    pub untracked: u64,
    /// Bytes that moved, both directions of every end.
    pub seen: u64,
    /// Bytes held back because what they are is not yet decided; 0 once the capture is finished.
    pub pending: u64,
    /// Events that came after others had accounted for their bytes.
    pub late: u64,
    /// Events before which the probes reported a lost record.
    pub lost_before: u64,
    /// Where the bytes went.
    pub tally: Tally,
}

impl Ledger {
    /// Whether every byte that was seen is accounted for.
    pub fn closes(&self) -> bool {
        let accounted =
            self.tally.parsed().saturating_add(self.tally.skipped_total()).saturating_add(self.pending);
        accounted == self.seen
    }
}
