//! Evidence that requests carry with them: trace contexts, and values that look drawn at random.
//!
//! A call that carries the trace id of exactly one open request of its process is that request's; where several requests of one trace
//! are open, the span ids may tell which (a proxy that hands its request's context on as it is, or a library that names the parent of
//! the caller's span). And a call that carries a token which came in with exactly one open request is that request's, unless the
//! token is nothing special in this process: one that came with many requests (an API key), or that goes out when no request
//! has it (a build's hash), proves nothing.
//!
//! Requests that ended a moment ago still count as candidates: work that they left behind carries the same values. Anything
//! but one clear answer is silence.
//!
//! Memory: requests without contexts and tokens cost nothing. Of the others at most [`MAX_OPEN`] of each process are remembered, and
//! at most [`MAX_PROCESSES`] processes; beyond that there is silence until they have ended (about further processes: for good), for
//! uniqueness can then not be known.
//! How often tokens came is remembered of at least the last [`MAX_USES`] and at most twice as many in each process.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::evidence::{Evidence, EvidenceSet};
use super::request::Owner;
use crate::exchange::{RequestHead, Token, TraceContext};
use crate::time::Nanos;

/// Requests of one process that are remembered, about 300 bytes each.
pub const MAX_OPEN: usize = 1 << 14;
/// Processes of which something is remembered.
pub const MAX_PROCESSES: usize = 1 << 12;
/// Tokens of one process whose uses are counted, before the older half is forgotten; about 20 bytes each.
pub const MAX_USES: usize = 1 << 12;
/// A token that came with more requests than these names none of them.
const FEW: u8 = 3;
/// A request is a candidate for so long after its end, ns.
const GRACE: u64 = 2_000_000_000;

/// What the values in a call point to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The request.
    pub owner: Owner,
    /// It has ended: the call is what it left behind.
    pub is_over: bool,
    /// [`Evidence::Context`], [`Evidence::Token`] or both.
    pub evidence: EvidenceSet,
    /// The span ids agree too: the strongest that there is.
    pub is_exact: bool,
}

/// A request that carries something.
#[derive(Debug)]
struct Carrier {
    contexts: Box<[TraceContext]>,
    tokens: Box<[Token]>,
    ended: Option<Nanos>,
}

/// How many requests tokens came with. Two generations: when one is full, the older one is forgotten.
#[derive(Debug, Default)]
struct Uses {
    young: FxHashMap<u64, u8>,
    old: FxHashMap<u64, u8>,
}

impl Uses {
    fn count(&self, token: u64) -> u8 {
        self.young.get(&token).or_else(|| self.old.get(&token)).copied().unwrap_or(0)
    }

    fn set(&mut self, token: u64, count: u8) {
        if self.young.len() >= MAX_USES && !self.young.contains_key(&token) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, count);
    }
}

/// One process.
#[derive(Debug, Default)]
struct Carriers {
    requests: FxHashMap<Owner, Carrier>,
    /// By the lower half of the trace id, which is all that some formats have.
    by_trace: FxHashMap<u64, Vec<Owner>>,
    by_token: FxHashMap<u64, Vec<Owner>>,
    uses: Uses,
    /// Those that have ended, in that order.
    leaving: VecDeque<(Nanos, Owner)>,
    /// A request was not remembered: until all others are gone, none is known to be the only one.
    is_overfull: bool,
}

/// What the requests of all processes carry.
#[derive(Debug, Default)]
pub struct Contexts {
    processes: FxHashMap<u32, Carriers>,
    /// A process was not remembered.
    is_overfull: bool,
}

impl Contexts {
    /// A request was read.
    pub fn request(&mut self, tgid: u32, owner: Owner, at: Nanos, head: &RequestHead) {
        let (contexts, tokens) = (head.contexts(), head.tokens());
        if contexts.is_empty() && tokens.is_empty() {
            return;
        }
        if self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&tgid) {
            if !self.is_overfull {
                self.processes.retain(|_, process| !process.requests.is_empty());
            }
            self.is_overfull |= self.processes.len() >= MAX_PROCESSES;
        }
        if self.is_overfull && !self.processes.contains_key(&tgid) {
            // Some of its open requests may have been passed over.
            return;
        }
        let process = self.processes.entry(tgid).or_default();
        process.forget(at);
        process.add(owner, contexts, tokens);
    }

    /// A call was written: whose values does it carry?
    pub fn call(&mut self, tgid: u32, at: Nanos, head: &RequestHead) -> Option<Carried> {
        let (contexts, tokens) = (head.contexts(), head.tokens());
        if contexts.is_empty() && tokens.is_empty() {
            return None;
        }
        let process = self.processes.get_mut(&tgid)?;
        process.forget(at);
        let traced = process.by_context(contexts);
        let marked = process.by_tokens(tokens);
        if process.is_overfull {
            return None;
        }
        let evidence = EvidenceSet::default();
        let (owner, evidence, is_exact) = match (traced, marked) {
            (Pointed::Nowhere, Pointed::To(owner, _)) => (owner, evidence.with(Evidence::Token), false),
            (Pointed::To(owner, is_exact), Pointed::Nowhere) => {
                (owner, evidence.with(Evidence::Context), is_exact)
            }
            (Pointed::To(owner, is_exact), Pointed::To(other, _)) if owner == other => {
                (owner, evidence.with(Evidence::Context).with(Evidence::Token), is_exact)
            }
            // Several requests of one trace: a request's own id tells them apart.
            (Pointed::Several, Pointed::To(owner, _)) => (owner, evidence.with(Evidence::Token), false),
            _ => return None,
        };
        let is_over = process.requests.get(&owner)?.ended.is_some();
        Some(Carried { owner, is_over, evidence, is_exact })
    }

    /// A request is over.
    pub fn request_ended(&mut self, tgid: u32, owner: Owner, at: Nanos) {
        let Some(process) = self.processes.get_mut(&tgid) else { return };
        if let Some(carrier) = process.requests.get_mut(&owner) {
            carrier.ended = Some(at);
            process.leaving.push_back((at, owner));
        }
        process.forget(at);
    }

    /// A process is over.
    pub fn process_exit(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
    }

    /// Whether requests of some process were not remembered, so that nothing is said of it.
    pub fn is_overfull(&self) -> bool {
        self.is_overfull || self.processes.values().any(|process| process.is_overfull)
    }

    /// How many things are remembered.
    pub fn held(&self) -> usize {
        let of = |process: &Carriers| {
            process.requests.len() + process.leaving.len() + process.uses.young.len() + process.uses.old.len()
        };
        self.processes.len() + self.processes.values().map(of).sum::<usize>()
    }
}

/// Where the values of one kind point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pointed {
    Nowhere,
    /// To one request; and whether it is certain.
    To(Owner, bool),
    Several,
}

impl Carriers {
    fn add(&mut self, owner: Owner, contexts: &[TraceContext], tokens: &[Token]) {
        for token in tokens {
            let count = self.uses.count(token.value).saturating_add(1);
            self.uses.set(token.value, count);
        }
        if self.requests.len() >= MAX_OPEN {
            self.is_overfull = true;
            return;
        }
        for context in contexts {
            enlist(self.by_trace.entry(context.trace_id as u64).or_default(), owner);
        }
        for token in tokens {
            enlist(self.by_token.entry(token.value).or_default(), owner);
        }
        let carrier = Carrier { contexts: contexts.into(), tokens: tokens.into(), ended: None };
        self.requests.insert(owner, carrier);
    }

    /// Forgets those that ended long enough ago.
    fn forget(&mut self, now: Nanos) {
        while let Some((ended, owner)) = self.leaving.front().copied() {
            if now.since(ended) < GRACE {
                break;
            }
            self.leaving.pop_front();
            let Some(carrier) = self.requests.remove(&owner) else { continue };
            for context in &carrier.contexts {
                strike(&mut self.by_trace, context.trace_id as u64, owner);
            }
            for token in &carrier.tokens {
                strike(&mut self.by_token, token.value, owner);
            }
        }
        self.is_overfull &= !self.requests.is_empty();
    }

    fn by_context(&self, contexts: &[TraceContext]) -> Pointed {
        let (mut same, mut exact) = (Pointed::Nowhere, Pointed::Nowhere);
        for context in contexts {
            for owner in self.by_trace.get(&(context.trace_id as u64)).into_iter().flatten() {
                let Some(carrier) = self.requests.get(owner) else { continue };
                for other in carrier.contexts.iter().filter(|other| other.is_same_trace(context)) {
                    same = point(same, *owner, false);
                    let handed_on = context.span_id != 0 && context.span_id == other.span_id;
                    // B3: the server's span has the id of the client's, and is the parent of its calls.
                    let below = context.parent_id != 0 && context.parent_id == other.span_id;
                    if context.format == other.format && (handed_on || below) {
                        exact = point(exact, *owner, true);
                    }
                }
            }
        }
        match exact {
            Pointed::To(..) => exact,
            Pointed::Nowhere | Pointed::Several => same,
        }
    }

    /// Tokens that go out while no request has them are noted: they prove nothing from then on.
    fn by_tokens(&mut self, tokens: &[Token]) -> Pointed {
        let mut pointed = Pointed::Nowhere;
        for token in tokens {
            match self.by_token.get(&token.value).map(Vec::as_slice) {
                None | Some([]) => self.uses.set(token.value, u8::MAX),
                Some(owners) if self.uses.count(token.value) <= FEW => {
                    for owner in owners {
                        pointed = point(pointed, *owner, false);
                    }
                }
                Some(_) => {}
            }
        }
        pointed
    }
}

fn point(before: Pointed, owner: Owner, is_exact: bool) -> Pointed {
    match before {
        Pointed::Nowhere => Pointed::To(owner, is_exact),
        Pointed::To(other, _) if other == owner => before,
        Pointed::To(..) | Pointed::Several => Pointed::Several,
    }
}

/// More requests with one value than this are several, however many there are.
const MANY: usize = 16;

fn enlist(owners: &mut Vec<Owner>, owner: Owner) {
    if owners.len() < MANY && !owners.contains(&owner) {
        owners.push(owner);
    }
}

fn strike(index: &mut FxHashMap<u64, Vec<Owner>>, value: u64, owner: Owner) {
    if let Some(owners) = index.get_mut(&value) {
        owners.retain(|other| *other != owner);
        if owners.is_empty() {
            index.remove(&value);
        }
    }
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
