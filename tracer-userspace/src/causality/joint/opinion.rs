//! What knowledge from elsewhere ([`super::learned`]) makes of a batch, and what becomes of that.
//!
//! A batch is first assigned without it. Then it may do three things, each of which it must earn:
//!
//! * Where what was found is not fully believed, a search begins at the assignment that this knowledge alone makes. What
//!   comes of it is believed like any other, and only taken if it is believed more. A call that went to another request
//!   before, or goes to another one by this knowledge alone, is doubtful then.
//! * Where this knowledge alone gives most calls to the same requests as the assignment that was found, it is of the same
//!   service in the same state, and helps to improve the assignment, with the weight of a quarter of what the batch
//!   shows. A call that it alone gives to another request does not become surer by that.
//! * Else it does nothing: it is of another version, or of another load.
//!
//! It never becomes part of what the process has learned: what comes from elsewhere is not told as learned here.

use super::batch::Batch;
use super::field::Field;
use super::model::Counts;
use super::moves::Search;
use super::solve::{Answer, COOLING, Found, Job};
use super::start::by_model;
use super::state::State;
use crate::random::Random;

/// Share of the calls that it must give to the same requests in order to have a say.
const USABLE: f32 = 0.55;
/// Its steps weigh as much as this part of the calls of the batch, at most as much as this part of themselves.
const WEIGHT: (f32, f32) = (0.25, 0.5);
/// What is left of the votes for a call that is doubtful, where the search began at its assignment.
const CONTRADICTED: f32 = 0.5;

/// Improves on what was found, by what was learned elsewhere.
pub fn consult(job: &Job<'_>, taught: &Counts, found: Found, rng: &mut Random) -> Found {
    if taught.is_empty() {
        return found;
    }
    let opinion = Opinion::of(job.batch, job.field, taught, rng.next());
    let (before, votes) = (found.best.state.clone(), found.answers.clone());
    let (found, follows) = opinion.begin(job, found, rng);
    let mut found = opinion.improve(job, taught, found, rng);
    let Found { best, answers, .. } = &mut found;
    for (answer, before_it) in answers.iter_mut().zip(&votes) {
        let agrees = opinion.agrees(&best.state, answer);
        if follows {
            let stays = before.parent(answer.call) == best.state.parent(answer.call);
            let doubt = if stays && agrees { 1.0 } else { CONTRADICTED };
            answer.votes.iter_mut().for_each(|(_, share)| *share *= doubt);
        } else if !agrees {
            for (request, share) in &mut answer.votes {
                let then = before_it.votes.iter().find(|(other, _)| other == request);
                *share = share.min(then.map_or(0.0, |(_, then)| *then));
            }
        }
    }
    found
}

/// The assignment by what was learned elsewhere alone.
struct Opinion {
    /// Each call to the request that is best for it by itself.
    first: State,
    /// All calls together.
    all: State,
}

impl Opinion {
    fn of(batch: &Batch, field: &Field, taught: &Counts, seed: u64) -> Opinion {
        let model = taught.scores();
        let first = by_model(batch, field, &model);
        let mut all = first.clone();
        all.reckon(batch, field, &model);
        let mut search = Search::new(batch, field, &model, seed);
        for heat in COOLING {
            for _ in 0..3 {
                search.sweep(&mut all, heat);
            }
        }
        Opinion { first, all }
    }

    /// Begins at its assignment, if what was found is not fully believed. Whether that led further.
    fn begin(&self, job: &Job<'_>, found: Found, rng: &mut Random) -> (Found, bool) {
        if found.belief >= 1.0 {
            return (found, false);
        }
        let other = job.refine(job.explore(None, self.first.clone(), rng), rng);
        let other = job.judge(other, &[], rng);
        if other.belief > found.belief { (other, true) } else { (found, false) }
    }

    /// Improves what was found with this knowledge beside what the batch shows, if both agree for the most part.
    fn improve(&self, job: &Job<'_>, taught: &Counts, found: Found, rng: &mut Random) -> Found {
        let agreeing = found.answers.iter().filter(|answer| self.agrees(&found.best.state, answer)).count();
        let calls = found.answers.len() as f32;
        if (agreeing as f32) < USABLE * calls {
            return found;
        }
        let (of_batch, of_itself) = WEIGHT;
        let mut weighed = taught.clone();
        weighed.fade((of_batch * calls / taught.steps()).min(of_itself));
        let helped = job.helped(&weighed);
        let other = helped.refine(found.best.clone(), rng);
        let mut other = helped.judge(other, &[], rng);
        if other.belief < found.belief {
            return found;
        }
        (other.counts, other.model) = job.learn_from(&other.best);
        other
    }

    fn agrees(&self, best: &State, answer: &Answer) -> bool {
        self.all.parent(answer.call) == best.parent(answer.call)
    }
}
