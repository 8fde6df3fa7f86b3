//! Any conversation, sent ahead or not, with or without numbers that tell commands apart, in any split, joined anywhere and with parts
//! out of sight: what is told is right or absent.

use super::{ask, packet, say};
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::protocol::scripted::{Line, Part, Script, Told};

/// A command, perhaps at the end of quiet ones, and its answer.
fn exchange(script: &mut Script, number: u32, opaque: u32) -> (Line, Line) {
    let (is_hidden, dice) = (script.is_hidden(), &mut script.dice);
    let value = vec![b'y'; dice.below(600) as usize];
    let (status, error) = match dice.below(4) {
        0 => (0x82, Some("OUT_OF_MEMORY")),
        1 => (0x84, Some("INTERNAL_ERROR")),
        2 => (1, None),
        _ => (0, None),
    };
    let (name, asks, answer, error) = match dice.below(6) {
        0 => ("set set ?", ask(1, opaque, "k", &value), say(1, opaque, status, b""), error),
        1 => ("delete delete ?", ask(4, opaque, "k", b""), say(4, opaque, status, b""), error),
        2 => {
            let line = packet(0x81, 0x10, 0, opaque, [b"", b"pid", &value]).repeat(dice.below(3) as usize);
            ("stats stats", ask(0x10, opaque, "", b""), [line, say(0x10, opaque, 0, b"")].concat(), None)
        }
        // Of one that was begun before the tracer came, the end is one by itself.
        3 if !is_hidden => {
            let quiet = ask(0x0d, opaque, "k", b"").repeat(dice.below(3) as usize + 1);
            let hits = say(0x0d, opaque, status, &value).repeat(dice.below(2) as usize);
            let error = error.filter(|_| !hits.is_empty());
            let (end, over) = (ask(0x0a, opaque, "", b""), say(0x0a, opaque, 0, b""));
            ("get get ?", [quiet, end].concat(), [hits, over].concat(), error)
        }
        _ => ("get get ?", ask(0, opaque, "k", b""), say(0, opaque, status, &value), error),
    };
    let answered = Part::Answers(number, error.map(str::to_owned));
    (Line::new([Part::Asks(number, name.to_owned())], asks), Line::new([answered], answer))
}

#[test]
fn conversations_are_told_right_or_not_at_all() {
    let mut found = Told::default();
    for seed in 0..300 {
        let mut script = Script::new(seed, Role::Passive);
        let (ahead, mut number, is_numbered) = (1 + script.dice.below(4), 0, script.dice.below(2) == 0);
        script.say(Rx, &[Line::new([Part::Asks(1000, "get get ?".to_owned())], ask(0, 0, "k", b""))]);
        script.say(Tx, &[Line::new([Part::Answers(1000, None)], say(0, 0, 0, b""))]);
        for _ in 0..25 {
            let (mut asks, mut answers) = (Vec::new(), Vec::new());
            for _ in 0..=script.dice.below(ahead) {
                let opaque = if is_numbered { number } else { 0 };
                let (ask, answer) = exchange(&mut script, number, opaque);
                asks.push(ask);
                answers.push(answer);
                number += 1;
            }
            script.say(Rx, &asks);
            script.say(Tx, &answers);
        }
        found += script.check();
    }
    assert!(found.told * 2 > found.asked && found.complete * 5 > found.asked * 2, "{found:?}");
}
