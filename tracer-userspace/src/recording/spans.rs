//! Spans into a file, to a collector, or both; counted on the way, or only counted.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::export::convert::{ConvertError, SpanWriter, convert_file};
use crate::export::formats::{FileFormat, Host};
use crate::export::json::{FileTarget, JsonArray, ToJson, WriteError};
use crate::metrics::Scrape;
use crate::recording::push::{Delivery, Push};
use crate::report::latency::Tally;
use crate::spans::NO_ROW;
use crate::spans::file::read_again;
use crate::trace::Span;

/// The file. There may be none. Once writing has failed, further spans are only counted.
pub struct SpanFile {
    /// There is a file, or has been one.
    is_wanted: bool,
    form: Option<Form>,
    /// Requests by service.
    pub tally: Tally,
    /// Why the file ends early.
    pub failed: Option<WriteError>,
    /// Spans that came after writing had failed, or when the file was full.
    pub unwritten: u64,
    /// The size that the file must not pass, bytes.
    max_bytes: u64,
    /// Where they go besides.
    push: Option<Push>,
    /// What became of that.
    pub delivery: Option<Delivery>,
    /// A span for it.
    json: Vec<u8>,
}

/// How spans become the file.
enum Form {
    /// It is the trace JSON.
    Json(JsonArray<FileTarget>),
    /// Each is converted from its JSON, so that the file is what `tracer export` would make of the trace JSON.
    Converted { writer: SpanWriter<'static, FileTarget>, json: Vec<u8> },
    /// All of them are needed first: they wait as trace JSON in a file without a name, which goes with the tracer, however that ends.
    Later { waiting: JsonArray<FileTarget>, read: File, target: FileTarget, format: FileFormat, host: Host },
}

impl Form {
    fn bytes(&self) -> u64 {
        match self {
            Form::Json(array) | Form::Later { waiting: array, .. } => array.bytes(),
            Form::Converted { writer, .. } => writer.bytes(),
        }
    }

    fn write(&mut self, span: &Span) -> Result<(), WriteError> {
        match self {
            Form::Json(array) | Form::Later { waiting: array, .. } => array.write(span),
            Form::Converted { writer, json } => {
                json.clear();
                span.to_json(json);
                // Our own JSON is read.
                read_again(json).map_or(Ok(()), |span| writer.span(&span, NO_ROW))
            }
        }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        match self {
            Form::Json(array) | Form::Later { waiting: array, .. } => array.flush(),
            Form::Converted { writer, .. } => writer.flush(),
        }
    }

    fn finish(self) -> Result<(), WriteError> {
        match self {
            Form::Json(array) => array.finish().map(drop),
            Form::Converted { writer, .. } => writer.finish().map(drop),
            Form::Later { waiting, read, target, format, host } => {
                waiting.finish()?;
                convert_file(&read, target, format, &host, || false).map(drop).map_err(|error| match error {
                    ConvertError::Output(error) => error,
                    ConvertError::Input(error) => {
                        WriteError { kept: 0, valid: false, source: io::Error::other(error) }
                    }
                })
            }
        }
    }
}

impl SpanFile {
    /// A file of some format, for spans of this host. It will have `max_bytes`, and a span, at most. Where the format needs all spans first,
    /// they wait in the directory `beside` it, and have `max_bytes` at most there.
    pub fn of_format(
        target: FileTarget,
        format: FileFormat,
        host: Host,
        beside: &Path,
        max_bytes: u64,
    ) -> io::Result<Self> {
        let form = match (format, format.of_stream(&host)) {
            (FileFormat::Trace, _) => Form::Json(JsonArray::new(target)),
            (_, Some(form)) => {
                let writer = SpanWriter::new(target, form).map_err(io::Error::other)?;
                Form::Converted { writer, json: Vec::new() }
            }
            (_, None) => {
                let waiting = tempfile::tempfile_in(beside)?;
                let read = waiting.try_clone()?;
                let waiting = JsonArray::new(FileTarget::new(waiting)?);
                Form::Later { waiting, read, target, format, host }
            }
        };
        Ok(Self { is_wanted: true, form: Some(form), max_bytes, ..Self::none() })
    }

    /// A file of trace JSON. It will have `max_bytes`, and a span, at most.
    pub fn new(file: File, max_bytes: u64) -> io::Result<Self> {
        let form = Some(Form::Json(JsonArray::new(FileTarget::new(file)?)));
        Ok(Self { is_wanted: true, form, max_bytes, ..Self::none() })
    }

    /// No file: spans are counted, and pushed where that is wanted.
    pub fn none() -> Self {
        Self {
            is_wanted: false,
            form: None,
            tally: Tally::default(),
            failed: None,
            unwritten: 0,
            max_bytes: u64::MAX,
            push: None,
            delivery: None,
            json: Vec::new(),
        }
    }

    /// They go there besides.
    pub fn pushed(self, push: Option<Push>) -> Self {
        Self { push, ..self }
    }

    /// Adds a span.
    pub fn span(&mut self, span: &Span) {
        self.tally.add(span);
        if let Some(push) = &mut self.push {
            self.json.clear();
            span.to_json(&mut self.json);
            push.span(&self.json);
        }
        let Some(form) = self.form.as_mut().filter(|form| form.bytes() < self.max_bytes) else {
            self.unwritten += u64::from(self.is_wanted);
            return;
        };
        if let Err(error) = form.write(span) {
            self.fail(error);
        }
    }

    /// Whether it has the size that it may have.
    pub fn is_full(&self) -> bool {
        self.form.as_ref().is_some_and(|form| form.bytes() >= self.max_bytes)
    }

    /// Makes the file valid as it is.
    pub fn flush(&mut self) {
        if let Some(Err(error)) = self.form.as_mut().map(Form::flush) {
            self.fail(error);
        }
    }

    /// Where they go besides.
    pub fn push(&self) -> Option<&Push> {
        self.push.as_ref()
    }

    /// There are no more; `last` is what was counted to the end, where somebody may want it.
    pub fn finish(&mut self, last: Option<Scrape>) {
        if let Some(Err(error)) = self.form.take().map(Form::finish) {
            self.failed = Some(error);
        }
        // Last: it may take seconds.
        self.delivery = self.push.take().map(|push| push.finish(last));
    }

    fn fail(&mut self, error: WriteError) {
        self.form = None;
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
        file.finish(None);
        assert_eq!(file.tally.services().map(|(_, tally)| tally.counts.requests).sum::<u64>(), 1);
        assert!(!file.is_full() && file.failed.is_none() && file.unwritten == 0);
    }
}
