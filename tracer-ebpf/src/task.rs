//! The runtime's own task that the current thread runs (a goroutine, say): what a thread id is where threads prove nothing.

use crate::select::Who;

/// The current task's id and that of the task which created it; 0 where they are not known.
#[inline(always)]
pub fn current(_who: Who) -> (u64, u64) {
    (0, 0)
}
