//! A whole file of spans, from wherever it can be read.

use std::convert::Infallible;
use std::io::Read;
use std::ops::ControlFlow;

use super::elements::{Element, ElementError, Elements, Ending};
use super::parse::{Fields, Unusable, parse};
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
    each: impl FnMut(FileSpan<'_>, Place) -> ControlFlow<B>,
) -> Result<Option<B>, ElementError> {
    try_each::<true, B>(input, problems, each)
}

/// With the tags of spans, or without.
fn try_each<const TAGS: bool, B>(
    input: impl Read,
    problems: &mut Problems,
    mut each: impl FnMut(FileSpan<'_>, Place) -> ControlFlow<B>,
) -> Result<Option<B>, ElementError> {
    let mut elements = Elements::new(input);
    while elements.advance()? {
        let flow = if let Some(element) = elements.line()
            && let Ok(fields) = Fields::<TAGS>::read(element.bytes)
        {
            let span = fields.span(element, |doubt| problems.doubt(doubt));
            let flow = hand(span, element, problems, &mut each);
            let len = element.bytes.len();
            elements.skip(len);
            flow
        } else if let Some(element) = elements.element()? {
            let span = parse::<TAGS>(element, |doubt| problems.doubt(doubt));
            hand(span, element, problems, &mut each)
        } else {
            break;
        };
        if let ControlFlow::Break(reason) = flow {
            return Ok(Some(reason));
        }
    }
    match elements.ending() {
        Some(Ending::Cut { line }) => problems.cut = Some(line),
        Some(Ending::More { line }) => problems.more = Some(line),
        Some(Ending::Whole) | None => {}
    }
    Ok(None)
}

/// Gives a span away, or counts what is wrong with it.
fn hand<B>(
    span: Result<FileSpan<'_>, Unusable>,
    element: Element<'_>,
    problems: &mut Problems,
    each: &mut impl FnMut(FileSpan<'_>, Place) -> ControlFlow<B>,
) -> ControlFlow<B> {
    match span {
        Ok(span) => each(span, Place { offset: element.offset, len: element.bytes.len() as u32 }),
        Err(problem) => {
            problems.unusable(problem);
            ControlFlow::Continue(())
        }
    }
}

/// Reads a file into a table.
pub fn read_table(input: impl Read) -> Result<Table, ElementError> {
    let mut builder = Builder::default();
    let mut problems = Problems::default();
    each_span(input, &mut problems, |span, place| builder.add(&span, place))?;
    Ok(builder.finish(problems))
}

/// As [`read_table`], with nothing of what the tags say: for those who read the spans again. Only of what comes before `stop` says so.
pub fn read_outlines(input: impl Read, stop: impl Fn() -> bool) -> Result<Table, ElementError> {
    let mut builder = Builder::default();
    let mut problems = Problems::default();
    try_each::<false, ()>(input, &mut problems, |span, place| {
        builder.outline(&span, place);
        if stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(builder.finish(problems))
}

/// Reads a span again, from the bytes at its [`Place`]; `None` if they are no span (any more).
pub fn read_again(bytes: &[u8]) -> Option<FileSpan<'_>> {
    parse::<true>(Element { bytes, offset: 0, line: 1, column: 1 }, |_| {}).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids and places of the spans, and what is wrong.
    fn all(text: &str) -> (Vec<(String, Place)>, Problems) {
        let (mut found, mut problems) = (Vec::new(), Problems::default());
        each_span(text.as_bytes(), &mut problems, |span, place| {
            found.push((span.span_id.into_owned(), place));
        })
        .unwrap();
        (found, problems)
    }

    /// One on a line is read in a shorter way than others.
    #[test]
    fn spans_are_found_however_the_lines_are_broken() {
        let span = |id: &str| {
            format!(
                r#"{{"traceId":"t","spanId":"{id}","serviceName":"a","operationName":"b","startTime":"2023-10-27T10:00:00Z","duration":1,"tags":{{"x":"{{]"}}}}"#
            )
        };
        let (a, b, c) = (span("a"), span("b"), span("c"));
        let spread = b.replace(",", ",\n  ").replace("{\"tr", "{\n\"tr");
        for text in [
            format!("[{a},{b},{c}]"),
            format!("[\n{a},\n{b},\n{c}\n]\n"),
            format!("[\r\n{a} ,\r\n{b},\r\n  {c}]"),
            format!("[{a},{b},\n{c}]\n"),
            format!("[\n{a},\n{spread},\n{c}\n]\n"),
            format!("[\n{a}\n,{spread}\n,{c}\n]\n"),
            format!("[\n{a},,\n{b} , {c},\n]\n"),
        ] {
            let (found, problems) = all(&text);
            let ids: Vec<&str> = found.iter().map(|(id, _)| &**id).collect();
            assert_eq!(ids, ["a", "b", "c"], "{text}");
            assert_eq!(problems, Problems::default(), "{text}");
            for (id, place) in found {
                let from = place.offset as usize;
                let again =
                    text.as_bytes().get(from..from + place.len as usize).and_then(read_again).unwrap();
                assert_eq!(again.span_id, id);
            }
        }
    }

    #[test]
    fn what_is_no_span_costs_no_other_and_has_its_place() {
        let span = r#"{"traceId":"t","spanId":"s","serviceName":"a","operationName":"b","startTime":"2023-10-27T10:00:00Z","duration":-1}"#;
        let bad = r#"{"traceId":"t","spanId":"s","startTime":"now","duration":-1}"#;
        let text =
            format!("[\n{span},\n{bad},\n[1,{span}],\n7,\n{{\"a\" 1}},\n  {{\"a\":1\n,}},{span}\n]\nmore");
        let (found, problems) = all(&text);
        assert_eq!(found.len(), 2);
        let places: Vec<_> = problems.named.iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!((problems.unusable, places), (5, vec![(3, 1), (4, 1), (5, 1)]));
        assert_eq!((problems.negative, problems.more), (2, Some(10)));
    }
}
