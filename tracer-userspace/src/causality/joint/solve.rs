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
use super::opinion;
use super::order::Habits;
use super::parts::{self, Comparison};
use super::queue;
use super::replay::Plan;
use super::start::{ALL, Discipline, by_discipline, by_model};
use super::state::State;
use crate::random::Random;

/// Rounds of learning from a first assignment, and sweeps in each.
const ROUNDS: usize = 4;
const SWEEPS: usize = 6;
/// The same, for the one or two that are best.
const FINAL_ROUNDS: usize = 5;
const FINAL_SWEEPS: usize = 12;
/// Runs that vote: those that begin anew, and those that go on from the best assignment.
const BEGIN_ANEW: u64 = 2;
const GO_ON: u64 = 3;
/// Sweeps after which each votes.
const VOTES: usize = 16;
/// Runs that began anew only went astray, and are no other opinion, if nowhere they found anything better than the best
/// assignment, and for this share of the calls that they have elsewhere something clearly worse.
const ASTRAY: f32 = 0.95;
/// Heat of these sweeps: pieces of evidence are not independent of each other, so that differences count for less than
/// they seem to.
const VOTING: f32 = 2.0;
/// Heat of the sweeps before a run votes, three at each.
pub const COOLING: [f32; 8] = [3.0, 2.0, 1.5, 1.0, 1.0, 0.5, 0.0, 0.0];
/// What was learned before weighs as much as this part of itself.
const FADE: f32 = 0.5;
/// If a part of the calls up to the first goes where the best assignment has them when they are assigned anew, nothing
/// is believed; from the second on everything is (docs/accuracy.md).
const BELIEF: (f32, f32) = (0.55, 0.8);

/// The same for the part of the calls that go elsewhere without being clearly worse there: such a model does not tell
/// requests apart, and where it is sure it is wrong more often than it knows.
const UNDECIDED: (f32, f32) = (0.13, 0.08);

/// From so few calls nothing is learned that could be believed.
const FEW: f32 = 60.0;

/// What was found for one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The call's index.
    pub call: u32,
    /// Requests and how sure each is, the surest first. [`super::field::NOBODY`] is among them. Empty: there are more
    /// than were looked at.
    pub votes: Vec<(u32, f32)>,
}

/// What is known of a process from earlier batches.
#[derive(Debug, Default)]
pub struct Known {
    /// What was learned.
    pub counts: Counts,
    /// The discipline that led to the best assignment, when that was believed.
    winner: Option<Discipline>,
    /// What its requests did while their calls waited in line.
    plan: Option<Plan>,
    /// What was learned elsewhere of the same service ([`super::learned`]).
    pub taught: Counts,
}

impl Known {
    /// Learns from requests whose calls are certain, at no cost of a search. Those that have not ended teach nothing.
    pub fn learn(&mut self, batch: &Batch, requests: impl Iterator<Item = u32>) {
        let state = State::new(batch);
        for index in requests {
            let request = batch.requests.get(index as usize);
            if request.is_some_and(|request| request.answer.is_some() && request.end != u64::MAX) {
                self.counts.add_chain(batch, index, state.kids(index), 1.0);
            }
        }
    }
}

/// What came of a batch.
pub struct Solution {
    /// For each call that was open and that some request could have made.
    pub answers: Vec<Answer>,
    /// What was learned by then.
    pub model: Model,
    /// The best assignment.
    pub best: State,
}

/// An assignment that was improved.
#[derive(Clone)]
pub struct Attempt {
    worth: f32,
    pub state: State,
    counts: Counts,
    from: Option<Discipline>,
}

/// The best of them, and what follows from it.
pub struct Found {
    /// The assignment.
    pub best: Attempt,
    /// What is known after it.
    pub counts: Counts,
    /// The scores that this gives.
    pub model: Model,
    /// For each call that was open.
    pub answers: Vec<Answer>,
    /// How far it is believed, 0 to 1.
    pub belief: f32,
}

/// Assigns. `known` is what was learned before, and afterwards what was learned now too.
pub fn solve(batch: &Batch, known: &mut Known, seed: u64) -> Solution {
    let field = Field::new(batch);
    let job = Job::new(batch, &field, &known.counts);
    let habits = Habits::of(batch);
    let mut starts: Vec<(Option<Discipline>, State)> = Vec::new();
    if !known.counts.is_empty() {
        starts.push((None, by_model(batch, &field, &known.counts.scores())));
    }
    let tried = ALL.iter().filter(|discipline| known.winner.is_none_or(|winner| winner == **discipline));
    starts.extend(
        tried.map(|discipline| (Some(*discipline), by_discipline(batch, &field, &habits, *discipline))),
    );
    let mut rng = Random::new(seed);
    let mut found: Vec<Attempt> =
        starts.into_iter().map(|(from, state)| job.explore(from, state, &mut rng)).collect();
    found.sort_by(|one, other| other.worth.total_cmp(&one.worth));
    found.truncate(2);
    let mut found: Vec<Attempt> = found.into_iter().map(|one| job.refine(one, &mut rng)).collect();
    found.sort_by(|one, other| other.worth.total_cmp(&one.worth));
    let mut found = found.into_iter();
    let Some(best) = found.next() else {
        return Solution { answers: Vec::new(), model: known.counts.scores(), best: State::new(batch) };
    };
    let others: Vec<Attempt> = found.collect();
    let found = job.judge(best, &others, &mut rng);
    let found = opinion::consult(&job, &known.taught, found, &mut rng);
    let Found { best, counts, model, answers, belief } =
        queue::consult(&job, found, &mut known.plan, &mut rng);
    if belief >= 1.0 {
        known.counts = counts;
        known.winner = best.from.or(known.winner);
    } else {
        known.winner = None;
    }
    Solution { answers, model, best: best.state }
}

/// What all parts of a solution need.
pub struct Job<'a> {
    /// The work.
    pub batch: &'a Batch,
    /// Who may.
    pub field: &'a Field,
    /// What was learned before, as it weighs now, and the scores that it gives alone.
    prior: Counts,
    before: Model,
    /// Steps of it that the process showed itself.
    own_steps: f32,
}

impl<'a> Job<'a> {
    pub fn new(batch: &'a Batch, field: &'a Field, known: &Counts) -> Job<'a> {
        let mut prior = known.clone();
        prior.fade(FADE);
        Job { batch, field, before: prior.scores(), own_steps: prior.steps(), prior }
    }

    /// The same with more that was learned before.
    pub fn helped(&self, by: &Counts) -> Job<'a> {
        let mut prior = self.prior.clone();
        prior.merge(by);
        Job { before: prior.scores(), prior, ..*self }
    }

    /// Improves a first assignment.
    pub fn explore(&self, from: Option<Discipline>, state: State, rng: &mut Random) -> Attempt {
        self.improve(from, state, rng.next(), ROUNDS, SWEEPS)
    }

    /// Improves one of the best further.
    pub fn refine(&self, one: Attempt, rng: &mut Random) -> Attempt {
        self.improve(one.from, one.state, rng.next(), FINAL_ROUNDS, FINAL_SWEEPS)
    }

    /// Takes an assignment as it is.
    pub fn as_it_is(&self, mut state: State, rng: &mut Random) -> Attempt {
        state.reckon(self.batch, self.field, &self.before);
        let counts = state.count(self.batch, self.field, rng);
        let mut all = self.prior.clone();
        all.merge(&counts);
        let worth = state.reckon(self.batch, self.field, &all.scores());
        Attempt { worth, state, counts, from: None }
    }

    /// What is known after an assignment.
    pub fn learn_from(&self, best: &Attempt) -> (Counts, Model) {
        let mut counts = self.prior.clone();
        counts.merge(&best.counts);
        let model = counts.scores();
        (counts, model)
    }

    /// Whether an assignment is believed, and of which calls. Parts that are better in others are taken over first.
    pub fn judge(&self, mut best: Attempt, others: &[Attempt], rng: &mut Random) -> Found {
        let (counts, model) = self.learn_from(&best);
        best.state.reckon(self.batch, self.field, &model);
        for other in others {
            parts::adopt(&mut best.state, &other.state, (self.batch, self.field, &model));
        }
        let (answers, belief) = self.vote(&model, &mut best.state, rng.next());
        Found { best, counts, model, answers, belief }
    }

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
        state.reckon(self.batch, self.field, &self.before);
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
    fn vote(&self, model: &Model, best: &mut State, seed: u64) -> (Vec<Answer>, f32) {
        let (batch, field, open) = (self.batch, self.field, &self.field.open);
        let all = (batch, field, model);
        let search = |voter: u64| Search::new(batch, field, model, seed ^ (voter + 1) << 48);
        let mut anew = Vec::new();
        let mut same = 0;
        for voter in 0..BEGIN_ANEW {
            let mut state = by_model(batch, field, model);
            cool(&mut search(voter), &mut state, all);
            same += open.iter().filter(|call| state.parent(**call) == best.parent(**call)).count();
            anew.push(state);
        }
        let agreement = same as f32 / (BEGIN_ANEW as usize * open.len()).max(1) as f32;
        let mut compared = Comparison::default();
        for state in &anew {
            compared += parts::compare(best, state, all);
        }
        let astray = compared.better == 0 && compared.clearly_worse as f32 >= ASTRAY * compared.calls as f32;
        let original = best.clone();
        for state in &anew {
            parts::adopt(best, state, all);
        }
        let mut votes: Vec<Vec<(u32, f32)>> = vec![Vec::new(); open.len()];
        // One of them judges without the evidence of who asked, which is often right and sometimes surely wrong: who holds
        // an interpreter's lock wakes the next, whosever work that does.
        let plain = model.without_askers();
        for voter in 0..BEGIN_ANEW + GO_ON {
            let all = if voter == BEGIN_ANEW { (batch, field, &plain) } else { all };
            let mut search = Search::new(batch, field, all.2, seed ^ (voter + BEGIN_ANEW + 1) << 48);
            let mut state = match anew.get_mut(voter as usize) {
                Some(state) => {
                    if astray {
                        parts::adopt(state, best, all);
                    }
                    state.clone()
                }
                // What the best assignment was at first is an opinion too.
                None if voter == BEGIN_ANEW => {
                    let mut state = original.clone();
                    state.reckon(batch, field, &plain);
                    state
                }
                None => best.clone(),
            };
            if voter > BEGIN_ANEW {
                cool(&mut search, &mut state, all);
            }
            for _ in 0..VOTES {
                search.sweep(&mut state, VOTING);
                for (call, votes) in open.iter().zip(&mut votes) {
                    let parent = state.parent(*call);
                    match votes.iter_mut().find(|(request, _)| *request == parent) {
                        Some((_, count)) => *count += 1.0,
                        None => votes.push((parent, 1.0)),
                    }
                }
            }
        }
        // A few calls explain themselves in any way.
        let enough = self.own_steps + open.len() as f32 >= FEW;
        let between = |(none, all): (f32, f32), is: f32| ((is - none) / (all - none)).clamp(0.0, 1.0);
        let clear = compared.clearly_worse as f32 / compared.calls.max(1) as f32;
        let undecided = (1.0 - agreement) * (1.0 - clear);
        let belief = between(BELIEF, agreement).min(between(UNDECIDED, undecided));
        let belief = if enough { belief } else { 0.0 };
        let unit = belief / ((BEGIN_ANEW + GO_ON) as usize * VOTES) as f32;
        let answers = open.iter().zip(votes).map(|(call, mut votes)| {
            votes.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
            votes.iter_mut().for_each(|(_, count)| *count *= unit);
            Answer { call: *call, votes }
        });
        let crowded = self.field.crowded.iter().map(|call| Answer { call: *call, votes: Vec::new() });
        (answers.chain(crowded).collect(), belief)
    }
}

/// Searches with falling heat.
fn cool(search: &mut Search<'_>, state: &mut State, (batch, field, model): (&Batch, &Field, &Model)) {
    state.reckon(batch, field, model);
    for heat in COOLING {
        for _ in 0..3 {
            search.sweep(state, heat);
        }
    }
}
