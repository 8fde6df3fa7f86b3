//! Files for other tools: a span in each of the forms that the field reads.
//!
//! Every form is made from a [`FileSpan`], what a file of traces says of a span, and from nothing else. So there is one mapping from what
//! was inferred to the outside (the trace JSON), and a file that was converted later has what it would have had at once.
//! docs/exports.md has each field in each form.

mod csv;
mod jaeger;
mod lanes;
mod name;
pub mod otlp;
mod perfetto;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod zipkin;

use crate::spans::{FileSpan, Table};

pub use name::FileFormat;

/// A form of output, which spans are appended to.
pub trait Format: Send {
    /// Appends what stands before all spans.
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Appends a span, or keeps it until there are more. `row` is its row in the table that the format was made with, and
    /// [`crate::spans::NO_ROW`] for one that was made without.
    fn span(&mut self, span: &FileSpan<'_>, row: u32, out: &mut Vec<u8>);

    /// Appends what was kept.
    fn flush(&mut self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// What would make the output whole, behind all that was appended so far.
    fn closing(&self) -> &'static [u8];

    /// Spans whose ids are no hexadecimal numbers, and were replaced by such.
    fn hashed_ids(&self) -> u64 {
        0
    }
}

/// What is known of the host that is recorded, beyond the spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name, for spans that do not say one.
    pub name: Option<String>,
}

/// In which order a format takes the spans of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the file has them.
    File,
    /// Trace by trace.
    Trace,
}

impl FileFormat {
    /// The format for spans as they come; `None` for one that must know all of them first ([`FileFormat::of_table`]).
    pub fn of_stream(self, host: &Host) -> Option<Box<dyn Format>> {
        Some(match self {
            FileFormat::Trace => Box::new(trace::TraceJson::default()),
            FileFormat::Otlp => Box::new(otlp::Otlp::new(host.clone())),
            FileFormat::Zipkin => Box::new(zipkin::Zipkin::default()),
            FileFormat::Csv => Box::new(csv::Csv),
            FileFormat::Jaeger | FileFormat::Perfetto => return None,
        })
    }

    /// The format for the spans of a table, and the order in which it takes them.
    pub fn of_table<'a>(self, table: &'a Table, host: &Host) -> (Box<dyn Format + 'a>, Order) {
        match self {
            FileFormat::Jaeger => (Box::new(jaeger::Jaeger::new(table)), Order::Trace),
            FileFormat::Perfetto => (Box::new(perfetto::Perfetto::new(table)), Order::File),
            FileFormat::Trace => (Box::new(trace::TraceJson::default()), Order::File),
            FileFormat::Otlp => (Box::new(otlp::Otlp::new(host.clone())), Order::File),
            FileFormat::Zipkin => (Box::new(zipkin::Zipkin::default()), Order::File),
            FileFormat::Csv => (Box::new(csv::Csv), Order::File),
        }
    }
}

/// A time as formats have it that know none before 1970.
fn since_1970(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}
