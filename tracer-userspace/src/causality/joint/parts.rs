//! Where two assignments differ: in parts that have nothing to do with each other, in each of which one of them is the
//! better.
//!
//! A search that began elsewhere often ends in another assignment only because no single change leads from there to the
//! better one. Changing a whole part at once does.

use super::batch::Batch;
use super::field::{Field, NOBODY};
use super::model::Model;
use super::state::{Change, State};

/// What an assignment is looked at with.
pub type Work<'a> = (&'a Batch, &'a Field, &'a Model);

/// A part that explains this much less than the other's is clearly worse (a logarithm of likelihoods).
const CLEARLY: f32 = 16.0;

/// How another assignment compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Calls that differ.
    pub calls: usize,
    /// Those in parts that are clearly worse there.
    pub clearly_worse: usize,
    /// Parts that are better there.
    pub better: usize,
}

impl std::ops::AddAssign for Comparison {
    fn add_assign(&mut self, other: Comparison) {
        self.calls += other.calls;
        self.clearly_worse += other.clearly_worse;
        self.better += other.better;
    }
}

/// Compares `other` with an assignment, part by part.
pub fn compare(state: &mut State, other: &State, work: Work<'_>) -> Comparison {
    let mut found = Comparison::default();
    for part in parts(state, other, &work.1.open) {
        let mut change = part.change(state, other);
        let gain = state.gain(work.0, work.1, work.2, &mut change);
        state.refuse(&change);
        found.calls += part.calls.len();
        found.clearly_worse += if gain <= -CLEARLY { part.calls.len() } else { 0 };
        found.better += usize::from(gain > 0.0);
    }
    found
}

/// Takes over from `other` every part that is better there.
pub fn adopt(state: &mut State, other: &State, work: Work<'_>) {
    for part in parts(state, other, &work.1.open) {
        let mut change = part.change(state, other);
        if state.gain(work.0, work.1, work.2, &mut change) > 0.0 {
            state.accept(&mut change);
        } else {
            state.refuse(&change);
        }
    }
}

/// Requests that exchange calls with each other and with no others.
#[derive(Debug, Default, PartialEq)]
struct Part {
    requests: Vec<u32>,
    calls: Vec<u32>,
}

impl Part {
    /// The change that makes this part of `state` as it is in `other`.
    fn change(&self, state: &State, other: &State) -> Change {
        let nobodys = |of: &State, call: &u32| of.parent(*call) == NOBODY;
        let mut change = Change::default();
        change.requests.extend_from_slice(&self.requests);
        change.kids.extend(self.requests.iter().map(|request| other.kids(*request).to_vec()));
        change.lost.extend(self.calls.iter().filter(|call| nobodys(other, call)));
        change.found = self.calls.iter().filter(|call| nobodys(state, call)).count() as u32;
        change
    }
}

fn parts(one: &State, other: &State, open: &[u32]) -> Vec<Part> {
    let mut leader: Vec<u32> = (0..one.kids.len() as u32).collect();
    let differing = || open.iter().copied().filter(|call| one.parent(*call) != other.parent(*call));
    for call in differing() {
        let (a, b) = (find(&mut leader, one.parent(call)), find(&mut leader, other.parent(call)));
        if a != NOBODY
            && b != NOBODY
            && let Some(of) = leader.get_mut(a.max(b) as usize)
        {
            *of = a.min(b);
        }
    }
    let mut found: std::collections::BTreeMap<u32, Part> = std::collections::BTreeMap::new();
    for call in differing() {
        let (from, to) = (one.parent(call), other.parent(call));
        let part = found.entry(find(&mut leader, if from == NOBODY { to } else { from })).or_default();
        part.calls.push(call);
        part.requests.extend([from, to].iter().filter(|request| **request != NOBODY));
    }
    let mut parts: Vec<Part> = found.into_values().collect();
    for part in &mut parts {
        part.requests.sort_unstable();
        part.requests.dedup();
    }
    parts
}

/// Who stands for the part that a request is in.
fn find(leader: &mut [u32], mut request: u32) -> u32 {
    while let Some(next) = leader.get(request as usize).copied().filter(|next| *next != request) {
        let after = leader.get(next as usize).copied().unwrap_or(next);
        if let Some(own) = leader.get_mut(request as usize) {
            *own = after;
        }
        request = next;
    }
    request
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Call, Given, Mark, Request};
    use super::*;
    use crate::arena::Arena;

    /// Four requests of 10 ms, two of them at a time, each with a call 1 ms after it was read that lasts for 5 ms.
    fn batch() -> Batch {
        let mut batch = Batch::default();
        let mut arena = Arena::<()>::default();
        for number in 0..4u64 {
            let span = arena.insert(());
            let begin = (1 + number / 2 * 100) * 1_000_000 + number % 2 * 300_000;
            let at = |after: u64| Mark { at: begin + after, tid: 1, ..Mark::default() };
            let (wrote, got) = (at(1_000_000), at(6_000_000));
            let (answer, end) = (Some(at(7_000_000)), begin + 10_000_000);
            batch.requests.push(Request { span, op: 0, read: at(0), fed: None, answer, start: begin, end });
            let (start, end) = (wrote.at, got.at);
            batch.calls.push(Call { span, op: 0, wrote, got, start, end, birth: None, given: Given::Open });
        }
        batch
    }

    fn assigned(batch: &Batch, parents: [u32; 4]) -> State {
        let mut state = State::new(batch);
        for (call, parent) in parents.into_iter().enumerate() {
            state.give(batch, call as u32, parent);
        }
        state
    }

    /// What is usual where each call is that of the request before it.
    fn learned(batch: &Batch) -> Model {
        let mut counts = super::super::model::Counts::default();
        let (right, wrong) = (assigned(batch, [0, 1, 2, 3]), assigned(batch, [1, 0, 3, 2]));
        for request in (0..4).cycle().take(400) {
            counts.add_chain(batch, request, right.kids(request), 1.0);
            counts.add_random(batch, request, &[], request ^ 1);
            counts.add_chain(batch, request, wrong.kids(request), 0.01);
        }
        counts.scores()
    }

    #[test]
    fn what_has_nothing_to_do_with_each_other_is_a_part_of_its_own() {
        let batch = batch();
        let (one, other) = (assigned(&batch, [0, 1, 2, 3]), assigned(&batch, [1, 0, 3, NOBODY]));
        let found = parts(&one, &other, &[0, 1, 2, 3]);
        let part = |requests: &[u32], calls: &[u32]| Part { requests: requests.into(), calls: calls.into() };
        assert_eq!(found, [part(&[0, 1], &[0, 1]), part(&[2, 3], &[2, 3])]);
        assert!(parts(&one, &one, &[0, 1, 2, 3]).is_empty());
    }

    #[test]
    fn the_better_parts_of_both_are_taken() {
        let batch = batch();
        let (field, model) = (Field::new(&batch), learned(&batch));
        let work = (&batch, &field, &model);
        let mut state = assigned(&batch, [1, 0, 2, 3]);
        let best = assigned(&batch, [0, 1, 2, 3]).reckon(&batch, &field, &model);
        state.reckon(&batch, &field, &model);
        let other = assigned(&batch, [0, 1, 3, NOBODY]);
        let compared = compare(&mut state, &other, work);
        assert_eq!((compared.calls, compared.better), (4, 1));
        adopt(&mut state, &other, work);
        assert_eq!(state.parent, [0, 1, 2, 3]);
        assert_eq!(state.reckon(&batch, &field, &model), best, "the reckoning goes on");
        assert_eq!(
            compare(&mut state, &other, work),
            Comparison { better: 0, ..compare(&mut state, &other, work) }
        );
    }

    #[test]
    fn a_call_may_become_nobodys_and_somebodys() {
        let batch = batch();
        let (field, model) = (Field::new(&batch), learned(&batch));
        let mut state = assigned(&batch, [0, 1, 2, NOBODY]);
        let worth = state.reckon(&batch, &field, &model);
        let other = assigned(&batch, [0, 1, NOBODY, 3]);
        adopt(&mut state, &other, (&batch, &field, &model));
        assert_eq!(state.parent, [0, 1, 2, 3]);
        assert!(state.reckon(&batch, &field, &model) > worth);
    }
}
