//! Spans into a file, counted on the way; or only counted.

use std::fs::File;
use std::io;

use crate::export::json::{FileTarget, JsonArray, WriteError};
use crate::report::latency::Tally;
use crate::trace::Span;

/// The file. Once writing has failed, further spans are only counted.
pub struct SpanFile {
    /// There is a file, or has been one.
    is_wanted: bool,
    array: Option<JsonArray<FileTarget>>,
    /// Requests by service.
    pub tally: Tally,
    /// Why the file ends early.
    pub failed: Option<WriteError>,
    /// Spans that came after writing had failed, or when the file was full.
    pub unwritten: u64,
    /// The size that the file must not pass, bytes.
    max_bytes: u64,
}

impl SpanFile {
    /// Takes an open file; what was in it is overwritten. It will have `max_bytes`, and a span, at most.
    pub fn new(file: File, max_bytes: u64) -> io::Result<Self> {
        let array = Some(JsonArray::new(FileTarget::new(file)?));
        Ok(Self { is_wanted: true, array, max_bytes, ..Self::none() })
    }

    /// No file: spans are only counted.
    pub fn none() -> Self {
        Self {
            is_wanted: false,
            array: None,
            tally: Tally::default(),
            failed: None,
            unwritten: 0,
            max_bytes: u64::MAX,
        }
    }

    /// Adds a span.
    pub fn span(&mut self, span: &Span) {
        self.tally.add(span);
        let Some(array) = self.array.as_mut().filter(|array| array.bytes() < self.max_bytes) else {
            self.unwritten += u64::from(self.is_wanted);
            return;
        };
        if let Err(error) = array.write(span) {
            self.fail(error);
        }
    }

    /// Whether it has the size that it may have.
    pub fn is_full(&self) -> bool {
        self.array.as_ref().is_some_and(|array| array.bytes() >= self.max_bytes)
    }

    /// Makes the file valid as it is.
    pub fn flush(&mut self) {
        if let Some(Err(error)) = self.array.as_mut().map(JsonArray::flush) {
            self.fail(error);
        }
    }

    /// There are no more.
    pub fn finish(&mut self) {
        if let Some(Err(error)) = self.array.take().map(JsonArray::finish) {
            self.failed = Some(error);
        }
    }

    fn fail(&mut self, error: WriteError) {
        self.array = None;
        self.failed = Some(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Side;
    use crate::metrics::samples::span;

    #[test]
    fn where_no_file_is_wanted_spans_are_counted_and_none_is_missing() {
        let mut file = SpanFile::none();
        file.span(&span("shop", Side::Server, "GET", "/", 5));
        file.flush();
        file.finish();
        assert_eq!(file.tally.services().map(|(_, tally)| tally.requests).sum::<u64>(), 1);
        assert!(!file.is_full() && file.failed.is_none() && file.unwritten == 0);
    }
}
