//! What one process did lately, kept until its calls are decided.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::batch::{Batch, Call, Given, Mark, Request};
use super::excerpt::excerpt;
use super::field::NOBODY;
use super::learned::{Learned, Lesson};
use super::symbols::{CALL_OPS, Operation, Symbols};
use super::tenure::{self, Tenure};
use super::unknown::Unknown;
use super::{Decision, solve};
use crate::arena::Key;
use crate::causality::{CallKind, EvidenceSet};
use crate::event::{Mover, Stamp};
use crate::time::Nanos;

/// A call waits this long for others that it can be weighed against.
const WINDOW: u64 = 2_000_000_000;
/// The same while nothing is open: nothing more will come that matters.
const QUIET: u64 = 100_000_000;
/// Enough calls to decide about.
const ENOUGH: usize = 4096;
/// A request that is open for so long does not keep calls waiting that may be its own.
const PATIENCE: u64 = 10_000_000_000;
/// Requests and calls that are kept at most.
const MOST: usize = 24_576;
/// Finished work is learned from, and forgotten, when there is so much of it.
const LESSON: usize = 512;

/// So many calls of a kind outside requests, and one in so many, and no call of that kind is told to be a request's.
const FEW_STRAYS: u32 = 2;
const STRAY_SHARE: u32 = 1000;

/// What is weighed is never surer than this: a rule that needs no weighing is.
const MOST_SURE: f32 = 0.985;
/// And if such calls are made outside requests too.
const DOUBT: f32 = 0.5;
/// Steps of a kind that must have been seen for one of them to be fully believed: a few explain each other in any way.
const FAMILIAR: f32 = 30.0;

/// Whose a call is, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// To be found here.
    Open,
    /// Another rule may still say so.
    Later,
    /// This request's.
    Known(Key),
    /// Nobody's.
    Nobody,
}

#[derive(Debug)]
struct OwnCall {
    call: Call,
    whose: Whose,
}

/// Of one process.
#[derive(Debug, Default)]
pub struct Journal {
    requests: Vec<Request>,
    calls: Vec<OwnCall>,
    index: FxHashMap<Key, (bool, u32)>,
    /// Calls of which it is not known whose they are, and requests that wait for that.
    unknown: Unknown,
    symbols: Symbols,
    known: solve::Known,
    /// Calls to be found.
    waiting: usize,
    /// Requests that have not ended.
    open: usize,
    /// Ended requests and calls since the last lesson.
    finished: usize,
    batches: u64,
    /// By kind of call: all, and those that no request can have made.
    seen: [u32; CALL_OPS],
    strays: [u32; CALL_OPS],
    /// Whose process it is, as far as is known.
    service: Option<Arc<str>>,
    /// Operations that had names when what was learned elsewhere was last looked up.
    taught_at: usize,
    /// What it has shown of who answers.
    shown: tenure::Shown,
}

/// What came of closing.
#[derive(Debug, Default)]
pub struct Closed {
    /// Calls that are decided, or will not be.
    pub decisions: Vec<Decision>,
    /// Requests that need not be held any more.
    pub free: Vec<Key>,
}

impl Journal {
    /// Whether calls wait to be decided, or requests for them.
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0 || self.unknown.has_waiting()
    }

    /// How much is kept.
    pub fn held(&self) -> usize {
        self.requests.len() + self.calls.len()
    }

    /// A request was read.
    pub fn request(&mut self, span: Key, kind: CallKind, first: Nanos, stamp: Stamp) {
        if self.held() >= MOST {
            return;
        }
        self.index.insert(span, (true, self.requests.len() as u32));
        self.open += 1;
        self.requests.push(Request {
            span,
            op: self.symbols.request(kind.number()),
            read: Mark::of(stamp),
            fed: None,
            answer: None,
            start: first.0,
            end: u64::MAX,
        });
    }

    /// A call was written.
    pub fn call(&mut self, span: Key, kind: CallKind, first: Nanos, stamp: Stamp, birth: Option<Stamp>) {
        if self.held() >= MOST {
            return;
        }
        self.index.insert(span, (false, self.calls.len() as u32));
        let op = self.symbols.call(kind.number());
        if let Some(seen) = self.seen.get_mut(usize::from(op)) {
            *seen = seen.saturating_add(1);
        }
        self.unknown.call(first.0, span);
        self.calls.push(OwnCall {
            call: Call {
                span,
                op,
                wrote: Mark::of(stamp),
                got: Mark::default(),
                start: first.0,
                end: u64::MAX,
                birth: birth.map(Mark::of),
                given: Given::Open,
            },
            whose: Whose::Later,
        });
    }

    /// Whose process it is, and what the kind of a request or call (`to` whom) is called.
    pub fn name(
        &mut self,
        service: &Arc<str>,
        kind: CallKind,
        is_call: bool,
        name: impl FnOnce() -> Option<Operation>,
    ) {
        if self.service.as_ref() != Some(service) {
            self.service = Some(Arc::clone(service));
            self.taught_at = 0;
        }
        if is_call {
            self.symbols.name_call(kind.number(), name);
        } else {
            self.symbols.name_request(kind.number(), name);
        }
    }

    /// Takes up what was learned elsewhere of its service and of the operations that it has by now.
    pub fn teach(&mut self, learned: &Learned) {
        let named = self.symbols.request_names.len() + self.symbols.call_names.len();
        if self.taught_at == named || learned.is_empty() {
            return;
        }
        self.taught_at = named;
        let lesson = self.service.as_ref().and_then(|service| learned.of(service));
        self.known.taught = lesson.map(|lesson| lesson.counts(&self.symbols)).unwrap_or_default();
    }

    /// What was learned here: of whose process, and what. `last`: also from what was finished since.
    pub fn lesson(&mut self, last: bool) -> Option<(&Arc<str>, Lesson)> {
        if last && self.waiting == 0 && self.finished > 0 {
            self.learn();
        }
        let service = self.service.as_ref()?;
        Some((service, Lesson::of(&self.known.counts, &self.symbols)))
    }

    fn request_of(&mut self, span: Key) -> Option<&mut Request> {
        match self.index.get(&span) {
            Some((true, at)) => self.requests.get_mut(*at as usize),
            _ => None,
        }
    }

    fn call_of(&mut self, span: Key) -> Option<&mut OwnCall> {
        match self.index.get(&span) {
            Some((false, at)) => self.calls.get_mut(*at as usize),
            _ => None,
        }
    }

    /// A request's response began.
    pub fn answered(&mut self, span: Key, stamp: Stamp) {
        if let Some(request) = self.request_of(span) {
            request.answer = Some(Mark::of(stamp));
        }
    }

    /// The last byte of a request was read, later than its head.
    pub fn fed(&mut self, span: Key, at: Nanos, by: Mover) {
        let Some(op) = self.request_of(span).map(|request| request.op) else { return };
        let op = self.symbols.fed(op);
        if let Some(request) = self.request_of(span) {
            request.op = op;
            // Who reads a request's body is who read its head, unless something else is known.
            let by = if by.tid == 0 { Mover { tid: request.read.tid, turn: 0 } } else { by };
            request.fed = Some(Mark::end(at, by));
        }
    }

    /// A request, or a call, is over. True if it is a request that may be found to have made a call of which that is not known yet.
    pub fn ended(&mut self, span: Key, end: Nanos, by: Mover, reader: Option<u32>) -> bool {
        if let Some(request) = self.request_of(span) {
            request.end = end.0;
            let start = request.start;
            self.open = self.open.saturating_sub(1);
            self.finished += 1;
            return self.unknown.request_ended(span, start, end.0);
        }
        if let Some(own) = self.call_of(span) {
            own.call.end = end.0;
            own.call.got = Mark::end(end, by);
            if by.tid == 0 {
                own.call.got.tid = reader.unwrap_or(0);
            }
            let start = own.call.start;
            self.unknown.call_ended(start, span, end.0);
            self.finished += 1;
        }
        false
    }

    /// A call is to be decided here. False if it is not kept.
    pub fn wait(&mut self, span: Key) -> bool {
        // Nobody is there whose it could be.
        if self.open == 0 {
            self.strayed(span);
            self.is(span, None);
            return false;
        }
        let found = match self.call_of(span) {
            Some(own) if own.whose == Whose::Later => {
                own.whose = Whose::Open;
                true
            }
            _ => false,
        };
        self.waiting += usize::from(found);
        found
    }

    /// A call turned out to be no request's.
    fn strayed(&mut self, span: Key) {
        let op = self.call_of(span).map(|own| usize::from(own.call.op));
        if let Some(strays) = op.and_then(|op| self.strays.get_mut(op)) {
            *strays = strays.saturating_add(1);
        }
    }

    /// Whether calls of a kind are also made outside requests.
    fn strays(&self, op: u8) -> bool {
        let of = |counts: &[u32; CALL_OPS]| counts.get(usize::from(op)).copied().unwrap_or(0);
        let (strays, seen) = (of(&self.strays), of(&self.seen));
        strays >= FEW_STRAYS && strays.saturating_mul(STRAY_SHARE) >= seen
    }

    /// A call is this request's, or nobody's.
    pub fn is(&mut self, span: Key, parent: Option<Key>) {
        if let Some(own) = self.call_of(span)
            && own.whose == Whose::Later
        {
            own.whose = parent.map_or(Whose::Nobody, Whose::Known);
            let start = own.call.start;
            self.unknown.known(start, span);
        }
    }

    /// Decides what can be decided. `last`: nothing more will come.
    pub fn close(&mut self, now: Nanos, last: bool, out: &mut Closed) {
        self.decide(now, last, out);
        self.unknown.let_go(now.0, &mut out.free);
    }

    fn decide(&mut self, now: Nanos, last: bool, out: &mut Closed) {
        if self.waiting == 0 {
            if self.finished >= LESSON {
                self.learn();
                self.forget(now);
            }
            return;
        }
        let waiting = || self.calls.iter().filter(|own| own.whose == Whose::Open);
        let oldest = waiting().map(|own| own.call.start).min().unwrap_or(now.0);
        let age = now.0.saturating_sub(oldest);
        let quiet = self.open == 0 && age >= QUIET;
        if !last && !quiet && age < WINDOW && self.waiting < ENOUGH {
            return;
        }
        let open_since = self
            .requests
            .iter()
            .filter(|request| request.end == u64::MAX && now.0.saturating_sub(request.start) < PATIENCE)
            .map(|request| request.start)
            .min();
        let ready = |call: &Call| {
            last || (call.end != u64::MAX && open_since.is_none_or(|since| since > call.start))
                || now.0.saturating_sub(call.start) > PATIENCE
        };
        if !waiting().any(|own| ready(&own.call)) {
            return;
        }
        let (mut batch, mut order) = self.batch();
        self.batches += 1;
        let mut tenures = self.tenures(&mut batch);
        let is_open = |at: &u32| self.calls.get(*at as usize).is_some_and(|own| own.whose == Whose::Open);
        let sought = |index: u32| order.get(index as usize).is_some_and(is_open);
        if let Some(part) = excerpt(&batch, sought) {
            self.known.learn(&batch, part.left_out.iter().copied());
            let pick = |index: &u32| order.get(*index as usize).copied();
            order = part.calls.iter().filter_map(pick).collect();
            let pick = |index: &u32| tenures.get(*index as usize).copied().unwrap_or(Tenure::Unknown);
            tenures = part.calls.iter().map(pick).collect();
            batch = part.batch;
        }
        let solve::Solution { answers, model, best } = solve::solve(&batch, &mut self.known, self.batches);
        let mut found: FxHashMap<u32, Vec<(u32, f32)>> = FxHashMap::default();
        for answer in answers {
            found.insert(answer.call, answer.votes);
        }
        for (index, at) in order.iter().enumerate() {
            let Some(own) = self.calls.get(*at as usize).filter(|own| own.whose == Whose::Open) else {
                continue;
            };
            let (span, op) = (own.call.span, own.call.op);
            if !ready(&own.call) {
                continue;
            }
            // No request could have made it. Where too many could have, that is another matter.
            let tenure = tenures.get(index).copied().unwrap_or(Tenure::Unknown);
            if let Tenure::Of(request, evidence) = tenure
                && let Some(request) = batch.requests.get(request as usize)
            {
                self.settle(*at as usize, Whose::Known(request.span));
                out.decisions.push(Decision {
                    call: span,
                    candidates: vec![(request.span, MOST_SURE)],
                    evidence,
                });
                continue;
            }
            let answer = found.remove(&(index as u32));
            if answer.is_none() {
                self.strayed(span);
            }
            let votes = answer.unwrap_or_default();
            // Votes are not independent of each other: nine of ten mean less than that (docs/accuracy.md).
            // What the process does outside requests too is not told to be a request's: any may be open by chance.
            let doubtful = self.strays(op) || tenure == Tenure::Doubtful;
            let share = if doubtful { DOUBT } else { MOST_SURE };
            let (evidence, steps) = evidence(&batch, &best, &model, index as u32);
            let share = share * (steps / FAMILIAR).min(1.0);
            let spans = |request: u32| batch.requests.get(request as usize).map(|request| request.span);
            let candidates: Vec<(Key, f32)> = votes
                .iter()
                .filter_map(|(request, vote)| Some((spans(*request)?, *vote * *vote * share)))
                .collect();
            let whose = candidates.first().map_or(Whose::Nobody, |(parent, _)| Whose::Known(*parent));
            self.settle(*at as usize, whose);
            out.decisions.push(Decision { call: span, candidates, evidence });
        }
        self.forget(now);
    }

    /// A call that waited is decided.
    fn settle(&mut self, at: usize, whose: Whose) {
        if let Some(own) = self.calls.get_mut(at) {
            own.whose = whose;
            self.unknown.known(own.call.start, own.call.span);
        }
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Gives the calls of a batch to whom they are because of who answered; by call, what was found.
    fn tenures(&mut self, batch: &mut Batch) -> Vec<Tenure> {
        // An answer that is not kept would be missed.
        if self.held() >= MOST {
            return Vec::new();
        }
        let field = super::field::Field::new(batch);
        let mut found = tenure::find(batch, &mut self.shown, |call| field.candidates(call).len() > 1);
        for ((index, call), tenure) in (0u32..).zip(&mut batch.calls).zip(&mut found) {
            match *tenure {
                _ if call.given != Given::Open => *tenure = Tenure::Unknown,
                Tenure::Of(request, _) if field.may(index, request) && !self.strays(call.op) => {
                    call.given = Given::Fixed(request);
                }
                Tenure::Of(..) => *tenure = Tenure::Unknown,
                Tenure::Unknown | Tenure::Doubtful => {}
            }
        }
        found
    }

    /// The batch, and for each of its calls its place here.
    fn batch(&self) -> (Batch, Vec<u32>) {
        let mut batch = Batch::default();
        let mut by_start: Vec<u32> = (0..self.requests.len() as u32).collect();
        by_start.sort_by_key(|at| self.requests.get(*at as usize).map(|request| request.start));
        let mut place: FxHashMap<Key, u32> = FxHashMap::default();
        for request in by_start.iter().filter_map(|at| self.requests.get(*at as usize)) {
            place.insert(request.span, batch.requests.len() as u32);
            batch.requests.push(*request);
        }
        let mut order: Vec<u32> = (0..self.calls.len() as u32).collect();
        order.sort_by_key(|at| self.calls.get(*at as usize).map(|own| own.call.start));
        order.retain(|at| {
            let Some(own) = self.calls.get(*at as usize) else { return false };
            let given = match own.whose {
                Whose::Open => Given::Open,
                Whose::Known(parent) => match place.get(&parent) {
                    Some(parent) => Given::Fixed(*parent),
                    None => return false,
                },
                Whose::Later | Whose::Nobody => return false,
            };
            batch.calls.push(Call { given, ..own.call });
            true
        });
        batch.number();
        (batch, order)
    }

    /// Learns from what is certain.
    fn learn(&mut self) {
        let (batch, _) = self.batch();
        self.known.counts.fade(0.9);
        self.known.learn(&batch, 0..batch.requests.len() as u32);
    }

    /// Forgets what nothing waits for.
    fn forget(&mut self, now: Nanos) {
        self.finished = 0;
        let needed = self
            .calls
            .iter()
            .filter(|own| match own.whose {
                Whose::Open => true,
                Whose::Later => now.0.saturating_sub(own.call.start) < WINDOW,
                Whose::Known(_) | Whose::Nobody => false,
            })
            .map(|own| own.call.start)
            .min()
            .unwrap_or(now.0);
        self.requests.retain(|request| request.end >= needed);
        let kept: rustc_hash::FxHashSet<Key> = self.requests.iter().map(|request| request.span).collect();
        self.calls.retain(|own| match own.whose {
            Whose::Open => true,
            Whose::Later => own.call.end == u64::MAX || own.call.end >= needed,
            Whose::Known(parent) => kept.contains(&parent),
            Whose::Nobody => false,
        });
        self.index.clear();
        for (at, request) in self.requests.iter().enumerate() {
            self.index.insert(request.span, (true, at as u32));
        }
        for (at, own) in self.calls.iter().enumerate() {
            self.index.insert(own.call.span, (false, at as u32));
        }
        let index = &self.index;
        self.unknown.retain(|span| index.contains_key(&span));
        self.open = self.requests.iter().filter(|request| request.end == u64::MAX).count();
    }
}

/// What speaks for the link of a call, and how often its step was seen.
fn evidence(
    batch: &Batch,
    state: &super::state::State,
    model: &super::model::Model,
    call: u32,
) -> (EvidenceSet, f32) {
    let mut found = (EvidenceSet::default(), 0.0);
    let parent = state.parent(call);
    if parent != NOBODY {
        super::chain::walk(batch, parent, state.kids(parent), |step| {
            if step.action == call {
                let steps = model.row(step.class()).map_or(0.0, |row| row.steps);
                found = (model.speaks(&step), steps);
            }
        });
    }
    found
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
