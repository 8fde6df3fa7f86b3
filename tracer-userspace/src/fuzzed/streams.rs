//! Turns arbitrary bytes into events and checks what must hold for all of them: no panic, every byte accounted for,
//! every exchange told in order and ended once. Shared by the fuzz target and by the tests (`test-support`).

use tracer_common::abi::{ConnId, Progress};

use super::Input;
use crate::event::{Counts, Direction, Endpoints, Role, Segment, Stamp};
use crate::exchange::Step;
use crate::protocol::Limits;
use crate::stream::Streams;
use crate::stream::script::Script;
use crate::stream::simulate::{Kernel, Recorded, collect};
use crate::time::Nanos;

/// Pieces of messages, so that random choices get past the first byte.
const PHRASES: [&[u8]; 32] = [
    b"GET /a?token=b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HEAD / HTTP/1.0\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 X\r\n\r\n",
    b"HTTP/1.0 200\n\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"GET ",
    b"HTTP/1.",
    b"Content-Length: 9999\r\n",
    b"GET /b HTTP/1.1\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Content-Length: 3, 3\r\n",
    b"Content-Length : 3\r\n",
    b"Connection: keep-alive, Upgrade\r\n\r\n",
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
    b" folded\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
    b"ffffffffffffffff;x\r\n",
    b"0;last\r\nTrailer: y\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    b"G",
];

/// Interprets `data`, by its first byte, as calls on a simulated connection, as raw events, or as a conversation of which
/// it is known what must be told.
///
/// # Panics
///
/// If something does not hold that must.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() & 3 {
        0 => calls(&mut input),
        1 => raw(&mut input),
        2 => Script::choose(&mut input, false).check_split(),
        _ => {
            let all = input.byte() & 1 == 0;
            Script::choose(&mut input, true).check_gaps(all);
        }
    }
}

fn direction(bit: bool) -> Direction {
    if bit { Direction::Rx } else { Direction::Tx }
}

fn calls(input: &mut Input<'_>) {
    let options = input.byte();
    let role = [Role::Active, Role::Passive, Role::Unseen].get(usize::from(options % 3)).copied();
    let mut kernel = Kernel::new(1, role.unwrap_or(Role::Unseen));
    kernel.variation.prefix_continues = options & 4 != 0;
    kernel.variation.tail_at_end = options & 8 != 0;
    kernel.variation.no_tails = options & 16 != 0;
    let mut at = 1;
    while !input.is_empty() {
        let action = input.byte();
        let dir = direction(action & 1 == 0);
        at += 1;
        match action >> 1 & 7 {
            0 => kernel.sweep(at),
            1 => kernel.sendfile(dir, u64::from(input.word()), at),
            2 => {
                let len = usize::from(input.byte());
                let bytes = input.take(len).to_vec();
                kernel.call(dir, &bytes, at);
            }
            3 if action >> 5 & 1 == 0 => kernel.lose(usize::from(input.byte())),
            3 => kernel.missed(at),
            4 => kernel.call(dir, &vec![b'x'; usize::from(input.word())], at),
            _ => {
                let mut bytes = Vec::new();
                for _ in 0..1 + (action >> 5) {
                    let chosen = usize::from(input.byte());
                    bytes.extend_from_slice(PHRASES.get(chosen % PHRASES.len()).copied().unwrap_or_default());
                    // Cut somewhere, now and then.
                    bytes.truncate(bytes.len().saturating_sub(chosen / 128 * (chosen / 16 % 8)));
                }
                kernel.call(dir, &bytes, at);
            }
        }
    }
    kernel.close(at + 1);
    if options & 32 != 0 {
        on_unix(&mut kernel);
    }
    let (mut streams, mut steps) = (Streams::new(limits()), Vec::new());
    for event in &kernel.events {
        event.feed(&mut streams, &mut steps);
        assert!(streams.ledger().closes(), "after {event:?}: {:?}", streams.ledger());
    }
    assert_eq!(streams.ledger().seen, kernel.bytes());
    check(&mut streams, steps);
}

/// The same on a connection whose bytes have no numbers.
fn on_unix(kernel: &mut Kernel) {
    for event in &mut kernel.events {
        if let Recorded::Open(open) = event {
            open.endpoints = Endpoints::Unix { peer: 7 };
        }
    }
}

fn raw(input: &mut Input<'_>) {
    let (mut streams, mut steps) = (Streams::new(limits()), Vec::new());
    while !input.is_empty() {
        let action = input.byte();
        let conn = ConnId { sk: u64::from(action >> 5 & 1), born: 1 };
        let stamp = Stamp { at: Nanos(u64::from(input.byte())), tgid: 1, tid: 1, ..Stamp::default() };
        let mut progress = || Progress {
            bytes: u64::from(input.word()),
            last: u64::from(input.byte()),
            tail: if action & 2 == 0 { [0; 8] } else { *b"x\r\n0\r\n\r\n" },
            tid: 1,
            turn: u32::from(action),
        };
        let (rx, tx) = (progress(), progress());
        if action & 0x1c == 0x1c {
            streams.on_missed(stamp.at, &mut steps);
        }
        if action & 4 != 0 {
            let closed = action & 0x18 == 0x18;
            streams.on_counts(&Counts { conn, at: stamp.at, rx, tx, closed, proto: action >> 6 }, &mut steps);
            continue;
        }
        let phrase = PHRASES.get(usize::from(input.byte()) % PHRASES.len()).copied().unwrap_or_default();
        let own = usize::from(input.byte() % 16);
        let data = [phrase, input.take(own)].concat();
        let segment = Segment {
            conn,
            stamp,
            dir: direction(action & 1 == 0),
            rx,
            tx,
            seq: 0,
            len: u32::from(input.word() % 8192),
            data: &data,
            starts: action & 8 != 0,
            lost_before: action & 16 != 0,
        };
        streams.on_segment(&segment, &mut steps);
    }
    check(&mut streams, steps);
}

fn limits() -> Limits {
    Limits { outstanding: 8, target: 64, ..Limits::default() }
}

fn check(streams: &mut Streams, mut steps: Vec<Step>) {
    assert!(streams.ledger().closes(), "{:?}", streams.ledger());
    streams.finish(Nanos(1 << 20), &mut steps);
    let ledger = streams.ledger();
    assert!(ledger.closes() && ledger.pending == 0, "{ledger:?}");
    match collect(&steps) {
        Ok(told) => assert!(told.iter().all(|one| one.end.is_some()), "{told:?}"),
        Err(error) => panic!("{error}"),
    }
    assert_eq!(ledger.tally.requests, ledger.tally.ended_total());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_at_the_end_of_their_range_do_not_overflow() {
        let (mut streams, mut steps) = (Streams::new(limits()), Vec::new());
        let conn = ConnId { sk: 1, born: 1 };
        let most =
            Progress { bytes: u64::MAX, last: u64::MAX, tail: [0xff; 8], tid: u32::MAX, turn: u32::MAX };
        let none = Progress::default();
        for (rx, tx) in [(none, none), (most, none), (none, most), (most, most)] {
            let segment = Segment {
                conn,
                stamp: Stamp { at: Nanos(u64::MAX), tgid: 1, tid: 1, ..Stamp::default() },
                dir: Direction::Rx,
                rx,
                tx,
                seq: u32::MAX,
                len: u32::MAX,
                data:
                    b"GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
                starts: true,
                lost_before: true,
            };
            streams.on_segment(&segment, &mut steps);
            streams.on_segment(&Segment { dir: Direction::Tx, ..segment }, &mut steps);
        }
        streams.finish(Nanos(u64::MAX), &mut steps);
        assert!(collect(&steps).is_ok());
    }
}
