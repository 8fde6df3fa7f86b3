//! What requests may do: plans that fit to how often each kind of call is made.

use super::batch::Batch;
use super::replay::{Plan, Steps};
use super::symbols::{CALL_OPS, REQUEST_OPS};

/// Kinds of requests, and of calls of one request, with which plans are made up.
const KINDS_OF_REQUESTS: usize = 3;
const CALLS: usize = 4;
/// A request makes at most so many calls of one kind.
const OF_A_KIND: usize = 3;
/// Plans that are looked at.
const MOST: usize = 700;
/// Ways to share out the calls of one kind among the kinds of requests that are looked at, and of all kinds.
const WAYS: usize = 4;
const ALL_WAYS: usize = 64;
/// Share by which the number of calls may differ from what the plan says, beside what is open at an end.
const OFF: f32 = 0.06;

/// Plans that the numbers of requests and calls allow; none if there are too many kinds.
pub fn plans(batch: &Batch, in_flight: usize) -> Vec<Plan> {
    let (mut requests, mut calls) = ([0usize; REQUEST_OPS], [0usize; CALL_OPS]);
    for request in &batch.requests {
        requests.get_mut(usize::from(request.op)).into_iter().for_each(|count| *count += 1);
    }
    for call in &batch.calls {
        calls.get_mut(usize::from(call.op)).into_iter().for_each(|count| *count += 1);
    }
    let ops: Vec<(u8, usize)> = (0..).zip(requests).filter(|(_, count)| *count > 0).collect();
    if ops.is_empty() || ops.len() > KINDS_OF_REQUESTS {
        return Vec::new();
    }
    // For each kind of request the kinds of its calls, in every way that the numbers allow.
    let mut ways: Vec<Vec<Vec<u8>>> = vec![vec![Vec::new(); ops.len()]];
    for (kind, total) in (0u8..).zip(calls).filter(|(_, total)| *total > 0) {
        let shares = shares(&ops, total, in_flight);
        if shares.is_empty() {
            continue;
        }
        let with = |way: &Vec<Vec<u8>>, share: &Vec<usize>| -> Vec<Vec<u8>> {
            let more = |(own, count): (&Vec<u8>, &usize)| {
                own.iter().copied().chain(std::iter::repeat_n(kind, *count)).collect()
            };
            way.iter().zip(share).map(more).collect()
        };
        ways = ways.iter().flat_map(|way| shares.iter().map(move |share| with(way, share))).collect();
        ways.retain(|way| way.iter().all(|calls| calls.len() <= CALLS));
        ways.truncate(ALL_WAYS);
    }
    let mut plans = Vec::new();
    for way in ways.iter().filter(|way| way.iter().any(|calls| !calls.is_empty())) {
        let mut these = vec![Plan::default()];
        for ((op, _), calls) in ops.iter().zip(way) {
            let orders = orders(calls);
            these = these
                .iter()
                .flat_map(|plan| orders.iter().map(move |order| with(plan, *op, order)))
                .collect();
            these.truncate(MOST);
        }
        plans.extend(these);
        plans.truncate(MOST);
    }
    plans
}

/// A plan with the steps of one more kind of request.
fn with(plan: &Plan, op: u8, steps: &Steps) -> Plan {
    let mut plan = plan.clone();
    plan.0.resize(usize::from(op), Steps::new());
    plan.0.push(steps.clone());
    plan
}

/// How many of the calls of a kind each request of a kind may make, the best fits first.
fn shares(ops: &[(u8, usize)], total: usize, in_flight: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in ops {
        let more =
            |share: &Vec<usize>, count: usize| share.iter().copied().chain([count]).collect::<Vec<usize>>();
        all = all.iter().flat_map(|share| (0..=OF_A_KIND).map(move |count| more(share, count))).collect();
    }
    let mut fits: Vec<(usize, Vec<usize>)> = all
        .into_iter()
        .filter_map(|share| {
            let expected: usize = share.iter().zip(ops).map(|(count, (_, requests))| count * requests).sum();
            let off = expected.abs_diff(total);
            let allowed = OFF * expected.max(total) as f32 + in_flight as f32 + 8.0;
            (expected > 0 && off as f32 <= allowed).then_some((off, share))
        })
        .collect();
    fits.sort();
    fits.truncate(WAYS);
    fits.into_iter().map(|(_, share)| share).collect()
}

/// All orders of some calls, any of them side by side.
fn orders(calls: &[u8]) -> Vec<Steps> {
    if calls.is_empty() {
        return vec![Steps::new()];
    }
    let mut found = Vec::new();
    for chosen in 1u32..1 << calls.len().min(CALLS) {
        let part = |first: bool| -> Vec<u8> {
            let of = |(place, op): (usize, &u8)| ((chosen >> place & 1 == 1) == first).then_some(*op);
            calls.iter().enumerate().filter_map(of).collect()
        };
        for mut rest in orders(&part(false)) {
            rest.insert(0, part(true));
            if !found.contains(&rest) {
                found.push(rest);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_in_any_order_and_side_by_side() {
        assert_eq!(orders(&[0, 1]), [vec![vec![0], vec![1]], vec![vec![1], vec![0]], vec![vec![0, 1]]]);
        assert_eq!(orders(&[0, 0]), [vec![vec![0], vec![0]], vec![vec![0, 0]]], "each once");
        assert_eq!(orders(&[0, 1, 2, 3]).len(), 75);
    }

    #[test]
    fn the_calls_of_a_kind_are_shared_out_as_the_numbers_allow() {
        assert_eq!(shares(&[(0, 1000)], 1010, 32), [[1]]);
        assert_eq!(shares(&[(0, 1000)], 2990, 32), [[3]]);
        assert!(shares(&[(0, 1000)], 530, 32).is_empty(), "a timer's");
        assert_eq!(shares(&[(0, 500), (1, 510)], 1011, 8)[0], [1, 1]);
        assert_eq!(shares(&[(0, 500), (1, 510)], 508, 8)[0], [0, 1]);
    }
}
