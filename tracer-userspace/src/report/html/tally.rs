//! How often, how long, how many failed: of whatever can be numbered.

use serde::Serialize;

use crate::measure::{Counts, Measured, quantile};

/// Buckets of the distribution per doubling of the duration.
pub(super) const STEPS: f64 = 8.0;

/// What is said of the spans of one kind. Times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Tally {
    pub count: u64,
    pub errors: u64,
    /// Whose end was not seen. They are in no latency.
    pub incomplete: u64,
    pub p50: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
    /// All durations together.
    pub total: u64,
    /// Of it what no child covers.
    pub own: u64,
    /// The distribution: bucket, count, bucket, count…; bucket n holds what is from 2^(n/8) to less than 2^((n+1)/8).
    pub buckets: Vec<u64>,
}

/// One span, as it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Of what kind.
    pub kind: u32,
    pub measured: Measured,
    pub own: u64,
}

/// Counts, by kind: as many tallies as there are kinds.
pub(super) fn tallies(mut samples: Vec<Sample>, kinds: usize) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); kinds];
    samples.sort_unstable_by_key(|sample| (sample.kind, sample.measured.duration));
    for of_one in samples.chunk_by(|one, other| one.kind == other.kind) {
        let Some(tally) = of_one.first().and_then(|first| tallies.get_mut(first.kind as usize)) else {
            continue;
        };
        *tally = tally_of(of_one);
    }
    tallies
}

/// Of samples by duration.
fn tally_of(samples: &[Sample]) -> Tally {
    let mut tally = Tally::default();
    let mut counts = Counts::default();
    let mut whole = Vec::with_capacity(samples.len());
    for sample in samples {
        tally.total = tally.total.saturating_add(sample.measured.duration);
        tally.own = tally.own.saturating_add(sample.own);
        let Some(duration) = counts.add(sample.measured) else { continue };
        whole.push(duration);
        let bucket = bucket(duration);
        match tally.buckets.as_mut_slice() {
            [.., last, count] if *last == bucket => *count += 1,
            _ => tally.buckets.extend([bucket, 1]),
        }
    }
    Counts { requests: tally.count, errors: tally.errors, incomplete: tally.incomplete } = counts;
    [tally.p50, tally.p95, tally.p99, tally.max] =
        [50, 95, 99, 100].map(|percent| quantile(&whole, percent).unwrap_or_default());
    tally
}

fn bucket(nanos: u64) -> u64 {
    ((nanos.max(1) as f64).log2() * STEPS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(kind: u32, duration: u64) -> Sample {
        Sample { kind, measured: Measured { duration, ..Measured::default() }, own: 1 }
    }

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let mut samples: Vec<Sample> = (1..=200).rev().map(|n| sample(1, n * 1_000)).collect();
        let cut = Measured { duration: 1_000_000, is_error: true, is_incomplete: true };
        samples.push(Sample { measured: cut, ..sample(1, 0) });
        let [none, tally] = tallies(samples, 2).try_into().unwrap();
        assert_eq!(none, Tally::default());
        assert_eq!((tally.count, tally.errors, tally.incomplete, tally.own), (201, 1, 1, 201));
        assert_eq!([tally.p50, tally.p95, tally.p99, tally.max], [100_000, 190_000, 198_000, 200_000]);
        assert_eq!(tally.total, (1..=200).sum::<u64>() * 1_000 + 1_000_000);
        assert_eq!(tally.buckets.chunks(2).map(|pair| pair[1]).sum::<u64>(), 200);
    }

    #[test]
    fn buckets_hold_what_they_say() {
        for nanos in [0, 1, 2, 3, 1_000, 123_456_789, u64::MAX] {
            let bucket = bucket(nanos) as f64;
            let nanos = nanos.max(1) as f64;
            assert!(
                (bucket / STEPS).exp2() <= nanos * 1.000_001
                    && nanos <= ((bucket + 1.0) / STEPS).exp2() * 1.000_001
            );
        }
    }
}
