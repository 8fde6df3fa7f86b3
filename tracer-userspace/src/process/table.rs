//! The table of processes over time: what events and readings put into it, and what it forgets.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use rustc_hash::FxHasher;

use super::incarnation::{Incarnation, Origin, Read, Window, comm_text, end_of};
use crate::event::{ProcessChange, Stamp};
use crate::service::ProcessFacts;
use crate::time::Nanos;

/// Incarnations kept; the longest dead go first.
pub(super) const MAX_INCARNATIONS: usize = 32 << 10;
/// Bytes of facts kept. Beyond it command lines are cut short, so that one host's odd processes cannot fill the
/// tracer's memory.
pub(super) const MAX_FACT_BYTES: usize = 24 << 20;
/// Words, and bytes of each, that are kept of a command line then.
const SHORT_ARGS: usize = 8;
const SHORT_ARG_BYTES: usize = 64;

/// All processes that were heard of.
#[derive(Debug, Default)]
pub struct ProcessTable {
    /// Per pid, in order of time, never empty.
    pub(super) rows: HashMap<u32, Vec<Incarnation>, BuildHasherDefault<FxHasher>>,
    /// Changes whenever something changed that a name which was made before may rest on.
    pub(super) generation: u64,
    pub(super) fact_bytes: usize,
    count: usize,
    /// Ends seen so far, and as of the last vain attempt to make room.
    ends: u64,
    ends_when_full: Option<u64>,
    dropped: u64,
    shortened: u64,
    ambiguous: u64,
}

impl ProcessTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many incarnations are kept.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Incarnations that were forgotten early, or not taken up, because the table was full.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Readings whose command lines were cut short to bound memory.
    pub fn shortened(&self) -> u64 {
        self.shortened
    }

    /// Readings that were thrown away because the process changed while it was read.
    pub fn ambiguous(&self) -> u64 {
        self.ambiguous
    }

    /// Takes in an event of the kernel. Events may come slightly out of order.
    pub fn change(&mut self, stamp: Stamp, change: ProcessChange, comm: &[u8; 16]) {
        let comm = comm_text(comm);
        match change {
            ProcessChange::Fork { parent } => self.begin(stamp.tgid, stamp.at, Origin::Fork { parent }, comm),
            ProcessChange::Exec => self.begin(stamp.tgid, stamp.at, Origin::Exec, comm),
            ProcessChange::Exit => self.exit(stamp.tgid, stamp.at),
        }
    }

    /// A new incarnation at a time.
    fn begin(&mut self, pid: u32, at: Nanos, origin: Origin, comm: String) {
        if !self.has_room_for(pid) {
            self.dropped += 1;
            return;
        }
        let row = self.rows.entry(pid).or_default();
        let index = row.partition_point(|known| known.from <= at);
        let mut new = Incarnation::new(at, origin, comm);
        if let Some(before) = index.checked_sub(1).and_then(|before| row.get_mut(before)) {
            // The same event again.
            if before.from == at && before.origin == origin {
                return;
            }
            // Facts read after this moment are about the new program; those read across it, about nobody knows which.
            match before.read.as_ref().map(|read| read.window) {
                Some(window) if window.begin >= at => {
                    new.read = before.read.take();
                    self.generation += 1;
                }
                Some(window) if window.end >= at => {
                    self.fact_bytes = self.fact_bytes.saturating_sub(before.weight());
                    before.read = None;
                    self.fact_bytes += before.weight();
                    self.generation += 1;
                    self.ambiguous += 1;
                }
                _ => {}
            }
            // An exit that was seen too early for its place.
            if before.exit.is_some_and(|exit| exit > at) {
                new.exit = before.exit.take();
            }
            self.ends += 1;
        }
        if index < row.len() {
            self.generation += 1;
        }
        row.insert(index, new);
        self.count += 1;
    }

    fn exit(&mut self, pid: u32, at: Nanos) {
        let Some(row) = self.rows.get_mut(&pid) else { return };
        let index = row.partition_point(|known| known.from <= at);
        let Some(last) = index.checked_sub(1).and_then(|before| row.get_mut(before)) else { return };
        if last.exit.is_none_or(|known| known > at) {
            last.exit = Some(at);
            self.ends += 1;
        }
    }

    /// Takes in what was read of a process, and when. Facts of a process that nobody announced open its row, as one
    /// that was there before the tracer.
    pub fn set_facts(&mut self, facts: ProcessFacts, window: Window) {
        let pid = facts.pid;
        // It was gone before anything could be read: its events told more.
        if facts.comm.is_empty() && facts.exe.is_none() {
            return;
        }
        if !self.rows.contains_key(&pid) {
            self.begin(pid, Nanos(0), Origin::Found, String::new());
        }
        let Some(row) = self.rows.get(&pid) else { return };
        let index = row.partition_point(|known| known.from <= window.begin);
        // Something began while the files were read.
        if row.get(index).is_some_and(|next| next.from <= window.end) {
            self.ambiguous += 1;
            return;
        }
        let Some(at_index) = index.checked_sub(1) else { return };
        // An end that was seen, with the number in use again: the fork was lost.
        let ended =
            end_of(row, at_index).filter(|(end, gone)| *gone && *end < window.begin).map(|(end, _)| end);
        let read = row.get(at_index).and_then(|current| current.read.as_ref());
        let another = read.filter(|read| {
            let (known, new) = (read.facts.start_ticks, facts.start_ticks);
            known != new && known != 0 && new != 0
        });
        match (ended, another.map(|read| read.window.end)) {
            (Some(end), _) => self.begin(pid, Nanos(end.0.saturating_add(1)), Origin::Found, String::new()),
            (None, Some(last_seen)) => {
                // Even the end was lost. Between the two readings nobody knows which of them it was.
                self.begin(pid, Nanos(last_seen.0.saturating_add(1)), Origin::Found, String::new());
                self.begin(pid, window.begin, Origin::Found, String::new());
            }
            (None, None) => {}
        }
        self.store(facts, window);
    }

    /// Puts facts to the incarnation of their time.
    fn store(&mut self, facts: ProcessFacts, window: Window) {
        let facts = self.bounded(facts);
        let Some(row) = self.rows.get_mut(&facts.pid) else { return };
        let index = row.partition_point(|known| known.from <= window.begin);
        let Some(current) = index.checked_sub(1).and_then(|before| row.get_mut(before)) else { return };
        if current.read.as_ref().is_some_and(|read| *read.facts == facts) {
            return;
        }
        let weight = current.weight();
        current.inherited = None;
        current.read = Some(Read { facts: Arc::new(facts), window });
        self.fact_bytes = self.fact_bytes.saturating_sub(weight).saturating_add(current.weight());
        self.generation += 1;
    }

    /// Cuts a command line short when there are too many bytes of facts already.
    fn bounded(&mut self, mut facts: ProcessFacts) -> ProcessFacts {
        if self.fact_bytes.saturating_add(facts.weight()) > MAX_FACT_BYTES {
            facts.args.truncate(SHORT_ARGS);
            for arg in &mut facts.args {
                let end = (0..=SHORT_ARG_BYTES.min(arg.len())).rev().find(|end| arg.is_char_boundary(*end));
                arg.truncate(end.unwrap_or(0));
                arg.shrink_to_fit();
            }
            facts.args.shrink_to_fit();
            self.shortened += 1;
        }
        facts
    }

    /// Forgets the incarnations that were over before a time: nothing that is still to come can be theirs.
    pub fn forget_before(&mut self, time: Nanos) {
        let (mut removed, mut bytes) = (0, 0);
        self.rows.retain(|_, row| {
            let over = (0..row.len())
                .take_while(|index| end_of(row, *index).is_some_and(|(end, _)| end < time))
                .count();
            // A program whose facts were not read has its place from the one before it.
            let needs_before = |index: usize| {
                row.get(index).is_some_and(|next| next.origin == Origin::Exec && next.read.is_none())
            };
            let cut = (0..=over).rev().find(|cut| !needs_before(*cut)).unwrap_or(0);
            for old in row.drain(..cut) {
                removed += 1;
                bytes += old.weight();
            }
            !row.is_empty()
        });
        self.count -= removed;
        self.fact_bytes = self.fact_bytes.saturating_sub(bytes);
        if removed > 0 {
            // What was inherited from them is made again from what is left.
            self.generation += 1;
        }
    }

    /// Whether there is room for one more; forgets what is long over to make it.
    fn has_room_for(&mut self, pid: u32) -> bool {
        if self.count < MAX_INCARNATIONS {
            return true;
        }
        if self.ends_when_full.is_none_or(|ends| ends != self.ends) {
            let rows = self.rows.values();
            let mut ends: Vec<Nanos> =
                rows.flat_map(|row| (0..row.len()).filter_map(|index| Some(end_of(row, index)?.0))).collect();
            ends.sort_unstable();
            // A quarter at once, so that the next thousands find room without a search.
            if let Some(time) = ends.get(ends.len() / 4) {
                let before = self.count;
                self.forget_before(Nanos(time.0.saturating_add(1)));
                self.dropped += (before - self.count) as u64;
            }
            self.ends_when_full = (self.count >= MAX_INCARNATIONS).then_some(self.ends);
        }
        if self.count < MAX_INCARNATIONS {
            return true;
        }
        // A known process must not keep the name of a program that it no longer is.
        let Some(row) = self.rows.remove(&pid) else { return false };
        self.count -= row.len();
        self.dropped += row.len() as u64;
        self.fact_bytes = self.fact_bytes.saturating_sub(row.iter().map(Incarnation::weight).sum());
        self.generation += 1;
        true
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
