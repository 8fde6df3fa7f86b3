//! The kernel side's capture rule, simulated: gives the events that the probes would make of a list of socket calls.
//! For tests and fuzzing only (`test-support`).
//!
//! The rule: a call that begins like a message is recorded, and allows [`DEFAULT_HEAD_BYTES`] of its message to be captured;
//! a call in the same direction that follows is recorded as long as some of that is left; a call that ends with an
//! empty line (CR LF CR LF) uses it up. Everything else is only counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tracer_common::abi::{ConnId, DEFAULT_HEAD_BYTES, PEEK_BYTES, Progress, proto};
use tracer_common::classify::{Class, classify_bytes};

use super::Streams;
use crate::event::{Counts, Direction, Endpoints, Mover, Open, Role, Scene, Segment, Stamp};
use crate::exchange::{ExchangeId, Outcome, ResponseHead, Side, Step};
use crate::protocol::Limits;
use crate::time::Nanos;

/// An event with its own copy of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// A connection is new.
    Open(Box<Open>),
    /// Bytes of a message; the slice in it is empty, the data stands beside it.
    Segment(Box<Segment<'static>>, Vec<u8>),
    /// Counts.
    Counts(Counts),
    /// Calls may have been missed, on connections whose bytes have no numbers.
    Missed(Nanos),
}

impl Recorded {
    /// Hands the event on.
    pub fn feed(&self, streams: &mut Streams, out: &mut Vec<Step>) {
        match self {
            Recorded::Open(open) => streams.on_open(open),
            Recorded::Segment(segment, data) => {
                let segment = Segment { data, ..**segment };
                streams.on_segment(&segment, out);
            }
            Recorded::Counts(counts) => streams.on_counts(counts, out),
            Recorded::Missed(at) => streams.on_missed(*at, out),
        }
    }
}

/// What the probes may do one way or another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Variation {
    /// A call of fewer than eight bytes that may begin a message does not restart the capture within a head.
    pub prefix_continues: bool,
    /// The tail of a call of fewer than eight bytes stands at the end of its eight bytes.
    pub tail_at_end: bool,
    /// No tail is readable.
    pub no_tails: bool,
    /// Everything is captured, not only the beginnings of messages.
    pub all: bool,
}

/// One connection end in the kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    conn: ConnId,
    role: Role,
    /// How it behaves.
    pub variation: Variation,
    progress: [Progress; 2],
    want: [usize; 2],
    first_seq: [u32; 2],
    opened: bool,
    /// Who makes the next calls.
    pub by: Mover,
    /// What it has recorded.
    pub events: Vec<Recorded>,
}

fn index(dir: Direction) -> usize {
    match dir {
        Direction::Rx => 0,
        Direction::Tx => 1,
    }
}

impl Kernel {
    /// A connection whose establishment was seen.
    pub fn new(number: u64, role: Role) -> Kernel {
        Kernel {
            conn: ConnId { sk: number, born: 1_000 + number },
            role,
            variation: Variation::default(),
            progress: [Progress::default(); 2],
            want: [0; 2],
            by: Mover { tid: 1, turn: 0 },
            // Near the end of the number space, so that it wraps.
            first_seq: [u32::MAX - 100, 7_000],
            opened: false,
            events: Vec::new(),
        }
    }

    /// Its name.
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// Bytes that moved in both directions.
    pub fn bytes(&self) -> u64 {
        self.progress.iter().map(|progress| progress.bytes).sum()
    }

    /// The sequence number that the next byte of a direction will have.
    pub fn seq(&self, dir: Direction) -> u32 {
        let [rx, tx] = &self.progress;
        let [rx_seq, tx_seq] = self.first_seq;
        match dir {
            Direction::Rx => rx_seq.wrapping_add(rx.bytes as u32),
            Direction::Tx => tx_seq.wrapping_add(tx.bytes as u32),
        }
    }

    /// A call that moved `bytes` and ended at `at`.
    pub fn call(&mut self, dir: Direction, bytes: &[u8], at: u64) {
        if bytes.is_empty() {
            return;
        }
        self.open(bytes, at);
        let class = classify_bytes(bytes);
        let seq = self.seq(dir);
        let [rx, tx] = self.progress;
        let Some(want) = self.want.get_mut(index(dir)) else { return };
        let starts = match class {
            Class::Http1Request | Class::Http1Response => true,
            Class::Prefix => *want == 0 || !self.variation.prefix_continues,
            Class::Unknown | Class::Http2 | Class::Tls => false,
        };
        if starts {
            *want = DEFAULT_HEAD_BYTES as usize;
        }
        if self.variation.all {
            *want = usize::MAX;
        }
        if *want > 0 {
            let captured = bytes.len().min(*want);
            *want -= captured;
            if bytes.ends_with(b"\r\n\r\n") {
                *want = 0;
            }
            let segment = Segment {
                conn: self.conn,
                stamp: self.stamp(at),
                dir,
                rx,
                tx,
                seq,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                data: &[],
                starts,
                lost_before: false,
            };
            let data = bytes.get(..captured).unwrap_or_default().to_vec();
            self.events.push(Recorded::Segment(Box::new(segment), data));
        }
        let tail = self.tail(bytes);
        self.moved(dir, bytes.len() as u64, at, tail);
    }

    /// Bytes that moved without a buffer that could be read (sendfile, splice).
    pub fn sendfile(&mut self, dir: Direction, len: u64, at: u64) {
        self.open(&[], at);
        self.moved(dir, len, at, [0; 8]);
    }

    fn stamp(&self, at: u64) -> Stamp {
        let Mover { tid, turn } = self.by;
        Stamp { at: Nanos(at), tgid: 1, tid, scene: Scene { turn, ..Scene::default() } }
    }

    fn tail(&self, bytes: &[u8]) -> [u8; 8] {
        let mut tail = [0; 8];
        let last = bytes.get(bytes.len().saturating_sub(8)..).unwrap_or(bytes);
        let at = if self.variation.tail_at_end { 8 - last.len() } else { 0 };
        if !self.variation.no_tails {
            tail.iter_mut().skip(at).zip(last).for_each(|(to, from)| *to = *from);
        }
        tail
    }

    fn moved(&mut self, dir: Direction, len: u64, at: u64, tail: [u8; 8]) {
        let Mover { tid, turn } = self.by;
        if let Some(progress) = self.progress.get_mut(index(dir)) {
            *progress = Progress { bytes: progress.bytes.saturating_add(len), last: at, tail, tid, turn };
        }
    }

    fn open(&mut self, first: &[u8], at: u64) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let mut peek = [0; PEEK_BYTES];
        peek.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        let address = IpAddr::from([127, 0, 0, 1]);
        let (local_port, remote_port) =
            if self.role == Role::Active { (40_000, 8080) } else { (8080, 40_000) };
        self.events.push(Recorded::Open(Box::new(Open {
            conn: self.conn,
            stamp: self.stamp(at),
            endpoints: Endpoints::Inet { local: address, local_port, remote: address, remote_port },
            netns: 1,
            inode: 1,
            role: self.role,
            birth: None,
            peek,
            peek_len: first.len().min(PEEK_BYTES) as u8,
        })));
    }

    fn counts(&self, at: u64, closed: bool) -> Recorded {
        let [rx, tx] = self.progress;
        Recorded::Counts(Counts { conn: self.conn, at: Nanos(at), rx, tx, closed, proto: proto::UNKNOWN })
    }

    /// The sweep over quiet connections reads the counts.
    pub fn sweep(&mut self, at: u64) {
        self.events.push(self.counts(at, false));
    }

    /// The kernel's count of programs left out has risen.
    pub fn missed(&mut self, at: u64) {
        self.events.push(Recorded::Missed(Nanos(at)));
    }

    /// The connection ends.
    pub fn close(&mut self, at: u64) {
        self.events.push(self.counts(at, true));
    }

    /// Loses a record, as a full ring does. The last record (the close) is never lost: the sweep would tell it.
    pub fn lose(&mut self, at: usize) {
        // Nor is what is no record.
        if at + 1 >= self.events.len() || matches!(self.events.get(at), Some(Recorded::Missed(_))) {
            return;
        }
        self.events.remove(at);
        if let Some(Recorded::Segment(next, _)) = self.events.get_mut(at) {
            next.lost_before = true;
        }
    }
}

/// All that was told of one exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Which.
    pub id: ExchangeId,
    /// Server or client.
    pub side: Side,
    /// Method.
    pub method: Arc<str>,
    /// Target.
    pub target: Box<str>,
    /// The request's head was cut off.
    pub truncated: bool,
    /// First byte.
    pub first: Nanos,
    /// Sequence number of the request's first byte.
    pub seq: u32,
    /// The response's head, and the time of its first byte.
    pub response: Option<(ResponseHead, Nanos)>,
    /// End: outcome, last byte of the request, end, bytes of the request, bytes of the response.
    pub end: Option<(Outcome, Nanos, Nanos, u64, u64)>,
}

impl Told {
    /// Status, if there was a response.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|(head, _)| head.status)
    }

    /// Outcome, if it ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.map(|end| end.0)
    }
}

/// Puts steps together; says what is wrong with their order if something is.
pub fn collect(steps: &[Step]) -> Result<Vec<Told>, String> {
    let mut told: BTreeMap<ExchangeId, Told> = BTreeMap::new();
    let mut order = Vec::new();
    for step in steps {
        let id = step.id();
        match step {
            Step::Request { id, side, first, stamp, seq, head } => {
                if *first > stamp.at {
                    return Err(format!("{id:?}: the head was complete before its first byte"));
                }
                order.push(*id);
                let new = Told {
                    id: *id,
                    side: *side,
                    method: Arc::clone(&head.method),
                    target: head.target.clone(),
                    truncated: head.truncated,
                    first: *first,
                    seq: *seq,
                    response: None,
                    end: None,
                };
                if told.insert(*id, new).is_some() {
                    return Err(format!("{id:?}: two requests"));
                }
            }
            Step::Response { stamp, head, .. } => match told.get_mut(&id) {
                Some(one) if one.response.is_none() && one.end.is_none() => {
                    one.response = Some((head.clone(), stamp.at))
                }
                _ => return Err(format!("{id:?}: a response out of order")),
            },
            Step::End { request_end, end, request_bytes, response_bytes, outcome, .. } => {
                match told.get_mut(&id) {
                    Some(one) if one.end.is_none() => {
                        one.end = Some((*outcome, *request_end, *end, *request_bytes, *response_bytes));
                    }
                    _ => return Err(format!("{id:?}: an end out of order")),
                }
            }
        }
    }
    Ok(order.iter().filter_map(|id| told.remove(id)).collect())
}

/// Feeds events, finishes the capture at `at`, and collects what was told.
pub fn replay(events: &[Recorded], limits: Limits, at: u64) -> Result<(Vec<Told>, Streams), String> {
    let (mut streams, mut steps) = (Streams::new(limits), Vec::new());
    for (at, event) in events.iter().enumerate() {
        event.feed(&mut streams, &mut steps);
        if at % 16 != 0 {
            continue;
        }
        let ledger = streams.ledger();
        if !ledger.closes() {
            return Err(format!("the account does not close after {event:?}: {ledger:?}"));
        }
    }
    streams.finish(Nanos(at), &mut steps);
    let ledger = streams.ledger();
    if !ledger.closes() || ledger.pending != 0 {
        return Err(format!("the account does not close: {ledger:?}"));
    }
    let told = collect(&steps)?;
    match told.iter().find(|one| one.end.is_none()) {
        Some(open) => Err(format!("never ended: {open:?}")),
        None => Ok((told, streams)),
    }
}
