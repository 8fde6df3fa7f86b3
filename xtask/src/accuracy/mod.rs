//! `cargo xtask accuracy`: how often the tracer names the right request as a call's cause, on real runtimes under load.
//!
//! A cell is a service, a shape of its requests and a load. Each is recorded (`record`), analysed and scored (`judge`), and
//! gets a line (`table`); the parts are those of `tracer_tests::accuracy`.

mod cell;
mod judge;
mod record;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use tracer_tests::paths;

use self::cell::Cell;
use self::judge::{Judge, Verdict};
use crate::run;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Only these services (java-* means all whose names begin like that)
    #[arg(long = "only", value_name = "SERVICE")]
    services: Vec<String>,
    /// Only these shapes: sequential, fanout, repeated, skipped, mixed, database, background
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

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    let cells = cell::chosen(&options.services, &options.shapes, &options.loads)?;
    let tracer = match &options.tracer {
        Some(tracer) => tracer.clone(),
        None => run::build_tracer()?,
    };
    let judge = Judge {
        tracer: std::path::absolute(tracer)?,
        arguments: options.analyze.clone(),
        audit: options.audit || options.captures.is_none(),
    };
    if !options.record_only {
        println!("{}", table::head());
    }
    match &options.captures {
        Some(directory) => rescore(options, &judge, &cells, directory),
        None => measure(options, &judge, &cells),
    }
}

/// Scores captures that are there.
fn rescore(options: &Options, judge: &Judge, cells: &[Cell], directory: &Path) -> Result<()> {
    let mut scored = 0;
    for cell in cells {
        let place = directory.join(cell.to_string());
        if place.join(record::CAPTURE).is_file() {
            let verdict = judge.judge(&place).with_context(|| cell.to_string())?;
            show(options, &verdict);
            scored += 1;
        }
    }
    if scored == 0 {
        bail!("there is none of these cells in {}", directory.display());
    }
    Ok(())
}

/// Records and scores.
fn measure(options: &Options, judge: &Judge, cells: &[Cell]) -> Result<()> {
    let recorder = record::Recorder::new(&judge.tracer, options.requests, options.seconds)?;
    let keep = match &options.keep {
        Some(keep) => keep.clone(),
        None => paths::target_dir()?.join("accuracy"),
    };
    for cell in cells {
        let name = cell.to_string();
        if let Some(reason) = cell.service.lacks(cell.shape) {
            println!("{name:<30} skipped: {reason}");
            continue;
        }
        let place = keep.join(&name);
        match recorder.record(cell, &place) {
            Err(error) => println!("{name:<30} failed: {error:#}"),
            Ok(said) if options.record_only => println!("{name:<30} {said}"),
            Ok(_) => match judge.judge(&place) {
                Ok(verdict) => show(options, &verdict),
                Err(error) => println!("{name:<30} recorded, not scored: {error:#}"),
            },
        }
    }
    Ok(())
}

fn show(options: &Options, verdict: &Verdict) {
    println!("{}", table::line(verdict));
    if options.verbose {
        print!("{}", table::details(verdict));
    }
}
