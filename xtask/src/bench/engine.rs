//! How fast links are found: the shipped program on the captures of real runtimes that the accuracy test has
//! (`tests/fixtures/accuracy`), some of which the rules decide, and some of which must be weighed.
//!
//! What is counted is the processor time of all of `tracer analyze`: reading and writing are in it, so the engine alone is
//! faster. The kinds take turns, and each is also told as a part of the first, run by run. Needs no root.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tracer_tests::paths;

use super::offline::{Run, analyze};
use super::{median, report};
use crate::run;

/// Captures, and what is said of them. The first is what the others are compared with.
const CELLS: &[(&str, &str)] = &[
    ("python-threads-sequential-32", "rules: a thread for each connection"),
    ("puma-sequential-32", "rules: a pool of threads"),
    ("go-sequential-32", "rules: goroutines"),
    ("asyncio-sequential-32", "weighed: one loop"),
    ("uvloop-sequential-32", "weighed: one loop that changes the order"),
    ("tokio-sequential-32", "weighed: tasks that change threads"),
    ("java-executor-sequential-32", "weighed, in vain: a pool behind a queue"),
];

/// A capture and the runs on it.
pub struct Row {
    name: &'static str,
    what: &'static str,
    exchanges: u64,
    runs: Vec<Run>,
}

/// Analyses all of them in turn, `rounds` times.
pub fn measure(tracer: &Path, rounds: usize) -> Result<Vec<Row>> {
    let fixtures = run::workspace().join("tests/fixtures/accuracy");
    let directory = paths::target_dir()?.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let traces = directory.join("traces.json");
    let path = |name: &str| -> PathBuf { fixtures.join(name).join("capture.tcap") };
    let mut rows = Vec::new();
    for (name, what) in CELLS {
        rows.push(Row { name, what, exchanges: count(tracer, &path(name), &traces)?, runs: Vec::new() });
    }
    for round in 1..=rounds.max(1) {
        for row in &mut rows {
            eprintln!("{round} of {rounds}: tracer analyze, {}", row.name);
            row.runs.push(analyze(tracer, &path(row.name), row.exchanges, &traces)?);
        }
    }
    std::fs::remove_file(&traces).with_context(|| format!("cannot remove {}", traces.display()))?;
    Ok(rows)
}

/// How many exchanges a capture holds: as many as there are spans.
fn count(tracer: &Path, capture: &Path, traces: &Path) -> Result<u64> {
    let mut command = std::process::Command::new(tracer);
    let output = command.arg("analyze").arg(capture).arg("-o").arg(traces).output();
    let output = output.with_context(|| format!("cannot start {}", tracer.display()))?;
    ensure!(output.status.success(), "{} cannot be analysed: {}", capture.display(), output.status);
    let spans: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(traces)?)?;
    Ok(spans.len() as u64)
}

/// The table.
pub fn markdown(rows: &[Row]) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "{}. Medians of {} runs.\n",
        report::machine()?,
        rows.first().map_or(0, |row| row.runs.len())
    )?;
    out += "| capture, 32 in flight | how links are found | exchanges | exchanges per second of CPU time | CPU time against the first | peak memory, MiB |\n";
    out += "|---|---|---|---|---|---|\n";
    let each = |row: &Row| -> Vec<f64> {
        row.runs.iter().map(|run| (run.user + run.system) / row.exchanges as f64).collect()
    };
    let first = rows.first().map(each).unwrap_or_default();
    for row in rows {
        let ratios: Vec<f64> = each(row).iter().zip(&first).map(|(one, first)| one / first).collect();
        let peaks: Vec<f64> = row.runs.iter().map(|run| run.peak / f64::from(1 << 20)).collect();
        writeln!(
            out,
            "| {} | {} | {} | {:.0} | {:.1}× | {:.1} |",
            row.name,
            row.what,
            row.exchanges,
            1.0 / median(&each(row)),
            median(&ratios),
            median(&peaks)
        )?;
    }
    Ok(out)
}
