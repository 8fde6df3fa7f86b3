//! Packets, however they come.

mod random;

use super::*;
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::Value;
use crate::protocol::rehearse::{Act, Dice, Stage};

fn packet(magic: u8, opcode: u8, status: u16, opaque: u32, parts: [&[u8]; 3]) -> Vec<u8> {
    let [extras, key, value] = parts;
    let body = u32::try_from(extras.len() + key.len() + value.len()).unwrap();
    let mut bytes = vec![magic, opcode];
    bytes.extend_from_slice(&u16::try_from(key.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[u8::try_from(extras.len()).unwrap(), 0]);
    bytes.extend_from_slice(&status.to_be_bytes());
    bytes.extend_from_slice(&body.to_be_bytes());
    bytes.extend_from_slice(&opaque.to_be_bytes());
    bytes.extend_from_slice(&[0; 8]);
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// A command with a key of that name (none if it is empty), and extras as long as it has them.
fn ask(opcode: u8, opaque: u32, key: &str, value: &[u8]) -> Vec<u8> {
    let extras = match opcode {
        0x01..=0x03 | 0x11..=0x13 => 8,
        0x05 | 0x06 => 20,
        0x1c | 0x1d => 4,
        _ => 0,
    };
    packet(0x80, opcode, 0, opaque, [&[0; 20][..extras], key.as_bytes(), value])
}

fn say(opcode: u8, opaque: u32, status: u16, value: &[u8]) -> Vec<u8> {
    packet(0x81, opcode, status, opaque, [b"", b"", value])
}

fn stage(talk: &[(Vec<u8>, Vec<u8>)]) -> Stage {
    let mut stage = Stage::new(Role::Passive);
    for (ask, answer) in talk {
        stage.call(Rx, ask);
        stage.call(Tx, answer);
    }
    stage
}

fn keys(act: &Act) -> i64 {
    match act.head.attributes() {
        [Attribute { value: Value::Number(count), .. }] => *count,
        _ => 0,
    }
}

fn short(told: &[Act]) -> Vec<(String, i64, Option<&str>, Option<Outcome>)> {
    told.iter().map(|act| (act.asked(), keys(act), act.error(), act.outcome())).collect()
}

fn done(name: &str, keys: i64) -> (String, i64, Option<&'static str>, Option<Outcome>) {
    let target = if keys > 0 { format!("{name} {name} ?") } else { format!("{name} {name}") };
    (target, keys, None, Some(Outcome::Complete))
}

fn talk() -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (ask(0x01, 1, "secret", b"hello"), say(0x01, 1, 0, b"")),
        (ask(0x00, 2, "secret", b""), say(0x00, 2, 0, b"\0\0\0\0hello")),
        (ask(0x00, 3, "none", b""), say(0x00, 3, 1, b"Not found")),
        (ask(0x05, 4, "secret", b""), say(0x05, 4, 6, b"Non-numeric server-side value")),
        (ask(0x0a, 5, "", b""), say(0x0a, 5, 0, b"")),
        (ask(0x0b, 6, "", b""), say(0x0b, 6, 0, b"1.6.18")),
        (ask(0x1c, 7, "secret", b""), say(0x1c, 7, 0, b"")),
        (ask(0x04, 8, "secret", b""), say(0x04, 8, 0, b"")),
    ]
}

#[test]
fn every_command_is_one_exchange_without_its_key() {
    let told = stage(&talk()).told();
    let mut expected = vec![
        done("set", 1),
        done("get", 1),
        done("get", 1),
        done("incr", 1),
        done("noop", 0),
        done("version", 0),
        done("touch", 1),
        done("delete", 1),
    ];
    expected[3].2 = Some("NON_NUMERIC");
    assert_eq!(short(&told), expected);
    for (act, (ask, answer)) in told.iter().zip(talk()) {
        assert_eq!(act.end.as_ref().unwrap().bytes, (ask.len() as u64, answer.len() as u64));
        assert!(!act.asked().contains("secret"));
    }
}

#[test]
fn quiet_commands_are_one_exchange_with_their_end() {
    let many = [ask(0x0d, 1, "a", b""), ask(0x0d, 2, "b", b""), ask(0x0a, 3, "", b"")].concat();
    let sets = [ask(0x11, 4, "a", b"1"), ask(0x11, 5, "b", b"2"), ask(0x0a, 6, "", b"")].concat();
    let last = [ask(0x09, 7, "a", b""), ask(0x00, 8, "b", b"")].concat();
    let told = stage(&[
        (many, [say(0x0d, 2, 0, b"\0\0\0\0b"), say(0x0a, 3, 0, b"")].concat()),
        (sets, [say(0x11, 5, 0x82, b"Out of memory"), say(0x0a, 6, 0, b"")].concat()),
        (last, say(0x00, 8, 1, b"Not found")),
        (ask(0x17, 9, "", b""), Vec::new()),
    ])
    .told();
    let mut expected = vec![done("get", 2), done("set", 2), done("get", 2), done("quit", 0)];
    expected[1].2 = Some("OUT_OF_MEMORY");
    assert_eq!(short(&told), expected);
    assert_eq!(told.iter().map(|act| act.head.is_message).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn counters_end_with_a_packet_without_a_key() {
    let line = packet(0x81, 0x10, 0, 1, [b"", b"pid", b"17"]);
    let answer = [line.clone(), line, say(0x10, 1, 0, b"")].concat();
    let told =
        stage(&[(ask(0x10, 1, "", b""), answer), (ask(0x0a, 2, "", b""), say(0x0a, 2, 0, b""))]).told();
    assert_eq!(short(&told), [done("stats", 0), done("noop", 0)]);
    assert!(told[0].end.as_ref().unwrap().bytes.1 > 3 * 24);
}

#[test]
fn pipelines_pair_in_order() {
    let (asks, answers): (Vec<_>, Vec<_>) = talk().into_iter().unzip();
    let told = stage(&[(asks.concat(), answers.concat())]).told();
    assert_eq!(told.len(), 8);
    assert!(told.iter().all(|act| act.outcome() == Some(Outcome::Complete)), "{told:?}");
    assert_eq!(told[3].error(), Some("NON_NUMERIC"));
}

#[test]
fn any_split_gives_the_same() {
    let expected = short(&stage(&talk()).told()).len();
    for seed in 1..200 {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::new(Role::Passive);
        let mut first = true;
        for (ask, answer) in talk() {
            for (dir, mut bytes) in [(Rx, &ask[..]), (Tx, &answer[..])] {
                while !bytes.is_empty() {
                    // The first call must show that it is a command.
                    let least = if std::mem::take(&mut first) { HEADER } else { 1 };
                    let (now, later) = bytes.split_at(bytes.len().min(least + dice.below(40) as usize));
                    stage.call(dir, now);
                    bytes = later;
                }
            }
        }
        let told = stage.told();
        assert_eq!(told.len(), expected, "{seed}");
        assert!(told.iter().all(|act| act.outcome() == Some(Outcome::Complete)), "{seed}: {told:?}");
    }
}

#[test]
fn values_out_of_sight_hide_nothing() {
    let mut stage = Stage::new(Role::Unseen);
    stage.most = 64;
    for number in 0..5 {
        stage.call(Rx, &ask(0x01, number, "k", &[b'v'; 9000]));
        stage.call(Tx, &say(0x01, number, 0, b""));
        stage.call(Rx, &ask(0x00, number, "k", b""));
        stage.call(Tx, &say(0x00, number, 0, &[b'v'; 9000]));
    }
    let told = stage.told();
    // Whether something waited before the first that is seen is not known.
    assert_eq!(short(&told), vec![[done("set", 1), done("get", 1)]; 5].concat()[1..]);
}

#[test]
fn a_batch_out_of_sight_ends_with_its_last_byte_and_the_next_is_right() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[ask(0x0d, 1, "a", b""), ask(0x0d, 2, "b", b""), ask(0x0a, 3, "", b"")].concat());
    let answer = [say(0x0d, 1, 0, &[b'v'; 100]), say(0x0d, 2, 0, b"v"), say(0x0a, 3, 0, b"")].concat();
    stage.cut(Tx, &answer, 64);
    stage.call(Rx, &ask(0x00, 4, "a", b""));
    stage.call(Tx, &say(0x00, 4, 1, b""));
    let told = stage.told();
    let mut expected = vec![done("get", 2), done("get", 1)];
    expected[0].3 = Some(Outcome::EndUnframed);
    assert_eq!(short(&told), expected);
    assert_eq!(told[0].end.as_ref().unwrap().bytes.1, answer.len() as u64);
}

#[test]
fn after_a_loss_batches_go_on_and_commands_sent_ahead_do_not() {
    for ahead in [false, true] {
        let mut stage = Stage::new(Role::Passive);
        let (first, second) = (ask(0x04, 1, "a", b""), ask(0x04, 2, "b", b""));
        if ahead {
            stage.call(Rx, &first);
            stage.call(Rx, &second);
        } else {
            stage.call(Rx, &[first, second].concat());
        }
        stage.cut(Tx, &[say(0x04, 1, 0, b""), say(0x04, 2, 0, b"")].concat(), 30);
        stage.call(Rx, &ask(0x00, 3, "a", b""));
        stage.call(Tx, &say(0x00, 3, 1, b""));
        let told = stage.told();
        let mut expected = vec![done("delete", 1), done("delete", 1), done("get", 1)];
        expected[1].3 = Some(Outcome::ResponseUnseen);
        expected.truncate(if ahead { 2 } else { 3 });
        assert_eq!(short(&told), expected);
    }
}

#[test]
fn the_end_of_a_batch_is_not_certain_behind_an_answer_that_nobody_saw() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[ask(0x11, 1, "a", b"1"), ask(0x11, 2, "b", b"2")].concat());
    // Its status is out of sight, its length is not.
    stage.cut(Tx, &say(0x11, 1, 0x82, b"Out of memory"), 12);
    stage.call(Rx, &ask(0x0a, 3, "", b""));
    stage.call(Tx, &say(0x0a, 3, 0, b""));
    let mut expected = vec![done("set", 2)];
    expected[0].3 = Some(Outcome::EndUnframed);
    assert_eq!(short(&stage.told()), expected);
}

#[test]
fn quiet_commands_are_answered_before_their_end_is_sent() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &[ask(0x11, 1, "a", b"1"), ask(0x11, 2, "b", b"2")].concat());
    let early = say(0x11, 2, 0x82, b"Out of memory");
    stage.call(Tx, &early);
    stage.call(Rx, &[ask(0x11, 3, "c", b"3"), ask(0x0a, 4, "", b"")].concat());
    stage.call(Tx, &say(0x0a, 4, 0, b""));
    let told = stage.told();
    let mut expected = vec![done("set", 3)];
    expected[0].2 = Some("OUT_OF_MEMORY");
    assert_eq!(short(&told), expected);
    assert_eq!(told[0].response.as_ref().unwrap().1, Nanos(20));
    assert_eq!(told[0].end.as_ref().unwrap().bytes.1, early.len() as u64 + 24);
}

#[test]
fn joined_in_the_middle_nothing_is_told_of_commands_sent_ahead() {
    let mut stage = Stage::new(Role::Unseen);
    stage.call(Tx, &say(0x04, 0, 0, b""));
    stage.call(Rx, &ask(0x04, 0, "a", b""));
    stage.call(Rx, &ask(0x04, 0, "b", b""));
    // Perhaps of one that waited before.
    for _ in 0..3 {
        stage.call(Tx, &say(0x04, 0, 0, b""));
    }
    assert!(stage.told().iter().all(|act| act.response.is_none()));
}

#[test]
fn a_command_behind_one_that_nobody_saw_does_not_have_its_answer() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &ask(0x0a, 0, "", b""));
    stage.call(Tx, &say(0x0a, 0, 0, b""));
    stage.lose(Rx, &ask(0x00, 0, "a", b""));
    stage.call(Rx, &ask(0x00, 0, "b", b""));
    stage.call(Tx, &say(0x00, 0, 0x84, b"one"));
    stage.call(Tx, &say(0x00, 0, 0, b"two"));
    stage.call(Rx, &ask(0x04, 0, "c", b""));
    stage.call(Tx, &say(0x04, 0, 0, b""));
    assert_eq!(short(&stage.told()), [done("noop", 0), done("delete", 1)]);
}

#[test]
fn answers_to_what_nobody_saw_are_given_to_nobody() {
    let mut stage = Stage::new(Role::Passive);
    // Two commands at once, of which the second is out of sight.
    stage.cut(Rx, &[ask(0x00, 1, "a", b""), ask(0x00, 2, "b", b"")].concat(), 25);
    stage.call(Tx, &say(0x00, 1, 0, b"one"));
    stage.call(Tx, &say(0x00, 2, 0x84, b"two"));
    stage.call(Rx, &ask(0x00, 3, "c", b""));
    stage.call(Tx, &say(0x00, 3, 0, b"three"));
    let told = stage.told();
    assert!(told.iter().all(|act| act.error().is_none()), "{told:?}");
}

#[test]
fn an_answer_with_another_number_is_not_paired() {
    let told = stage(&[(ask(0x00, 1, "a", b""), say(0x00, 2, 0, b""))]).told();
    assert!(told.iter().all(|act| act.response.is_none()), "{told:?}");
}

#[test]
fn bytes_that_are_no_packets_end_it() {
    let mut stage = stage(&talk());
    stage.call(Rx, &[0x80; 200]);
    stage.call(Tx, &[0x81; 200]);
    assert_eq!(stage.told().len(), 8);
}

#[test]
fn only_commands_are_recognised() {
    for (asks, _) in talk() {
        assert!(header::is_request(&asks));
        // Nothing of what makes it a command may be another.
        for (at, value) in [(0, 0x81), (1, 0x7f), (2, 9), (4, 99), (5, 1), (6, 1), (8, 0x7f)] {
            let mut wrong = asks.clone();
            wrong[at] = value;
            assert!(!header::is_request(&wrong), "{at}");
        }
        assert!(!header::is_request(&asks[..23]));
    }
}
