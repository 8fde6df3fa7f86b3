//! `cargo xtask accuracy`: how often the tracer names the right request as a call's cause, on real runtimes under load.
//!
//! A cell is a service, a shape of its requests and a load. Each is recorded (`record`), analysed and scored, and gets a
//! line (`table`) and a place on the page (`page`); the parts are those of `tracer_tests::accuracy`.

mod fixtures;
mod page;
mod record;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use tracer_tests::accuracy::cell::{Cell, Choice};
use tracer_tests::accuracy::judge::{CAPTURE, Judge, Verdict};
use tracer_tests::paths;

use crate::{run, setup};

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Only these services (java-* means all whose names begin like that)
    #[arg(long = "only", value_name = "SERVICE")]
    services: Vec<String>,
    /// All shapes under all loads, which takes hours; else everything but two calls in sequence is measured at 32 only
    #[arg(long)]
    full: bool,
    /// Only these shapes: sequential, fanout, repeated, skipped, mixed, database, background, post
    #[arg(long = "shape", value_name = "SHAPE")]
    shapes: Vec<String>,
    /// Only these loads: a number of open requests, or poisson
    #[arg(long = "load", value_name = "LOAD")]
    loads: Vec<String>,
    /// Record nothing: score the captures in this directory, one below it for each cell
    #[arg(long, value_name = "DIR", conflicts_with = "keep")]
    captures: Option<PathBuf>,
    /// Keep what is recorded in this directory instead of target/accuracy
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Record only, score nothing
    #[arg(long, conflicts_with = "captures")]
    record_only: bool,
    /// The tracer to use, instead of building it
    #[arg(long, value_name = "FILE")]
    tracer: Option<PathBuf>,
    /// Write the result into docs/accuracy.md
    #[arg(long, conflicts_with = "record_only")]
    write: bool,
    /// Record the fixtures anew (tests/fixtures/accuracy) and write their scores down
    #[arg(long, conflicts_with_all = ["captures", "keep", "write"])]
    fixtures: bool,
    /// Write down the scores of the fixtures as they are: what `cargo xtask test` then asks for
    #[arg(long, conflicts_with_all = ["captures", "keep", "write", "fixtures"])]
    scores: bool,
    /// Passed to `tracer analyze`, as in --analyze=--ignore-context
    #[arg(long = "analyze", value_name = "ARGUMENT", allow_hyphen_values = true)]
    analyze: Vec<String>,
    /// Also prove that the ids which carry the truth play no part (always done for what is recorded)
    #[arg(long)]
    audit: bool,
    /// Say of each cell what its links rest on, why others are missing, and how far confidence is to be trusted
    #[arg(long, short)]
    verbose: bool,
    /// Requests of each cell
    #[arg(long, default_value_t = 3000)]
    requests: usize,
    /// Seconds of each cell, at most
    #[arg(long, default_value_t = 6)]
    seconds: u64,
}

/// Runs it; recording needs root.
pub fn run(options: &Options) -> Result<()> {
    let cells = options.cells()?;
    let records = options.captures.is_none() && !options.scores;
    if records {
        setup::accuracy()?;
    }
    let tracer = match &options.tracer {
        Some(tracer) => tracer.clone(),
        None => run::build_tracer()?,
    };
    if records && !run::is_root() {
        run::say("tracing needs root: once more through sudo");
        let this = std::env::current_exe()?;
        return run::check(run::as_root(this).args(std::env::args_os().skip(1)));
    }
    let judge = Judge {
        tracer: std::path::absolute(tracer)?,
        arguments: options.analyze.clone(),
        audit: options.audit || options.captures.is_none(),
    };
    if options.fixtures {
        return fixtures::record(&judge, options.seconds);
    }
    if options.scores {
        return fixtures::write_scores(&judge);
    }
    if !options.record_only {
        println!("{}", table::head());
    }
    let mut page = page::Page::new();
    match &options.captures {
        Some(directory) => rescore(options, &judge, &cells, directory, &mut page)?,
        None => measure(options, &judge, &cells, &mut page)?,
    }
    if options.write { page.write() } else { Ok(()) }
}

impl Options {
    fn cells(&self) -> Result<Vec<Cell>> {
        let choice = Choice {
            services: self.services.clone(),
            shapes: self.shapes.clone(),
            loads: self.loads.clone(),
            // Of captures all that are there.
            full: self.full || self.captures.is_some(),
        };
        choice.cells()
    }
}

/// Scores captures that are there.
fn rescore(
    options: &Options,
    judge: &Judge,
    cells: &[Cell],
    directory: &Path,
    page: &mut page::Page,
) -> Result<()> {
    let mut scored = 0;
    for cell in cells {
        let place = directory.join(cell.to_string());
        if place.join(CAPTURE).is_file() {
            // One that cannot be read does not keep the others from being scored.
            match judge.judge(&place) {
                Ok(verdict) => show(options, cell, verdict, page),
                Err(error) => miss(cell, &format!("not scored: {error:#}"), page),
            }
            scored += 1;
        }
    }
    if scored == 0 {
        bail!("there is none of these cells in {}", directory.display());
    }
    Ok(())
}

/// Records and scores.
fn measure(options: &Options, judge: &Judge, cells: &[Cell], page: &mut page::Page) -> Result<()> {
    let recorder = record::Recorder::new(&judge.tracer, options.requests, options.seconds)?;
    let keep = match &options.keep {
        Some(keep) => keep.clone(),
        None => paths::target_dir()?.join("accuracy"),
    };
    for cell in cells {
        if let Some(reason) = cell.service.lacks(cell.shape) {
            miss(cell, &format!("skipped: {reason}"), page);
            continue;
        }
        let place = keep.join(cell.to_string());
        match recorder.record(cell, &place) {
            Err(error) => miss(cell, &format!("failed: {error:#}"), page),
            Ok(said) if options.record_only => println!("{:<30} {said}", cell.to_string()),
            Ok(_) => match judge.judge(&place) {
                Ok(verdict) => show(options, cell, verdict, page),
                Err(error) => miss(cell, &format!("recorded, not scored: {error:#}"), page),
            },
        }
    }
    Ok(())
}

fn show(options: &Options, cell: &Cell, verdict: Verdict, page: &mut page::Page) {
    println!("{}", table::line(&verdict));
    if options.verbose {
        print!("{}", table::details(&verdict));
    }
    page.add(*cell, verdict);
}

fn miss(cell: &Cell, why: &str, page: &mut page::Page) {
    println!("{:<30} {why}", cell.to_string());
    page.miss(*cell, why);
}
