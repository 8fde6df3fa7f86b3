//! A trace as bars over time, one line a span.

mod details;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

pub use details::Details;

use super::fold::{Line, likeness, lines};
use super::paint::Paint;
use super::tree;
use crate::breakdown::{Segment, critical_path, self_times};
use crate::spans::{Kind, Row, Table, Trace};
use crate::text::{Duration, columns, count, fit, fit_pair, padded, plural, wrapped};
use crate::time::Rfc3339Micros;

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal.
    pub width: usize,
    /// Box-drawing characters, or plain ASCII.
    pub unicode: bool,
    /// Colours, as terminals know them.
    pub color: bool,
    /// Lines per trace at most.
    pub max_lines: usize,
}

impl Default for Style {
    fn default() -> Self {
        Style { width: 100, unicode: true, color: false, max_lines: 100 }
    }
}

impl Style {
    fn ellipsis(&self) -> char {
        if self.unicode { '…' } else { '~' }
    }
}

/// Columns right of the bar: start, duration, own time, status.
const NUMBERS: usize = 10 + 9 + 9 + 4;
/// Narrower than this nothing can be read; lines are then longer than the terminal.
const MIN_WIDTH: usize = 80;
/// A wider bar says no more.
const MAX_BAR: usize = 100;
/// Deeper levels are drawn at this depth.
const MAX_INDENT: usize = 10;
/// Marks may take this part of the columns; what is longer is cut.
const MARKS: usize = 4;

/// A span of the trace that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawn<'a> {
    row: &'a Row,
    /// Position of its parent in the trace.
    parent: Option<usize>,
    details: Details,
    /// Time that no child covers, ns.
    own: u64,
}

/// The trace and what it is measured by.
struct Picture<'a> {
    table: &'a Table,
    spans: Vec<Drawn<'a>>,
    path: Vec<Segment>,
    start: i64,
    end: i64,
}

/// What the columns are called.
pub fn legend(style: Style) -> String {
    let (path, rest) = if style.unicode { ('█', '▒') } else { ('#', '=') };
    let text = format!(
        "Each line: service, what was asked; {path} on the critical path, {rest} not; when it began, how long it took, how much of that in itself."
    );
    wrapped(&text, 0, style.width.max(MIN_WIDTH))
}

/// Draws a trace. `details` reads what the table leaves out of a row; `sentence` is a line for the head.
pub fn render(
    table: &Table,
    trace: &Trace,
    style: Style,
    mut details: impl FnMut(u32, &Row) -> Details,
    sentence: Option<&str>,
) -> String {
    let rows = table.rows_of(trace);
    let nodes = tree::nodes(table, rows);
    let own = self_times(&nodes);
    let root = rows.iter().position(|row| *row == trace.root);
    let path = root.map_or_else(Vec::new, |root| critical_path(&nodes, root));
    let spans: Vec<Drawn<'_>> = rows
        .iter()
        .zip(nodes.iter().zip(own))
        .filter_map(|(at, (node, own))| {
            let row = table.row(*at)?;
            Some(Drawn { row, parent: node.parent, details: details(*at, row), own })
        })
        .collect();
    let start = spans.iter().map(|span| span.row.start).min().unwrap_or_default();
    let end = spans.iter().map(|span| span.row.end()).max().unwrap_or_default();
    let picture = Picture { table, spans, path, start, end };
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = picture.head(trace, style, sentence, &mut out).and_then(|()| picture.draw(style, &mut out));
    out
}

impl Picture<'_> {
    fn length(&self) -> u64 {
        self.end.saturating_sub(self.start).max(0) as u64
    }

    fn head(&self, trace: &Trace, style: Style, sentence: Option<&str>, out: &mut String) -> fmt::Result {
        let paint = Paint(style.color);
        let start =
            u64::try_from(self.start).map(|nanos| Rfc3339Micros(nanos).to_string()).unwrap_or_default();
        let id = fit(&trace.id, 32, style.ellipsis());
        let is_cut = self.table.row(trace.root).is_some_and(|root| root.is_incomplete);
        let least = match (is_cut, style.unicode) {
            (true, true) => "≥",
            (true, false) => ">=",
            (false, _) => "",
        };
        let took = format!("{least}{}", Duration(self.table.duration(trace)));
        let spans = plural(self.spans.len() as u64, "span");
        let failed = match trace.errors {
            0 => String::new(),
            errors => format!("  {} failed", count(errors.into())),
        };
        let width = format!("trace {id}  {took}  {spans}{failed}  {start}");
        let width = columns(&width);
        // By the time of day logs are searched: it is never left out.
        let between = if width <= style.width.max(MIN_WIDTH) { "  " } else { "\n  " };
        writeln!(out, "trace {}  {took}  {spans}{}{between}{start}", paint.strong(&id), paint.bad(&failed))?;
        if let Some(sentence) = sentence {
            out.push_str(&wrapped(sentence, 2, style.width.max(MIN_WIDTH)));
        }
        Ok(())
    }

    fn draw(&self, style: Style, out: &mut String) -> fmt::Result {
        let parents: Vec<Option<usize>> = self.spans.iter().map(|span| span.parent).collect();
        let likeness: Vec<u64> = self.spans.iter().map(|span| likeness(span.row, &span.details)).collect();
        let lines = lines(&parents, &likeness);
        let shown = lines.get(..style.max_lines).unwrap_or(&lines);
        let marks: Vec<String> = shown.iter().map(|line| self.mark(line, style)).collect();
        let mark_width = marks.iter().map(|mark| columns(mark)).max().unwrap_or(0);
        let width = style.width.max(MIN_WIDTH) - mark_width;
        // Statements are long, and say more than a fine bar does. What names leave free is the bar's.
        let has_statements = self.spans.iter().any(|span| span.details.statement.is_some());
        let room = width - NUMBERS - 1;
        let least = if has_statements { (width - NUMBERS) / 5 } else { (width - NUMBERS) / 3 };
        let names = shown.iter().filter_map(|line| Some((self.spans_of(line).next()?, line)));
        let longest =
            names.map(|(span, line)| columns(&self.name(span, line, style, room))).max().unwrap_or(0);
        let name_width = longest.min(room - least);
        let bar_width = (room - name_width).min(MAX_BAR.max(least));
        for (line, mark) in shown.iter().zip(&marks) {
            self.line(line, mark, style, (name_width, bar_width), out)?;
        }
        let hidden: usize =
            lines.get(shown.len()..).unwrap_or_default().iter().map(|line| line.spans.len()).sum();
        if hidden > 0 {
            writeln!(
                out,
                "{} and {}; --trace shows all",
                style.ellipsis(),
                plural(hidden as u64, "more span")
            )?;
        }
        Ok(())
    }

    fn spans_of<'a>(&'a self, line: &'a Line) -> impl Iterator<Item = &'a Drawn<'a>> + Clone {
        line.spans.iter().filter_map(|at| self.spans.get(*at))
    }

    fn line(
        &self,
        line: &Line,
        mark: &str,
        style: Style,
        (name_width, bar_width): (usize, usize),
        out: &mut String,
    ) -> fmt::Result {
        let Some(first) = self.spans_of(line).next() else { return Ok(()) };
        let paint = Paint(style.color);
        let name = self.name(first, line, style, name_width);
        let name = padded(&name, name_width);
        let sum = |of: fn(&Drawn<'_>) -> u64| self.spans_of(line).map(of).fold(0, u64::saturating_add);
        let text = format!(
            "{} {} {:>9}{:>9}{:>9}{:>4}{}",
            if first.row.is_error { paint.bad(&name) } else { Cow::Borrowed(&*name) },
            self.bar(line, bar_width, style),
            format!("+{}", Duration(first.row.start.saturating_sub(self.start).max(0) as u64)),
            Duration(sum(|span| span.row.duration)),
            Duration(sum(|span| span.own)),
            first.details.status(first.row),
            if first.row.is_error { paint.bad(mark) } else { paint.doubtful(mark) },
        );
        writeln!(out, "{}", text.trim_end())
    }

    fn name(&self, span: &Drawn<'_>, line: &Line, style: Style, width: usize) -> String {
        let calls = matches!(span.row.kind, Kind::Client | Kind::Producer);
        let arrow = match (calls, style.unicode) {
            (true, true) => "→ ",
            (true, false) => "> ",
            (false, _) => "",
        };
        // Those that are folded may differ by the identifiers in their paths.
        let name = if line.spans.len() > 1 { span.row.group } else { span.row.operation };
        // Of a call to a database the statement says more than its first word.
        let what = span.details.statement.as_deref().unwrap_or_else(|| self.table.name(name));
        let indent = format!("{:1$}{arrow}", "", 2 * line.depth.min(MAX_INDENT));
        let room = width.saturating_sub(columns(&indent));
        indent + &fit_pair(self.table.name(span.row.service), " ", what, room, style.ellipsis())
    }

    /// How many a line stands for, and what [`Details::mark`] says.
    fn mark(&self, line: &Line, style: Style) -> String {
        let Some(first) = self.spans_of(line).next() else { return String::new() };
        let mut mark = String::new();
        let times = if style.unicode { '×' } else { 'x' };
        if line.spans.len() > 1 {
            let _ = write!(mark, " {times}{}", count(line.spans.len() as u64));
        }
        if line.below > 0 && line.spans.len() > 1 {
            let _ = write!(mark, " +{} below each", count(line.below as u64));
        }
        mark.push_str(&first.details.mark(first.row, style.ellipsis()));
        if let Some((number, what)) = &first.details.repeated {
            let _ = write!(mark, " {times}{} {}", count((*number).into()), fit(what, 40, style.ellipsis()));
        }
        fit(&mark, style.width.max(MIN_WIDTH) / MARKS, style.ellipsis())
    }

    fn bar(&self, line: &Line, width: usize, style: Style) -> String {
        let total = self.length().max(1) as f64;
        let place = |at: i64| {
            let share = at.saturating_sub(self.start).max(0) as f64 / total;
            ((share * width as f64).round() as usize).min(width)
        };
        let cells = |from: i64, to: i64| {
            let first = place(from).min(width.saturating_sub(1));
            first..place(to).max(first + 1).min(width)
        };
        // 0: nothing, 1: the span, 2: on the critical path.
        let mut drawn = vec![0_u8; width];
        let mut fill = |range: std::ops::Range<usize>, with: u8| {
            for cell in drawn.get_mut(range).into_iter().flatten() {
                *cell = (*cell).max(with);
            }
        };
        for span in self.spans_of(line) {
            fill(cells(span.row.start, span.row.end()), 1);
        }
        for segment in self.path.iter().filter(|segment| line.spans.binary_search(&segment.span).is_ok()) {
            fill(cells(segment.start, segment.end), 2);
        }
        let signs = if style.unicode { ['·', '▒', '█'] } else { ['.', '=', '#'] };
        let paint = Paint(style.color);
        let mut bar = String::new();
        for run in drawn.chunk_by(|a, b| a == b) {
            let kind = run.first().copied().unwrap_or_default();
            let sign = signs.get(usize::from(kind)).copied().unwrap_or(' ');
            let text: String = std::iter::repeat_n(sign, run.len()).collect();
            bar.push_str(&match kind {
                0 => paint.faint(&text),
                1 => paint.plain(&text),
                _ => paint.strong(&text),
            });
        }
        bar
    }
}
