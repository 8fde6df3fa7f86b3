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
        if to.waker != from.tid {
            return Some(4);
        }
        // The waker's loop tells the time best.
        if to.waker_turn != 0 && from.turn != 0 {
            return Some(match to.waker_turn.checked_sub(from.turn) {
                Some(lag) => 5 + lag.min(8) as u8,
                None => 14,
            });
        }
        Some(match to.woken.checked_sub(from.at) {
            // Soon after: it hands over what it has just read.
            Some(0..=200_000) => 0,
            Some(0..=2_000_000) => 1,
            Some(_) => 2,
            None => 3,
        })
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Wake
    }
}
