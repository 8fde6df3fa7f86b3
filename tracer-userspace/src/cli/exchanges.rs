//! `tracer analyze --exchanges`: links between exchanges that were observed elsewhere.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::analyze::{BAD_INPUT, are_one_file};
use super::args::AnalyzeArgs;
use super::learned;
use super::output::{self, create};
use crate::exchanges::Exchanges;
use crate::export::formats::Host;
use crate::time::{ClockAnchor, Nanos};

/// More lines that were refused are only counted.
const MAX_TOLD: usize = 10;

/// Reads `file`, and writes its exchanges as traces.
pub fn run(file: &Path, args: &AnalyzeArgs) -> Result<ExitCode> {
    let name = file.display();
    let reader = BufReader::new(File::open(file).with_context(|| format!("cannot read {name}"))?);
    if are_one_file(file, &args.output) {
        bail!("{name} would be overwritten by its own traces; choose another file for them (-o)");
    }
    let mut refused = 0u64;
    let exchanges = Exchanges::read(reader, &mut |line| {
        refused += 1;
        if refused <= MAX_TOLD as u64 {
            eprintln!("tracer: {name}: line {}, column {}: {}", line.line, line.column, line.why);
        }
    })
    .with_context(|| format!("cannot read {name}"))?;
    if refused > MAX_TOLD as u64 {
        eprintln!("tracer: {name}: {} more lines were refused", refused - MAX_TOLD as u64);
    }
    let mut spans = output::span_file(create(&args.output)?, &args.output, Host::default(), u64::MAX)?;
    let count = exchanges.len();
    // The times are what they are, whatever they count from.
    let clock = ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 };
    let mut analysis = learned::analysis(clock, &args.links, &args.headers.read()?)?;
    exchanges.observations(&mut |observation| analysis.observe(observation, &mut |span| spans.span(&span)));
    analysis.finish(&mut |span| spans.span(&span));
    spans.finish(None);
    if let Some(error) = spans.failed {
        bail!("{error}");
    }
    let stats = analysis.stats();
    eprintln!("{count} exchanges read, {refused} lines refused; {} traces", stats.traces);
    eprintln!(
        "calls: {}; joined with the request that they became: {}; linked to the request that made them: {}; \
         left open: {}; made by no request: {}",
        stats.clients, stats.joined, stats.linked, stats.undecided, stats.ownerless
    );
    eprintln!("{}", output::written(stats.spans, &args.output));
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}
