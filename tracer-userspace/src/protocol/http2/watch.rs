//! A connection end for tests and fuzz targets: calls go in as the stream layer hands them on, and what was told is
//! gathered. Every byte is accounted for after each of them, and steps come in order, or it panics.

use std::collections::BTreeMap;

use tracer_common::abi::ConnId;
use tracer_common::classify::{Class, classify_bytes};

use crate::event::{Direction, Mover, Role, Stamp};
use crate::exchange::{Outcome, Protocol, RequestHead, Step};
use crate::protocol::names::Names;
use crate::protocol::recognise::{Begin, recognise};
use crate::protocol::tally::Tally;
use crate::protocol::{Bytes, Context, Gap, Limits, Parser, Piece};
use crate::time::Nanos;

/// What was told of an exchange.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub head: RequestHead,
    pub seq: u32,
    pub first: u64,
    pub request_end: u64,
    /// Status, as a span would show it.
    pub status: Option<u16>,
    pub error: Option<String>,
    pub answered: Option<u64>,
    pub outcome: Option<Outcome>,
    pub end: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// The connection end.
pub(crate) struct Watch {
    pub parser: Option<Box<dyn Parser>>,
    pub limits: Limits,
    pub tally: Tally,
    names: Names,
    unclaimed: u64,
    steps: Vec<Step>,
    told: BTreeMap<u32, Told>,
    seen: u64,
    whole: bool,
    role: Role,
    moved: Option<Direction>,
    /// The kernel's clock: each call is a microsecond later, unless it is set.
    pub now: u64,
}

impl Watch {
    /// `whole`: from its beginning.
    pub fn new(whole: bool, role: Role) -> Watch {
        let limits = Limits::default();
        Watch {
            parser: None,
            tally: Tally::default(),
            names: Names::new(limits.names),
            limits,
            unclaimed: 0,
            steps: Vec::new(),
            told: BTreeMap::new(),
            seen: 0,
            whole,
            role,
            moved: None,
            now: 0,
        }
    }

    /// A call whose first `captured` bytes are seen, and which moves the sequence numbers from `seq` on.
    pub fn call(&mut self, dir: Direction, seq: u32, bytes: &[u8], captured: usize) {
        self.now += 1_000;
        let (data, rest) = bytes.split_at(captured.min(bytes.len()));
        let stamp = Stamp { at: Nanos(self.now), tgid: 1, tid: 1, ..Stamp::default() };
        if !data.is_empty() {
            let call_len = bytes.len() as u64;
            let piece = Bytes {
                data,
                starts: classify_bytes(data) != Class::Unknown,
                ends_call: rest.is_empty(),
                call_len,
                seq,
                stamp,
            };
            if self.parser.is_none() {
                let whole = self.whole && self.seen == 0;
                self.parser = recognise(&Begin::new(&piece, dir, whole, self.moved, self.role));
            }
            self.piece(dir, Piece::Bytes(piece), data.len());
        }
        if !rest.is_empty() {
            let gap =
                Gap { len: rest.len() as u64, last: Nanos(self.now), by: Mover::from(&stamp), tail: None };
            self.piece(dir, Piece::Gap(gap), rest.len());
        }
    }

    fn piece(&mut self, dir: Direction, piece: Piece<'_>, len: usize) {
        self.seen += len as u64;
        self.moved = Some(dir);
        match self.parser.take() {
            None => self.unclaimed += len as u64,
            Some(mut parser) => {
                parser.feed(&mut self.context(), dir, piece);
                if parser.understood() || parser.pending() > 0 {
                    self.parser = Some(parser);
                }
            }
        }
        self.gather();
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            conn: ConnId { sk: 1, born: 1 },
            out: &mut self.steps,
            tally: &mut self.tally,
            names: &mut self.names,
            limits: &self.limits,
            unclaimed: &mut self.unclaimed,
        }
    }

    /// Calls may have been missed.
    pub fn lose(&mut self) {
        if let Some(mut parser) = self.parser.take() {
            let now = Nanos(self.now);
            parser.lose(&mut self.context(), now);
            self.parser = Some(parser);
        }
        self.gather();
    }

    /// The connection (`closed`) or the capture is over.
    pub fn end(&mut self, closed: bool) -> Vec<Told> {
        if let Some(mut parser) = self.parser.take() {
            let now = Nanos(self.now);
            parser.end(&mut self.context(), now, closed);
            assert!(!parser.is_busy() && parser.pending() == 0);
            self.parser = Some(parser);
        }
        self.gather();
        let told: Vec<Told> = std::mem::take(&mut self.told).into_values().collect();
        assert!(told.iter().all(|told| told.outcome.is_some()), "{told:?}");
        assert_eq!(self.tally.ended_total(), told.len() as u64);
        told
    }

    /// What has been told so far.
    #[cfg(test)]
    pub fn told(&self) -> Vec<Told> {
        self.told.values().cloned().collect()
    }

    fn gather(&mut self) {
        let pending = self.parser.as_ref().map_or(0, |parser| parser.pending());
        let accounted = self.tally.parsed() + self.tally.skipped_total() + self.unclaimed + pending;
        assert_eq!(accounted, self.seen, "{:?}", self.tally);
        for step in std::mem::take(&mut self.steps) {
            let number = step.id().number;
            match step {
                Step::Request { first, stamp, seq, head, .. } => {
                    assert!(first <= stamp.at && !self.told.contains_key(&number));
                    let told = Told { head, seq, first: first.0, ..Told::default() };
                    self.told.insert(number, told);
                }
                Step::Response { stamp, head, .. } => {
                    let told = self.told.get_mut(&number).unwrap_or_else(|| panic!("no request {number}"));
                    assert!(told.outcome.is_none() && told.answered.is_none());
                    told.answered = Some(stamp.at.0);
                    told.status = Some(head.status).filter(|status| *status != 0);
                    told.error = head.error.map(|error| error.to_string());
                }
                Step::End { end, request_end, request_bytes, response_bytes, outcome, trailer, .. } => {
                    let told = self.told.get_mut(&number).unwrap_or_else(|| panic!("no request {number}"));
                    assert!(told.outcome.is_none(), "{told:?}");
                    told.outcome = Some(outcome);
                    (told.end, told.request_end) = (end.0, request_end.0);
                    (told.request_bytes, told.response_bytes) = (request_bytes, response_bytes);
                    told.status = trailer.status.or(told.status);
                    told.error = trailer.error.map(|error| error.to_string()).or(told.error.take());
                }
            }
        }
    }
}

/// What is told is of the protocol it was told in.
pub(crate) fn is_grpc(told: &Told) -> bool {
    told.head.protocol == Protocol::Grpc
}
