//! Which traces go into a report that cannot hold all.

use std::hash::Hasher;

use rustc_hash::{FxHashMap, FxHasher};

use crate::spans::{Table, Trace};

/// Numbers of traces, the most wanted first, at most so many: those that findings name, the slowest of each operation, failing ones of all
/// kinds, and of the others a sample that does not depend on how long they took.
pub(super) fn choose(table: &Table, named: &[usize], limit: usize) -> Vec<u32> {
    let mut chosen = Chosen { taken: vec![false; table.traces.len()], order: Vec::new() };
    for number in named {
        chosen.take(*number as u32, limit);
    }
    let (mut slowest, mut failing): (FxHashMap<_, Vec<u32>>, FxHashMap<_, Vec<u32>>) = Default::default();
    for (number, trace) in (0..).zip(&table.traces) {
        let root = operation(table, trace.root);
        slowest.entry(root).or_default().push(number);
        if trace.errors > 0 {
            failing.entry((root, failure(table, trace))).or_default().push(number);
        }
    }
    let duration = |number: &u32| table.traces.get(*number as usize).map_or(0, |trace| table.duration(trace));
    let slowest_first = |mut group: Vec<u32>| {
        group.sort_by_key(|number| (u64::MAX - duration(number), *number));
        group
    };
    chosen.in_turn(slowest.into_values().map(slowest_first).collect(), limit * 4 / 10);
    chosen.in_turn(failing.into_values().map(slowest_first).collect(), limit * 7 / 10);
    let mut others: Vec<u32> =
        (0..).zip(&chosen.taken).filter(|(_, taken)| !**taken).map(|(number, _)| number).collect();
    others.sort_by_cached_key(|number| {
        let mut hasher = FxHasher::default();
        if let Some(trace) = table.traces.get(*number as usize) {
            hasher.write(trace.id.as_bytes());
        }
        (hasher.finish(), *number)
    });
    for number in others {
        chosen.take(number, limit);
    }
    chosen.order
}

struct Chosen {
    taken: Vec<bool>,
    order: Vec<u32>,
}

impl Chosen {
    /// One more, if it is not there and there is room.
    fn take(&mut self, number: u32, limit: usize) {
        if self.order.len() >= limit {
            return;
        }
        if let Some(taken) = self.taken.get_mut(number as usize).filter(|taken| !**taken) {
            *taken = true;
            self.order.push(number);
        }
    }

    /// The first of each group, then the second of each, until there are so many.
    fn in_turn(&mut self, mut groups: Vec<Vec<u32>>, limit: usize) {
        // Not in the order of a hash table.
        groups.sort();
        let mut at = 0;
        while !groups.is_empty() && self.order.len() < limit {
            groups.retain(|group| {
                if let Some(number) = group.get(at) {
                    self.take(*number, limit);
                }
                at + 1 < group.len()
            });
            at += 1;
        }
    }
}

/// Service and operation.
fn operation(table: &Table, row: u32) -> (u32, u32) {
    table.row(row).map(|row| (row.service, row.group)).unwrap_or_default()
}

/// Where a trace failed first, and with what.
fn failure(table: &Table, trace: &Trace) -> (u32, u32, u16) {
    let mut rows = table.rows_of(trace).iter().filter_map(|row| table.row(*row));
    rows.find(|row| row.is_error).map(|row| (row.service, row.group, row.status)).unwrap_or_default()
}
