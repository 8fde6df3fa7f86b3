//! What a process has shown of how it works: do its requests stay on the thread that read them?
//!
//! Evidence of kind *thread* is worth nothing where a runtime moves requests between threads (Go, tokio, .NET) or
//! lets one thread write for another (Netty). Neither says so; both show it. Until a process has shown that it is
//! otherwise, links that need it are held back; once it has shown that it is so, they are withdrawn and no more made.

use super::background::Background;
use super::beat::Beats;
use super::request::{Members, Owner, Phase};
use crate::arena::Key;
use crate::time::Nanos;

/// Exchanges that made calls, and began and ended on one thread while another request was open, before a process is
/// believed.
const MATCHES: u32 = 16;
/// The same if its threads are loops: these can write for each other, which takes longer to show.
const LOOP_MATCHES: u32 = 64;
/// Requests from before the capture are taken to be over after this time. Until then links are held back, which
/// costs memory: at 20 000 requests a second half a second of a chain of two is 30 000 spans.
pub(super) const AGE: u64 = 500_000_000;
/// Calls that end after the request they were linked to: this many, and this share of all, and the links are doubted.
/// (Spans of correct traces do so in about one of twelve cases: work that is not waited for.)
const OVERRUNS: u32 = 16;
const OVERRUN_SHARE: u32 = 5;
/// Calls on a thread that has nothing to make them for, while other threads have: this many, and this share.
const STRAYS: u32 = 3;
const STRAY_SHARE: u32 = 20;

/// Whether requests stay on their thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    /// Nothing against it so far, and this many exchanges for it.
    Unproven(u32),
    /// Shown.
    Proven,
    /// Shown not to be so; for good.
    Broken,
}

/// What becomes of links that were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The call's span.
    pub call: Key,
    /// The link stands.
    pub accepted: bool,
}

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    /// All open requests.
    pub open: Members,
    /// Those of them that are runnable.
    pub runnable: Members,
    /// See [`Affinity`].
    pub affinity: Affinity,
    /// When it was first seen.
    pub first: Nanos,
    /// It had a connection before the capture began, so it may have had open requests.
    pub before_capture: bool,
    /// It has read a request.
    pub served: bool,
    /// One of its threads did something else while it waited for a call: it is a loop.
    pub looped: bool,
    /// One of its requests was seen making two calls at one time.
    pub fans_out: bool,
    /// When a request of it ended last.
    pub last_end: Nanos,
    /// Calls made outside requests.
    pub background: Background,
    /// How evenly it is asked and calls.
    pub beats: Beats,
    /// Calls whose link waits for the process to be believed.
    pub held: Vec<Key>,
    /// It has ended; forgotten when its last request has.
    pub exited: bool,
    /// Its threads.
    pub tids: Vec<u32>,
    linked: u32,
    overruns: u32,
    strays: u32,
}

impl Process {
    /// A process that is seen for the first time.
    pub fn new(at: Nanos) -> Process {
        Process {
            open: Members::default(),
            runnable: Members::default(),
            affinity: Affinity::Unproven(0),
            first: at,
            before_capture: false,
            served: false,
            looped: false,
            fans_out: false,
            last_end: Nanos(0),
            background: Background::default(),
            beats: Beats::default(),
            held: Vec::new(),
            exited: false,
            tids: Vec::new(),
            linked: 0,
            overruns: 0,
            strays: 0,
        }
    }

    /// Whether it has no requests from before the capture.
    pub fn is_grown(&self, at: Nanos) -> bool {
        !self.before_capture || at.since(self.first) >= AGE
    }

    /// Moves a request of this process from one set to another.
    pub fn moved(&mut self, owner: Owner, from: Option<Phase>, to: Option<Phase>) {
        match (from, to) {
            (None, Some(_)) => self.open.add(owner.0),
            (Some(_), None) => self.open.remove(owner.0),
            _ => {}
        }
        match (from == Some(Phase::Runnable), to == Some(Phase::Runnable)) {
            (false, true) => self.runnable.add(owner.0),
            (true, false) => self.runnable.remove(owner.0),
            _ => {}
        }
    }

    /// A request's response began on the thread that read it. `calls`: it has made calls.
    pub fn stayed(&mut self, calls: bool, at: Nanos) {
        let Affinity::Unproven(matches) = self.affinity else { return };
        // A request that made no call, or was alone, would have matched in any process.
        if !calls || self.open.count() < 2 || !self.is_grown(at) {
            return;
        }
        let enough = if self.looped { LOOP_MATCHES } else { MATCHES };
        self.affinity =
            if matches + 1 >= enough { Affinity::Proven } else { Affinity::Unproven(matches + 1) };
    }

    /// A call was linked by its thread.
    pub fn linked(&mut self) {
        self.linked = self.linked.saturating_add(1);
    }

    /// Whether it was watched long enough that requests which make several calls at one time would have shown.
    pub fn is_sequential(&self) -> bool {
        !self.fans_out && self.linked >= MATCHES
    }

    /// Whether it is certain that its threads do not write for each other.
    pub fn threads_are_apart(&self) -> bool {
        self.tids.len() == 1 || self.affinity == Affinity::Proven
    }

    /// A linked call ended after its request.
    pub fn overran(&mut self) {
        self.overruns = self.overruns.saturating_add(1);
        if self.overruns >= OVERRUNS && self.overruns > self.linked / OVERRUN_SHARE {
            self.affinity = Affinity::Broken;
        }
    }

    /// A call that was given to a request ended when the request had. That happens to right links too; but loops that
    /// write for each other cannot go long without it.
    pub fn outlived(&mut self) {
        if let (true, Affinity::Unproven(_)) = (self.looped, self.affinity) {
            self.affinity = Affinity::Unproven(0);
        }
    }

    /// A thread made a call for which it has no request, while other threads have one. Where threads serve one
    /// request at a time it is a worker's, and nothing more follows. Loops that do so write for each other.
    pub fn strayed(&mut self) {
        self.strays = self.strays.saturating_add(1);
        self.doubt_loops();
    }

    /// A thread turned out to be a loop.
    pub fn has_loop(&mut self) {
        if !std::mem::replace(&mut self.looped, true) {
            self.doubt_loops();
        }
    }

    fn doubt_loops(&mut self) {
        if !self.looped || self.tids.len() < 2 {
            return;
        }
        if let Affinity::Unproven(_) = self.affinity {
            self.affinity = Affinity::Unproven(0);
        }
        if self.strays >= STRAYS && self.strays > self.linked / STRAY_SHARE {
            self.affinity = Affinity::Broken;
        }
    }

    /// Nothing more will be learned: what nothing spoke against stands.
    pub fn close(&mut self) {
        if let Affinity::Unproven(_) = self.affinity {
            // Loops in several threads may write for each other without ever being caught at it.
            let doubtful = self.looped && self.tids.len() > 1;
            self.affinity = if doubtful { Affinity::Broken } else { Affinity::Proven };
        }
    }

    /// Links that can be settled now.
    pub fn settle(&mut self, into: &mut Vec<Settled>) {
        let accepted = match self.affinity {
            Affinity::Unproven(_) => return,
            Affinity::Proven => true,
            Affinity::Broken => false,
        };
        into.extend(self.held.drain(..).map(|call| Settled { call, accepted }));
    }
}
