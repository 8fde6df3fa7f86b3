//! First assignments: what the usual ways of serving requests would have given. A search begins at each of them.

use super::batch::{Batch, Given};
use super::chain::Walk;
use super::field::{Field, NOBODY};
use super::model::Model;
use super::state::State;
use super::symbols::CALL_OPS;

/// A way of serving requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Who was activated first acts first (loops that put work off, queues).
    FirstCome,
    /// Who was activated last acts (callbacks run to completion), on the same thread if there is one.
    LastCome,
    /// The k-th call of a kind is the k-th request's, whatever else that is doing (calls side by side).
    EachInTurn,
    /// The thread's current request (one request at a time on a thread).
    Thread,
    /// The thread that was woken by the request's.
    Woken,
}

/// All of them.
pub const ALL: [Discipline; 5] = [
    Discipline::FirstCome,
    Discipline::LastCome,
    Discipline::EachInTurn,
    Discipline::Thread,
    Discipline::Woken,
];

/// What is known of an open request while time goes on.
#[derive(Clone, Copy, Debug)]
struct Now {
    activated: u64,
    busy_until: u64,
    tid: u32,
    nth: u32,
    counts: [u8; CALL_OPS],
}

/// Assigns as a discipline would.
pub fn by_discipline(batch: &Batch, field: &Field, discipline: Discipline) -> State {
    let mut state = State::new(batch);
    let quota = quotas(batch);
    let mut now: Vec<Now> = batch
        .requests
        .iter()
        .map(|request| Now {
            activated: request.read.at,
            busy_until: 0,
            tid: request.read.tid,
            nth: request.read.nth,
            counts: [0; CALL_OPS],
        })
        .collect();
    for (index, call) in batch.calls.iter().enumerate() {
        let index = index as u32;
        let op = usize::from(call.op);
        let most = quota.get(op).copied().unwrap_or(1);
        let parent = match call.given {
            Given::Fixed(request) => Some(request),
            Given::Open => field.candidates(index).iter().copied().max_by_key(|candidate| {
                let Some(now) = now.get(*candidate as usize) else { return (false, false, 0, 0) };
                let idle = now.busy_until <= call.start;
                let room = now.counts.get(op).is_some_and(|count| *count < most);
                let activated = if idle { now.activated.max(now.busy_until) } else { now.activated };
                let (first, last) = (u64::MAX - activated, activated);
                match discipline {
                    Discipline::FirstCome => (room, idle, 0, first),
                    Discipline::LastCome => (room, idle, u8::from(now.tid == call.wrote.tid), last),
                    Discipline::EachInTurn => {
                        let start = batch.requests.get(*candidate as usize).map_or(0, |request| request.start);
                        (room, false, 0, u64::MAX - start)
                    }
                    Discipline::Thread => (now.tid == call.wrote.tid && idle, room, 0, last),
                    Discipline::Woken => {
                        let woken = call.wrote.waker == now.tid && call.wrote.woken >= activated;
                        (room && idle, woken, 0, if woken { last } else { first })
                    }
                }
            }),
        };
        let Some(parent) = parent else { continue };
        state.give(batch, index, parent);
        if let Some(now) = now.get_mut(parent as usize) {
            if call.end >= now.busy_until {
                now.busy_until = call.end;
                now.tid = call.got.tid;
                now.nth = call.got.nth;
            }
            if let Some(count) = now.counts.get_mut(op) {
                *count = count.saturating_add(1);
            }
        }
    }
    state
}

/// How many calls of each kind a request makes, about.
fn quotas(batch: &Batch) -> [u8; CALL_OPS] {
    let mut quota = [0.0f32; CALL_OPS];
    for call in &batch.calls {
        if let Some(count) = quota.get_mut(usize::from(call.op)) {
            *count += 1.0;
        }
    }
    let requests = batch.requests.len().max(1) as f32;
    quota.map(|count| (count / requests - 0.1).ceil().clamp(1.0, 40.0) as u8)
}

/// Assigns each call, in the order of time, to the request that the model likes best.
pub fn by_model(batch: &Batch, field: &Field, model: &Model) -> State {
    let mut state = State::new(batch);
    for call in &field.open {
        let best = field
            .candidates(*call)
            .iter()
            .filter_map(|candidate| {
                let kids = state.kids(*candidate);
                let mut chain = Walk::new(batch, batch.requests.get(*candidate as usize)?);
                kids.iter().for_each(|kid| chain.pass(*kid));
                let step = chain.to_call(kids, *call)?;
                Some((model.score(&step), *candidate))
            })
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        if let Some((score, request)) = best
            && score > super::state::ORPHAN
        {
            state.give(batch, *call, request);
        } else if let Some(parent) = state.parent.get_mut(*call as usize) {
            *parent = NOBODY;
        }
    }
    state
}
