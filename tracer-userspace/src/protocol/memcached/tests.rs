//! Commands and answers, however they come.

mod random;

use super::*;
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::Value;
use crate::protocol::rehearse::{Act, Dice, Stage};

fn says(stage: &mut Stage, ask: &str, answer: &str) {
    stage.call(Rx, ask.as_bytes());
    stage.call(Tx, answer.as_bytes());
}

fn told(talk: &[(&str, &str)]) -> Vec<Act> {
    let mut stage = Stage::new(Role::Passive);
    for (ask, answer) in talk {
        says(&mut stage, ask, answer);
    }
    stage.told()
}

fn keys(act: &Act) -> i64 {
    match act.head.attributes() {
        [Attribute { value: Value::Number(count), .. }] => *count,
        _ => 0,
    }
}

#[test]
fn every_kind_of_command_is_one_exchange_without_its_keys() {
    let talk = [
        ("set secret 0 60 5\r\nhello\r\n", "STORED\r\n"),
        ("get secret\r\n", "VALUE secret 0 5\r\nEND\r\n\r\nEND\r\n"),
        ("gets secret other third\r\n", "VALUE secret 0 2 17\r\nab\r\nVALUE third 0 0 18\r\n\r\nEND\r\n"),
        ("get none\r\n", "END\r\n"),
        ("delete secret\r\n", "NOT_FOUND\r\n"),
        ("incr n 5\r\n", "17\r\n"),
        ("touch secret 5\r\n", "TOUCHED\r\n"),
        ("stats\r\n", "STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n"),
        ("version\r\n", "VERSION 1.6.18\r\n"),
        ("flush_all\r\n", "OK\r\n"),
        ("mg secret v t\r\n", "VA 5 t-1\r\nhello\r\n"),
        ("ms secret 2\r\nab\r\n", "HD\r\n"),
        ("mn\r\n", "MN\r\n"),
        ("incr secret 5\r\n", "CLIENT_ERROR cannot increment secret\r\n"),
        ("set big 0 0 2\r\nab\r\n", "SERVER_ERROR out of memory\r\n"),
    ];
    let told = told(&talk);
    let all: Vec<(String, i64, Option<&str>)> =
        told.iter().map(|act| (act.asked(), keys(act), act.error())).collect();
    let one = |name: &str, keys| {
        let target = if keys > 0 { format!("{name} {name} ?") } else { format!("{name} {name}") };
        (target, keys, None)
    };
    let mut expected = vec![
        one("set", 1),
        one("get", 1),
        one("gets", 3),
        one("get", 1),
        one("delete", 1),
        one("incr", 1),
        one("touch", 1),
        one("stats", 0),
        one("version", 0),
        one("flush_all", 0),
        one("mg", 1),
        one("ms", 1),
        one("mn", 0),
        one("incr", 1),
        one("set", 1),
    ];
    expected[13].2 = Some("CLIENT_ERROR");
    expected[14].2 = Some("SERVER_ERROR");
    assert_eq!(all, expected);
    for (act, (ask, answer)) in told.iter().zip(talk) {
        let end = act.end.as_ref().unwrap();
        assert_eq!(
            (end.outcome, end.bytes),
            (Outcome::Complete, (ask.len() as u64, answer.len() as u64)),
            "{ask}"
        );
    }
}

#[test]
fn what_nobody_answers_is_a_message() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, b"set a 0 0 5 noreply\r\nhello\r\ndelete a noreply\r\n");
    says(&mut stage, "get a\r\n", "END\r\n");
    let told = stage.told();
    assert_eq!(told.iter().map(|act| act.head.is_message).collect::<Vec<_>>(), [true, true, false]);
    assert!(told.iter().all(|act| act.outcome() == Some(Outcome::Complete)), "{told:?}");
    assert_eq!(told[0].end.as_ref().unwrap().bytes, (28, 0));
}

#[test]
fn quiet_commands_are_one_exchange_with_their_end() {
    let told = told(&[
        ("mg a v q\r\nmg b v q\r\nmg c v q\r\nmn\r\n", "VA 1\r\nx\r\nEN\r\nMN\r\n"),
        ("mg a v q\r\nmg b v\r\n", "VA 1\r\nx\r\n"),
        ("get a\r\n", "END\r\n"),
    ]);
    let all: Vec<_> = told.iter().map(|act| (act.asked(), keys(act), act.outcome().unwrap())).collect();
    let one = |name: &str, keys| (format!("{name} {name} ?"), keys, Outcome::Complete);
    assert_eq!(all, [one("mg", 3), one("mg", 2), one("get", 1)]);
}

#[test]
fn any_split_gives_the_same() {
    let talk =
        [("set a 0 0 5\r\nhello\r\n", "STORED\r\n"), ("get a b\r\n", "VALUE a 0 5\r\nhello\r\nEND\r\n")];
    for at in 13..30 {
        let mut stage = Stage::new(Role::Passive);
        for (dir, bytes) in talk.iter().flat_map(|(ask, answer)| [(Rx, ask), (Tx, answer)]) {
            let (head, rest) = bytes.as_bytes().split_at(at.min(bytes.len()));
            stage.call(dir, head);
            stage.call(dir, rest);
        }
        let told = stage.told();
        let all: Vec<_> = told.iter().map(|act| (act.asked(), act.outcome().unwrap())).collect();
        assert_eq!(
            all,
            [("set set ?".to_owned(), Outcome::Complete), ("get get ?".to_owned(), Outcome::Complete)],
            "{at}"
        );
        assert_eq!(told[1].seq, (u32::MAX - 100).wrapping_add(20));
    }
}

#[test]
fn commands_sent_ahead_are_answered_in_order_and_given_up_after_a_loss() {
    let mut stage = Stage::new(Role::Passive);
    says(&mut stage, "get a\r\ndelete b\r\nincr c 1\r\n", "VALUE a 0 2\r\nab\r\nEND\r\nERROR\r\n5\r\n");
    stage.call(Rx, b"get a\r\nget b\r\n");
    stage.lose(Tx, b"END\r\n");
    stage.call(Tx, b"END\r\n");
    says(&mut stage, "get c\r\n", "END\r\n");
    let told = stage.told();
    let all: Vec<_> = told.iter().map(|act| (act.asked(), act.error())).take(3).collect();
    assert_eq!(
        all,
        [
            ("get get ?".to_owned(), None),
            ("delete delete ?".to_owned(), Some("ERROR")),
            ("incr incr ?".to_owned(), None)
        ]
    );
    assert!(told[3..].iter().all(|act| act.outcome() == Some(Outcome::ResponseUnseen)));
    assert_eq!(stage.interests(), [Interest::Calls, Interest::Nothing]);
}

#[test]
fn what_is_cut_off_ends_before_the_next_command() {
    let data = "x".repeat(20_000);
    let value = format!("VALUE a 0 20000\r\n{data}\r\n");
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, b"get a\r\n");
    stage.cut(Tx, format!("{value}END\r\n").as_bytes(), 8192);
    stage.call(Rx, b"get a b\r\n");
    stage.cut(Tx, format!("{value}{value}END\r\n").as_bytes(), 8192);
    stage.tails = false;
    stage.call(Rx, b"get a\r\n");
    stage.cut(Tx, format!("{value}END\r\n").as_bytes(), 8192);
    stage.call(Rx, b"get a b\r\n");
    stage.cut(Tx, format!("{value}VALUE").as_bytes(), 8192);
    stage.call(Tx, format!(" a 0 20000\r\n{data}\r\nEND\r\n").as_bytes());
    stage.call(Rx, b"get a b\r\n");
    stage.cut(Tx, format!("{value}{value}").as_bytes(), 8192);
    // Five bytes that are only counted, behind others: that need not be the end.
    stage.cut(Tx, b"END\r\n", 0);
    stage.cut(Rx, format!("set a 0 0 20000\r\n{data}\r\n").as_bytes(), 8192);
    stage.call(Tx, b"STORED\r\n");
    let told = stage.told();
    let all: Vec<_> = told.iter().map(|act| act.outcome().unwrap()).collect();
    let complete = Outcome::Complete;
    assert_eq!(all, [complete, complete, complete, complete, Outcome::EndUnframed, complete]);
    assert_eq!(told[3].end.as_ref().unwrap().bytes.1, 2 * value.len() as u64 + 5);
    assert_eq!(told[4].end.as_ref().unwrap().bytes.1, 2 * value.len() as u64 + 5);
}

#[test]
fn only_certain_commands_are_recognised() {
    let begin = |data: &'static [u8]| Begin {
        data,
        call_len: data.len() as u64,
        dir: Rx,
        whole: true,
        moved: None,
        role: Role::Passive,
    };
    for known in [&b"get a\r\n"[..], b"set a 0 0 1\r\nx", b"mg a v\r\n", b"gat 5 a\r\n"] {
        assert!(recognise(&begin(known)).is_some());
    }
    for other in [
        &b"get a"[..],
        b"GET / HTTP/1.1\r\n",
        b"delete 5\r\n",
        b"stats\r\n",
        b"get a\n",
        b"set a b\r\n",
        b"quit\r\n",
    ] {
        assert!(recognise(&begin(other)).is_none(), "{other:?}");
    }
}

/// Whatever is out of sight, no answer is attached to another's command.
#[test]
fn right_or_absent() {
    let (mut whole, mut all) = (0, 0);
    for seed in 0..400u64 {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::new(if seed % 2 == 0 { Role::Passive } else { Role::Unseen });
        for _ in 0..30 {
            let text = "y".repeat(dice.below(600) as usize);
            // The answer's shape tells whose it is.
            let (ask, answer) = match dice.below(3) {
                0 => ("incr a 1\r\n".to_owned(), "SERVER_ERROR x\r\n".to_owned()),
                1 => (format!("set a 0 0 {}\r\n{text}\r\n", text.len()), "CLIENT_ERROR x\r\n".to_owned()),
                _ => (
                    "get a b\r\n".to_owned(),
                    format!("VALUE a 0 {}\r\n{text}\r\n", text.len()).repeat(2) + "END\r\n",
                ),
            };
            for (dir, bytes) in [(Rx, ask), (Tx, answer)] {
                for call in dice.split(bytes.as_bytes()) {
                    match dice.below(40) {
                        0 if seed % 3 > 0 => stage.lose(dir, call),
                        1..=3 if seed % 3 > 0 => stage.cut(dir, call, dice.below(40) as usize),
                        _ => stage.call(dir, call),
                    }
                }
            }
        }
        for act in stage.told().iter().filter(|act| act.response.is_some()) {
            all += 1;
            whole += u32::from(act.outcome() == Some(Outcome::Complete));
            let expected = match &*act.head.method {
                "incr" => Some("SERVER_ERROR"),
                "set" => Some("CLIENT_ERROR"),
                _ => None,
            };
            assert_eq!(act.error(), expected, "{seed}: {act:?}");
        }
    }
    assert!(all > 5_000 && whole * 10 > all * 8, "{whole} of {all}");
}
