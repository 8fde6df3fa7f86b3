//! Whom to trace: from the user's choice to what the probes are told, and what is decided as processes come.

use rustc_hash::FxHashSet;
use tracer_common::abi::{ConnId, select};

use super::own_calls::OwnCalls;
use super::own_endpoint::OwnEndpoint;
use crate::event::{Open, ProcessChange};
use crate::service::{ProcessFacts, Runtime};
use crate::target::{TargetSpec, with_children};

/// Connections of processes that turned out not to be wanted, remembered while they live.
const MAX_REFUSED: usize = 1 << 16;

/// The choice, and who fell under it.
pub struct Selection {
    spec: TargetSpec,
    /// A program is started by us.
    has_child: bool,
    chosen: FxHashSet<u32>,
    refused_conns: FxHashSet<ConnId>,
    /// The tracer's own calls.
    own_calls: Option<OwnCalls>,
    /// Whoever calls the tracer itself is not traced.
    own: Option<OwnEndpoint>,
}

/// What the probes must be told about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is traced.
    Wanted,
    /// It was recorded provisionally and is not wanted.
    Unwanted,
    /// Nothing to tell.
    Unchanged,
}

impl Selection {
    /// Finds the processes that are wanted among those there are.
    pub fn new(spec: TargetSpec, has_child: bool, processes: &[&ProcessFacts]) -> Self {
        let mut selection = Self {
            spec,
            has_child,
            chosen: FxHashSet::default(),
            refused_conns: FxHashSet::default(),
            own_calls: None,
            own: None,
        };
        selection.chosen.extend(selection.spec.pids());
        let parents: Vec<(u32, u32)> = processes.iter().map(|facts| (facts.pid, facts.ppid)).collect();
        selection.extend(processes.iter().copied(), &parents);
        selection
    }

    /// Leaves out the other ends of the tracer's own calls.
    pub fn leave_out_calls(&mut self, calls: OwnCalls) {
        self.own_calls = Some(calls);
    }

    /// Leaves out connections to where the tracer listens.
    pub fn leave_out(&mut self, own: OwnEndpoint) {
        self.own = Some(own);
    }

    /// Chooses those of these processes that match, and those of `parents` (id, parent's id) that descend from a chosen one;
    /// returns the new ones, ascending.
    pub fn extend<'a>(
        &mut self,
        processes: impl Iterator<Item = &'a ProcessFacts>,
        parents: &[(u32, u32)],
    ) -> Vec<u32> {
        if self.mode() == select::ALL {
            return Vec::new();
        }
        let matching = processes.filter(|facts| !self.spec.is_everything() && self.spec.matches(facts));
        let wanted = matching.map(|facts| facts.pid).chain(self.chosen.iter().copied());
        let own = std::process::id();
        let found = with_children(wanted, parents);
        let mut new: Vec<u32> =
            found.into_iter().filter(|pid| *pid != own && self.chosen.insert(*pid)).collect();
        new.sort_unstable();
        new
    }

    /// One of `tracer_common::abi::select`.
    pub fn mode(&self) -> u32 {
        if self.spec.is_everything() && !self.has_child {
            select::ALL
        } else if self.spec.ports().next().is_some() {
            select::PORTS
        } else {
            select::PROCESSES
        }
    }

    /// Whether new programs must be looked at.
    pub fn adopts_exec(&self) -> bool {
        self.spec.needs_userspace_match()
    }

    /// The processes chosen so far, ascending.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self.chosen.iter().copied().collect();
        pids.sort_unstable();
        pids
    }

    /// How many processes are chosen; `None` when all are.
    pub fn count(&self) -> Option<usize> {
        (self.mode() != select::ALL).then_some(self.chosen.len())
    }

    /// The ports.
    pub fn ports(&self) -> Vec<u16> {
        self.spec.ports().collect()
    }

    /// Adds a process that we started ourselves.
    pub fn add(&mut self, pid: u32) {
        self.chosen.insert(pid);
    }

    /// A process changed. Children of the chosen are chosen.
    pub fn change(&mut self, pid: u32, change: ProcessChange) {
        match change {
            ProcessChange::Fork { parent } if self.chosen.contains(&parent) => {
                self.chosen.insert(pid);
            }
            ProcessChange::Exit => {
                self.chosen.remove(&pid);
            }
            ProcessChange::Fork { .. } | ProcessChange::Exec => {}
        }
    }

    /// A process was read.
    pub fn met(&mut self, facts: &ProcessFacts) -> Verdict {
        if self.mode() == select::ALL || !self.adopts_exec() || self.chosen.contains(&facts.pid) {
            return Verdict::Unchanged;
        }
        if self.spec.matches(facts) {
            self.chosen.insert(facts.pid);
            Verdict::Wanted
        } else {
            Verdict::Unwanted
        }
    }

    /// Remembers a process of a Go program, if what it does is recorded.
    pub fn note_go(&self, facts: &ProcessFacts, go: &mut Vec<u32>) {
        let is_recorded = self.mode() != select::PROCESSES || self.chosen.contains(&facts.pid);
        if facts.runtime == Some(Runtime::Go) && is_recorded {
            go.push(facts.pid);
        }
    }

    /// Whether anything of a process may be told.
    pub fn tells_of(&self, pid: u32) -> bool {
        self.mode() != select::PROCESSES || self.chosen.contains(&pid)
    }

    /// Whether a new connection is wanted: the probes record new programs until they have been looked at.
    pub fn wants(&mut self, open: &Open) -> bool {
        let is_own = self.own.is_some_and(|own| own.is_called_by(&open.endpoints, open.netns))
            || self.own_calls.as_ref().is_some_and(|own| own.have_made(&open.endpoints, open.netns));
        if !is_own && self.wants_call(open.stamp.tgid) {
            return true;
        }
        if self.refused_conns.len() >= MAX_REFUSED {
            self.refused_conns.clear();
        }
        self.refused_conns.insert(open.conn);
        false
    }

    /// Whether a call without a connection is wanted, likewise.
    pub fn wants_call(&self, pid: u32) -> bool {
        !self.adopts_exec() || self.mode() == select::PORTS || self.chosen.contains(&pid)
    }

    /// Whether events of a connection are to be dropped.
    pub fn is_refused(&self, conn: ConnId) -> bool {
        !self.refused_conns.is_empty() && self.refused_conns.contains(&conn)
    }

    /// A connection is over.
    pub fn closed(&mut self, conn: ConnId) {
        self.refused_conns.remove(&conn);
    }

    /// Whether all that was asked for by process id has ended.
    pub fn is_over(&self) -> bool {
        self.spec.pids().next().is_some()
            && self.chosen.is_empty()
            && !self.adopts_exec()
            && self.spec.ports().next().is_none()
            && !self.has_child
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::TargetOptions;

    fn facts(pid: u32, ppid: u32, comm: &str) -> ProcessFacts {
        ProcessFacts { pid, ppid, comm: comm.to_owned(), ..ProcessFacts::default() }
    }

    fn spec(options: TargetOptions) -> TargetSpec {
        TargetSpec::new(&options).unwrap()
    }

    #[test]
    fn children_of_a_chosen_process_are_chosen_now_and_later() {
        let options = TargetOptions { pids: vec![10], ..TargetOptions::default() };
        let mut selection = Selection::new(
            spec(options),
            false,
            &[&facts(10, 1, "a"), &facts(11, 10, "b"), &facts(12, 1, "c")],
        );
        assert_eq!(selection.mode(), select::PROCESSES);
        assert_eq!(selection.pids(), [10, 11]);
        selection.change(20, ProcessChange::Fork { parent: 11 });
        selection.change(21, ProcessChange::Fork { parent: 12 });
        assert_eq!(selection.pids(), [10, 11, 20]);
        for pid in [10, 11, 20] {
            assert!(!selection.is_over());
            selection.change(pid, ProcessChange::Exit);
        }
        assert!(selection.is_over());
    }

    #[test]
    fn a_worker_forked_while_the_probes_were_attached_is_found() {
        let options = TargetOptions { pids: vec![10], ..TargetOptions::default() };
        let mut selection = Selection::new(spec(options), false, &[&facts(10, 1, "a")]);
        let later = [facts(12, 11, "grandchild"), facts(11, 10, "worker"), facts(13, 1, "x")];
        let parents = [(10, 1), (12, 11), (11, 10), (13, 1)];
        assert_eq!(selection.extend(later.iter(), &parents), [11, 12]);
        assert_eq!(selection.extend(later.iter(), &parents), [0u32; 0]);
    }

    #[test]
    fn new_programs_are_matched_when_they_are_read() {
        let options = TargetOptions { comms: vec!["java*".to_owned()], ..TargetOptions::default() };
        let mut selection = Selection::new(spec(options), false, &[]);
        assert!(selection.adopts_exec());
        assert_eq!(selection.met(&facts(5, 1, "java")), Verdict::Wanted);
        assert_eq!(selection.met(&facts(6, 1, "bash")), Verdict::Unwanted);
    }

    #[test]
    fn what_was_not_chosen_is_not_told_of() {
        let pids = TargetOptions { pids: vec![4], ..TargetOptions::default() };
        let mut selection = Selection::new(spec(pids), false, &[&facts(4, 1, "java")]);
        assert!(selection.tells_of(4));
        assert!(!selection.tells_of(5), "a program that somebody else started meanwhile");
        selection.change(6, ProcessChange::Fork { parent: 4 });
        assert!(selection.tells_of(6));
        let all = Selection::new(spec(TargetOptions::default()), false, &[]);
        assert!(all.tells_of(5));
    }

    #[test]
    fn without_a_choice_everything_is_wanted() {
        let selection = Selection::new(spec(TargetOptions::default()), false, &[&facts(1, 0, "init")]);
        assert_eq!((selection.mode(), selection.count()), (select::ALL, None));
        let with_child = Selection::new(spec(TargetOptions::default()), true, &[]);
        assert_eq!(with_child.mode(), select::PROCESSES);
    }
}
