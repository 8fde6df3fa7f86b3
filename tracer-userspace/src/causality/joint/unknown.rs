//! Calls of which it is not known whose they are, and the requests that have ended and must wait for that.
//!
//! A call is often asked about only when the requests that may have made it are over. They must not be given out by then. But a
//! request that no such call lies within has nothing to wait for, however many calls wait elsewhere: a busy server's requests would
//! soon be more than there is room for.

use std::collections::BTreeMap;

use crate::arena::Key;

/// A request waits for so long after its end, ns, whatever becomes of the calls.
const PATIENCE: u64 = 10_000_000_000;

/// Of one process.
#[derive(Debug, Default)]
pub struct Unknown {
    /// By their first byte: when they ended, `u64::MAX` while they have not.
    calls: BTreeMap<(u64, Key), u64>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: Key,
    start: u64,
    end: u64,
}

impl Unknown {
    /// A call began.
    pub fn call(&mut self, start: u64, span: Key) {
        self.calls.insert((start, span), u64::MAX);
    }

    /// A call ended.
    pub fn call_ended(&mut self, start: u64, span: Key, at: u64) {
        if let Some(end) = self.calls.get_mut(&(start, span)) {
            *end = at;
        }
    }

    /// It is known now whose a call is.
    pub fn known(&mut self, start: u64, span: Key) {
        self.calls.remove(&(start, span));
    }

    /// Only these calls may still become known.
    pub fn retain(&mut self, may: impl Fn(Key) -> bool) {
        self.calls.retain(|(_, span), _| may(*span));
    }

    /// A request ended. True if it must wait.
    pub fn request_ended(&mut self, request: Key, start: u64, end: u64) -> bool {
        // A call that ends at the same time may be told later.
        let waits = self.may_be_of(start, end, true);
        if waits {
            self.waiting.push(Waiting { request, start, end });
        }
        waits
    }

    /// Whether one of the calls may be of a request. `open`: also one that has not ended.
    fn may_be_of(&self, start: u64, end: u64, open: bool) -> bool {
        let within = (start, Key::FIRST)..=(end, Key::LAST);
        self.calls.range(within).any(|(_, until)| *until <= end || (open && *until == u64::MAX))
    }

    /// Whether requests wait.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Requests that need not wait any more: all calls that may be theirs are known.
    pub fn let_go(&mut self, now: u64, free: &mut Vec<Key>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|one| {
            let stays = now.saturating_sub(one.end) < PATIENCE && self.may_be_of(one.start, one.end, false);
            if !stays {
                free.push(one.request);
            }
            stays
        });
        self.waiting = waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    fn spans<const N: usize>() -> [Key; N] {
        let mut arena = Arena::<()>::default();
        std::array::from_fn(|_| arena.insert(()))
    }

    fn let_go(unknown: &mut Unknown, now: u64) -> Vec<Key> {
        let mut free = Vec::new();
        unknown.let_go(now, &mut free);
        free
    }

    #[test]
    fn a_request_whose_calls_turn_out_to_be_others_is_let_go() {
        let ([request, call], mut unknown) = (spans(), Unknown::default());
        unknown.call(2, call);
        unknown.call_ended(2, call, 3);
        assert!(unknown.request_ended(request, 1, 4));
        assert_eq!(let_go(&mut unknown, 50), []);
        unknown.known(2, call);
        assert_eq!(let_go(&mut unknown, 51), [request]);
        assert!(!unknown.has_waiting());
    }

    #[test]
    fn a_call_of_which_nothing_is_ever_said_does_not_hold_a_request_for_ever() {
        let ([request, call], mut unknown) = (spans(), Unknown::default());
        unknown.call(2, call);
        unknown.call_ended(2, call, 3);
        unknown.request_ended(request, 1, 4);
        assert_eq!(let_go(&mut unknown, 3 + PATIENCE), []);
        assert_eq!(let_go(&mut unknown, 4 + PATIENCE), [request]);
    }

    /// All requests of a process were held while any of its calls waited.
    #[test]
    fn a_request_waits_only_for_calls_within_it() {
        let ([call, before, around, late, short], mut unknown) = (spans(), Unknown::default());
        unknown.call(20, call);
        assert!(!unknown.request_ended(before, 10, 19), "it ended before the call began");
        assert!(unknown.request_ended(short, 12, 25), "the call may have ended just now");
        unknown.call_ended(20, call, 30);
        assert!(unknown.request_ended(around, 10, 40));
        assert!(!unknown.request_ended(late, 21, 40), "it began after the call");
        assert_eq!(let_go(&mut unknown, 50), [short], "it had not");
        unknown.retain(|_| false);
        assert_eq!(let_go(&mut unknown, 50), [around]);
    }
}
