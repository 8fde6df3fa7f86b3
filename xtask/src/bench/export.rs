//! How fast a file of spans becomes a file for another tool: the shipped program on a million spans, form by form.
//!
//! What is counted is the processor time of all of `tracer export`: reading and writing included, on however many processors. Needs no root.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tracer_tests::paths;

use super::offline::{Run, measured};
use super::report;

/// Spans in the file: five in each trace.
const SPANS: u64 = 1_000_000;
/// The forms, and what they are called in the table.
const FORMS: &[(&str, &str)] = &[
    ("otlp", "OTLP/JSON"),
    ("zipkin", "Zipkin JSON"),
    ("jaeger", "Jaeger JSON (two passes)"),
    ("perfetto", "Chrome trace events (two passes)"),
    ("trace", "trace JSON"),
    ("csv", "CSV"),
];

/// A form and the runs on it.
pub struct Row {
    what: &'static str,
    input: u64,
    output: u64,
    runs: Vec<Run>,
}

/// Writes each form in turn, `rounds` times.
pub fn measure(tracer: &Path, rounds: usize) -> Result<Vec<Row>> {
    let directory = paths::target_dir()?.join("bench");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let (traces, output) = (directory.join("spans.json"), directory.join("exported"));
    write_spans(&traces).with_context(|| format!("cannot write {}", traces.display()))?;
    let size = |path: &Path| std::fs::metadata(path).map(|file| file.len());
    let input = size(&traces)?;
    let mut rows: Vec<Row> =
        FORMS.iter().map(|(_, what)| Row { what, input, output: 0, runs: Vec::new() }).collect();
    for round in 1..=rounds.max(1) {
        for (row, (form, what)) in rows.iter_mut().zip(FORMS) {
            eprintln!("{round} of {rounds}: tracer export, {what}");
            // What an earlier run wrote would have to be cut off first.
            let _ = std::fs::remove_file(&output);
            let mut command = Command::new(tracer);
            command.arg("export").arg(&traces).args(["--format", form, "-o"]).arg(&output);
            let (status, said, run) = measured(&mut command)?;
            ensure!(status == 0 && said.contains("spans in "), "it did not do its work ({status}): {said}");
            row.output = size(&output)?;
            row.runs.push(run);
        }
    }
    for path in [&traces, &output] {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(rows)
}

/// Requests of two services, the second of which asks a database, as a recording has them.
fn write_spans(path: &Path) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(b"[")?;
    for number in 0..SPANS {
        let (trace, part) = (number / 5, number % 5);
        // Numbers that look like ids, and are the same every time (SplitMix64's last step).
        let id = |number: u64| {
            let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb)
        };
        let parent = if part == 0 { "null".to_owned() } else { format!("\"{:016x}\"", id(number - 1)) };
        let (service, kind) = [
            ("nginx", "server"),
            ("nginx", "client"),
            ("frontend-api", "server"),
            ("frontend-api", "client"),
            ("postgres", "server"),
        ]
        .into_iter()
        .nth(part as usize)
        .unwrap_or_default();
        let what = if part < 3 {
            format!(
                "\"http.method\":\"POST\",\"http.url\":\"/users/{}?page={}\",\"http.host\":\"127.0.0.1:8080\",\"http.status_code\":201",
                trace % 977,
                trace % 7
            )
        } else {
            "\"db.system\":\"postgresql\",\"db.instance\":\"users_db\",\"db.operation\":\"INSERT\",\
             \"db.statement\":\"INSERT INTO users (name, email) VALUES (?, ?)\",\"db.sql.table\":\"users\""
                .to_owned()
        };
        let operation = if part < 3 { "POST /users" } else { "INSERT users" };
        let micros = trace * 40 + part * 7;
        let comma = if number == 0 { "" } else { "," };
        write!(
            out,
            "{comma}\n{{\"traceId\":\"{:016x}{:016x}\",\"spanId\":\"{:016x}\",\"parentSpanId\":{parent},\"serviceName\":\"{service}\",\
             \"operationName\":\"{operation}\",\"startTime\":\"2026-11-23T04:{:02}:{:02}.{:06}Z\",\"duration\":{}.{:03},\"tags\":{{{what},\
             \"span.kind\":\"{kind}\",\"process.pid\":{},\"thread.id\":{},\"net.peer.ip\":\"127.0.0.1\",\"net.peer.port\":{},\
             \"http.request.bytes\":184,\"http.response.bytes\":1043,\"tracer.ttfb_ms\":1.{:03},\
             \"tracer.link.evidence\":[\"thread\"],\"tracer.link.confidence\":0.99}}}}",
            id(trace ^ 0xffff),
            id(trace),
            id(number),
            micros / 60_000_000,
            micros / 1_000_000 % 60,
            micros % 1_000_000,
            6 - part,
            trace % 1000,
            2000 + part,
            2000 + part + trace % 8,
            32_768 + trace % 20_000,
            trace % 1000,
        )?;
    }
    out.write_all(b"\n]\n")?;
    Ok(out.flush()?)
}

/// The table.
pub fn markdown(rows: &[Row]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "{}. Medians, in brackets the least and the most.\n", report::machine()?)?;
    writeln!(
        out,
        "| from {SPANS} spans | spans per second of CPU time | CPU time, s | wall time, s | peak memory, MiB | MB read, written |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for row in rows {
        let spread =
            |value: &dyn Fn(&Run) -> f64, digits: usize| super::spread(row.runs.iter().map(value), digits);
        writeln!(
            out,
            "| {} | **{}** | {} | {} | {} | {}, {} |",
            row.what,
            spread(&|run| SPANS as f64 / (run.user + run.system), 0),
            spread(&|run| run.user + run.system, 2),
            spread(&|run| run.wall, 2),
            spread(&|run| run.peak / f64::from(1 << 20), 0),
            row.input / 1_000_000,
            row.output / 1_000_000,
        )?;
    }
    Ok(out)
}
