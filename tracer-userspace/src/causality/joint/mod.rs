//! Whose the calls are that no single rule decides: a joint assignment over a stretch of time.
//!
//! Where several requests could have made a call, one call says little and all calls together say much: each call has
//! one parent, a request goes through its calls as its kind usually does, delays and turns of the loop between
//! them are what they usually are, and who waited longest goes first, where that is the custom. What is usual is
//! learned from the process itself, without labels.
//!
//! | file | what it does |
//! |---|---|
//! | `journal` | keeps what a process did until its calls are decided |
//! | `unknown` | which ended requests must be kept for calls that are not decided |
//! | `batch` | a stretch of it, as the rest sees it: requests, calls, where and when they moved |
//! | `chain` | a request's steps from its reading through its calls to its answer |
//! | `evidence/` | what speaks for a step; one module for each kind |
//! | `model` | what is usual: learned counts, and the scores made of them |
//! | `excerpt` | of a batch that is certain but for a few calls, what lies near these |
//! | `field`, `state`, `moves` | who could have made which call; an assignment and its worth; changes of it |
//! | `parts` | where two assignments differ, and which is better in each part |
//! | `start`, `order` | first assignments, and after what each kind of call usually comes |
//! | `tenure` | what follows from who answered, where that is proof enough |
//! | `queue`, `replay`, `plans` | calls that wait in line: whose turn it was, and what proves it |
//! | `solve` | the search, and how sure it is |

mod batch;
mod chain;
mod evidence;
mod excerpt;
mod field;
mod journal;
pub mod learned;
mod model;
mod moves;
mod opinion;
mod order;
mod parts;
mod plans;
mod queue;
mod replay;
mod solve;
mod start;
mod state;
mod symbols;
mod tenure;
mod unknown;

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{CallKind, EvidenceSet};
use crate::arena::Key;
use crate::event::{Mover, Stamp};
use crate::time::Nanos;
use journal::{Closed, Journal};
use learned::Learned;
pub use symbols::Operation;

/// What was found for a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The call's span.
    pub call: Key,
    /// Requests that may have made it and how sure that is, the surest first.
    pub candidates: Vec<(Key, f32)>,
    /// What speaks for the first.
    pub evidence: EvidenceSet,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Calls that are decided, or will not be.
    pub decisions: Vec<Decision>,
    /// Spans that were held and need not be any more.
    pub free: Vec<Key>,
}

/// Processes that are kept; what others call is not weighed. No host serves requests in so many, a capture file may claim it.
const MOST_PROCESSES: usize = 1024;
/// Requests and calls of all processes that are kept, about 150 bytes each; beyond it new ones are not weighed.
const MOST: usize = 1 << 17;
/// How often the journals are looked at, ns.
const INTERVAL: u64 = 50_000_000;

/// The journals of all processes.
#[derive(Debug, Default)]
pub struct Joint {
    journals: FxHashMap<u32, Journal>,
    /// Spans that are held.
    holding: FxHashSet<Key>,
    looked: Nanos,
    /// Requests and calls in all journals, about.
    kept: usize,
    /// What was learned elsewhere.
    taught: Arc<Learned>,
    /// What was learned here, of processes that are gone.
    gone: Learned,
    /// Processes that are gone, and have calls that are not decided.
    leaving: Vec<u32>,
}

impl Joint {
    /// From now on what was learned elsewhere helps.
    pub fn teach(&mut self, learned: Arc<Learned>) {
        self.taught = learned;
    }

    /// Whose process it is, and what the kind of a request, or call, that it just had is called (asked for once).
    pub fn name(
        &mut self,
        tgid: u32,
        service: &Arc<str>,
        kind: CallKind,
        is_call: bool,
        name: impl FnOnce() -> Option<Operation>,
    ) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.name(service, kind, is_call, name);
        }
    }

    /// What was learned here until now. `last`: nothing more will come.
    pub fn learned(&mut self, last: bool) -> Learned {
        let mut learned = self.gone.clone();
        let mut tgids: Vec<u32> = self.journals.keys().copied().collect();
        tgids.sort_unstable();
        for tgid in tgids {
            if let Some((service, lesson)) = self.journals.get_mut(&tgid).and_then(|own| own.lesson(last)) {
                learned.add(service, &lesson);
            }
        }
        learned
    }

    /// A request was read.
    pub fn request(&mut self, tgid: u32, span: Key, kind: CallKind, first: Nanos, stamp: Stamp) {
        let room = self.journals.len() < MOST_PROCESSES || self.journals.contains_key(&tgid);
        if room && self.kept < MOST {
            self.kept += 1;
            self.journals.entry(tgid).or_default().request(span, kind, first, stamp);
        }
    }

    /// A request's response began.
    pub fn answered(&mut self, tgid: u32, span: Key, stamp: Stamp) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.answered(span, stamp);
        }
    }

    /// The last byte of a request was read, later than its head.
    pub fn fed(&mut self, tgid: u32, span: Key, at: Nanos, by: Mover) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.fed(span, at, by);
        }
    }

    /// A request, or a call, is over. True if its span must be held: a call that is not decided may be found to be its.
    pub fn ended(&mut self, tgid: u32, span: Key, end: Nanos, by: Mover, reader: Option<u32>) -> bool {
        let journal = self.journals.get_mut(&tgid);
        journal.is_some_and(|journal| journal.ended(span, end, by, reader)) && self.holding.insert(span)
    }

    /// A call was written, by a process that serves requests.
    pub fn call(
        &mut self,
        tgid: u32,
        span: Key,
        kind: CallKind,
        first: Nanos,
        stamp: Stamp,
        birth: Option<Stamp>,
    ) {
        if self.kept < MOST
            && let Some(journal) = self.journals.get_mut(&tgid)
        {
            self.kept += 1;
            journal.call(span, kind, first, stamp, birth);
        }
    }

    /// A call is to be decided here. True if its span must be held until then.
    pub fn wait(&mut self, tgid: u32, span: Key) -> bool {
        self.journals.get_mut(&tgid).is_some_and(|journal| journal.wait(span)) && self.holding.insert(span)
    }

    /// A call is this request's, or nobody's: another rule says so.
    pub fn is(&mut self, tgid: u32, span: Key, parent: Option<Key>) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.is(span, parent);
        }
    }

    /// Decides what can be decided now. `last`: nothing more will come.
    pub fn advance(&mut self, now: Nanos, last: bool) -> Outcome {
        let mut outcome = Outcome::default();
        if !last && now.since(self.looked) < INTERVAL {
            return outcome;
        }
        self.looked = now;
        let mut tgids: Vec<u32> = self.journals.keys().copied().collect();
        tgids.sort_unstable();
        for tgid in tgids {
            let Some(journal) = self.journals.get_mut(&tgid) else { continue };
            let mut closed = Closed::default();
            journal.teach(&self.taught);
            journal.close(now, last, &mut closed);
            let calls = closed.decisions.iter().map(|decision| decision.call);
            let free = calls.chain(closed.free).filter(|span| self.holding.remove(span));
            outcome.free.extend(free);
            outcome.decisions.extend(closed.decisions);
        }
        for tgid in std::mem::take(&mut self.leaving) {
            self.forget(tgid);
        }
        self.kept = self.journals.values().map(Journal::held).sum();
        if last {
            let mut rest: Vec<Key> = self.holding.drain().collect();
            rest.sort_unstable();
            outcome.free.extend(rest);
        }
        outcome
    }

    /// A process is gone, and all its requests are over. Its calls that wait are decided first.
    pub fn forget(&mut self, tgid: u32) {
        let Some(journal) = self.journals.get(&tgid) else { return };
        if journal.is_waiting() {
            self.leaving.push(tgid);
        } else if let Some(mut journal) = self.journals.remove(&tgid)
            && let Some((service, lesson)) = journal.lesson(true)
        {
            self.gone.add(service, &lesson);
        }
    }

    /// How much is kept.
    pub fn held(&self) -> usize {
        let gone: usize = self.gone.services().map(|(_, lesson)| lesson.steps().count()).sum();
        self.holding.len() + gone + self.journals.values().map(|journal| 1 + journal.held()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    #[test]
    fn a_process_that_is_gone_is_forgotten_once_its_calls_are_decided() {
        let (mut joint, mut arena) = (Joint::default(), Arena::<()>::default());
        let kind = CallKind::new(1, "GET", "/b");
        let stamp = |at: u64| Stamp { at: Nanos(at), tgid: 7, tid: 7, ..Stamp::default() };
        let (one, two, call) = (arena.insert(()), arena.insert(()), arena.insert(()));
        for request in [one, two] {
            joint.request(7, request, kind, Nanos(1), stamp(1));
        }
        joint.call(7, call, kind, Nanos(10), stamp(10), None);
        assert!(joint.wait(7, call));
        let held = [call, one, two].map(|span| joint.ended(7, span, Nanos(20), Mover::default(), None));
        assert_eq!(held, [false, true, true], "either may be found to have made it");
        joint.forget(7);
        assert_eq!(joint.journals.len(), 1, "its call waits");
        let outcome = joint.advance(Nanos(1_000_000_000), false);
        assert_eq!(outcome.decisions.len(), 1);
        assert!(joint.journals.is_empty() && joint.holding.is_empty());
    }
}
