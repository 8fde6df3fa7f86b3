//! The account of a capture: how many connections and bytes there were, and where each of them went.

use crate::protocol::tally::Tally;

/// Counts that close: `seen == tally.parsed() + tally.skipped_total() + pending`, and
/// `connections == classes.total()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Connection ends that were seen.
    pub connections: u64,
    /// What they turned out to be.
    pub classes: Classes,
    /// Of them, those whose beginning was not seen: they were open before, or the record of it was lost.
    pub joined: u64,
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

/// Connection ends by what was spoken on them. Each is counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// A protocol that is parsed.
    pub understood: u64,
    /// TLS, from the beginning or after the peers had agreed on it in the clear, as clients of databases do.
    pub encrypted: u64,
    /// They began as HTTP/2 does, and nobody understands how they went on. (Others that speak HTTP/2 are understood.)
    pub http2: u64,
    /// Excluded by the user's choice of ports.
    pub excluded: u64,
    /// Bytes moved, and what they are is not known.
    pub unknown: u64,
    /// No byte moved.
    pub silent: u64,
}

impl Classes {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { understood, encrypted, http2, excluded, unknown, silent } = self;
        [understood, encrypted, http2, excluded, unknown, silent]
            .into_iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Ledger {
    /// Whether every byte that was seen, and every connection, is accounted for.
    pub fn closes(&self) -> bool {
        let accounted =
            self.tally.parsed().saturating_add(self.tally.skipped_total()).saturating_add(self.pending);
        accounted == self.seen && self.classes.total() == self.connections
    }
}
