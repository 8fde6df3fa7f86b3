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
//! | `batch` | a stretch of it, as the rest sees it: requests, calls, where and when they moved |
//! | `chain` | a request's steps from its reading through its calls to its answer |
//! | `evidence/` | what speaks for a step; one module for each kind |
//! | `model` | what is usual: learned counts, and the scores made of them |
//! | `field`, `state`, `moves` | who could have made which call; an assignment and its worth; changes of it |
//! | `start`, `order` | first assignments, and after what each kind of call usually comes |
//! | `solve` | the search, and how sure it is |

mod batch;
mod chain;
mod evidence;
mod field;
mod journal;
mod model;
mod moves;
mod order;
mod random;
mod solve;
mod start;
mod state;
mod symbols;

use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::abi::ConnId;

use super::{CallKind, EvidenceSet};
use crate::arena::Key;
use crate::event::{Mover, Stamp};
use crate::time::Nanos;
use journal::{Closed, Journal};

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

/// How often the journals are looked at, ns.
const INTERVAL: u64 = 50_000_000;

/// The journals of all processes.
#[derive(Debug, Default)]
pub struct Joint {
    journals: FxHashMap<u32, Journal>,
    /// Spans that are held.
    holding: FxHashSet<Key>,
    looked: Nanos,
}

impl Joint {
    /// A request was read. True if its span must be held.
    pub fn request(&mut self, tgid: u32, span: Key, kind: CallKind, first: Nanos, stamp: Stamp) -> bool {
        let journal = self.journals.entry(tgid).or_default();
        journal.request(span, kind, first, stamp);
        journal.is_waiting() && self.holding.insert(span)
    }

    /// A request's response began.
    pub fn answered(&mut self, tgid: u32, span: Key, stamp: Stamp) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.answered(span, stamp);
        }
    }

    /// A request, or a call, is over.
    pub fn ended(&mut self, tgid: u32, span: Key, end: Nanos, by: Mover, reader: Option<u32>) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.ended(span, end, by, reader);
        }
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
        conn: ConnId,
    ) {
        if let Some(journal) = self.journals.get_mut(&tgid) {
            journal.call(span, kind, first, stamp, birth, conn.sk ^ conn.born.rotate_left(32));
        }
    }

    /// A call is to be decided here. The spans that must be held until then.
    pub fn wait(&mut self, tgid: u32, span: Key) -> Vec<Key> {
        let Some(journal) = self.journals.get_mut(&tgid) else { return Vec::new() };
        if !journal.wait(span) {
            return Vec::new();
        }
        let holding = &mut self.holding;
        std::iter::once(span).chain(journal.open_requests()).filter(|span| holding.insert(*span)).collect()
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
            journal.close(now, last, &mut closed);
            let calls = closed.decisions.iter().map(|decision| decision.call);
            let free = calls.chain(closed.free).filter(|span| self.holding.remove(span));
            outcome.free.extend(free);
            outcome.decisions.extend(closed.decisions);
            if !journal.is_waiting() {
                outcome.free.extend(journal.open_requests().filter(|span| self.holding.remove(span)));
            }
        }
        if last {
            let mut rest: Vec<Key> = self.holding.drain().collect();
            rest.sort_unstable();
            outcome.free.extend(rest);
        }
        outcome
    }

    /// A process is gone, and all its requests are over.
    pub fn forget(&mut self, tgid: u32) {
        if self.journals.get(&tgid).is_some_and(|journal| !journal.is_waiting()) {
            self.journals.remove(&tgid);
        }
    }

    /// How much is kept.
    pub fn held(&self) -> usize {
        self.holding.len() + self.journals.values().map(|journal| 1 + journal.held()).sum::<usize>()
    }
}
