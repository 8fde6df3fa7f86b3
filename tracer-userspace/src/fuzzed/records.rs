//! The ring's records, as bytes: what decodes must be usable, whatever it says.

use super::Input;
use crate::capture::decode;
use crate::event::Event;
use crate::exchange::Step;
use crate::protocol::Limits;
use crate::stream::simulate::collect;
use crate::stream::{Apparent, Streams};
use crate::time::Nanos;

/// Cuts `data` into records and hands what they say to the streams.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits { connections: 8, outstanding: 8, strangers: 8, names: 8, ..Limits::default() };
    let (mut streams, mut steps) = (Streams::new(limits), Vec::<Step>::new());
    while !input.is_empty() {
        let len = usize::from(input.word() % 512);
        let bytes = input.take(len);
        match decode::event(bytes) {
            None => {}
            Some(Event::Open(open)) => streams.on_open(&open),
            Some(Event::Segment(segment)) => {
                assert!(segment.data.len() <= bytes.len());
                streams.on_segment(&segment, &mut steps);
            }
            Some(Event::Counts(counts)) => streams.on_counts(&counts, &mut steps),
            Some(Event::Datagram(datagram)) => {
                streams.on_datagram(&datagram, &mut Apparent::default(), &mut steps);
            }
            Some(Event::Missed { at }) => streams.on_missed(at, &mut steps),
            Some(Event::Process { .. }) => {}
        }
        // Counts are full, and stay so, where the kernel's are beyond all measure: then the account cannot close.
        let ledger = streams.ledger();
        assert!(ledger.closes() || ledger.seen > u64::MAX / 4, "{ledger:?}");
    }
    streams.finish(Nanos(u64::MAX), &mut steps);
    if let Err(error) = collect(&steps) {
        panic!("{error}");
    }
    assert_eq!((streams.open_connections(), streams.ledger().pending), (0, 0));
}
