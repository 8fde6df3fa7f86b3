//! The steps by which a request goes through its calls to its answer.
//!
//! A request with its calls, in order, is a chain: each call, and the answer, is an action that follows an activation. Which
//! activation, is read off the chain: the last response that had come by then, or, of calls made side by side, the same
//! as that of the call before.

use super::batch::{Batch, Mark, Request};
use super::symbols::{CALL_OPS, REQUEST_OPS};

/// Calls of one kind beyond this are not counted any further.
pub const COUNTED: usize = 3;
/// Where a chain can stand: at its beginning (by kind of request), or after a call (by kind and how many of it).
pub const PLACES: usize = REQUEST_OPS + CALL_OPS * COUNTED;
/// What can come next: a call (by kind), or the answer.
pub const NEXTS: usize = CALL_OPS + 1;
/// The answer, as what comes next.
pub const ANSWER: u8 = CALL_OPS as u8;
/// Ways in which it follows: see [`Way`].
pub const WAYS: usize = 4;
/// Longest chain: a request with more calls takes no more.
pub const LONGEST: usize = 48;

/// How an action follows what was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// Every earlier call was over.
    After = 0,
    /// Beside the call before, from the same activation.
    Beside = 1,
    /// On the response to one call, while another was outstanding; or on the request, while its body was.
    Among = 2,
    /// Every earlier call was over, and a connection had to be opened for this one.
    Dialled = 3,
}

/// One step of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Where the chain stood.
    pub place: u8,
    /// What came: a kind of call, or [`ANSWER`].
    pub next: u8,
    /// How.
    pub way: Way,
    /// The request was read.
    pub root: &'a Mark,
    /// The activation.
    pub from: &'a Mark,
    /// The action.
    pub to: &'a Mark,
    /// Opening of the call's connection.
    pub birth: Option<&'a Mark>,
    /// From what came before to the action, ns.
    pub gap: u64,
    /// The action: a call's index, or the number of calls and the request's index.
    pub action: u32,
}

impl Step<'_> {
    /// Names place, next and way in one number.
    pub fn class(&self) -> usize {
        (usize::from(self.place) * NEXTS + usize::from(self.next)) * WAYS + self.way as usize
    }
}

/// Numbers of [`Step::class`].
pub const CLASSES: usize = PLACES * NEXTS * WAYS;

/// A class after its requests and calls have been given other numbers; `None` where one has none.
pub fn relabelled(class: usize, requests: &[Option<u8>], calls: &[Option<u8>]) -> Option<usize> {
    let (place, next, way) = (class / WAYS / NEXTS, class / WAYS % NEXTS, class % WAYS);
    let of = |numbers: &[Option<u8>], number: usize| numbers.get(number).copied().flatten().map(usize::from);
    let place = match place.checked_sub(REQUEST_OPS) {
        None => of(requests, place)?,
        Some(call) => REQUEST_OPS + of(calls, call / COUNTED)? * COUNTED + call % COUNTED,
    };
    let next = if next == usize::from(ANSWER) { next } else { of(calls, next)? };
    Some((place * NEXTS + next) * WAYS + way)
}

/// A chain as far as it has been followed.
pub struct Walk<'a> {
    batch: &'a Batch,
    request: &'a Request,
    place: u8,
    counts: [u8; CALL_OPS],
    last_start: u64,
}

impl<'a> Walk<'a> {
    /// At the request.
    pub fn new(batch: &'a Batch, request: &'a Request) -> Walk<'a> {
        Walk { batch, request, place: request.op, counts: [0; CALL_OPS], last_start: 0 }
    }

    /// Followed until a time; and the calls by then.
    pub fn until<'k>(
        batch: &'a Batch,
        request: &'a Request,
        kids: &'k [u32],
        at: u64,
    ) -> (Walk<'a>, &'k [u32]) {
        let before =
            kids.partition_point(|kid| batch.calls.get(*kid as usize).is_some_and(|kid| kid.start < at));
        let before = kids.get(..before).unwrap_or_default();
        let mut chain = Walk::new(batch, request);
        before.iter().for_each(|kid| chain.pass(*kid));
        (chain, before)
    }

    /// What the activation was at a time, if `kids` are the calls so far; and whether all of them were over, and the request was there.
    fn activation(&self, kids: &[u32], at: u64) -> (&'a Mark, bool) {
        // Some pass a body on while it comes.
        let fed = self.request.fed.as_ref().filter(|fed| fed.at <= at);
        let mut all_over = fed.is_some() || self.request.fed.is_none();
        let mut from = fed.unwrap_or(&self.request.read);
        for kid in kids {
            if let Some(call) = self.batch.calls.get(*kid as usize) {
                if call.end <= at {
                    if call.got.at >= from.at {
                        from = &call.got;
                    }
                } else {
                    all_over = false;
                }
            }
        }
        (from, all_over)
    }

    /// The step that a call would be, if `kids` are the calls so far.
    pub fn to_call(&self, kids: &[u32], kid: u32) -> Option<Step<'a>> {
        let call = self.batch.calls.get(kid as usize)?;
        let (from, all_over) = self.activation(kids, call.start);
        let way = if self.last_start > from.at {
            Way::Beside
        } else if all_over {
            if call.birth.is_some_and(|birth| birth.at >= from.at) { Way::Dialled } else { Way::After }
        } else {
            Way::Among
        };
        let since = if way == Way::Beside { self.last_start } else { from.at };
        Some(Step {
            place: self.place,
            next: call.op,
            way,
            root: &self.request.read,
            from,
            to: &call.wrote,
            birth: call.birth.as_ref(),
            gap: call.start.saturating_sub(since),
            action: kid,
        })
    }

    /// The chain goes on with a call.
    pub fn pass(&mut self, kid: u32) {
        if let Some(call) = self.batch.calls.get(kid as usize)
            && let Some(count) = self.counts.get_mut(usize::from(call.op))
        {
            self.place = (REQUEST_OPS + usize::from(call.op) * COUNTED + usize::from(*count)) as u8;
            *count = (*count + 1).min(COUNTED as u8 - 1);
            self.last_start = call.start;
        }
    }

    /// The step to the answer, if `kids` are all calls.
    pub fn to_answer(&self, kids: &[u32], index: u32) -> Option<Step<'a>> {
        let answer = self.request.answer.as_ref()?;
        let (from, all_over) = self.activation(kids, answer.at);
        Some(Step {
            place: self.place,
            next: ANSWER,
            way: if all_over { Way::After } else { Way::Among },
            root: &self.request.read,
            from,
            to: answer,
            birth: None,
            gap: answer.at.saturating_sub(from.at),
            action: self.batch.calls.len() as u32 + index,
        })
    }
}

/// Follows a chain: its calls in the order of their beginnings, then the answer.
pub fn walk<'a>(batch: &'a Batch, index: u32, kids: &[u32], mut each: impl FnMut(Step<'a>)) {
    let Some(request) = batch.requests.get(index as usize) else { return };
    let mut chain = Walk::new(batch, request);
    for (i, kid) in kids.iter().enumerate() {
        if let Some(step) = chain.to_call(kids.get(..i).unwrap_or_default(), *kid) {
            each(step);
        }
        chain.pass(*kid);
    }
    if let Some(step) = chain.to_answer(kids, index) {
        each(step);
    }
}

/// The step to an answer that is another request's, if it were this one's.
pub fn walk_to_answer(batch: &Batch, index: u32, kids: &[u32], answer: &Mark, each: impl FnOnce(&Step<'_>)) {
    let Some(request) = batch.requests.get(index as usize) else { return };
    let stand_in = Request { answer: Some(*answer), ..*request };
    let (chain, before) = Walk::until(batch, &stand_in, kids, answer.at);
    if let Some(step) = chain.to_answer(before, index) {
        each(&step);
    }
}
