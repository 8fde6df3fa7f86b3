//! Who is who: the processes of the run, read from `/proc` when they are first heard of.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::capture::drain::kernel_now;
use crate::capture::procfs::ProcFs;
use crate::event::{ProcessChange, Stamp};
use crate::process::{ProcessTable, Window};
use crate::service::{Missing, Part, ProcessFacts, Reason, Runtime};
use crate::time::Nanos;
use crate::trace::Services;

/// Processes that are remembered as read; beyond it they are read again when they are next heard of.
const MAX_KNOWN: usize = 1 << 16;
/// Names kept for the spans of the moment.
const MAX_NAMES: usize = 4096;

/// The processes of the run.
pub struct People {
    proc: ProcFs,
    table: RefCell<ProcessTable>,
    known: FxHashSet<u32>,
    /// `/proc` hides other users' processes: those that are not found in it need not have ended.
    hidden: bool,
    mn_runtimes: FxHashSet<u32>,
    names: RefCell<FxHashMap<u32, Arc<str>>>,
    unknown: Arc<str>,
}

impl People {
    /// Reads every process there is.
    pub fn read_all(mut proc: ProcFs) -> (Self, Vec<ProcessFacts>) {
        let pids = proc.pids().pids;
        // Everybody's ancestor, in the only pid namespace that is traced from.
        let hidden = !pids.contains(&1);
        let mut table = ProcessTable::new();
        let mut all = Vec::with_capacity(pids.len());
        let mut known = FxHashSet::default();
        let mut mn_runtimes = FxHashSet::default();
        for pid in pids {
            let begin = kernel_now();
            let facts = proc.facts(pid);
            note_runtime(&mut mn_runtimes, &facts, hidden);
            table.set_facts(facts.clone(), Window { begin, end: kernel_now() });
            known.insert(pid);
            all.push(facts);
        }
        let names = RefCell::default();
        (
            Self {
                proc,
                table: RefCell::new(table),
                known,
                hidden,
                mn_runtimes,
                names,
                unknown: Arc::from("unknown"),
            },
            all,
        )
    }

    /// Reads the processes that are there now and were not known. The known ones come with what matters of them only:
    /// id, parent.
    pub fn read_new(&mut self) -> Vec<ProcessFacts> {
        let parents = self.proc.parents();
        let read = |(pid, ppid)| {
            self.meet(pid).unwrap_or_else(|| ProcessFacts { pid, ppid, ..ProcessFacts::default() })
        };
        parents.into_iter().map(read).collect()
    }

    /// Reads a process if nothing was read of it yet, and returns it if it was.
    pub fn meet(&mut self, pid: u32) -> Option<ProcessFacts> {
        if pid == 0 || self.known.contains(&pid) {
            return None;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(pid);
        let begin = kernel_now();
        let facts = self.proc.facts(pid);
        note_runtime(&mut self.mn_runtimes, &facts, self.hidden);
        self.table.get_mut().set_facts(facts.clone(), Window { begin, end: kernel_now() });
        self.names.get_mut().remove(&pid);
        Some(facts)
    }

    /// A process began, changed or ended.
    pub fn change(&mut self, stamp: Stamp, change: ProcessChange, comm: &[u8; 16]) {
        self.table.get_mut().change(stamp, change, comm);
        // What was read is of the process before.
        if change != ProcessChange::Exit {
            self.known.remove(&stamp.tgid);
            self.mn_runtimes.remove(&stamp.tgid);
            self.names.get_mut().remove(&stamp.tgid);
        }
    }

    /// Forgets processes that ended before `time`.
    pub fn forget_before(&mut self, time: Nanos) {
        self.table.get_mut().forget_before(time);
    }
}

/// Go moves its goroutines between threads at will. A program that nobody could look at may be one: what its threads
/// seem to say is not believed either.
fn note_runtime(mn_runtimes: &mut FxHashSet<u32>, facts: &ProcessFacts, hidden: bool) {
    let unreadable =
        |missing: &Missing| missing.part == Part::Runtime && (hidden || missing.reason != Reason::Gone);
    if facts.runtime == Some(Runtime::Go) || facts.missing.iter().any(unreadable) {
        mn_runtimes.insert(facts.pid);
    } else {
        mn_runtimes.remove(&facts.pid);
    }
}

impl Services for People {
    fn name(&self, tgid: u32, at: Nanos) -> Arc<str> {
        if let Some(name) = self.names.borrow().get(&tgid) {
            return Arc::clone(name);
        }
        let found = self.table.borrow_mut().service_at(tgid, at);
        let Some(found) = found else { return Arc::clone(&self.unknown) };
        // Only what was read of the process itself stays; what is inherited may still be learned better.
        if self.known.contains(&tgid) {
            let mut names = self.names.borrow_mut();
            if names.len() >= MAX_NAMES {
                names.clear();
            }
            names.insert(tgid, Arc::clone(&found.name));
        }
        found.name
    }

    fn is_mn_runtime(&self, tgid: u32) -> bool {
        self.mn_runtimes.contains(&tgid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_could_not_be_looked_at_is_not_believed_to_keep_to_its_threads() {
        let mut found = FxHashSet::default();
        let missing = |reason| vec![Missing { part: Part::Runtime, reason }];
        for (pid, runtime, missing, mn) in [
            (1, Some(Runtime::Go), Vec::new(), true),
            (2, Some(Runtime::Other), Vec::new(), false),
            (3, None, missing(Reason::Denied), true),
            (4, None, missing(Reason::Gone), false),
            (5, None, vec![Missing { part: Part::Environ, reason: Reason::Denied }], false),
        ] {
            note_runtime(
                &mut found,
                &ProcessFacts { pid, runtime, missing, ..ProcessFacts::default() },
                false,
            );
            assert_eq!(found.contains(&pid), mn, "{pid}");
        }
        let other = ProcessFacts { pid: 3, runtime: Some(Runtime::Other), ..ProcessFacts::default() };
        note_runtime(&mut found, &other, false);
        assert!(!found.contains(&3), "another program took its place");
        let hidden = ProcessFacts { pid: 6, missing: missing(Reason::Gone), ..ProcessFacts::default() };
        note_runtime(&mut found, &hidden, true);
        assert!(found.contains(&6), "with hidepid it looks as if it had ended");
    }
}
