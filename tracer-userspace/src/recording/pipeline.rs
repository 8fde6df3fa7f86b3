//! The pure middle, put together: events in, spans out. What is done with a recorded capture is the same.

use tracer_common::abi::ConnId;

use crate::event::{Event, ProcessChange};
use crate::exchange::Step;
use crate::protocol::Limits as ProtocolLimits;
use crate::stream::{Ledger, Stranger, Streams};
use crate::time::{ClockAnchor, Nanos};
use crate::trace::{Engine, Limits as TraceLimits, Services, Span, Stats};

/// Streams, protocols, causality and trace assembly.
pub struct Pipeline {
    streams: Streams,
    engine: Engine,
    /// Kept between events, so that the common case allocates nothing.
    steps: Vec<Step>,
}

impl Pipeline {
    /// Empty.
    pub fn new(clock: ClockAnchor) -> Self {
        Self {
            streams: Streams::new(ProtocolLimits::default()),
            engine: Engine::new(TraceLimits::default(), clock),
            steps: Vec::new(),
        }
    }

    /// Takes one event.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Open(open) => {
                self.streams.on_open(open);
                self.engine.open(open);
            }
            Event::Segment(segment) => self.streams.on_segment(segment, &mut self.steps),
            Event::Counts(counts) => self.streams.on_counts(counts, &mut self.steps),
            Event::Missed { at } => self.streams.on_missed(*at, &mut self.steps),
            Event::Process { stamp, change, .. } => {
                if *change == ProcessChange::Exit {
                    self.engine.process_exit(stamp.tgid, stamp.at);
                }
            }
        }
        for step in self.steps.drain(..) {
            self.engine.step(step);
        }
        if let Event::Counts(counts) = event
            && counts.closed
        {
            self.engine.close(counts.conn, counts.at);
        }
    }

    /// Nothing older than `watermark` will come: gives out what is decided.
    pub fn advance(&mut self, watermark: Nanos, services: &dyn Services, out: &mut impl FnMut(Span)) {
        self.engine.advance(watermark, services, out);
    }

    /// The capture is over: gives out everything.
    pub fn finish(&mut self, at: Nanos, services: &dyn Services, out: &mut impl FnMut(Span)) {
        self.streams.finish(at, &mut self.steps);
        for step in self.steps.drain(..) {
            self.engine.step(step);
        }
        self.engine.finish(services, out);
    }

    /// Connections whose counts may tell the end of something.
    pub fn busy(&self) -> Vec<ConnId> {
        self.streams.busy()
    }

    /// The account of bytes and messages.
    pub fn ledger(&self) -> Ledger {
        self.streams.ledger()
    }

    /// What was not understood.
    pub fn not_understood(&self) -> Vec<Stranger> {
        self.streams.not_understood()
    }

    /// The account of spans.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }
}
