//! What parsing costs, protocol by protocol: time and allocations for each message, and how fast long transfers are passed over.
//!
//! An example of the userspace crate measures (`examples/parsers`): it is compiled as the program is, and calls what `tracer record` calls with a
//! captured call. It counts its own processor time, and lets the talks take turns. Here its rounds become a table. Needs no root.

use std::fmt::Write as _;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{median, report};
use crate::run;

/// One kind of talk, as the example describes it; of one repetition.
#[derive(Debug, Deserialize)]
pub struct Row {
    protocol: String,
    what: String,
    /// It is about a long transfer.
    bulk: bool,
    exchanges: u64,
    /// Requests and answers.
    messages: u64,
    /// Bytes that moved, and how many of them were captured.
    bytes: u64,
    captured: u64,
    /// How often memory was taken, and how often for what the exchange's steps hold.
    allocations: f64,
    held: f64,
    /// Nanoseconds, one value for each round.
    nanos: Vec<f64>,
}

/// Builds the example and runs it.
pub fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut command = run::cargo();
    command.args(["run", "--quiet", "--release", "-p", "tracer-userspace", "--example", "parsers", "--"]);
    command.arg(rounds.max(1).to_string());
    run::say(&run::describe(&command));
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the parsers were not measured: {}", output.status);
    let text = String::from_utf8(output.stdout).context("what it says is no text")?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("what is {line}"))).collect()
}

/// The tables.
pub fn markdown(rows: &[Row]) -> Result<String> {
    let mut out = String::new();
    let rounds = rows.first().map_or(0, |row| row.nanos.len());
    writeln!(
        out,
        "{}. Medians of {rounds} rounds, in brackets the least and the most.\n",
        report::machine()?
    )?;
    out += "| protocol | request and answer | bytes | ns per message | M messages/s | MB/s | allocations per exchange | of them beyond the exchange |\n";
    out += "|---|---|---|---|---|---|---|---|\n";
    for row in rows.iter().filter(|row| !row.bulk) {
        let each = spread(&row.nanos, |nanos| nanos / row.messages as f64);
        let middle = median(&row.nanos);
        let of = |count: f64| count / row.exchanges as f64;
        writeln!(
            out,
            "| {} | {} | {} | {each} | {:.2} | {:.0} | {:.0} | {:.0} |",
            row.protocol,
            row.what,
            row.bytes,
            row.messages as f64 * 1e3 / middle,
            row.bytes as f64 * 1e3 / middle,
            of(row.allocations),
            of(row.allocations - row.held),
        )?;
    }
    out += "\n| protocol | transfer | captured of it, KiB | µs | GB/s | allocations |\n|---|---|---|---|---|---|\n";
    for row in rows.iter().filter(|row| row.bulk) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.1} | {:.0} |",
            row.protocol,
            row.what,
            row.captured >> 10,
            spread(&row.nanos, |nanos| nanos / 1e3),
            row.bytes as f64 / median(&row.nanos),
            row.allocations,
        )?;
    }
    out += "\n";
    Ok(out)
}

/// `median (least to most)`.
fn spread(values: &[f64], unit: impl Fn(f64) -> f64) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    format!("{:.0} ({:.0} to {:.0})", unit(median(values)), unit(least), unit(most))
}
