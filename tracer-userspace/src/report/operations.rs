//! What was asked for, how often, how long it took, and where the time went: a row for each operation.

use crate::measure::{Counts, observed, quantile};
use crate::spans::{Kind, NO_ROW, Table};

use super::filter::Filter;

/// One operation of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// A name of the table.
    pub service: u32,
    /// A name of the table: that of the group.
    pub operation: u32,
    /// Which side of a call it is.
    pub kind: Kind,
    /// Whom it went to, if all its spans say the same: a name of the table.
    pub peer: u32,
    /// How many.
    pub counts: Counts,
    /// The durations of those that were seen to their end, ns, sorted.
    pub durations: Vec<u64>,
    /// The time that none of their children covers, ns.
    pub own: u64,
}

impl Operation {
    /// The duration that so many of a hundred do not exceed, ns; `None` where none was seen to its end.
    pub fn quantile(&self, percent: u8) -> Option<u64> {
        quantile(&self.durations, percent)
    }
}

/// All operations of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    /// By their own time, most first.
    pub all: Vec<Operation>,
    /// The time of calls that their callees' spans do not cover: the network, and waiting until the callee read; ns.
    pub between: u64,
    /// The time of all spans that no child covers, ns: what the shares are of.
    pub own: u64,
    /// The time that rates are over, ns.
    pub observed: u64,
}

/// Sums up the wanted spans. `own` has the time of each row of the table that no child covers, ns. A call whose callee was observed is
/// told once, as the callee's.
pub fn operations(table: &Table, own: &[u64], filter: &Filter) -> Operations {
    let mut is_answered = vec![false; table.rows.len()];
    for row in &table.rows {
        if row.parent != NO_ROW
            && matches!(row.kind, Kind::Server | Kind::Consumer)
            && let Some(parent) = is_answered.get_mut(row.parent as usize)
        {
            *parent = true;
        }
    }
    let mut result = Operations::default();
    let mut wanted = Vec::new();
    for (at, row) in table.rows.iter().enumerate() {
        if !filter.wants(table, row) {
            continue;
        }
        let own = own.get(at).copied().unwrap_or_default();
        result.own = result.own.saturating_add(own);
        if row.kind == Kind::Client && is_answered.get(at).copied().unwrap_or_default() {
            result.between = result.between.saturating_add(own);
        } else {
            wanted.push((row.service, row.group, row.kind, row.duration, at));
        }
    }
    result.observed = observed(&table.rows);
    wanted.sort_unstable();
    let empty = table.names().iter().position(|name| name.is_empty()).unwrap_or_default() as u32;
    for group in wanted.chunk_by(|a, b| (a.0, a.1, a.2) == (b.0, b.1, b.2)) {
        let Some(&(service, operation, kind, ..)) = group.first() else { continue };
        let rows = || group.iter().filter_map(|(.., at)| table.rows.get(*at));
        let peer = rows().next().map_or(0, |row| row.peer);
        let mut counts = Counts::default();
        let durations = rows().filter_map(|row| counts.add(row.into())).collect();
        result.all.push(Operation {
            service,
            operation,
            kind,
            peer: if rows().all(|row| row.peer == peer) { peer } else { empty },
            counts,
            durations,
            own: group
                .iter()
                .filter_map(|(.., at)| own.get(*at))
                .fold(0, |sum: u64, own| sum.saturating_add(*own)),
        });
    }
    let name = |number| table.name(number);
    result.all.sort_by(|a, b| {
        b.own.cmp(&a.own).then_with(|| {
            (name(a.service), name(a.operation), a.kind).cmp(&(name(b.service), name(b.operation), b.kind))
        })
    });
    result
}
