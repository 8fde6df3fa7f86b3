//! Evidence of kind *thread* and *continuation*: whose work is this thread doing?
//!
//! A thread that reads a request works on it from then on, and a thread that reads the response of a call works on
//! the request that made the call. Where each thread serves one request at a time that is the whole truth. On a loop
//! it is true until the loop turns to something the tracer does not see: a timer, a database's answer, a callback put
//! off to the next turn. So the current request is not simply taken: every other request of the thread that waits for
//! nothing visible could have been resumed as well, and counts as a candidate. Where callbacks run to completion
//! there is none, because every request but the current one waits for a call.

use std::collections::VecDeque;

use tracer_common::abi::ConnId;

use super::prompt::Promptness;
use super::request::{Members, OpenRequest, Owner, Phase};
use crate::arena::Arena;
use crate::time::Nanos;

/// After its call was written, a request is still the current one for this long, so that calls made side by side
/// (`Promise.all`) belong to it. Longer, and it is likelier that the loop has turned to something unseen; but not while the
/// thread has not gone back to wait: then it was only slow, or lost its processor in between.
const SLICE: u64 = 1_000_000;
/// The same when the thread has no other open request.
const SOLO_SLICE: u64 = 20_000_000;
/// How many past states a thread remembers, and for how long: as long as a `connect` takes.
const HISTORY: usize = 64;
const HISTORY_AGE: u64 = 1_000_000_000;

/// What the last thing read on a thread belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    /// Nothing was read yet.
    Empty,
    /// A request, or the response of one of its calls.
    Request {
        /// Whose work.
        owner: Owner,
        /// Reached by reading a response.
        continued: Option<ConnId>,
        /// When the thread turned to it.
        since: Nanos,
        /// When that, or the last call made from it, happened.
        touched: Nanos,
        /// The thread's turn ([`crate::event::Scene::turn`]) in which the last call was made from it; 0: none, or not known.
        called_in: u32,
    },
    /// A request that has ended, or the response of a call of one.
    Ended,
    /// The response of a call whose owner is not known; when that call was made.
    Unknown {
        /// First byte of the call.
        since: Nanos,
    },
    /// The response of a call that no request made.
    Outside,
}

/// What a thread could be working on, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    context: Context,
    /// Of the request in `context`.
    phase: Phase,
    /// Its response has begun.
    current_answers: bool,
    runnable: u32,
    /// The only runnable one. Resolved when the state is taken: its slot may be another's when the state is asked.
    only: Option<Owner>,
    open: u32,
    /// First byte of the only open one.
    sole_start: Option<Nanos>,
    answering: u32,
}

/// Whom the thread's state points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opinion {
    /// Requests that qualify.
    pub candidates: u32,
    /// The one, when it is one.
    pub only: Option<Owner>,
    /// It is the current one, and was reached by reading a response.
    pub continued: bool,
    /// Work of none of them qualifies too.
    pub stranger: bool,
}

/// What is known of one thread.
#[derive(Debug)]
pub(super) struct Thread {
    /// Its last activation.
    pub context: Context,
    /// Requests read here that are runnable.
    pub runnable: Members,
    /// Requests read here that are open.
    pub open: Members,
    /// Requests read here that are being answered and wait for nothing.
    pub answering: Vec<Owner>,
    /// Whether it deals at once with what it reads.
    pub promptness: Promptness,
    /// The connection on which it made its last call.
    pub wrote: Option<ConnId>,
    /// It has had two open requests at one time.
    pub multi: bool,
    /// When it did something last.
    pub active: Nanos,
    history: VecDeque<(Nanos, State)>,
}

impl Default for Thread {
    fn default() -> Self {
        Thread {
            context: Context::Empty,
            runnable: Members::default(),
            open: Members::default(),
            answering: Vec::new(),
            promptness: Promptness::default(),
            wrote: None,
            multi: false,
            active: Nanos(0),
            history: VecDeque::new(),
        }
    }
}

impl Thread {
    /// Moves a request of this thread from one set to another.
    pub fn moved(&mut self, owner: Owner, from: Option<Phase>, to: Option<Phase>) {
        match from {
            Some(Phase::Runnable) => self.runnable.remove(owner.0),
            Some(Phase::Answering) => self.answering.retain(|other| *other != owner),
            Some(Phase::Waiting) => {}
            None => self.open.add(owner.0),
        }
        match to {
            Some(Phase::Runnable) => self.runnable.add(owner.0),
            Some(Phase::Answering) => self.answering.push(owner),
            Some(Phase::Waiting) => {}
            None => self.open.remove(owner.0),
        }
        self.multi |= self.open.count() > 1;
    }

    /// Whether the current request waits for a call: then a thread that blocks does nothing but read its response.
    pub fn waits(&self, requests: &Arena<OpenRequest>) -> Option<Owner> {
        match self.context {
            Context::Request { owner, .. } => {
                requests.get(owner.0).filter(|request| request.outstanding > 0).map(|_| owner)
            }
            _ => None,
        }
    }

    /// The state now.
    pub fn state(&self, requests: &Arena<OpenRequest>) -> State {
        let (context, phase, current_answers) = match self.context {
            Context::Request { owner, .. } => match requests.get(owner.0) {
                Some(request) => (self.context, request.phase(), request.answering),
                None => (Context::Ended, Phase::Waiting, false),
            },
            other => (other, Phase::Waiting, false),
        };
        let only = |members: Members| members.only().and_then(|index| requests.key_at(index));
        State {
            context,
            phase,
            current_answers,
            runnable: self.runnable.count(),
            only: only(self.runnable).map(Owner),
            open: self.open.count(),
            sole_start: only(self.open).and_then(|key| requests.get(key)).map(|request| request.start),
            answering: u32::try_from(self.answering.len()).unwrap_or(u32::MAX),
        }
    }

    /// The thread turns to something.
    pub fn turn(&mut self, to: Context, at: Nanos, requests: &Arena<OpenRequest>, fans_out: bool) {
        match (std::mem::replace(&mut self.context, to), to) {
            (Context::Request { owner, .. }, Context::Request { owner: same, .. }) if owner == same => return,
            (Context::Request { owner, since, .. }, _) => {
                let resumable = requests.get(owner.0).is_some_and(|r| r.phase() == Phase::Runnable);
                self.promptness.turns_from(owner, since, at, resumable);
            }
            // The beginning and the end of one response.
            (Context::Unknown { since: one }, Context::Unknown { since: other }) if one == other => return,
            // Where requests make several calls at one time its owner may wait for another one.
            (Context::Unknown { .. }, _) => self.promptness.turns_from_unknown(at, !fans_out),
            _ => self.promptness.turns_from_unknown(at, false),
        }
        if let Context::Request { owner, .. } = to {
            self.promptness.moves_on(owner, at);
        }
    }

    /// It is found that the thread called connect at a time.
    pub fn connected(&mut self, at: Nanos) {
        let since = match self.context {
            Context::Request { since, .. } => Some(since),
            _ => None,
        };
        self.promptness.connected(at, since);
    }

    /// The request that a prompt thread works on now.
    pub fn prompt(&self, at: Nanos, requests: &Arena<OpenRequest>) -> Option<Owner> {
        self.state(requests).at_once(self.active, at).filter(|_| self.promptness.is_prompt())
    }

    /// Remembers the state as of now, for connections whose birth is told later.
    pub fn remember(&mut self, at: Nanos, requests: &Arena<OpenRequest>) {
        self.active = at;
        while self.history.front().is_some_and(|(then, _)| at.since(*then) > HISTORY_AGE)
            || self.history.len() >= HISTORY
        {
            self.history.pop_front();
        }
        self.history.push_back((at, self.state(requests)));
    }

    /// The state at a time in the recent past, and since when it was; `None` if that is further back than remembered.
    pub fn state_at(&self, at: Nanos) -> Option<(Nanos, State)> {
        self.history.iter().rev().find(|(then, _)| *then <= at).copied()
    }
}

impl State {
    /// Whether any request was being answered.
    pub fn answering(&self) -> u32 {
        self.answering
    }

    /// The connection whose response was read last, if that is what the thread works on.
    pub fn came_by(&self) -> Option<ConnId> {
        match self.context {
            Context::Request { continued, .. } => continued,
            _ => None,
        }
    }

    /// The current request, if turning to it was the last thing the thread did (at `last`) and that was just before.
    pub fn at_once(&self, last: Nanos, at: Nanos) -> Option<Owner> {
        match self.context {
            Context::Request { owner, touched, .. } if !self.current_answers => {
                (touched == last && at.since(touched) <= SLICE).then_some(owner)
            }
            _ => None,
        }
    }

    /// How many requests of the thread were open.
    pub fn open(&self) -> u32 {
        self.open
    }

    /// Who could have done something at this time, in this turn of the thread (0: not known).
    pub fn opinion(&self, at: Nanos, turn: u32) -> Opinion {
        let (mut candidates, mut only, mut stranger, mut current) = (self.runnable, self.only, false, None);
        match self.context {
            Context::Request { owner, touched, called_in, .. } => {
                current = Some(owner);
                let slice = if self.open > 1 { SLICE } else { SOLO_SLICE };
                let same_turn = turn != 0 && turn == called_in;
                if self.phase == Phase::Waiting && (same_turn || at.since(touched) <= slice) {
                    candidates += 1;
                    only = (candidates == 1).then_some(owner);
                }
            }
            // The owner of that call may be the only request that is open: then nothing is unknown.
            Context::Unknown { since } => stranger = self.sole_start.is_none_or(|start| start >= since),
            Context::Ended | Context::Outside => stranger = true,
            Context::Empty => {}
        }
        let continued = only.is_some() && only == current && self.came_by().is_some();
        Opinion { candidates, only, continued, stranger }
    }
}
