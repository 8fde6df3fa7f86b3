//! What is out of sight: right or absent.

use super::*;
use crate::event::Direction;
use crate::protocol::Interest;
use crate::protocol::recognise::{Begin, recognise};
use crate::protocol::rehearse::Dice;

#[test]
fn any_split_gives_the_same() {
    let talk = [
        (Tx, packet(0, GREETING)),
        (Rx, packet(1, &login(1 << 15, Some("a")))),
        (Tx, packet(2, OK)),
        (Rx, query("SELECT 1")),
        (Tx, rows(false, &[b"1"])),
        (Rx, query("DELETE FROM t")),
        (Tx, error(1146)),
    ];
    for at in 1..GREETING.len() {
        let mut stage = Stage::new(Role::Passive);
        for (number, (dir, bytes)) in talk.iter().enumerate() {
            let (head, rest) = bytes.split_at(if number == 0 { bytes.len() } else { at.min(bytes.len()) });
            stage.call(*dir, head);
            stage.call(*dir, rest);
        }
        let told = stage.told();
        assert_eq!(
            short(&told),
            [("SELECT SELECT ?".to_owned(), None), ("DELETE DELETE FROM t".to_owned(), Some("1146"))],
            "{at}"
        );
        assert_eq!(told[1].head.host.as_deref(), Some("a"));
    }
}

/// Many rows, in calls of 16 KiB as a server makes them.
fn large(stage: &mut Stage, eof: bool) -> (u64, u64) {
    let texts = vec![&b"0123456789abcdef"[..]; 4_000];
    let answer = rows(eof, &texts);
    for call in answer.chunks(16 * 1024) {
        stage.cut(Tx, call, if call.len() > 8192 { 64 } else { call.len() });
    }
    (stage.now - 10, answer.len() as u64)
}

#[test]
fn an_answer_that_is_cut_off_ends_before_the_next_command() {
    for (eof, tails) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut stage = server(None);
        stage.tails = tails;
        stage.call(Rx, &query("SELECT a FROM t"));
        let (end, bytes) = large(&mut stage, eof);
        says(&mut stage, &query("SELECT 2"), &rows(eof, &[]));
        stage.call(Rx, &query("SELECT b FROM t"));
        large(&mut stage, eof);
        let told = stage.told();
        assert_eq!(told.len(), 3, "{eof} {tails}");
        // The last call is short: its end is in sight, tails or not.
        for act in &told {
            assert_eq!(act.outcome(), Some(Outcome::Complete), "{eof} {tails} {act:?}");
        }
        let first = told[0].end.as_ref().unwrap();
        assert_eq!((first.at.0, first.bytes.1), (end, bytes));
    }
}

#[test]
fn an_end_out_of_sight_is_said_to_be() {
    let mut stage = server(None);
    stage.tails = false;
    let answer = rows(true, &[&[b'x'; 100][..]; 200]);
    for _ in 0..2 {
        stage.call(Rx, &query("SELECT a FROM t"));
        stage.cut(Tx, &answer, 8192);
    }
    let told = stage.told();
    let all: Vec<_> =
        told.iter().map(|act| (act.outcome().unwrap(), act.end.as_ref().unwrap().bytes.1)).collect();
    assert_eq!(all, [(Outcome::EndUnframed, answer.len() as u64); 2]);
}

#[test]
fn a_loss_costs_what_it_hides_only() {
    for lost in 0..6 {
        let mut stage = server(Some("a"));
        for (at, code) in [(0, 1001), (1, 1002), (2, 1003)] {
            let (ask, answer) = (query(&format!("DELETE FROM t{code}")), error(code));
            for (dir, bytes) in [(Rx, ask), (Tx, answer)] {
                let number = 2 * at + usize::from(dir == Tx);
                if number == lost { stage.lose(dir, &bytes) } else { stage.call(dir, &bytes) }
            }
        }
        let told = stage.told();
        for act in &told {
            if let Some(code) = act.error() {
                assert!(act.asked().ends_with(code), "{lost}: {act:?}");
            }
        }
        let whole = told.iter().filter(|act| act.error().is_some()).count();
        assert_eq!((told.len(), whole), (if lost % 2 == 0 { 2 } else { 3 }, 2), "{lost}");
        // The schema may have been changed by what was lost.
        let schema = told.last().unwrap().head.host.as_deref();
        assert_eq!(schema, if lost % 2 == 0 && lost < 4 { None } else { Some("a") }, "{lost}");
    }
}

#[test]
fn what_was_prepared_before_a_loss_is_not_known_after_it() {
    let mut stage = server(None);
    let head = b"\0\x01\0\0\0\0\0\0\0\0\0\0";
    says(&mut stage, &command(0x16, b"DELETE FROM t"), &packet(1, head));
    stage.lose(Rx, &command(0x1f, b""));
    stage.lose(Tx, &ok());
    says(&mut stage, &command(0x17, b"\x01\0\0\0\0\x01\0\0\0"), &ok());
    assert_eq!(stage.told()[1].asked(), "EXECUTE ");
}

#[test]
fn a_connection_that_was_open_before_is_recognised_from_either_side() {
    for (role, [asks, answers]) in [(Role::Unseen, [Rx, Tx]), (Role::Unseen, [Tx, Rx])] {
        for split in [false, true] {
            let mut stage = Stage::new(role);
            for number in 0..3 {
                let ask = query(&format!("SELECT a FROM t{number}"));
                // A server reads the header by itself, so that only the answer tells.
                let (head, rest) = ask.split_at(if split { 4 } else { 0 });
                stage.call(asks, head);
                stage.call(asks, rest);
                stage.call(answers, &if number == 0 { ok() } else { rows(true, &[b"1"]) });
            }
            let asked: Vec<String> = stage.told().iter().map(Act::asked).collect();
            let expected = ["SELECT SELECT a FROM t0", "SELECT SELECT a FROM t1", "SELECT SELECT a FROM t2"];
            assert_eq!(asked, expected[usize::from(split)..]);
        }
    }
}

#[test]
fn joining_within_rows_waits_for_the_next_command() {
    let mut stage = Stage::new(Role::Unseen);
    let answer = rows(true, &[b"1", b"2"]);
    stage.call(Rx, &answer[60..]);
    for number in 0..2 {
        stage.call(Tx, &query(&format!("SELECT a FROM t{number}")));
        stage.call(Rx, &rows(true, &[b"1"]));
    }
    assert_eq!(short(&stage.told()), fine(&["SELECT SELECT a FROM t0", "SELECT SELECT a FROM t1"]));
}

#[test]
fn an_answer_that_nobody_waited_for_is_not_the_next_ones() {
    let mut stage = server(None);
    stage.call(Tx, &packet(0, b"\xff\xbf\x0f#08S01Too long"));
    says(&mut stage, &query("SELECT 1"), &rows(true, &[]));
    assert_eq!(short(&stage.told()), fine(&["SELECT SELECT ?"]));
    assert_eq!(stage.ledger().tally.unrequested, 1);
}

#[test]
fn a_number_that_is_not_the_next_one_ends_all_belief() {
    let mut stage = server(None);
    says(&mut stage, &query("SELECT 1"), &packets(2, &[OK]));
    says(&mut stage, &query("SELECT 2"), &rows(true, &[]));
    let told = stage.told();
    assert_eq!(told[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(told[1].outcome(), Some(Outcome::Complete));
}

#[test]
fn a_client_that_sends_ahead_is_given_up_after_a_loss() {
    let mut stage = server(None);
    stage.call(Rx, &[query("SELECT 1"), query("SELECT 2")].concat());
    stage.lose(Tx, &rows(true, &[]));
    stage.call(Tx, &rows(true, &[]));
    says(&mut stage, &query("SELECT 3"), &rows(true, &[]));
    let told = stage.told();
    assert!(told.iter().all(|act| act.outcome() == Some(Outcome::ResponseUnseen)), "{told:?}");
    assert_eq!(stage.interests().last(), Some(&Interest::Nothing));
}

#[test]
fn random_bytes_and_other_protocols_are_not_recognised() {
    let mut dice = Dice::new(1);
    let mut data = [0; 64];
    for round in 0..200_000 {
        data.iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
        // Half of them begin with a length that fits.
        if round % 2 == 0 {
            data[..4].copy_from_slice(&[60, 0, 0, dice.below(2) as u8]);
        }
        let begin = Begin {
            data: &data,
            call_len: 64,
            dir: Direction::Rx,
            whole: round % 3 == 0,
            moved: (round % 3 != 0).then_some(Tx),
            role: Role::Unseen,
        };
        assert!(recognise(&begin).is_none(), "{data:?}");
    }
}

/// Whatever is out of sight, no answer is attached to another's command.
#[test]
fn right_or_absent() {
    let (mut whole, mut all) = (0, 0);
    for seed in 0..400u64 {
        let mut dice = Dice::new(seed);
        let mut stage = if seed % 2 == 0 { server(None) } else { Stage::new(Role::Unseen) };
        for number in 0..30u16 {
            let code = 1000 + number;
            let mut ask =
                query(&format!("DELETE FROM t{code} WHERE a = '{}'", "x".repeat(dice.below(2_000) as usize)));
            let text = vec![b'x'; dice.below(200) as usize];
            let many = vec![&text[..]; dice.below(60) as usize];
            let mut rows = rows(seed % 4 < 2, &many);
            // An error in the place of the end.
            let end = if seed % 4 < 2 { 9 } else { 11 };
            let last = rows.split_off(rows.len() - end)[3];
            let mut answer = match dice.below(3) {
                0 => error(code),
                _ => [rows, packet(last, &[b"\xff", &code.to_le_bytes()[..], b"#HY000x"].concat())].concat(),
            };
            if seed % 8 == 7 && dice.below(6) == 0 {
                ask.extend(query("DELETE FROM t9999"));
                answer.extend(error(9999));
            }
            for (dir, bytes) in [(Rx, ask), (Tx, answer)] {
                for call in dice.split(&bytes) {
                    let most = match dice.below(40) {
                        0 if seed % 3 > 0 => 0,
                        1..=4 if seed % 3 > 0 => dice.below(300) as usize,
                        _ => usize::MAX,
                    };
                    if most == 0 { stage.lose(dir, call) } else { stage.cut(dir, call, most) }
                }
            }
        }
        for act in stage.told() {
            all += 1;
            if let Some(code) = act.error() {
                whole += 1;
                let table = format!("DELETE FROM t{code}");
                assert!(act.head.target.starts_with(&table) || act.head.truncated, "{seed}: {act:?}");
            }
        }
    }
    assert!(whole * 10 > all * 6, "{whole} of {all}");
}
