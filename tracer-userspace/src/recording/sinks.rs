//! Where observations go: through the analysis into a file of spans, into a capture file, or both.

use std::fs::File;

use tracer_common::abi::ConnId;

use crate::analysis::{Analysis, Observation};
use crate::capture::drain::kernel_now;
use crate::event::Segment;
use crate::exchange::{Side, Step};
use crate::metrics::{Figures, Requests, Scrape};
use crate::recording::spans::SpanFile;
use crate::tcap::{Failed, Writer};
use crate::time::ClockAnchor;
use crate::trace::Stats;

/// What was learned is noted at so many readings of both clocks (10 s each): a recorder that is killed loses no more.
const NOTE_EVERY: u32 = 6;

/// The outputs of a run: at least one.
pub struct Sinks {
    /// Analysed as they come.
    pub spans: Option<(Analysis, SpanFile)>,
    /// Kept for later.
    capture: Option<Writer<File>>,
    /// Why the capture file ends early.
    pub failed: Option<Failed>,
    /// Raw payload goes into the capture.
    raw: bool,
    /// Readings of both clocks since it was noted what was learned.
    clocks: u32,
    /// A capture file that has this size is not to grow, bytes.
    max_bytes: u64,
    /// What passed.
    passed: Passed,
    /// By operation, where somebody may want to see it while the run goes on.
    pub metrics: Option<Requests>,
}

/// Requests, by which end was observed; a call of which both ends are observed is in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Read by an observed process.
    pub received: u64,
    /// Written by one.
    pub sent: u64,
}

impl Sinks {
    /// These.
    pub fn new(
        spans: Option<(Analysis, SpanFile)>,
        capture: Option<Writer<File>>,
        raw: bool,
        max_bytes: u64,
    ) -> Self {
        Self {
            spans,
            capture,
            failed: None,
            raw,
            clocks: 0,
            max_bytes,
            passed: Passed::default(),
            metrics: None,
        }
    }

    /// Hands an observation on.
    pub fn observe(&mut self, observation: Observation) {
        if let Observation::Step(Step::Request { side, .. }) = &observation {
            match side {
                Side::Server => self.passed.received += 1,
                Side::Client => self.passed.sent += 1,
            }
        }
        if let Some(capture) = &mut self.capture {
            let result = capture.observe(&observation, kernel_now());
            self.check(result);
        }
        let Self { spans, metrics, .. } = self;
        if let Some((analysis, file)) = spans {
            analysis.observe(observation, &mut |span| {
                if let Some(metrics) = metrics {
                    metrics.add(&span);
                }
                file.span(&span);
            });
        }
    }

    /// Keeps what was captured of a call, as it is, if that was asked for; `conn` is the connection's name outside.
    pub fn raw(&mut self, conn: impl FnOnce() -> ConnId, segment: &Segment<'_>) {
        if self.raw
            && let Some(capture) = &mut self.capture
        {
            let result = capture.raw(conn(), segment, kernel_now());
            self.check(result);
        }
    }

    /// Now and then: what has waited is written.
    pub fn tick(&mut self) {
        if let Some(capture) = &mut self.capture {
            let result = capture.tick(kernel_now());
            self.check(result);
        }
        if let Some((_, file)) = &mut self.spans {
            file.flush();
        }
    }

    /// Whether a file has the size that it may have.
    pub fn is_full(&self) -> bool {
        self.capture.as_ref().is_some_and(|capture| capture.written() >= self.max_bytes)
            || self.spans.as_ref().is_some_and(|(_, file)| file.is_full())
    }

    /// Another reading of both clocks.
    pub fn clock(&mut self, anchor: ClockAnchor) {
        if let Some(capture) = &mut self.capture {
            let result = capture.clock(anchor);
            self.check(result);
        }
        self.clocks += 1;
        if self.clocks >= NOTE_EVERY {
            self.note_learned(false);
        }
    }

    /// Notes in the capture what was learned until now, so that a later analysis can take it up (`--learned`).
    fn note_learned(&mut self, last: bool) {
        self.clocks = 0;
        if let (Some(capture), Some((analysis, _))) = (&mut self.capture, &mut self.spans) {
            let result = capture.learned(&analysis.learned(last));
            self.check(result);
        }
    }

    /// Leaves what was counted for whoever it is pushed to, if it is time.
    pub fn push_metrics(&self, figures: impl FnOnce() -> Figures) {
        if let Some(push) = self.spans.as_ref().and_then(|(_, file)| file.push()) {
            push.metrics(|| Scrape::of(figures(), self.metrics.as_ref()));
        }
    }

    /// There are no more observations.
    pub fn finish_analysis(&mut self) {
        let Self { spans, metrics, .. } = self;
        if let Some((analysis, file)) = spans {
            analysis.finish(&mut |span| {
                if let Some(metrics) = metrics {
                    metrics.add(&span);
                }
                file.span(&span);
            });
        }
        self.note_learned(true);
    }

    /// Nor are there more spans. `figures` are those to the end.
    pub fn finish_spans(&mut self, figures: Figures) {
        if let Some((_, file)) = &mut self.spans {
            let last = file.push().map(|_| Scrape::of(figures, self.metrics.as_ref()));
            file.finish(last);
        }
    }

    /// Ends the capture file with the ledger. Returns its size, where there is one that is whole.
    pub fn finish_capture(&mut self, ledger: &[u8]) -> Option<u64> {
        match self.capture.take()?.finish(ledger) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    /// Whether an output cannot be written any further.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some() || self.spans.as_ref().is_some_and(|(_, file)| file.failed.is_some())
    }

    /// Requests so far.
    pub fn passed(&self) -> Passed {
        self.passed
    }

    /// What the analysis counted; zeros without one.
    pub fn stats(&self) -> Stats {
        self.spans.as_ref().map(|(analysis, _)| analysis.stats()).unwrap_or_default()
    }

    fn check(&mut self, result: Result<(), Failed>) {
        if let Err(error) = result {
            self.capture = None;
            self.failed = Some(error);
        }
    }
}
