//! How much the engine keeps, and how long it waits.

/// What the engine may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Undecided spans (about 650 bytes each). Beyond it the oldest traces are given out with what is known.
    pub max_spans: usize,
    /// Connections (about 300 bytes each). Beyond it the oldest are forgotten: what they carry next is not joined.
    pub max_conns: usize,
    /// What waits for the watermark (about 250 bytes each, and the words of requests). Beyond it the older half is taken to be
    /// complete; a live run stays far below, a file may claim that nothing is ever complete.
    pub max_waiting: usize,
    /// How long a server request waits for its client when both ends of the connection are observed, ns.
    pub join_grace: u64,
    /// The same when the other end was not seen so far, ns.
    pub join_grace_unseen: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_spans: 50_000,
            max_conns: 50_000,
            max_waiting: 1 << 17,
            join_grace: 1_000_000_000,
            join_grace_unseen: 100_000_000,
        }
    }
}
