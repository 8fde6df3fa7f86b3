//! Any conversation, sent ahead or not, with or without numbers that tell commands apart, in any split, joined anywhere and with parts
//! out of sight: what is told is right or absent.

use super::{ask, packet, say};
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::protocol::scripted::{Line, Pace, Part, Script, Told, Turn};

/// So many conversations of each kind.
const SEEDS: u64 = 300;

/// A command and its answer, or quiet ones, the command that ends them, and theirs.
fn exchange(script: &mut Script, number: u32, is_numbered: bool) -> Vec<Turn> {
    let (is_hidden, dice) = (script.is_hidden(), &mut script.dice);
    let opaque = if is_numbered { number * 8 } else { 0 };
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
        3 | 4 if !is_hidden => return batch(script, number, is_numbered),
        _ => ("get get ?", ask(0, opaque, "k", b""), say(0, opaque, status, &value), error),
    };
    let answered = Part::Answers(number, error.map(str::to_owned));
    vec![(Line::new([Part::Asks(number, name.to_owned())], asks), Some(Line::new([answered], answer)))]
}

/// Quiet commands, of which some have something to say, and their end. What a client gathers is sent when its buffer is full, somewhere
/// within a command; the server answers what it has read, be the end there or not.
fn batch(script: &mut Script, number: u32, is_numbered: bool) -> Vec<Turn> {
    let dice = &mut script.dice;
    let (name, opcode, many) = match dice.below(2) {
        0 => ("get get ?", 0x0d, 0),
        _ => ("set set ?", 0x11, 200),
    };
    let opaque = |at: u32| if is_numbered { number * 8 + at } else { 0 };
    let quiet = 1 + dice.below(5) as u32;
    let mut talk = Vec::new();
    for at in 0..quiet {
        let value = vec![b'y'; dice.below(200) as usize];
        let error = [None, Some("OUT_OF_MEMORY"), None, None][dice.below(4) as usize];
        let status = if error.is_some() { 0x82 } else { 0 };
        // A command that is done says nothing; a value that is found is said.
        let speaks = error.is_some() || (opcode == 0x0d && dice.below(2) == 0);
        let asks = ask(opcode, opaque(at), "k", &vec![b'y'; dice.below(many) as usize]);
        talk.push((asks, speaks.then(|| (error, say(opcode, opaque(at), status, &value)))));
    }
    talk.push((ask(0x0a, opaque(quiet), "", b""), Some((None, say(0x0a, opaque(quiet), 0, b"")))));
    let all: Vec<u8> = talk.iter().flat_map(|(asks, _)| asks.iter().copied()).collect();
    let (mut turns, mut rest) = (Vec::new(), &all[..]);
    for (at, (asks, answer)) in talk.into_iter().enumerate() {
        let within = if at == 0 { 10 } else { 0 };
        let (now, later) = rest.split_at(rest.len().min(asks.len() + within));
        rest = later;
        let part = if at == 0 { Part::Asks(number, name.to_owned()) } else { Part::AsksOn(number) };
        let answer =
            answer.map(|(error, bytes)| Line::new([Part::Answers(number, error.map(str::to_owned))], bytes));
        turns.push((Line::new([part], now), answer));
    }
    turns
}

/// The first call shows which protocol it is.
fn greet(script: &mut Script) {
    script.say(Rx, &[Line::new([Part::Asks(1000, "get get ?".to_owned())], ask(0, 8000, "k", b""))]);
    script.say(Tx, &[Line::new([Part::Answers(1000, None)], say(0, 8000, 0, b""))]);
}

/// A command is sent while another one waits.
fn hurry(script: &mut Script) {
    for number in [1001, 1002] {
        script.say(Rx, &[Line::new([Part::Asks(number, "delete delete ?".to_owned())], ask(4, 0, "k", b""))]);
    }
    for number in [1001, 1002] {
        script.say(Tx, &[Line::new([Part::Answers(number, None)], say(4, 0, 0, b""))]);
    }
}

/// So many conversations.
fn play(seeds: impl Iterator<Item = u64>, holds: bool, is_numbered: bool) -> Told {
    let mut found = Told::default();
    for seed in seeds {
        let mut script = Script::new(seed, Role::Passive);
        if holds && !is_numbered {
            // That the client does not wait can be seen; that some wait already when the tracer comes cannot.
            if script.is_joined() {
                continue;
            }
            script.in_sight(|script| {
                greet(script);
                hurry(script);
            });
        } else {
            greet(&mut script);
        }
        let pace = Pace { exchanges: 60, ahead: 1 + script.dice.below(4), holds };
        script.converse(Rx, pace, |script, number| exchange(script, number, is_numbered));
        found += script.check();
    }
    found
}

#[test]
fn batches_are_told_right_or_not_at_all() {
    for is_numbered in [false, true] {
        let found = play(0..SEEDS, false, is_numbered);
        assert!(found.told * 2 > found.asked && found.complete * 5 > found.asked * 2, "{found:?}");
    }
}

#[test]
fn what_is_held_back_is_told_right_or_not_at_all() {
    let found = play(0..SEEDS, true, true);
    assert!(found.told * 5 > found.asked * 2 && found.complete * 3 > found.asked, "{found:?}");
}

#[test]
fn what_is_held_back_without_numbers_is_told_right_or_not_at_all() {
    let found = play(0..SEEDS, true, false);
    assert!(found.told * 5 > found.asked * 2 && found.complete * 3 > found.asked, "{found:?}");
}
