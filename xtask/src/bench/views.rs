//! What a person waits for: `tracer show`, `report` and `diff` on a million spans, by the shipped program. Needs no root.
//!
//! The spans are those of a simulated busy host, inferred from its capture as ever; making them is not measured.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tracer_tests::paths;

use super::offline::{self, Run, measured};
use super::report;

/// Calls in the capture, which give somewhat more than a million spans.
const CALLS: u64 = 620_000;

/// A command and its runs.
pub struct Row {
    what: &'static str,
    runs: Vec<Run>,
    /// Bytes of what it wrote to a file.
    output: Option<u64>,
}

/// The file and the rows.
pub struct Views {
    spans: u64,
    bytes: u64,
    rows: Vec<Row>,
}

/// Runs each in turn, `rounds` times.
pub fn measure(tracer: &Path, rounds: usize) -> Result<Views> {
    let directory = paths::target_dir()?.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let capture = offline::simulate(CALLS, &directory)?;
    let (traces, page) = (directory.join("viewed.json"), directory.join("viewed.html"));
    offline::analyze(tracer, &capture.path, capture.exchanges, &traces)?;
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len());
    let commands = |what: &str| {
        let mut command = Command::new(tracer);
        command.arg(what).arg(&traces);
        match what {
            "report" => command.arg("-o").arg(&page),
            "diff" => command.arg(&traces),
            _ => &mut command,
        };
        command
    };
    let mut rows = ["show", "report", "diff"].map(|what| Row { what, runs: Vec::new(), output: None });
    for round in 1..=rounds.max(1) {
        for row in &mut rows {
            eprintln!("{round} of {rounds}: tracer {}", row.what);
            // What an earlier run wrote would have to be cut off first.
            let _ = std::fs::remove_file(&page);
            let (status, said, run) = measured(commands(row.what).stdout(Stdio::null()))?;
            ensure!(status == 0, "tracer {} did not do its work ({status}): {said}", row.what);
            row.output = size(&page).ok();
            row.runs.push(run);
        }
    }
    let views = Views { spans: capture.exchanges, bytes: size(&traces)?, rows: rows.into() };
    for path in [&capture.path, &traces] {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let _ = std::fs::remove_file(&page);
    Ok(views)
}

/// The table.
pub fn markdown(views: &Views) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "{}. {} spans, {} MB. Medians, in brackets the least and the most.\n",
        report::machine()?,
        views.spans,
        views.bytes / 1_000_000
    )?;
    writeln!(out, "| command | wall time, s | CPU time, s | peak memory, MiB | MB written |")?;
    writeln!(out, "|---|---|---|---|---|")?;
    for row in &views.rows {
        let spread =
            |value: &dyn Fn(&Run) -> f64, digits: usize| super::spread(row.runs.iter().map(value), digits);
        let output = row.output.map_or(String::new(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
        writeln!(
            out,
            "| `tracer {}` | **{}** | {} | {} | {output} |",
            row.what,
            spread(&|run| run.wall, 1),
            spread(&|run| run.user + run.system, 1),
            spread(&|run| run.peak / f64::from(1 << 20), 0),
        )?;
    }
    Ok(out)
}
