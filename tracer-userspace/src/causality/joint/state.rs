//! An assignment of calls to requests, and what it is worth.

use super::batch::{Batch, Given};
use super::chain::walk;
use super::field::{Field, NOBODY, insert};
use super::model::{Counts, Model};

/// What a call without a request is worth.
pub const ORPHAN: f32 = -12.0;
/// How many neighbours of its kind an action is compared with, on each side.
const REACH: usize = 32;
/// A change that loses so much before overtaking is looked at is refused unseen.
const HOPELESS: f32 = -20.0;
/// An action without a step.
const IDLE: u32 = u32::MAX;

/// The step by which an action is explained now: its class and when its activation was.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edge {
    class: u32,
    from: u64,
}

const NO_EDGE: Edge = Edge { class: IDLE, from: 0 };

/// An assignment.
#[derive(Clone, Debug)]
pub struct State {
    /// By call: the request's index, or [`NOBODY`].
    pub parent: Vec<u32>,
    /// By request: its calls in the order of their beginnings.
    pub kids: Vec<Vec<u32>>,
    /// By request: what its chain is worth.
    scores: Vec<f32>,
    /// By action.
    edges: Vec<Edge>,
}

/// A change of a few chains that may be made or not.
#[derive(Debug, Default)]
pub struct Change {
    /// The requests.
    pub requests: Vec<u32>,
    /// What their calls would be.
    pub kids: Vec<Vec<u32>>,
    /// Calls that would be nobody's afterwards.
    pub lost: Vec<u32>,
    /// Calls that would not be nobody's any more.
    pub found: u32,
    /// By request: what its chain would be worth.
    scores: Vec<f32>,
    new: Vec<(u32, Edge)>,
    old: Vec<(u32, Edge)>,
}

impl State {
    /// With the calls whose parents are given, and no others.
    pub fn new(batch: &Batch) -> State {
        let mut state = State {
            parent: vec![NOBODY; batch.calls.len()],
            kids: vec![Vec::new(); batch.requests.len()],
            scores: vec![0.0; batch.requests.len()],
            edges: vec![NO_EDGE; batch.calls.len() + batch.requests.len()],
        };
        for (index, call) in batch.calls.iter().enumerate() {
            if let Given::Fixed(request) = call.given {
                state.give(batch, index as u32, request);
            }
        }
        state
    }

    /// Gives a call to a request, without reckoning.
    pub fn give(&mut self, batch: &Batch, call: u32, request: u32) {
        if let (Some(kids), Some(parent)) =
            (self.kids.get_mut(request as usize), self.parent.get_mut(call as usize))
            && insert(batch, kids, call)
        {
            *parent = request;
        }
    }

    /// The calls of a request.
    pub fn kids(&self, request: u32) -> &[u32] {
        self.kids.get(request as usize).map_or(&[], Vec::as_slice)
    }

    /// Whose a call is.
    pub fn parent(&self, call: u32) -> u32 {
        self.parent.get(call as usize).copied().unwrap_or(NOBODY)
    }

    /// Reckons everything anew; returns what the whole is worth.
    pub fn reckon(&mut self, batch: &Batch, field: &Field, model: &Model) -> f32 {
        self.edges.fill(NO_EDGE);
        for (index, (kids, score)) in self.kids.iter().zip(&mut self.scores).enumerate() {
            *score = 0.0;
            let edges = &mut self.edges;
            walk(batch, index as u32, kids, |step| {
                *score += model.score(&step);
                if let Some(edge) = edges.get_mut(step.action as usize) {
                    *edge = Edge { class: step.class() as u32, from: step.from.at };
                }
            });
        }
        let orphans = field.open.iter().filter(|call| self.parent(**call) == NOBODY).count();
        let overtaken: f32 = (0..self.edges.len() as u32)
            .map(|action| self.overtaking(field, model, action, self.edge(action), true))
            .sum();
        self.scores.iter().sum::<f32>() + ORPHAN * orphans as f32 - overtaken
    }

    fn edge(&self, action: u32) -> Edge {
        self.edges.get(action as usize).copied().unwrap_or(NO_EDGE)
    }

    /// What it costs that the step to an action overtakes others, or is overtaken. `after`: only by later actions.
    fn overtaking(&self, field: &Field, model: &Model, action: u32, edge: Edge, after: bool) -> f32 {
        if edge.class == IDLE {
            return 0.0;
        }
        let cost = model.row(edge.class as usize).map_or(0.0, |row| row.overtake);
        if cost < 0.5 {
            return 0.0;
        }
        cost * self.crossed(field, action, edge, after).1 as f32
    }

    /// How many steps of the same class wait at the same time, and how many of them overtake or are overtaken.
    fn crossed(&self, field: &Field, action: u32, edge: Edge, after: bool) -> (u32, u32) {
        let index = action as usize;
        let (Some(next), Some(place), Some(at)) =
            (field.next.get(index), field.place.get(index), field.at.get(index))
        else {
            return (0, 0);
        };
        let line = field.lines.get(usize::from(*next)).map_or(&[] as &[u32], Vec::as_slice);
        let (place, reach) = (*place as usize, (2 * field.in_flight + 2).min(REACH));
        let (mut pairs, mut crossed) = (0, 0);
        let later = line.get(place + 1..(place + 1 + reach).min(line.len())).unwrap_or_default();
        for other in later {
            let other = self.edge(*other);
            if other.class == edge.class && other.from < *at {
                pairs += 1;
                crossed += u32::from(other.from < edge.from);
            }
        }
        if !after {
            for other in line.get(place.saturating_sub(reach)..place).unwrap_or_default() {
                let then = field.at.get(*other as usize).copied().unwrap_or(0);
                let other = self.edge(*other);
                if other.class == edge.class && edge.from < then {
                    pairs += 1;
                    crossed += u32::from(other.from > edge.from);
                }
            }
        }
        (pairs, crossed)
    }

    /// What a change would bring.
    pub fn gain(&mut self, batch: &Batch, field: &Field, model: &Model, change: &mut Change) -> f32 {
        change.old.clear();
        change.new.clear();
        change.scores.clear();
        let mut gain = ORPHAN * (change.lost.len() as f32 - change.found as f32);
        for (request, kids) in change.requests.iter().zip(&change.kids) {
            let (mut score, new) = (0.0, &mut change.new);
            if *request != NOBODY {
                walk(batch, *request, kids, |step| {
                    score += model.score(&step);
                    new.push((step.action, Edge { class: step.class() as u32, from: step.from.at }));
                });
                gain += score - self.scores.get(*request as usize).copied().unwrap_or(0.0);
            }
            change.scores.push(score);
        }
        if gain < HOPELESS * (change.requests.len() as f32 / 2.0).max(1.0) {
            return f32::MIN;
        }
        // Calls that lose their request lose their step.
        change.new.extend(change.lost.iter().map(|call| (*call, NO_EDGE)));
        change.new.retain(|(action, edge)| self.edge(*action) != *edge);
        for (action, _) in &change.new {
            let old = self.edge(*action);
            change.old.push((*action, old));
            if let Some(edge) = self.edges.get_mut(*action as usize) {
                *edge = NO_EDGE;
            }
            gain += self.overtaking(field, model, *action, old, false);
        }
        for (action, new) in &change.new {
            gain -= self.overtaking(field, model, *action, *new, false);
            if let Some(edge) = self.edges.get_mut(*action as usize) {
                *edge = *new;
            }
        }
        gain
    }

    /// Makes a change whose gain was just reckoned.
    pub fn accept(&mut self, change: &mut Change) {
        for ((request, kids), score) in change.requests.iter().zip(&mut change.kids).zip(&change.scores) {
            if *request == NOBODY {
                continue;
            }
            for kid in kids.iter() {
                if let Some(parent) = self.parent.get_mut(*kid as usize) {
                    *parent = *request;
                }
            }
            if let (Some(own), Some(own_score)) =
                (self.kids.get_mut(*request as usize), self.scores.get_mut(*request as usize))
            {
                std::mem::swap(own, kids);
                *own_score = *score;
            }
        }
        for call in &change.lost {
            if let Some(parent) = self.parent.get_mut(*call as usize) {
                *parent = NOBODY;
            }
        }
    }

    /// Takes a change back whose gain was just reckoned.
    pub fn refuse(&mut self, change: &Change) {
        for (action, old) in &change.old {
            if let Some(edge) = self.edges.get_mut(*action as usize) {
                *edge = *old;
            }
        }
    }

    /// Counts what the assignment shows.
    pub fn count(&self, batch: &Batch, field: &Field, rng: &mut crate::random::Random) -> Counts {
        let mut counts = Counts::default();
        for (index, request) in batch.requests.iter().enumerate() {
            // What is still open is known in part.
            if request.answer.is_some() {
                counts.add_chain(batch, index as u32, self.kids(index as u32), 1.0);
            }
        }
        for call in &field.open {
            let candidates = field.candidates(*call);
            if candidates.len() > 1
                && let Some(other) = candidates.get(rng.below(candidates.len()))
                && *other != self.parent(*call)
            {
                counts.add_random(batch, *other, self.kids(*other), *call);
            }
        }
        self.count_random_answers(batch, field, &mut counts, rng);
        for action in 0..self.edges.len() as u32 {
            let edge = self.edge(action);
            if edge.class != IDLE {
                let (pairs, crossed) = self.crossed(field, action, edge, true);
                counts.add_overtaking(edge.class as usize, pairs as f32, crossed as f32);
            }
        }
        counts
    }

    /// Answers, as if they were those of other requests that are open at the time.
    fn count_random_answers(
        &self,
        batch: &Batch,
        field: &Field,
        counts: &mut Counts,
        rng: &mut crate::random::Random,
    ) {
        let Some(line) = field.lines.last() else { return };
        for action in line {
            let index = *action as usize - batch.calls.len();
            let Some(request) = batch.requests.get(index) else { continue };
            let Some(answer) = request.answer else { continue };
            let near = rng.below(2 * field.in_flight.max(1) + 1) as i64 - field.in_flight as i64;
            let Some(other) = usize::try_from(index as i64 + near).ok().filter(|other| *other != index)
            else {
                continue;
            };
            if batch
                .requests
                .get(other)
                .is_some_and(|other| other.read.at < answer.at && other.end > answer.at)
            {
                super::chain::walk_to_answer(batch, other as u32, self.kids(other as u32), &answer, |step| {
                    counts.add_random_answer(step);
                });
            }
        }
    }
}
