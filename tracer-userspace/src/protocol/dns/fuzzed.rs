//! Lookups over TCP and UDP: messages, pieces of them and raw bytes, in any order.

use std::net::IpAddr;

use crate::event::{Datagram, Direction, Stamp};
use crate::fuzzed::Input;
use crate::protocol::Limits;
use crate::protocol::rehearse::improvise;
use crate::stream::simulate::collect;
use crate::stream::{Apparent, Streams};
use crate::time::Nanos;

const PHRASES: [&[u8]; 8] = [
    b"\x00\x17\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01",
    b"\x00\x17\x00\x07\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01A\x02bc\x00\x00\x01\x00\x01",
    b"\x00\x17\x00\x07\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x1c\x00\x01",
    b"\x00\x17\x00\x08\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x1c\x00\x01",
    b"\x00\x0c\x00\x07\x81\x81\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\x22\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01a\x02bc\x00\x00\x01\x00\x01\x00\x00\x29\x05\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\x27\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x02bc\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\x01\x02\x03\x04",
    b"\x00\x17",
];

/// Any bytes are such conversations. The first says whether they are on a stream.
pub(crate) fn run(data: &[u8]) {
    match data.split_first() {
        Some((how, rest)) if how & 1 == 0 => improvise(rest, &PHRASES),
        Some((_, rest)) => datagrams(rest),
        None => {}
    }
}

fn datagrams(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits { connections: 4, outstanding: 3, names: 8, ..Limits::default() };
    let (mut streams, mut steps, mut apparent) = (Streams::new(limits), Vec::new(), Apparent::default());
    let (mut now, mut message) = (1_000_000_000u64, Vec::new());
    let ip = IpAddr::from([127, 0, 0, 1]);
    while !input.is_empty() {
        let (choice, socket) = (input.byte(), u64::from(input.byte()));
        message.clear();
        message.extend_from_slice(
            PHRASES
                .get(usize::from(choice >> 3) % PHRASES.len())
                .and_then(|phrase| phrase.get(2..))
                .unwrap_or_default(),
        );
        if choice & 4 != 0 {
            message.truncate(usize::from(input.byte()));
            message.extend_from_slice(input.take(usize::from(choice >> 4)));
        }
        now += u64::from(input.byte()) << (choice & 0x1f);
        let stamp = Stamp { at: Nanos(now), tgid: 1, tid: 1 + (socket as u32 >> 7), ..Stamp::default() };
        let beyond = if choice & 0x80 != 0 { socket as u32 } else { 0 };
        let datagram = Datagram {
            sk: 1 + (socket & 3),
            inode: 1 + (socket >> 2 & 1),
            stamp,
            dir: if choice & 1 == 0 { Direction::Rx } else { Direction::Tx },
            local: (ip, 5350 + (socket >> 4 & 3) as u16),
            remote: (socket & 8 == 0).then_some((ip, 53)),
            netns: 1,
            len: (message.len() as u32).saturating_add(beyond),
            data: &message,
            refused: choice == 0xff,
        };
        match socket {
            250.. => streams.on_time(Nanos(now), socket == 255, &mut apparent, &mut steps),
            _ if datagram.refused => {
                streams.on_datagram(&Datagram { len: 0, data: &[], ..datagram }, &mut apparent, &mut steps)
            }
            _ => streams.on_datagram(&datagram, &mut apparent, &mut steps),
        }
        assert!(streams.ledger().closes(), "{:?}", streams.ledger());
        assert!(streams.open_connections() <= 4);
    }
    streams.finish(Nanos(now), &mut steps);
    assert_eq!(streams.open_connections(), 0);
    if let Err(error) = collect(&steps) {
        panic!("{error}");
    }
}
