//! A replay: what would have become of the calls if all that waits in a process waited in line.
//!
//! Each activation of a request puts the calls that come next ([`Plan`]) at the end of a line, one line for each kind of
//! call, and a call that is written is the first one's of its line. Nothing else is looked at: not the threads, not the delays, and
//! not when requests are answered, except that nobody makes calls afterwards. So who is answered next is a prediction, and
//! [`super::queue`] asks how good it was.

use std::collections::VecDeque;

use super::batch::{Batch, Given};
use super::field::{Field, NOBODY};
use super::symbols::CALL_OPS;

/// What a kind of request does: steps, one after the other, each with the kinds of the calls that it makes at once.
pub type Steps = Vec<Vec<u8>>;

/// What requests do, by kind of request. A kind that is not in it calls nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Steps>);

impl Plan {
    /// The kinds of calls made at a step; `None` after the last.
    fn step(&self, op: u8, step: u8) -> Option<&[u8]> {
        self.0.get(usize::from(op))?.get(usize::from(step)).map(Vec::as_slice)
    }

    /// Whether no two calls are made side by side.
    pub fn is_sequence(&self) -> bool {
        self.0.iter().flatten().all(|step| step.len() == 1)
    }

    /// Kinds of calls that are in it, a bit for each.
    fn kinds(&self) -> u64 {
        self.0.iter().flatten().flatten().fold(0, |kinds, op| kinds | 1 << op)
    }
}

/// Distances from its turn that are told apart: not done with its calls; then so many out of turn: none, one, two, 3–4,
/// 5–8, more.
pub const TURNS: usize = 7;
const UNTIL: [u32; TURNS] = [0, 1, 2, 3, 5, 9, u32::MAX];

/// How an answer came, against what the replay had made of its request by then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered {
    /// The request.
    pub request: u32,
    /// How far it was from its turn: below [`TURNS`].
    pub turn: u8,
    /// Requests that were not answered, this one among them, by how far each of them was from its turn.
    pub open: [u32; TURNS],
}

/// What came of a replay.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// By call: the request, or [`NOBODY`].
    pub parents: Vec<u32>,
    /// In the order of time.
    pub answers: Vec<Answered>,
}

/// What happens in a process. Of things at one time, what gives work comes before what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Got(u32),
    Begun(u32),
    Wrote(u32),
    Answered(u32),
}

/// How far a line is searched for somebody who could have made a call.
const FAR: usize = 256;

/// What happened in a batch, in the order of time.
#[derive(Debug)]
pub struct Events(Vec<(u64, What)>);

impl Events {
    /// All of it.
    pub fn of(batch: &Batch) -> Events {
        let mut all = Vec::with_capacity(2 * (batch.requests.len() + batch.calls.len()));
        for (index, request) in (0..).zip(&batch.requests) {
            all.push((request.begun().at, What::Begun(index)));
            all.extend(request.answer.map(|answer| (answer.at, What::Answered(index))));
        }
        for (index, call) in (0..).zip(&batch.calls) {
            all.push((call.start, What::Wrote(index)));
            if call.end != u64::MAX {
                all.push((call.end, What::Got(index)));
            }
        }
        all.sort_unstable();
        Events(all)
    }

    /// Only the first so many.
    pub fn first(&self, most: usize) -> Events {
        Events(self.0.get(..most.min(self.0.len())).unwrap_or_default().to_vec())
    }

    /// Replays them.
    pub fn replay(&self, batch: &Batch, field: &Field, plan: &Plan) -> Replayed {
        let mut lines = Lines::new(batch, field, plan);
        for (_, what) in &self.0 {
            match *what {
                What::Begun(request) => lines.begun(request),
                What::Wrote(call) => lines.wrote(call),
                What::Got(call) => lines.got(call),
                What::Answered(request) => lines.answered(request),
            }
        }
        lines.replayed
    }
}

/// Where a request is in its plan.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    step: u8,
    /// Calls of this step without a response.
    outstanding: u8,
    answered: bool,
}

/// The lines, as time goes on.
struct Lines<'a> {
    batch: &'a Batch,
    field: &'a Field,
    plan: &'a Plan,
    kinds: u64,
    lines: Vec<VecDeque<u32>>,
    progress: Vec<Progress>,
    /// Requests that are done with their calls and not answered, by when they were done; and how many have overtaken each.
    done: Vec<(u32, u32)>,
    open: u32,
    replayed: Replayed,
}

impl<'a> Lines<'a> {
    fn new(batch: &'a Batch, field: &'a Field, plan: &'a Plan) -> Lines<'a> {
        Lines {
            batch,
            field,
            plan,
            kinds: plan.kinds(),
            lines: vec![VecDeque::new(); CALL_OPS],
            progress: vec![Progress::default(); batch.requests.len()],
            done: Vec::new(),
            open: 0,
            replayed: Replayed { parents: vec![NOBODY; batch.calls.len()], answers: Vec::new() },
        }
    }

    fn begun(&mut self, request: u32) {
        self.open += 1;
        self.go_on(request);
    }

    /// A request was activated, and queues for what comes next.
    fn go_on(&mut self, request: u32) {
        let (Some(head), Some(progress)) =
            (self.batch.requests.get(request as usize), self.progress.get_mut(request as usize))
        else {
            return;
        };
        let Some(kinds) = self.plan.step(head.op, progress.step) else {
            if !progress.answered {
                self.done.push((request, 0));
            }
            return;
        };
        progress.outstanding = kinds.len() as u8;
        for kind in kinds {
            let kind = usize::from(*kind);
            self.lines.get_mut(kind).into_iter().for_each(|line| line.push_back(request));
        }
    }

    fn wrote(&mut self, index: u32) {
        let Some(call) = self.batch.calls.get(index as usize) else { return };
        if self.kinds & 1 << call.op == 0 {
            return;
        }
        let parent = self.first(index, call.op, call.given);
        if let (Some(parent), Some(own)) = (parent, self.replayed.parents.get_mut(index as usize)) {
            *own = parent;
        }
    }

    /// Takes the first out of a line who could have made a call.
    fn first(&mut self, index: u32, op: u8, given: Given) -> Option<u32> {
        let (progress, field) = (&self.progress, self.field);
        let line = self.lines.get_mut(usize::from(op))?;
        let answered = |request: &u32| progress.get(*request as usize).is_none_or(|it| it.answered);
        while line.front().is_some_and(answered) {
            line.pop_front();
        }
        let found = line.iter().take(FAR).position(|request| match given {
            Given::Fixed(given) => *request == given,
            Given::Open => field.may(index, *request) && !answered(request),
        });
        match (found, given) {
            (Some(place), _) => line.remove(place),
            (None, Given::Fixed(given)) => Some(given),
            (None, Given::Open) => None,
        }
    }

    fn got(&mut self, call: u32) {
        let parent = self.replayed.parents.get(call as usize).copied().unwrap_or(NOBODY);
        let op = self.batch.calls.get(call as usize).map_or(0, |call| call.op);
        if self.kinds & 1 << op == 0 {
            return;
        }
        let Some(progress) = self.progress.get_mut(parent as usize) else { return };
        if progress.outstanding == 0 {
            return;
        }
        progress.outstanding -= 1;
        if progress.outstanding == 0 {
            progress.step = progress.step.saturating_add(1);
            self.go_on(parent);
        }
    }

    fn answered(&mut self, request: u32) {
        if let Some(progress) = self.progress.get_mut(request as usize) {
            progress.answered = true;
        }
        let (mut turn, mut place) = (0, None);
        let mut open = [0; TURNS];
        for (at, (done, overtaken)) in self.done.iter().enumerate() {
            let off = (at as u32).max(*overtaken);
            let off = UNTIL.iter().position(|until| off < *until).unwrap_or(TURNS - 1);
            open.get_mut(off).into_iter().for_each(|count| *count += 1);
            if *done == request {
                (turn, place) = (off as u8, Some(at));
            }
        }
        let others = self.open.max(1).saturating_sub(self.done.len() as u32);
        open.first_mut().into_iter().for_each(|count| *count = others);
        if let Some(place) = place {
            self.done.remove(place);
        }
        // Whoever was before it in the line was overtaken.
        let before = place.unwrap_or(self.done.len());
        self.done.iter_mut().take(before).for_each(|(_, overtaken)| *overtaken += 1);
        self.replayed.answers.push(Answered { request, turn, open });
        self.open = self.open.saturating_sub(1);
    }
}
