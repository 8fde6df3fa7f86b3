//! Two files of traces side by side: which operations changed in rate, in errors or in time, and whether that can be chance.
//!
//! Durations are compared by the rank test of Mann, Whitney and Wilcoxon, shares of errors by Fisher's exact test (of many requests by the
//! normal approximation), numbers of requests as Poisson counts over the time that was observed. All tests of one comparison are
//! corrected together (Holm 1979). Requests of one burst are not independent, which makes every such test too sure of itself: so a change is
//! told only if it is also large enough to matter.

use std::collections::BTreeMap;

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::stats_tests::Alternative;
use statrs::stats_tests::fisher::fishers_exact;
use statrs::stats_tests::mannwhitneyu::{MannWhitneyUMethod, mannwhitneyu};

use super::operations::{Operation, Operations};
use crate::measure::Counts;
use crate::spans::{Kind, Table};

/// Fewer requests on either side say nothing.
pub const MIN_REQUESTS: usize = 10;
/// Chance may bring a change that is told so often, over all tests of a comparison.
pub const LEVEL: f64 = 0.01;
/// A median or a 95th percentile that moved by less than this factor is no change.
pub const MIN_FACTOR: f64 = 1.1;
/// A rate likewise.
pub const MIN_RATE_FACTOR: f64 = 1.2;
/// Shares of errors that differ by less are no change.
pub const MIN_ERRORS: f64 = 0.005;
/// Fisher's test is calculated for so many requests; of more the approximation is as good.
const EXACT: u64 = 2_000;

/// One operation in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Side {
    /// Requests.
    pub counts: Counts,
    /// The time observed, ns.
    pub observed: u64,
    /// Quantiles of the durations of those that were seen to their end, ns; `None` where none was.
    pub p50: Option<u64>,
    /// The same.
    pub p95: Option<u64>,
}

impl Side {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.counts.requests as f64 * 1e9 / self.observed.max(1) as f64
    }

    /// The part that failed.
    pub fn error_share(&self) -> f64 {
        self.counts.errors as f64 / self.counts.requests.max(1) as f64
    }
}

/// What is told of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Only in the second file.
    New,
    /// Only in the first file.
    Gone,
    /// Durations rose.
    Slower,
    /// A larger part fails.
    MoreErrors,
    /// Durations fell.
    Faster,
    /// A smaller part fails.
    FewerErrors,
    /// More per second.
    MoreOften,
    /// Fewer per second.
    LessOften,
    /// There are too few to say anything.
    TooFew,
}

/// One operation in both files.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Service.
    pub service: Box<str>,
    /// Operation.
    pub operation: Box<str>,
    /// Which side of a call.
    pub kind: Kind,
    /// In the first file.
    pub before: Side,
    /// In the second.
    pub after: Side,
    /// What changed; nothing if nothing that could not be chance.
    pub changes: Vec<Change>,
    /// The probability of a difference like the one told in time, in errors, in rate, if it were chance; corrected for the number of tests.
    pub chance: [Option<f64>; 3],
}

/// The operations of both files; those that got worse first, then by requests.
pub fn compare(before: (&Table, &Operations), after: (&Table, &Operations)) -> Vec<Compared> {
    let mut pairs: BTreeMap<(&str, &str, Kind), [Option<&Operation>; 2]> = BTreeMap::new();
    for (at, (table, operations)) in [before, after].into_iter().enumerate() {
        for operation in &operations.all {
            let key = (table.name(operation.service), table.name(operation.operation), operation.kind);
            if let Some(side) = pairs.entry(key).or_default().get_mut(at) {
                *side = Some(operation);
            }
        }
    }
    let observed = [before.1.observed, after.1.observed];
    let chances: Vec<[Option<f64>; 3]> = pairs
        .values()
        .map(|pair| match pair {
            [Some(before), Some(after)] => chances(before, after, observed),
            _ => [None; 3],
        })
        .collect();
    let corrected = holm(&chances);
    let mut compared: Vec<Compared> = pairs
        .into_iter()
        .zip(corrected)
        .map(|(((service, operation, kind), [first, second]), chance)| {
            let side = |operation: Option<&Operation>, observed: u64| {
                operation.map_or_else(Side::default, |operation| Side {
                    counts: operation.counts,
                    observed,
                    p50: operation.quantile(50),
                    p95: operation.quantile(95),
                })
            };
            let [before, after] = [side(first, observed[0]), side(second, observed[1])];
            let changes = changes(&before, &after, chance);
            Compared {
                service: service.into(),
                operation: operation.into(),
                kind,
                before,
                after,
                changes,
                chance,
            }
        })
        .collect();
    let rank = |one: &Compared| {
        let worst = one.changes.iter().map(|change| match change {
            Change::Slower | Change::MoreErrors => 0,
            Change::New | Change::Gone => 1,
            Change::Faster | Change::FewerErrors => 2,
            Change::MoreOften | Change::LessOften => 3,
            Change::TooFew => 5,
        });
        worst.min().unwrap_or(4)
    };
    compared.sort_by_key(|one| {
        (rank(one), std::cmp::Reverse(one.before.counts.requests + one.after.counts.requests))
    });
    compared
}

fn changes(before: &Side, after: &Side, [time, errors, rate]: [Option<f64>; 3]) -> Vec<Change> {
    match (before.counts.requests, after.counts.requests) {
        (0, _) => return vec![Change::New],
        (_, 0) => return vec![Change::Gone],
        _ if errors.is_none() => return vec![Change::TooFew],
        _ => {}
    }
    let sure = |chance: Option<f64>| chance.is_some_and(|chance| chance < LEVEL);
    let mut changes = Vec::new();
    let nanos = |side: &Side, of: fn(&Side) -> Option<u64>| of(side).unwrap_or_default().max(1) as f64;
    let factor = |of: fn(&Side) -> Option<u64>| nanos(after, of) / nanos(before, of);
    if sure(time) {
        let moved = [factor(|side| side.p50), factor(|side| side.p95)];
        // Where the middle and the slow end moved against each other neither word would be right; the numbers stand beside.
        if moved.iter().any(|factor| *factor >= MIN_FACTOR)
            && moved.iter().all(|factor| *factor > 1.0 / MIN_FACTOR)
        {
            changes.push(Change::Slower);
        } else if moved.iter().any(|factor| *factor <= 1.0 / MIN_FACTOR)
            && moved.iter().all(|factor| *factor < MIN_FACTOR)
        {
            changes.push(Change::Faster);
        }
    }
    let more = after.error_share() - before.error_share();
    if sure(errors) && more.abs() >= MIN_ERRORS {
        changes.push(if more > 0.0 { Change::MoreErrors } else { Change::FewerErrors });
    }
    if sure(rate) {
        let factor = after.rate() / before.rate().max(f64::MIN_POSITIVE);
        if factor >= MIN_RATE_FACTOR {
            changes.push(Change::MoreOften);
        } else if factor <= 1.0 / MIN_RATE_FACTOR {
            changes.push(Change::LessOften);
        }
    }
    changes.sort_unstable();
    changes
}

/// Of time, errors and rate how probable such a difference is by chance; nothing where there is too little to say.
fn chances(before: &Operation, after: &Operation, observed: [u64; 2]) -> [Option<f64>; 3] {
    let enough = |of: fn(&Operation) -> usize| of(before) >= MIN_REQUESTS && of(after) >= MIN_REQUESTS;
    if !enough(|operation| operation.counts.requests as usize) {
        return [None; 3];
    }
    let (errors, rate) =
        (errors(before.counts, after.counts), rate(before.counts.requests, after.counts.requests, observed));
    if !enough(|operation| operation.durations.len()) {
        return [None, Some(errors), rate];
    }
    let method = MannWhitneyUMethod::AsymptoticInclContinuityCorrection;
    let time = mannwhitneyu(&before.durations, &after.durations, method, Alternative::TwoSided);
    // Where all durations are the same there is no spread to measure by.
    let time = time.map_or(1.0, |(_, chance)| if chance.is_nan() { 1.0 } else { chance });
    [Some(time), Some(errors), rate]
}

fn errors(before: Counts, after: Counts) -> f64 {
    let (failed, all) = (before.errors + after.errors, before.requests + after.requests);
    if failed == 0 || failed == all {
        return 1.0;
    }
    if all <= EXACT {
        let table =
            [before.errors, before.requests - before.errors, after.errors, after.requests - after.errors];
        return fishers_exact(&table, Alternative::TwoSided).unwrap_or(1.0);
    }
    let share = failed as f64 / all as f64;
    let spread = share * (1.0 - share) * (1.0 / before.requests as f64 + 1.0 / after.requests as f64);
    let difference =
        after.errors as f64 / after.requests as f64 - before.errors as f64 / before.requests as f64;
    two_sided(difference / spread.sqrt())
}

/// Of all requests of both files the first has its part of the time observed, if nothing changed.
fn rate(before: u64, after: u64, [first, second]: [u64; 2]) -> Option<f64> {
    if first == 0 || second == 0 {
        return None;
    }
    let (all, part) = ((before + after) as f64, first as f64 / (first as f64 + second as f64));
    Some(two_sided((before as f64 - all * part) / (all * part * (1.0 - part)).sqrt()))
}

fn two_sided(deviation: f64) -> f64 {
    let Ok(normal) = Normal::new(0.0, 1.0) else { return 1.0 };
    if deviation.is_nan() { 1.0 } else { 2.0 * normal.cdf(-deviation.abs()) }
}

/// S. Holm, "A simple sequentially rejective multiple test procedure", 1979: the chance that any of the told changes is none stays
/// below the level.
fn holm(all: &[[Option<f64>; 3]]) -> Vec<[Option<f64>; 3]> {
    let mut order: Vec<(f64, usize, usize)> = Vec::new();
    for (row, tests) in all.iter().enumerate() {
        order.extend(tests.iter().enumerate().filter_map(|(test, chance)| Some(((*chance)?, row, test))));
    }
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut corrected = all.to_vec();
    let (mut least, count) = (0.0_f64, order.len());
    for (at, (chance, row, test)) in order.into_iter().enumerate() {
        least = least.max((chance * (count - at) as f64).min(1.0));
        if let Some(place) = corrected.get_mut(row).and_then(|tests| tests.get_mut(test)) {
            *place = Some(least);
        }
    }
    corrected
}
