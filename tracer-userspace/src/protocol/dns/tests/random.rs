//! Any conversation over TCP, answered in any order, in any split, joined anywhere and with parts out of sight: what is told is right
//! or absent.

use super::{A, answer, framed, query};
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::dns_code;
use crate::protocol::scripted::{Line, Part, Script, Told};

#[test]
fn conversations_are_told_right_or_not_at_all() {
    let mut found = Told::default();
    for seed in 0..300 {
        let (role, asking) = if seed % 2 == 0 { (Role::Active, Tx) } else { (Role::Passive, Rx) };
        let mut script = Script::new(seed, role);
        let (ahead, mut number) = (1 + script.dice.below(6), 0);
        for _ in 0..15 {
            let mut open = Vec::new();
            for _ in 0..=script.dice.below(ahead) {
                // The same number for different names, the same name under different numbers.
                let lookup = (script.dice.below(3) as u16, format!("h{}.x", script.dice.below(3)));
                if open.iter().any(|(_, other)| *other == lookup) {
                    continue;
                }
                let part = Part::Asks(number, format!("A {}", lookup.1));
                script.say(asking, &[Line::new([part], framed(&query(lookup.0, &lookup.1, A)))]);
                open.push((number, lookup));
                number += 1;
            }
            let mut answers = Vec::new();
            while !open.is_empty() {
                let at = script.dice.below(open.len() as u64) as usize;
                let (number, (id, host)) = open.swap_remove(at);
                let code = script.dice.below(6) as u16;
                let error = dns_code::name(code).filter(|_| dns_code::is_failure(code));
                let part = Part::Answers(number, error.map(str::to_owned));
                answers.push(Line::new([part], framed(&answer(id, &host, A, code))));
            }
            script.say(asking.opposite(), &answers);
        }
        found += script.check();
    }
    assert!(found.told * 3 > found.asked && found.complete * 4 > found.asked, "{found:?}");
}
