//! `tracer doctor`: what this host allows, which hooks will be used, and what will be missing.
//!
//! One way: facts and a trial ([`examine`]) → a value ([`report`]) → text or JSON. Both say the same, because both are
//! made from the value.

mod bundle;
mod examine;
mod host;
mod report;
mod text;
mod trial;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::DoctorArgs;
use super::logger;

/// Examines the host and says what was found. Exit code 0 when it can be traced.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    if args.bundle.is_some() {
        // From now on: what the kernel says of programs that it refuses goes into the bundle.
        logger::keep();
    }
    let report = examine::examine(args);
    let shown = if args.json { report.to_json()? } else { text::render(&report) };
    std::io::stdout().write_all(shown.as_bytes()).context("cannot write to the standard output")?;
    if let Some(path) = &args.bundle {
        eprint!("{}", bundle::write(path, args, &report)?);
    }
    Ok(if report.can_trace { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
