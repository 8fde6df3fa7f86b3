//! PostgreSQL and its clients: every call that the server's log has is one span on each side, and nothing else is.
//!
//! The server writes down each statement with its duration, and each error with its SQLSTATE. The clients write down when they
//! called and when they had the answer. The interval that the server measures lies within its span, that one (on one host) within
//! the client's span, and that one within what the client measures.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::postgres_log::{self, Counts, Kind as Logged, Line, name};
use tracer_tests::span::{Kind, Span};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;
use tracer_tests::{pace, paths};

const NEEDS: &[Need] = &[Need::Tracer, Need::File("/usr/lib/postgresql", "", "")];
/// Connections of each library at a time.
const CLIENTS: usize = 4;
/// Milliseconds that two clocks, or two readings of one, may be apart.
const NEAR_MS: f64 = 0.2;

fn main() -> ExitCode {
    let mut tests = vec![test("psql", psql)];
    for mode in ["simple", "extended", "prepared"] {
        tests.push(test(format!("pgbench_{mode}"), move || pgbench(mode)));
    }
    for library in ["psycopg", "asyncpg"] {
        for unix in [false, true] {
            let place = if unix { "unix" } else { "tcp" };
            tests.push(test(format!("{library}_{place}"), move || clients(library, unix, false)));
        }
        tests.push(test(format!("{library}_late"), move || clients(library, false, true)));
    }
    suite::run(NEEDS, tests)
}

/// A library of Python's, over TCP or a unix socket. `late`: its connections are older than the tracer.
fn clients(library: &str, unix: bool, late: bool) -> Result<String> {
    let postgres = postgres_log::start()?;
    postgres.sql("postgres", "CREATE DATABASE shop")?;
    let scratch = Scratch::new()?;
    let host =
        if unix { postgres.directory().to_string_lossy().into_owned() } else { "127.0.0.1".to_owned() };
    let dsn = match library {
        "asyncpg" if unix => format!("postgresql://postgres@/shop?host={host}&port={}", postgres.port()),
        "asyncpg" => format!("postgresql://postgres@{host}:{}/shop?sslmode=disable", postgres.port()),
        _ => format!(
            "host={host} port={} user=postgres dbname=shop sslmode=disable gssencmode=disable",
            postgres.port()
        ),
    };
    let python = paths::deps_dir()?.join("venv/bin/python");
    let spec = Spec::new(&python)?
        .arg(paths::services_dir().join("sql_clients.py").to_string_lossy())
        .args([library, &dsn, &CLIENTS.to_string(), &scratch.path().to_string_lossy()])
        .env("LATE", if late { "1" } else { "0" });
    let start = move |scratch: &Scratch| -> Result<_> {
        let mut process = spec.start(scratch.path())?;
        wait_for(&scratch.join("ready"), &mut process)?;
        Ok(process)
    };
    let (tracer, mut process, skipped) = if late {
        let process = start(&scratch)?;
        let skipped = postgres_log::length(&postgres)?;
        (Tracer::record(&[])?, process, skipped)
    } else {
        let skipped = postgres_log::length(&postgres)?;
        let tracer = Tracer::record(&[])?;
        (tracer, start(&scratch)?, skipped)
    };
    scratch.write("go", "")?;
    let status = process.wait(pace::limit(Duration::from_secs(60)))?;
    ensure!(status.success(), "{}", process.output());
    let recording = tracer.stop()?;
    ensure!(recording.ledger.count("events_lost")? == 0, "events were lost");
    let lines = postgres_log::read_behind(&postgres, skipped)?;
    let spans = database_spans(&recording.trace.spans);
    let said = compare(&lines, &spans, late)?;
    let measured = within_what_clients_measured(&scratch.join("calls.json"), &spans, &lines)?;
    Ok(format!("{said}; {measured}"))
}

fn wait_for(file: &Path, process: &mut process::Process) -> Result<()> {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(30));
    while !file.exists() {
        if process.ended()?.is_some() || Instant::now() > deadline {
            bail!("the client does not get ready: {}", process.output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Several statements in one query, errors, notices, COPY, and a prepared statement of SQL's own.
fn psql() -> Result<String> {
    let postgres = postgres_log::start()?;
    let skipped = postgres_log::length(&postgres)?;
    let script = "\
        CREATE TABLE q_rows (a int);\n\
        INSERT INTO q_rows SELECT generate_series(1, 50000);\n\
        SELECT a AS q_all FROM q_rows;\n\
        SELECT 1 / 0 AS q_zero;\n\
        SELECT 1 / (40000 - a) AS q_midway FROM q_rows;\n\
        SELECT 1 AS q_two \\; SELECT 2;\n\
        DO $$BEGIN RAISE NOTICE 'to whom it concerns'; END$$;\n\
        BEGIN;\n\
        COPY (SELECT a AS q_out FROM q_rows) TO STDOUT;\n\
        COMMIT;\n\
        PREPARE s (int) AS SELECT $1 AS q_sql;\n\
        EXECUTE s (1);\n\
        LISTEN q_channel;\n\
        NOTIFY q_channel, 'payload';\n\
        SELECT 1 AS q_last;\n";
    let scratch = Scratch::new()?;
    let file = scratch.write("script.sql", script)?;
    let tracer = Tracer::record(&[])?;
    let command = postgres
        .program("psql")?
        .args(["-h", "127.0.0.1", "-p", &postgres.port().to_string(), "-U", "postgres", "-d", "postgres"])
        .args(["-X", "-q", "-f", &file.to_string_lossy()]);
    process::run(&command)?;
    let recording = tracer.stop()?;
    ensure!(recording.ledger.count("events_lost")? == 0, "events were lost");
    let mut lines = postgres_log::read_behind(&postgres, skipped)?;
    // Its code stands behind more rows than are captured: only that it failed is known.
    let midway = lines.iter_mut().find(|line| line.statement.contains("q_midway")).context("no error")?;
    midway.kind = Logged::Error("unknown".to_owned());
    compare(&lines, &database_spans(&recording.trace.spans), false)
}

/// Many short calls on several connections.
fn pgbench(mode: &str) -> Result<String> {
    let postgres = postgres_log::start()?;
    let skipped = postgres_log::length(&postgres)?;
    let scratch = Scratch::new()?;
    let script = "\\set n random(1, 100000)\nSELECT :n AS q_one;\nBEGIN;\nSELECT :n + 1 AS q_two;\nEND;\n";
    let file = scratch.write("script.sql", script)?;
    let tracer = Tracer::record(&[])?;
    let command = postgres
        .program("pgbench")?
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &postgres.port().to_string(),
            "-U",
            "postgres",
            "-n",
            "-c",
            "4",
            "-t",
            "250",
        ])
        // Not as fast as it can: of a new connection only the first 256 calls are captured until it is recognised.
        .args(["-R", "400"])
        .args(["-M", mode, "-f", &file.to_string_lossy(), "postgres"]);
    process::run(&command)?;
    let recording = tracer.stop()?;
    ensure!(recording.ledger.count("events_lost")? == 0, "events were lost");
    let lines = postgres_log::read_behind(&postgres, skipped)?;
    compare(&lines, &database_spans(&recording.trace.spans), false)
}

fn database_spans(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.tag("db.system") == Some("postgresql")).collect()
}

/// What a span is called, as the log's lines are.
fn called(span: &Span) -> String {
    span.tag("db.statement").map_or_else(|| span.tag("db.operation").unwrap_or_default().to_owned(), name)
}

fn count<'a>(keys: impl Iterator<Item = (String, Option<&'a str>)>) -> Counts {
    let mut counts = Counts::new();
    for (name, error) in keys {
        *counts.entry((name, error.map(str::to_owned))).or_default() += 1;
    }
    counts
}

/// Whether a statement was prepared, without error (an error is logged as that of any call), and not by SQL's PREPARE.
fn is_prepare(span: &Span) -> bool {
    span.tag("db.operation") == Some("PREPARE")
        && span.tag("db.response.status_code").is_none()
        && !span.tag("db.statement").is_some_and(|text| text.starts_with("PREPARE"))
}

/// The log against the spans of each side: the same names, as often, with the same errors. `late`: what was prepared before has no
/// statement.
fn compare(lines: &[Line], spans: &[&Span], late: bool) -> Result<String> {
    let logged = |wanted: fn(&Logged) -> bool| {
        count(lines.iter().filter(move |line| wanted(&line.kind)).map(move |line| {
            let name = name(&line.statement);
            let error = if let Logged::Error(code) = &line.kind { Some(code.as_str()) } else { None };
            let unseen = late && name.starts_with("q_prepared_");
            (if unseen { "EXECUTE".to_owned() } else { name }, error)
        }))
    };
    let calls = logged(|kind| matches!(kind, Logged::Statement | Logged::Execute | Logged::Error(_)));
    let prepared = logged(|kind| *kind == Logged::Prepare);
    for side in [Kind::Client, Kind::Server] {
        let own = || spans.iter().filter(move |span| span.kind == side);
        let told = |prepares: bool| {
            let chosen = own().filter(move |span| is_prepare(span) == prepares);
            count(chosen.map(|span| (called(span), span.tag("db.response.status_code"))))
        };
        same(&calls, &told(false)).with_context(|| format!("the calls, {side:?}"))?;
        // psycopg's executemany prepares and executes in one go, which is one call.
        let mut prepared = prepared.clone();
        prepared.retain(|(name, _), _| !name.starts_with("q_many_"));
        let mut told = told(true);
        told.retain(|(name, _), _| !name.starts_with("q_many_"));
        same(&prepared, &told).with_context(|| format!("what was prepared, {side:?}"))?;
        for span in own() {
            ensure!(late || span.tag("db.instance").is_some(), "no database: {:?}", span.tags);
            let fine = span.outcome().is_none();
            ensure!(fine, "{} ended as {:?}: {:?}", called(span), span.outcome(), span.tags);
        }
        if late {
            ensure!(
                own()
                    .filter(|span| span.tag("db.operation") == Some("EXECUTE"))
                    .all(|span| span.tag("db.postgresql.statement_name").is_some())
            );
        }
    }
    within(lines, spans)?;
    Ok(format!(
        "{} calls, {} prepared, on both sides",
        calls.values().sum::<usize>(),
        prepared.values().sum::<usize>()
    ))
}

fn same(logged: &Counts, told: &Counts) -> Result<()> {
    let keys = logged.keys().chain(told.keys());
    let wrong: Vec<String> = keys
        .filter(|key| logged.get(*key) != told.get(*key))
        .map(|key| format!("{key:?}: logged {:?}, told {:?}", logged.get(key), told.get(key)))
        .collect();
    ensure!(
        wrong.is_empty(),
        "{} differ: {}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
    Ok(())
}

/// What the server measured lies within its span, for calls that were made once.
fn within(lines: &[Line], spans: &[&Span]) -> Result<()> {
    let mut logged: HashMap<String, (f64, usize)> = HashMap::new();
    for line in lines {
        let entry = logged.entry(name(&line.statement)).or_default();
        entry.0 += line.duration_ms;
        entry.1 += usize::from(matches!(line.kind, Logged::Statement | Logged::Execute | Logged::Error(_)));
    }
    for span in spans.iter().filter(|span| span.kind == Kind::Server) {
        if let Some((duration, 1)) = logged.get(&called(span))
            && span.tag("db.operation") != Some("PREPARE")
            && !lines.iter().any(|line| line.kind == Logged::Prepare && name(&line.statement) == called(span))
        {
            ensure!(
                span.duration_ms + NEAR_MS >= *duration,
                "{}: the span has {} ms, the server says {duration}",
                called(span),
                span.duration_ms
            );
        }
    }
    Ok(())
}

/// The spans of both sides lie within what the callers measured.
fn within_what_clients_measured(file: &Path, spans: &[&Span], lines: &[Line]) -> Result<String> {
    let text = std::fs::read_to_string(file).context("the client wrote nothing")?;
    let (mut compared, mut outside) = (0, Vec::new());
    for line in text.lines() {
        let call: Value = serde_json::from_str(line)?;
        if call.get("once") != Some(&Value::Bool(true)) {
            continue;
        }
        let name = call.get("name").and_then(Value::as_str).context("no name")?;
        let number = |key: &str| call.get(key).and_then(Value::as_u64).context("no time");
        let (begin, end) = (number("begin")?, number("end")?);
        ensure!(
            lines.iter().any(|line| postgres_log::name(&line.statement) == name),
            "{name} is not in the log"
        );
        for span in spans.iter().filter(|span| called(span) == name) {
            compared += 1;
            let near = (NEAR_MS * 1e6) as u64;
            if span.start_ns + near < begin || span.end_ns() > end + near {
                outside.push(format!(
                    "{name}: {}..{} is not within {begin}..{end}",
                    span.start_ns,
                    span.end_ns()
                ));
            }
        }
    }
    ensure!(compared > 100, "{compared} spans were compared");
    ensure!(
        outside.is_empty(),
        "{} of {compared}: {}",
        outside.len(),
        outside.iter().take(8).cloned().collect::<Vec<_>>().join("\n")
    );
    Ok(format!("{compared} spans lie within what the callers measured"))
}
