//! Jaeger's JSON, as its query service answers and its user interface loads it (jaeger-ui, `types/trace.tsx`; jaeger,
//! `internal/uimodel/model.go`): traces, each with its spans and the services that these are of.

use rustc_hash::FxHashMap;

use super::super::encode::{as_json, escaped, float, integer, key, number, text};
use super::super::ids::Ids;
use super::super::tags;
use super::{FileSpan, Format, since_1970};
use crate::spans::{NO_ROW, Table, Value};

/// The object with all traces. Spans of a trace must come one behind the other.
#[derive(Debug)]
pub struct Jaeger<'a> {
    table: &'a Table,
    ids: Ids,
    /// The trace that is being written, and the numbers of its services.
    trace: Option<u32>,
    services: FxHashMap<u32, usize>,
}

impl<'a> Jaeger<'a> {
    /// Of these spans.
    pub fn new(table: &'a Table) -> Self {
        Self { table, ids: Ids::default(), trace: None, services: FxHashMap::default() }
    }

    /// Begins a trace: its services stand before its spans, so that it can end behind any of them.
    fn begin_trace(&mut self, trace: u32, id: &[u8; 32], out: &mut Vec<u8>) {
        if self.trace.is_some() {
            out.extend_from_slice(b"]},");
        }
        out.extend_from_slice(b"\n{\"traceID\":\"");
        out.extend_from_slice(id);
        out.extend_from_slice(br#"","processes":{"#);
        self.trace = Some(trace);
        self.services.clear();
        let rows = self.table.traces.get(trace as usize).map_or(&[][..], |trace| self.table.rows_of(trace));
        for row in rows.iter().filter_map(|row| self.table.row(*row)) {
            let next = self.services.len() + 1;
            let std::collections::hash_map::Entry::Vacant(new) = self.services.entry(row.service) else {
                continue;
            };
            new.insert(next);
            if next > 1 {
                out.push(b',');
            }
            process(out, next);
            text(key(out, r#":{"serviceName":"#), self.table.name(row.service));
            out.extend_from_slice(br#","tags":[]}"#);
        }
        out.extend_from_slice(br#"},"warnings":null,"spans":["#);
    }
}

impl Format for Jaeger<'_> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"data":["#);
    }

    fn span(&mut self, span: &FileSpan<'_>, row: u32, out: &mut Vec<u8>) {
        let Some(row) = self.table.row(row) else { return };
        let ids = self.ids.of(span);
        let trace = ids.trace.to_hex();
        if self.trace == Some(row.trace) {
            out.push(b',');
        } else {
            self.begin_trace(row.trace, &trace, out);
        }
        out.extend_from_slice(b"\n{\"traceID\":\"");
        out.extend_from_slice(&trace);
        out.extend_from_slice(br#"","spanID":""#);
        out.extend_from_slice(&ids.span.to_hex());
        text(key(out, r#"","operationName":"#), &span.operation_name);
        out.extend_from_slice(br#","references":["#);
        // A parent of which the table knows better, because it goes round in a circle, is none.
        let is_cut = row.parent == NO_ROW && !row.is_torn;
        if let Some(parent) = ids.parent.filter(|_| !is_cut) {
            out.extend_from_slice(br#"{"refType":"CHILD_OF","traceID":""#);
            out.extend_from_slice(&trace);
            out.extend_from_slice(br#"","spanID":""#);
            out.extend_from_slice(&parent.to_hex());
            out.extend_from_slice(br#""}"#);
        }
        // Jaeger's user interface leaves out what begins at 0.
        number(key(out, r#"],"flags":1,"startTime":"#), (since_1970(span.start) / 1_000).max(1));
        number(key(out, r#","duration":"#), span.duration / 1_000);
        out.extend_from_slice(br#","tags":["#);
        let mut is_first = true;
        tags::each(span, |name, value| {
            if !std::mem::take(&mut is_first) {
                out.push(b',');
            }
            tag(out, name, value);
        });
        out.extend_from_slice(br#"],"logs":[],"processID":"#);
        process(out, self.services.get(&row.service).copied().unwrap_or_default());
        out.extend_from_slice(br#","warnings":null}"#);
    }

    fn closing(&self) -> &'static [u8] {
        if self.trace.is_some() {
            b"]}\n],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n"
        } else {
            b"\n],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}\n"
        }
    }

    fn hashed_ids(&self) -> u64 {
        self.ids.hashed
    }
}

fn process(out: &mut Vec<u8>, service: usize) {
    out.extend_from_slice(b"\"p");
    number(out, service as u64);
    out.push(b'"');
}

/// A tag with its type.
fn tag(out: &mut Vec<u8>, name: &str, value: &Value<'_>) {
    escaped(key(out, r#"{"key":""#), name);
    let string = |out: &mut Vec<u8>, value: &str| {
        escaped(key(out, r#"","type":"string","value":""#), value);
        out.push(b'"');
    };
    match value {
        Value::Bool(true) => out.extend_from_slice(br#"","type":"bool","value":true"#),
        Value::Bool(false) => out.extend_from_slice(br#"","type":"bool","value":false"#),
        Value::Int(value) => integer(key(out, r#"","type":"int64","value":"#), *value),
        Value::Float(value) => float(key(out, r#"","type":"float64","value":"#), *value),
        Value::Text(value) => string(out, value),
        Value::Null => string(out, ""),
        // It knows no others.
        Value::List(_) | Value::Map(_) => string(out, &as_json(value)),
    }
    out.push(b'}');
}
