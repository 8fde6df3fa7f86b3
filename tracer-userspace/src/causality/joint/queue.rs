//! Calls that wait in line in the process: for a connection of a pool, or for a worker. Who writes such a call, and when,
//! says nothing of whose it is; whose turn it was does.
//!
//! That there is such a line is a hypothesis. A replay of it ([`super::replay`]) looks at no answer, and so says beforehand which
//! request is answered next: the one that has been done with its calls for longest. How much is known in
//! that way of who is answered, in bits, against all that there is to be known (one of those that are open), is the proof. One call
//! given to another request puts at least two requests out of place, and one call too many or too few all that come after it.
//! Measured: where the answers tell 95 % of what there is to be known, 99 % of the calls are right; where 80 %, 90 %;
//! without a line, or with another plan, mostly 10 to 60 %.

use super::field::NOBODY;
use super::plans::plans;
use super::replay::{Answered, Events, Plan, Replayed, TURNS};
use super::solve::{Answer, Found, Job};
use super::state::State;
use crate::random::Random;

/// Events with which plans are compared; the best few are replayed to the end.
const TRIAL: usize = 4000;
const FINALISTS: usize = 4;
/// A plan found earlier that says so much need not be compared with others.
const GOOD: f32 = 0.9;
/// Answers from which a proof can be made.
const FEW: usize = 40;
/// Share of what there is to be known: up to the first of a batch, and near a request, nothing is believed, from the
/// second on all of it.
const PROVEN: (f32, f32) = (0.88, 0.95);
/// The same where calls are made side by side: the answer tells of the last that comes back only.
const SIDE_BY_SIDE: (f32, f32) = (0.95, 0.98);
const NEARBY: (f32, f32) = (0.7, 0.9);
/// Answers on each side that are near, and the bits that they must tell together.
const NEAR: usize = 8;
const BITS: f32 = 12.0;

/// What a replay is worth.
struct Proof {
    /// By answer: bits that it tells, and those that there are.
    told: Vec<(f32, f32)>,
    /// Share that all tell together.
    share: f32,
}

impl Proof {
    fn of(answers: &[Answered]) -> Proof {
        // How often each distance from its turn came; each of those that were not came half a time.
        let mut came = [0.5f32; TURNS];
        for answer in answers {
            came.get_mut(usize::from(answer.turn)).into_iter().for_each(|count| *count += 1.0);
        }
        // Against how often it would have come if any of the requests that were open had been answered.
        let told: Vec<(f32, f32)> = answers
            .iter()
            .map(|answer| {
                let there = came.iter().zip(answer.open).filter(|(_, open)| *open > 0);
                let all: f32 = there.map(|(came, _)| came).sum();
                let own = usize::from(answer.turn);
                let of = came.get(own).copied().unwrap_or(0.5);
                let same = answer.open.get(own).copied().unwrap_or(1).max(1) as f32;
                let open = answer.open.iter().sum::<u32>().max(1) as f32;
                ((of / all.max(of) * open / same).log2(), open.log2())
            })
            .collect();
        let (bits, all) = sum(&told);
        Proof { share: if all > 0.0 { bits / all } else { 0.0 }, told }
    }

    /// How far what is near an answer is believed.
    fn nearby(&self, index: usize) -> f32 {
        let near = index.saturating_sub(NEAR)..(index + NEAR + 1).min(self.told.len());
        let (bits, all) = sum(self.told.get(near).unwrap_or_default());
        // One that was a surprise itself is doubtful wherever it is.
        let surprise = self.told.get(index).is_some_and(|(bits, all)| *bits < 0.5 * all);
        if bits < BITS || surprise { 0.0 } else { between(NEARBY, bits / all) }
    }
}

fn sum(told: &[(f32, f32)]) -> (f32, f32) {
    told.iter().fold((0.0, 0.0), |(bits, all), (own, most)| (bits + own, all + most))
}

fn between((none, all): (f32, f32), is: f32) -> f32 {
    ((is - none) / (all - none)).clamp(0.0, 1.0)
}

/// The best replay of a batch.
struct Line {
    plan: Plan,
    replayed: Replayed,
    proof: Proof,
}

impl Line {
    /// Finds it, beginning with what was found earlier.
    fn find(job: &Job<'_>, earlier: Option<&Plan>) -> Option<Line> {
        let events = Events::of(job.batch);
        let replay = |plan: &Plan, events: &Events| {
            let replayed = events.replay(job.batch, job.field, plan);
            let proof = Proof::of(&replayed.answers);
            (replayed.answers.len() >= FEW).then(|| Line { plan: plan.clone(), replayed, proof })
        };
        if let Some(line) = earlier.and_then(|plan| replay(plan, &events))
            && line.proof.share >= GOOD
        {
            return Some(line);
        }
        let trial = events.first(TRIAL);
        let share = |plan: &Plan| replay(plan, &trial).map_or(0.0, |line| line.proof.share);
        let mut plans: Vec<(f32, Plan)> =
            plans(job.batch, job.field.in_flight).into_iter().map(|plan| (share(&plan), plan)).collect();
        plans.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let finalists = plans.iter().take(FINALISTS).filter_map(|(_, plan)| replay(plan, &events));
        finalists.max_by(|one, other| one.proof.share.total_cmp(&other.proof.share))
    }

    /// The assignment.
    fn state(&self, job: &Job<'_>) -> State {
        let mut state = State::new(job.batch);
        for call in &job.field.open {
            let parent = self.parent(*call);
            if parent != NOBODY {
                state.give(job.batch, *call, parent);
            }
        }
        state
    }

    fn parent(&self, call: u32) -> u32 {
        self.replayed.parents.get(call as usize).copied().unwrap_or(NOBODY)
    }

    /// How much it must tell.
    fn proven(&self) -> (f32, f32) {
        if self.plan.is_sequence() { PROVEN } else { SIDE_BY_SIDE }
    }

    /// By request: how far its calls are believed.
    fn belief(&self, requests: usize) -> Vec<f32> {
        let mut belief = vec![0.0; requests];
        let all = between(self.proven(), self.proof.share);
        for (index, answer) in self.replayed.answers.iter().enumerate() {
            if let Some(own) = belief.get_mut(answer.request as usize) {
                *own = all.min(self.proof.nearby(index));
            }
        }
        belief
    }
}

/// Where a search could not be believed: what a line says, if it is proven.
pub fn consult(job: &Job<'_>, found: Found, earlier: &mut Option<Plan>, rng: &mut Random) -> Found {
    if found.belief >= 1.0 {
        return found;
    }
    let line = Line::find(job, earlier.as_ref()).filter(|line| line.proof.share > line.proven().0);
    *earlier = line.as_ref().map(|line| line.plan.clone());
    match line {
        Some(line) => told(job, found, &line, rng),
        None => found,
    }
}

/// What the line says of each call.
fn told(job: &Job<'_>, found: Found, line: &Line, rng: &mut Random) -> Found {
    let belief = line.belief(job.batch.requests.len());
    let votes = |answer: Answer| {
        let parent = line.parent(answer.call);
        let own = belief.get(parent as usize).copied().unwrap_or(0.0);
        // What the search said in part, and rightly, stays said.
        let before = answer.votes.first().filter(|(request, _)| *request == parent);
        let share = before.map_or(own, |(_, before)| own.max(*before));
        if parent == NOBODY { answer } else { Answer { votes: vec![(parent, share)], ..answer } }
    };
    let answers = found.answers.into_iter().map(votes).collect();
    let best = job.as_it_is(line.state(job), rng);
    let (counts, model) = job.learn_from(&best);
    Found { best, counts, model, answers, belief: between(line.proven(), line.proof.share) }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
