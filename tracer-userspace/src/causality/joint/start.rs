//! First assignments: what the usual ways of serving requests would have given. A search begins at each of them.

use super::batch::{Batch, Given};
use super::chain::Walk;
use super::field::Field;
use super::model::Model;
use super::order::{BEGINNING, Habits, beginning};
use super::state::State;
use super::symbols::CALL_OPS;

/// A way of serving requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Who was activated first acts first (loops that put work off, queues).
    FirstCome,
    /// Who was activated last acts (callbacks run to completion), on the same thread if there is one.
    LastCome,
    /// The thread's current request (one request at a time on a thread).
    Thread,
    /// The thread that was woken by the request's.
    Woken,
    /// Who was activated the usual number of turns of the loop before.
    Turns,
    /// Who was activated last when the connection was opened.
    Born,
}

/// All of them.
pub const ALL: [Discipline; 6] = [
    Discipline::FirstCome,
    Discipline::LastCome,
    Discipline::Thread,
    Discipline::Woken,
    Discipline::Turns,
    Discipline::Born,
];

/// What is known of an open request while time goes on.
#[derive(Clone, Copy, Debug)]
struct Now {
    /// What activated it last: [`BEGINNING`] or the kind of the call that was answered.
    by: u8,
    /// How it began: [`BEGINNING`] or [`super::order::FED`].
    began: u8,
    activated: u64,
    /// Until when its calls last that have been made.
    busy_until: u64,
    tid: u32,
    turn: u32,
    nth: u32,
    counts: [u8; CALL_OPS],
    /// Kinds of calls made since it was activated last.
    made: u64,
}

/// Assigns as a discipline would.
pub fn by_discipline(batch: &Batch, field: &Field, habits: &Habits, discipline: Discipline) -> State {
    let mut state = State::new(batch);
    let mut now: Vec<Now> = batch
        .requests
        .iter()
        .map(|request| Now {
            by: BEGINNING,
            began: beginning(request),
            activated: request.begun().at,
            busy_until: 0,
            tid: request.begun().tid,
            turn: request.begun().turn,
            nth: request.begun().nth,
            counts: [0; CALL_OPS],
            made: 0,
        })
        .collect();
    // Responses that are still to come: when, which call, whose.
    let mut coming: std::collections::BinaryHeap<std::cmp::Reverse<(u64, u32, u32)>> = Default::default();
    for (index, call) in batch.calls.iter().enumerate() {
        while let Some(std::cmp::Reverse((at, other, request))) = coming.peek().copied() {
            if at > call.start {
                break;
            }
            coming.pop();
            if let (Some(now), Some(other)) = (now.get_mut(request as usize), batch.calls.get(other as usize))
            {
                (now.by, now.activated, now.made) = (other.op, at, 0);
                (now.tid, now.turn, now.nth) = (other.got.tid, other.got.turn, other.got.nth);
            }
        }
        let index = index as u32;
        let op = usize::from(call.op);
        let most = habits.quotas.get(op).copied().unwrap_or(1);
        let before = habits.predecessors.get(op).copied().unwrap_or(BEGINNING);
        let parent = match call.given {
            Given::Fixed(request) => Some(request),
            Given::Open => field.candidates(index).iter().copied().max_by_key(|candidate| {
                let Some(now) = now.get(*candidate as usize) else { return (0, false, false, 0) };
                let room = now.counts.get(op).is_some_and(|count| *count < most);
                let due = room && now.by == before && now.made & 1 << op == 0;
                let idle = now.busy_until <= call.start;
                let (first, last) = (u64::MAX - now.activated, now.activated);
                let same = now.tid == call.wrote.tid;
                match discipline {
                    Discipline::FirstCome => (u32::from(due), room, idle, first),
                    Discipline::LastCome => (u32::from(due), room, same, last),
                    Discipline::Thread => (u32::from(same && idle), due, room, last),
                    Discipline::Woken => {
                        let woken = call.wrote.waker == now.tid && call.wrote.woken >= now.activated;
                        (u32::from(due), woken, room, if woken { last } else { first })
                    }
                    Discipline::Born => {
                        let born =
                            call.birth.is_some_and(|birth| (birth.tid, birth.nth) == (now.tid, now.nth));
                        (u32::from(born), due, room, last)
                    }
                    Discipline::Turns => {
                        let lag = call.wrote.turn.wrapping_sub(now.turn);
                        let fits = same && now.turn > 0 && now.made & 1 << op == 0;
                        let by = if now.by == BEGINNING { now.began } else { now.by };
                        let fit = habits.lags.fit(call.birth.is_some(), call.op, by, lag);
                        (if fits { (fit * 100.0) as u32 } else { 0 }, due, room, first)
                    }
                }
            }),
        };
        let Some(parent) = parent else { continue };
        state.give(batch, index, parent);
        coming.push(std::cmp::Reverse((call.end, index, parent)));
        if let Some(now) = now.get_mut(parent as usize) {
            now.busy_until = now.busy_until.max(call.end);
            now.made |= 1 << op;
            if let Some(count) = now.counts.get_mut(op) {
                *count = count.saturating_add(1);
            }
        }
    }
    state
}

/// Assigns each call, in the order of time, to the request that the model likes best.
pub fn by_model(batch: &Batch, field: &Field, model: &Model) -> State {
    let mut state = State::new(batch);
    let mut steps: Vec<(f32, u64, usize, u32)> = Vec::new();
    for call in &field.open {
        steps.clear();
        steps.extend(field.candidates(*call).iter().filter_map(|candidate| {
            let kids = state.kids(*candidate);
            let mut chain = Walk::new(batch, batch.requests.get(*candidate as usize)?);
            kids.iter().for_each(|kid| chain.pass(*kid));
            let step = chain.to_call(kids, *call)?;
            Some((model.score(&step), step.from.at, step.class(), *candidate))
        }));
        // Whoever waits for longer would be overtaken.
        let best = steps.iter().map(|(score, since, class, candidate)| {
            let older = steps.iter().filter(|(_, other, same, _)| same == class && other < since).count();
            let cost = model.row(*class).map_or(0.0, |row| row.overtake);
            (score - cost * older as f32, *candidate)
        });
        if let Some((score, request)) = best.max_by(|(one, _), (other, _)| one.total_cmp(other))
            && score > super::state::ORPHAN
        {
            state.give(batch, *call, request);
        }
    }
    state
}
