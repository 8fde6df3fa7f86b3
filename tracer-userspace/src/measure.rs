//! How requests are counted, and which of their durations say how long such requests take: one definition for the end of a run, the metrics,
//! `show`, `diff` and the report.
//!
//! Of a span whose end was not seen the duration is a lower bound. It is a request, and a failure if it failed; it is in no quantile, no
//! maximum and no histogram, where it would make the slowest look fast. How many there are is told wherever quantiles are.

use crate::spans::Row;
use crate::trace::Span;

/// What is counted of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// As far as it was seen, ns.
    pub duration: u64,
    /// It failed.
    pub is_error: bool,
    /// Its end was not seen.
    pub is_incomplete: bool,
}

impl Measured {
    /// Its duration, if it was seen to its end.
    pub fn whole(self) -> Option<u64> {
        (!self.is_incomplete).then_some(self.duration)
    }
}

impl From<&Row> for Measured {
    fn from(row: &Row) -> Self {
        Self { duration: row.duration, is_error: row.is_error, is_incomplete: row.is_incomplete }
    }
}

impl From<&Span> for Measured {
    fn from(span: &Span) -> Self {
        let tags = &span.tags;
        Self { duration: span.duration, is_error: tags.error, is_incomplete: tags.incomplete }
    }
}

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those whose end was not seen.
    pub incomplete: u64,
}

impl Counts {
    /// Counts one; its duration is returned if it is to be summed up.
    pub fn add(&mut self, one: Measured) -> Option<u64> {
        self.requests += 1;
        self.errors += u64::from(one.is_error);
        self.incomplete += u64::from(one.is_incomplete);
        one.whole()
    }
}

/// The time that rates are over, ns, where nothing says how long was observed: from the first start to the last one. One request that hangs
/// does not make the others rarer.
pub fn observed(rows: &[Row]) -> u64 {
    let starts = || rows.iter().map(|row| row.start);
    starts().max().zip(starts().min()).map_or(0, |(last, first)| last.abs_diff(first))
}

/// The nearest rank, from 1: the value at that place of so many sorted ones is the least that `percent` of a hundred do not exceed.
pub fn rank(count: u64, percent: u8) -> u64 {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
    u64::try_from(rank).unwrap_or(u64::MAX)
}

/// What so many of a hundred sorted values do not exceed; `None` without any.
pub fn quantile(sorted: &[u64], percent: u8) -> Option<u64> {
    let at = usize::try_from(rank(sorted.len() as u64, percent) - 1).ok()?;
    sorted.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_to_its_end_is_counted_and_has_no_duration() {
        let mut counts = Counts::default();
        let whole = Measured { duration: 7, ..Measured::default() };
        assert_eq!(counts.add(whole), Some(7));
        assert_eq!(counts.add(Measured { is_error: true, is_incomplete: true, ..whole }), None);
        assert_eq!(counts, Counts { requests: 2, errors: 1, incomplete: 1 });
    }

    #[test]
    fn one_request_that_hangs_does_not_make_the_others_rarer() {
        let span = |start: u32, duration: u32| {
            format!(
                "{{\"traceId\":\"a\",\"spanId\":\"{start}\",\"startTime\":\"2026-11-23T10:00:{start:02}Z\",\"duration\":{duration}}}"
            )
        };
        let file = format!("[{},{},{}]", span(9, 1), span(4, 60_000_000), span(5, 1));
        let table = crate::spans::file::read_table(file.as_bytes()).unwrap();
        assert_eq!(observed(&table.rows), 5_000_000_000);
        assert_eq!(observed(&[]), 0);
    }

    #[test]
    fn quantiles_are_the_nearest_ranks() {
        let all: Vec<u64> = (1..=20).collect();
        assert_eq!(
            [0, 50, 95, 99, 100].map(|percent| quantile(&all, percent)),
            [1, 10, 19, 20, 20].map(Some)
        );
        assert_eq!(quantile(&[], 50), None);
        // In floating point 0.07 of 100 is more than 7.
        assert_eq!(rank(100, 7), 7);
    }
}
