//! Any conversation, sent ahead or not, in any split, joined anywhere and with parts out of sight: what is told is right or absent.

use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::protocol::scripted::{Line, Part, Script, Told};

/// A command, and its answer.
fn exchange(script: &mut Script, number: u32) -> (Line, Option<Line>) {
    let (is_hidden, dice) = (script.is_hidden(), &mut script.dice);
    // The end of a value may look like that of all of them.
    let value = "y".repeat(dice.below(600) as usize) + if dice.below(6) == 0 { "\r\nEND" } else { "" };
    let (len, error) = (value.len(), dice.below(4) == 0);
    let asks = |name: &str| Part::Asks(number, name.to_owned());
    let (part, ask, answer, code) = match dice.below(7) {
        0 => (asks("incr incr ?"), "incr a 1\r\n".to_owned(), "17\r\n".to_owned(), None),
        1 => {
            let ask = format!("set a 0 0 {len} noreply\r\n{value}\r\n");
            return (Line::new([Part::Says(number, "set set ?".to_owned())], ask), None);
        }
        2 => (asks("set set ?"), format!("set a 0 0 {len}\r\n{value}\r\n"), "STORED\r\n".to_owned(), None),
        // Of one that was begun before the tracer came, the end is one by itself.
        3 if !is_hidden => {
            let ask = "mg a v q\r\n".repeat(dice.below(3) as usize + 1) + "mn\r\n";
            let answer = format!("VA {len}\r\n{value}\r\n").repeat(dice.below(2) as usize);
            (asks("mg mg ?"), ask, answer + "MN\r\n", None)
        }
        4 => {
            let stats = "STAT pid 1\r\n".repeat(dice.below(5) as usize);
            (asks("stats stats"), "stats\r\n".to_owned(), stats + "END\r\n", None)
        }
        5 if error => {
            (asks("touch touch ?"), "touch a 5\r\n".to_owned(), "ERROR\r\n".to_owned(), Some("ERROR"))
        }
        _ => {
            let values = format!("VALUE a 0 {len}\r\n{value}\r\n").repeat(dice.below(3) as usize);
            (asks("get get ?"), "get a b c\r\n".to_owned(), values + "END\r\n", None)
        }
    };
    let (answer, code) = match error && code.is_none() && !ask.starts_with("mg") {
        true => ("SERVER_ERROR out of memory\r\n".to_owned(), Some("SERVER_ERROR")),
        false => (answer, code),
    };
    let answered = Part::Answers(number, code.map(str::to_owned));
    (Line::new([part], ask), Some(Line::new([answered], answer)))
}

#[test]
fn conversations_are_told_right_or_not_at_all() {
    let mut found = Told::default();
    for seed in 0..300 {
        let mut script = Script::new(seed, Role::Passive);
        let (ahead, mut number) = (1 + script.dice.below(4), 0);
        // The first call shows which protocol it is.
        script.say(Rx, &[Line::new([Part::Asks(1000, "get get ?".to_owned())], "get a\r\n")]);
        script.say(Tx, &[Line::new([Part::Answers(1000, None)], "END\r\n")]);
        for _ in 0..25 {
            let (mut asks, mut answers) = (Vec::new(), Vec::new());
            for _ in 0..=script.dice.below(ahead) {
                let (ask, answer) = exchange(&mut script, number);
                asks.push(ask);
                answers.extend(answer);
                number += 1;
            }
            script.say(Rx, &asks);
            script.say(Tx, &answers);
        }
        found += script.check();
    }
    assert!(found.told * 2 > found.asked && found.complete * 5 > found.asked * 2, "{found:?}");
}
