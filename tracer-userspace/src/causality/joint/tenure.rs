//! Who answers: where a thread works on one request until it has written the answer, everything that it did since the answer before
//! was for the request that it answers next, and so was what it had other threads do.
//!
//! Who reads a request need not be who serves it: a reactor reads for a pool of threads, or waits for the rest of a body that one of them
//! had begun to read. Who writes the answer was at work on it. That is known only afterwards, so it is found here, when all is known.
//!
//! Nothing says that a process works like this; it must have shown it, on calls that several requests could have made. A loop does not:
//! between a call and its response it does something else, and what it answers next was read before what it answered last. Nor does
//! a pool through which requests go in several jobs: what lies between two answers of a thread is then of very different length.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::batch::{Batch, Call};
use crate::causality::{Evidence, EvidenceSet};

/// Calls that must have shown it,
const ENOUGH: f32 = 30.0;
/// and this share of all that could. Own calls must; who had been woken by whom may be mistaken: who holds an interpreter's lock
/// wakes the next, whosever work that does.
const OWN_SHARE: f32 = 0.98;
const ASKED_SHARE: f32 = 0.97;
/// Requests that a thread read itself, and answered after another one that it read later: no more than this share.
const INTERLEAVED: f32 = 0.05;
/// Calls of a kind that requests of a kind make: their variance by their mean. 0 if all do the same, 1 if they come at random. Of calls
/// that others were woken for it was measured (docs/accuracy.md): 0.004 to 0.08 where a thread is made for each (Python, Ruby), 0.33 and
/// more where a pool's threads take jobs from a queue (Java), and the wakes of these are often another's.
const OWN_UNEVEN: f32 = 0.5;
const ASKED_UNEVEN: f32 = 0.15;
/// So many counts are remembered; then all weigh half.
const MEMORY: f32 = 20_000.0;

/// A share: how many of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    good: f32,
    all: f32,
}

impl Share {
    fn add(&mut self, good: bool) {
        self.good += f32::from(u8::from(good));
        self.all += 1.0;
    }

    fn fade(&mut self) {
        if self.all > MEMORY {
            self.good /= 2.0;
            self.all /= 2.0;
        }
    }
}

/// How even the work of requests is: sums of variances and of means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Evenness {
    variance: f32,
    mean: f32,
}

/// What a process has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// Calls of threads that answer: the next request that the thread answers could have made them, and nothing came between call
    /// and response.
    own: Share,
    own_evenness: Evenness,
    /// Calls of threads that were woken by one that answers: likewise.
    asked: Share,
    asked_evenness: Evenness,
    /// Requests that were read and answered by one thread: it had answered all that it read before.
    in_turn: Share,
}

impl Shown {
    fn is_in_turn(&self) -> bool {
        self.in_turn.all - self.in_turn.good <= INTERLEAVED * self.in_turn.all
    }

    fn proves(&self, share: Share, least: f32, evenness: Evenness, uneven: f32) -> bool {
        self.is_in_turn()
            && share.all >= ENOUGH
            && share.good >= least * share.all
            && evenness.variance <= uneven * evenness.mean
    }

    /// Whether its threads do one request's calls after the other's.
    fn own_calls(&self) -> bool {
        self.proves(self.own, OWN_SHARE, self.own_evenness, OWN_UNEVEN)
    }

    /// Whether threads that these woke do calls for them.
    fn asked_calls(&self) -> bool {
        self.proves(self.asked, ASKED_SHARE, self.asked_evenness, ASKED_UNEVEN)
    }
}

/// What is found for a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tenure {
    /// Nothing.
    Unknown,
    /// It is this request's.
    Of(u32, EvidenceSet),
    /// The thread that woke the caller woke others for calls of this kind, more than its request makes: one of them was woken by chance.
    Doubtful,
}

/// The answers of one thread, in the order of time: when, and to which request.
type Answers = FxHashMap<u32, Vec<(u64, u32)>>;

/// For each call: whose it is because of who answered. `several`: whether more than one request could have made it.
pub fn find(batch: &Batch, shown: &mut Shown, several: impl Fn(u32) -> bool) -> Vec<Tenure> {
    let mut answers = Answers::default();
    for (index, request) in (0u32..).zip(&batch.requests) {
        if let Some(answer) = request.answer.filter(|answer| answer.tid != 0) {
            answers.entry(answer.tid).or_default().push((answer.at, index));
        }
    }
    answers.values_mut().for_each(|list| list.sort_unstable());
    let mut own: Vec<Option<u32>> = vec![None; batch.calls.len()];
    let mut asked = own.clone();
    let readers: FxHashSet<u32> = batch.requests.iter().map(|request| request.read.tid).collect();
    // When each thread that answers made its calls.
    let mut begun: FxHashMap<u32, Vec<u64>> = FxHashMap::default();
    for call in batch.calls.iter().filter(|call| answers.contains_key(&call.wrote.tid)) {
        begun.entry(call.wrote.tid).or_default().push(call.start);
    }
    let next = |tid: u32, at: u64| {
        let list = answers.get(&tid)?;
        list.get(list.partition_point(|(answered, _)| *answered <= at)).copied()
    };
    let may = |request: u32, since: u64| {
        batch.requests.get(request as usize).is_some_and(|request| request.read.at <= since)
    };
    for (index, call) in (0u32..).zip(&batch.calls).filter(|(_, call)| call.end != u64::MAX) {
        let tid = call.wrote.tid;
        let slot = index as usize;
        if answers.contains_key(&tid) {
            // If it has not answered since, nothing is to be seen of it.
            let Some((answered, request)) = next(tid, call.start) else { continue };
            let list = begun.get(&tid).map(Vec::as_slice).unwrap_or_default();
            let after = list.get(list.partition_point(|start| *start <= call.start)).copied();
            let waited = call.got.tid == tid && after.is_none_or(|after| after >= call.end);
            let good = waited && answered >= call.end && may(request, call.start);
            if several(index) {
                shown.own.add(good);
            }
            own.get_mut(slot).into_iter().for_each(|own| *own = good.then_some(request));
        } else if let Some(waker) = asker(call).filter(|waker| *waker != tid && !readers.contains(&tid)) {
            let Some((answered, request)) = next(waker, call.wrote.woken) else { continue };
            let good = answered >= call.end && may(request, call.wrote.woken);
            if several(index) {
                shown.asked.add(good);
            }
            asked.get_mut(slot).into_iter().for_each(|asked| *asked = good.then_some(request));
        }
    }
    for list in answers.values() {
        for pair in list.windows(2) {
            if let [(before, _), (_, request)] = pair
                && let Some(request) = batch.requests.get(*request as usize)
                && request.answer.is_some_and(|answer| answer.tid == request.read.tid)
            {
                shown.in_turn.add(request.begun().at >= *before);
            }
        }
    }
    let served = Served::of(batch, &answers);
    let (own_counts, asked_counts) = (served.count(batch, &own), served.count(batch, &asked));
    served.reckon(&own_counts, &mut shown.own_evenness);
    let usual = served.reckon(&asked_counts, &mut shown.asked_evenness);
    [&mut shown.own, &mut shown.asked, &mut shown.in_turn].into_iter().for_each(Share::fade);
    let (own_calls, asked_calls) = (shown.own_calls(), shown.asked_calls());
    let verdict = |(call, (own, asked)): (&Call, (Option<u32>, Option<u32>))| match (own, asked) {
        (Some(request), _) if own_calls => Tenure::Of(request, Evidence::Answer.into()),
        (_, Some(request)) if asked_calls => {
            let kind = served.kind(batch, request, call.op);
            let many = asked_counts.get(&(request, call.op)).copied().unwrap_or(0);
            if f32::from(many) > usual.get(&kind).copied().unwrap_or(0.0).max(1.0).round() {
                Tenure::Doubtful
            } else {
                Tenure::Of(request, EvidenceSet::from(Evidence::Wake).with(Evidence::Answer))
            }
        }
        _ => Tenure::Unknown,
    };
    batch.calls.iter().zip(own.into_iter().zip(asked)).map(verdict).collect()
}

/// The thread that had a call made: it had woken, or made, the caller, which did nothing else since.
fn asker(call: &Call) -> Option<u32> {
    let wrote = &call.wrote;
    // What connected before it was woken was at work already.
    let at_work = call.birth.is_some_and(|birth| birth.tid == wrote.tid && birth.at < wrote.woken);
    (wrote.waker != 0 && wrote.waker_turn == 0 && !wrote.stale && !at_work).then_some(wrote.waker)
}

/// How many requests of each kind were answered by threads that are known.
struct Served {
    by_kind: BTreeMap<u8, f32>,
}

/// Calls of a kind that were found to be a request's.
type PerRequest = FxHashMap<(u32, u8), u16>;

impl Served {
    fn of(batch: &Batch, answers: &Answers) -> Served {
        let mut by_kind = BTreeMap::new();
        for (_, request) in answers.values().flatten() {
            if let Some(request) = batch.requests.get(*request as usize) {
                *by_kind.entry(request.op).or_insert(0.0) += 1.0;
            }
        }
        Served { by_kind }
    }

    fn kind(&self, batch: &Batch, request: u32, op: u8) -> (u8, u8) {
        (batch.requests.get(request as usize).map_or(0, |request| request.op), op)
    }

    fn count(&self, batch: &Batch, parents: &[Option<u32>]) -> PerKind {
        let mut counts = PerKind::default();
        for (call, parent) in batch.calls.iter().zip(parents) {
            if let Some(parent) = parent {
                let count = counts.of.entry((*parent, call.op)).or_insert(0);
                *count = count.saturating_add(1);
            }
        }
        for ((request, op), count) in &counts.of {
            let sums = counts.sums.entry(self.kind(batch, *request, *op)).or_default();
            // Whole numbers: in which order they are added makes no difference.
            sums.0 += u64::from(*count);
            sums.1 += u64::from(*count) * u64::from(*count);
        }
        counts
    }

    /// How many calls of a kind a request of a kind makes on average; how evenly is added to what was seen.
    fn reckon(&self, counts: &PerKind, evenness: &mut Evenness) -> BTreeMap<(u8, u8), f32> {
        let mut usual = BTreeMap::new();
        if evenness.mean > MEMORY {
            evenness.mean /= 2.0;
            evenness.variance /= 2.0;
        }
        for (kind, (sum, squares)) in &counts.sums {
            let requests = self.by_kind.get(&kind.0).copied().unwrap_or(0.0).max(1.0);
            let mean = *sum as f32 / requests;
            let variance = (*squares as f32 / requests - mean * mean).max(0.0);
            evenness.mean += mean * requests;
            evenness.variance += variance * requests;
            usual.insert(*kind, mean);
        }
        usual
    }
}

/// What requests make, by request and by kind.
#[derive(Default)]
struct PerKind {
    of: PerRequest,
    /// By kind of request and of call: the sum of their numbers, and of the squares.
    sums: BTreeMap<(u8, u8), (u64, u64)>,
}

impl PerKind {
    fn get(&self, key: &(u32, u8)) -> Option<&u16> {
        self.of.get(key)
    }
}

#[cfg(test)]
#[path = "tenure_tests.rs"]
mod tests;
