//! Requests with methods that the probes do not know, which therefore mark and capture less of them.

use super::*;
use crate::protocol::Interest;
use crate::protocol::rehearse::{Act, Stage};

/// Bytes of a call that the probes capture of a connection on which they know nothing.
const LOOKED_AT: usize = tracer_common::abi::look::UNLIKELY_BYTES as usize;

fn brew(path: &str) -> Vec<u8> {
    format!("BREW {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nmilk").into_bytes()
}

fn short(told: &[Act]) -> Vec<(String, Option<u16>, Outcome)> {
    told.iter().map(|act| (act.asked(), act.status(), act.outcome().unwrap())).collect()
}

fn brewed(statuses: &[u16]) -> Vec<(String, Option<u16>, Outcome)> {
    statuses.iter().map(|status| (format!("BREW /{status}"), Some(*status), Outcome::Complete)).collect()
}

#[test]
fn requests_with_any_method_are_told_at_either_end() {
    for (role, asks) in [(Role::Passive, Rx), (Role::Active, Tx)] {
        let mut stage = Stage::new(role);
        for status in [418, 200, 204] {
            stage.call(asks, &brew(&format!("/{status}")));
            stage.call(asks.opposite(), &ok(status, 3));
        }
        assert_eq!(stage.interests(), [Interest::Calls], "the probes would not capture the next ones");
        let told = stage.told();
        assert_eq!(short(&told), brewed(&[418, 200, 204]));
        assert_eq!(told[0].end.as_ref().unwrap().bytes.0, brew("/418").len() as u64);
        assert_eq!(stage.ledger().tally.unrequested, 0);
    }
}

#[test]
fn a_head_longer_than_what_is_looked_at_is_told_as_far_as_it_is_seen() {
    let mut stage = Stage::new(Role::Passive);
    let long = format!("BREW /418 HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(600));
    stage.cut(Rx, long.as_bytes(), LOOKED_AT);
    stage.call(Tx, &ok(418, 3));
    stage.call(Rx, &brew("/200"));
    stage.call(Tx, &ok(200, 3));
    let told = stage.told();
    assert_eq!(short(&told), brewed(&[418, 200]));
    assert!(told[0].head.truncated && !told[1].head.truncated);
}

#[test]
fn usual_and_unusual_methods_take_turns() {
    for (role, asks) in [(Role::Passive, Rx), (Role::Active, Tx), (Role::Unseen, Rx)] {
        let mut stage = Stage::new(role);
        let mut expected = Vec::new();
        for round in 0..10u16 {
            let status = 200 + round;
            let usual = round % 3 != 0;
            let request = if usual { get(&format!("/{status}")) } else { brew(&format!("/{status}")) };
            stage.call(asks, &request);
            stage.call(asks.opposite(), &ok(status, 2));
            let method = if usual { "GET" } else { "BREW" };
            expected.push((format!("{method} /{status}"), Some(status), Outcome::Complete));
        }
        if role == Role::Unseen {
            // What was read before the tracer came may have been the beginning of the method.
            expected.remove(0);
        }
        let told = stage.told();
        assert_eq!(short(&told), expected, "{role:?}");
    }
}

/// The probes count a call that begins with nothing they know, where the connection speaks HTTP/1 already: the first such request is out of
/// sight, and its response is nobody's.
#[test]
fn the_probes_are_asked_for_more_after_a_request_that_they_did_not_know() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &get("/200"));
    stage.call(Tx, &ok(200, 3));
    assert_eq!(stage.interests(), []);
    stage.cut(Rx, &brew("/201"), 0);
    stage.call(Tx, &ok(201, 3));
    assert_eq!(stage.interests(), [Interest::Calls]);
    stage.call(Rx, &brew("/202"));
    stage.call(Tx, &ok(202, 3));
    stage.call(Rx, &get("/203"));
    stage.call(Tx, &ok(203, 3));
    let told = stage.told();
    let told = short(&told);
    let asked: Vec<&str> = told.iter().map(|(asked, ..)| asked.as_str()).collect();
    assert_eq!(asked, ["GET /200", "BREW /202", "GET /203"]);
    assert!(told.iter().all(|(asked, status, outcome)| {
        asked.ends_with(&status.unwrap().to_string()) && *outcome == Outcome::Complete
    }));
    assert_eq!(stage.ledger().tally.unrequested, 1);
}

/// A record that the ring had no room for looks otherwise: of a call that was captured whole no tail is kept. To capture more
/// would make it worse.
#[test]
fn lost_records_do_not_ask_for_more() {
    let mut stage = Stage::new(Role::Passive);
    stage.tails = false;
    stage.call(Rx, &get("/200"));
    stage.call(Tx, &ok(200, 3));
    stage.lose(Rx, &get("/201"));
    stage.call(Tx, &ok(201, 3));
    assert_eq!(stage.interests(), []);
}

#[test]
fn a_method_of_which_the_beginning_was_read_before_is_not_shortened() {
    let whole = brew("/418");
    for cut in 1..12 {
        let mut stage = Stage::new(Role::Passive);
        stage.call(Rx, &whole[..cut]);
        stage.call(Rx, &whole[cut..]);
        stage.call(Tx, &ok(418, 3));
        let told = stage.told();
        assert!(told.iter().all(|act| act.head.method.as_ref() == "BREW"), "cut at {cut}: {told:?}");
    }
}
