//! A whole file of spans, from wherever it can be read.

use std::convert::Infallible;
use std::io::Read;
use std::ops::ControlFlow;

use super::elements::{Element, ElementError, Elements, Ending};
use super::parse::parse;
use super::table::{Builder, Table};
use super::{FileSpan, Place, Problems};

/// Hands over each span of a file; what could not be used is counted.
pub fn each_span(
    input: impl Read,
    problems: &mut Problems,
    mut each: impl FnMut(FileSpan<'_>, Place),
) -> Result<(), ElementError> {
    try_each_span::<Infallible>(input, problems, |span, place| {
        each(span, place);
        ControlFlow::Continue(())
    })
    .map(drop)
}

/// As [`each_span`], until `each` breaks off: then what it broke off with is returned, and the rest of the file is not read.
pub fn try_each_span<B>(
    input: impl Read,
    problems: &mut Problems,
    mut each: impl FnMut(FileSpan<'_>, Place) -> ControlFlow<B>,
) -> Result<Option<B>, ElementError> {
    let mut elements = Elements::new(input);
    while let Some(element) = elements.read_next()? {
        let place = Place { offset: element.offset, len: element.bytes.len() as u32 };
        match parse(element, |doubt| problems.doubt(doubt)) {
            Ok(span) => {
                if let ControlFlow::Break(reason) = each(span, place) {
                    return Ok(Some(reason));
                }
            }
            Err(problem) => problems.unusable(problem),
        }
    }
    match elements.ending() {
        Some(Ending::Cut { line }) => problems.cut = Some(line),
        Some(Ending::More { line }) => problems.more = Some(line),
        Some(Ending::Whole) | None => {}
    }
    Ok(None)
}

/// Reads a file into a table.
pub fn read_table(input: impl Read) -> Result<Table, ElementError> {
    read_table_until(input, || false)
}

/// As [`read_table`], of what comes before `stop` says so.
pub fn read_table_until(input: impl Read, stop: impl Fn() -> bool) -> Result<Table, ElementError> {
    let mut builder = Builder::default();
    let mut problems = Problems::default();
    try_each_span(input, &mut problems, |span, place| {
        builder.add(&span, place);
        if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    *builder.problems() = Problems { duplicates: builder.problems().duplicates, ..problems };
    Ok(builder.finish())
}

/// Reads a span again, from the bytes at its [`Place`]; `None` if they are no span (any more).
pub fn read_again(bytes: &[u8]) -> Option<FileSpan<'_>> {
    parse(Element { bytes, offset: 0, line: 1, column: 1 }, |_| {}).ok()
}
