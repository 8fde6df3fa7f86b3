//! Which incoming request caused which outgoing call, inside one process.
//!
//! A machine in the order of time. It is told when a thread reads a request, writes a call, reads a response and
//! writes one, and answers for each call: this request's, nobody's, or not to be known ([`Verdict`]). Each kind of
//! evidence has its module: `thread` (and what it remembers for the birth of connections), `prompt` (does the loop act
//! at once on what it reads?), `process` (do requests stay on their thread?), `background` (what is called outside
//! requests). `tasks` and `context` know who needs no inference: the runtime's task, and what a call itself carries. `decide`
//! is the one place that weighs them. What no rule decides is weighed together with all other calls of its time, in
//! [`joint`].
//!
//! What it cannot see: work that no socket traffic announces (timers, queues, protocols that are not understood).
//! Where that matters it abstains, with two exceptions that remain. A loop that starts a call from a timer within a
//! millisecond of a request's own call, having never done so while idle, is believed. So is a request that makes
//! calls side by side on connections that were open already, one of them only after waiting for something unseen.

mod background;
mod beat;
pub mod context;
mod decide;
mod evidence;
pub mod joint;
mod process;
mod prompt;
mod request;
mod settle;
mod tasks;
mod thread;

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

pub use background::CallKind;
pub use decide::{Birth, Call, Hold, Link, Verdict};
pub use evidence::{Evidence, EvidenceSet, Reason};
pub use process::Settled;
pub use request::Owner;

use crate::arena::{Arena, Key};
use crate::event::Stamp;
use crate::exchange::{Protocol, RequestHead};
use crate::time::Nanos;
use context::Contexts;
use decide::Bench;
use process::{Affinity, Process};
use request::{OpenRequest, Phase};
use tasks::Tasks;
use thread::{Context, Thread};

/// Whose a call was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// This request's.
    Owner(Owner),
    /// Not known.
    #[default]
    Unknown,
    /// No request's.
    Nobody,
}

/// What must be remembered of a call until it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallState {
    tgid: u32,
    tid: u32,
    first: Nanos,
    claim: Claim,
    /// It is among the outstanding calls of its owner.
    counted: bool,
    /// Whose it is if its link, which waits, is accepted.
    promised: Option<(Owner, Key)>,
    /// Thread that read the response.
    reader: Option<u32>,
}

impl CallState {
    /// The thread that began to read the response.
    pub fn reader(&self) -> Option<u32> {
        self.reader
    }
}

/// The machine.
#[derive(Debug, Default)]
pub struct Causality {
    requests: Arena<OpenRequest>,
    tasks: Tasks,
    contexts: Contexts,
    // Boxed, so that half of what these tables reserve is not the size of a process or a thread.
    processes: FxHashMap<u32, Box<Process>>,
    threads: FxHashMap<(u32, u32), Box<Thread>>,
    start: Option<Nanos>,
    /// Calls whose link waits until [`Hold::BeforeCapture`] is over.
    early: Vec<(Key, u32, u32)>,
    settled: Vec<Settled>,
    sweep_at: usize,
    /// A process holds back more than it can have.
    overfull: bool,
}

impl Causality {
    /// A process used a connection that was open before the capture began.
    pub fn was_before_capture(&mut self, tgid: u32, at: Nanos) {
        self.meet(tgid, at).before_capture = true;
    }

    /// A thread has read a request.
    pub fn request_read(
        &mut self,
        span: Key,
        kind: CallKind,
        first: Nanos,
        stamp: Stamp,
        head: &RequestHead,
    ) -> Owner {
        self.meet_thread(stamp);
        self.busy(stamp, None);
        let owner = Owner(self.requests.insert(OpenRequest {
            span,
            tgid: stamp.tgid,
            tid: stamp.tid,
            start: first,
            outstanding: 0,
            calls: 0,
            answering: false,
            born_in: None,
            task: stamp.scene.task,
            is_message: false,
        }));
        self.tasks.read(stamp.tgid, stamp.scene, owner);
        self.contexts.request(stamp.tgid, owner, stamp.at, head);
        self.moved(owner, stamp.tgid, stamp.tid, None, Some(Phase::Runnable));
        if let Some(process) = self.processes.get_mut(&stamp.tgid) {
            process.served = true;
            process.beats.request(kind.number(), first);
        }
        let (since, touched) = (stamp.at, stamp.at);
        self.turn(stamp, Context::Request { owner, continued: None, since, touched, called_in: 0 });
        owner
    }

    /// A thread has taken a message from a broker: it is like a request, unless the thread is in the middle of one. Then the message is
    /// part of whatever it is doing, and whose its next call is is not known.
    pub fn message_read(
        &mut self,
        span: Key,
        kind: CallKind,
        first: Nanos,
        stamp: Stamp,
        head: &RequestHead,
    ) -> Option<Owner> {
        let context = self.threads.get(&(stamp.tgid, stamp.tid)).map(|thread| thread.context);
        if let Some(Context::Request { owner, .. }) = context
            && self.requests.get(owner.0).is_some_and(|request| !request.is_message)
        {
            self.turn(stamp, Context::Unknown { since: stamp.at });
            return None;
        }
        let owner = self.request_read(span, kind, first, stamp, head);
        if let Some(request) = self.requests.get_mut(owner.0) {
            request.is_message = true;
        }
        Some(owner)
    }

    /// Whether a call was made by a request that is open, and is none that took a message.
    pub fn is_of_request(&self, call: &CallState) -> bool {
        let Claim::Owner(owner) = call.claim else { return false };
        self.requests.get(owner.0).is_some_and(|request| !request.is_message)
    }

    /// A thread has written a call: whose is it?
    pub fn call_written(&mut self, call: &Call, head: &RequestHead) -> (Verdict, CallState) {
        let stamp = call.stamp;
        self.meet_thread(stamp);
        // A thread that blocks may send several commands on one connection before it reads the first answer (a pipeline). Streams of
        // HTTP/2 share a connection without that.
        let shares = matches!(head.protocol, Protocol::Http2 | Protocol::Grpc);
        let before =
            self.threads.get_mut(&(stamp.tgid, stamp.tid)).and_then(|thread| thread.wrote.replace(call.conn));
        if shares || before != Some(call.conn) {
            self.busy(stamp, None);
        }
        let mut state = CallState {
            tgid: stamp.tgid,
            tid: stamp.tid,
            first: call.first,
            claim: Claim::Unknown,
            counted: false,
            promised: None,
            reader: None,
        };
        let start = self.start.unwrap_or(stamp.at);
        if let Some(process) = self.processes.get_mut(&stamp.tgid) {
            process.beats.call(call.kind.number(), call.first);
        }
        let (Some(process), Some(thread)) =
            (self.processes.get(&stamp.tgid), self.threads.get(&(stamp.tgid, stamp.tid)))
        else {
            return (Verdict::Nobody, state);
        };
        let carried = self.contexts.call(stamp.tgid, stamp.at, head);
        let said = decide::said(&self.requests, call, carried, self.tasks.of(stamp.tgid, stamp.scene));
        let verdict =
            said.unwrap_or_else(|| Bench { requests: &self.requests, process, thread, start }.decide(call));
        match &verdict {
            // Until it is known it is nobody's: what follows from it must not be told before it is.
            Verdict::Link(Link { hold: Hold::Prompt, owner, .. }) => {
                state.promised = Some((*owner, call.span));
                if let Some((thread, birth)) = self.threads.get_mut(&(stamp.tgid, stamp.tid)).zip(call.birth)
                {
                    thread.promptness.wait(call.span, birth.at);
                }
            }
            Verdict::Link(link) => {
                state.claim = Claim::Owner(link.owner);
                state.counted = true;
                self.made(call, *link);
            }
            Verdict::Nobody => {
                state.claim = Claim::Nobody;
                self.made_by_nobody(call);
            }
            Verdict::Wait { .. } | Verdict::Unknown(_) => {}
        }
        if let Some(thread) = self.threads.get_mut(&(stamp.tgid, stamp.tid)) {
            thread.promptness.acts();
            thread.remember(stamp.at, &self.requests);
        }
        (verdict, state)
    }

    fn made(&mut self, call: &Call, link: Link) {
        let concurrent = self.requests.get(link.owner.0).is_some_and(|request| request.outstanding > 0);
        self.change(link.owner, |request| {
            request.outstanding += 1;
            request.calls = request.calls.saturating_add(1);
        });
        if let Some(process) = self.processes.get_mut(&call.stamp.tgid) {
            process.fans_out |= concurrent && link.hold != Hold::BeforeCapture;
            process.linked();
            if link.hold == Hold::Affinity {
                process.held.push(call.span);
                self.overfull |= process.held.len() >= settle::MAX_EVER;
            }
        }
        if link.hold == Hold::BeforeCapture {
            self.early.push((call.span, call.stamp.tgid, call.stamp.tid));
        }
        if let Some(Thread { context: Context::Request { owner, touched, called_in, .. }, .. }) =
            self.threads.get_mut(&(call.stamp.tgid, call.stamp.tid)).map(Box::as_mut)
            && *owner == link.owner
        {
            *touched = call.stamp.at;
            *called_in = call.stamp.scene.turn;
        }
    }

    fn made_by_nobody(&mut self, call: &Call) {
        let Some(process) = self.processes.get_mut(&call.stamp.tgid) else { return };
        if !process.is_grown(call.stamp.at) {
            return;
        }
        let partner =
            call.partner.and_then(|owner| self.requests.get(owner.0)).filter(|p| p.tgid == call.stamp.tgid);
        let others = process.open.count().saturating_sub(u32::from(partner.is_some()));
        if others == 0 {
            if process.served {
                process.background.sighted(call.kind, call.stamp.tid);
            }
            return;
        }
        let known = process.background.on_thread(call.kind, call.stamp.tid);
        if process.runnable.count() > 0 && !call.mn_runtime && !known {
            process.strayed();
            process.settle(&mut self.settled);
        }
    }

    /// A thread does something: if it waits for another call than `read`, it is a loop.
    fn busy(&mut self, stamp: Stamp, read: Option<Owner>) {
        let Some(thread) = self.threads.get(&(stamp.tgid, stamp.tid)) else { return };
        if thread.waits(&self.requests).is_some_and(|owner| Some(owner) != read)
            && let Some(process) = self.processes.get_mut(&stamp.tgid)
        {
            process.has_loop();
            process.settle(&mut self.settled);
        }
    }

    /// The response to a call began to be read.
    pub fn response_read(&mut self, call: &mut CallState, conn: ConnId, stamp: Stamp) {
        if stamp.tgid != call.tgid {
            return;
        }
        self.meet_thread(stamp);
        self.busy(
            stamp,
            match call.claim {
                Claim::Owner(owner) => Some(owner),
                Claim::Unknown | Claim::Nobody => None,
            },
        );
        call.reader = Some(stamp.tid);
        self.answered(call, stamp.at);
        if stamp.tid != call.tid {
            self.break_affinity(stamp.tgid);
        }
        self.activate(call, conn, stamp.tid, stamp.at);
    }

    /// A call whose link waits is answered: if that settles it, what follows is its owner's.
    fn answered(&mut self, call: &mut CallState, at: Nanos) {
        let Some((owner, span)) = call.promised else { return };
        let Some(process) = self.processes.get_mut(&call.tgid) else { return };
        let Some(thread) = self.threads.get_mut(&(call.tgid, call.tid)) else { return };
        if let Some(accepted) = thread.promptness.answered(span, at, process.fans_out) {
            call.promised = None;
            self.settled.push(Settled { call: span, accepted });
            if accepted {
                call.claim = Claim::Owner(owner);
                process.linked();
            }
        }
    }

    /// A call is over. `complete`: its last byte was read at this time. `overran`: its request had ended clearly
    /// before.
    pub fn call_ended(
        &mut self,
        call: &mut CallState,
        conn: ConnId,
        at: Nanos,
        complete: bool,
        overran: bool,
    ) {
        self.answered(call, at);
        if let (Claim::Owner(owner), true) = (call.claim, call.counted) {
            self.change(owner, |request| request.outstanding = request.outstanding.saturating_sub(1));
        }
        if let (true, Claim::Owner(owner)) = (complete, call.claim)
            && self.requests.get(owner.0).is_none()
            && let Some(process) = self.processes.get_mut(&call.tgid)
        {
            process.outlived();
        }
        if overran && let Some(process) = self.processes.get_mut(&call.tgid) {
            process.overran();
            process.settle(&mut self.settled);
        }
        if complete && let Some(tid) = call.reader {
            self.activate(call, conn, tid, at);
        }
    }

    fn activate(&mut self, call: &CallState, conn: ConnId, tid: u32, at: Nanos) {
        let context = match call.claim {
            Claim::Owner(owner) if self.requests.get(owner.0).is_some() => {
                Context::Request { owner, continued: Some(conn), since: at, touched: at, called_in: 0 }
            }
            Claim::Owner(_) => Context::Ended,
            Claim::Unknown => Context::Unknown { since: call.first },
            Claim::Nobody => Context::Outside,
        };
        self.turn(Stamp { at, tgid: call.tgid, tid, ..Stamp::default() }, context);
    }

    /// A thread turns to something.
    fn turn(&mut self, stamp: Stamp, context: Context) {
        let fans_out = self.processes.get(&stamp.tgid).is_some_and(|process| process.fans_out);
        let Some(thread) = self.threads.get_mut(&(stamp.tgid, stamp.tid)) else { return };
        thread.turn(context, stamp.at, &self.requests, fans_out);
        thread.remember(stamp.at, &self.requests);
        let settled = &mut self.settled;
        thread
            .promptness
            .settle(stamp.at, fans_out, |call, accepted| settled.push(Settled { call, accepted }));
    }

    /// The response to a request began to be written.
    pub fn response_written(&mut self, owner: Owner, stamp: Stamp) {
        let Some(request) = self.requests.get(owner.0) else { return };
        let (tgid, tid, calls) = (request.tgid, request.tid, request.calls > 0);
        self.change(owner, |request| request.answering = true);
        if (stamp.tgid, stamp.tid) != (tgid, tid) {
            // Tgid 0 is interrupt context: nobody's thread.
            if stamp.tgid != 0 {
                self.break_affinity(tgid);
            }
            return;
        }
        self.meet_thread(stamp);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.stayed(calls, stamp.at);
            process.settle(&mut self.settled);
        }
        if let Some(thread) = self.threads.get_mut(&(tgid, tid)) {
            thread.promptness.acts();
            thread.remember(stamp.at, &self.requests);
        }
    }

    /// A request is over and owns nothing from now on.
    pub fn request_ended(&mut self, owner: Owner, at: Nanos) {
        let Some(request) = self.requests.get(owner.0) else { return };
        let (tgid, tid, phase, request_task) = (request.tgid, request.tid, request.phase(), request.task);
        self.moved(owner, tgid, tid, Some(phase), None);
        self.tasks.ended(tgid, request_task, owner);
        self.contexts.request_ended(tgid, owner, at);
        self.requests.remove(owner.0);
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.last_end = process.last_end.max(at);
            if process.exited && process.open.count() == 0 {
                self.processes.remove(&tgid);
            }
        }
        if let Some(thread) = self.threads.get_mut(&(tgid, tid)) {
            // The unknown work that the thread is doing may have been this request's: its work after its end.
            thread.promptness.moves_on(owner, at);
            if matches!(thread.context, Context::Unknown { .. }) {
                thread.context = Context::Ended;
            }
            thread.remember(at, &self.requests);
        }
    }

    /// Evidence of kind *birth*: the request a thread worked on, beyond doubt, when it called `connect`. The first
    /// call on that connection is that request's, however many others the thread has turned to since.
    pub fn birth(&mut self, birth: Stamp) -> Option<Birth> {
        let process = self.processes.get_mut(&birth.tgid)?;
        let thread = self.threads.get_mut(&(birth.tgid, birth.tid))?;
        thread.connected(birth.at);
        let (turn, state) = thread.state_at(birth.at)?;
        let opinion = state.opinion(birth.at, birth.scene.turn);
        let clear = opinion
            .only
            .filter(|_| !opinion.stranger && state.answering() == 0)
            .filter(|_| state.open() == 1 || process.is_sequential());
        let prompt = || state.at_once(turn, birth.at).filter(|_| process.threads_are_apart());
        let (owner, prompt) = match (clear, prompt()) {
            (Some(owner), _) => (owner, false),
            (None, owner) => (owner?, true),
        };
        let request = self.requests.get_mut(owner.0)?;
        // Two connections opened in one turn: the process makes several calls at one time.
        process.fans_out |= request.born_in.replace(turn) == Some(turn);
        // Then one that waits for a call may be the one that connects.
        let doubtful = process.affinity == Affinity::Broken || (process.fans_out && state.open() > 1);
        (!doubtful).then_some(Birth { owner, at: birth.at, prompt })
    }

    /// Changes a request and moves it between the sets that hold it.
    fn change(&mut self, owner: Owner, change: impl FnOnce(&mut OpenRequest)) {
        let Some(request) = self.requests.get_mut(owner.0) else { return };
        let before = request.phase();
        change(request);
        let (tgid, tid, after) = (request.tgid, request.tid, request.phase());
        self.moved(owner, tgid, tid, Some(before), Some(after));
    }

    fn moved(&mut self, owner: Owner, tgid: u32, tid: u32, from: Option<Phase>, to: Option<Phase>) {
        if from == to {
            return;
        }
        if let Some(thread) = self.threads.get_mut(&(tgid, tid)) {
            thread.moved(owner, from, to);
        }
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.moved(owner, from, to);
        }
    }

    fn meet(&mut self, tgid: u32, at: Nanos) -> &mut Process {
        self.start.get_or_insert(at);
        self.processes.entry(tgid).or_insert_with(|| Box::new(Process::new(at)))
    }

    fn meet_thread(&mut self, stamp: Stamp) {
        self.sweep(stamp.at);
        let new = !self.threads.contains_key(&(stamp.tgid, stamp.tid));
        let process = self.meet(stamp.tgid, stamp.at);
        if new {
            process.tids.push(stamp.tid);
            self.threads.insert((stamp.tgid, stamp.tid), Box::default());
        }
    }
}
