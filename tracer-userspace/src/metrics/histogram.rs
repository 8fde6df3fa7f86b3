//! Durations, by buckets whose bounds never change.

/// Upper bounds of the buckets, ns, each included in its bucket: 1, 2.5 and 5 of every power of ten from 100 µs to 10 s, then 30 s
/// and 60 s. What takes longer is in one more bucket.
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

/// How many durations were how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Of each bucket, in the order of [`BOUNDS`]; the last has what is longer.
    buckets: [u64; BOUNDS.len() + 1],
    sum: u64,
}

impl Histogram {
    /// Adds a duration, ns.
    pub fn add(&mut self, nanos: u64) {
        let at = BOUNDS.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
    }

    /// Each bucket's upper bound, ns (`None`: there is none), and how many are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        BOUNDS.iter().copied().map(Some).chain([None]).zip(self.buckets)
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
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(Some(100_000), 2), (Some(250_000), 1), (Some(60_000_000_000), 1), (None, 2)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, u64::MAX));
        assert!(BOUNDS.is_sorted());
    }
}
