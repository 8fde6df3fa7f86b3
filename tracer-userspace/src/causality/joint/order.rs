//! After what each kind of call usually comes, before any call has a parent.
//!
//! Were everything first come, first served, the k-th call of a kind would follow the k-th activation of the kind that
//! leads to it. For each kind of call that kind of activation is looked for which can explain (nearly) all of the calls
//! in that way, and of these the one that comes just before.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::batch::{Batch, Request};
use super::symbols::CALL_OPS;

/// What a batch shows before any call has a parent.
pub struct Habits {
    /// By kind of call: how many a request makes, about.
    pub quotas: [u8; CALL_OPS],
    /// By kind of call: the kind of call whose response it follows, or [`BEGINNING`].
    pub predecessors: [u8; CALL_OPS],
    /// How many turns of a loop lie before a call.
    pub lags: Lags,
}

impl Habits {
    /// Looks at a batch.
    pub fn of(batch: &Batch) -> Habits {
        Habits { quotas: quotas(batch), predecessors: predecessors(batch), lags: Lags::of(batch) }
    }
}

/// The request itself, as what calls follow.
pub const BEGINNING: u8 = CALL_OPS as u8;
/// The same where its body came after its head: of [`Lags`] only.
pub const FED: u8 = BEGINNING + 1;
/// Share of a kind's calls that its usual predecessor must explain.
const ENOUGH: f64 = 0.85;

/// By kind of call: the kind of call whose response it follows, or [`BEGINNING`].
///
/// Under a steady load a request's first call follows some earlier request's last response just as regularly. So kinds are
/// taken up one by one, beginning at the request, always the one that comes soonest after what is taken up already.
fn predecessors(batch: &Batch) -> [u8; CALL_OPS] {
    let mut usual = [BEGINNING; CALL_OPS];
    // In the order of time; of things at one time, activations first.
    let mut events: Vec<(u64, bool, u8)> = Vec::new();
    events.extend(batch.requests.iter().map(|request| (request.begun().at, false, BEGINNING)));
    let mut totals = [0usize; CALL_OPS];
    for call in &batch.calls {
        events.push((call.start, true, call.op));
        if call.end != u64::MAX {
            events.push((call.end, false, call.op));
        }
        if let Some(total) = totals.get_mut(usize::from(call.op)) {
            *total += 1;
        }
    }
    events.sort_unstable();
    let mut left: Vec<usize> =
        (0..CALL_OPS).filter(|op| totals.get(*op).is_some_and(|total| *total > 0)).collect();
    let mut taken = usize::from(BEGINNING);
    // By kind: the shortest wait so far, and after what.
    let mut best = [(f64::MAX, usize::from(BEGINNING)); CALL_OPS];
    while !left.is_empty() {
        for op in &left {
            let (explained, wait) = follow(&events, taken as u8, *op as u8);
            let total = totals.get(*op).copied().unwrap_or(0);
            if let Some(best) = best.get_mut(*op)
                && explained as f64 >= ENOUGH * total as f64
                && wait < best.0
            {
                *best = (wait, taken);
            }
        }
        let wait = |op: &usize| best.get(*op).map_or(f64::MAX, |best| best.0);
        let Some(place) = (0..left.len()).min_by(|one, other| {
            let of = |place: &usize| left.get(*place).map_or(f64::MAX, wait);
            of(one).total_cmp(&of(other))
        }) else {
            break;
        };
        taken = left.swap_remove(place);
        if let (Some(usual), Some((_, before))) = (usual.get_mut(taken), best.get(taken)) {
            *usual = *before as u8;
        }
    }
    usual
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

/// How many calls of a kind can follow activations of a kind, first come, first served, and how long they wait.
fn follow(events: &[(u64, bool, u8)], before: u8, op: u8) -> (usize, f64) {
    let (mut waiting, mut explained, mut wait) = (VecDeque::new(), 0usize, 0.0);
    for (at, acts, kind) in events {
        if !acts && *kind == before {
            waiting.push_back(*at);
        } else if *acts
            && *kind == op
            && let Some(since) = waiting.pop_front()
        {
            explained += 1;
            wait += (at - since) as f64;
        }
    }
    (explained, wait / explained.max(1) as f64)
}

/// How a request's work begins.
pub fn beginning(request: &Request) -> u8 {
    if request.fed.is_some() { FED } else { BEGINNING }
}

/// Turns of a loop that are looked back.
const BACK: u32 = 10;
/// Share of a kind's calls that a lag must explain to be used.
const CLEAR: f32 = 0.2;

/// How many turns of the loop lie between an activation and the call that it leads to: by whether a connection had to be
/// opened, kind of call, and kind of activation.
#[derive(Debug)]
pub struct Lags([[[Option<Lag>; CALL_OPS + 2]; CALL_OPS]; 2]);

/// A number of turns, and the share of calls that it explains.
type Lag = (u32, f32);

impl Lags {
    /// Finds them: the lag at which turns with activations and turns with calls fit together best.
    pub fn of(batch: &Batch) -> Lags {
        let mut activated: FxHashMap<(u8, u32, u32), u32> = FxHashMap::default();
        let mut called: FxHashMap<(bool, u8, u32, u32), u32> = FxHashMap::default();
        for request in batch.requests.iter().filter(|request| request.begun().turn > 0) {
            let (kind, begun) = (beginning(request), request.begun());
            *activated.entry((kind, begun.tid, begun.turn)).or_default() += 1;
        }
        for call in &batch.calls {
            if call.end != u64::MAX && call.got.turn > 0 {
                *activated.entry((call.op, call.got.tid, call.got.turn)).or_default() += 1;
            }
            if call.wrote.turn > 0 {
                let key = (call.birth.is_some(), call.op, call.wrote.tid, call.wrote.turn);
                *called.entry(key).or_default() += 1;
            }
        }
        let kinds: std::collections::BTreeSet<u8> = activated.keys().map(|(kind, ..)| *kind).collect();
        let mut fits: FxHashMap<(bool, u8, u8, u32), u32> = FxHashMap::default();
        let mut totals: FxHashMap<(bool, u8), u32> = FxHashMap::default();
        for ((fresh, op, tid, turn), count) in &called {
            *totals.entry((*fresh, *op)).or_default() += count;
            for kind in &kinds {
                for lag in 0..BACK.min(*turn) {
                    if let Some(other) = activated.get(&(*kind, *tid, turn - lag)) {
                        *fits.entry((*fresh, *op, *kind, lag)).or_default() += count.min(other);
                    }
                }
            }
        }
        let mut lags = Lags([[[None; CALL_OPS + 2]; CALL_OPS]; 2]);
        for ((fresh, op, kind, lag), fit) in fits {
            let share = fit as f32 / totals.get(&(fresh, op)).copied().unwrap_or(1).max(1) as f32;
            let place = lags.0.get_mut(usize::from(fresh)).and_then(|lags| lags.get_mut(usize::from(op)));
            if let Some(best) = place.and_then(|lags| lags.get_mut(usize::from(kind)))
                && share >= CLEAR
                && best.is_none_or(|(known, best)| share > best || (share == best && lag < known))
            {
                *best = Some((lag, share));
            }
        }
        lags
    }

    /// How well a call fits to an activation: the share of such calls that this lag explains; 0 if it does not fit.
    pub fn fit(&self, fresh: bool, op: u8, kind: u8, lag: u32) -> f32 {
        let place = self.0.get(usize::from(fresh)).and_then(|lags| lags.get(usize::from(op)));
        match place.and_then(|lags| lags.get(usize::from(kind))).copied().flatten() {
            Some((usual, share)) if usual == lag => share,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Call, Given, Mark};
    use super::*;
    use crate::arena::Arena;

    /// A loop that calls three turns after a request, and two after a body that comes later.
    #[test]
    fn turns_are_counted_apart_for_bodies_that_come_later() {
        let mut arena = Arena::<()>::default();
        let mark = |turn: u32| Mark { at: u64::from(turn), tid: 1, turn, ..Mark::default() };
        let mut batch = Batch::default();
        for turn in (100..2_000).step_by(20) {
            let fed = (turn % 40 == 0).then(|| mark(turn + turn / 40 % 7));
            let wrote = mark(fed.map_or(turn + 3, |fed| fed.turn + 2));
            let (start, end) = (u64::from(wrote.turn), u64::from(turn + 15));
            let (span, read) = (arena.insert(()), mark(turn));
            batch.requests.push(Request {
                span,
                op: 0,
                read,
                fed,
                answer: None,
                start: read.at,
                end: end + 1,
            });
            let got = mark(turn + 15);
            batch.calls.push(Call { span, op: 0, wrote, got, start, end, birth: None, given: Given::Open });
        }
        let lags = Lags::of(&batch);
        let fits =
            |kind: u8| (0..BACK).filter(|lag| lags.fit(false, 0, kind, *lag) > 0.0).collect::<Vec<_>>();
        assert_eq!((fits(BEGINNING), fits(FED)), (vec![3], vec![2]));
    }
}
