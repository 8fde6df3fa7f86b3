//! Latencies of a service in bounded memory, and the tally of its requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::exchange::Side;
use crate::trace::Span;

/// Buckets per power of two: a quantile is at most 1/32 = 3 % too high.
const STEPS: u32 = 32;
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

    /// The duration that `share` (0 to 1) of all do not exceed, ns; 0 without any.
    pub fn quantile(&self, share: f64) -> u64 {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
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

/// What so many of a hundred sorted values do not exceed; 0 without any.
pub fn nearest_rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
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
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those that were not seen to their end.
    pub incomplete: u64,
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
        service.requests += 1;
        service.errors += u64::from(span.tags.error);
        if span.tags.incomplete {
            service.incomplete += 1;
        } else {
            service.latency.add(span.duration);
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
            assert!(upper_bound(bucket) - nanos <= nanos / 32 + 1, "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_close() {
        let mut latency = Latency::default();
        for nanos in 1..=10_000u64 {
            latency.add(nanos * 1000);
        }
        for (share, exact) in [(0.5, 5_000_000), (0.95, 9_500_000), (0.99, 9_900_000), (1.0, 10_000_000)] {
            let got = latency.quantile(share);
            assert!(got >= exact && got <= exact + exact / 30, "{share}: {got}");
        }
        assert_eq!(Latency::default().quantile(0.5), 0);
    }
}
