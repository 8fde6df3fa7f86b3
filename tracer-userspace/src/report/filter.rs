//! Which spans somebody wants to see.

use globset::GlobMatcher;

use crate::spans::{Row, Table};

/// Conditions; a span is wanted that fulfils all of them. Without any, all are.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The operation's name, as it is or with `*` for identifiers.
    pub operation: Option<GlobMatcher>,
    /// The service's name.
    pub service: Option<GlobMatcher>,
    /// Only those that failed.
    pub errors: bool,
    /// So long at least, ns.
    pub min_duration: u64,
}

impl Filter {
    /// Whether anything is asked for.
    pub fn is_empty(&self) -> bool {
        self.operation.is_none() && self.service.is_none() && !self.errors && self.min_duration == 0
    }

    /// Whether a span is wanted.
    pub fn wants(&self, table: &Table, row: &Row) -> bool {
        let named = |glob: &Option<GlobMatcher>, name: u32| {
            glob.as_ref().is_none_or(|glob| glob.is_match(table.name(name)))
        };
        (row.is_error || !self.errors)
            && row.duration >= self.min_duration
            && named(&self.service, row.service)
            && (named(&self.operation, row.operation) || named(&self.operation, row.group))
    }

    /// The traces that have a wanted span, those with the longest one first; indices of [`Table::traces`]. Where nothing is asked
    /// for, the longest traces.
    pub fn slowest(&self, table: &Table) -> Vec<u32> {
        let mut found: Vec<(u64, i64, u32)> = (0..)
            .zip(&table.traces)
            .filter_map(|(at, trace)| {
                let rows = table.rows_of(trace).iter().filter_map(|row| table.row(*row));
                let first = rows.clone().map(|row| row.start).min()?;
                let longest = if self.is_empty() {
                    Some(table.duration(trace))
                } else {
                    rows.filter(|row| self.wants(table, row)).map(|row| row.duration).max()
                };
                Some((longest?, first, at))
            })
            .collect();
        found.sort_unstable_by_key(|(longest, first, at)| (u64::MAX - longest, *first, *at));
        found.into_iter().map(|(.., at)| at).collect()
    }
}
