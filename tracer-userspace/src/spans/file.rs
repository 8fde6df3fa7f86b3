//! A whole file of spans, from wherever it can be read.

use std::io::Read;

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
    let mut elements = Elements::new(input);
    while let Some(element) = elements.read_next()? {
        let place = Place { offset: element.offset, len: element.bytes.len() as u32 };
        match parse(element, |doubt| problems.doubt(doubt)) {
            Ok(span) => each(span, place),
            Err(problem) => problems.unusable(problem),
        }
    }
    match elements.ending() {
        Some(Ending::Cut { line }) => problems.cut = Some(line),
        Some(Ending::More { line }) => problems.more = Some(line),
        Some(Ending::Whole) | None => {}
    }
    Ok(())
}

/// Reads a file into a table.
pub fn read_table(input: impl Read) -> Result<Table, ElementError> {
    let mut builder = Builder::default();
    let mut problems = Problems::default();
    each_span(input, &mut problems, |span, place| builder.add(&span, place))?;
    *builder.problems() = Problems { duplicates: builder.problems().duplicates, ..problems };
    Ok(builder.finish())
}

/// Reads a span again, from the bytes at its [`Place`]; `None` if they are no span (any more).
pub fn read_again(bytes: &[u8]) -> Option<FileSpan<'_>> {
    parse(Element { bytes, offset: 0, line: 1, column: 1 }, |_| {}).ok()
}
