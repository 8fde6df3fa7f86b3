//! `cargo xtask bench`: what the tracer costs the traced, the bystanders, and the host; and what an analysis costs.
//!
//! The machine is assumed to be noisy and shared, so nothing is stated as an absolute time: every measured run stands
//! between two untraced ones, and the median of the ratios is what counts. Nothing here passes or fails.

mod bystander;
mod contenders;
mod engine;
mod evidence;
mod export;
mod offline;
mod own;
mod parsers;
mod report;
mod victim;
mod views;

use anyhow::Result;
use clap::Args;

use crate::{run, setup};

/// What to measure.
#[derive(Args)]
pub struct Options {
    /// Measured runs of each contender, each between two untraced ones
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// Seconds of the run at a fixed rate that measures the tracer itself
    #[arg(long, default_value_t = 60)]
    own_seconds: u64,
    /// Write the result into docs/benchmarks.md
    #[arg(long)]
    write: bool,
    /// Only these parts: bystander, victim, own, evidence, offline, engine, export, views, parsers (default: all)
    parts: Vec<String>,
}

/// Runs the benchmarks; all but `offline`, `engine`, `export`, `views` and `parsers` need root.
pub fn run(options: &Options) -> Result<()> {
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|p| p == part);
    let live = ["bystander", "victim", "own", "evidence"].into_iter().any(wanted);
    let page = run::workspace().join("docs/benchmarks.md");
    let show = |place, tables: &str| {
        print!("{tables}");
        if options.write { report::write(&page, place, tables) } else { Ok(()) }
    };
    let parsers = || show(report::PARSERS, &parsers::markdown(&parsers::measure(options.rounds)?)?);
    if options.parts.iter().all(|part| part == "parsers") && !options.parts.is_empty() {
        // They need no tracer.
        return parsers();
    }
    if live {
        setup::bench()?;
    }
    let tracer = run::build_tracer()?;
    if live && !run::is_root() {
        run::say("tracing needs root: once more through sudo");
        let this = std::env::current_exe()?;
        return run::check(run::as_root(this).args(std::env::args_os().skip(1)));
    }
    if wanted("parsers") {
        parsers()?;
    }
    if wanted("offline") {
        show(report::OFFLINE, &offline::markdown(&offline::measure(&tracer, options.rounds)?)?)?;
    }
    if wanted("engine") {
        show(report::ENGINE, &engine::markdown(&engine::measure(&tracer, options.rounds)?)?)?;
    }
    if wanted("export") {
        show(report::EXPORT, &export::markdown(&export::measure(&tracer, options.rounds)?)?)?;
    }
    if wanted("views") {
        show(report::VIEWS, &views::markdown(&views::measure(&tracer, options.rounds)?)?)?;
    }
    if !live {
        return Ok(());
    }
    if wanted("evidence") {
        let cost = evidence::measure(options.rounds)?;
        show(report::EVIDENCE, &evidence::markdown(&cost, options.rounds)?)?;
    }
    if !["bystander", "victim", "own"].into_iter().any(wanted) {
        return Ok(());
    }
    let mut report = report::Report::new(options.rounds, options.seconds)?;
    if wanted("bystander") {
        report.bystander = bystander::measure(options.rounds)?;
    }
    if wanted("victim") {
        report.victim = victim::measure(options.rounds, options.seconds)?;
    }
    if wanted("own") {
        report.own = Some(own::measure(options.own_seconds)?);
    }
    show(report::LIVE, &report.markdown())
}

/// The middle value; NaN of nothing.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A median, with the least and the most.
fn spread(values: impl Iterator<Item = f64>, digits: usize) -> String {
    let values: Vec<f64> = values.collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.digits$} ({least:.digits$} to {most:.digits$})", median(&values))
}

/// Nanoseconds that a process's threads have been running, by the scheduler's account.
fn cpu_nanos(pid: u32) -> u64 {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}
