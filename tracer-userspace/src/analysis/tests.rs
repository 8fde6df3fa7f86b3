//! The analysis of a simulated host: right, the same every time, and in memory that does not grow with its length.

use super::simulate::Counts;
use super::{Analysis, Observation, simulate};
use crate::export::json::ToJson;
use crate::tcap::{Reader, Told};
use crate::trace::Stats;

/// A capture file of at least so many calls.
fn capture(calls: u64) -> (Vec<u8>, Counts) {
    let mut file = Vec::new();
    let counts = simulate::write(calls, &mut file).unwrap().counts;
    (file, counts)
}

struct Analysed {
    stats: Stats,
    /// The most that was remembered when a watermark had been dealt with, and at the end.
    most: usize,
    left: usize,
    /// A sum over the output.
    sum: u32,
}

fn analyse(file: &[u8]) -> Analysed {
    let mut reader = Reader::open(file).unwrap();
    let mut analysis = Analysis::new(reader.description().clock);
    let (mut most, mut sum, mut json) = (0, crc32fast::Hasher::new(), Vec::new());
    let mut out = |span: crate::trace::Span| {
        json.clear();
        span.to_json(&mut json);
        sum.update(&json);
    };
    while let Some(told) = reader.read_next().unwrap() {
        let Told::Observation(observation) = told else { continue };
        let decides = matches!(observation, Observation::Watermark(_));
        analysis.observe(observation, &mut out);
        if decides {
            most = most.max(analysis.held());
        }
    }
    analysis.finish(&mut out);
    assert_eq!((reader.damages.len(), reader.unknown_observations), (0, 0));
    Analysed { stats: analysis.stats(), most, left: analysis.held(), sum: sum.finalize() }
}

#[test]
fn what_is_simulated_is_found_again() {
    let (file, counts) = capture(20_000);
    let Analysed { stats, sum, .. } = analyse(&file);
    assert!(counts.calls >= 20_000 && counts.connections > 1_500, "{counts:?}");
    assert_eq!(stats.spans, counts.exchanges);
    // Every call with two observed ends is joined.
    assert_eq!(stats.joined, counts.exchanges - counts.calls);
    assert_eq!((stats.forced, stats.stray_steps, stats.late_steps), (0, 0, 0), "{stats:?}");
    // Nearly every call has the request that made it; the short-lived processes have none to name.
    assert!(stats.linked * 100 >= stats.clients * 95, "{stats:?}");
    let (same, _) = capture(20_000);
    assert!(file == same);
    assert_eq!(analyse(&same).sum, sum);
}

#[test]
fn what_is_remembered_does_not_grow_with_the_length_of_a_capture() {
    // 400 000 exchanges in nine seconds, and a quarter: closed connections are remembered for two seconds.
    let (long, counts) = capture(244_000);
    let (short, _) = capture(61_000);
    assert!(counts.exchanges >= 400_000, "{counts:?}");
    let (long, short) = (analyse(&long), analyse(&short));
    let told = format!(
        "peak {} against {}, most {} against {}, left {} against {}",
        long.stats.peak, short.stats.peak, long.most, short.most, long.left, short.left
    );
    // A few calls that are weighed hold those who may have made them, and nobody else: 45 000 exchanges a second go by.
    assert_eq!((long.stats.forced, short.stats.forced), (0, 0));
    assert!(long.stats.peak <= 10_000, "{told}");
    assert!(long.stats.peak * 100 <= short.stats.peak * 105, "{told}");
    assert!(long.most * 100 <= short.most * 110, "{told}");
    // At the end little is there beside the connections, so that one that is not forgotten shows.
    assert!(long.left * 100 <= short.left * 110, "{told}");
}
