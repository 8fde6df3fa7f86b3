//! A connection end on which the calls, and how much of each was captured, are made up; and what was told of it, exchange by
//! exchange. For the tests of the protocols that frame their messages, and for fuzzing (`test-support`).
//!
//! [`crate::stream::simulate`] has the probes' rule for HTTP/1; here nothing but the caller decides what is out of sight.

use std::net::IpAddr;

use tracer_common::abi::{ConnId, PEEK_BYTES, Progress, proto};

use super::{Interest, Limits};
use crate::event::{Counts, Direction, Endpoints, Open, Role, Scene, Segment, Stamp};
use crate::exchange::{Outcome, RequestHead, ResponseHead, Side, Step, Trailer};
#[cfg(test)]
use crate::random::Random;
use crate::stream::{Ledger, Streams};
use crate::time::Nanos;

/// All that was told of one exchange.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Server or client.
    pub side: Side,
    /// What was asked.
    pub head: RequestHead,
    /// First byte of the request.
    pub first: Nanos,
    /// Its sequence number.
    pub seq: u32,
    /// What was answered, and when that began.
    pub response: Option<(ResponseHead, Nanos)>,
    /// How it ended, when the request and the response did, bytes of each, and what only the end said.
    pub end: Option<End>,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// Last byte of the request.
    pub asked: Nanos,
    /// Last byte of the response.
    pub at: Nanos,
    /// Bytes of the request and of the response.
    pub bytes: (u64, u64),
    /// What only the end said.
    pub trailer: Trailer,
}

impl Act {
    /// `METHOD target`.
    pub fn asked(&self) -> String {
        format!("{} {}", self.head.method, self.head.target)
    }

    /// How it ended.
    pub fn outcome(&self) -> Option<Outcome> {
        self.end.as_ref().map(|end| end.outcome)
    }

    /// The status that was told last.
    pub fn status(&self) -> Option<u16> {
        let trailer = self.end.as_ref().and_then(|end| end.trailer.status);
        trailer.or(self.response.as_ref().map(|(head, _)| head.status))
    }

    /// The error that was told last.
    pub fn error(&self) -> Option<&str> {
        let trailer = self.end.as_ref().and_then(|end| end.trailer.error.as_deref());
        trailer.or(self.response.as_ref().and_then(|(head, _)| head.error.as_deref()))
    }
}

/// One connection end.
pub struct Stage {
    conn: ConnId,
    role: Role,
    opened: bool,
    progress: [Progress; 2],
    streams: Streams,
    steps: Vec<Step>,
    /// Time of the next call; each call takes 10.
    pub now: u64,
    /// Which calls are captured only in part: at most so many bytes of each.
    pub most: usize,
    /// The last bytes of cut calls are readable.
    pub tails: bool,
    /// It is a unix socket: what is lost leaves no trace but [`Stage::missed`].
    pub is_unix: bool,
    lost: bool,
}

impl Stage {
    /// A connection whose beginning was seen (`Passive`: the observed process accepted it), or not (`Unseen`).
    pub fn new(role: Role) -> Stage {
        Stage::within(role, Limits::default())
    }

    /// The same, within bounds.
    pub fn within(role: Role, limits: Limits) -> Stage {
        Stage {
            conn: ConnId { sk: 1, born: 2 },
            role,
            opened: false,
            progress: [Progress::default(); 2],
            streams: Streams::new(limits),
            steps: Vec::new(),
            now: 10,
            most: usize::MAX,
            tails: true,
            is_unix: false,
            lost: false,
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: Nanos(self.now), tgid: 1, tid: 1, scene: Scene::default() }
    }

    /// The sequence number of the next byte.
    pub fn seq(&self, dir: Direction) -> u32 {
        let [rx, tx] = &self.progress;
        let (before, first) = if dir == Direction::Rx { (rx, u32::MAX - 100) } else { (tx, 7_000) };
        first.wrapping_add(before.bytes as u32)
    }

    /// A call, captured as far as [`Stage::most`] allows.
    pub fn call(&mut self, dir: Direction, bytes: &[u8]) {
        let most = self.most;
        self.cut(dir, bytes, most);
    }

    /// A call of which so many bytes are captured.
    pub fn cut(&mut self, dir: Direction, bytes: &[u8], most: usize) {
        if bytes.is_empty() {
            return;
        }
        self.open(bytes);
        let [rx, tx] = self.progress;
        let before = if dir == Direction::Rx { rx } else { tx };
        let seq = self.seq(dir);
        if most > 0 {
            let segment = Segment {
                conn: self.conn,
                stamp: self.stamp(),
                dir,
                rx,
                tx,
                seq,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                data: bytes.get(..most).unwrap_or(bytes),
                starts: false,
                lost_before: std::mem::take(&mut self.lost),
            };
            self.streams.on_segment(&segment, &mut self.steps);
        }
        let mut tail = [0; 8];
        if self.tails {
            let last = bytes.get(bytes.len().saturating_sub(8)..).unwrap_or(bytes);
            tail.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
        }
        let after = Progress {
            bytes: before.bytes + bytes.len() as u64,
            last: self.now,
            tail,
            ..Progress::default()
        };
        match dir {
            Direction::Rx => self.progress = [after, tx],
            Direction::Tx => self.progress = [rx, after],
        }
        self.now += 10;
        assert!(self.ledger().closes(), "the account does not close: {:?}", self.ledger());
    }

    /// A call of which the record may be lost, or cut, by chance; never if it `is_gentle`.
    #[cfg(test)]
    pub(crate) fn play(&mut self, dice: &mut Dice, is_gentle: bool, dir: Direction, bytes: &[u8]) {
        match dice.below(30) {
            _ if is_gentle => self.call(dir, bytes),
            0 => self.lose(dir, bytes),
            1 | 2 => self.cut(dir, bytes, dice.below(80) as usize),
            3 => {
                self.sweep();
                self.call(dir, bytes);
            }
            _ => self.call(dir, bytes),
        }
    }

    /// A call whose record was lost.
    pub fn lose(&mut self, dir: Direction, bytes: &[u8]) {
        self.cut(dir, bytes, 0);
        self.lost = true;
    }

    /// Calls may have been missed, and nothing else tells of it.
    pub fn missed(&mut self) {
        self.streams.on_missed(Nanos(self.now), &mut self.steps);
    }

    fn open(&mut self, first: &[u8]) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let mut peek = [0; PEEK_BYTES];
        peek.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        let address = IpAddr::from([127, 0, 0, 1]);
        let endpoints = match self.is_unix {
            true => Endpoints::Unix { peer: 5 },
            false => Endpoints::Inet { local: address, local_port: 1, remote: address, remote_port: 40_000 },
        };
        self.streams.on_open(&Open {
            conn: self.conn,
            stamp: self.stamp(),
            endpoints,
            netns: 1,
            inode: 1,
            role: self.role,
            birth: None,
            peek,
            peek_len: first.len().min(PEEK_BYTES) as u8,
        });
    }

    fn counts(&mut self, closed: bool) {
        let [rx, tx] = self.progress;
        let at = Nanos(self.now);
        let counts = Counts { conn: self.conn, at, rx, tx, closed, proto: proto::UNKNOWN };
        self.streams.on_counts(&counts, &mut self.steps);
    }

    /// The probes' counts are read.
    pub fn sweep(&mut self) {
        self.counts(false);
    }

    /// The connection ends.
    pub fn close(&mut self) {
        self.counts(true);
    }

    /// The account so far.
    pub fn ledger(&self) -> Ledger {
        self.streams.ledger()
    }

    /// What the probes were asked to capture.
    pub fn interests(&mut self) -> Vec<Interest> {
        self.streams.take_interests().into_iter().map(|(_, interest)| interest).collect()
    }

    /// The capture ends: everything that was told, in the order of the requests.
    ///
    /// # Panics
    ///
    /// If the account does not close, a step is told twice or out of order, or an exchange does not end.
    pub fn told(&mut self) -> Vec<Act> {
        self.sweep();
        self.streams.finish(Nanos(self.now), &mut self.steps);
        let ledger = self.ledger();
        assert!(ledger.closes() && ledger.pending == 0, "the account does not close: {ledger:?}");
        let mut acts: Vec<Act> = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            let number = step.id().number as usize;
            match step {
                Step::Request { side, first, stamp, seq, head, .. } => {
                    assert_eq!(number, acts.len(), "requests are numbered in order");
                    assert!(first <= stamp.at, "a request ends before it begins");
                    acts.push(Act { side, head, first, seq, response: None, end: None });
                }
                Step::Response { stamp, head, .. } => {
                    let act = acts.get_mut(number).filter(|act| act.response.is_none() && act.end.is_none());
                    match act {
                        Some(act) => act.response = Some((head, stamp.at)),
                        None => panic!("a response out of order: {number}"),
                    }
                }
                Step::End { outcome, request_end, end, request_bytes, response_bytes, trailer, .. } => {
                    let bytes = (request_bytes, response_bytes);
                    match acts.get_mut(number).filter(|act| act.end.is_none()) {
                        Some(act) => {
                            act.end = Some(End { outcome, asked: request_end, at: end, bytes, trailer })
                        }
                        None => panic!("an end out of order: {number}"),
                    }
                }
            }
        }
        assert!(acts.iter().all(|act| act.end.is_some()), "an exchange never ended");
        acts
    }
}

/// Plays what a fuzzer made up: calls put together of `phrases` and raw bytes, cut off, lost and missed, in both directions.
///
/// # Panics
///
/// If something does not hold that must: the account closes, steps come in order, every exchange ends once.
pub(crate) fn improvise(data: &[u8], phrases: &[&[u8]]) {
    let mut input = crate::fuzzed::Input::new(data);
    let how = input.byte();
    let mut stage = Stage::new(if how & 1 == 0 { Role::Passive } else { Role::Unseen });
    stage.tails = how & 2 == 0;
    stage.is_unix = how & 8 != 0;
    let mut call = Vec::new();
    while !input.is_empty() {
        let choice = input.byte();
        let dir = if choice & 1 == 0 { Direction::Rx } else { Direction::Tx };
        call.clear();
        for _ in 0..=(choice >> 1 & 3) {
            match input.byte() {
                raw @ 0xc0.. => call.extend_from_slice(input.take(usize::from(raw & 0x1f))),
                number => {
                    let phrase = phrases.get(usize::from(number) % phrases.len().max(1)).copied();
                    call.extend_from_slice(phrase.unwrap_or_default());
                }
            }
        }
        match choice >> 3 {
            0..=20 => stage.call(dir, &call),
            21..=26 => stage.cut(dir, &call, usize::from(input.byte())),
            27..=28 => stage.lose(dir, &call),
            29 => stage.missed(),
            30 => stage.sweep(),
            _ => stage.cut(dir, &call, usize::from(input.byte()) / 8),
        }
    }
    if how & 4 == 0 {
        stage.close();
    }
    stage.told();
}

/// What a script leaves to chance, the same in every run.
#[cfg(test)]
pub(crate) struct Dice(Random);

#[cfg(test)]
impl Dice {
    /// Another sequence for each number.
    pub fn new(seed: u64) -> Dice {
        Dice(Random::new(seed))
    }

    /// Below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0.next() % most.max(1)
    }

    /// Splits bytes into calls.
    pub fn split<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut calls = Vec::new();
        while !bytes.is_empty() {
            let len = match self.below(4) {
                0 => 1 + self.below(12),
                1 => 1 + self.below(400),
                _ => bytes.len() as u64,
            };
            let (call, rest) = bytes.split_at((len as usize).min(bytes.len()));
            calls.push(call);
            bytes = rest;
        }
        calls
    }
}
