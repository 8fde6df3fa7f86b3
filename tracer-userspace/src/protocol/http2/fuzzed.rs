//! Conversations, and header blocks, out of any bytes.

use super::hpack::{self, Fields, Table};
use super::script::Script;
use super::watch::Watch;
use crate::event::{Direction, Role};
use crate::fuzzed::Input;

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => blocks(&mut input),
        1 => calls(&mut input),
        kind => {
            let (server, joined) = (input.byte() & 1 == 1, usize::from(input.byte()));
            let cuts: Vec<u16> = (0..input.byte() % 6).map(|_| input.word() % 600).collect();
            let hidden: Vec<u8> = input.bytes().to_vec();
            let script = Script::new(&mut input);
            if kind == 2 {
                script.check_whole(&cuts, server);
                script.check_joined(joined, server);
            } else {
                let joined = if joined < 128 { 0 } else { joined % (script.steps() + 1) };
                script.check_holes(&cuts, server, &hidden, joined);
            }
        }
    }
}

/// Any bytes as header blocks: bounded, and a table with a hole knows no more than one without.
fn blocks(input: &mut Input<'_>) {
    let (mut whole, mut holed) = (Table::new(true), Table::new(false));
    let (mut all, mut some) = (Fields::default(), Fields::default());
    while !input.is_empty() {
        let cut = input.byte() & 1 == 1;
        let block = input.bytes();
        let fine = hpack::decode(&mut whole, block, cut, &mut all);
        if !fine || cut {
            return;
        }
        if hpack::decode(&mut holed, block, cut, &mut some) {
            for (known, found) in all.iter().zip(some.iter()) {
                assert!(found.0.is_none() || found.0 == known.0, "{known:?} {found:?}");
                assert!(found.1.is_none() || found.1 == known.1, "{known:?} {found:?}");
            }
        }
    }
}

/// Any bytes as calls, behind a preface or not: nothing breaks, and the account closes.
fn calls(input: &mut Input<'_>) {
    let bits = input.byte();
    let role = if bits & 1 == 0 { Role::Unseen } else { Role::Active };
    let mut watch = Watch::new(bits & 2 == 0, role);
    if bits & 4 == 0 {
        let mut client = super::peer::Peer::default();
        client.preface();
        let bytes = client.take();
        watch.call(Direction::Tx, 0, &bytes, bytes.len());
    }
    while !input.is_empty() {
        let bits = input.byte();
        let dir = if bits & 1 == 0 { Direction::Rx } else { Direction::Tx };
        let bytes = input.bytes();
        let captured = if bits & 6 == 6 { bytes.len() / 2 } else { bytes.len() };
        watch.call(dir, 0, bytes, captured);
        if bits & 0xf8 == 0xf8 {
            watch.lose();
        }
    }
    let _told = watch.end(bits & 8 == 0);
}
