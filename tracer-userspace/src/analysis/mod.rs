//! From what was observed to spans: the same code behind a live run and behind a capture file.
//!
//! [`Observation`]s come in, in the order in which the capture side said them; spans go out. There is no clock, no
//! I/O and nothing random here, so the same observations give the same spans, ids included.

mod names;
#[cfg(any(test, feature = "test-support"))]
pub mod simulate;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tracer_common::abi::ConnId;

use crate::causality::joint::learned::Learned;
use crate::event::{Open, ProcessChange, Stamp};
use crate::exchange::Step;
use crate::process::Window;
use crate::service::ProcessFacts;
use crate::time::{ClockAnchor, Nanos};
use crate::trace::{Engine, Limits, Settings, Span, Stats};
use names::Names;

/// How long the memory of ended processes is kept.
const REMEMBER_NANOS: u64 = 60_000_000_000;

/// What the capture side says, once bytes have become exchanges and secrets are masked.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// A connection is new.
    Open(Box<Open>),
    /// A step of an exchange.
    Step(Step),
    /// A connection ended.
    Close {
        /// Which.
        conn: ConnId,
        /// When.
        at: Nanos,
    },
    /// A process began, changed its program, or ended.
    Change {
        /// Who, and when.
        stamp: Stamp,
        /// What.
        change: ProcessChange,
        /// Command name, NUL-padded.
        comm: [u8; 16],
    },
    /// What was read of a process.
    Process(Box<Seen>),
    /// Nothing older will come any more: what can be decided is.
    Watermark(Nanos),
}

/// A process, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What was read.
    pub facts: ProcessFacts,
    /// When.
    pub window: Window,
    /// Its runtime moves work between threads at will, or may: its threads prove nothing.
    pub moves_work: bool,
}

/// The pure end of a run.
pub struct Analysis {
    clock: ClockAnchor,
    settings: Settings,
    engine: Engine,
    names: Names,
    /// What was learned elsewhere.
    taught: Arc<Learned>,
    /// Of the engines before the current one.
    earlier: Stats,
    /// What these had learned.
    learned: Learned,
}

impl Analysis {
    /// Nothing observed yet. `clock` makes times of day of the kernel's.
    pub fn new(clock: ClockAnchor) -> Self {
        Self::with(clock, Settings::default())
    }

    /// The same with other settings.
    pub fn with(clock: ClockAnchor, settings: Settings) -> Self {
        Self {
            clock,
            settings,
            engine: Engine::new(Limits::default(), clock).with(settings),
            names: Names::default(),
            taught: Arc::default(),
            earlier: Stats::default(),
            learned: Learned::default(),
        }
    }

    /// The same, helped by what was learned elsewhere of the same services.
    #[must_use]
    pub fn taught(self, learned: Learned) -> Self {
        let taught = Arc::new(learned);
        Self { engine: self.engine.taught(Arc::clone(&taught)), taught, ..self }
    }

    /// Takes the next observation.
    pub fn observe(&mut self, observation: Observation, out: &mut impl FnMut(Span)) {
        match observation {
            Observation::Open(open) => self.engine.open(&open),
            Observation::Step(step) => self.engine.step(step),
            Observation::Close { conn, at } => self.engine.close(conn, at),
            Observation::Change { stamp, change, comm } => {
                self.names.change(stamp, change, &comm);
                if change == ProcessChange::Exit {
                    self.engine.process_exit(stamp.tgid, stamp.at);
                }
            }
            Observation::Process(seen) => self.names.seen(*seen),
            Observation::Watermark(at) => {
                self.names.forget_before(Nanos(at.0.saturating_sub(REMEMBER_NANOS)));
                self.engine.advance(at, &self.names, out);
            }
        }
        self.engine.relieve(&self.names, out);
        if self.engine.is_full() {
            self.interrupted(out);
        }
    }

    /// Observations are missing here. Which request a thread served, and who was on which connection, is not certain any
    /// more: what is undecided is given out with what is known, and nothing later is linked to it.
    pub fn interrupted(&mut self, out: &mut impl FnMut(Span)) {
        let fresh = Engine::new(Limits::default(), self.clock).with(self.settings);
        let mut engine = std::mem::replace(&mut self.engine, fresh.taught(Arc::clone(&self.taught)));
        engine.finish(&self.names, out);
        self.earlier = self.earlier.plus(&engine.stats());
        self.learned.merge(&engine.learned(true));
    }

    /// There are no more: gives out everything.
    pub fn finish(&mut self, out: &mut impl FnMut(Span)) {
        self.engine.finish(&self.names, out);
    }

    /// What was learned of the services until now. `last`: the analysis is finished.
    pub fn learned(&mut self, last: bool) -> Learned {
        let mut learned = self.learned.clone();
        learned.merge(&self.engine.learned(last));
        learned
    }

    /// How many things are remembered, of whatever kind: bounded by what is open, however long the capture.
    pub fn held(&self) -> usize {
        self.engine.held() + self.names.held()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.earlier.plus(&self.engine.stats())
    }
}
