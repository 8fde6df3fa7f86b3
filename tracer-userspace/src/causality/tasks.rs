//! Evidence of kind *task*: the runtime's own unit of work.
//!
//! A goroutine that reads a request serves it, and a call that it asks for, or that a goroutine asks for which it
//! started, is that request's. The probes read the ids; nothing is inferred. Ids are never used twice by Go.

use rustc_hash::FxHashMap;

use super::request::Owner;
use crate::event::Scene;

/// Tasks that read a request which is still open, of all processes: of further ones it is not remembered.
const MAX_READERS: usize = 1 << 16;

/// Ids that a Go program hands out to a processor at once (`_GoidCacheBatch` in runtime/proc.go), times as many processors
/// as a large host has: so far behind the latest id can a new task's be.
const BEHIND: u64 = 16 * 256;

/// Whose work tasks do.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// By process and task that read a request which is open: that request, and the latest id seen by then.
    readers: FxHashMap<(u32, u64), (Owner, u64)>,
    /// By process: the latest id seen.
    latest: FxHashMap<u32, u64>,
}

impl Tasks {
    /// A task has read a request.
    pub fn read(&mut self, tgid: u32, scene: Scene, owner: Owner) {
        if scene.task != 0 && self.readers.len() < MAX_READERS {
            let latest = self.latest.entry(tgid).or_default();
            *latest = scene.task.max(*latest);
            self.readers.insert((tgid, scene.task), (owner, *latest));
        }
    }

    /// Whose a call is. A task that was started long before the request is not its work, though the same task may have
    /// started it: while it served an earlier request.
    pub fn of(&self, tgid: u32, scene: Scene) -> Option<Owner> {
        let by = |task: u64| (task != 0).then(|| self.readers.get(&(tgid, task)).copied()).flatten();
        let own = by(scene.task).map(|(owner, _)| owner);
        let started =
            || by(scene.parent_task).filter(|(_, latest)| scene.task.saturating_add(BEHIND) >= *latest);
        own.or_else(|| started().map(|(owner, _)| owner))
    }

    /// A process is over.
    pub fn process_exit(&mut self, tgid: u32) {
        self.latest.remove(&tgid);
    }

    /// A request is over.
    pub fn ended(&mut self, tgid: u32, task: u64, owner: Owner) {
        if self.readers.get(&(tgid, task)).is_some_and(|(reader, _)| *reader == owner) {
            self.readers.remove(&(tgid, task));
        }
    }

    /// How many are remembered.
    pub fn held(&self) -> usize {
        self.readers.len() + self.latest.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    fn scene(task: u64, parent_task: u64) -> Scene {
        Scene { task, parent_task, ..Scene::default() }
    }

    #[test]
    fn a_call_is_its_tasks_or_its_parents_and_nobody_elses() {
        let mut arena = Arena::default();
        let (one, other) = (Owner(arena.insert(1)), Owner(arena.insert(2)));
        let mut tasks = Tasks::default();
        tasks.read(7, scene(10, 1), one);
        tasks.read(7, scene(11, 1), other);
        assert_eq!(tasks.of(7, scene(10, 1)), Some(one));
        assert_eq!(tasks.of(7, scene(50, 11)), Some(other));
        assert_eq!(tasks.of(7, scene(50, 1)), None, "the listener's goroutine started both");
        assert_eq!(tasks.of(8, scene(10, 1)), None, "another process");
        assert_eq!(tasks.of(7, scene(0, 0)), None);
        tasks.read(7, scene(1_000_000, 1), one);
        assert_eq!(tasks.of(7, scene(50, 1_000_000)), None, "started while an earlier request was served");
        tasks.ended(7, 10, one);
        assert_eq!(tasks.of(7, scene(10, 1)), None);
    }
}
