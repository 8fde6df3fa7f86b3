//! The connection of the call was opened by a thread that had turned to the activation's request last.

use super::thread::between;
use super::{Evidence, Pair};

/// The kind.
pub struct Birth;

impl Evidence for Birth {
    fn bin(&self, pair: &Pair<'_>) -> Option<u8> {
        let birth = pair.birth?;
        if birth.tid == 0 || pair.from.tid == 0 || pair.from.worker {
            return None;
        }
        // Opened before: for somebody else.
        if birth.at < pair.from.at {
            return Some(8);
        }
        // In the same turn, and nothing came between: the request's own.
        if birth.turn != 0 && birth.turn == pair.from.turn && between(pair.from, birth) == 0 {
            return Some(9);
        }
        Some(between(pair.from, birth))
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Birth
    }
}
