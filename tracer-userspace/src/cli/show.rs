//! `tracer show`.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use globset::{Glob, GlobMatcher};

use super::analyze::BAD_INPUT;
use super::args::ShowArgs;
use super::span_file::{Source, table};
use crate::breakdown::statement;
use crate::report::filter::Filter;
use crate::report::operations::operations;
use crate::report::waterfall::{self, Details, Style};
use crate::report::{listing, tree};
use crate::spans::{Table, Trace};
use crate::text::{Duration, count, plural, printable, wrapped};
use crate::time::Rfc3339Micros;

/// Columns where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;
/// Operations in the list; the rest is summed up.
const OPERATIONS: usize = 20;
/// With `--trace` nothing is left out, short of what no terminal holds.
const WHOLE: usize = 1_000_000;

/// Prints the operations and the slowest traces, or one trace.
pub fn run(args: &ShowArgs) -> Result<ExitCode> {
    let source = Source::open(&args.file)?;
    let table = table(&source)?;
    let stdout = std::io::stdout();
    let style = style(&stdout, args.width);
    let text = match &args.trace {
        Some(id) => one(&source, &table, id, style)?,
        None => overview(&source, &table, args, style)?,
    };
    print(&stdout, &text)?;
    Ok(if table.problems.lost_any() { ExitCode::from(BAD_INPUT) } else { ExitCode::SUCCESS })
}

/// Prints all of it, or as much as the reader of a pipe wants to see.
pub(super) fn print(stdout: &std::io::Stdout, text: &str) -> Result<()> {
    match stdout.lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot print"),
    }
}

/// For what is printed there; `width` is what was asked for.
pub(super) fn style(stdout: &std::io::Stdout, width: Option<usize>) -> Style {
    let terminal = || terminal_size::terminal_size_of(stdout).map(|(width, _)| usize::from(width.0));
    let width = width.or_else(terminal).unwrap_or(DEFAULT_WIDTH).clamp(80, 400);
    let color = stdout.is_terminal() && !anstyle_query::no_color() && anstyle_query::term_supports_color();
    Style { width, color, ..Style::default() }
}

fn overview(source: &Source, table: &Table, args: &ShowArgs, style: Style) -> Result<String> {
    let filter = Filter {
        operation: glob(args.op.as_deref(), "--op")?,
        service: glob(args.service.as_deref(), "--service")?,
        errors: args.errors,
        min_duration: args
            .min_duration
            .map_or(0, |least| u64::try_from(least.as_nanos()).unwrap_or(u64::MAX)),
    };
    let own = tree::self_times(table);
    let operations = operations(table, &own, &filter);
    let found = filter.slowest(table);
    let head = format!(
        "{} in {}{}{}",
        plural(table.rows.len() as u64, "span"),
        plural(table.traces.len() as u64, "trace"),
        when(table, operations.observed),
        match found.len() {
            _ if filter.is_empty() => String::new(),
            0 => "; none has a span like that".to_owned(),
            found => format!("; {} with spans like that", count(found as u64)),
        }
    );
    let mut text = wrapped(&head, 0, style.width);
    if found.is_empty() {
        return Ok(text);
    }
    text.push('\n');
    text.push_str(&listing::render(table, &operations, style, OPERATIONS));
    if args.slowest > 0 {
        text.push('\n');
        text.push_str(&waterfall::legend(style));
    }
    for trace in found.iter().take(args.slowest).filter_map(|at| table.traces.get(*at as usize)) {
        text.push('\n');
        text.push_str(&drawn(source, table, trace, style));
    }
    Ok(text)
}

/// When that was: rates are over this time, and logs are searched by it.
fn when(table: &Table, observed: u64) -> String {
    let first = table.rows.iter().map(|row| row.start).min().and_then(|first| u64::try_from(first).ok());
    first.map_or_else(String::new, |first| {
        format!(", begun within {} from {}", Duration(observed), Rfc3339Micros(first))
    })
}

fn one(source: &Source, table: &Table, id: &str, style: Style) -> Result<String> {
    let found: Vec<&Trace> = table.find(id).take(6).collect();
    match found[..] {
        [trace] => {
            let style = Style { max_lines: WHOLE, ..style };
            Ok(waterfall::legend(style) + "\n" + &drawn(source, table, trace, style))
        }
        [] => bail!("{} has no trace whose id begins with {id:?}", source.name()),
        _ => bail!(
            "several traces begin with {id:?}; give more of the id: {}",
            found.iter().map(|trace| printable(&trace.id)).collect::<Vec<_>>().join(", ")
        ),
    }
}

fn drawn(source: &Source, table: &Table, trace: &Trace, style: Style) -> String {
    let rows = table.rows_of(trace);
    let sentence = statement(&tree::named(table, rows));
    let details = |_, row: &crate::spans::Row| source.read(row.place, Details::of).unwrap_or_default();
    waterfall::render(table, trace, style, details, sentence.as_deref())
}

/// `*` and `?` as in a shell; a pattern without any finds the names that have it in them.
fn glob(pattern: Option<&str>, option: &str) -> Result<Option<GlobMatcher>> {
    let Some(pattern) = pattern else { return Ok(None) };
    let is_plain = !pattern.contains(['*', '?', '[', '{']);
    let pattern: Cow<'_, str> = if is_plain { format!("*{pattern}*").into() } else { pattern.into() };
    let glob = Glob::new(&pattern).with_context(|| format!("{option} {pattern:?} is not a pattern"))?;
    Ok(Some(glob.compile_matcher()))
}
