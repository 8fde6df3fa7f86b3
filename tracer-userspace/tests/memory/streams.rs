//! What connections cost, however they behave.

use tracer_common::abi::{ConnId, Progress};
use tracer_userspace::event::{Counts, Direction, Endpoints, Open, Role, Segment, Stamp};
use tracer_userspace::exchange::Step;
use tracer_userspace::protocol::Limits;
use tracer_userspace::stream::Streams;
use tracer_userspace::time::Nanos;

use crate::heap::peak_of;
use crate::within;

/// One connection, whatever comes on it. Most of it are the 1024 requests that may wait for their responses.
const PER_CONNECTION: usize = 192 << 10;
/// One connection of very many: idle, or with a part of a head of up to 100 bytes.
const PER_IDLE_CONNECTION: usize = 512;
const PER_HALF_REQUEST: usize = 1280;
/// One connection of very many, each with as much of a head, in both directions, as is held of one.
const PER_HALF_HEADS: usize = 18 << 10;
/// Methods and hosts, of all connections.
const NAMES: usize = 4 << 20;
/// Connections that are over.
const CLOSED: usize = 256 << 10;

/// One connection end, whose every byte is captured.
struct Peer {
    conn: ConnId,
    rx: u64,
    tx: u64,
    at: u64,
}

impl Peer {
    fn new(number: u64) -> Peer {
        Peer { conn: ConnId { sk: number, born: 1 }, rx: 0, tx: 0, at: 1 }
    }

    fn open(&self, streams: &mut Streams) {
        let here = std::net::IpAddr::from([127, 0, 0, 1]);
        streams.on_open(&Open {
            conn: self.conn,
            stamp: Stamp { at: Nanos(1), tgid: 1, tid: 1, ..Stamp::default() },
            endpoints: Endpoints::Inet { local: here, local_port: 80, remote: here, remote_port: 40_000 },
            netns: 1,
            inode: 1,
            role: Role::Passive,
            birth: None,
            peek: [0; _],
            peek_len: 0,
        });
    }

    fn progress(bytes: u64, at: u64) -> Progress {
        Progress { bytes, last: at, ..Progress::default() }
    }

    fn call(
        &mut self,
        streams: &mut Streams,
        dir: Direction,
        data: &[u8],
        starts: bool,
        out: &mut Vec<Step>,
    ) {
        self.at += 1;
        let segment = Segment {
            conn: self.conn,
            stamp: Stamp { at: Nanos(self.at), tgid: 1, tid: 1, ..Stamp::default() },
            dir,
            rx: Self::progress(self.rx, self.at),
            tx: Self::progress(self.tx, self.at),
            seq: 0,
            len: u32::try_from(data.len()).unwrap(),
            data,
            starts,
            lost_before: false,
        };
        streams.on_segment(&segment, out);
        match dir {
            Direction::Rx => self.rx += data.len() as u64,
            Direction::Tx => self.tx += data.len() as u64,
        }
        // Whoever drives the streams takes the steps away.
        out.clear();
    }

    fn close(&mut self, streams: &mut Streams, out: &mut Vec<Step>) {
        let (rx, tx) = (Self::progress(self.rx, self.at), Self::progress(self.tx, self.at));
        let counts = Counts { conn: self.conn, at: Nanos(self.at), rx, tx, closed: true, proto: 0 };
        streams.on_counts(&counts, out);
        out.clear();
    }
}

/// Sends `first` and then `more`, `times` times, in calls of `size` bytes, and measures.
fn one_connection(what: &str, dir: Direction, first: &[u8], more: &[u8], times: usize) {
    let (peak, ledger) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
        let mut peer = Peer::new(1);
        peer.open(&mut streams);
        if dir == Direction::Tx {
            peer.call(&mut streams, Direction::Rx, b"GET / HTTP/1.1\r\n\r\n", true, &mut out);
        }
        peer.call(&mut streams, dir, first, true, &mut out);
        for _ in 0..times {
            peer.call(&mut streams, dir, more, false, &mut out);
        }
        streams.ledger()
    });
    assert!(ledger.closes() && ledger.seen > (more.len() * times) as u64, "{ledger:?}");
    within(what, peak, PER_CONNECTION);
}

#[test]
fn a_head_without_end() {
    for (dir, first) in [(Direction::Rx, &b"GET / HTTP/1.1\r\n"[..]), (Direction::Tx, b"HTTP/1.1 200 OK\r\n")]
    {
        one_connection("a head without end, in lines", dir, first, b"X-Field: value\r\n", 1_000_000);
        one_connection("a head without end, byte by byte", dir, first, b"x", 1_000_000);
        one_connection("a head without end, in large calls", dir, first, &[b'x'; 4096], 50_000);
    }
    one_connection("a request line without end", Direction::Rx, b"GET /", &[b'x'; 100], 100_000);
    one_connection("a method without end", Direction::Rx, b"GET", &[b'X'; 7], 100_000);
    one_connection("empty lines without end", Direction::Rx, b"GET / HTTP/1.1\r\n\r\n", b"\r\n", 1_000_000);
}

#[test]
fn a_chunk_extension_or_trailer_without_end() {
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, begins) in
        [("a chunk extension", &b"5;name="[..]), ("a trailer section", b"0\r\nX: "), ("a chunk size", b"0")]
    {
        let first = [head, begins].concat();
        one_connection(&format!("{what} without end"), Direction::Tx, &first, b"aaaaaaaaaaaaaaaa", 500_000);
    }
    let first = [&head[..], b"0\r\n"].concat();
    one_connection("trailers without end", Direction::Tx, &first, b"X-Field: value\r\n", 500_000);
}

#[test]
fn a_million_pipelined_requests() {
    const BATCH: usize = 100;
    let one: &[u8] = b"GET /some/path?with=query HTTP/1.1\r\nHost: example\r\n\r\n";
    let batch = one.repeat(BATCH);
    let (peak, ledger) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::with_capacity(2 * BATCH));
        let mut peer = Peer::new(1);
        peer.open(&mut streams);
        for _ in 0..1_000_000 / BATCH {
            peer.call(&mut streams, Direction::Rx, &batch, true, &mut out);
        }
        streams.ledger()
    });
    assert!(ledger.closes() && ledger.tally.requests >= 1024 && ledger.tally.overflow > 0, "{ledger:?}");
    within("a million requests without an answer", peak, PER_CONNECTION);
}

#[test]
fn hosts_without_number() {
    // Hosts are shared between exchanges: as many as fit.
    let (peak, ledger) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
        let mut peer = Peer::new(1);
        peer.open(&mut streams);
        for number in 0..300_000 {
            let request = format!("GET / HTTP/1.1\r\nHost: {number:0>200}\r\n\r\n");
            peer.call(&mut streams, Direction::Rx, request.as_bytes(), true, &mut out);
            peer.call(&mut streams, Direction::Tx, b"HTTP/1.1 204 X\r\n\r\n", true, &mut out);
        }
        streams.ledger()
    });
    assert_eq!(ledger.tally.requests, 300_000);
    within("300 000 hosts", peak, NAMES);
}

/// A million connections, each of which `does` something; the bound is for each that is followed.
fn many(what: &str, each: usize, does: impl Fn(&mut Peer, &mut Streams, &mut Vec<Step>)) {
    let limits = Limits::default();
    let (peak, ledger) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(limits), Vec::new());
        for number in 0..1_000_000 {
            let mut peer = Peer::new(number);
            peer.open(&mut streams);
            does(&mut peer, &mut streams, &mut out);
        }
        assert_eq!(streams.open_connections(), limits.connections);
        streams.ledger()
    });
    assert!(ledger.closes() && ledger.untracked > 0, "{ledger:?}");
    println!("{what}: {} bytes for each of {}", peak / limits.connections, limits.connections);
    within(what, peak, each * limits.connections);
}

#[test]
fn a_million_idle_connections() {
    many("a million idle connections", PER_IDLE_CONNECTION, |_, _, _| {});
}

#[test]
fn a_million_half_requests() {
    many("a million half requests", PER_HALF_REQUEST, |peer, streams, out| {
        peer.call(streams, Direction::Rx, b"GET /some/path?with=query HTTP/1.1\r\nHost: exam", true, out);
    });
}

#[test]
fn the_largest_halves_of_heads() {
    // A tenth of them, so that the test itself stays small.
    let limits = Limits { connections: 1 << 14, ..Limits::default() };
    let part = [b'x'; 900];
    let (peak, ()) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(limits), Vec::new());
        for number in 0..1 << 14 {
            let mut peer = Peer::new(number);
            peer.open(&mut streams);
            for (dir, first) in
                [(Direction::Rx, &b"GET / HTTP/1.1\r\nX: "[..]), (Direction::Tx, b"HTTP/1.1 200 OK\r\nX: ")]
            {
                peer.call(&mut streams, dir, first, true, &mut out);
                (0..4).for_each(|_| peer.call(&mut streams, dir, &part, false, &mut out));
            }
        }
    });
    println!("halves of heads in both directions: {} bytes for each", peak >> 14);
    within("halves of heads in both directions", peak, PER_HALF_HEADS << 14);
}

#[test]
fn a_million_connections_that_ended() {
    let (peak, ledger) = peak_of(|| {
        let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
        for number in 0..1_000_000 {
            let mut peer = Peer::new(number);
            peer.open(&mut streams);
            peer.call(&mut streams, Direction::Rx, b"GET /some", true, &mut out);
            peer.close(&mut streams, &mut out);
        }
        streams.ledger()
    });
    assert!(ledger.closes() && ledger.connections == 1_000_000, "{ledger:?}");
    within("a million connections that ended", peak, CLOSED);
}
