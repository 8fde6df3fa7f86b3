//! What a process calls when no request is open: timers, health checks, caches that refresh, audit logs written after
//! the answer, consumers of queues, requests in protocols that are not understood.
//!
//! On a thread that serves many requests in turn such a call looks like the current request's. A kind of call that
//! was seen outside requests is therefore not linked by evidence that rests on "there was only one request".

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use crate::exchange::{Family, RequestHead, segments};

/// A kind of call: destination, method and the shape of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallKind(u64);

impl CallKind {
    /// `destination` is anything that is the same for the same server. The query and path segments with digits in
    /// them (identifiers) do not count.
    pub fn new(destination: u64, method: &str, target: &str) -> CallKind {
        let mut hasher = FxHasher::default();
        destination.hash(&mut hasher);
        method.hash(&mut hasher);
        for segment in segments(target) {
            segment.hash(&mut hasher);
        }
        CallKind(hasher.finish())
    }

    /// The kind of a call with this head. What is asked for in HTTP is told by the path; statements, and whatever else has its
    /// literals replaced, are taken as they are.
    pub fn of(destination: u64, head: &RequestHead) -> CallKind {
        if matches!(head.protocol.family(), Family::Http | Family::Rpc) {
            return CallKind::new(destination, &head.method, &head.target);
        }
        let mut hasher = FxHasher::default();
        (destination, head.protocol, &head.method, &head.target, &head.host).hash(&mut hasher);
        CallKind(hasher.finish())
    }

    /// The same in words, what [`CallKind::of`] leaves out left out. `None` if it is too long to be kept.
    pub fn words(head: &RequestHead) -> Option<Box<str>> {
        let (method, target) = (&*head.method, &*head.target);
        if method.len() + target.len() >= MAX_WORDS {
            return None;
        }
        if !matches!(head.protocol.family(), Family::Http | Family::Rpc) {
            let database = head.host.as_deref().unwrap_or_default();
            return Some(format!("{} {method} {database} {target}", head.protocol.system()).into());
        }
        let mut words = method.to_owned();
        for (at, segment) in segments(target).enumerate() {
            words.push(if at == 0 { ' ' } else { '/' });
            words.push_str(segment);
        }
        Some(words.into())
    }

    /// The same number for the same kind.
    pub fn number(self) -> u64 {
        self.0
    }

    fn on_thread(self, tid: u32) -> u64 {
        let mut hasher = FxHasher::default();
        self.0.hash(&mut hasher);
        tid.hash(&mut hasher);
        hasher.finish()
    }
}

/// Bytes that the words for a kind may have.
const MAX_WORDS: usize = 256;
/// Sightings before a kind counts: one may be a request that was read before the capture began.
const SIGHTINGS: u8 = 2;
/// Kinds remembered per process. A process with more of them is not understood by its paths; what comes later is
/// not remembered.
const MAX_KINDS: usize = 1024;

/// The kinds of calls a process made outside requests.
#[derive(Debug, Default)]
pub(super) struct Background {
    seen: FxHashMap<u64, u8>,
}

impl Background {
    /// A call was made while the process had no open request.
    pub fn sighted(&mut self, kind: CallKind, tid: u32) {
        for key in [kind.0, kind.on_thread(tid)] {
            if let Some(count) = self.seen.get_mut(&key) {
                *count = count.saturating_add(1);
            } else if self.seen.len() < 2 * MAX_KINDS {
                self.seen.insert(key, 1);
            }
        }
    }

    /// Whether this thread makes such calls outside requests.
    pub fn on_thread(&self, kind: CallKind, tid: u32) -> bool {
        self.knows(kind.on_thread(tid))
    }

    /// Whether any thread of the process does.
    pub fn in_process(&self, kind: CallKind) -> bool {
        self.knows(kind.0)
    }

    fn knows(&self, key: u64) -> bool {
        self.seen.get(&key).is_some_and(|count| *count >= SIGHTINGS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_do_not_make_a_new_kind() {
        assert_eq!(CallKind::new(1, "GET", "/users/17?x=1"), CallKind::new(1, "GET", "/users/99"));
        assert_ne!(CallKind::new(1, "GET", "/users/17"), CallKind::new(2, "GET", "/users/17"));
        assert_ne!(CallKind::new(1, "GET", "/users"), CallKind::new(1, "PUT", "/users"));
        assert_ne!(CallKind::new(1, "GET", "/users"), CallKind::new(1, "GET", "/orders"));
    }

    #[test]
    fn the_words_for_a_kind_tell_no_identifiers_and_are_short() {
        let words = |target: &str| {
            CallKind::words(&RequestHead {
                method: "GET".into(),
                target: target.into(),
                ..RequestHead::default()
            })
        };
        assert_eq!(words("/users/17/cart?x=1").as_deref(), Some("GET /users/*/cart"));
        assert_eq!(words("*").as_deref(), Some("GET *"));
        assert_eq!(words(&"a".repeat(MAX_WORDS)), None);
        assert!(words(&"/".repeat(200)).is_some_and(|words| words.len() < MAX_WORDS));
    }

    #[test]
    fn a_kind_counts_from_its_second_sighting_and_by_thread() {
        let (ping, mut background) = (CallKind::new(1, "GET", "/ping"), Background::default());
        background.sighted(ping, 7);
        assert!(!background.in_process(ping));
        background.sighted(ping, 7);
        assert!(background.in_process(ping) && background.on_thread(ping, 7));
        assert!(!background.on_thread(ping, 8));
    }
}
