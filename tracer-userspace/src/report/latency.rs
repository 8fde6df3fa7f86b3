//! Latencies of a service in bounded memory, and the tally of its requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exchange::Side;
use crate::measure::{Counts, rank};
use crate::trace::Span;

/// Buckets per power of two: a quantile is at most 1/128 = 0.8 % too high, less than the digits that are printed.
const STEPS: u32 = 128;
const BUCKETS: usize = (STEPS as usize) * 60;

/// A histogram of durations, logarithmic, with the exact maximum.
#[derive(Clone, Debug)]
pub struct Latency {
    buckets: Vec<u32>,
    count: u64,
    max: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { buckets: vec![0; BUCKETS], count: 0, max: 0 }
    }
}

impl Latency {
    /// Adds a duration, ns.
    pub fn add(&mut self, nanos: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, ns.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The duration that so many of a hundred do not exceed, ns; 0 without any.
    pub fn quantile(&self, percent: u8) -> u64 {
        let rank = rank(self.count, percent);
        let mut seen = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen += u64::from(*bucket);
            if seen >= rank {
                return upper_bound(at).min(self.max);
            }
        }
        self.max
    }
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < u64::from(STEPS) {
        return nanos as usize;
    }
    let power = nanos.ilog2() - STEPS.ilog2();
    let step = (nanos >> power) as u32 - STEPS;
    ((power + 1) * STEPS + step) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    let (row, step) = (bucket as u64 / u64::from(STEPS), bucket as u64 % u64::from(STEPS));
    match row {
        0 => step,
        row => (((u128::from(STEPS) + u128::from(step) + 1) << (row - 1)) - 1).min(u64::MAX.into()) as u64,
    }
}

/// The requests that a service answered, or made where nobody answered on this host.
#[derive(Clone, Debug, Default)]
pub struct ServiceTally {
    /// How long they took. Only those that were seen to their end.
    pub latency: Latency,
    /// All of them.
    pub counts: Counts,
}

/// Tallies of all services, by name.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    services: BTreeMap<Arc<str>, ServiceTally>,
}

impl Tally {
    /// Counts a span; client spans do not count, their servers' do.
    pub fn add(&mut self, span: &Span) {
        if span.tags.kind == Side::Client {
            return;
        }
        let service = match self.services.get_mut(&span.service_name) {
            Some(service) => service,
            None => self.services.entry(span.service_name.clone()).or_default(),
        };
        if let Some(duration) = service.counts.add(span.into()) {
            service.latency.add(duration);
        }
    }

    /// By name.
    pub fn services(&self) -> impl Iterator<Item = (&str, &ServiceTally)> {
        self.services.iter().map(|(name, tally)| (&**name, tally))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket_and_buckets_are_narrow() {
        for nanos in (0..64).map(|power| 1u64 << power).flat_map(|n| [n - 1, n, n + n / 3]).chain([u64::MAX])
        {
            let bucket = bucket_of(nanos);
            assert!(bucket < BUCKETS, "{nanos}");
            assert!(upper_bound(bucket) >= nanos, "{nanos}");
            assert!(upper_bound(bucket) - nanos <= nanos / 128 + 1, "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_close() {
        let mut latency = Latency::default();
        for nanos in 1..=10_000u64 {
            latency.add(nanos * 1000);
        }
        for (percent, exact) in [(50, 5_000_000), (95, 9_500_000), (99, 9_900_000), (100, 10_000_000)] {
            let got = latency.quantile(percent);
            assert!(got >= exact && got <= exact + exact / 128, "{percent}: {got}");
        }
        assert_eq!(Latency::default().quantile(50), 0);
    }
}
