//! What was learned of services, apart from the processes and the run in which it was: so that a quiet hour can help a
//! busy one, and one capture another.
//!
//! A service's steps are kept under words (its name, method and path of its requests and calls), since numbers and process
//! ids mean nothing elsewhere. What comes of knowledge that is brought in, `opinion.rs` says; what it is in a file,
//! [`crate::tcap`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chain::{ANSWER, COUNTED, NEXTS, WAYS, relabelled};
use super::evidence::{BINS, COUNT};
use super::model::{Counts, GAPS, Row};
use super::symbols::{CALL_OPS, Operation, Operations, REQUEST_OPS, Symbols};

/// Services that are kept at most: those of which most was learned.
pub const MOST_SERVICES: usize = 64;
/// Kinds of steps of a service that are kept at most: those that were seen most often.
pub const MOST_STEPS: usize = 128;
/// Operations of a service: the last number of [`Symbols`] is no operation of its own.
pub const MOST_CALLS: usize = CALL_OPS - 1;
/// The same for requests.
pub const MOST_REQUESTS: usize = REQUEST_OPS - 1;

/// The kinds of evidence, in the order in which [`Counted::bins`] numbers them.
pub fn evidence() -> [&'static str; COUNT] {
    super::evidence::ALL.map(|kind| kind.name().name())
}

/// Bins of each of them.
pub use super::evidence::BINS as EVIDENCE_BINS;

/// What was learned, by service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned(BTreeMap<Arc<str>, Lesson>);

/// What was learned of one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lesson {
    /// Kinds of requests; steps name them by their places here.
    requests: Vec<Operation>,
    /// Kinds of calls, likewise.
    calls: Vec<Operation>,
    /// Steps by class (`chain.rs`).
    steps: BTreeMap<usize, Counted>,
    /// Pairs at random, by what comes next.
    random: BTreeMap<u8, Counted>,
}

/// What was counted of one kind of step, in [`UNIT`]s: whole numbers add up to the same in whatever order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many there were.
    pub steps: u32,
    /// By bin of the delay (`gap_bin`).
    pub gaps: BTreeMap<u8, u32>,
    /// By kind of evidence, times [`BINS`], plus its bin.
    pub bins: BTreeMap<u8, u32>,
    /// Pairs of such steps that waited side by side.
    pub pairs: u32,
    /// Those of them that overtook each other.
    pub crossed: u32,
}

/// Counts fade, so they are no whole numbers; what is smaller than this part of one is not told.
pub const UNIT: f32 = 1.0 / 64.0;

impl Counted {
    fn of(row: &Row, (pairs, crossed): (f32, f32)) -> Counted {
        // What does not fit saturates.
        let units = |count: f32| (count / UNIT).round() as u32;
        let sparse = |counts: &mut dyn Iterator<Item = &f32>| {
            (0u8..)
                .zip(counts)
                .map(|(at, count)| (at, units(*count)))
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Counted {
            steps: units(row.steps),
            gaps: sparse(&mut row.gaps.iter()),
            bins: sparse(&mut row.bins.iter().flatten()),
            pairs: units(pairs),
            crossed: units(crossed),
        }
    }

    fn row(&self) -> Row {
        let mut row = Row { steps: count(self.steps), ..Row::EMPTY };
        for (to, at) in row.gaps.iter_mut().zip(0u8..) {
            *to = self.gaps.get(&at).copied().map_or(0.0, count);
        }
        for (to, at) in row.bins.iter_mut().flatten().zip(0u8..) {
            *to = self.bins.get(&at).copied().map_or(0.0, count);
        }
        row
    }

    fn merge(&mut self, other: &Counted) {
        let add = |to: &mut u32, more: u32| *to = to.saturating_add(more);
        add(&mut self.steps, other.steps);
        add(&mut self.pairs, other.pairs);
        add(&mut self.crossed, other.crossed);
        for (own, other) in [(&mut self.gaps, &other.gaps), (&mut self.bins, &other.bins)] {
            other.iter().for_each(|(at, more)| add(own.entry(*at).or_default(), *more));
        }
    }

    /// Whether these can be counts of this version.
    fn is_sound(&self) -> bool {
        let below = |counts: &BTreeMap<u8, u32>, end: usize| counts.keys().all(|at| usize::from(*at) < end);
        self.crossed <= self.pairs && below(&self.gaps, GAPS) && below(&self.bins, COUNT * BINS)
    }
}

fn count(units: u32) -> f32 {
    units as f32 * UNIT
}

/// A kind of step: what was there before, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// After this call, and so many of its kind before it (2 for more); `Err`: at the beginning of this kind of request.
    pub after: Result<(u8, u8), u8>,
    /// This call; `None`: the answer.
    pub next: Option<u8>,
    /// In which of the ways of `chain.rs`.
    pub way: u8,
}

impl Kind {
    fn of(class: usize) -> Kind {
        let (place, next) = (class / WAYS / NEXTS, (class / WAYS % NEXTS) as u8);
        let after = match place.checked_sub(REQUEST_OPS) {
            Some(call) => Ok(((call / COUNTED) as u8, (call % COUNTED) as u8)),
            None => Err(place as u8),
        };
        Kind { after, next: Some(next).filter(|next| *next != ANSWER), way: (class % WAYS) as u8 }
    }

    /// Its class, if a service with so many operations can have such steps.
    fn class(self, requests: usize, calls: usize) -> Option<usize> {
        let below = |number: u8, end: usize| Some(usize::from(number)).filter(|number| *number < end);
        let place = match self.after {
            Ok((call, nth)) => REQUEST_OPS + below(call, calls)? * COUNTED + below(nth, COUNTED)?,
            Err(request) => below(request, requests)?,
        };
        let next = self.next.map_or(Some(usize::from(ANSWER)), |next| below(next, calls))?;
        Some((place * NEXTS + next) * WAYS + below(self.way, WAYS)?)
    }
}

impl Learned {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The services, by name.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, &Lesson)> {
        self.0.iter()
    }

    /// What was learned of a service.
    pub fn of(&self, service: &str) -> Option<&Lesson> {
        self.0.get(service)
    }

    /// Adds what was learned of a service.
    pub fn add(&mut self, service: &Arc<str>, lesson: &Lesson) {
        if lesson.steps.is_empty() {
            return;
        }
        self.0.entry(Arc::clone(service)).or_default().merge(lesson);
        while self.0.len() > MOST_SERVICES {
            let least = self.0.iter().min_by(|(_, one), (_, other)| one.seen().cmp(&other.seen()));
            let Some(least) = least.map(|(name, _)| Arc::clone(name)) else { break };
            self.0.remove(&least);
        }
    }

    /// Adds what was learned elsewhere.
    pub fn merge(&mut self, other: &Learned) {
        other.services().for_each(|(service, lesson)| self.add(service, lesson));
    }
}

impl Lesson {
    /// With these operations, and nothing known of them yet; those beyond the numbers that there are for them are left out.
    pub fn new(mut requests: Vec<Operation>, mut calls: Vec<Operation>) -> Lesson {
        requests.truncate(MOST_REQUESTS);
        calls.truncate(MOST_CALLS);
        Lesson { requests, calls, ..Lesson::default() }
    }

    /// Of one process.
    pub(super) fn of(counts: &Counts, symbols: &Symbols) -> Lesson {
        let mut lesson = Lesson::default();
        let requests = numbers(&symbols.request_names, &mut lesson.requests, MOST_REQUESTS);
        let calls = numbers(&symbols.call_names, &mut lesson.calls, MOST_CALLS);
        for (class, row, crossed) in counts.by_class() {
            if let Some(class) = relabelled(class, &requests, &calls) {
                lesson.steps.entry(class).or_default().merge(&Counted::of(row, crossed));
            }
        }
        for (next, row) in counts.at_random() {
            if let Some(next) = next_of(next, &calls).filter(|_| row.steps > 0.0) {
                lesson.random.entry(next).or_default().merge(&Counted::of(row, (0.0, 0.0)));
            }
        }
        lesson.shorten();
        lesson
    }

    /// Kinds of requests; steps name them by their places.
    pub fn requests(&self) -> &[Operation] {
        &self.requests
    }

    /// Kinds of calls, likewise.
    pub fn calls(&self) -> &[Operation] {
        &self.calls
    }

    /// What was counted of steps.
    pub fn steps(&self) -> impl Iterator<Item = (Kind, &Counted)> {
        self.steps.iter().map(|(class, counted)| (Kind::of(*class), counted))
    }

    /// What was counted of pairs at random, by what comes next: a call, or `None`: the answer.
    pub fn random(&self) -> impl Iterator<Item = (Option<u8>, &Counted)> {
        self.random.iter().map(|(next, counted)| (Some(*next).filter(|next| *next != ANSWER), counted))
    }

    /// Adds a kind of step. False if there is no such step, these are no counts, or there is no room.
    pub fn put(&mut self, kind: Kind, counted: Counted) -> bool {
        let class = kind.class(self.requests.len(), self.calls.len()).filter(|_| counted.is_sound());
        let Some(class) = class.filter(|class| !self.steps.contains_key(class)) else { return false };
        let room = self.steps.len() < MOST_STEPS;
        if room {
            self.steps.insert(class, counted);
        }
        room
    }

    /// Adds pairs at random. False if they cannot be.
    pub fn put_random(&mut self, next: Option<u8>, counted: Counted) -> bool {
        let known = next.is_none_or(|next| usize::from(next) < self.calls.len());
        let next = next.unwrap_or(ANSWER);
        let good = known && counted.is_sound() && !self.random.contains_key(&next);
        if good {
            self.random.insert(next, counted);
        }
        good
    }

    /// How many steps were seen.
    pub fn seen(&self) -> u64 {
        let units: u64 = self.steps.values().map(|counted| u64::from(counted.steps)).sum();
        (units as f32 * UNIT) as u64
    }

    /// What the counts are for a process, whose operations have other numbers. Operations that it does not have (yet) are
    /// left out, and so are those that only it has.
    pub(super) fn counts(&self, symbols: &Symbols) -> Counts {
        let requests = matching(&self.requests, &symbols.request_names);
        let calls = matching(&self.calls, &symbols.call_names);
        let mut counts = Counts::default();
        for (class, counted) in &self.steps {
            if let Some(class) = relabelled(*class, &requests, &calls) {
                counts.add_class(class, &counted.row(), (count(counted.pairs), count(counted.crossed)));
            }
        }
        for (next, counted) in &self.random {
            if let Some(next) = next_of(usize::from(*next), &calls) {
                counts.add_at_random(next, &counted.row());
            }
        }
        counts
    }

    fn merge(&mut self, other: &Lesson) {
        let named = |own: &[Operation]| own.iter().cloned().map(Some).collect::<Operations>();
        let requests = numbers(&named(&other.requests), &mut self.requests, MOST_REQUESTS);
        let calls = numbers(&named(&other.calls), &mut self.calls, MOST_CALLS);
        for (class, counted) in &other.steps {
            if let Some(class) = relabelled(*class, &requests, &calls) {
                self.steps.entry(class).or_default().merge(counted);
            }
        }
        for (next, counted) in &other.random {
            if let Some(next) = next_of(usize::from(*next), &calls) {
                self.random.entry(next).or_default().merge(counted);
            }
        }
        self.shorten();
    }

    /// Keeps the steps that were seen most often.
    fn shorten(&mut self) {
        while self.steps.len() > MOST_STEPS {
            let least = self.steps.iter().min_by(|(_, one), (_, other)| one.steps.cmp(&other.steps));
            let Some(least) = least.map(|(class, _)| *class) else { break };
            self.steps.remove(&least);
        }
    }
}

/// Of numbers given elsewhere, those that are given here.
pub(super) type Numbers = Vec<Option<u8>>;

/// What comes next, under another number; the answer has none.
fn next_of(next: usize, calls: &[Option<u8>]) -> Option<u8> {
    if next == usize::from(ANSWER) { Some(ANSWER) } else { calls.get(next).copied().flatten() }
}

/// Finds each operation in a list, or adds it while there is room.
fn numbers(operations: &[Option<Operation>], list: &mut Vec<Operation>, most: usize) -> Numbers {
    let mut number = |operation: &Operation| {
        let at = list.iter().position(|other| other == operation).or_else(|| {
            let room = list.len() < most;
            room.then(|| list.push(operation.clone())).map(|()| list.len() - 1)
        })?;
        u8::try_from(at).ok()
    };
    operations.iter().map(|operation| number(operation.as_ref()?)).collect()
}

/// Finds operations in a process: the same one; or, as addresses and ports change, the only one with the same words, if
/// it is the only one here too.
fn matching(operations: &[Operation], process: &[Option<Operation>]) -> Numbers {
    let find = |is: &dyn Fn(&Operation) -> bool| {
        let mut found = process.iter().zip(0u8..).filter(|(own, _)| own.as_ref().is_some_and(is));
        let first = found.next().map(|(_, number)| number);
        first.filter(|_| found.next().is_none())
    };
    let number = |operation: &Operation| {
        let same = |other: &Operation| other.words == operation.words;
        find(&|own| own == operation).or_else(|| {
            let only = operations.iter().filter(|other| same(other)).count() == 1;
            find(&same).filter(|_| only)
        })
    };
    operations.iter().map(number).collect()
}

#[cfg(test)]
#[path = "learned_tests.rs"]
mod tests;
