//! The one place where it is decided which request made a call.
//!
//! Evidence modules say whom their signal points to; here their answers are weighed, and anything but one clear
//! answer is no link. A wrong parent costs more than two separate traces.

use tracer_common::abi::ConnId;

use super::background::CallKind;
use super::context::Carried;
use super::evidence::{Evidence, EvidenceSet, Reason};
use super::process::{Affinity, Process};
use super::request::{OpenRequest, Owner};
use super::thread::Thread;
use crate::arena::{Arena, Key};
use crate::event::Stamp;
use crate::time::Nanos;

/// A call as it is written, and what is known around it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its span.
    pub span: Key,
    /// First byte.
    pub first: Nanos,
    /// Who wrote the last part of the head, and when.
    pub stamp: Stamp,
    /// On which connection.
    pub conn: ConnId,
    /// What kind of call.
    pub kind: CallKind,
    /// It is the first on a connection that was opened while the capture ran.
    pub fresh: bool,
    /// The same, and the connection was opened for this request.
    pub birth: Option<Birth>,
    /// The same, and it was seen who opened it.
    pub birth_seen: bool,
    /// The open request that is the other end of this very call (a process that calls itself).
    pub partner: Option<Owner>,
    /// The process is of a runtime that moves work between threads at will.
    pub mn_runtime: bool,
}

/// For whom a connection was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The request.
    pub(super) owner: Owner,
    /// When.
    pub(super) at: Nanos,
    /// It is so only if the thread was prompt then.
    pub(super) prompt: bool,
}

/// When a link may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// At once.
    No,
    /// When the process has shown that its requests stay on their threads.
    Affinity,
    /// When it is clear that the thread had not put off other work when it opened the connection.
    Prompt,
    /// When it is clear that the thread is not a loop that worked on requests from before the capture.
    BeforeCapture,
}

/// A parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The request's span.
    pub parent: Key,
    /// The request.
    pub owner: Owner,
    /// What it rests on.
    pub evidence: EvidenceSet,
    /// When it may be told.
    pub hold: Hold,
}

/// What is known when a call is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this request's.
    Link(Link),
    /// Requests that are being answered qualify if they turn out to have lasted until the call began; `certain`
    /// qualifies in any case. If one remains, it is that one's.
    Wait {
        /// Qualifies in any case.
        certain: Option<Link>,
        /// Qualify if they lasted.
        answering: Vec<Link>,
    },
    /// Not decided.
    Unknown(Reason),
    /// No open request qualifies.
    Nobody,
}

/// More candidates that are being answered than this are not waited for.
const MAX_ANSWERING: usize = 4;
/// Work that a request left behind may call this long after its end; a process in which any thread may do that work
/// cannot be told from the next request's.
const AFTERMATH: u64 = 2_000_000;
/// Requests read before the capture may still be at work for this long.
pub(super) const BEFORE_CAPTURE: u64 = 250_000_000;

/// What the decision looks at.
pub(super) struct Bench<'a> {
    /// Open requests.
    pub requests: &'a Arena<OpenRequest>,
    /// The caller's process.
    pub process: &'a Process,
    /// The caller's thread.
    pub thread: &'a Thread,
    /// When the capture began.
    pub start: Nanos,
}

/// What needs no weighing: the runtime's task, or what the call itself carries, names the request.
pub(super) fn said(
    requests: &Arena<OpenRequest>,
    call: &Call,
    carried: Option<Carried>,
    task: Option<Owner>,
) -> Option<Verdict> {
    let link = |owner: Owner, evidence: EvidenceSet| {
        let request = requests.get(owner.0)?;
        Some(Verdict::Link(Link { parent: request.span, owner, evidence, hold: Hold::No }))
    };
    match (carried, task) {
        // The words of a call may have been copied from elsewhere; who asked for it is a fact.
        (Some(carried), Some(task)) if carried.owner != task => link(task, Evidence::Task.into()),
        (Some(carried), Some(task)) => link(task, carried.evidence.with(Evidence::Task)),
        (None, Some(task)) => link(task, Evidence::Task.into()),
        (Some(carried), None) if carried.is_over => Some(Verdict::Unknown(Reason::Ended)),
        // A process that calls itself carries the request's own words.
        (Some(carried), None) if call.partner != Some(carried.owner) => link(carried.owner, carried.evidence),
        _ => None,
    }
}

impl Bench<'_> {
    /// Whose call it is.
    pub fn decide(&self, call: &Call) -> Verdict {
        if call.stamp.tgid == 0 {
            // Interrupt context: whoever was running has nothing to do with it.
            return Verdict::Nobody;
        }
        let wanders = call.mn_runtime || self.process.affinity == Affinity::Broken;
        let verdict = if wanders { self.by_process(call) } else { self.by_thread(call) };
        // On a thread that serves one request at a time, what it does meanwhile is that request's work.
        let is_certain = match verdict {
            Verdict::Link(_) | Verdict::Wait { .. } => !wanders && !self.thread.multi,
            Verdict::Nobody => true,
            Verdict::Unknown(reason) => reason.is_final(),
        };
        if !is_certain && self.process.beats.is_timed(call.kind.number(), self.process.open.count()) {
            return Verdict::Unknown(Reason::Background);
        }
        verdict
    }

    fn by_thread(&self, call: &Call) -> Verdict {
        let state = self.thread.state(self.requests);
        let opinion = state.opinion(call.stamp.at, call.stamp.scene.turn);
        let thread = || {
            let evidence = EvidenceSet::from(Evidence::Thread);
            if state.came_by().is_some() && (opinion.continued || opinion.only.is_none()) {
                evidence.with(Evidence::Continuation)
            } else {
                evidence
            }
        };
        let clear =
            opinion.only.filter(|_| !opinion.stranger && self.thread.answering.is_empty()).or_else(|| {
                let prompt = self.thread.prompt(call.stamp.at, self.requests)?;
                (self.process.threads_are_apart() && !self.is_early(call.stamp.at)).then_some(prompt)
            });
        let birth = call.birth.filter(|birth| self.requests.get(birth.owner.0).is_some());
        let verdict = match (birth, clear) {
            (Some(birth), Some(current)) if birth.owner != current => Verdict::Unknown(Reason::BirthDiffers),
            (Some(birth), clear) => {
                let evidence = clear.map(|_| thread()).unwrap_or_default().with(Evidence::Birth);
                self.when_prompt(birth, self.link(call, birth.owner, evidence))
            }
            // A new connection takes the loop through turns that are not seen (name lookup, connect), and one that
            // waits for another call may be the one that connected.
            // If it was not clear then, it is not clear now.
            (None, Some(_))
                if (self.process.fans_out || call.birth_seen) && call.fresh && state.open() > 1 =>
            {
                Verdict::Unknown(Reason::Several(state.open()))
            }
            (None, Some(_))
                if self.process.fans_out && state.came_by() == Some(call.conn) && state.open() > 1 =>
            {
                Verdict::Unknown(Reason::HandedOver)
            }
            (None, Some(current)) => self.link(call, current, thread()),
            (None, None) => self.unclear(call, opinion.candidates, opinion.only, opinion.stranger, thread()),
        };
        // On a thread that serves one request at a time, what it does meanwhile is that request's work.
        if self.thread.multi
            && matches!(verdict, Verdict::Link(_) | Verdict::Wait { .. })
            && self.process.background.on_thread(call.kind, call.stamp.tid)
        {
            return Verdict::Unknown(Reason::Background);
        }
        verdict
    }

    /// No candidate, several, or some that are being answered.
    fn unclear(
        &self,
        call: &Call,
        candidates: u32,
        only: Option<Owner>,
        stranger: bool,
        evidence: EvidenceSet,
    ) -> Verdict {
        let answering = &self.thread.answering;
        let count = candidates.saturating_add(u32::try_from(answering.len()).unwrap_or(u32::MAX));
        if count == 0 {
            return Verdict::Nobody;
        }
        if stranger {
            return Verdict::Unknown(if count == 1 { Reason::Stranger } else { Reason::Several(count) });
        }
        if candidates > 1 || answering.len() > MAX_ANSWERING {
            return Verdict::Unknown(Reason::Several(count));
        }
        if self.is_early(call.stamp.at) {
            return Verdict::Unknown(Reason::BeforeCapture);
        }
        let link = |owner: &Owner, evidence: EvidenceSet| {
            self.requests.get(owner.0).map(|request| Link {
                parent: request.span,
                owner: *owner,
                evidence,
                hold: self.hold(call, *owner),
            })
        };
        Verdict::Wait {
            certain: only.and_then(|owner| link(&owner, evidence)),
            answering: answering.iter().filter_map(|owner| link(owner, Evidence::Thread.into())).collect(),
        }
    }

    fn by_process(&self, call: &Call) -> Verdict {
        let mut open = self.process.open;
        if let Some(partner) = call.partner
            && self.requests.get(partner.0).is_some_and(|request| request.tgid == call.stamp.tgid)
        {
            open.remove(partner.0);
        }
        let Some(owner) = open.only().and_then(|index| self.requests.key_at(index)).map(Owner) else {
            return match open.count() {
                0 => Verdict::Nobody,
                count => Verdict::Unknown(Reason::Several(count)),
            };
        };
        if self.process.background.in_process(call.kind) {
            return Verdict::Unknown(Reason::Background);
        }
        if self.is_early(call.stamp.at) {
            return Verdict::Unknown(Reason::BeforeCapture);
        }
        if call.first.since(self.process.last_end) < AFTERMATH {
            return Verdict::Unknown(Reason::Aftermath);
        }
        self.link(call, owner, Evidence::SoleRequest.into())
    }

    /// A link to a request that may be being answered already.
    fn link(&self, call: &Call, owner: Owner, evidence: EvidenceSet) -> Verdict {
        let Some(request) = self.requests.get(owner.0) else { return Verdict::Unknown(Reason::Ended) };
        let link = Link { parent: request.span, owner, evidence, hold: self.hold(call, owner) };
        if request.answering {
            if self.is_early(call.stamp.at) {
                return Verdict::Unknown(Reason::BeforeCapture);
            }
            Verdict::Wait { certain: None, answering: vec![link] }
        } else {
            Verdict::Link(link)
        }
    }

    /// Holds a link back that rests on the thread having been prompt, while that is not known.
    fn when_prompt(&self, birth: Birth, verdict: Verdict) -> Verdict {
        if !birth.prompt {
            return verdict;
        }
        match (verdict, self.thread.promptness.was_prompt(birth.at)) {
            (Verdict::Link(link), None | Some(true)) => Verdict::Link(Link { hold: Hold::Prompt, ..link }),
            _ => Verdict::Unknown(Reason::PutOff),
        }
    }

    fn is_early(&self, at: Nanos) -> bool {
        self.process.before_capture && at.since(self.start) < BEFORE_CAPTURE
    }

    fn hold(&self, call: &Call, owner: Owner) -> Hold {
        let process = self.process;
        if call.mn_runtime || process.affinity == Affinity::Broken {
            Hold::No
        } else if self.is_early(call.stamp.at) {
            Hold::BeforeCapture
        } else if process.affinity == Affinity::Proven
            || process.tids.len() == 1
            || process.open.only() == Some(owner.0.index())
        {
            Hold::No
        } else {
            Hold::Affinity
        }
    }
}
