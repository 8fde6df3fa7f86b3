//! A server request while it is open, and sets of them that answer "is there exactly one?" at once.

use crate::arena::Key;
use crate::time::Nanos;

/// Names an open request within [`super::Causality`]. Stale as soon as the request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner(pub(super) Key);

/// A server request between its head and its end.
#[derive(Debug)]
pub(super) struct OpenRequest {
    /// Its span.
    pub span: Key,
    /// Process that read it.
    pub tgid: u32,
    /// Thread that read it.
    pub tid: u32,
    /// First byte.
    pub start: Nanos,
    /// Calls it made whose response is not read to the end.
    pub outstanding: u32,
    /// Calls it made in all.
    pub calls: u32,
    /// Its response has begun.
    pub answering: bool,
    /// The runtime's task that read it; 0: not known.
    pub task: u64,
    /// It is a message that was taken from a broker.
    pub is_message: bool,
    /// The turn of its thread in which a connection was last opened for it.
    pub born_in: Option<Nanos>,
}

impl OpenRequest {
    /// How far it has come.
    pub fn phase(&self) -> Phase {
        match (self.outstanding, self.answering) {
            (0, false) => Phase::Runnable,
            (0, true) => Phase::Answering,
            _ => Phase::Waiting,
        }
    }
}

/// What an open request is doing, as far as its traffic shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No call outstanding, not answered: it may make a call at any moment.
    Runnable,
    /// No call outstanding, its response has begun: whether it is still there is known at its end.
    Answering,
    /// It waits for the response to a call.
    Waiting,
}

/// A set of arena slots of which only the size and, when there is one, the member can be asked. Adding and removing
/// cost one addition and one XOR, however many thousand requests a loop holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    count: u32,
    /// XOR of the members: with one member, that member.
    mixed: u32,
}

impl Members {
    /// Adds what is not in it.
    pub fn add(&mut self, key: Key) {
        self.count += 1;
        self.mixed ^= key.index();
    }

    /// Removes what is in it.
    pub fn remove(&mut self, key: Key) {
        self.count = self.count.saturating_sub(1);
        self.mixed ^= key.index();
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The slot of the only member.
    pub fn only(self) -> Option<u32> {
        (self.count == 1).then_some(self.mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    #[test]
    fn the_last_member_is_known_by_name() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..5).map(|n| arena.insert(n)).collect();
        let mut set = Members::default();
        assert_eq!(set.only(), None);
        for key in &keys {
            set.add(*key);
        }
        for key in [keys[0], keys[4], keys[2], keys[1]] {
            assert_eq!(set.only(), None);
            set.remove(key);
        }
        assert_eq!(set.only(), Some(keys[3].index()));
    }
}
