//! How fast a capture becomes traces, and in how much memory: the shipped program on simulated captures, one of them
//! four times as long as the other.
//!
//! What is counted is the child's own processor time (user and system, all threads together) and its peak resident set,
//! both by the kernel's account. Making the capture is not part of it. Needs no root.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tracer_tests::paths;

use super::{median, report};
use crate::run;

/// Calls in the shorter capture; the longer one has [`LONGER`] times as many, at the same rate.
const CALLS: u64 = 1_000_000;
const LONGER: u64 = 4;

/// A simulated capture, as the program that writes it describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Capture {
    /// Requests that went over a connection.
    calls: u64,
    /// Observed ends of these: what spans are made of.
    pub exchanges: u64,
    connections: u64,
    milliseconds: u64,
    bytes: u64,
    /// Where it is.
    #[serde(skip)]
    pub path: PathBuf,
}

/// What one run took.
pub(super) struct Run {
    /// Seconds.
    pub wall: f64,
    pub user: f64,
    pub system: f64,
    /// Bytes.
    pub peak: f64,
}

/// A capture and the runs on it.
pub struct Row {
    capture: Capture,
    runs: Vec<Run>,
}

/// Analyses both captures in turn, `rounds` times.
pub fn measure(tracer: &Path, rounds: usize) -> Result<Vec<Row>> {
    let directory = paths::target_dir()?.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut rows = Vec::new();
    for calls in [CALLS, LONGER * CALLS] {
        rows.push(Row { capture: simulate(calls, &directory)?, runs: Vec::new() });
    }
    let traces = directory.join("traces.json");
    for round in 1..=rounds.max(1) {
        for row in &mut rows {
            eprintln!("{round} of {rounds}: tracer analyze, {} exchanges", row.capture.exchanges);
            row.runs.push(analyze(tracer, &row.capture.path, row.capture.exchanges, &traces)?);
        }
    }
    for path in rows.iter().map(|row| &row.capture.path).chain([&traces]) {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(rows)
}

/// Writes a capture of so many calls.
pub(super) fn simulate(calls: u64, directory: &Path) -> Result<Capture> {
    let path = directory.join(format!("simulated-{calls}.tcap"));
    let mut command = run::cargo();
    command
        .args(["run", "--quiet", "--release", "-p", "tracer-userspace", "--features", "test-support"])
        .args(["--example", "simulated-capture", "--", &calls.to_string()])
        .arg(&path);
    run::say(&run::describe(&command));
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the capture was not simulated: {}", output.status);
    let said: Capture =
        serde_json::from_slice(&output.stdout).context("what it says of the capture is not understood")?;
    Ok(Capture { path, ..said })
}

/// Analyses a capture that holds so many exchanges.
pub(super) fn analyze(tracer: &Path, capture: &Path, exchanges: u64, traces: &Path) -> Result<Run> {
    // What an earlier run wrote would have to be cut off first.
    let _ = std::fs::remove_file(traces);
    let mut command = Command::new(tracer);
    let (status, said, run) = measured(command.arg("analyze").arg(capture).arg("-o").arg(traces))?;
    // A run that gave up early would be a fast one.
    if status != 0 || !said.contains(&format!("\n{exchanges} spans in ")) {
        bail!("tracer analyze did not do its work (status {status}): {said}");
    }
    Ok(run)
}

/// Runs a command to its end. Returns its status and what it said, and what it took.
pub(super) fn measured(command: &mut Command) -> Result<(i32, String, Run)> {
    let begun = Instant::now();
    let mut child =
        command.stderr(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let mut said = String::new();
    child.stderr.take().context("no standard error")?.read_to_string(&mut said)?;
    let (status, usage) = wait(child.id())?;
    let wall = begun.elapsed().as_secs_f64();
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let run = Run {
        wall,
        user: seconds(usage.ru_utime),
        system: seconds(usage.ru_stime),
        peak: usage.ru_maxrss as f64 * 1024.0,
    };
    Ok((status, said, run))
}

/// Waits for a child's end; the standard library does not tell what it used.
fn wait(pid: u32) -> Result<(i32, libc::rusage)> {
    let pid = libc::pid_t::try_from(pid).context("no process id")?;
    let mut status = 0;
    // SAFETY: all zeroes is a valid value of this structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: pointers to locals that outlive the call; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    ensure!(waited == pid, "cannot wait for the child: {}", std::io::Error::last_os_error());
    Ok((status, usage))
}

/// The table.
pub fn markdown(rows: &[Row]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "{}. Medians, in brackets the least and the most.\n", report::machine()?)?;
    let cells = |name: &str, cell: &dyn Fn(&Row) -> String| {
        let cells: Vec<String> = rows.iter().map(cell).collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    let spread = |row: &Row, value: &dyn Fn(&Run) -> f64, unit: f64, digits: usize| {
        super::spread(row.runs.iter().map(|run| value(run) / unit), digits)
    };
    out += &cells("", &|row| format!("{} s of traffic", row.capture.milliseconds / 1000));
    out += &cells("---", &|_| "---".to_owned());
    out +=
        &cells("exchanges (observed ends of calls; one span each)", &|row| row.capture.exchanges.to_string());
    out += &cells("calls", &|row| row.capture.calls.to_string());
    out += &cells("connections", &|row| row.capture.connections.to_string());
    out += &cells("bytes per exchange in the file", &|row| {
        format!("{:.1}", row.capture.bytes as f64 / row.capture.exchanges as f64)
    });
    out += &cells("**exchanges per second of CPU time**", &|row| {
        spread(row, &|run| row.capture.exchanges as f64 / (run.user + run.system), 1.0, 0)
    });
    out += &cells("calls per second of CPU time", &|row| {
        spread(row, &|run| row.capture.calls as f64 / (run.user + run.system), 1.0, 0)
    });
    out += &cells("CPU time, s", &|row| spread(row, &|run| run.user + run.system, 1.0, 2));
    out += &cells("of it in the kernel, s", &|row| spread(row, &|run| run.system, 1.0, 2));
    out += &cells("wall time, s", &|row| spread(row, &|run| run.wall, 1.0, 2));
    out +=
        &cells("**peak resident memory, MiB**", &|row| spread(row, &|run| run.peak, f64::from(1 << 20), 1));
    out += &cells("peak memory per exchange, bytes", &|row| {
        spread(row, &|run| run.peak / row.capture.exchanges as f64, 1.0, 1)
    });
    let peaks: Vec<f64> =
        rows.iter().map(|row| median(&row.runs.iter().map(|run| run.peak).collect::<Vec<_>>())).collect();
    if let [short, long] = peaks.as_slice() {
        writeln!(out, "\nPeak memory, the longer against the shorter: {:.2}×.\n", long / short)?;
    }
    Ok(out)
}
