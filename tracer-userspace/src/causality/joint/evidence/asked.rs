//! Who asked for it: the thread that had woken, or made, the acting thread had read this request last.
//!
//! A thread that serves one request at a time and lets other threads make the calls stays with the request until its
//! answer, whatever responses those threads have read in the meantime.

use super::{Evidence, Pair};

/// The kind.
pub struct Asked;

impl Evidence for Asked {
    fn bin(&self, pair: &Pair<'_>) -> Option<u8> {
        let (root, to) = (pair.root, pair.to);
        // Of a loop, turns tell it better; and who reads no requests asks for nothing of its own.
        let asks = to.waker != 0 && to.waker_turn == 0 && to.woken_reads > 0;
        if !asks || to.stale || root.tid == 0 || root.tid == to.tid {
            return None;
        }
        Some(match to.woken_reads.checked_sub(root.reads) {
            _ if to.waker != root.tid => 3,
            Some(0) => 0,
            // It had read another one since.
            Some(_) => 1,
            None => 2,
        })
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Wake
    }
}
