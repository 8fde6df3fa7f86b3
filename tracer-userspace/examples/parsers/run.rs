//! Runs a talk, and measures.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use tracer_common::abi::{ConnId, PEEK_BYTES, Progress};
use tracer_userspace::event::{Datagram, Direction, Endpoints, Open, Segment, Stamp};
use tracer_userspace::exchange::{Outcome, Step};
use tracer_userspace::protocol::Limits;
use tracer_userspace::stream::{Apparent, Streams};
use tracer_userspace::time::Nanos;

use crate::counting;
use crate::talk::{Call, Talk};

/// How long one measurement takes, ns of processor time, and how often the talk is repeated to learn how long it takes.
const PATIENCE: u64 = 40_000_000;
const TRIAL: u64 = 200;

/// A connection end that is fed.
struct End {
    streams: Streams,
    steps: Vec<Step>,
    progress: [Progress; 2],
    at: u64,
    stream: u32,
    /// Connections that stand for sockets of UDP.
    apparent: Apparent,
    /// Times that memory was given back with steps.
    given: u64,
}

const CONN: ConnId = ConnId { sk: 1, born: 2 };

impl End {
    fn new(talk: &mut Talk) -> End {
        let mut end = End {
            streams: Streams::new(Limits::default()),
            steps: Vec::with_capacity(1024),
            progress: [Progress::default(); 2],
            at: 1_000,
            stream: 1,
            apparent: Apparent::default(),
            given: 0,
        };
        if talk.is_udp {
            return end;
        }
        let address = IpAddr::from([127, 0, 0, 1]);
        end.streams.on_open(&Open {
            conn: CONN,
            stamp: end.stamp(),
            endpoints: Endpoints::Inet {
                local: address,
                local_port: 1,
                remote: address,
                remote_port: 40_000,
            },
            netns: 1,
            inode: 1,
            role: talk.role,
            birth: None,
            peek: [0; PEEK_BYTES],
            peek_len: 0,
        });
        for call in &mut talk.opening {
            end.feed(call);
        }
        end.stream += 2;
        end.steps.clear();
        end
    }

    fn stamp(&self) -> Stamp {
        Stamp { at: Nanos(self.at), tgid: 1, tid: 1, ..Stamp::default() }
    }

    fn feed(&mut self, call: &mut Call) {
        for place in &call.streams {
            if let Some(bytes) = call.data.get_mut(*place..place + 4) {
                bytes.copy_from_slice(&self.stream.to_be_bytes());
            }
        }
        let [rx, tx] = self.progress;
        let before = if call.dir == Direction::Rx { rx } else { tx };
        let segment = Segment {
            conn: CONN,
            stamp: self.stamp(),
            dir: call.dir,
            rx,
            tx,
            seq: before.bytes as u32,
            len: call.data.len() as u32,
            data: call.data.get(..call.captured).unwrap_or(&call.data),
            starts: false,
            lost_before: false,
        };
        self.streams.on_segment(&segment, &mut self.steps);
        let bytes = before.bytes + call.data.len() as u64;
        let mut tail = [0; 8];
        if let Some(last) = call.data.last_chunk() {
            tail = *last;
        }
        let after = Progress { bytes, last: self.at, tail, ..Progress::default() };
        self.progress = if call.dir == Direction::Rx { [after, tx] } else { [rx, after] };
        self.at += 1_000;
    }

    fn datagram(&mut self, call: &Call) {
        let address = IpAddr::from([127, 0, 0, 1]);
        let datagram = Datagram {
            sk: CONN.sk,
            inode: 1,
            stamp: self.stamp(),
            dir: call.dir,
            local: (address, 40_000),
            remote: Some((address, 53)),
            netns: 1,
            len: call.data.len() as u32,
            data: &call.data,
            refused: false,
        };
        self.streams.on_datagram(&datagram, &mut self.apparent, &mut self.steps);
        self.at += 1_000;
    }

    fn cycle(&mut self, talk: &mut Talk) {
        for call in &mut talk.cycle {
            match talk.is_udp {
                true => self.datagram(call),
                false => self.feed(call),
            }
        }
        self.stream += 2;
        let before = counting::counts().1;
        self.steps.clear();
        self.given += counting::counts().1 - before;
    }
}

/// What was measured of one talk.
pub struct Measured {
    /// Repetitions of one measurement.
    cycles: u64,
    /// Times that memory was taken in a repetition, and of these, what the exchange's own steps hold.
    taken: f64,
    held: f64,
    /// Nanoseconds of a repetition, one value for each round.
    nanos: Vec<f64>,
}

impl Measured {
    /// Counts the allocations, and checks that the talk is understood: whatever is not would be fast.
    pub fn new(talk: &mut Talk) -> Result<Measured> {
        let name = format!("{}, {}", talk.protocol, talk.what);
        let mut end = End::new(talk);
        // What grows only in the beginning has grown.
        for _ in 0..TRIAL {
            end.cycle(talk);
        }
        let (ledger, given, taken) = (end.streams.ledger(), end.given, counting::counts().0);
        let begun = now();
        for _ in 0..TRIAL {
            end.cycle(talk);
        }
        let (took, taken) = (now() - begun, counting::counts().0 - taken);
        let held = end.given - given;
        let after = end.streams.ledger();
        let (asked, ended) =
            (after.tally.requests - ledger.tally.requests, after.tally.ended(Outcome::Complete));
        let ended = ended - ledger.tally.ended(Outcome::Complete);
        let want = TRIAL * talk.exchanges;
        ensure!((asked, ended) == (want, want), "{name}: {asked} requests, {ended} complete, of {want}");
        ensure!(after.tally.skipped_total() == ledger.tally.skipped_total(), "{name}: bytes are skipped");
        let cycles = (PATIENCE * TRIAL / took.max(1)).max(10);
        let each = |count: u64| count as f64 / TRIAL as f64;
        Ok(Measured { cycles, taken: each(taken), held: each(held), nanos: Vec::new() })
    }

    /// Measures once.
    pub fn round(&mut self, talk: &mut Talk) -> Result<()> {
        let mut end = End::new(talk);
        for _ in 0..TRIAL.min(self.cycles) {
            end.cycle(talk);
        }
        let begun = now();
        for _ in 0..self.cycles {
            end.cycle(talk);
        }
        self.nanos.push((now() - begun) as f64 / self.cycles as f64);
        Ok(())
    }

    /// All of it.
    pub fn json(&self, talk: &Talk) -> serde_json::Value {
        let sum = |size: &dyn Fn(&Call) -> usize| talk.cycle.iter().map(size).sum::<usize>();
        let directions = [Direction::Rx, Direction::Tx];
        let moved = directions.iter().filter(|dir| talk.cycle.iter().any(|call| call.dir == **dir)).count();
        serde_json::json!({
            "protocol": talk.protocol,
            "what": talk.what,
            "bulk": talk.is_bulk,
            "exchanges": talk.exchanges,
            // Requests and answers; what is published has none.
            "messages": talk.exchanges * moved as u64,
            "bytes": sum(&|call| call.data.len()),
            "captured": sum(&|call| call.captured),
            "allocations": self.taken,
            "held": self.held,
            "nanos": self.nanos,
        })
    }
}

/// Processor time of this thread, ns.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a pointer to a local that outlives the call, which only writes to it.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
