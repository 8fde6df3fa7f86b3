//! `tracer report`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::analyze::{self, BAD_INPUT, are_one_file};
use super::args::ReportArgs;
use super::learned;
use super::output::create_file;
use super::remarks;
use super::span_file::{Source, table};
use crate::recording::spans::SpanFile;
use crate::report::account::{Account, Spans};
use crate::report::html::{self, Input, Limits};
use crate::spans::FileSpan;
use crate::tcap::{MAGIC, Problem, Reader};
use crate::text::{bytes, count, plural};

/// Standard input or output.
const STANDARD: &str = "-";

/// Makes the report.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    if are_one_file(&args.file, &args.output) {
        bail!(
            "{} would be overwritten by its own report; choose another file for that (-o)",
            args.file.display()
        );
    }
    let mut account = match &args.ledger {
        Some(file) => Some(ledger(file)?),
        None => None,
    };
    let mut source = Source::open(&args.file)?;
    let mut is_whole = true;
    let mut remarks = Vec::new();
    if source.begins_with(&MAGIC) {
        let name = source.name().to_owned();
        match analysed(source, args)? {
            Ok(analysed) => {
                is_whole = analysed.is_whole;
                remarks = analysed.remarks;
                account = account.or(Some(analysed.account));
                source = analysed.traces;
            }
            Err(problem) => {
                eprintln!("tracer: {name}: {problem}");
                return Ok(ExitCode::from(BAD_INPUT));
            }
        }
    }
    let table = table(&source)?;
    is_whole &= !table.problems.lost_any();
    let name = args.file.file_name().map_or_else(|| source.name().into(), |name| name.to_string_lossy());
    let input = Input { table: &table, source: &name, account: account.as_ref(), remarks: &remarks };
    let again = |place, each: &mut dyn FnMut(&FileSpan<'_>)| {
        source.read(place, |span| each(span));
    };
    let page = html::page(&input, &again, Limits::default())?;
    write(&args.output, &page.bytes)?;
    if page.unread > 0 {
        let unread = count(page.unread as u64);
        eprintln!("tracer: {unread} spans could not be read again; was {} changed meanwhile?", source.name());
        is_whole = false;
    }
    let shown = match table.traces.len() {
        all if all == page.traces => plural(all as u64, "trace"),
        all => format!("{} of {}", count(page.traces as u64), plural(all as u64, "trace")),
    };
    if args.output != Path::new(STANDARD) {
        eprintln!("{shown} in {}, {}", args.output.display(), bytes(page.bytes.len() as u64));
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

struct Analysed {
    traces: Source,
    account: Account,
    /// What is said of the capture.
    remarks: Vec<String>,
    is_whole: bool,
}

/// The traces of a capture, in a temporary file.
fn analysed(capture: Source, args: &ReportArgs) -> Result<Result<Analysed, Problem>> {
    let name = capture.name().to_owned();
    let headers = args.headers.read()?;
    let mut reader = match Reader::open(capture.into_file()?) {
        Ok(reader) => reader,
        Err(problem) => return Ok(Err(problem)),
    };
    let traces = tempfile::tempfile()
        .context("cannot make a temporary file; TMPDIR names another directory for it")?;
    let mut spans = SpanFile::new(traces.try_clone()?, u64::MAX).context("cannot use a temporary file")?;
    let mut analysis = learned::analysis(reader.description().clock, &args.links, &headers)?;
    let mut account = analyze::read(&mut reader, &headers, &mut BTreeSet::new(), &mut analysis, &mut spans)
        .with_context(|| format!("cannot read {name}"))?;
    analysis.finish(&mut |span| spans.span(&span));
    spans.finish(None);
    if let Some(error) = spans.failed {
        bail!("the traces of {name} do not fit into a temporary file: {error}");
    }
    account.spans = Some(Spans::of(&analysis.stats(), spans.unwritten));
    let mut remarks = remarks::secrets(&reader, account.unmasked);
    remarks.extend(remarks::gaps(&reader));
    remarks::say(&name, &remarks);
    let traces = Source::of(traces, name);
    Ok(Ok(Analysed { traces, account, remarks, is_whole: reader.damages.is_empty() }))
}

fn ledger(path: &Path) -> Result<Account> {
    let name = path.display();
    let json = fs::read(path).with_context(|| format!("cannot read {name}"))?;
    serde_json::from_slice(&json)
        .with_context(|| format!("{name} is no account; `tracer record --ledger FILE` writes one"))
}

fn write(path: &Path, page: &[u8]) -> Result<()> {
    if path == Path::new(STANDARD) {
        return io::stdout().lock().write_all(page).context("cannot write to the standard output");
    }
    create_file(path)?.write_all(page).with_context(|| {
        format!(
            "cannot write all of {}, which is no whole page now; free space or choose another place with -o",
            path.display()
        )
    })
}
