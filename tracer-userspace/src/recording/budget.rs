//! How much may be kept, so that the whole tracer stays within the memory that it was given (`--max-memory`).
//!
//! What the analysis may keep does not depend on it: a capture must give the same traces wherever it is analysed, and live.

use crate::protocol::Limits;
use crate::secret::Masking;

/// What the tracer has at most besides connections: the program and its buffers (about 25 MiB), and the undecided spans and
/// joined connections of the analysis at their limits ([`crate::trace::Limits`]: 45 MiB). Bytes.
const FIXED: u64 = 70 << 20;
/// A connection with its parser and an exchange or two, bytes; measured in `docs/fuzzing.md`.
const CONNECTION: u64 = 1 << 10;

/// The limits of the parsers for `memory` bytes, of which the ring of `ring` bytes is seen twice (it is mapped twice in a row).
pub fn limits(memory: u64, ring: u64, masking: Masking) -> Limits {
    let left = memory.saturating_sub(FIXED).saturating_sub(ring.saturating_mul(2));
    // Half: the rest is for requests that wait, long lists, and what the allocator does not give back.
    let connections = usize::try_from(left / 2 / CONNECTION).unwrap_or(usize::MAX);
    let defaults = Limits::default();
    Limits { connections: connections.clamp(1024, defaults.connections), masking, ..defaults }
}

/// With so many bytes resident the recording must end: what is in the ring comes on top, and what ending takes.
pub fn ceiling(memory: u64, ring: u64) -> u64 {
    memory.saturating_sub(ring.saturating_mul(4)).max(memory / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_follows_more_connections() {
        let connections = |mib: u64, ring: u64| limits(mib << 20, ring << 20, Masking::On).connections;
        assert_eq!(connections(256, 8), 87_040);
        assert!(connections(128, 8) < connections(256, 8));
        assert!(connections(256, 64) < connections(256, 8));
        assert_eq!(connections(0, 8), 1024);
        assert_eq!(connections(100_000, 8), Limits::default().connections);
    }
}
