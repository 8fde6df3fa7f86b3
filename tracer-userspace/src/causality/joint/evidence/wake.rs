//! Hand-over: the acting thread had been woken, or made, by the thread of the activation, after the activation.

use super::{Evidence, Pair};

/// The kind.
pub struct Wake;

impl Evidence for Wake {
    fn bin(&self, pair: &Pair<'_>) -> Option<u8> {
        let (from, to) = (pair.from, pair.to);
        if to.waker == 0 || from.tid == 0 || from.tid == to.tid {
            return None;
        }
        Some(match (to.waker == from.tid, to.woken.checked_sub(from.at)) {
            // Soon after: the loop hands over what it has just read.
            (true, Some(0..=200_000)) => 0,
            (true, Some(0..=2_000_000)) => 1,
            (true, Some(_)) => 2,
            (true, None) => 3,
            (false, _) => 4,
        })
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Wake
    }
}
