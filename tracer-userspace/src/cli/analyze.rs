//! `tracer analyze`.

use std::fs::File;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::args::AnalyzeArgs;
use super::output::create;
use crate::analysis::Analysis;
use crate::recording::spans::SpanFile;
use crate::report::summary::{Lost, NotUnderstood, Summary};
use crate::tcap::{Reader, Told};

/// The exit code for a file that is damaged, or no capture.
const BAD_INPUT: u8 = 2;

/// What is taken from the recorder's ledger. All of it may be missing: another version wrote it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    observed_ms: u64,
    not_understood: Vec<NotUnderstood>,
    lost: Vec<Lost>,
}

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
    let mut spans = SpanFile::new(create(&args.output)?)
        .with_context(|| format!("cannot use {} for the traces", args.output.display()))?;
    let mut analysis = Analysis::new(reader.description().clock);
    let account =
        read(&mut reader, &mut analysis, &mut spans).with_context(|| format!("cannot read {name}"))?;
    analysis.finish(&mut |span| spans.span(&span));
    spans.finish();

    let stats = analysis.stats();
    let summary = Summary {
        observed: account.observed_ms.saturating_mul(1_000_000),
        captured: None,
        services: spans.tally,
        stats,
        not_understood: account.not_understood,
        lost: account.lost,
    };
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

/// Reads the file to its end; what the recorder says of its run is returned.
fn read(reader: &mut Reader<File>, analysis: &mut Analysis, spans: &mut SpanFile) -> io::Result<Account> {
    let mut account = Account::default();
    while let Some(told) = reader.read_next()? {
        match told {
            Told::Observation(observation) => analysis.observe(observation, &mut |span| spans.span(&span)),
            Told::Hole => analysis.interrupted(&mut |span| spans.span(&span)),
            Told::Clock(_) => {}
            Told::Ledger(json) => account = serde_json::from_slice(&json).unwrap_or_default(),
        }
    }
    Ok(account)
}
