//! What the page knows from the beginning: sums, operations, the map, findings, the account, and the list of traces.

use std::io;

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::Input;
use super::block::Kept;
use super::findings::Finding;
use super::ledger::{self, Group};
use super::map::Map;
use super::operations::{Operation, Operations, kind_number};
use super::pack::pack;
use crate::measure;
use crate::spans::{Kind, NO_ROW, Row, Table};

/// Longer names and ids are cut in lists, characters. The trace itself has them whole.
const MAX_NAME: usize = 200;

/// Names that the page uses, by numbers of their own.
#[derive(Debug, Default)]
struct Names {
    numbers: FxHashMap<u32, u32>,
    texts: Vec<String>,
}

impl Names {
    /// The page's number of one of the table's names.
    fn number(&mut self, name: u32, table: &Table) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.texts.push(cut(table.name(name)));
            self.texts.len() as u32 - 1
        })
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_NAME {
        return text.to_owned();
    }
    text.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

/// Sums over all spans.
#[derive(Debug, Default, Serialize)]
struct Totals {
    traces: usize,
    spans: usize,
    services: usize,
    operations: usize,
    /// Traces with a span that failed.
    failing: usize,
    errors: usize,
    incomplete: usize,
    /// Spans with a parent in the file whose link is certain.
    certain: usize,
    /// Whose link is less than certain.
    inferred: usize,
    /// Calls that name no parent.
    unlinked: usize,
    /// Whose parent is not in the file.
    torn: usize,
    /// Nanoseconds since 1970, as text: browsers' numbers have 53 bits.
    first: String,
    /// Nanoseconds from the first start to the last end.
    length: u64,
    /// Nanoseconds that rates are over: as long as was observed, if that is known, else as in [`measure::observed`].
    observed: u64,
}

/// The traces that can be opened, by columns.
#[derive(Debug, Default, Serialize)]
struct Traces {
    id: Vec<String>,
    service: Vec<u32>,
    name: Vec<u32>,
    /// Nanoseconds since [`Totals::first`].
    start: Vec<u64>,
    duration: Vec<u64>,
    spans: Vec<usize>,
    /// Spans that are in the page.
    kept: Vec<usize>,
    errors: Vec<u32>,
    services: Vec<usize>,
    /// Its root's end was not seen.
    incomplete: Vec<u8>,
    /// Operations in it, and those that failed, by their places in the list of operations.
    has: Vec<Vec<u32>>,
    failed: Vec<Vec<u32>>,
    block: Vec<usize>,
    at: Vec<usize>,
}

#[derive(Serialize)]
struct Said<'a> {
    kind: &'static str,
    title: &'a str,
    detail: &'a str,
    /// Place of its trace in the list of traces.
    trace: Option<usize>,
    /// Place of its operation in the list of operations.
    operation: Option<usize>,
}

#[derive(Serialize)]
struct Main<'a> {
    version: &'static str,
    source: &'a str,
    totals: Totals,
    names: Vec<String>,
    operations: Vec<Operation>,
    map: Map,
    findings: Vec<Said<'a>>,
    traces: Traces,
    ledger: Option<Vec<Group>>,
    problems: Vec<String>,
}

/// Packed.
pub(super) fn main(
    input: &Input<'_>,
    findings: &[Finding],
    kept: &[Kept],
    own_times: &[u64],
) -> io::Result<String> {
    let table = input.table;
    let Operations { listed, count } = Operations::of(table, own_times);
    let places: FxHashMap<(u32, u32, u8), u32> =
        (0..).zip(&listed).map(|(at, one)| ((one.service, one.name, one.kind), at)).collect();
    let totals = totals(input, count);
    let mut names = Names::default();
    let traces = traces(table, kept, &places, &mut names);
    let findings = findings.iter().map(|one| {
        let is_it = |listed: &&Operation| {
            let kinds = match one.is_call {
                true => [1, 3],
                false => [0, 2],
            };
            let (service, name) = (table.name(listed.service), table.name(listed.name));
            (service, name) == (&one.service, &one.operation)
                && (kinds.contains(&listed.kind) || listed.kind == 4)
        };
        Said {
            kind: one.kind,
            title: &one.title,
            detail: &one.detail,
            trace: kept.iter().position(|kept| kept.trace as usize == one.trace),
            operation: listed.iter().position(|listed| is_it(&listed)),
        }
    });
    let findings = findings.collect();
    let mut map = Map::of(table);
    for node in &mut map.nodes {
        node.name = names.number(node.name, table);
        node.tally.buckets = Vec::new();
    }
    for edge in &mut map.edges {
        edge.tally.buckets = Vec::new();
    }
    let mut listed = listed;
    for operation in &mut listed {
        operation.service = names.number(operation.service, table);
        operation.name = names.number(operation.name, table);
    }
    let main = Main {
        version: env!("CARGO_PKG_VERSION"),
        source: input.source,
        totals,
        names: names.texts,
        operations: listed,
        map,
        findings,
        traces,
        ledger: input.account.map(ledger::groups),
        problems: input
            .remarks
            .iter()
            .cloned()
            .chain(table.problems.to_string().lines().map(str::to_owned))
            .collect(),
    };
    pack(&serde_json::to_vec(&main)?)
}

#[derive(Default, Serialize)]
struct Candidates {
    id: Vec<String>,
    /// Place in the list of traces.
    trace: Vec<usize>,
}

/// Where the spans are that others name as candidates for their parent, packed: unpacked when one of them is asked for.
pub(super) fn candidates(all: &[(u64, usize)]) -> io::Result<String> {
    let mut columns = Candidates::default();
    for (id, trace) in all {
        columns.id.push(format!("{id:016x}"));
        columns.trace.push(*trace);
    }
    pack(&serde_json::to_vec(&columns)?)
}

fn totals(input: &Input<'_>, operations: usize) -> Totals {
    let table = input.table;
    let rows = &table.rows;
    let count = |which: fn(&Row) -> bool| rows.iter().filter(|row| which(row)).count();
    let first = rows.iter().map(|row| row.start).min().unwrap_or_default();
    let length = rows.iter().map(Row::end).max().unwrap_or_default().abs_diff(first);
    let mut services: Vec<u32> = rows.iter().map(|row| row.service).collect();
    services.sort_unstable();
    services.dedup();
    let observed = input.account.map_or(0, |account| account.observed_ms.saturating_mul(1_000_000));
    Totals {
        traces: table.traces.len(),
        spans: rows.len(),
        services: services.len(),
        operations,
        failing: table.traces.iter().filter(|trace| trace.errors > 0).count(),
        errors: count(|row| row.is_error),
        incomplete: count(|row| row.is_incomplete),
        certain: count(|row| row.parent != NO_ROW && row.confidence >= 1.0),
        inferred: count(|row| row.parent != NO_ROW && row.confidence < 1.0),
        unlinked: count(|row| {
            matches!(row.kind, Kind::Client | Kind::Producer) && row.parent == NO_ROW && !row.is_torn
        }),
        torn: count(|row| row.is_torn),
        first: first.to_string(),
        length,
        observed: if observed > 0 { observed } else { measure::observed(rows) },
    }
}

fn traces(
    table: &Table,
    kept: &[Kept],
    places: &FxHashMap<(u32, u32, u8), u32>,
    names: &mut Names,
) -> Traces {
    let first = table.rows.iter().map(|row| row.start).min().unwrap_or_default();
    let mut columns = Traces::default();
    for one in kept {
        let Some(trace) = table.traces.get(one.trace as usize) else { continue };
        let rows = || table.rows_of(trace).iter().filter_map(|row| table.row(*row));
        let sorted = |mut all: Vec<u32>| {
            all.sort_unstable();
            all.dedup();
            all
        };
        let place = |row: &Row| places.get(&(row.service, row.group, kind_number(row.kind))).copied();
        let root = table.row(trace.root);
        let begin = rows().map(|row| row.start).min().unwrap_or(first);
        columns.id.push(cut(&trace.id));
        columns.service.push(names.number(root.map_or(0, |root| root.service), table));
        columns.name.push(names.number(root.map_or(0, |root| root.group), table));
        columns.start.push(begin.abs_diff(first));
        columns.duration.push(table.duration(trace));
        columns.spans.push(table.rows_of(trace).len());
        columns.kept.push(one.spans);
        columns.errors.push(trace.errors);
        columns.services.push(sorted(rows().map(|row| row.service).collect()).len());
        columns.incomplete.push(root.is_some_and(|root| root.is_incomplete).into());
        columns.has.push(sorted(rows().filter_map(place).collect()));
        columns.failed.push(sorted(rows().filter(|row| row.is_error).filter_map(place).collect()));
        columns.block.push(one.block);
        columns.at.push(one.at);
    }
    columns
}
