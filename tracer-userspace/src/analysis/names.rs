//! What the processes of a run are called, as far as has been told until now.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::Seen;
use crate::event::{ProcessChange, Stamp};
use crate::process::ProcessTable;
use crate::service::database;
use crate::time::Nanos;
use crate::trace::Services;

/// Names kept for the spans of the moment.
const MAX_NAMES: usize = 4096;
/// Processes of which it is remembered that they were read themselves.
const MAX_READ: usize = 1 << 16;

/// The processes.
pub(super) struct Names {
    table: RefCell<ProcessTable>,
    /// Of these something was read, not only inherited.
    read: FxHashSet<u32>,
    moving: FxHashSet<u32>,
    known: RefCell<FxHashMap<u32, Arc<str>>>,
    /// What database servers' processes said that they serve.
    databases: FxHashMap<u32, Arc<str>>,
    unknown: Arc<str>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            table: RefCell::new(ProcessTable::new()),
            read: FxHashSet::default(),
            moving: FxHashSet::default(),
            known: RefCell::default(),
            databases: FxHashMap::default(),
            unknown: Arc::from("unknown"),
        }
    }
}

impl Names {
    /// A process was read.
    pub fn seen(&mut self, seen: Seen) {
        let pid = seen.facts.pid;
        if self.read.len() >= MAX_READ {
            self.read.clear();
        }
        self.read.insert(pid);
        if seen.moves_work {
            self.moving.insert(pid);
        } else {
            self.moving.remove(&pid);
        }
        match database(&seen.facts) {
            Some(name) if self.databases.len() < MAX_NAMES => {
                self.databases.insert(pid, Arc::from(name));
            }
            _ => {
                self.databases.remove(&pid);
            }
        }
        self.table.get_mut().set_facts(seen.facts, seen.window);
        self.known.get_mut().remove(&pid);
    }

    /// A process began, changed or ended.
    pub fn change(&mut self, stamp: Stamp, change: ProcessChange, comm: &[u8; 16]) {
        self.table.get_mut().change(stamp, change, comm);
        self.databases.remove(&stamp.tgid);
        // What was read is of the process before.
        if change != ProcessChange::Exit {
            self.read.remove(&stamp.tgid);
            self.moving.remove(&stamp.tgid);
            self.known.get_mut().remove(&stamp.tgid);
        }
    }

    /// How much is remembered.
    pub fn held(&self) -> usize {
        self.table.borrow().len()
            + self.read.len()
            + self.moving.len()
            + self.known.borrow().len()
            + self.databases.len()
    }

    /// Forgets processes that ended before `time`.
    pub fn forget_before(&mut self, time: Nanos) {
        self.table.get_mut().forget_before(time);
    }
}

impl Services for Names {
    fn name(&self, tgid: u32, at: Nanos) -> Arc<str> {
        if let Some(name) = self.known.borrow().get(&tgid) {
            return Arc::clone(name);
        }
        let found = self.table.borrow_mut().service_at(tgid, at);
        let Some(found) = found else { return Arc::clone(&self.unknown) };
        // Only what was read of the process itself stays; what is inherited may still be learned better.
        if self.read.contains(&tgid) {
            let mut known = self.known.borrow_mut();
            if known.len() >= MAX_NAMES {
                known.clear();
            }
            known.insert(tgid, Arc::clone(&found.name));
        }
        found.name
    }

    fn database(&self, tgid: u32) -> Option<Arc<str>> {
        self.databases.get(&tgid).cloned()
    }

    fn is_mn_runtime(&self, tgid: u32) -> bool {
        self.moving.contains(&tgid)
    }
}
