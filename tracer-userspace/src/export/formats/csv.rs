//! A table for a spreadsheet: a header, and a row for each span (RFC 4180).
//!
//! What is asked for most has a column of its own; the last column has all other tags, as JSON. A cell that a spreadsheet would take for
//! a formula begins with an apostrophe, because names and paths in it come from whoever sent the request.

use std::borrow::Cow;
use std::io;

use super::super::encode::{milliseconds, text, value};
use super::super::tags;
use super::{FileSpan, Format, since_1970};
use crate::spans::Value;
use crate::time::Rfc3339Micros;

/// Tags with columns of their own: the column, and the names that the tag may have.
const COLUMNS: [(&str, &[&str]); 16] = [
    ("kind", &["span.kind"]),
    ("error", &["error"]),
    (
        "status",
        &["http.status_code", "http.response.status_code", "rpc.grpc.status_code", "db.response.status_code"],
    ),
    ("http_method", &["http.method", "http.request.method"]),
    ("http_url", &["http.url", "url.full", "url.path"]),
    ("http_host", &["http.host", "server.address"]),
    ("db_system", &["db.system", "db.system.name"]),
    ("db_name", &["db.instance", "db.namespace"]),
    ("db_statement", &["db.statement", "db.query.text"]),
    ("messaging_destination", &["messaging.destination", "messaging.destination.name"]),
    ("peer_ip", &["net.peer.ip", "network.peer.address"]),
    ("peer_port", &["net.peer.port", "network.peer.port"]),
    ("process_id", &["process.pid"]),
    ("thread_id", &["thread.id"]),
    ("link_confidence", &["tracer.link.confidence"]),
    ("incomplete", &["tracer.incomplete"]),
];
/// The columns before those, and behind them.
const BEFORE: [&str; 8] = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "service",
    "operation",
    "start_time",
    "end_time",
    "duration_ms",
];
const BEHIND: &str = "tags";

/// The table.
#[derive(Debug)]
pub struct Csv;

impl Format for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let columns = COLUMNS.iter().map(|(name, _)| *name);
        let cells = BEFORE.into_iter().chain(columns).chain([BEHIND]);
        write_row(out, cells.map(|name| Cow::Borrowed(name.as_bytes())));
    }

    fn span(&mut self, span: &FileSpan<'_>, _: u32, out: &mut Vec<u8>) {
        let mut cells: [Option<&Value<'_>>; COLUMNS.len()] = [None; COLUMNS.len()];
        let mut rest = vec![b'{'];
        tags::each(span, |name, tag| {
            let column = column(name).and_then(|column| cells.get_mut(column));
            match column {
                Some(cell) if cell.is_none() => *cell = Some(tag),
                _ => {
                    if rest.len() > 1 {
                        rest.push(b',');
                    }
                    text(&mut rest, name);
                    rest.push(b':');
                    value(&mut rest, tag);
                }
            }
        });
        rest.push(b'}');
        let start = since_1970(span.start);
        let time = |nanos| Cow::Owned(Rfc3339Micros(nanos).to_ascii().to_vec());
        let mut duration = Vec::new();
        milliseconds(&mut duration, span.duration);
        let before = [
            harmless(&span.trace_id),
            harmless(&span.span_id),
            harmless(span.parent_span_id.as_deref().unwrap_or_default()),
            harmless(&span.service_name),
            harmless(&span.operation_name),
            time(start),
            time(start.saturating_add(span.duration)),
            Cow::Owned(duration),
        ];
        let own = cells.into_iter().map(|cell| cell.map_or(Cow::Borrowed(&b""[..]), tag_cell));
        write_row(out, before.into_iter().chain(own).chain([Cow::Owned(rest)]));
    }

    fn closing(&self) -> &'static [u8] {
        b""
    }
}

/// The column of a tag.
fn column(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|(_, names)| names.contains(&name))
}

/// Numbers and truth values are no formulas.
fn tag_cell<'a>(tag: &'a Value<'_>) -> Cow<'a, [u8]> {
    match tag {
        Value::Text(text) => harmless(text),
        Value::Null => Cow::Borrowed(b""),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            let mut json = Vec::new();
            value(&mut json, tag);
            Cow::Owned(json)
        }
    }
}

/// A cell that no spreadsheet takes for a formula (OWASP, "CSV Injection"; the wide forms of the signs are taken for them where such are
/// written).
fn harmless(text: &str) -> Cow<'_, [u8]> {
    let is_formula = text
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if is_formula { Cow::Owned(format!("'{text}").into_bytes()) } else { Cow::Borrowed(text.as_bytes()) }
}

fn write_row<'a>(out: &mut Vec<u8>, cells: impl Iterator<Item = Cow<'a, [u8]>>) {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .buffer_capacity(1 << 10)
        .from_writer(io::Write::by_ref(out));
    // Writing into memory does not fail, and all rows have as many cells.
    for cell in cells {
        let _ = writer.write_field(cell);
    }
    let _ = writer.write_record(None::<&[u8]>);
    let _ = writer.flush();
}
