//! The slowest traces of a file, as bars over time.
//!
//! The file may be anybody's: parents that are missing, duplicated or go round in circles are drawn as what they
//! are, a span without a known parent.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use super::text::{Duration, count, fit};
use crate::export::read::ReadSpan;
use crate::time::Rfc3339Micros;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Box-drawing characters, or plain ASCII.
    pub unicode: bool,
    /// Rows per trace at most.
    pub max_rows: usize,
}

impl Default for Style {
    fn default() -> Self {
        Style { width: 100, unicode: true, max_rows: 100 }
    }
}

/// Columns right of the bar: start, duration, status.
const NUMBERS: usize = 9 + 9 + 4;
/// Narrower than this nothing can be read; lines are then longer than the terminal.
const MIN_WIDTH: usize = 60;
/// Deeper levels are drawn at this depth.
const MAX_INDENT: usize = 12;

/// One trace.
struct Trace<'a> {
    id: &'a str,
    spans: Vec<&'a ReadSpan>,
    start: i64,
    end: i64,
}

/// The slowest traces, slowest first.
pub fn render(spans: &[ReadSpan], slowest: usize, style: Style) -> String {
    let mut text = String::new();
    for trace in traces(spans).into_iter().take(slowest) {
        if !text.is_empty() {
            text.push('\n');
        }
        // Writing into a string does not fail.
        let _ = draw(&trace, style, &mut text);
    }
    text
}

fn end_of(span: &ReadSpan) -> i64 {
    span.start.saturating_add_unsigned(span.duration)
}

fn traces(spans: &[ReadSpan]) -> Vec<Trace<'_>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut traces: Vec<Trace> = Vec::new();
    for span in spans {
        let place = *places.entry(&span.trace_id).or_insert(traces.len());
        match traces.get_mut(place) {
            Some(trace) => {
                trace.start = trace.start.min(span.start);
                trace.end = trace.end.max(end_of(span));
                trace.spans.push(span);
            }
            None => traces.push(Trace {
                id: &span.trace_id,
                spans: vec![span],
                start: span.start,
                end: end_of(span),
            }),
        }
    }
    traces.sort_by(|a, b| length(b).cmp(&length(a)).then(a.start.cmp(&b.start)).then(a.id.cmp(b.id)));
    traces
}

fn length(trace: &Trace) -> u64 {
    trace.end.saturating_sub(trace.start).max(0) as u64
}

/// The spans in the order of drawing, with their depth: parents first, siblings by start.
fn tree<'a>(spans: &[&'a ReadSpan]) -> Vec<(usize, &'a ReadSpan)> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        by_id.entry(&span.span_id).or_insert(at);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        let parent =
            span.parent_span_id.as_deref().and_then(|parent| by_id.get(parent)).filter(|p| **p != at);
        match parent.and_then(|parent| children.get_mut(*parent)) {
            Some(siblings) => siblings.push(at),
            None => roots.push(at),
        }
    }
    let start = |at: &usize| spans.get(*at).map(|span| (span.start, span.duration)).unwrap_or_default();
    let by_start = |list: &mut Vec<usize>| list.sort_by_key(|at| (start(at).0, u64::MAX - start(at).1, *at));
    children.iter_mut().for_each(by_start);
    by_start(&mut roots);
    // What no root reaches goes round in circles: each circle is entered at its earliest span.
    let mut rest: Vec<usize> = (0..spans.len()).collect();
    by_start(&mut rest);
    let mut drawn = vec![false; spans.len()];
    let mut order = Vec::with_capacity(spans.len());
    for root in roots.into_iter().chain(rest) {
        let mut open = vec![(0, root)];
        while let Some((depth, at)) = open.pop() {
            if drawn.get_mut(at).is_none_or(|drawn| std::mem::replace(drawn, true)) {
                continue;
            }
            order.extend(spans.get(at).map(|span| (depth, *span)));
            open.extend(children.get(at).into_iter().flatten().rev().map(|child| (depth + 1, *child)));
        }
    }
    order
}

fn draw(trace: &Trace, style: Style, out: &mut String) -> fmt::Result {
    let rows = tree(&trace.spans);
    let marks =
        rows.iter().take(style.max_rows).map(|(_, span)| mark(span).chars().count()).max().unwrap_or(0);
    let width = style.width.max(MIN_WIDTH) - marks;
    // Statements are long, and say more than a fine bar does.
    let has_statements = rows.iter().any(|(_, span)| span.tags.statement.is_some());
    let bar_width = if has_statements { (width - NUMBERS) / 4 } else { (width - NUMBERS) * 2 / 5 };
    let name_width = width - NUMBERS - bar_width - 2;
    let ellipsis = if style.unicode { '…' } else { '~' };
    let start = u64::try_from(trace.start).map(|nanos| Rfc3339Micros(nanos).to_string()).unwrap_or_default();
    writeln!(
        out,
        "trace {}  {}  {} spans  {start}",
        fit(trace.id, 32, ellipsis),
        Duration(length(trace)),
        count(trace.spans.len() as u64)
    )?;
    for (depth, span) in rows.iter().take(style.max_rows) {
        let calls = span.tags.kind.as_deref() == Some("client");
        let kind = match (calls, style.unicode) {
            (true, true) => "→ ",
            (true, false) => "> ",
            (false, _) => "",
        };
        let name = format!(
            "{:indent$}{kind}{} {}",
            "",
            span.service_name,
            // Of a call to a database the statement says more than its first word.
            span.tags.statement.as_ref().unwrap_or(&span.operation_name),
            indent = 2 * depth.min(&MAX_INDENT)
        );
        let name = fit(&name, name_width, ellipsis);
        let line = format!(
            "{name}{:pad$} {} {:>9}{:>9}{:>4}{}",
            "",
            bar(trace, span, bar_width, style.unicode),
            format!("+{}", Duration(span.start.saturating_sub(trace.start).max(0) as u64)),
            Duration(span.duration),
            status(span),
            mark(span),
            pad = name_width.saturating_sub(name.chars().count()),
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    if let Some(more) = rows.len().checked_sub(style.max_rows).filter(|more| *more > 0) {
        writeln!(out, "{ellipsis} and {} more spans", count(more as u64))?;
    }
    Ok(())
}

/// Links that are less sure are marked.
const BEYOND_DOUBT: f32 = 0.99;

/// `!` for a failure, `?` for a duration that is only a lower bound, with the reason; and how sure the parent is, where that may
/// be doubted.
fn mark(span: &ReadSpan) -> String {
    let mut mark = String::new();
    if span.tags.error {
        mark.push_str(" !");
    }
    if let Some(code) = &span.tags.error_code {
        mark.push(' ');
        mark.push_str(&fit(code, 20, '~'));
    }
    if let (Some(count), Some(operation)) = (span.tags.repeated, &span.tags.repeated_operation) {
        mark.push_str(&format!(" {count} x {}", fit(operation, 40, '~')));
    }
    if span.tags.incomplete {
        mark.push_str(" ?");
    }
    if let Some(outcome) = &span.tags.outcome {
        mark.push(' ');
        mark.push_str(&fit(outcome, 20, '~'));
    }
    if let Some(confidence) = span.tags.confidence.filter(|confidence| *confidence < BEYOND_DOUBT) {
        // Cut off: what is not certain must not look so.
        mark.push_str(&format!(" link {:.0} %", (confidence * 100.0 + 1e-3).floor()));
    }
    mark
}

/// The status code. Databases have none: nothing stands there, or that there was an error.
fn status(span: &ReadSpan) -> String {
    match (span.tags.status, &span.tags.statement) {
        (Some(status), _) => status.to_string(),
        (None, Some(_)) if span.tags.error => "err".to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => "-".to_owned(),
    }
}

fn bar(trace: &Trace, span: &ReadSpan, width: usize, unicode: bool) -> String {
    let total = length(trace).max(1) as f64;
    let place = |at: i64| {
        let share = at.saturating_sub(trace.start).max(0) as f64 / total;
        ((share * width as f64).round() as usize).min(width)
    };
    let from = place(span.start).min(width.saturating_sub(1));
    let to = place(end_of(span)).max(from + 1).min(width);
    let (full, empty) = if unicode { ('█', '·') } else { ('#', '.') };
    (0..width).map(|at| if (from..to).contains(&at) { full } else { empty }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::read::ReadTags;

    fn span(trace: &str, id: &str, parent: Option<&str>, start: i64, duration: u64) -> ReadSpan {
        ReadSpan {
            trace_id: trace.into(),
            span_id: id.into(),
            parent_span_id: parent.map(Into::into),
            service_name: "shop".into(),
            operation_name: "GET /cart".into(),
            start: 1_698_400_800_000_000_000 + start * 1_000_000,
            duration: duration * 1_000_000,
            tags: ReadTags { status: Some(200), ..ReadTags::default() },
        }
    }

    #[test]
    fn a_link_that_may_be_doubted_says_so() {
        let marked = |confidence: Option<f32>| {
            let tags = ReadTags { confidence, ..ReadTags::default() };
            mark(&ReadSpan { tags, ..span("aa", "1", None, 0, 1) })
        };
        assert_eq!((marked(None), marked(Some(1.0)), marked(Some(0.99))), Default::default());
        assert_eq!((&*marked(Some(0.939)), &*marked(Some(0.9))), (" link 93 %", " link 90 %"));
    }

    #[test]
    fn a_trace_looks_like_this() {
        let mut spans = vec![
            span("aa", "1", None, 0, 100),
            span("aa", "2", Some("1"), 25, 50),
            span("aa", "3", Some("2"), 26, 48),
            span("aa", "4", Some("1"), 80, 20),
        ];
        spans[1].tags.kind = Some("client".into());
        spans[2].tags.status = Some(503);
        spans[2].tags.error = true;
        spans[3].tags = ReadTags {
            kind: Some("client".into()),
            incomplete: true,
            outcome: Some("pending".into()),
            ..ReadTags::default()
        };
        let style = Style { width: 84, unicode: false, max_rows: 10 };
        assert_eq!(
            render(&spans, 5, style),
            "\
trace aa  100ms  4 spans  2023-10-27T10:00:00.000000Z
shop GET /cart                 ####################      +0ns    100ms 200
  > shop GET /cart             .....##########.....   +25.0ms   50.0ms 200
    shop GET /cart             .....##########.....   +26.0ms   48.0ms 503 !
  > shop GET /cart             ................####   +80.0ms   20.0ms   - ? pending
"
        );
    }

    #[test]
    fn the_slowest_come_first() {
        let spans =
            [span("fast", "1", None, 0, 1), span("slow", "2", None, 5, 9), span("mid", "3", None, 5, 5)];
        let text = render(&spans, 2, Style::default());
        assert!(text.find("slow").unwrap() < text.find("mid").unwrap());
        assert!(!text.contains("fast"));
    }

    #[test]
    fn lines_fit_the_terminal() {
        let mut wide = span("aa", "1", None, 0, 100);
        wide.operation_name = "GET /a/very/long/path/".repeat(20).into();
        wide.tags.error = true;
        wide.tags.outcome = Some("an outcome longer than any".into());
        for width in [60, 80, 100, 200] {
            let text = render(std::slice::from_ref(&wide), 1, Style { width, unicode: true, max_rows: 9 });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
        }
        render(&[wide], 1, Style { width: 0, unicode: true, max_rows: 0 });
    }

    #[test]
    fn foreign_files_are_drawn_whatever_they_say() {
        let mut spans = vec![
            // A circle, a span that is its own parent, a missing parent, a duplicate.
            span("aa", "1", Some("2"), 0, 10),
            span("aa", "2", Some("1"), 1, 10),
            span("aa", "3", Some("3"), 2, 10),
            span("aa", "4", Some("nowhere"), 3, 10),
            span("aa", "4", Some("4"), 4, 10),
            span("aa", "", Some(""), 5, 0),
        ];
        spans[0].start = i64::MIN;
        spans[1].start = i64::MAX;
        spans[2].duration = u64::MAX;
        let text = render(&spans, 1, Style::default());
        assert_eq!(text.lines().count(), 1 + spans.len(), "{text}");
        assert_eq!(render(&[], 5, Style::default()), "");
    }

    #[test]
    fn a_deep_trace_neither_overflows_nor_hides_its_size() {
        let spans: Vec<ReadSpan> = (0..20_000)
            .map(|n| span("aa", &n.to_string(), (n > 0).then(|| (n - 1).to_string()).as_deref(), n, 1))
            .collect();
        let text = render(&spans, 1, Style::default());
        assert!(text.contains("and 19 900 more spans"), "{text}");
    }
}
