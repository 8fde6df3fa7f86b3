use super::request::Begins;
use super::script::{
    answer, batch, beaten, fetch, fetched, heartbeat, produce, produced, request, versions, versions_answer,
};
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::{Handing, Outcome, Side, Value};
use crate::protocol::Limits;
use crate::protocol::rehearse::{Act, Dice, Stage};
use crate::protocol::tally::Skip;

/// A client's end, seen from its beginning.
fn client() -> Stage {
    Stage::new(Role::Active)
}

fn short(acts: &[Act]) -> Vec<(String, String, Option<Outcome>)> {
    let short = |act: &Act| (act.head.operation(), act.error().unwrap_or("-").to_owned(), act.outcome());
    acts.iter().map(short).collect()
}

fn done(operation: &str, error: &str) -> (String, String, Option<Outcome>) {
    (operation.to_owned(), error.to_owned(), Some(Outcome::Complete))
}

fn number(act: &Act, key: &str) -> Option<i64> {
    let found = act.head.attributes().iter().find(|attribute| attribute.key == key)?;
    if let Value::Number(number) = found.value { Some(number) } else { None }
}

#[test]
fn a_message_is_published_in_every_version() {
    for version in 0..=12 {
        for (code, error) in [(0, "-"), (6, "NOT_LEADER_OR_FOLLOWER"), (999, "999")] {
            let mut stage = client();
            stage.call(Tx, &produce(version, 7, -1, "orders", &batch(3, false)));
            stage.call(Rx, &produced(version, 7, "orders", code));
            let all = stage.told();
            assert_eq!(short(&all), [done("publish orders", error)], "{version}");
            assert!(all[0].head.is_message && all[0].side == Side::Client && !all[0].head.truncated);
            assert_eq!(number(&all[0], "messaging.batch.message_count"), Some(3), "{version}");
            assert_eq!(number(&all[0], "messaging.destination.partition.id"), Some(3));
            let handover = all[0].head.handover().unwrap();
            assert_eq!((handover.handing, handover.count, handover.keys.len()), (Handing::Given, 3, 0));
            assert!(!all[0].response.as_ref().unwrap().0.truncated, "{version}");
            assert!(!format!("{all:?}").contains("secret"));
        }
    }
    // What nobody answers is over with its last byte.
    let mut stage = client();
    stage.call(Tx, &produce(9, 1, 0, "orders", &batch(1, false)));
    stage.call(Tx, &heartbeat(2));
    stage.call(Rx, &beaten(2, 27));
    let all = stage.told();
    assert_eq!(short(&all), [done("publish orders", "-"), done("Heartbeat", "REBALANCE_IN_PROGRESS")]);
    assert!(all[0].response.is_none() && !all[1].head.is_message);
    assert_eq!(all[0].end.as_ref().unwrap().at.0, 10);
    assert!(format!("{:?}", all[1].head.attributes()).contains("workers"));
}

#[test]
fn what_a_fetch_brings_is_taken_in_every_version() {
    for version in 0..=12 {
        let two = [batch(2, false), batch(1, true), batch(3, false)].concat();
        let mut stage = client();
        stage.call(Tx, &fetch(version, 7, &["orders"]));
        stage.call(Rx, &fetched(version, 7, &[("orders", 0, two)]));
        stage.call(Tx, &fetch(version, 8, &["orders"]));
        stage.call(Rx, &fetched(version, 8, &[("orders", 0, vec![])]));
        stage.call(Tx, &fetch(version, 9, &["orders"]));
        stage.call(Rx, &fetched(version, 9, &[("orders", 1, vec![])]));
        let all = stage.told();
        let expected = [
            done("fetch orders", "-"),
            done("receive orders", "-"),
            done("fetch orders", "-"),
            done("fetch orders", "OFFSET_OUT_OF_RANGE"),
        ];
        assert_eq!(short(&all), expected, "{version}");
        assert!(all[1].head.is_taken() && all[1].side == Side::Server && all[1].first.0 == 20);
        assert_eq!(number(&all[1], "messaging.batch.message_count"), Some(5), "{version}");
        assert!(format!("{:?}", all[0].head.attributes()).contains("messaging.kafka.blocking"));
        assert!(all.iter().all(|act| !act.head.truncated));
    }
    // The broker takes nothing.
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &fetch(11, 1, &["a", "b"]));
    stage.call(Tx, &fetched(11, 1, &[("a", 0, batch(1, false)), ("b", 0, vec![])]));
    let all = stage.told();
    assert_eq!((short(&all), all[0].side), (vec![done("fetch a, b", "-")], Side::Server));
}

/// Topics have numbers in new versions; answers to Metadata say which.
#[test]
fn the_numbers_of_topics_are_learnt() {
    let metadata = |number| request(3, 12, number, true).array(0).add(&[0, 0]).tags().framed();
    let told = |number| {
        let message =
            answer(number, true).int32(0).array(1).int32(1).text("host").int32(9092).varint(0).tags();
        let message = message.text("cluster").int32(1).array(1).int16(0).text("orders").add(&[b'o'; 16]);
        let message = message.add(&[0]).array(1).int16(0).int32(0).int32(1).int32(0);
        message.array(1).int32(1).array(1).int32(1).array(0).tags().int32(0).tags().tags().framed()
    };
    for version in 13..=18 {
        let mut stage = client();
        stage.call(Tx, &fetch(version, 1, &["orders"]));
        stage.call(Rx, &fetched(version, 1, &[("orders", 0, batch(2, false))]));
        stage.call(Tx, &metadata(2));
        stage.call(Rx, &told(2));
        stage.call(Tx, &fetch(version, 3, &["orders"]));
        stage.call(Rx, &fetched(version, 3, &[("orders", 0, batch(2, false))]));
        let expected =
            ["fetch", "receive", "Metadata", "fetch orders", "receive orders"].map(|name| done(name, "-"));
        assert_eq!(short(&stage.told()), expected, "{version}");
    }
}

#[test]
fn requests_that_wait_are_answered_in_order_or_not_at_all() {
    let mut stage = client();
    for number in 1..6 {
        stage.call(Tx, &heartbeat(number));
    }
    stage.call(Rx, &[beaten(1, 1), beaten(3, 3)].concat());
    stage.call(Rx, &beaten(2, 2));
    stage.call(Rx, &beaten(5, 5));
    let all = stage.told();
    let unseen = |act: &Act| act.outcome() == Some(Outcome::ResponseUnseen);
    assert_eq!(all.iter().map(unseen).collect::<Vec<_>>(), [false, true, false, true, false]);
    assert_eq!(short(&all)[2], done("Heartbeat", "UNKNOWN_TOPIC_OR_PARTITION"));
    assert_eq!(stage.ledger().tally.skipped(Skip::Unrequested), beaten(2, 2).len() as u64);
}

#[test]
fn messages_end_where_they_end_however_they_are_cut() {
    let asks = [versions(1), produce(9, 2, 1, "a", &batch(2, false)), fetch(12, 3, &["b"])].concat();
    let answers =
        [versions_answer(1, 35), produced(9, 2, "a", 0), fetched(12, 3, &[("b", 0, batch(2, false))])]
            .concat();
    let expected = [
        done("ApiVersions", "UNSUPPORTED_VERSION"),
        done("publish a", "-"),
        done("fetch b", "-"),
        done("receive b", "-"),
    ];
    for size in 1..200 {
        let mut stage = client();
        stage.call(Tx, &heartbeat(0));
        stage.call(Rx, &beaten(0, 0));
        asks.chunks(size).for_each(|part| stage.call(Tx, part));
        answers.chunks(size).for_each(|part| stage.call(Rx, part));
        assert_eq!(short(&stage.told())[1..], expected, "{size}");
    }
}

/// Brokers, and Java's clients, read a length and then the rest.
#[test]
fn a_broker_is_joined_at_a_request_whose_length_was_read_before() {
    for role in [Role::Passive, Role::Unseen] {
        let mut stage = Stage::new(role);
        for number in 1..5 {
            let (asks, answers) = (heartbeat(number), beaten(number, 0));
            stage.call(Rx, &asks[..4]);
            stage.call(Rx, &asks[4..]);
            stage.call(Tx, &answers);
        }
        assert_eq!(short(&stage.told()), vec![done("Heartbeat", "-"); 3]);
    }
    let mut stage = Stage::new(Role::Unseen);
    for number in 1..5 {
        let (asks, answers) = (heartbeat(number), beaten(number, 0));
        stage.call(Tx, &asks);
        stage.call(Rx, &answers[..4]);
        stage.call(Rx, &answers[4..]);
    }
    assert_eq!(short(&stage.told()), vec![done("Heartbeat", "-"); 4]);
}

#[test]
fn a_connection_may_be_joined_at_a_request() {
    let mut stage = Stage::new(Role::Unseen);
    stage.call(Tx, &produce(9, 1, 1, "a", &batch(9, false))[90..]);
    stage.call(Rx, &produced(9, 1, "a", 0));
    stage.call(Tx, &heartbeat(2));
    stage.call(Rx, &beaten(2, 0));
    stage.call(Tx, &heartbeat(3));
    stage.call(Rx, &beaten(3, 0));
    assert_eq!(short(&stage.told()), vec![done("Heartbeat", "-"); 2]);
}

#[test]
fn lost_answers_are_nobodys() {
    let mut stage = client();
    stage.call(Tx, &heartbeat(1));
    stage.lose(Rx, &beaten(1, 27));
    stage.call(Tx, &heartbeat(2));
    stage.call(Rx, &beaten(2, 0));
    let all = stage.told();
    assert_eq!(all[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(short(&all)[1..], [done("Heartbeat", "-")]);
    // A length that is none: what follows it is not read.
    let mut stage = client();
    stage.call(Tx, &heartbeat(1));
    stage.lose(Rx, &beaten(1, 27));
    stage.call(Rx, &[0, 0, 0, 9]);
    stage.call(Rx, &[0, 0, 0, 77, 1, 2, 3, 4, 5, 6]);
    stage.call(Tx, &heartbeat(2));
    stage.call(Rx, &beaten(2, 0));
    assert_eq!(short(&stage.told())[1..], [done("Heartbeat", "-")]);
}

/// Of long messages the beginning is captured; their lengths are known.
#[test]
fn long_messages_may_be_cut_off() {
    let (one, two) = (batch(2000, false), [batch(2000, false), batch(2, false)].concat());
    for most in [100, 200, 4000] {
        let mut stage = client();
        for (turn, records) in [&one, &two].into_iter().enumerate() {
            let turn = turn as i32 * 2;
            stage.cut(Tx, &produce(9, turn, 1, "orders", records), most);
            stage.cut(Rx, &produced(9, turn, "orders", 0), most);
            stage.cut(Tx, &fetch(12, turn + 1, &["orders"]), most);
            stage.cut(
                Rx,
                &fetched(12, turn + 1, &[("orders", 0, records.clone()), ("b", 0, one.clone())]),
                most,
            );
        }
        let all = stage.told();
        // What comes behind messages that were not captured is not known, and said to be there.
        let turn = ["publish orders", "fetch orders", "receive orders, ..."].map(|name| done(name, "-"));
        assert_eq!(short(&all), [&turn[..], &turn].concat(), "{most}");
        let count = |act: &Act| (number(act, "messaging.batch.message_count"), act.head.truncated);
        // The header of the batch says how many there are, if it was captured. Of the second one's second batch it was not.
        let known = if most > 100 { (Some(2000), false) } else { (None, true) };
        assert_eq!(count(&all[0]), known, "{most}");
        assert_eq!(count(&all[3]), (None, true), "{most}");
        assert_eq!((count(&all[2]).0, count(&all[5]).0), (None, None), "{most}");
    }
}

#[test]
fn a_connection_ends_within_an_answer() {
    for (closed, outcome) in [(true, Outcome::Aborted), (false, Outcome::Streaming)] {
        let mut stage = client();
        stage.call(Tx, &heartbeat(1));
        stage.call(Rx, &beaten(1, 0)[..9]);
        if closed {
            stage.close();
        }
        let all = stage.told();
        assert_eq!((all[0].outcome(), all[0].end.as_ref().unwrap().bytes.1), (Some(outcome), 9));
    }
    let mut stage = client();
    stage.call(Tx, &heartbeat(1));
    stage.close();
    assert_eq!(stage.told()[0].outcome(), Some(Outcome::Unanswered));
}

#[test]
fn what_contradicts_the_protocol_is_not_believed() {
    // A kind, a version, a length, a name, an array that cannot be.
    let change = |at: usize, by: &[u8]| {
        let mut bytes = produce(9, 2, 1, "a", &batch(1, false));
        bytes[at..at + by.len()].copy_from_slice(by);
        bytes
    };
    let bad = [
        change(4, &[0, 200]),
        change(6, &[0, 99]),
        change(0, &[0x7f, 0xff, 0xff, 0xff]),
        change(0, &[0, 0, 0, 3]),
        change(12, &[0x7f, 0xff]),
        change(31, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        vec![0xff; 80],
        vec![0; 80],
    ];
    for bytes in bad {
        let mut stage = client();
        stage.call(Tx, &heartbeat(1));
        stage.call(Rx, &beaten(1, 0));
        stage.call(Tx, &bytes);
        stage.call(Tx, &heartbeat(3));
        stage.call(Rx, &beaten(3, 0));
        let all = short(&stage.told());
        assert_eq!(
            (&all[0], all.last().unwrap()),
            (&done("Heartbeat", "-"), &done("Heartbeat", "-")),
            "{bytes:?}"
        );
        assert!(all.len() <= 3);
    }
}

#[test]
fn requests_that_wait_are_bounded() {
    let limits = Limits { outstanding: 4, ..Limits::default() };
    let mut stage = Stage::within(Role::Active, limits);
    for number in 1..10 {
        stage.call(Tx, &heartbeat(number));
    }
    for number in 1..10 {
        stage.call(Rx, &beaten(number, number as i16));
    }
    let all = stage.told();
    assert_eq!(stage.ledger().tally.overflow, 5);
    assert_eq!(all.iter().filter(|act| act.outcome() == Some(Outcome::Complete)).count(), 4);
}

#[test]
fn only_requests_of_named_clients_begin_a_connection() {
    let begins = |bytes: &[u8]| super::request::begins(bytes, bytes.len() as u64);
    assert_eq!(begins(&heartbeat(1)), Some(Begins::Request));
    assert_eq!(begins(&heartbeat(1)[4..]), Some(Begins::Rest));
    // ZooKeeper's ping, and requests of its clients; numbers of any kind.
    assert_eq!(begins(&[0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11]), None);
    assert_eq!(begins(&[0, 0, 0, 14, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, b'/', 0]), None);
    assert_eq!(begins(&[0; 40]), None);
    // Twelve bytes are how librdkafka's broker begins to read.
    for cut in (0..19).filter(|cut| *cut != 12) {
        assert_eq!(begins(&heartbeat(1)[..cut]), None, "{cut}");
    }
}

/// The number of one of the first requests looks like the kind of a request, and the topic like the name of a client.
#[test]
fn answers_are_no_requests() {
    for version in 0..=8 {
        for number in 0..14 {
            let bytes = produced(version, number, "orders", 0);
            let begins = super::request::begins(&bytes, bytes.len() as u64);
            assert_eq!(begins, None, "{version} {number}");
        }
    }
    // A broker whose requests were not seen, on a connection that it accepted.
    let mut stage = Stage::new(Role::Passive);
    stage.lose(Rx, &heartbeat(1));
    let response = [&100i32.to_be_bytes()[..], &heartbeat(5)[4..]].concat();
    stage.call(Tx, &response);
    assert!(stage.told().is_empty());
}

/// librdkafka's broker reads twelve bytes of a request first.
#[test]
fn a_header_may_be_read_in_a_call_of_its_own() {
    for role in [Role::Passive, Role::Unseen] {
        let mut stage = Stage::new(role);
        for number in 1..5 {
            let asks = produce(7, number, 1, "orders", &batch(1, false));
            stage.call(Rx, &asks[..12]);
            stage.call(Rx, &asks[12..]);
            stage.call(Tx, &produced(7, number, "orders", 0));
        }
        let all = stage.told();
        assert_eq!(short(&all), vec![done("publish orders", "-"); 4]);
        assert!(all.iter().all(|act| act.side == Side::Server));
    }
}

/// A call of twelve bytes that may be a request's beginning, as of HTTP/2's frames, and of what follows nothing is captured.
#[test]
fn twelve_bytes_are_no_request() {
    let asks = produce(7, 1, 1, "orders", &batch(1, false));
    let mut stage = Stage::new(Role::Unseen);
    stage.call(Tx, &asks[..12]);
    stage.cut(Tx, &asks[12..], 2);
    stage.call(Rx, &produced(7, 1, "orders", 0));
    assert!(stage.told().is_empty());
}

/// Right or absent: every answer that is told is that of its own request, whatever was lost, cut off or missed.
#[test]
fn random_conversations_are_told_right_or_not_at_all() {
    let mut told = 0;
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let is_gentle = seed % 3 == 0;
        let role = if is_gentle || dice.below(2) == 0 { Role::Active } else { Role::Unseen };
        let mut stage = Stage::new(role);
        for number in 1..40 {
            let topic = format!("t.{number}");
            let records = batch(dice.below(20) as i32 + 1, false);
            let lines = [
                (Tx, produce(9, number, 1, &topic, &records)),
                (Rx, produced(9, number, &topic, number as i16)),
            ];
            for (dir, bytes) in lines {
                // A beginning of few bytes would not say which protocol it is.
                let parts = if number == 1 && is_gentle { vec![&bytes[..]] } else { dice.split(&bytes) };
                for part in parts {
                    stage.play(&mut dice, is_gentle, dir, part);
                }
            }
        }
        let all = stage.told();
        if is_gentle {
            assert_eq!(all.len(), 39);
        }
        for act in &all {
            let (operation, error) = (act.head.operation(), act.error());
            if let (Some(Ok(number)), Some(error)) =
                (operation.strip_prefix("publish t.").map(str::parse), error)
            {
                assert_eq!(super::codes::name(number), Some(error), "seed {seed}");
                told += 1;
            }
        }
    }
    assert!(told > 4000, "{told}");
}
