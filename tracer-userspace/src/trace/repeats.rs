//! The most common finding in code that nobody may change: one request asks the same thing over and over (a query in a loop, known
//! as N+1). Nobody should have to count by eye.

use rustc_hash::FxHashMap;

use super::record::{Peer, Record};
use crate::causality::CallKind;
use crate::exchange::Side;

/// So many calls of the same operation by one request are told.
pub const MANY: u32 = 5;

/// What a request did over and over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// How often.
    pub count: u32,
    /// The durations of these calls together, ns. Calls at the same time count each.
    pub total: u64,
    /// Which of the request's calls is the first of them, as an index into what was counted.
    pub first: usize,
}

/// What is asked of whom.
type Kind = (CallKind, Peer);

/// Counts the calls of each request of a trace.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    by_parent: FxHashMap<usize, FxHashMap<Kind, Repeated>>,
}

impl Repeats {
    /// A call, number `at`, was made by the request `parent` and lasted so many nanoseconds.
    pub fn add(&mut self, parent: usize, at: usize, call: &Record, duration: u64) {
        if call.side != Side::Client {
            return;
        }
        let kinds = self.by_parent.entry(parent).or_default();
        let of_kind = kinds.entry((CallKind::of(0, &call.head), call.peer)).or_insert(Repeated {
            count: 0,
            total: 0,
            first: at,
        });
        of_kind.count = of_kind.count.saturating_add(1);
        of_kind.total = of_kind.total.saturating_add(duration);
    }

    /// What a request did most often, if it was often enough to be told. Of two the one that took longer, then the earlier one.
    pub fn of(&self, parent: usize) -> Option<&Repeated> {
        let kinds = self.by_parent.get(&parent)?;
        let most = kinds.values().max_by_key(|one| (one.count, one.total, usize::MAX - one.first))?;
        (most.count >= MANY).then_some(most)
    }
}
