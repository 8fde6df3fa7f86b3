//! What a capture may claim, and no tracer would write.

use std::sync::Arc;

use super::*;
use crate::exchange::{ExchangeId, RequestHead, Side};

fn request(conn: u64, tgid: u32, at: u64) -> Observation {
    Observation::Step(Step::Request {
        id: ExchangeId { conn: ConnId { sk: conn, born: 1 }, number: 0 },
        side: Side::Server,
        first: Nanos(at),
        stamp: Stamp { at: Nanos(at), tgid, tid: tgid, ..Stamp::default() },
        seq: 0,
        head: RequestHead {
            method: Arc::from("GET"),
            target: "/".into(),
            minor_version: 1,
            ..RequestHead::default()
        },
    })
}

fn analysed(observations: impl IntoIterator<Item = Observation>) -> (Vec<Span>, Stats) {
    let mut analysis = Analysis::new(ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 });
    let mut spans = Vec::new();
    for observation in observations {
        analysis.observe(observation, &mut |span| spans.push(span));
    }
    analysis.finish(&mut |span| spans.push(span));
    (spans, analysis.stats())
}

#[test]
fn a_second_request_of_the_same_name_is_not_told() {
    // Both would have the same id, and one of them could become its own parent.
    let (spans, stats) = analysed([request(1, 1, 10), request(1, 1, 10), request(2, 1, 10)]);
    assert_eq!((spans.len(), stats.stray_steps), (2, 1));
}

#[test]
fn what_waits_for_a_watermark_that_never_comes_is_decided_all_the_same() {
    let mut analysis = Analysis::new(ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 });
    let (mut early, mut late) = (0, 0);
    for number in 0..300_000 {
        analysis.observe(request(number, 1, number * 1_000_000), &mut |_| early += 1);
    }
    analysis.finish(&mut |_| late += 1);
    assert_eq!(early + late, 300_000);
    assert!(early > 100_000, "{early}");
}

#[test]
fn more_processes_than_there_can_be_are_forgotten_and_no_span_is() {
    let requests = (0..250_000).map(|number| request(number, number as u32, number));
    let (spans, _) = analysed(requests);
    assert_eq!(spans.len(), 250_000);
}
