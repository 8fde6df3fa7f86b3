//! One program in one process, from its beginning to its end.

use std::sync::Arc;

use crate::service::{ProcessFacts, ServiceName};
use crate::time::Nanos;

/// When facts were read: from before the first file to after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Before.
    pub begin: Nanos,
    /// After.
    pub end: Nanos,
}

/// How an incarnation began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It was there when it was first heard of.
    Found,
    /// By fork: it is the parent's program.
    Fork {
        /// Who forked.
        parent: u32,
    },
    /// By exec in the process of the incarnation before it.
    Exec,
}

/// Facts, and when they were read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub facts: Arc<ProcessFacts>,
    pub window: Window,
}

/// One program in one process. It ends at its exit, or where the next in its row begins.
#[derive(Clone, Debug)]
pub(super) struct Incarnation {
    /// When it began; zero for those found.
    pub from: Nanos,
    /// When the process ended, if that was seen.
    pub exit: Option<Nanos>,
    pub origin: Origin,
    /// Command name of the event that began it; empty for those found.
    pub comm: String,
    /// Its own facts.
    pub read: Option<Read>,
    /// The name, and the state of the table for which it was made.
    pub name: Option<(u64, ServiceName)>,
    /// What it has of others, likewise.
    pub inherited: Option<(u64, Arc<ProcessFacts>)>,
}

impl Incarnation {
    pub fn new(from: Nanos, origin: Origin, comm: String) -> Self {
        Self { from, exit: None, origin, comm, read: None, name: None, inherited: None }
    }

    /// Bytes of the facts that it holds.
    pub fn weight(&self) -> usize {
        let read = self.read.as_ref().map_or(0, |read| read.facts.weight());
        read + self.inherited.as_ref().map_or(0, |(_, facts)| facts.weight())
    }
}

/// When the incarnation at `index` of a row ended, and whether its process did (else: it went on as another program).
pub(super) fn end_of(row: &[Incarnation], index: usize) -> Option<(Nanos, bool)> {
    let exit = row.get(index)?.exit.map(|at| (at, true));
    let next = row.get(index + 1).map(|next| (next.from, next.origin != Origin::Exec));
    match (exit, next) {
        (Some(exit), Some(next)) => Some(if next.0 < exit.0 { next } else { exit }),
        (exit, next) => exit.or(next),
    }
}

/// The text of a NUL-padded command name.
pub(super) fn comm_text(comm: &[u8; 16]) -> String {
    let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(comm.get(..end).unwrap_or_default()).into_owned()
}

/// What a child has of its parent's facts before its own are read: everything, for it is the same program.
pub(super) fn after_fork(parent: &ProcessFacts, parent_pid: u32, pid: u32, comm: &str) -> ProcessFacts {
    ProcessFacts {
        pid,
        ppid: parent_pid,
        start_ticks: 0,
        comm: if comm.is_empty() { parent.comm.clone() } else { comm.to_owned() },
        // A listener is inherited too; which of the two accepts cannot be told from here.
        ..parent.clone()
    }
}

/// What stays of a process's facts when it begins another program: where it runs, not what it runs. The environment
/// may have been replaced with it (a web server gives its scripts one of their own).
pub(super) fn after_exec(before: &ProcessFacts, pid: u32, comm: &str) -> ProcessFacts {
    ProcessFacts {
        pid,
        ppid: before.ppid,
        comm: comm.to_owned(),
        cgroups: before.cgroups.clone(),
        container: before.container.clone(),
        in_pod: before.in_pod,
        pod_name: before.pod_name.clone(),
        unit: before.unit.clone(),
        netns: before.netns,
        ..ProcessFacts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::EnvFacts;

    fn parent() -> ProcessFacts {
        ProcessFacts {
            pid: 1,
            ppid: 7,
            start_ticks: 5,
            exe: Some("/usr/bin/node".into()),
            comm: "node".into(),
            args: vec!["node".into(), "server.js".into()],
            env: EnvFacts { otel_service_name: Some("shop".into()), ..EnvFacts::default() },
            unit: Some("shop.service".into()),
            netns: Some(3),
            ..ProcessFacts::default()
        }
    }

    #[test]
    fn a_fork_is_the_same_program() {
        let child = after_fork(&parent(), 1, 2, "");
        let want = ProcessFacts { pid: 2, ppid: 1, start_ticks: 0, ..parent() };
        assert_eq!(child, want);
        assert_eq!(after_fork(&parent(), 1, 2, "worker").comm, "worker");
    }

    #[test]
    fn an_exec_keeps_the_place_and_not_the_program() {
        let next = after_exec(&parent(), 1, "convert");
        assert_eq!((next.exe, next.args.len(), next.env), (None, 0, EnvFacts::default()));
        assert_eq!(
            (next.comm.as_str(), next.unit.as_deref(), next.netns),
            ("convert", Some("shop.service"), Some(3))
        );
    }

    #[test]
    fn an_incarnation_ends_at_its_exit_or_where_the_next_begins() {
        let at = |from, origin| Incarnation::new(Nanos(from), origin, String::new());
        let mut row = vec![at(1, Origin::Found), at(5, Origin::Exec), at(9, Origin::Fork { parent: 7 })];
        row[1].exit = Some(Nanos(8));
        assert_eq!(end_of(&row, 0), Some((Nanos(5), false)));
        assert_eq!(end_of(&row, 1), Some((Nanos(8), true)));
        row[1].exit = None;
        assert_eq!(end_of(&row, 1), Some((Nanos(9), true)));
        assert_eq!(end_of(&row, 2), None);
        assert_eq!(end_of(&row, 3), None);
    }

    #[test]
    fn command_names_end_at_the_first_nul() {
        assert_eq!(comm_text(b"node\0\0\0\0\0\0\0\0\0\0\0\0"), "node");
        assert_eq!(comm_text(b"0123456789abcdef"), "0123456789abcdef");
        assert_eq!(comm_text(&[0; 16]), "");
    }
}
