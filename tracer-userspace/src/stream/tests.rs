//! Tests of the account and of connections that are not understood.

use super::simulate::{Kernel, Recorded, Told, collect, replay};
use super::*;
use crate::event::Direction::{Rx, Tx};
use crate::event::{Endpoints, Mover, Role};
use crate::exchange::Outcome;
use crate::protocol::guess::Guess;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn steps_of(kernel: &Kernel) -> (Streams, Vec<Step>) {
    let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
    for event in &kernel.events {
        event.feed(&mut streams, &mut out);
    }
    (streams, out)
}

#[test]
fn a_connection_is_freed_at_its_close() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, OK, 20);
    kernel.close(30);
    let (streams, out) = steps_of(&kernel);
    assert_eq!(streams.open_connections(), 0);
    assert_eq!(out.len(), 3);
    let ledger = streams.ledger();
    assert_eq!((ledger.seen, ledger.tally.heads, ledger.tally.bodies), (kernel.bytes(), ledger.seen - 2, 2));
    assert!(ledger.closes());
}

#[test]
fn what_comes_after_the_close_is_counted_once_and_opens_nothing() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.close(20);
    kernel.call(Rx, GET, 30);
    let again = kernel.events.clone();
    kernel.events.extend(again);
    kernel.sweep(40);
    let (streams, _) = steps_of(&kernel);
    let ledger = streams.ledger();
    assert_eq!(streams.open_connections(), 0);
    assert_eq!(ledger.connections, 1);
    assert_eq!(ledger.seen, kernel.bytes());
    assert_eq!(ledger.tally.skipped(Skip::AfterClose), GET.len() as u64);
    assert!(ledger.closes());
}

#[test]
fn reading_counts_twice_does_no_harm() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 20);
    kernel.sendfile(Tx, 3000, 30);
    kernel.sweep(35);
    kernel.sweep(36);
    kernel.sendfile(Tx, 2000, 40);
    kernel.sweep(45);
    kernel.sweep(46);
    let (streams, out) = steps_of(&kernel);
    assert!(matches!(out.last(), Some(Step::End { end: Nanos(40), .. })));
    assert_eq!(out.len(), 3);
    assert_eq!(streams.ledger().seen, kernel.bytes());
}

#[test]
fn whoever_moved_the_last_byte_of_a_response_is_told() {
    let by = |tid, turn| Mover { tid, turn };
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.by = by(1, 5);
    kernel.call(Rx, GET, 10);
    kernel.by = by(2, 7);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", 20);
    // Counted only.
    kernel.by = by(3, 9);
    kernel.sendfile(Tx, 3000, 30);
    kernel.by = by(4, 1);
    kernel.sendfile(Tx, 2000, 40);
    // Another direction's bytes are not the response's.
    kernel.by = by(5, 2);
    kernel.call(Rx, GET, 50);
    // In one piece, and a piece of which only the beginning is captured.
    kernel.by = by(6, 3);
    kernel.call(Tx, OK, 60);
    kernel.call(Rx, GET, 70);
    kernel.by = by(7, 4);
    let long = [b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n".as_slice(), &[b'x'; 9000]].concat();
    kernel.call(Tx, &long, 80);
    kernel.sweep(90);
    kernel.close(95);
    let (_, out) = steps_of(&kernel);
    let ends: Vec<(Nanos, Mover)> = out
        .iter()
        .filter_map(|step| match step {
            Step::End { end, by, .. } => Some((*end, *by)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(Nanos(40), by(4, 1)), (Nanos(60), by(6, 3)), (Nanos(80), by(7, 4))]);
}

#[test]
fn a_connection_without_its_open_record_works() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, OK, 20);
    kernel.events.remove(0);
    let (told, _) = replay(&kernel.events, Limits::default(), 30).unwrap();
    assert_eq!(told[0].status(), Some(200));
}

/// psycopg, asyncpg, JDBC and PDO ask for TLS by themselves, and take it where the server offers it: nothing of such a connection is
/// told, so it must not look like a healthy service that nobody asks.
#[test]
fn a_database_that_turns_to_tls_is_told_by_endpoint_as_encrypted() {
    for (agreed, bytes) in [(b"S", 214), (b"N", 0)] {
        let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
        let mut kernel = Kernel::new(1, Role::Active);
        kernel.variation.all = true;
        kernel.call(Tx, b"\0\0\0\x08\x04\xd2\x16\x2f", 10);
        kernel.call(Rx, agreed, 20);
        if agreed == b"S" {
            kernel.call(Tx, &[&[0x16, 3, 1, 0, 95, 1][..], &[7; 94]].concat(), 30);
            kernel.call(Rx, &[&[0x16, 3, 3, 0, 109, 2][..], &[7; 108]].concat(), 40);
        }
        kernel.close(50);
        kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut out));
        let (list, ledger) = (streams.not_understood(), streams.ledger());
        assert!(out.is_empty() && ledger.closes());
        assert_eq!(ledger.tally.skipped(Skip::Tls), bytes);
        assert_eq!(
            (ledger.classes.encrypted, ledger.classes.understood),
            if bytes > 0 { (1, 0) } else { (0, 1) }
        );
        let told: Vec<_> = list.iter().map(|one| (one.peer, one.looks_like, one.bytes)).collect();
        let peer = Peer::Inet([127, 0, 0, 1].into(), 8080);
        assert_eq!(told, if bytes > 0 { vec![(peer, Some(Guess::Tls), bytes)] } else { vec![] });
    }
}

#[test]
fn what_is_not_understood_is_told_by_endpoint() {
    let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
    for number in 0..3 {
        let mut kernel = Kernel::new(number, Role::Active);
        kernel.call(Tx, b"\0\0\0\x08\x04\xd2\x16\x2f", 10);
        kernel.call(Rx, b"N", 20);
        kernel.call(Tx, b"\0\0\0\x29\0\x03\0\0user\0postgres", 30);
        kernel.close(40);
        kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut out));
    }
    let mut tls = Kernel::new(9, Role::Active);
    tls.call(Tx, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc], 10);
    tls.sweep(20);
    tls.events.iter().for_each(|event| event.feed(&mut streams, &mut out));

    assert!(out.is_empty());
    let list = streams.not_understood();
    assert_eq!(list.len(), 2);
    assert_eq!((list[0].connections, list[0].looks_like), (3, Some(Guess::PostgreSql)));
    assert_eq!(list[0].peer, Peer::Inet([127, 0, 0, 1].into(), 8080));
    assert_eq!(list[0].end, End::Caller);
    assert_eq!((list[1].connections, list[1].bytes, list[1].looks_like), (1, 9, Some(Guess::Tls)));
    let ledger = streams.ledger();
    assert_eq!(ledger.tally.skipped(Skip::Tls), 9);
    assert_eq!(ledger.tally.skipped(Skip::NotUnderstood), list[0].bytes);
    assert!(ledger.closes());
}

#[test]
fn a_byte_that_might_begin_a_message_costs_nothing_when_it_does_not() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, b"P", 10);
    kernel.call(Rx, b"\0\0\0\x2e\0INSERT INTO t VALUES (1)", 20);
    let (streams, out) = steps_of(&kernel);
    assert!(out.is_empty());
    assert_eq!(streams.ledger().pending, 0);
    assert_eq!(streams.ledger().tally.skipped(Skip::NotUnderstood), kernel.bytes());
    assert_eq!(streams.not_understood()[0].connections, 1);
}

#[test]
fn connections_beyond_the_limit_are_counted() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (mut streams, mut out) = (Streams::new(limits), Vec::new());
    for number in 0..3 {
        let mut kernel = Kernel::new(number, Role::Passive);
        kernel.call(Rx, GET, 10);
        kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut out));
    }
    assert_eq!(streams.open_connections(), 1);
    assert_eq!(streams.ledger().connections, 1);
    assert_eq!(streams.ledger().untracked, 4);
}

#[test]
fn a_late_record_is_counted_and_not_read() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, OK, 20);
    kernel.call(Rx, GET, 30);
    // The response's record comes after one that already counts its bytes.
    kernel.events.swap(2, 3);
    let (told, streams) = replay(&kernel.events, Limits::default(), 40).unwrap();
    assert_eq!(streams.ledger().late, 1);
    assert_eq!(streams.ledger().seen, kernel.bytes());
    assert!(told.iter().all(|one| one.response.is_none()));
}

#[test]
fn finish_ends_connections_in_the_order_of_their_birth() {
    let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
    for number in [5, 3, 9, 1] {
        let mut kernel = Kernel::new(number, Role::Passive);
        kernel.call(Rx, GET, 10);
        kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut out));
    }
    out.clear();
    streams.finish(Nanos(50), &mut out);
    let order: Vec<u64> = out.iter().map(|step| step.id().conn.sk).collect();
    assert_eq!(order, [1, 3, 5, 9]);
    assert_eq!(streams.open_connections(), 0);
}

#[test]
fn a_segment_longer_than_it_says_is_cut() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    if let Recorded::Segment(segment, _) = &mut kernel.events[1] {
        segment.len = 10;
    }
    let (streams, _) = steps_of(&kernel);
    assert_eq!(streams.ledger().seen, 10);
    assert!(streams.ledger().closes());
}

/// The same on a connection whose bytes have no numbers.
fn on_unix(mut kernel: Kernel) -> Kernel {
    for event in &mut kernel.events {
        if let Recorded::Open(open) = event {
            open.endpoints = Endpoints::Unix { peer: 7 };
        }
    }
    kernel
}

/// Feeds the events; after each of which `missed` has the index, calls may have been missed.
fn with_missed(kernel: &Kernel, missed: &[usize]) -> Vec<Told> {
    let (mut streams, mut out) = (Streams::new(Limits::default()), Vec::new());
    for (index, event) in kernel.events.iter().enumerate() {
        event.feed(&mut streams, &mut out);
        if missed.contains(&index) {
            streams.on_missed(Nanos(1), &mut out);
        }
    }
    streams.finish(Nanos(1000), &mut out);
    assert!(streams.ledger().closes(), "{:?}", streams.ledger());
    collect(&out).unwrap()
}

#[test]
fn a_missed_response_on_a_unix_socket_is_not_made_up_by_the_next() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    let asked = kernel.events.len() - 1;
    // The response to it was missed.
    kernel.call(Rx, b"GET /b HTTP/1.1\r\n\r\n", 30);
    kernel.call(Tx, OK, 40);
    kernel.call(Rx, b"GET /c HTTP/1.1\r\n\r\n", 50);
    kernel.call(Tx, OK, 60);
    let told = with_missed(&on_unix(kernel), &[asked]);
    let paired: Vec<_> = told.iter().filter(|one| one.status().is_some()).collect();
    assert!(paired.iter().all(|one| &*one.target != "/a" && &*one.target != "/b"), "{told:?}");
    assert_eq!(
        told.iter().find(|one| &*one.target == "/a").unwrap().outcome(),
        Some(Outcome::ResponseUnseen)
    );
}

#[test]
fn a_missed_request_on_a_unix_socket_does_not_shift_the_responses() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, OK, 20);
    let before = kernel.events.len() - 1;
    // The second request was missed; this answers it.
    kernel.call(Tx, OK, 40);
    kernel.call(Rx, b"GET /c HTTP/1.1\r\n\r\n", 50);
    kernel.call(Tx, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 60);
    let told = with_missed(&on_unix(kernel), &[before]);
    let statuses: Vec<_> = told.iter().map(|one| (&*one.target, one.status())).collect();
    assert_eq!(statuses, [("/a", Some(200)), ("/c", Some(404))]);
}

#[test]
fn pairing_begins_again_on_a_unix_socket_and_never_stopped_on_tcp() {
    for (unix, wanted) in [(true, 4), (false, 5)] {
        let mut kernel = Kernel::new(1, Role::Passive);
        let mut missed = None;
        for n in 0..5 {
            kernel.call(Rx, GET, 10 + 10 * n);
            missed = missed.or(Some(kernel.events.len() - 1));
            kernel.call(Tx, OK, 15 + 10 * n);
        }
        let kernel = if unix { on_unix(kernel) } else { kernel };
        let told = with_missed(&kernel, &[missed.unwrap()]);
        assert_eq!(
            told.iter().filter(|one| one.outcome() == Some(Outcome::Complete)).count(),
            wanted,
            "{told:?}"
        );
    }
}

#[test]
fn half_a_response_that_may_have_holes_is_not_waited_for() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, GET, 10);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 20);
    let begun = kernel.events.len() - 1;
    // The other seven bytes were missed.
    kernel.call(Rx, b"GET /b HTTP/1.1\r\n\r\n", 30);
    kernel.call(Tx, OK, 40);
    let told = with_missed(&on_unix(kernel), &[begun]);
    assert_eq!(told[0].outcome(), Some(Outcome::EndUnframed), "{told:?}");
    assert_eq!(told[1].status(), Some(200), "{told:?}");
}
