//! The joint assignment: several first assignments, each improved by turns with what is learned from it; the best
//! explanation wins, and how often others agree with it says how sure it is.
//!
//! An assignment that explains itself well may still be wrong from end to end: under load many do. So the best one must
//! also be reached from another side. What was learned from it assigns the calls once more, one by one as they come, and
//! where that leads to other requests for a large part of the calls, nothing of it is believed.

use super::batch::Batch;
use super::field::Field;
use super::model::{Counts, Model};
use super::moves::Search;
use super::random::Random;
use super::start::{ALL, Discipline, by_discipline, by_model};
use super::state::State;

/// Rounds of learning from a first assignment, and sweeps in each.
const ROUNDS: usize = 4;
const SWEEPS: usize = 6;
/// The same, for the one or two that are best.
const FINAL_ROUNDS: usize = 5;
const FINAL_SWEEPS: usize = 12;
/// Runs that vote, and sweeps after which each votes.
const VOTERS: u64 = 5;
const VOTES: usize = 16;
/// Heat of the sweeps before a run votes, three at each.
const COOLING: [f32; 8] = [3.0, 2.0, 1.5, 1.0, 1.0, 0.5, 0.0, 0.0];
/// What was learned before weighs as much as this part of itself.
const FADE: f32 = 0.5;
/// If a part of the calls up to the first goes where the best assignment has them when they are assigned anew, nothing
/// is believed; from the second on everything is (docs/accuracy.md).
const BELIEF: (f32, f32) = (0.55, 0.8);

/// From so few calls nothing is learned that could be believed.
const FEW: f32 = 60.0;

/// What was found for one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The call's index.
    pub call: u32,
    /// Requests and how sure each is, the surest first. [`super::field::NOBODY`] is among them.
    pub votes: Vec<(u32, f32)>,
}

/// What is known of a process from earlier batches.
#[derive(Debug, Default)]
pub struct Known {
    /// What was learned.
    pub counts: Counts,
    /// The discipline that led to the best assignment, when that was believed.
    winner: Option<Discipline>,
}

/// What came of a batch.
pub struct Solution {
    /// For each call that was open.
    pub answers: Vec<Answer>,
    /// What was learned by then.
    pub model: Model,
    /// The best assignment.
    pub best: State,
}

/// An assignment that was improved.
struct Attempt {
    worth: f32,
    state: State,
    counts: Counts,
    from: Option<Discipline>,
}

/// Assigns. `known` is what was learned before, and afterwards what was learned now too.
pub fn solve(batch: &Batch, known: &mut Known, seed: u64) -> Solution {
    let field = Field::new(batch);
    let job = Job { batch, field: &field, prior: prior(&known.counts) };
    let mut starts: Vec<(Option<Discipline>, State)> = Vec::new();
    if !known.counts.is_empty() {
        starts.push((None, by_model(batch, &field, &known.counts.scores())));
    }
    let tried = ALL.iter().filter(|discipline| known.winner.is_none_or(|winner| winner == **discipline));
    starts.extend(tried.map(|discipline| (Some(*discipline), by_discipline(batch, &field, *discipline))));
    let mut rng = Random::new(seed);
    let mut found: Vec<Attempt> = starts
        .into_iter()
        .map(|(from, state)| job.improve(from, state, rng.next(), ROUNDS, SWEEPS))
        .collect();
    found.sort_by(|one, other| other.worth.total_cmp(&one.worth));
    found.truncate(2);
    let mut found: Vec<Attempt> = found
        .into_iter()
        .map(|one| job.improve(one.from, one.state, rng.next(), FINAL_ROUNDS, FINAL_SWEEPS))
        .collect();
    found.sort_by(|one, other| other.worth.total_cmp(&one.worth));
    let Some(best) = found.into_iter().next() else {
        return Solution { answers: Vec::new(), model: known.counts.scores(), best: State::new(batch) };
    };
    let mut counts = job.prior.clone();
    counts.merge(&best.counts);
    let model = counts.scores();
    let (answers, belief) = job.vote(&model, &best.state, rng.next());
    if belief >= 1.0 {
        known.counts = counts;
        known.winner = best.from.or(known.winner);
    } else {
        known.winner = None;
    }
    Solution { answers, model, best: best.state }
}

/// What was learned before, as it weighs now.
fn prior(known: &Counts) -> Counts {
    let mut prior = known.clone();
    prior.fade(FADE);
    prior
}

/// What all parts of a solution need.
struct Job<'a> {
    batch: &'a Batch,
    field: &'a Field,
    prior: Counts,
}

impl Job<'_> {
    /// Learns from an assignment, searches with what was learned, and so on.
    fn improve(
        &self,
        from: Option<Discipline>,
        mut state: State,
        seed: u64,
        rounds: usize,
        sweeps: usize,
    ) -> Attempt {
        let mut rng = Random::new(seed);
        let mut worth = f32::MIN;
        let mut counts = Counts::default();
        // The steps of the first assignment are needed to see what overtakes what.
        state.reckon(self.batch, self.field, &self.prior.scores());
        for round in 0..rounds {
            counts = state.count(self.batch, self.field, &mut rng);
            let mut all = self.prior.clone();
            all.merge(&counts);
            let model = all.scores();
            state.reckon(self.batch, self.field, &model);
            let heat = 2.0 * (1.0 - (round + 1) as f32 / rounds as f32);
            let mut search = Search::new(self.batch, self.field, &model, rng.next());
            for _ in 0..sweeps {
                search.sweep(&mut state, heat);
            }
            worth = state.reckon(self.batch, self.field, &model);
        }
        Attempt { worth, state, counts, from }
    }

    /// How often each call goes to which request in searches that go on from the best assignment, and in those that begin
    /// anew; and how far that is believed, 0 to 1.
    fn vote(&self, model: &Model, best: &State, seed: u64) -> (Vec<Answer>, f32) {
        let open = &self.field.open;
        let mut votes: Vec<Vec<(u32, f32)>> = vec![Vec::new(); open.len()];
        let (mut same, mut anew) = (0usize, 0usize);
        for voter in 0..VOTERS {
            let begins_anew = voter % 2 == 1;
            let mut state = if begins_anew { by_model(self.batch, self.field, model) } else { best.clone() };
            state.reckon(self.batch, self.field, model);
            let mut search = Search::new(self.batch, self.field, model, seed ^ (voter + 1) << 48);
            for heat in COOLING.iter().filter(|_| voter > 0) {
                for _ in 0..3 {
                    search.sweep(&mut state, *heat);
                }
            }
            if begins_anew {
                anew += open.len();
                same += open.iter().filter(|call| state.parent(**call) == best.parent(**call)).count();
            }
            for _ in 0..VOTES {
                search.sweep(&mut state, 1.0);
                for (call, votes) in open.iter().zip(&mut votes) {
                    let parent = state.parent(*call);
                    match votes.iter_mut().find(|(request, _)| *request == parent) {
                        Some((_, count)) => *count += 1.0,
                        None => votes.push((parent, 1.0)),
                    }
                }
            }
        }
        let agreement = same as f32 / anew.max(1) as f32;
        // A few calls explain themselves in any way.
        let enough = self.prior.steps() + open.len() as f32 >= FEW;
        let belief = ((agreement - BELIEF.0) / (BELIEF.1 - BELIEF.0)).clamp(0.0, 1.0);
        let belief = if enough { belief } else { 0.0 };
        let unit = belief / (VOTERS as usize * VOTES) as f32;
        let answers = open.iter().zip(votes).map(|(call, mut votes)| {
            votes.iter_mut().for_each(|(_, count)| *count *= unit);
            votes.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
            Answer { call: *call, votes }
        });
        (answers.collect(), belief)
    }
}
