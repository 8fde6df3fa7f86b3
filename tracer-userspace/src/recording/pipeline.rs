//! From events to observations: streams and protocols, pure.

use std::hash::{BuildHasher, RandomState};

use tracer_common::abi::ConnId;

use crate::analysis::Observation;
use crate::event::{Endpoints, Event, Open};
use crate::exchange::{ExchangeId, Step};
use crate::protocol::Limits;
use crate::stream::{Ledger, Stranger, Streams};
use crate::time::Nanos;

/// Streams and protocols.
pub struct Pipeline {
    streams: Streams,
    /// Kept between events, so that the common case allocates nothing.
    steps: Vec<Step>,
    /// A kernel address tells whoever gets the file where the kernel lies in memory: outside of this run connections have
    /// other names. Once they are given, nothing random is left.
    names: RandomState,
}

impl Pipeline {
    /// Nothing seen yet.
    pub fn new(limits: Limits) -> Self {
        Self { streams: Streams::new(limits), steps: Vec::new(), names: RandomState::new() }
    }

    /// Takes one event; what follows from it goes to `out`.
    pub fn event(&mut self, event: &Event<'_>, out: &mut impl FnMut(Observation)) {
        match event {
            Event::Open(open) => {
                self.streams.on_open(open);
                out(Observation::Open(Box::new(self.open(open))));
            }
            Event::Segment(segment) => self.streams.on_segment(segment, &mut self.steps),
            Event::Counts(counts) => self.streams.on_counts(counts, &mut self.steps),
            Event::Missed { at } => self.streams.on_missed(*at, &mut self.steps),
            Event::Process { stamp, change, comm } => {
                out(Observation::Change { stamp: *stamp, change: *change, comm: *comm });
            }
        }
        self.hand_on(out);
        if let Event::Counts(counts) = event
            && counts.closed
        {
            out(Observation::Close { conn: self.name(counts.conn), at: counts.at });
        }
    }

    /// The capture is over.
    pub fn finish(&mut self, at: Nanos, out: &mut impl FnMut(Observation)) {
        self.streams.finish(at, &mut self.steps);
        self.hand_on(out);
    }

    fn hand_on(&mut self, out: &mut impl FnMut(Observation)) {
        let mut steps = std::mem::take(&mut self.steps);
        for mut step in steps.drain(..) {
            let (Step::Request { id, .. } | Step::Response { id, .. } | Step::End { id, .. }) = &mut step;
            *id = ExchangeId { conn: self.name(id.conn), number: id.number };
            out(Observation::Step(step));
        }
        self.steps = steps;
    }

    fn open(&self, open: &Open) -> Open {
        let mut named = open.clone();
        named.conn = self.name(open.conn);
        if let Endpoints::Unix { peer } = &mut named.endpoints
            && *peer != 0
        {
            *peer = self.names.hash_one(*peer);
        }
        // Payload.
        (named.peek, named.peek_len) = ([0; _], 0);
        named
    }

    /// What a connection is called outside of this run.
    pub fn name(&self, conn: ConnId) -> ConnId {
        ConnId { sk: self.names.hash_one(conn.sk), born: conn.born }
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
}
