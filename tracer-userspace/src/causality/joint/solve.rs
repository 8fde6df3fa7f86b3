//! The joint assignment: several first assignments, each improved by turns with what is learned from it; the best
//! explanation wins, and how often others agree with it says how sure it is.

use super::batch::Batch;
use super::field::{Field, NOBODY};
use super::model::{Counts, Model};
use super::moves::Search;
use super::start::{ALL, by_discipline, by_model};
use super::state::State;

/// Rounds of learning from a first assignment, and sweeps in each.
const ROUNDS: usize = 4;
fn raw() -> bool {
    std::env::var("TRAW").is_ok()
}
const SWEEPS: usize = 6;
/// The same, for the one or two that are best.
const FINAL_ROUNDS: usize = 5;
const FINAL_SWEEPS: usize = 12;
/// Runs that vote, and sweeps after which each votes.
const VOTERS: usize = 5;
const VOTES: usize = 16;
/// What was learned before weighs as much as this part of itself.
const FADE: f32 = 0.5;

/// What was found for one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The call's index.
    pub call: u32,
    /// Requests and the share of votes for each, most first.
    pub votes: Vec<(u32, f32)>,
}

/// Assigns. `known` is what was learned before, and afterwards what was learned now too.
pub fn solve(batch: &Batch, known: &mut Counts, seed: u64) -> (Vec<Answer>, Model, State) {
    let field = Field::new(batch);
    let mut starts: Vec<State> = Vec::new();
    if !known.is_empty() {
        starts.push(by_model(batch, &field, &known.scores()));
    }
    let only: Option<usize> = std::env::var("TONLY").ok().and_then(|t| t.parse().ok());
    if only.is_some() {
        starts.clear();
    }
    if std::env::var("TDBG").is_ok() {
        eprintln!("usual {:?}", &super::order::predecessors(batch)[..4]);
    }
    starts.extend(
        ALL.iter()
            .enumerate()
            .filter(|(n, _)| only.is_none_or(|o| o == *n))
            .map(|(_, d)| d)
            .map(|discipline| by_discipline(batch, &field, *discipline)),
    );
    let mut found: Vec<(f32, State, Counts)> = starts
        .into_iter()
        .enumerate()
        .map(|(n, state)| improve(batch, &field, known, state, seed ^ (n as u64) << 32, ROUNDS, SWEEPS))
        .collect();
    if std::env::var("TDBG").is_ok() {
        eprintln!(
            "open {} in flight {} starts {:?}",
            field.open.len(),
            field.in_flight,
            found.iter().map(|f| f.0 as i64).collect::<Vec<_>>()
        );
    }
    found.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    found.truncate(2);
    let mut found: Vec<(f32, State, Counts)> = found
        .into_iter()
        .enumerate()
        .map(|(n, (_, state, _))| {
            improve(batch, &field, known, state, seed ^ (n as u64) << 40, FINAL_ROUNDS, FINAL_SWEEPS)
        })
        .collect();
    found.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    if std::env::var("TDBG").is_ok() {
        eprintln!("final {:?}", found.iter().map(|f| f.0 as i64).collect::<Vec<_>>());
    }
    let Some((_, best, counts)) = found.into_iter().next() else {
        return (Vec::new(), known.scores(), State::new(batch));
    };
    let mut all = known.clone();
    all.fade(FADE);
    all.merge(&counts);
    let model = all.scores();
    let votes = vote(batch, &field, &model, &best, seed);
    *known = all;
    (votes, model, best)
}

/// Learns from an assignment, searches with what was learned, and so on.
fn improve(
    batch: &Batch,
    field: &Field,
    known: &Counts,
    mut state: State,
    seed: u64,
    rounds: usize,
    sweeps: usize,
) -> (f32, State, Counts) {
    let mut rng = super::random::Random::new(seed);
    let mut prior = known.clone();
    prior.fade(FADE);
    let mut worth = f32::MIN;
    let mut counts = Counts::default();
    // The steps of the first assignment are needed to see what overtakes what.
    let empty = prior.scores();
    state.reckon(batch, field, &empty);
    for round in 0..rounds {
        counts = state.count(batch, field, &mut rng);
        let mut all = prior.clone();
        all.merge(&counts);
        let model = all.scores();
        state.reckon(batch, field, &model);
        let heat = 2.0 * (1.0 - (round + 1) as f32 / rounds as f32);
        let mut search = Search::new(batch, field, &model, rng.next());
        for _ in 0..if raw() { 0 } else { sweeps } {
            search.sweep(&mut state, heat);
        }
        worth = state.reckon(batch, field, &model);
    }
    (worth, state, counts)
}

/// How often each call goes to which request in searches that go on from the best assignment and from others.
fn vote(batch: &Batch, field: &Field, model: &Model, best: &State, seed: u64) -> Vec<Answer> {
    let mut votes: Vec<Vec<(u32, f32)>> = vec![Vec::new(); field.open.len()];
    for voter in 0..VOTERS {
        let mut state = if voter % 2 == 0 || raw() { best.clone() } else { by_model(batch, field, model) };
        state.reckon(batch, field, model);
        let mut search = Search::new(batch, field, model, seed ^ (voter as u64 + 1) << 48);
        for cooling in [3.0, 2.0, 1.5, 1.0, 1.0, 0.5, 0.0, 0.0] {
            if voter > 0 && !raw() {
                for _ in 0..3 {
                    search.sweep(&mut state, cooling);
                }
            }
        }
        if std::env::var("TDBG").is_ok() {
            let same = field.open.iter().filter(|c| state.parent(**c) == best.parent(**c)).count();
            eprintln!("voter {voter}: {} same {same}", state.reckon(batch, field, model) as i64);
        }
        for _ in 0..VOTES {
            if !raw() {
                search.sweep(&mut state, 1.0);
            }
            for (call, votes) in field.open.iter().zip(&mut votes) {
                let parent = state.parent(*call);
                match votes.iter_mut().find(|(request, _)| *request == parent) {
                    Some((_, count)) => *count += 1.0,
                    None => votes.push((parent, 1.0)),
                }
            }
        }
    }
    let all = (VOTERS * VOTES) as f32;
    field
        .open
        .iter()
        .zip(votes)
        .map(|(call, mut votes)| {
            votes.iter_mut().for_each(|(_, count)| *count /= all);
            votes.sort_by(|(a, one), (b, other)| other.total_cmp(one).then(a.cmp(b)));
            let _ = NOBODY;
            Answer { call: *call, votes }
        })
        .collect()
}
