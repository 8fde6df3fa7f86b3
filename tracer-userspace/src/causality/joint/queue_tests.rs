//! Small services whose calls wait for one of a few sockets.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::batch::{Batch, Call, Given, Mark, Request};
use super::super::field::Field;
use super::super::model::Counts;
use super::*;
use crate::arena::Arena;

/// Who of those that wait gets a socket that is free.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    First,
    Last,
    Any,
}

const MS: u64 = 1_000_000;
const IN_FLIGHT: usize = 24;
const SOCKETS: usize = 6;

/// What happens next, to which request; a call that is over, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Read(usize),
    Got(usize, usize),
}

/// So many requests, each of which makes a call `/b` and then `/c`, and whose each call is. `stray`: of so many calls one more is
/// made by nobody, and waits in the line.
fn service(requests: usize, turn: Turn, stray: usize) -> (Batch, Vec<u32>) {
    let (mut batch, mut truth, mut arena) = (Batch::default(), Vec::new(), Arena::<()>::default());
    let mut rng = Random::new(5);
    let mut coming: BinaryHeap<Reverse<(u64, Next)>> = BinaryHeap::new();
    let mut line: Vec<(u32, u8)> = Vec::new();
    let (mut free, mut made) = (SOCKETS, 0);
    (0..IN_FLIGHT).for_each(|number| coming.push(Reverse((MS + number as u64 * 70_000, Next::Read(number)))));
    while let Some(Reverse((at, next))) = coming.pop() {
        let mark = |at: u64| Mark { at, tid: 1, ..Mark::default() };
        match next {
            Next::Read(number) => {
                let (span, read) = (arena.insert(()), mark(at));
                batch.requests.push(Request {
                    span,
                    op: 0,
                    read,
                    fed: None,
                    answer: None,
                    start: at,
                    end: u64::MAX,
                });
                line.push((number as u32, 0));
            }
            Next::Got(call, number) => {
                free += 1;
                if batch.calls[call].op == 0 && number != usize::MAX {
                    line.push((number as u32, 1));
                } else if let Some(request) = batch.requests.get_mut(number) {
                    (request.answer, request.end) = (Some(mark(at + 30_000)), at + 40_000);
                    let next = batch.requests.len()
                        + coming.iter().filter(|it| matches!(it.0.1, Next::Read(_))).count();
                    if next < requests {
                        coming.push(Reverse((at + 100_000, Next::Read(next))));
                    }
                }
            }
        }
        while free > 0 && !line.is_empty() {
            let place = match turn {
                Turn::First => 0,
                Turn::Last => line.len() - 1,
                Turn::Any => rng.below(line.len()),
            };
            let (owner, op) = line.remove(place);
            let (start, end) = (at + 10_000, at + MS + rng.below(19 * MS as usize) as u64);
            free -= 1;
            made += 1;
            coming.push(Reverse((end, Next::Got(batch.calls.len(), owner as usize))));
            let (wrote, got) = (mark(start), mark(end));
            let span = arena.insert(());
            batch.calls.push(Call { span, op, wrote, got, start, end, birth: None, given: Given::Open });
            truth.push(owner);
            if stray > 0 && made % stray == 0 {
                line.push((NOBODY, 0));
            }
        }
        // The owner of a stray is no request.
        coming = coming
            .into_iter()
            .map(|Reverse((at, next))| match next {
                Next::Got(call, owner) if owner == NOBODY as usize => {
                    Reverse((at, Next::Got(call, usize::MAX)))
                }
                _ => Reverse((at, next)),
            })
            .collect();
    }
    (batch, truth)
}

/// What a replay makes of it: its share, and of the calls those that are believed, and of these those that are wrong.
fn told_of(batch: &Batch, truth: &[u32]) -> (f32, usize, usize) {
    let field = Field::new(batch);
    let job = Job::new(batch, &field, &Counts::default());
    let Some(line) = Line::find(&job, None) else { return (0.0, 0, 0) };
    let belief = line.belief(batch.requests.len());
    let (mut told, mut wrong) = (0, 0);
    for (call, truth) in (0..).zip(truth) {
        let parent = line.parent(call);
        if belief.get(parent as usize).is_some_and(|belief| *belief > 0.95) {
            told += 1;
            wrong += usize::from(parent != *truth);
        }
    }
    (line.proof.share, told, wrong)
}

#[test]
fn who_waits_in_line_is_found_by_the_answers_alone() {
    let (batch, truth) = service(400, Turn::First, 0);
    assert_eq!(batch.calls.len(), 800);
    let (share, told, wrong) = told_of(&batch, &truth);
    assert!(share > 0.97 && told > 700, "{share} {told}");
    assert_eq!(wrong, 0);
}

#[test]
fn another_discipline_is_not_believed() {
    for turn in [Turn::Last, Turn::Any] {
        let (batch, truth) = service(400, turn, 0);
        let (share, told, _) = told_of(&batch, &truth);
        assert!(share < 0.7, "{turn:?} {share}");
        assert_eq!(told, 0, "{turn:?}");
    }
}

#[test]
fn what_comes_after_a_call_of_nobody_is_not_told_wrong() {
    let (batch, truth) = service(400, Turn::First, 300);
    assert!(truth.contains(&NOBODY));
    let (_, told, wrong) = told_of(&batch, &truth);
    assert!(wrong * 50 <= told, "{wrong} of {told}");
}

#[test]
fn the_plan_is_found() {
    let (batch, _) = service(300, Turn::First, 0);
    let field = Field::new(&batch);
    let job = Job::new(&batch, &field, &Counts::default());
    let line = Line::find(&job, None).map(|line| line.plan);
    assert_eq!(line, Some(Plan(vec![vec![vec![0], vec![1]]])));
}
