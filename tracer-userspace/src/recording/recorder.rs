//! The loop of a live run. One thread does all of it, in this order: take what the kernel has to say, look up who new
//! processes are, decide what can be decided, write it. It sleeps in between, because being woken for every event
//! would cost the traced more than the tracing itself.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracer_common::abi::mode;

use super::before::Before;
use super::ledger::RunLedger;
use super::people::People;
use super::pipeline::Pipeline;
use super::selection::{Selection, Verdict};
use crate::capture::drain::{QUIET_NANOS, kernel_now};
use crate::capture::load::Probes;
use crate::event::Event;
use crate::export::json::{FileTarget, JsonArray, WriteError};
use crate::report::latency::Tally;
use crate::time::Nanos;
use crate::trace::Span;

/// Time between two drains. The ring holds several of it at any rate that two processors reach.
const TICK: Duration = Duration::from_millis(50);
/// Least time between two looks at the counts of quiet connections.
const SWEEP: Duration = Duration::from_millis(50);
/// A look may take this share of the time: with very many connections it is taken less often.
const SWEEP_SHARE: u32 = 50;
/// A record is stamped before it is in the ring; this much later it is certainly there.
const SETTLE_NANOS: u64 = 5_000_000;
/// How long the memory of ended processes is kept.
const REMEMBER_NANOS: u64 = 60_000_000_000;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// Everything that was to be traced has ended.
    TargetsGone,
    /// The output could not be written.
    OutputFailed,
}

/// A run.
pub struct Recorder {
    probes: Probes,
    pipeline: Pipeline,
    people: People,
    selection: Selection,
    before: Before,
    writer: Writer,
    /// Processes heard of since the last look.
    heard_of: Vec<u32>,
    unknown_records: u64,
}

/// The output with what is counted on the way.
struct Writer {
    array: Option<JsonArray<FileTarget>>,
    tally: Tally,
    failed: Option<WriteError>,
    /// Spans that came after writing had failed.
    unwritten: u64,
}

impl Writer {
    fn span(&mut self, span: &Span) {
        self.tally.add(span);
        let Some(array) = &mut self.array else {
            self.unwritten += 1;
            return;
        };
        if let Err(error) = array.write(span) {
            self.fail(error);
        }
    }

    fn flush(&mut self) {
        if let Some(Err(error)) = self.array.as_mut().map(JsonArray::flush) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: WriteError) {
        self.array = None;
        self.failed = Some(error);
    }

    fn finish(&mut self) {
        if let Some(Err(error)) = self.array.take().map(JsonArray::finish) {
            self.failed = Some(error);
        }
    }
}

impl Recorder {
    /// Puts the parts together; the probes are attached and switched off.
    pub fn new(
        probes: Probes,
        pipeline: Pipeline,
        people: People,
        selection: Selection,
        before: Before,
        output: File,
    ) -> std::io::Result<Self> {
        let array = JsonArray::new(FileTarget::new(output)?);
        Ok(Self {
            probes,
            pipeline,
            people,
            selection,
            before,
            writer: Writer { array: Some(array), tally: Tally::default(), failed: None, unwritten: 0 },
            heard_of: Vec::new(),
            unknown_records: 0,
        })
    }

    /// Switches the probes on. From now on they see every fork; a child born between the first look at the processes
    /// and now is found by a second look.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        self.probes.set_mode(mode::ON)?;
        if self.selection.count().is_some() {
            for pid in self.selection.extend(&self.people.read_new()) {
                self.probes.mark(pid, true)?;
            }
        }
        Ok(())
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
        let ended = loop {
            if stop.load(Ordering::Acquire) {
                break Ended::Told;
            }
            std::thread::sleep(TICK);
            self.tick(&mut next_sweep);
            if self.writer.failed.is_some() {
                break Ended::OutputFailed;
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
        self.drain();
        let begun = Instant::now();
        if begun >= *next_sweep {
            self.look_at_quiet(now);
            // A connection that spoke while this was going on was not quiet, but its record tells what was before.
            self.drain();
            *next_sweep = Instant::now() + SWEEP.max(begun.elapsed() * SWEEP_SHARE);
            self.people.forget_before(Nanos(now.0.saturating_sub(REMEMBER_NANOS)));
            let watermark = Nanos(now.0.saturating_sub(QUIET_NANOS + SETTLE_NANOS));
            let Self { pipeline, people, writer, .. } = self;
            pipeline.advance(watermark, people, &mut |span| writer.span(&span));
        }
        self.writer.flush();
    }

    /// Takes all records, then looks at the processes that they were about.
    fn drain(&mut self) {
        let Self { probes, pipeline, people, selection, before, heard_of, unknown_records, .. } = self;
        let mut verdicts = Vec::new();
        let drained = probes.drain(|mut event| {
            match &mut event {
                Event::Open(open) => {
                    // At once: a process that lives for milliseconds is gone at the end of the drain.
                    meet(people, selection, open.stamp.tgid, &mut verdicts);
                    if !selection.wants(open) {
                        return;
                    }
                    before.settle(open);
                }
                Event::Segment(segment) if selection.is_refused(segment.conn) => return,
                Event::Segment(_) | Event::Missed { .. } => {}
                Event::Counts(counts) => {
                    if selection.is_refused(counts.conn) {
                        if counts.closed {
                            selection.closed(counts.conn);
                        }
                        return;
                    }
                }
                Event::Process { stamp, change, comm } => {
                    people.change(*stamp, *change, comm);
                    selection.change(stamp.tgid, *change);
                    heard_of.push(stamp.tgid);
                }
            }
            pipeline.event(&event);
        });
        *unknown_records += drained.unknown;
        for pid in heard_of.drain(..) {
            meet(people, selection, pid, &mut verdicts);
        }
        for (pid, wanted) in verdicts {
            if let Err(error) = probes.mark(pid, wanted) {
                log::warn!("{error}");
            }
        }
    }

    /// Looks at the counts of the quiet connections on which something is open.
    fn look_at_quiet(&mut self, now: Nanos) {
        let Self { probes, pipeline, .. } = self;
        probes.look(&pipeline.busy(), now, |counts| pipeline.event(&Event::Counts(counts)));
    }

    fn finish(mut self, began: Nanos, ended: Ended) -> RunLedger {
        let detach = self.probes.detach();
        let now = kernel_now();
        self.drain();
        let Self { probes, pipeline, people, selection, writer, .. } = &mut self;
        probes.all_counts(now, |counts| {
            if !selection.is_refused(counts.conn) {
                pipeline.event(&Event::Counts(counts));
            }
        });
        pipeline.finish(now, people, &mut |span| writer.span(&span));
        writer.finish();
        RunLedger {
            observed: now.since(began),
            ended,
            detach,
            kernel: self.probes.counters(),
            unknown_records: self.unknown_records,
            streams: self.pipeline.ledger(),
            stats: self.pipeline.stats(),
            not_understood: self.pipeline.not_understood(),
            open_before: self.before.tcp,
            open_before_spoke: self.before.spoke,
            tally: std::mem::take(&mut self.writer.tally),
            unwritten: self.writer.unwritten,
            output_error: self.writer.failed.take(),
            provider: self.probes.provider,
        }
    }
}

/// Reads a process that was not known, and notes what the probes must be told about it.
fn meet(people: &mut People, selection: &mut Selection, pid: u32, verdicts: &mut Vec<(u32, bool)>) {
    let Some(facts) = people.meet(pid) else { return };
    match selection.met(&facts) {
        Verdict::Wanted => verdicts.push((pid, true)),
        Verdict::Unwanted => verdicts.push((pid, false)),
        Verdict::Unchanged => {}
    }
}
