//! What is taken for HTTP/2, and what is not.

use super::*;
use crate::protocol::http2::recognise;
use crate::protocol::http2::wire::{PREFACE, is_chain};
use crate::protocol::recognise::Begin;
use crate::random::Random;

fn is_known(data: &[u8], call_len: usize, whole: bool) -> bool {
    let (call_len, dir) = (call_len as u64, Direction::Rx);
    recognise(&Begin { data, call_len, dir, whole, moved: None, role: Role::Unseen }).is_some()
}

#[test]
fn the_preface_is_known_also_in_parts_and_settings_before_it() {
    for cut in 4..=PREFACE.len() {
        assert!(is_known(&PREFACE[..cut], cut, true), "{cut}");
    }
    assert!(!is_known(b"PRI * HTTP/1.1\r\n", 16, true));
    assert!(!is_known(b"PRI", 3, true));
    let mut server = Peer::default();
    server.settings();
    let settings = server.take();
    assert!(is_known(&settings, settings.len(), true));
    // A connection does not begin with anything else.
    server.frame(6, 0, 0, &[0; 8]);
    let ping = server.take();
    assert!(!is_known(&ping, ping.len(), true) && is_known(&ping, ping.len(), false));
}

#[test]
fn every_split_of_the_beginning_is_followed() {
    let mut peer = Peer::default();
    peer.preface();
    peer.headers(1, ENDS, [(":method", "GET", Way::USUAL), (":path", "/", Way::USUAL)]);
    let bytes = peer.take();
    for cut in 4..bytes.len() {
        let mut watch = Watch::new(true, Role::Passive);
        watch.call(Direction::Rx, 0, &bytes[..cut], cut);
        watch.call(Direction::Rx, cut as u32, &bytes[cut..], bytes.len() - cut);
        assert_eq!(watch.end(true).len(), 1, "{cut}");
    }
}

#[test]
fn a_preface_that_something_else_follows_is_no_http_2() {
    for after in
        [&[0u8; 1000][..], b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]]
    {
        for split in [false, true] {
            let bytes = [PREFACE, after].concat();
            let mut watch = Watch::new(true, Role::Passive);
            if split {
                watch.call(Direction::Rx, 0, PREFACE, 24);
                watch.call(Direction::Rx, 24, after, after.len());
            } else {
                watch.call(Direction::Rx, 0, &bytes, bytes.len());
            }
            assert!(watch.parser.is_none(), "{after:?}");
            assert_eq!((watch.tally.parsed(), watch.tally.skipped_total()), (0, 0));
        }
    }
    // A server that speaks HTTP/1 only.
    let mut watch = Watch::new(true, Role::Active);
    watch.call(Direction::Tx, 0, PREFACE, 24);
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    watch.call(Direction::Rx, 0, answer, answer.len());
    assert!(watch.end(true).is_empty());
}

#[test]
fn other_protocols_are_not_taken_for_frames() {
    let calls: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        // PostgreSQL: startup, query; MySQL: query, OK; Kafka; MongoDB; AMQP; FastCGI; DNS over TCP.
        b"\x00\x00\x00\x10\x00\x03\x00\x00user\x00me\x00",
        b"Q\x00\x00\x00\x0dSELECT 1\x00",
        b"\x09\x00\x00\x00\x03SELECT 1",
        b"\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00",
        b"\x00\x00\x00\x14\x00\x03\x00\x04\x00\x00\x00\x01\x00\x05admin\x00\x00\x00",
        b"\x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xdd\x07\x00\x00",
        b"\x01\x00\x01\x00\x00\x00\x05\x00\x14\x00\x0a\x00\xce",
        b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\x00\x1d\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01",
        &[0; 9],
        &[0; 900],
        &[0xff; 900],
    ];
    for call in calls {
        assert!(!is_chain(call, call.len() as u64), "{call:?}");
    }
}

#[test]
fn random_bytes_are_not_taken_for_frames() {
    // Random words; and the worst that there is: the first bytes of a frame, and a length that fits, once in eight.
    let mut random = Random::new(1);
    let mut taken = 0;
    for _ in 0..2_000_000 {
        let mut call = [0u8; 64];
        random.fill(&mut call);
        let len = 1 + random.next() as usize % 64;
        for whole in [false, true] {
            taken += u32::from(is_known(&call[..len], len, whole));
        }
    }
    assert_eq!(taken, 0);
}

#[test]
fn calls_in_the_middle_of_a_connection_are_known_by_any_frames() {
    let mut peer = Peer::default();
    let mut calls = Vec::new();
    peer.headers(1001, ENDS, [(":method", "GET", Way::USUAL), (":path", "/", Way::USUAL)]);
    calls.push(peer.take());
    peer.data(1001, 16_384, false);
    calls.push(peer.take());
    peer.frame(8, 0, 0, &[0, 0, 1, 0]);
    peer.frame(8, 0, 1001, &[0, 0, 1, 0]);
    calls.push(peer.take());
    peer.reset(1001, 8);
    calls.push(peer.take());
    for call in calls {
        let captured = call.len().min(8192);
        assert!(is_known(&call[..captured], call.len(), false), "{:?}", &call[..9]);
        assert!(!is_known(&call[..captured], call.len() + 1, false) || captured > 20, "{:?}", &call[..9]);
    }
}
