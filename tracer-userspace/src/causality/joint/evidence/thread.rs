//! Whose turn it was on the thread: how many other activations lie between activation and action.
//!
//! A thread that serves one request at a time, and a loop that runs callbacks to completion, act on what they read
//! last.

use super::{Evidence, Pair};

/// The kind.
pub struct Thread;

impl Evidence for Thread {
    fn bin(&self, pair: &Pair<'_>) -> Option<u8> {
        // A worker's next job follows its last one at once, whosever they are.
        if pair.from.tid == 0 || pair.to.tid == 0 || pair.from.worker || pair.may_have_queued() {
            return None;
        }
        Some(between(pair.from, pair.to))
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Thread
    }
}

/// 0 to 6: so many activations in between; 7: another thread.
pub fn between(from: &super::Mark, to: &super::Mark) -> u8 {
    if from.tid == to.tid { to.nth.saturating_sub(from.nth).min(6) as u8 } else { 7 }
}
