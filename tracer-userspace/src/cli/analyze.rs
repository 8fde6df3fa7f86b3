//! `tracer analyze`.

use std::fs::File;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::args::AnalyzeArgs;
use super::output::create;
use crate::analysis::Analysis;
use crate::recording::spans::SpanFile;
use crate::report::account::{Account, Spans};
use crate::report::summary::Summary;
use crate::tcap::{Reader, Told};

/// The exit code for a file that is damaged, or no capture.
const BAD_INPUT: u8 = 2;

/// Turns a capture into traces.
pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    let name = args.file.display();
    let file = File::open(&args.file)
        .with_context(|| format!("cannot open {name}; `tracer record -o FILE.tcap` writes such a file"))?;
    let mut reader = match Reader::open(file) {
        Ok(reader) => reader,
        Err(problem) => {
            eprintln!("tracer: {name}: {problem}");
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    let mut spans = SpanFile::new(create(&args.output)?, u64::MAX)
        .with_context(|| format!("cannot use {} for the traces", args.output.display()))?;
    let mut analysis = Analysis::new(reader.description().clock);
    let mut account = Account::default();
    while let Some(told) = reader.read_next().with_context(|| format!("cannot read {name}"))? {
        match told {
            Told::Observation(observation) => analysis.observe(observation, &mut |span| spans.span(&span)),
            Told::Hole => analysis.interrupted(&mut |span| spans.span(&span)),
            Told::Clock(_) => {}
            Told::Ledger(json) => account = serde_json::from_slice(&json).unwrap_or_default(),
        }
    }
    analysis.finish(&mut |span| spans.span(&span));
    spans.finish();

    let stats = analysis.stats();
    account.spans = Some(Spans::of(&stats, spans.unwritten));
    if account.unmasked {
        eprintln!(
            "tracer: this capture was recorded with --unmask: it and its traces hold secrets as they were sent"
        );
    }
    let summary = Summary { account, services: Some(spans.tally), stats };
    eprint!("{summary}");
    for missing in &reader.description().missing {
        eprintln!("the kernel that this was recorded on did not show {missing}");
    }
    for (count, what) in [
        (reader.unknown_frames, "frames of kinds that this version does not know were passed over"),
        (reader.unknown_observations, "observations that this version does not understand were passed over"),
    ] {
        if count > 0 {
            eprintln!("{count} {what}");
        }
    }
    if let Some(error) = spans.failed {
        bail!("{error}");
    }
    eprintln!(
        "{} spans in {}; `tracer show {}` shows the slowest traces",
        stats.spans,
        args.output.display(),
        args.output.display()
    );
    for damage in &reader.damages {
        eprintln!("tracer: {name}: {damage}");
    }
    Ok(if reader.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}
