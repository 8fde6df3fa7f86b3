//! The trace JSON again: of a file by somebody else, or one that was damaged, one in the documented form.

use super::super::encode::{milliseconds, text, value};
use super::super::tags;
use super::{FileSpan, Format, since_1970};
use crate::time::Rfc3339Micros;

/// An array of spans, each with the eight keys.
#[derive(Debug, Default)]
pub struct TraceJson {
    begun: bool,
}

impl Format for TraceJson {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn span(&mut self, span: &FileSpan<'_>, _: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.begun { b",\n" } else { b"\n" });
        self.begun = true;
        object(span, out);
    }

    fn closing(&self) -> &'static [u8] {
        b"\n]\n"
    }
}

/// Appends a span alone.
pub fn object(span: &FileSpan<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"traceId":"#);
    text(out, &span.trace_id);
    out.extend_from_slice(br#","spanId":"#);
    text(out, &span.span_id);
    out.extend_from_slice(br#","parentSpanId":"#);
    match &span.parent_span_id {
        Some(parent) => text(out, parent),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","serviceName":"#);
    text(out, &span.service_name);
    out.extend_from_slice(br#","operationName":"#);
    text(out, &span.operation_name);
    out.extend_from_slice(br#","startTime":""#);
    out.extend_from_slice(&Rfc3339Micros(since_1970(span.start)).to_ascii());
    out.extend_from_slice(br#"","duration":"#);
    milliseconds(out, span.duration);
    out.extend_from_slice(br#","tags":{"#);
    let mut is_first = true;
    tags::each(span, |name, tag| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        value(out, tag);
    });
    out.extend_from_slice(b"}}");
}
