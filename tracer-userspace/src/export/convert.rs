//! A file of traces into a file of another form.
//!
//! Most forms take one span after the other, in little memory however long the file is. Those that need all spans first
//! ([`FileFormat::of_stream`]) are made in two passes: a table of what is compact, then the spans once more from their places in the file.

use std::fs::File;
use std::io::{self, Seek};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use super::formats::{FileFormat, Format, Host, Order};
use super::records::{Records, Target, WriteError};
use crate::spans::elements::ElementError;
use crate::spans::file::{read_again, read_outlines, try_each_span};
use crate::spans::{FileSpan, NO_ROW, Place, Problems, Table};

/// Bytes read at once in the second pass.
const WINDOW: usize = 256 << 10;

/// Spans into an output of some form. [`SpanWriter::finish`] must be called; without it the last spans are missing.
pub struct SpanWriter<'a, T: Target> {
    records: Records<T>,
    format: Box<dyn Format + 'a>,
    /// Spans that the format keeps.
    kept: u64,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Spans in the output.
    pub spans: u64,
    /// Of them, those whose ids are no hexadecimal numbers and were replaced.
    pub hashed_ids: u64,
    /// It was told to stop before the end.
    pub stopped: bool,
    /// What was wrong with the input.
    pub problems: Problems,
}

impl<'a, T: Target> SpanWriter<'a, T> {
    /// Begins the output.
    pub fn new(target: T, format: Box<dyn Format + 'a>) -> Result<Self, WriteError> {
        let mut writer = Self { records: Records::new(target), format, kept: 0 };
        writer.format.begin(writer.records.buffer());
        writer.records.end_record(0, writer.format.closing())?;
        Ok(writer)
    }

    /// Adds a span, which has this row of the table if the format was made with one.
    pub fn span(&mut self, span: &FileSpan<'_>, row: u32) -> Result<(), WriteError> {
        self.append(1, |format, out| format.span(span, row, out))
    }

    /// Bytes so far, but for spans that wait to be written together.
    pub fn bytes(&self) -> u64 {
        self.records.bytes()
    }

    /// Writes out what there is, so that a reader finds all spans so far.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.append(0, |format, out| format.flush(out))?;
        self.records.flush()
    }

    /// Ends the output.
    pub fn finish(mut self) -> Result<Written, WriteError> {
        self.flush()?;
        let hashed_ids = self.format.hashed_ids();
        Ok(Written { spans: self.records.finish()?, hashed_ids, ..Written::default() })
    }

    /// What a format appends has all spans in it that it was given before.
    fn append(
        &mut self,
        spans: u64,
        append: impl FnOnce(&mut (dyn Format + 'a), &mut Vec<u8>),
    ) -> Result<(), WriteError> {
        let before = self.records.buffer().len();
        append(&mut *self.format, self.records.buffer());
        self.kept += spans;
        if self.records.buffer().len() == before {
            return Ok(());
        }
        self.records.end_record(std::mem::take(&mut self.kept), self.format.closing())
    }
}

/// A file was not converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// The input cannot be read, or is none.
    #[error(transparent)]
    Input(#[from] ElementError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] WriteError),
}

/// Why a pass ended before the end of the file.
enum Stop {
    Told,
    Failed(WriteError),
}

/// Writes the spans of a file in a form that takes them as they come.
///
/// `stop` is asked before each span. Once it says so, the output is ended as it is.
pub fn convert_stream<T: Target>(
    input: impl io::Read,
    mut writer: SpanWriter<'_, T>,
    stop: impl Fn() -> bool,
) -> Result<Written, ConvertError> {
    let mut problems = Problems::default();
    let stopped = try_each_span(input, &mut problems, |span, _| step(&mut writer, &span, NO_ROW, &stop))?;
    ended(writer, stopped, problems)
}

/// Writes the spans of a file in any form, in two passes. `stop` as in [`convert_stream`]; in the first pass nothing is written yet.
pub fn convert_file<T: Target>(
    input: &File,
    target: T,
    format: FileFormat,
    host: &Host,
    stop: impl Fn() -> bool,
) -> Result<Written, ConvertError> {
    let mut from_start = input;
    from_start.rewind().map_err(ElementError::Io)?;
    let table = read_outlines(from_start, &stop)?;
    let (format, order) = format.of_table(&table, host);
    let mut writer = SpanWriter::new(target, format)?;
    let mut window = Window { file: input, bytes: Vec::new(), offset: 0 };
    let mut each = |row: u32| -> Result<ControlFlow<Stop>, ElementError> {
        let Some(place) = table.row(row).map(|row| row.place) else { return Ok(ControlFlow::Continue(())) };
        // As it was in the first pass: nobody but the tracer should be writing into the file.
        let changed = || io::Error::other("it has changed while it was read; convert it when it is complete");
        let span = window.read(place)?.and_then(read_again).ok_or_else(changed)?;
        Ok(step(&mut writer, &span, row, &stop))
    };
    let stopped = match order {
        Order::File => each_row(0..table.rows.len() as u32, &mut each)?,
        Order::Trace => each_row(by_trace(&table), &mut each)?,
    };
    let problems = table.problems.clone();
    ended(writer, stopped, problems)
}

fn step<T: Target>(
    writer: &mut SpanWriter<'_, T>,
    span: &FileSpan<'_>,
    row: u32,
    stop: &impl Fn() -> bool,
) -> ControlFlow<Stop> {
    if stop() {
        return ControlFlow::Break(Stop::Told);
    }
    match writer.span(span, row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Stop::Failed(error)),
    }
}

fn ended<T: Target>(
    writer: SpanWriter<'_, T>,
    stopped: Option<Stop>,
    problems: Problems,
) -> Result<Written, ConvertError> {
    let stopped = match stopped {
        Some(Stop::Failed(error)) => return Err(error.into()),
        Some(Stop::Told) => true,
        None => false,
    };
    Ok(Written { stopped, problems, ..writer.finish()? })
}

/// The rows of each trace, in the file's order.
fn by_trace(table: &Table) -> impl Iterator<Item = u32> {
    table.traces.iter().flat_map(|trace| {
        let mut rows = table.rows_of(trace).to_vec();
        rows.sort_unstable();
        rows
    })
}

/// Until one breaks off.
fn each_row(
    mut rows: impl Iterator<Item = u32>,
    each: &mut impl FnMut(u32) -> Result<ControlFlow<Stop>, ElementError>,
) -> Result<Option<Stop>, ElementError> {
    rows.find_map(|row| each(row).map(ControlFlow::break_value).transpose()).transpose()
}

/// A part of a file. Spans of a trace mostly stand together.
struct Window<'a> {
    file: &'a File,
    bytes: Vec<u8>,
    offset: u64,
}

impl Window<'_> {
    /// The bytes at a place; `None` if the file ends before.
    fn read(&mut self, place: Place) -> io::Result<Option<&[u8]>> {
        let len = place.len as usize;
        let is_inside = |window: &Self| {
            let from = usize::try_from(place.offset.checked_sub(window.offset)?).ok()?;
            (from + len <= window.bytes.len()).then_some(from)
        };
        let from = match is_inside(self) {
            Some(from) => from,
            None => {
                self.fill(place.offset, len.max(WINDOW))?;
                0
            }
        };
        Ok(self.bytes.get(from..from + len))
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        self.offset = offset;
        self.bytes.resize(len, 0);
        let mut filled = 0;
        while let Some(rest) = self.bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
