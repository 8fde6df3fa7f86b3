//! Durations, by buckets whose bounds never change.

/// Upper bounds of the buckets that are counted, ns, each included in its bucket: all that any output asks for.
const FINEST: [u64; 21] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// The bounds of our own metrics, ns: 1, 2.5 and 5 of every power of ten from 100 µs to 10 s, then 30 s and 60 s. What takes longer is in
/// one more bucket.
pub const BOUNDS: [u64; 18] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// Those that OpenTelemetry's conventions advise for requests of HTTP and calls of RPC, ns (`http.server.request.duration`).
pub const REQUEST_BOUNDS: [u64; 14] = [
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Those that they advise for databases, and have for messages of queues likewise, ns (`db.client.operation.duration`): for these 5 ms are long.
pub const OPERATION_BOUNDS: [u64; 9] = [
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// How many durations were how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Of each bucket, in the order of [`FINEST`]; the last has what is longer.
    buckets: [u64; FINEST.len() + 1],
    sum: u64,
}

impl Histogram {
    /// Adds a duration, ns.
    pub fn add(&mut self, nanos: u64) {
        let at = FINEST.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
    }

    /// Adds all of another one.
    pub fn join(&mut self, other: &Histogram) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many are in each bucket of these bounds, ns, which must be among those that are counted; the last has what is longer than all.
    pub fn buckets(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (bound, count) in FINEST.iter().copied().chain([u64::MAX]).zip(self.buckets) {
            let at = bounds.partition_point(|upper| *upper < bound);
            if let Some(sum) = counts.get_mut(at) {
                *sum += count;
            }
        }
        counts
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All together, ns.
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_the_bucket_that_it_ends() {
        let mut histogram = Histogram::default();
        for nanos in [0, 100_000, 100_001, 60_000_000_000, 60_000_000_001, u64::MAX] {
            histogram.add(nanos);
        }
        let counts = histogram.buckets(&BOUNDS);
        let filled: Vec<_> = counts.iter().enumerate().filter(|(_, count)| **count > 0).collect();
        assert_eq!(filled, [(0, &2), (1, &1), (17, &1), (18, &2)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, u64::MAX));
    }

    #[test]
    fn every_output_finds_its_bounds_among_those_that_are_counted() {
        assert!(FINEST.is_sorted());
        for bounds in [&BOUNDS[..], &REQUEST_BOUNDS, &OPERATION_BOUNDS] {
            assert!(bounds.is_sorted() && bounds.iter().all(|bound| FINEST.contains(bound)));
            for (at, bound) in bounds.iter().enumerate() {
                let mut histogram = Histogram::default();
                histogram.add(*bound);
                histogram.add(*bound + 1);
                let counts = histogram.buckets(bounds);
                assert_eq!((counts.len(), counts[at], counts[at + 1]), (bounds.len() + 1, 1, 1), "{bound}");
            }
        }
    }

    #[test]
    fn two_become_one() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.add(100);
        other.add(100);
        other.add(70_000_000_000);
        one.join(&other);
        assert_eq!((one.count(), one.sum()), (3, 70_000_000_200));
        assert_eq!(one.buckets(&[60_000_000_000]), [2, 1]);
    }
}
