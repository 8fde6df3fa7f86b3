//! A busy host, simulated: what the capture side would say of three services under load, for as long as is asked for.
//! For tests and benchmarks only (`test-support`).
//!
//! People outside call a proxy (two workers, each one loop); it calls a shop (a pool of threads, each with one
//! request at a time); that calls a stock keeper (two loops, which for half of the answers wait for something unseen).
//! Connections are kept and reused, or used once. Now and then an answer is an error, and a short-lived process makes a
//! call of its own. Both ends of calls between observed processes are told; people outside are not observed.
//!
//! It is a simulation of events in time, so that threads and loops do one thing at a time, as the inference of causes
//! expects. The same arguments give the same observations.

mod cast;
mod pipes;
mod services;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Write;

use super::Observation;
use crate::arena::Key;
use crate::tcap::{Description, Failed, Writer};
use crate::time::{ClockAnchor, Nanos};
use pipes::Pipes;
use services::{Services, Stage};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
/// When it begins, on the kernel's clock.
const BEGIN: u64 = 1_000_000 * MS;
/// Between two looks at quiet connections, each of which ends with a watermark.
const SWEEP: u64 = 50 * MS;
/// The watermark stays this far behind.
const LAG: u64 = 25 * MS;

/// What both clocks say when it begins.
pub const CLOCK: ClockAnchor = ClockAnchor { monotonic: Nanos(BEGIN), unix_nanos: 1_700_000_000_000_000_000 };

/// A capture that was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// What is in it.
    pub counts: Counts,
    /// How long it lasts.
    pub milliseconds: u64,
    /// Its size.
    pub bytes: u64,
}

/// Writes a capture of at least so many calls.
pub fn write(calls: u64, file: impl Write) -> Result<Written, Failed> {
    let description = Description {
        clock: CLOCK,
        kernel: "simulated".to_owned(),
        provider: "simulated".to_owned(),
        missing: Vec::new(),
        unmasked: false,
        raw: false,
        features: Vec::new(),
    };
    let mut writer = Writer::new(file, &description)?;
    let mut traffic = Traffic::new(calls);
    let mut last = CLOCK.monotonic;
    for (now, observation) in traffic.by_ref() {
        writer.observe(&observation, now)?;
        writer.tick(now)?;
        last = now;
    }
    let milliseconds = last.since(CLOCK.monotonic) / 1_000_000;
    let bytes = writer.finish(format!("{{\"observed_ms\":{milliseconds}}}").as_bytes())?;
    Ok(Written { counts: traffic.counts(), milliseconds, bytes })
}

/// How much was simulated so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that went over a connection.
    pub calls: u64,
    /// Ends of these that were observed: one or both. This is what the tracer calls exchanges, and makes spans of.
    pub exchanges: u64,
    /// Connections.
    pub connections: u64,
}

/// The traffic: an iterator of observations, each with the time at which it is made.
pub struct Traffic {
    plan: BinaryHeap<Reverse<(u64, u64, Planned)>>,
    planned: u64,
    pipes: Pipes,
    services: Services,
    said: VecDeque<(Nanos, Observation)>,
    /// Nobody asks any more from this many calls on.
    calls: u64,
    over: bool,
}

/// What happens at a time that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Planned {
    /// Something happens to a request.
    Stage(Stage, Key),
    /// A person outside asks, on a connection of theirs.
    Ask(Key),
    /// A process begins, asks, and ends.
    Job(u32),
    /// A look at quiet connections, and a watermark.
    Sweep,
}

impl Traffic {
    /// At least so many calls. All that were begun are brought to their end.
    pub fn new(calls: u64) -> Traffic {
        let mut traffic = Traffic {
            plan: BinaryHeap::new(),
            planned: 0,
            pipes: Pipes::default(),
            services: Services::default(),
            said: VecDeque::new(),
            calls,
            over: false,
        };
        let said = cast::everybody().into_iter().map(|seen| Observation::Process(Box::new(seen)));
        traffic.said.extend(said.map(|seen| (Nanos(BEGIN), seen)));
        traffic.begin();
        traffic.plan(BEGIN + SWEEP, Planned::Sweep);
        traffic
    }

    /// What was simulated so far.
    pub fn counts(&self) -> Counts {
        self.pipes.counts
    }

    fn plan(&mut self, at: u64, what: Planned) {
        self.planned += 1;
        self.plan.push(Reverse((at, self.planned, what)));
    }

    fn happen(&mut self, now: u64, what: Planned) {
        match what {
            Planned::Stage(stage, request) => self.stage(now, stage, request),
            Planned::Ask(pipe) if !self.is_enough() => self.ask(now, pipe),
            Planned::Job(pid) if !self.is_enough() => self.job(now, pid),
            Planned::Ask(_) | Planned::Job(_) => {}
            Planned::Sweep => {
                self.pipes.tell_late();
                self.pipes.say(Observation::Watermark(Nanos(now - LAG)));
                if !self.is_enough() || !self.plan.is_empty() {
                    self.plan(now + SWEEP, Planned::Sweep);
                }
            }
        }
        self.said.extend(self.pipes.take_said().map(|observation| (Nanos(now), observation)));
    }

    fn is_enough(&self) -> bool {
        self.pipes.counts.calls >= self.calls
    }
}

impl Iterator for Traffic {
    type Item = (Nanos, Observation);

    fn next(&mut self) -> Option<(Nanos, Observation)> {
        while self.said.is_empty() && !self.over {
            match self.plan.pop() {
                Some(Reverse((now, _, what))) => self.happen(now, what),
                None => self.over = true,
            }
        }
        self.said.pop_front()
    }
}

/// Random numbers (xorshift64*).
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// One below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
