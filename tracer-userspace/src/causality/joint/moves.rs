//! Changes of an assignment that a search tries.
//!
//! Most are tried between requests whose calls of the same kind lie next to each other in time: that is where an
//! assignment is wrong, if it is.

use super::batch::{Batch, Given};
use super::field::{Field, NOBODY, insert};
use super::model::Model;
use super::state::{Change, State};
use crate::random::Random;

/// How far neighbours are looked for, in calls of the same kind.
const NEAR: usize = 6;

/// One search.
pub struct Search<'a> {
    /// The work.
    pub batch: &'a Batch,
    /// Who may.
    pub field: &'a Field,
    /// What is known.
    pub model: &'a Model,
    /// Chance.
    pub rng: Random,
    change: Change,
}

impl<'a> Search<'a> {
    /// Nothing tried yet.
    pub fn new(batch: &'a Batch, field: &'a Field, model: &'a Model, seed: u64) -> Search<'a> {
        Search { batch, field, model, rng: Random::new(seed), change: Change::default() }
    }

    /// Tries one change for each open call. `heat`: at 0 nothing worse is accepted. Returns how many were made.
    pub fn sweep(&mut self, state: &mut State, heat: f32) -> usize {
        let mut made = 0;
        for _ in 0..self.field.open.len() {
            let Some(call) = self.field.open.get(self.rng.below(self.field.open.len())).copied() else {
                break;
            };
            if self.propose(state, call) {
                let gain = state.gain(self.batch, self.field, self.model, &mut self.change);
                if gain >= 0.0 || (heat > 0.0 && self.rng.share() < (gain / heat).exp()) {
                    state.accept(&mut self.change);
                    made += 1;
                } else {
                    state.refuse(&self.change);
                }
            }
        }
        made
    }

    /// Makes up a change for a call. False if none came to mind.
    fn propose(&mut self, state: &State, call: u32) -> bool {
        let from = state.parent(call);
        let candidates = self.field.candidates(call);
        if candidates.len() == 1 && from != NOBODY {
            return false;
        }
        let kind = self.rng.share();
        if from == NOBODY || kind < 0.2 {
            let to = match self.rng.share() {
                chance if chance < 0.05 => NOBODY,
                chance if chance < 0.5 => self.neighbour(state, call).1,
                _ => candidates.get(self.rng.below(candidates.len())).copied().unwrap_or(NOBODY),
            };
            return self.reassign(state, call, from, to);
        }
        let (other, to) = self.neighbour(state, call);
        if to == from || to == NOBODY {
            return false;
        }
        if kind < 0.6 {
            self.swap(state, call, other, from, to)
        } else {
            self.swap_rest(state, call, from, to)
        }
    }

    /// A call of the same kind near in time, and whose it is.
    fn neighbour(&mut self, state: &State, call: u32) -> (u32, u32) {
        let index = call as usize;
        let (Some(next), Some(place)) = (self.field.next.get(index), self.field.place.get(index)) else {
            return (call, NOBODY);
        };
        let line = self.field.lines.get(usize::from(*next)).map_or(&[] as &[u32], Vec::as_slice);
        let reach = if self.rng.share() < 0.8 { NEAR } else { self.field.in_flight.max(NEAR) };
        let away = 1 + self.rng.below(reach);
        let place = *place as usize;
        let at = if self.rng.share() < 0.5 { place.checked_sub(away) } else { Some(place + away) };
        match at.and_then(|at| line.get(at)) {
            Some(other) => (*other, state.parent(*other)),
            None => (call, NOBODY),
        }
    }

    fn start(&self, call: u32) -> u64 {
        self.batch.calls.get(call as usize).map_or(0, |call| call.start)
    }

    fn may_move(&self, call: u32, to: u32) -> bool {
        self.batch.calls.get(call as usize).is_some_and(|call| call.given == Given::Open)
            && self.field.may(call, to)
    }

    /// Two empty lists; those of the last change, that none need be made.
    fn chains(&mut self) -> (Vec<u32>, Vec<u32>) {
        let mut next = || {
            let mut kids = self.change.kids.pop().unwrap_or_default();
            kids.clear();
            kids
        };
        (next(), next())
    }

    fn propose_chains(&mut self, chains: [(u32, Vec<u32>); 2]) {
        self.change.requests.clear();
        self.change.kids.clear();
        self.change.lost.clear();
        self.change.found = 0;
        for (request, kids) in chains {
            self.change.requests.push(request);
            self.change.kids.push(kids);
        }
    }

    fn reassign(&mut self, state: &State, call: u32, from: u32, to: u32) -> bool {
        if from == to || (to != NOBODY && !self.field.may(call, to)) {
            return false;
        }
        let (mut one, mut two) = self.chains();
        one.extend(state.kids(from).iter().copied().filter(|kid| *kid != call));
        two.extend_from_slice(state.kids(to));
        let fits = to == NOBODY || insert(self.batch, &mut two, call);
        self.propose_chains([(from, one), (to, two)]);
        self.change.lost.extend((to == NOBODY).then_some(call));
        self.change.found = u32::from(from == NOBODY);
        fits
    }

    /// Two calls change places.
    fn swap(&mut self, state: &State, call: u32, other: u32, from: u32, to: u32) -> bool {
        if !self.may_move(other, from) || !self.may_move(call, to) {
            return false;
        }
        let (mut one, mut two) = self.chains();
        one.extend(state.kids(from).iter().copied().filter(|kid| *kid != call));
        two.extend(state.kids(to).iter().copied().filter(|kid| *kid != other));
        let fits = insert(self.batch, &mut one, other) && insert(self.batch, &mut two, call);
        self.propose_chains([(from, one), (to, two)]);
        fits
    }

    /// Two requests exchange all calls from a call on.
    fn swap_rest(&mut self, state: &State, call: u32, from: u32, to: u32) -> bool {
        let since = self.start(call);
        let (mut one, mut two) = self.chains();
        let mut fits = true;
        for kid in state.kids(from).iter().copied() {
            let stays = self.start(kid) < since;
            fits &= stays || self.may_move(kid, to);
            if stays { one.push(kid) } else { two.push(kid) }
        }
        for kid in state.kids(to).iter().copied() {
            let stays = self.start(kid) < since;
            fits &= stays || self.may_move(kid, from);
            if stays { two.push(kid) } else { one.push(kid) }
        }
        for kids in [&mut one, &mut two] {
            kids.sort_unstable_by_key(|kid| (self.start(*kid), *kid));
        }
        fits &= one.len() <= super::chain::LONGEST && two.len() <= super::chain::LONGEST;
        self.propose_chains([(from, one), (to, two)]);
        fits
    }
}
