//! Requests and responses in records, however they come.

use super::*;
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::{Outcome, Side};
use crate::protocol::rehearse::{Act, Dice, Stage};

/// Name-value pairs.
pub(super) fn pairs(all: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in all {
        for len in [name.len(), value.len()] {
            match len {
                0..=127 => bytes.push(len as u8),
                _ => bytes.extend_from_slice(&(len as u32 | 1 << 31).to_be_bytes()),
            }
        }
        bytes.extend_from_slice(&[name.as_bytes(), value.as_bytes()].concat());
    }
    bytes
}

fn record(kind: u8, id: u16, content: &[u8]) -> Vec<u8> {
    let padding = (8 - content.len() % 8) % 8;
    let mut bytes = vec![1, kind];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&(content.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[padding as u8, 0]);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

fn begin(id: u16) -> Vec<u8> {
    record(record::BEGIN_REQUEST, id, &[0, 1, 1, 0, 0, 0, 0, 0])
}

fn asks(id: u16, target: &str, body: &[u8]) -> Vec<u8> {
    let params = pairs(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", target), ("HTTP_HOST", "h")]);
    let mut all = [begin(id), record(record::PARAMS, id, &params), record(record::PARAMS, id, b"")].concat();
    for part in body.chunks(0xff00) {
        all.extend(record(record::STDIN, id, part));
    }
    [all, record(record::STDIN, id, b"")].concat()
}

fn end(id: u16) -> Vec<u8> {
    record(record::END_REQUEST, id, &[0; 8])
}

fn answers(id: u16, status: u16, body: &[u8]) -> Vec<u8> {
    let head = format!("Status: {status} X\r\nContent-type: text/plain\r\n\r\n");
    let mut all = record(record::STDOUT, id, &[head.as_bytes(), &body[..body.len().min(0x7000)]].concat());
    for part in body.get(0x7000..).unwrap_or_default().chunks(0xff00) {
        all.extend(record(record::STDOUT, id, part));
    }
    [all, end(id)].concat()
}

fn short(acts: &[Act]) -> Vec<(String, Option<u16>, Outcome)> {
    acts.iter().map(|act| (act.asked(), act.status(), act.outcome().unwrap())).collect()
}

fn complete(all: &[(&str, u16)]) -> Vec<(String, Option<u16>, Outcome)> {
    all.iter().map(|(target, status)| (format!("GET {target}"), Some(*status), Outcome::Complete)).collect()
}

#[test]
fn an_exchange_has_its_times_and_sizes() {
    let mut stage = Stage::new(Role::Passive);
    let (ask, answer) = (asks(1, "/a", b"body"), answers(1, 404, b"no"));
    // As PHP-FPM reads: header by header.
    for call in [&ask[..8], &ask[8..16], &ask[16..24], &ask[24..]] {
        stage.call(Rx, call);
    }
    stage.call(Tx, &answer[..30]);
    stage.call(Tx, &answer[30..]);
    let told = stage.told();
    assert_eq!(short(&told), complete(&[("/a", 404)]));
    let (act, end) = (&told[0], told[0].end.as_ref().unwrap());
    assert_eq!(
        (act.side, act.first.0, act.seq, act.head.host.as_deref()),
        (Side::Server, 10, u32::MAX - 100, Some("h"))
    );
    assert_eq!((end.asked.0, act.response.as_ref().unwrap().1.0, end.at.0), (40, 50, 60));
    assert_eq!(end.bytes, (ask.len() as u64, answer.len() as u64));
    assert_eq!(stage.interests(), [Interest::Everything]);
}

#[test]
fn any_split_gives_the_same() {
    let (ask, answer) = (asks(1, "/a", b"body"), answers(1, 503, b"no"));
    for at in 1..ask.len().max(answer.len()) {
        let mut stage = Stage::new(Role::Active);
        for _ in 0..2 {
            for (dir, bytes) in [(Tx, &ask), (Rx, &answer)] {
                let (head, rest) = bytes.split_at(at.min(bytes.len()));
                stage.call(dir, head);
                stage.call(dir, rest);
            }
        }
        let told = stage.told();
        let whole = at >= 8;
        if whole {
            assert_eq!(short(&told), complete(&[("/a", 503), ("/a", 503)]), "{at}");
            assert_eq!((told[1].side, told[1].seq), (Side::Client, 7_000 + ask.len() as u32));
        } else {
            // What is not known to be FastCGI is not told.
            assert!(told.len() <= 1, "{at}");
        }
    }
}

#[test]
fn requests_are_told_apart_by_their_numbers() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[asks(1, "/a", b""), asks(2, "/b", b"")].concat());
    stage.call(Rx, &asks(513, "/c", b""));
    stage.call(Tx, &record(record::STDOUT, 2, b"Status: 202 X\r\n\r\n"));
    stage.call(Tx, &[answers(513, 203, b""), answers(1, 201, b"")].concat());
    stage.call(Tx, &end(2));
    assert_eq!(short(&stage.told()), complete(&[("/a", 201), ("/b", 202), ("/c", 203)]));
}

#[test]
fn a_header_without_a_status_is_a_success_and_errors_are_told() {
    let mut stage = Stage::new(Role::Passive);
    let mut talk = |answer: Vec<u8>| {
        stage.call(Rx, &asks(1, "/a", b""));
        stage.call(Tx, &answer);
    };
    let out = |content: &[u8]| record(record::STDOUT, 1, content);
    talk(
        [
            record(record::STDERR, 1, b"PHP message: x"),
            out(b"Content-"),
            out(b"type: a\r\n\r\nStatus: 500"),
            end(1),
        ]
        .concat(),
    );
    talk(record(record::END_REQUEST, 1, &[0, 0, 0, 0, 2, 0, 0, 0]));
    talk([out(b"X: y\r\n\r\n"), record(record::END_REQUEST, 1, &[0, 0, 0, 7, 0, 0, 0, 0])].concat());
    talk([out(b"X: y\r\n"), end(1)].concat());
    let told = stage.told();
    let said: Vec<_> = told.iter().map(|act| (act.status(), act.error())).collect();
    assert_eq!(
        said,
        [(Some(200), None), (Some(0), Some("OVERLOADED")), (Some(200), Some("exit 7")), (Some(0), None)]
    );
    assert!(told.iter().all(|act| act.outcome() == Some(Outcome::Complete)));
    assert!(told[3].response.as_ref().unwrap().0.truncated);
}

#[test]
fn params_may_be_spread_and_cut_off() {
    let long = "x".repeat(3_000);
    let params = pairs(&[("REQUEST_METHOD", "PUT"), ("LONG", &long), ("REQUEST_URI", "/late")]);
    let spread: Vec<u8> = params.chunks(700).flat_map(|part| record(record::PARAMS, 1, part)).collect();
    let rest = [record(record::PARAMS, 1, b""), record(record::STDIN, 1, b"")].concat();
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[begin(1), spread, rest.clone()].concat());
    stage.call(Tx, &answers(1, 200, b""));
    // The second time the end is out of sight, and with it the position.
    stage.cut(Rx, &[begin(1), record(record::PARAMS, 1, &params), rest].concat(), 1_000);
    stage.call(Tx, &answers(1, 201, b""));
    stage.call(Rx, &asks(1, "/c", b""));
    stage.call(Tx, &answers(1, 202, b""));
    let told = stage.told();
    assert_eq!(told[0].asked(), "PUT /late");
    assert!(!told[0].head.truncated && told[1].head.truncated);
    assert_eq!((told[1].asked(), told[1].status()), ("PUT ".to_owned(), Some(201)));
    assert_eq!(short(&told)[2..], complete(&[("/c", 202)]));
    assert_eq!(stage.ledger().tally.truncated, 1);
}

#[test]
fn a_body_that_is_only_counted_costs_nothing() {
    let body = [b'x'; 100_000];
    let mut stage = Stage::new(Role::Passive);
    for status in [201, 202] {
        let ask = asks(1, "/a", &body);
        stage.cut(Rx, &ask, 8192);
        let answer = answers(1, status, &body);
        // The first time several records lie behind what was captured, and the end among them.
        let last = if status == 201 { answer.len() } else { answer.len() - 20 };
        stage.cut(Tx, &answer[..last], 8192);
        stage.call(Tx, &answer[last..]);
    }
    let told = stage.told();
    let said: Vec<_> = told.iter().map(|act| (act.status(), act.outcome().unwrap())).collect();
    assert_eq!(said, [(Some(201), Outcome::EndUnframed), (Some(202), Outcome::Complete)]);
    for act in &told {
        assert_eq!(act.end.as_ref().unwrap().bytes.1, answers(1, 201, &body).len() as u64);
    }
    assert_eq!(told[0].end.as_ref().unwrap().at.0, 20);
}

#[test]
fn what_is_lost_is_not_paired() {
    for lost in 0..4 {
        let mut stage = Stage::new(Role::Passive);
        for (at, (target, status)) in [("/a", 201), ("/b", 202), ("/c", 203)].into_iter().enumerate() {
            for (dir, bytes) in [(Rx, asks(1, target, b"")), (Tx, answers(1, status, b""))] {
                let number = 2 * at + usize::from(dir == Tx);
                if number == lost { stage.lose(dir, &bytes) } else { stage.call(dir, &bytes) }
            }
        }
        let all = complete(&[("/a", 201), ("/b", 202), ("/c", 203)]);
        let mut expected = all.clone();
        match lost {
            0 => expected = all[1..].to_vec(),
            1 => expected[0] = ("GET /a".to_owned(), None, Outcome::ResponseUnseen),
            2 => _ = expected.remove(1),
            _ => expected[1] = ("GET /b".to_owned(), None, Outcome::ResponseUnseen),
        }
        assert_eq!(short(&stage.told()), expected, "{lost}");
    }
}

#[test]
fn the_end_of_a_connection_or_of_the_capture_is_told() {
    let out = record(record::STDOUT, 1, b"Status: 206 X\r\n\r\nab");
    for (answer, closed, expected) in [
        (&out[..0], true, (None, Outcome::Unanswered)),
        (&out[..0], false, (None, Outcome::Pending)),
        (&out[..], true, (Some(206), Outcome::Aborted)),
        (&out[..], false, (Some(206), Outcome::Streaming)),
        (&out[..26], false, (Some(206), Outcome::Streaming)),
        (&out[..12], true, (Some(0), Outcome::Aborted)),
    ] {
        let mut stage = Stage::new(Role::Passive);
        stage.call(Rx, &asks(1, "/a", b""));
        stage.call(Tx, answer);
        if closed {
            stage.close();
        }
        let told = stage.told();
        assert_eq!((told[0].status(), told[0].outcome().unwrap()), expected);
    }
}

#[test]
fn after_missed_calls_the_next_request_is_certain_again() {
    let mut stage = Stage::new(Role::Passive);
    stage.is_unix = true;
    stage.call(Rx, &asks(1, "/a", b""));
    stage.missed();
    stage.call(Tx, &answers(1, 200, b""));
    stage.call(Rx, &asks(1, "/b", b""));
    stage.call(Tx, &answers(1, 201, b""));
    let told = short(&stage.told());
    assert_eq!(told[0], ("GET /a".to_owned(), None, Outcome::ResponseUnseen));
    assert_eq!(told[1..], complete(&[("/b", 201)]));
}

#[test]
fn a_connection_with_several_requests_at_a_time_is_given_up_when_responses_are_lost() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[asks(1, "/a", b""), asks(2, "/b", b"")].concat());
    stage.lose(Tx, &answers(1, 201, b""));
    stage.call(Rx, &asks(1, "/c", b""));
    stage.call(Tx, &answers(1, 202, b""));
    let told = stage.told();
    assert!(told.iter().all(|act| act.outcome() == Some(Outcome::ResponseUnseen)), "{told:?}");
    assert_eq!(stage.interests(), [Interest::Everything, Interest::Nothing]);
}

/// Whatever is out of sight, no response is attached to another's request.
#[test]
fn right_or_absent() {
    let (mut whole, mut all) = (0, 0);
    for seed in 1..400u64 {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::new(if seed % 2 == 0 { Role::Passive } else { Role::Unseen });
        for number in 0..20u16 {
            let body = vec![b'x'; dice.below(20_000) as usize];
            let target = format!("/{}", 200 + number);
            let many = dice.below(8) == 0;
            let id = 1 + dice.below(3) as u16;
            let mut asked = asks(id, &target, &body);
            let mut answered = answers(id, 200 + number, &body);
            if many {
                asked.extend(asks(id + 3, "/300", b""));
                answered = [answers(id + 3, 300, b""), answered].concat();
            }
            for (dir, bytes) in [(Rx, asked), (Tx, answered)] {
                for call in dice.split(&bytes) {
                    match dice.below(40) {
                        0 if seed % 4 > 1 => stage.lose(dir, call),
                        1..=4 if seed % 4 > 1 => stage.cut(dir, call, dice.below(300) as usize),
                        _ => stage.call(dir, call),
                    }
                }
            }
        }
        for act in stage.told() {
            all += 1;
            if let Some(status) = act.status().filter(|status| *status != 0) {
                whole += 1;
                assert!(
                    act.head.target.is_empty() || *act.head.target == *format!("/{status}"),
                    "{seed}: {act:?}"
                );
            }
        }
    }
    assert!(whole * 10 > all * 6, "{whole} of {all}");
}
