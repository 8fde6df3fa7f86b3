//! OpenTelemetry's JSON in a file: one ExportTraceServiceRequest a line (OpenTelemetry Protocol File Exporter; the JSON of OTLP/HTTP,
//! opentelemetry-proto, `trace/v1/trace.proto`).
//!
//! Spans are collected, and each batch is a line: in it, spans of one resource stand together. In this JSON ids are hexadecimal, whole
//! numbers of 64 bits are text, and enumerations are numbers ("OTLP/JSON Encoding").

pub mod messages;

use rustc_hash::FxHashMap;

use super::super::encode::{escaped, float, integer, key, number, text};
use super::super::ids::Ids;
use super::super::semconv::{self, Attribute, Frame, Resource, SCHEMA};
use super::{FileSpan, Format, Host, since_1970};
use crate::spans::{Kind, Value};

/// So many spans make a batch, as with OpenTelemetry's own batch processors.
const BATCH: usize = 512;
/// Or so many bytes: receivers take four million at once.
const BATCH_BYTES: usize = 1 << 20;

/// Lines of batches.
#[derive(Debug)]
pub struct Otlp {
    host: Host,
    ids: Ids,
    /// By resource, in the order in which they came.
    groups: Vec<Group>,
    /// Indices of them.
    numbers: FxHashMap<Box<[u8]>, usize>,
    spans: usize,
    bytes: usize,
    /// What tells the last span's resource from others.
    key: Vec<u8>,
    /// Buffers of groups that were written, for the next.
    spare: Vec<Vec<u8>>,
    /// A batch is what was added between two flushes.
    is_batched_outside: bool,
}

/// So many are kept: a batch seldom has spans of more processes.
const SPARE: usize = 16;

/// The spans of a resource.
#[derive(Debug)]
struct Group {
    resource: Box<[u8]>,
    spans: Vec<u8>,
}

impl Otlp {
    /// For spans of this host.
    pub fn new(host: Host) -> Self {
        Self {
            host,
            ids: Ids::default(),
            groups: Vec::new(),
            numbers: FxHashMap::default(),
            spans: 0,
            bytes: 0,
            key: Vec::new(),
            spare: Vec::new(),
            is_batched_outside: false,
        }
    }

    /// For spans that somebody else puts into batches: nothing is appended before [`Format::flush`].
    pub fn batched_outside(host: Host) -> Self {
        Self { is_batched_outside: true, ..Self::new(host) }
    }

    /// The spans of a resource in this batch.
    fn group(&mut self, resource: &Resource<'_>) -> &mut Vec<u8> {
        self.key.clear();
        self.key.extend_from_slice(resource.service.as_bytes());
        for (mark, text) in [(0xfe, resource.host), (0xff, resource.container)] {
            if let Some(text) = text {
                // No text has such a byte.
                self.key.push(mark);
                self.key.extend_from_slice(text.as_bytes());
            }
        }
        if let Some(pid) = resource.pid {
            self.key.push(0xfd);
            self.key.extend_from_slice(&pid.to_le_bytes());
        }
        let known = self.numbers.get(&*self.key).copied();
        let number = known.unwrap_or_else(|| {
            let mut head = Vec::new();
            write_resource(&mut head, resource, self.host.name.as_deref());
            self.numbers.insert(self.key.as_slice().into(), self.groups.len());
            self.groups.push(Group { resource: head.into(), spans: self.spare.pop().unwrap_or_default() });
            self.groups.len() - 1
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "the number is of a group that is there, or was just added"
        )]
        let group = &mut self.groups[number];
        &mut group.spans
    }
}

impl Format for Otlp {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn span(&mut self, span: &FileSpan<'_>, _: u32, out: &mut Vec<u8>) {
        let ids = self.ids.of(span);
        let frame = semconv::frame(span);
        self.spans += 1;
        let group = self.group(&frame.resource);
        let before = group.len();
        if before > 0 {
            group.push(b',');
        }
        group.extend_from_slice(br#"{"traceId":""#);
        group.extend_from_slice(&ids.trace.to_hex());
        group.extend_from_slice(br#"","spanId":""#);
        group.extend_from_slice(&ids.span.to_hex());
        if let Some(parent) = ids.parent {
            group.extend_from_slice(br#"","parentSpanId":""#);
            group.extend_from_slice(&parent.to_hex());
        }
        group.extend_from_slice(br#"","name":"#);
        text(group, &span.operation_name);
        rest(group, span, &frame);
        let written = group.len() - before;
        self.bytes += written;
        if !self.is_batched_outside && (self.spans >= BATCH || self.bytes >= BATCH_BYTES) {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        if self.groups.is_empty() {
            return;
        }
        out.extend_from_slice(br#"{"resourceSpans":["#);
        for (at, mut group) in self.groups.drain(..).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&group.resource);
            out.extend_from_slice(&group.spans);
            out.extend_from_slice(br#"],"schemaUrl":""#);
            out.extend_from_slice(SCHEMA.as_bytes());
            out.extend_from_slice(br#""}]}"#);
            if self.spare.len() < SPARE {
                group.spans.clear();
                self.spare.push(group.spans);
            }
        }
        out.extend_from_slice(b"]}\n");
        self.numbers.clear();
        (self.spans, self.bytes) = (0, 0);
    }

    fn closing(&self) -> &'static [u8] {
        b""
    }

    fn hashed_ids(&self) -> u64 {
        self.ids.hashed
    }
}

/// What a span says beside its ids and its name.
fn rest(out: &mut Vec<u8>, span: &FileSpan<'_>, frame: &Frame<'_>) {
    out.extend_from_slice(br#","kind":"#);
    // `enum SpanKind`.
    out.push(match frame.kind {
        Kind::Internal => b'1',
        Kind::Server => b'2',
        Kind::Client => b'3',
        Kind::Producer => b'4',
        Kind::Consumer => b'5',
    });
    out.extend_from_slice(br#","startTimeUnixNano":""#);
    let start = since_1970(span.start);
    number(out, start);
    out.extend_from_slice(br#"","endTimeUnixNano":""#);
    number(out, start.saturating_add(span.duration));
    out.extend_from_slice(br#"","attributes":["#);
    let mut is_first = true;
    semconv::attributes(span, |name, value| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        attribute(out, name, &value);
    });
    out.push(b']');
    if frame.is_error {
        // `STATUS_CODE_ERROR`.
        out.extend_from_slice(br#","status":{"code":2}"#);
    }
    out.push(b'}');
}

/// All up to the spans of a resource.
fn write_resource(out: &mut Vec<u8>, resource: &Resource<'_>, host: Option<&str>) {
    out.extend_from_slice(br#"{"resource":{"attributes":["#);
    attribute(out, "service.name", &Attribute::Text(resource.service.into()));
    let texts = [("host.name", resource.host.or(host)), ("container.id", resource.container)];
    for (name, value) in texts {
        if let Some(value) = value {
            out.push(b',');
            attribute(out, name, &Attribute::Text(value.into()));
        }
    }
    if let Some(pid) = resource.pid {
        out.push(b',');
        attribute(out, "process.pid", &Attribute::Int(pid));
    }
    out.extend_from_slice(br#"]},"schemaUrl":""#);
    out.extend_from_slice(SCHEMA.as_bytes());
    let scope = concat!(
        r#"","scopeSpans":[{"scope":{"name":"tracer","version":""#,
        env!("CARGO_PKG_VERSION"),
        r#""},"spans":["#
    );
    out.extend_from_slice(scope.as_bytes());
}

/// `message KeyValue`.
fn attribute(out: &mut Vec<u8>, name: &str, value: &Attribute<'_>) {
    escaped(key(out, r#"{"key":""#), name);
    out.extend_from_slice(br#"","value":"#);
    match value {
        Attribute::As(value) => any_value(out, value),
        Attribute::Text(value) => string(out, value),
        Attribute::Int(value) => int(out, *value),
        Attribute::Texts(value) => {
            out.extend_from_slice(br#"{"arrayValue":{"values":["#);
            string(out, value);
            out.extend_from_slice(b"]}}");
        }
    }
    out.push(b'}');
}

/// `message AnyValue`.
fn any_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        // None of its fields.
        Value::Null => out.extend_from_slice(b"{}"),
        Value::Bool(true) => out.extend_from_slice(br#"{"boolValue":true}"#),
        Value::Bool(false) => out.extend_from_slice(br#"{"boolValue":false}"#),
        Value::Int(value) => int(out, *value),
        Value::Float(value) => {
            out.extend_from_slice(br#"{"doubleValue":"#);
            float(out, *value);
            out.push(b'}');
        }
        Value::Text(value) => string(out, value),
        Value::List(values) => {
            out.extend_from_slice(br#"{"arrayValue":{"values":["#);
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                any_value(out, value);
            }
            out.extend_from_slice(b"]}}");
        }
        Value::Map(values) => {
            out.extend_from_slice(br#"{"kvlistValue":{"values":["#);
            for (at, (name, value)) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                attribute(out, name, &Attribute::As(value));
            }
            out.extend_from_slice(b"]}}");
        }
    }
}

fn string(out: &mut Vec<u8>, value: &str) {
    escaped(key(out, r#"{"stringValue":""#), value);
    out.extend_from_slice(br#""}"#);
}

fn int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(br#"{"intValue":""#);
    integer(out, value);
    out.extend_from_slice(br#""}"#);
}
