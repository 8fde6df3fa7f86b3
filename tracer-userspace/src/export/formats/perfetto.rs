//! Chrome trace events, which Perfetto's user interface and chrome://tracing open ("Trace Event Format"; Perfetto's documentation, "Chrome
//! JSON format").
//!
//! A service is a process there, and what it does at the same time lies on threads of that process ([`super::lanes`]). A call from one service to
//! another is an arrow (flow events).

use rustc_hash::FxHashMap;

use super::super::encode::{key, micros, number, text, value};
use super::super::ids::Ids;
use super::super::tags;
use super::lanes::{Lane, Lanes};
use super::{FileSpan, Format, since_1970};
use crate::spans::{Kind, NO_ROW, Row, Table};

/// The object with all events.
#[derive(Debug)]
pub struct Perfetto<'a> {
    table: &'a Table,
    lanes: Lanes,
    /// Services by name of the table, from 1.
    processes: FxHashMap<u32, u64>,
    /// Caller and callee of each arrow, by caller.
    calls: Vec<(u32, u32)>,
    /// Of these, how many have callers before the span that is written.
    done: usize,
    ids: Ids,
}

impl<'a> Perfetto<'a> {
    /// Of these spans.
    pub fn new(table: &'a Table) -> Self {
        let mut processes = FxHashMap::default();
        let mut calls = Vec::new();
        for (number, row) in (0..).zip(&table.rows) {
            let next = processes.len() as u64 + 1;
            processes.entry(row.service).or_insert(next);
            if is_arrow(table, row) {
                calls.push((row.parent, number));
            }
        }
        calls.sort_unstable();
        Self { table, lanes: Lanes::of(table), processes, calls, done: 0, ids: Ids::default() }
    }

    /// `"pid":1,"tid":2`.
    fn place(&self, out: &mut Vec<u8>, service: u32, lane: Lane) {
        number(key(out, r#","pid":"#), self.processes.get(&service).copied().unwrap_or_default());
        number(key(out, r#","tid":"#), u64::from(lane) + 1);
    }

    /// Where an arrow begins (`s`), or where it ends (`f`).
    fn flow(&self, out: &mut Vec<u8>, beginning: &'static str, callee: u32, end: u32) {
        let Some(row) = self.table.row(end) else { return };
        micros(key(out, beginning), since_1970(row.start));
        self.place(out, row.service, self.lanes.of_row(end));
        number(key(out, r#","id":"#), u64::from(callee) + 1);
        out.push(b'}');
    }
}

/// Whether an arrow leads to a span from its parent: they are of different services, and it did not begin before that one by its own clock.
fn is_arrow(table: &Table, row: &Row) -> bool {
    let parent = table.row(row.parent);
    parent.is_some_and(|parent| parent.service != row.service && parent.start <= row.start)
}

const FLOW_BEGINS: &str = ",\n{\"ph\":\"s\",\"cat\":\"call\",\"name\":\"call\",\"ts\":";
const FLOW_ENDS: &str = ",\n{\"ph\":\"f\",\"bp\":\"e\",\"cat\":\"call\",\"name\":\"call\",\"ts\":";

impl Format for Perfetto<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            concat!(
                r#"{"displayTimeUnit":"ms","otherData":{"producer":"tracer "#,
                env!("CARGO_PKG_VERSION"),
                r#""},"traceEvents":["#
            )
            .as_bytes(),
        );
        let start = out.len();
        let mut named = None;
        let mut lane_of_service = 0;
        for (lane, service) in self.lanes.services() {
            if named != Some(service) {
                named = Some(service);
                lane_of_service = 0;
                out.extend_from_slice(b",\n{\"ph\":\"M\",\"name\":\"process_name\"");
                self.place(out, service, lane);
                text(key(out, r#","args":{"name":"#), self.table.name(service));
                out.extend_from_slice(b"}}");
            }
            lane_of_service += 1;
            out.extend_from_slice(b",\n{\"ph\":\"M\",\"name\":\"thread_name\"");
            self.place(out, service, lane);
            number(key(out, r#","args":{"name":"lane "#), lane_of_service);
            out.extend_from_slice(b"\"}},\n{\"ph\":\"M\",\"name\":\"thread_sort_index\"");
            self.place(out, service, lane);
            number(key(out, r#","args":{"sort_index":"#), lane_of_service);
            out.extend_from_slice(b"}}");
        }
        // The first event has no comma before it.
        if out.len() > start {
            out.remove(start);
        }
    }

    fn span(&mut self, span: &FileSpan<'_>, number: u32, out: &mut Vec<u8>) {
        let Some(row) = self.table.row(number).copied() else { return };
        let ids = self.ids.of(span);
        text(key(out, ",\n{\"ph\":\"X\",\"name\":"), &span.operation_name);
        text(key(out, r#","cat":"#), category(Kind::of(span.text("span.kind"))));
        micros(key(out, r#","ts":"#), since_1970(row.start));
        micros(key(out, r#","dur":"#), row.duration);
        self.place(out, row.service, self.lanes.of_row(number));
        out.extend_from_slice(br#","args":{"traceId":""#);
        out.extend_from_slice(&ids.trace.to_hex());
        out.extend_from_slice(br#"","spanId":""#);
        out.extend_from_slice(&ids.span.to_hex());
        if let Some(parent) = ids.parent {
            out.extend_from_slice(br#"","parentSpanId":""#);
            out.extend_from_slice(&parent.to_hex());
        }
        out.push(b'"');
        tags::each(span, |name, tag| {
            if !matches!(name, "traceId" | "spanId" | "parentSpanId") {
                out.push(b',');
                text(out, name);
                out.push(b':');
                value(out, tag);
            }
        });
        out.extend_from_slice(b"}}");
        self.arrows(number, &row, out);
    }

    fn closing(&self) -> &'static [u8] {
        b"\n]}\n"
    }

    fn hashed_ids(&self) -> u64 {
        self.ids.hashed
    }
}

impl Perfetto<'_> {
    /// The ends of arrows at a span. An arrow begins at the slice that is innermost when it is read, which is the caller's right behind that. It
    /// must not end before it has begun, and what is of one time is read in the order of the file.
    fn arrows(&mut self, number: u32, row: &Row, out: &mut Vec<u8>) {
        while let Some((_, callee)) =
            self.calls.get(self.done).copied().filter(|(caller, _)| *caller == number)
        {
            self.done += 1;
            self.flow(out, FLOW_BEGINS, callee, number);
            if ends_late(self.table, number, callee) {
                self.flow(out, FLOW_ENDS, callee, callee);
            }
        }
        if row.parent != NO_ROW && is_arrow(self.table, row) && !ends_late(self.table, row.parent, number) {
            self.flow(out, FLOW_ENDS, number, number);
        }
    }
}

/// Whether the end of an arrow must be written behind its beginning, because both are of one time and the callee comes first.
fn ends_late(table: &Table, caller: u32, callee: u32) -> bool {
    let start = |row| table.row(row).map(|row| row.start);
    callee < caller && start(caller) == start(callee)
}

fn category(kind: Kind) -> &'static str {
    match kind {
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Consumer => "consumer",
        Kind::Producer => "producer",
        Kind::Internal => "internal",
    }
}
