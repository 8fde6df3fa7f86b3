//! From events to observations: streams and protocols, pure.

use std::hash::{BuildHasher, RandomState};

use tracer_common::abi::ConnId;

use crate::analysis::Observation;
use crate::event::{Endpoints, Event, Open};
use crate::exchange::{ExchangeId, Step};
use crate::protocol::{Interest, Limits};
use crate::stream::{Apparent, Ledger, Stranger, Streams};
use crate::time::Nanos;

/// Streams and protocols.
pub struct Pipeline {
    streams: Streams,
    /// Kept between events, so that the common case allocates nothing.
    steps: Vec<Step>,
    /// Connections that stand for what goes through UDP sockets.
    apparent: Apparent,
    /// A kernel address tells whoever gets the file where the kernel lies in memory: outside of this run connections have
    /// other names. Once they are given, nothing random is left.
    names: RandomState,
}

impl Pipeline {
    /// Nothing seen yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            streams: Streams::new(limits),
            steps: Vec::new(),
            apparent: Apparent::default(),
            names: RandomState::new(),
        }
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
            Event::Datagram(datagram) => {
                self.streams.on_datagram(datagram, &mut self.apparent, &mut self.steps);
            }
            Event::Missed { at } => self.streams.on_missed(*at, &mut self.steps),
            Event::Process { stamp, change, comm } => {
                out(Observation::Change { stamp: *stamp, change: *change, comm: *comm });
            }
        }
        self.hand_on_apparent(out);
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

    /// It is `now`: what is not answered by now will not be. `lost`: messages of UDP sockets may have been lost.
    pub fn tick(&mut self, now: Nanos, lost: bool, out: &mut impl FnMut(Observation)) {
        self.streams.on_time(now, lost, &mut self.apparent, &mut self.steps);
        self.hand_on(out);
        for conn in std::mem::take(&mut self.apparent.closed) {
            out(Observation::Close { conn: self.name(conn), at: now });
        }
    }

    fn hand_on_apparent(&mut self, out: &mut impl FnMut(Observation)) {
        if !self.apparent.opened.is_empty() {
            for open in std::mem::take(&mut self.apparent.opened) {
                out(Observation::Open(Box::new(self.open(&open))));
            }
        }
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

    /// What is to be captured of connections from now on, under the names that the probes know.
    pub fn take_interests(&mut self) -> Vec<(ConnId, Interest)> {
        self.streams.take_interests()
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
