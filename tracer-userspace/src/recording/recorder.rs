//! The loop of a live run. One thread does all of it, in this order: take what the kernel has to say, look up who new
//! processes are, decide what can be decided, write it. It sleeps in between, because being woken for every event
//! would cost the traced more than the tracing itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracer_common::abi::mode;

use super::before::Before;
use super::ledger::RunLedger;
use super::live::Live;
use super::people::People;
use super::pipeline::Pipeline;
use super::selection::{Selection, Verdict};
use super::sinks::Sinks;
use crate::analysis::{Observation, Seen};
use crate::capture::drain::{Drained, QUIET_NANOS, kernel_now};
use crate::capture::load::Probes;
use crate::capture::own;
use crate::event::{Event, ProcessChange};
use crate::metrics::{Figures, Requests};
use crate::protocol::Limits;
use crate::time::{ClockAnchor, Nanos};

/// Time between two drains. The ring holds several of it at any rate that two processors reach.
const TICK: Duration = Duration::from_millis(50);
/// Least time between two looks at the counts of quiet connections.
const SWEEP: Duration = Duration::from_millis(50);
/// A look may take this share of the time: with very many connections it is taken less often.
const SWEEP_SHARE: u32 = 50;
/// A record is stamped before it is in the ring; this much later it is certainly there.
const SETTLE_NANOS: u64 = 5_000_000;
/// Time between two readings of both clocks.
const CLOCKS: Duration = Duration::from_secs(10);

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// Everything that was to be traced has ended.
    TargetsGone,
    /// The output could not be written.
    OutputFailed,
    /// A file has the size that it may have.
    FileFull,
    /// The tracer has the memory that it may have.
    MemoryFull,
}

impl Ended {
    /// For the ledger.
    pub fn word(self) -> &'static str {
        match self {
            Ended::Told => "told",
            Ended::TargetsGone => "targets gone",
            Ended::OutputFailed => "output failed",
            Ended::FileFull => "file full",
            Ended::MemoryFull => "memory full",
        }
    }
}

/// What a run may use, and what it must hide.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// With so much memory resident it ends, bytes.
    pub memory: u64,
    /// What the parsers may keep.
    pub streams: Limits,
}

/// A run.
pub struct Recorder {
    probes: Probes,
    pipeline: Pipeline,
    people: People,
    selection: Selection,
    before: Before,
    sinks: Sinks,
    /// Processes heard of since the last look.
    heard_of: Vec<u32>,
    /// Processes of Go programs that the probes were not told of yet.
    go: Vec<u32>,
    drained: Drained,
    /// Records that did not fit into the ring, so far.
    lost: u64,
    /// More was waiting than one drain takes.
    is_behind: bool,
    bounds: Bounds,
    live: Arc<Live>,
}

impl Recorder {
    /// Puts the parts together; the probes are attached and switched off. `processes` are those that were there.
    pub fn new(
        probes: Probes,
        people: People,
        processes: Vec<Seen>,
        selection: Selection,
        before: Before,
        sinks: Sinks,
        bounds: Bounds,
    ) -> Self {
        let mut recorder = Self {
            probes,
            pipeline: Pipeline::new(bounds.streams.clone()),
            people,
            selection,
            before,
            sinks,
            heard_of: Vec::new(),
            go: Vec::new(),
            drained: Drained::default(),
            lost: 0,
            is_behind: false,
            bounds,
            live: Arc::default(),
        };
        for seen in processes {
            recorder.selection.note_go(&seen.facts, &mut recorder.go);
            recorder.sinks.observe(Observation::Process(Box::new(seen)));
        }
        recorder
    }

    /// Where others look at what the run has come to.
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Switches the probes on. From now on they see every fork; a child born between the first look at the processes
    /// and now is found by a second look.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        // Before anything is recorded of them.
        self.tell_of_go();
        self.probes.set_mode(mode::ON)?;
        if self.selection.count().is_some() {
            let (new, parents) = self.people.read_new();
            for pid in self.selection.extend(new.iter().map(|seen| &seen.facts), &parents) {
                self.probes.mark(pid, true)?;
            }
            for seen in new {
                self.selection.note_go(&seen.facts, &mut self.go);
                self.sinks.observe(Observation::Process(Box::new(seen)));
            }
            self.tell_of_go();
        }
        Ok(())
    }

    /// Tells the probes of new processes of Go programs.
    fn tell_of_go(&mut self) {
        for pid in self.go.drain(..) {
            for note in self.probes.add_go(pid) {
                log::warn!("{note}");
            }
        }
    }

    /// Chooses a process that is about to begin.
    pub fn add_process(&mut self, pid: u32) -> anyhow::Result<()> {
        self.selection.add(pid);
        Ok(self.probes.mark(pid, true)?)
    }

    /// Runs until told to stop.
    pub fn run(mut self, stop: &Arc<AtomicBool>) -> RunLedger {
        let began = kernel_now();
        let mut next_sweep = Instant::now() + SWEEP;
        let mut next_clock = Instant::now() + CLOCKS;
        let ended = loop {
            if stop.load(Ordering::Acquire) {
                break Ended::Told;
            }
            if !self.is_behind {
                std::thread::sleep(TICK);
            }
            self.tick(&mut next_sweep);
            if Instant::now() >= next_clock {
                self.sinks.clock(clock_anchor());
                next_clock = Instant::now() + CLOCKS;
            }
            if self.sinks.has_failed() {
                break Ended::OutputFailed;
            }
            if self.sinks.is_full() {
                break Ended::FileFull;
            }
            if own::rss().is_some_and(|rss| rss >= self.bounds.memory) {
                break Ended::MemoryFull;
            }
            if self.selection.is_over() {
                break Ended::TargetsGone;
            }
        };
        self.finish(began, ended)
    }

    /// How far the decisions may go is told by the looks at quiet connections: the last bytes of a response are often
    /// only counted, and what has ended must be known to have ended before anything that follows is judged.
    fn tick(&mut self, next_sweep: &mut Instant) {
        let now = kernel_now();
        self.probes.measure(now);
        self.drain();
        let begun = Instant::now();
        if begun >= *next_sweep {
            self.look_at_quiet(now);
            let spent = begun.elapsed();
            // A connection that spoke while this was going on was not quiet, but its record tells what was before.
            self.drain();
            *next_sweep = Instant::now() + SWEEP.max(spent * SWEEP_SHARE);
            let lost = self.probes.lost_ring_full();
            let has_lost = std::mem::replace(&mut self.lost, lost) != lost;
            let Self { pipeline, sinks, .. } = self;
            pipeline.tick(now, has_lost, &mut |observation| sinks.observe(observation));
            let watermark = Nanos(now.0.saturating_sub(QUIET_NANOS + SETTLE_NANOS));
            self.sinks.observe(Observation::Watermark(watermark));
        }
        self.sinks.tick();
        self.live.leave(|| self.figures(), self.sinks.metrics.as_ref());
        self.sinks.push_metrics(|| self.figures());
    }

    fn figures(&self) -> Figures {
        let (requests, probes) = (self.sinks.passed(), self.probes.run_time());
        Figures {
            received: requests.received,
            sent: requests.sent,
            spans: self.sinks.spans.as_ref().map(|(analysis, _)| analysis.stats().spans),
            records: self.drained.records,
            lost: self.probes.counters().lost(),
            probes_ran: probes.nanos,
            probes_measured: probes.window,
            memory: own::rss().unwrap_or_default(),
            cpu: own::cpu(),
        }
    }

    /// Takes all records that were there when it began, then looks at the processes that they were about.
    fn drain(&mut self) {
        let Self {
            probes,
            pipeline,
            people,
            selection,
            before,
            sinks,
            heard_of,
            go,
            drained,
            is_behind,
            lost: _,
            bounds: _,
            live: _,
        } = self;
        let mut verdicts = Vec::new();
        let new = probes.drain(|mut event| {
            match &mut event {
                Event::Open(open) => {
                    // At once: a process that lives for milliseconds is gone at the end of the drain.
                    meet(people, selection, open.stamp.tgid, &mut verdicts, go, sinks);
                    if !selection.wants(open) {
                        return;
                    }
                    before.settle(open);
                }
                Event::Datagram(datagram) => {
                    let pid = datagram.stamp.tgid;
                    meet(people, selection, pid, &mut verdicts, go, sinks);
                    if !selection.wants_call(pid) {
                        return;
                    }
                }
                Event::Segment(segment) if selection.is_refused(segment.conn) => return,
                Event::Segment(segment) => sinks.raw(|| pipeline.name(segment.conn), segment),
                Event::Missed { .. } => {}
                Event::Counts(counts) => {
                    if selection.is_refused(counts.conn) {
                        if counts.closed {
                            selection.closed(counts.conn);
                        }
                        return;
                    }
                }
                Event::Process { stamp, change, .. } => {
                    people.change(*stamp, *change);
                    selection.change(stamp.tgid, *change);
                    heard_of.push(stamp.tgid);
                    if !selection.tells_of(stamp.tgid) && *change != ProcessChange::Exit {
                        return;
                    }
                }
            }
            pipeline.event(&event, &mut |observation| sinks.observe(observation));
        });
        for (conn, interest) in pipeline.take_interests() {
            probes.tell(conn, interest);
        }
        *is_behind = new.is_cut;
        drained.records += new.records;
        drained.unknown += new.unknown;
        for pid in heard_of.drain(..) {
            meet(people, selection, pid, &mut verdicts, go, sinks);
        }
        for (pid, wanted) in verdicts {
            if let Err(error) = probes.mark(pid, wanted) {
                log::warn!("{error}");
            }
        }
        self.tell_of_go();
    }

    /// Looks at the counts of the quiet connections on which something is open.
    fn look_at_quiet(&mut self, now: Nanos) {
        let Self { probes, pipeline, sinks, .. } = self;
        probes.look(&pipeline.busy(), now, |counts| {
            pipeline.event(&Event::Counts(counts), &mut |observation| sinks.observe(observation));
        });
    }

    fn finish(mut self, began: Nanos, ended: Ended) -> RunLedger {
        let detach = self.probes.detach();
        let now = kernel_now();
        self.drain();
        let Self { probes, pipeline, selection, sinks, .. } = &mut self;
        probes.all_counts(now, |counts| {
            if !selection.is_refused(counts.conn) {
                pipeline.event(&Event::Counts(counts), &mut |observation| sinks.observe(observation));
            }
        });
        pipeline.finish(now, &mut |observation| sinks.observe(observation));
        sinks.clock(clock_anchor());
        sinks.finish_analysis();
        let figures = self.figures();
        let sinks = &mut self.sinks;
        sinks.finish_spans(figures);
        let stats = sinks.stats();
        let in_other = sinks.metrics.as_ref().map_or(0, Requests::beyond);
        let (spans, unwritten, delivery, output_error) = match sinks.spans.take() {
            Some((_, file)) => (Some(file.tally), file.unwritten, file.delivery, file.failed),
            None => (None, 0, None, None),
        };
        let mut ledger = RunLedger {
            observed: now.since(began),
            ended,
            detach,
            kernel: self.probes.counters(),
            records: self.drained.records,
            unknown_records: self.drained.unknown,
            streams: self.pipeline.ledger(),
            stats,
            not_understood: self.pipeline.not_understood(),
            open_before: self.before.tcp,
            open_before_spoke: self.before.spoke,
            tally: spans,
            unwritten,
            in_other,
            delivery,
            output_error,
            capture_error: None,
            capture_bytes: None,
            provider: self.probes.provider,
            masking: self.bounds.streams.masking,
            cpu: own::cpu(),
            peak_rss: own::peak_rss(),
            run_time: self.probes.run_time(),
        };
        let json = serde_json::to_vec(&ledger.account()).unwrap_or_default();
        ledger.capture_bytes = self.sinks.finish_capture(&json);
        ledger.capture_error = self.sinks.failed.take();
        ledger
    }
}

/// Both clocks, read as close together as can be.
pub fn clock_anchor() -> ClockAnchor {
    let read = || {
        let before = kernel_now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let after = kernel_now();
        let unix_nanos = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        (after.since(before), ClockAnchor { monotonic: before, unix_nanos })
    };
    let mut best = read();
    for _ in 0..9 {
        let next = read();
        if next.0 < best.0 {
            best = next;
        }
    }
    best.1
}

/// Reads a process that was not known, and notes what the probes must be told about it.
fn meet(
    people: &mut People,
    selection: &mut Selection,
    pid: u32,
    verdicts: &mut Vec<(u32, bool)>,
    go: &mut Vec<u32>,
    sinks: &mut Sinks,
) {
    let Some(seen) = people.meet(pid) else { return };
    match selection.met(&seen.facts) {
        Verdict::Wanted => verdicts.push((pid, true)),
        Verdict::Unwanted => verdicts.push((pid, false)),
        Verdict::Unchanged => {}
    }
    selection.note_go(&seen.facts, go);
    // What others are, and how they were started, is nobody's business.
    if selection.tells_of(pid) {
        sinks.observe(Observation::Process(Box::new(seen)));
    }
}
