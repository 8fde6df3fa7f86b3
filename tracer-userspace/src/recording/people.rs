//! Who is who: the processes of the run, read from `/proc` when they are first heard of.

use rustc_hash::FxHashSet;

use crate::analysis::Seen;
use crate::capture::drain::kernel_now;
use crate::capture::procfs::ProcFs;
use crate::event::{ProcessChange, Stamp};
use crate::process::Window;
use crate::secret::{Masking, mask_arguments};
use crate::service::{Missing, Part, ProcessFacts, Reason, Runtime};

/// Processes that are remembered as read; beyond it they are read again when they are next heard of.
const MAX_KNOWN: usize = 1 << 16;

/// The processes of the run.
pub struct People {
    proc: ProcFs,
    known: FxHashSet<u32>,
    /// Of their command lines.
    masking: Masking,
    /// `/proc` hides other users' processes: those that are not found in it need not have ended.
    hidden: bool,
}

impl People {
    /// Reads every process there is.
    pub fn read_all(proc: ProcFs, masking: Masking) -> (Self, Vec<Seen>) {
        let pids = proc.pids().pids;
        // Everybody's ancestor, in the only pid namespace that is traced from.
        let hidden = !pids.contains(&1);
        let mut people = Self { proc, known: FxHashSet::default(), masking, hidden };
        let all = pids.into_iter().filter_map(|pid| people.meet(pid)).collect();
        (people, all)
    }

    /// Reads the processes that are there now and were not known. Of the known ones only what matters is told: id,
    /// parent.
    pub fn read_new(&mut self) -> (Vec<Seen>, Vec<(u32, u32)>) {
        let parents = self.proc.parents();
        let new = parents.iter().filter_map(|(pid, _)| self.meet(*pid)).collect();
        (new, parents)
    }

    /// Reads a process if nothing was read of it yet, and returns it if it was.
    pub fn meet(&mut self, pid: u32) -> Option<Seen> {
        if pid == 0 || self.known.contains(&pid) {
            return None;
        }
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(pid);
        let begin = kernel_now();
        let mut facts = self.proc.facts(pid);
        let window = Window { begin, end: kernel_now() };
        if self.masking == Masking::On {
            let program = facts.exe_base().unwrap_or(&facts.comm).to_owned();
            mask_arguments(&program, &mut facts.args);
        }
        let moves_work = moves_work(&facts, self.hidden);
        Some(Seen { facts, window, moves_work })
    }

    /// A process began, changed or ended: what was read is of the one before.
    pub fn change(&mut self, stamp: Stamp, change: ProcessChange) {
        if change != ProcessChange::Exit {
            self.known.remove(&stamp.tgid);
        }
    }
}

/// Go moves its goroutines between threads at will. A program that nobody could look at may be one: what its threads
/// seem to say is not believed either.
fn moves_work(facts: &ProcessFacts, hidden: bool) -> bool {
    let unreadable =
        |missing: &Missing| missing.part == Part::Runtime && (hidden || missing.reason != Reason::Gone);
    facts.runtime == Some(Runtime::Go) || facts.missing.iter().any(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_could_not_be_looked_at_is_not_believed_to_keep_to_its_threads() {
        let missing = |reason| vec![Missing { part: Part::Runtime, reason }];
        for (runtime, missing, hidden, expected) in [
            (Some(Runtime::Go), Vec::new(), false, true),
            (Some(Runtime::Other), Vec::new(), false, false),
            (None, missing(Reason::Denied), false, true),
            (None, missing(Reason::Gone), false, false),
            // With hidepid it looks as if it had ended.
            (None, missing(Reason::Gone), true, true),
            (None, vec![Missing { part: Part::Environ, reason: Reason::Denied }], false, false),
        ] {
            let facts = ProcessFacts { pid: 1, runtime, missing, ..ProcessFacts::default() };
            assert_eq!(moves_work(&facts, hidden), expected, "{facts:?}");
        }
    }
}
