//! Asking the table: who was that, and what service is it?

use std::sync::Arc;

use super::incarnation::{Origin, after_exec, after_fork, end_of};
use super::table::{MAX_FACT_BYTES, ProcessTable};
use crate::service::{MAX_PARENTS, ProcessFacts, ServiceName, service_name};
use crate::time::Nanos;

/// How long after its end a process's calls may be stamped: the kernel reports the exit before it closes the
/// process's sockets (kernel/exit.c, `do_exit`).
const AFTER_EXIT: u64 = 1_000_000_000;
/// How many steps of inheritance are followed: forks and execs of processes whose facts were never read.
const MAX_STEPS: usize = 64;

/// What is known of a process at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The facts.
    pub facts: Arc<ProcessFacts>,
    /// They were read of this very program, not inherited.
    pub own: bool,
}

impl ProcessTable {
    /// What is known of a process at a time; `None` for one that nobody has heard of, or that was gone by then.
    pub fn at(&mut self, pid: u32, at: Nanos) -> Option<Resolved> {
        let index = self.index_at(pid, at)?;
        self.resolve(pid, index)
    }

    /// The service that a process is at a time; `None` likewise.
    pub fn service_at(&mut self, pid: u32, at: Nanos) -> Option<ServiceName> {
        let index = self.index_at(pid, at)?;
        let current = self.rows.get(&pid)?.get(index)?;
        if let Some((made, name)) = &current.name
            && *made == self.generation
        {
            return Some(name.clone());
        }
        let own = self.resolve(pid, index)?.facts;
        let parents = self.parents_of(&own, pid, index, at);
        let name = service_name(&own, parents.iter().map(Arc::as_ref));
        let generation = self.generation;
        if let Some(current) = self.rows.get_mut(&pid).and_then(|row| row.get_mut(index)) {
            current.name = Some((generation, name.clone()));
        }
        Some(name)
    }

    /// The ancestors' facts, the nearest first, each as it was when its child began.
    fn parents_of(
        &mut self,
        own: &ProcessFacts,
        pid: u32,
        index: usize,
        at: Nanos,
    ) -> Vec<Arc<ProcessFacts>> {
        let mut parents: Vec<Arc<ProcessFacts>> = Vec::new();
        let (mut pid, mut index, mut parent) = (pid, index, own.ppid);
        while parents.len() < MAX_PARENTS && parent != 0 && parent != pid {
            let from =
                self.rows.get(&pid).and_then(|row| row.get(index)).map_or(Nanos(0), |child| child.from);
            // Of those that were there before, the beginning is not known.
            let when = if from == Nanos(0) { at } else { from };
            let Some(found) = self.index_at(parent, when) else { break };
            let Some(resolved) = self.resolve(parent, found) else { break };
            (pid, index, parent) = (parent, found, resolved.facts.ppid);
            parents.push(resolved.facts);
        }
        parents
    }

    /// Where in its row the incarnation of a time is.
    fn index_at(&self, pid: u32, at: Nanos) -> Option<usize> {
        let row = self.rows.get(&pid)?;
        let index = row.partition_point(|known| known.from <= at).checked_sub(1)?;
        // A call long after the exit is made by another process with the same number, whose fork was lost.
        let over = end_of(row, index).is_some_and(|(end, gone)| gone && at.since(end) > AFTER_EXIT);
        (!over).then_some(index)
    }

    /// The facts of an incarnation: its own, or what it has from those before it.
    fn resolve(&mut self, pid: u32, index: usize) -> Option<Resolved> {
        let current = self.rows.get(&pid)?.get(index)?;
        if let Some(read) = &current.read {
            return Some(Resolved { facts: Arc::clone(&read.facts), own: true });
        }
        if let Some((made, facts)) = &current.inherited
            && *made == self.generation
        {
            return Some(Resolved { facts: Arc::clone(facts), own: false });
        }
        let facts = Arc::new(self.inherit(pid, index)?);
        self.remember(pid, index, &facts);
        Some(Resolved { facts, own: false })
    }

    /// Back to the nearest facts that were read, then forward through what happened since. `None` when that gives not
    /// even a name.
    fn inherit(&self, pid: u32, index: usize) -> Option<ProcessFacts> {
        let mut path: Vec<(u32, usize)> = Vec::new();
        let (mut pid, mut index) = (pid, index);
        let mut facts = loop {
            let here = self.rows.get(&pid)?.get(index)?;
            if let Some(read) = &here.read {
                break ProcessFacts::clone(&read.facts);
            }
            path.push((pid, index));
            let before = match here.origin {
                Origin::Exec => index.checked_sub(1).map(|before| (pid, before)),
                Origin::Fork { parent } => self.index_at(parent, here.from).map(|found| (parent, found)),
                Origin::Found => None,
            };
            // A process among its own ancestors: a fork was lost, and a number has changed hands.
            match before.filter(|before| path.len() < MAX_STEPS && !path.contains(before)) {
                Some(before) => (pid, index) = before,
                None => break ProcessFacts::default(),
            }
        };
        for (pid, index) in path.into_iter().rev() {
            let step = self.rows.get(&pid)?.get(index)?;
            facts = match step.origin {
                Origin::Fork { parent } => after_fork(&facts, parent, pid, &step.comm),
                Origin::Exec | Origin::Found => after_exec(&facts, pid, &step.comm),
            };
        }
        (!facts.comm.is_empty()).then_some(facts)
    }

    /// Keeps what was inherited for the next question, while there is room.
    fn remember(&mut self, pid: u32, index: usize, facts: &Arc<ProcessFacts>) {
        let Some(current) = self.rows.get_mut(&pid).and_then(|row| row.get_mut(index)) else { return };
        self.fact_bytes = self.fact_bytes.saturating_sub(current.weight());
        current.inherited = None;
        if self.fact_bytes.saturating_add(facts.weight()) <= MAX_FACT_BYTES {
            current.inherited = Some((self.generation, Arc::clone(facts)));
        }
        self.fact_bytes += current.weight();
    }
}
