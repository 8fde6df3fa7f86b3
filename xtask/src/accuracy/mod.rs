//! `cargo xtask accuracy`: how often the tracer names the right request as a call's cause, on real runtimes under load.
//!
//! A cell is a service, a shape of its requests and a load. Each is recorded (`record`), analysed and scored; the cells are
//! those of `tracer_tests::accuracy`.

mod cell;
mod record;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::run;

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Only these services
    #[arg(long = "only", value_name = "SERVICE")]
    services: Vec<String>,
    /// Only these shapes: sequential, fanout, repeated, skipped, mixed, database, background
    #[arg(long = "shape", value_name = "SHAPE")]
    shapes: Vec<String>,
    /// Only these loads: a number of open requests, or poisson
    #[arg(long = "load", value_name = "LOAD")]
    loads: Vec<String>,
    /// Keep the captures in this directory, one below it for each cell
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
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
    let recorder = record::Recorder::new(options.requests, options.seconds)?;
    let keep = options.keep.clone().unwrap_or_else(|| run::workspace().join("target/accuracy"));
    for cell in cells {
        if let Some(reason) = cell.service.lacks(cell.shape) {
            println!("{cell}: skipped: {reason}");
            continue;
        }
        match recorder.record(&cell, &keep.join(cell.to_string())) {
            Ok(said) => println!("{cell}: {said}"),
            Err(error) => println!("{cell}: skipped: {error:#}"),
        }
    }
    Ok(())
}
