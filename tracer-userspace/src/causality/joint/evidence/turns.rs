//! Virtual time: how many turns of the thread's loop lie between activation and action.
//!
//! A loop that puts callbacks off (asyncio) takes a constant number of turns from one await point to the next, however
//! long a turn takes. That number is a far better clock than the time of day.

use super::{Evidence, Pair};

/// The kind.
pub struct Turns;

/// Turns that are told apart; more are alike.
const MOST: u32 = 14;

impl Evidence for Turns {
    fn bin(&self, pair: &Pair<'_>) -> Option<u8> {
        if pair.from.turn == 0 || pair.to.turn == 0 || pair.may_have_queued() {
            return None;
        }
        if pair.from.tid != pair.to.tid {
            return Some(15);
        }
        Some(pair.to.turn.wrapping_sub(pair.from.turn).min(MOST) as u8)
    }

    fn name(&self) -> crate::causality::Evidence {
        crate::causality::Evidence::Turns
    }
}
