//! `--metrics prometheus:…`, read by Prometheus' own parser in Python: known numbers of requests to gunicorn are what it says, and who
//! reads it is not among them.

use std::net::TcpListener;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::client::Connection;
use tracer_tests::process::{self, Spec};
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, Service};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};
use tracer_tests::{net, pace, paths};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("gunicorn"), Need::Command("curl")];

/// Requests of each kind, and how long the slow ones sleep (`app.py`), s.
const ITEMS: u64 = 60;
const MISSING: u64 = 7;
const SLOW: u64 = 5;
const SLEEP: f64 = 0.02;

fn main() -> ExitCode {
    let tests = vec![
        test("what_was_sent_is_what_is_counted", what_was_sent_is_what_is_counted),
        test("a_port_that_is_taken", a_port_that_is_taken),
        test("no_file_unless_asked_for", no_file_unless_asked_for),
    ];
    suite::run(NEEDS, tests)
}

/// What one scrape says.
struct Scrape(Value);

impl Scrape {
    fn of(port: u16) -> Result<Self> {
        let python = paths::deps_dir()?.join("venv/bin/python");
        ensure!(python.is_file(), "prometheus_client is not installed; `cargo xtask setup` installs it");
        let reader = paths::readers_dir().join("openmetrics.py");
        let url = format!("http://127.0.0.1:{port}/metrics");
        let json = process::run(&Spec::new(python)?.args([reader.to_string_lossy().as_ref(), &url]))?;
        Ok(Self(serde_json::from_str(&json).with_context(|| format!("not JSON: {json}"))?))
    }

    /// Values of a family's samples of that name, with their labels.
    fn samples(&self, family: &str, name: &str) -> Result<Vec<(&Value, f64)>> {
        let samples = self.0.get(family).and_then(|family| family.get("samples"));
        let samples = samples.and_then(Value::as_array).with_context(|| format!("no family {family}"))?;
        let matching = samples.iter().filter(|sample| sample.get(0).and_then(Value::as_str) == Some(name));
        matching
            .map(|sample| {
                let value = sample.get(2).and_then(Value::as_f64).context("no value")?;
                Ok((sample.get(1).context("no labels")?, value))
            })
            .collect()
    }

    /// The value of the only sample with these labels; 0 where there is none.
    fn value(&self, family: &str, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        let has = |all: &Value| {
            labels.iter().all(|(key, value)| all.get(key).and_then(Value::as_str) == Some(value))
        };
        let found: Vec<f64> = self
            .samples(family, name)?
            .into_iter()
            .filter(|(all, _)| has(all))
            .map(|(_, value)| value)
            .collect();
        ensure!(found.len() <= 1, "{} samples {name} with {labels:?}", found.len());
        Ok(found.first().copied().unwrap_or_default())
    }

    fn requests(&self, operation: &str, kind: &str) -> Result<f64> {
        let labels = [("operation", operation), ("span_kind", kind), ("protocol", "http")];
        self.value("tracer_requests", "tracer_requests_total", &labels)
    }

    fn all_requests(&self) -> Result<f64> {
        let samples = self.samples("tracer_requests", "tracer_requests_total")?;
        Ok(samples.iter().map(|(_, value)| value).sum())
    }
}

/// Sends them one after another; returns how long the slow ones took, s.
fn send(service: &Service) -> Result<f64> {
    let mut connection = Connection::open(service.port())?;
    for number in 0..ITEMS {
        connection.fetch(&format!("/item/{number}"))?;
    }
    for number in 0..MISSING {
        connection.get(&format!("/missing/{number}"))?;
        ensure!(connection.answer()?.status == 404, "/missing/ is there");
    }
    let begun = Instant::now();
    for number in 0..SLOW {
        connection.fetch(&format!("/slow/{number}"))?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn what_was_sent_is_what_is_counted() -> Result<String> {
    let service = gunicorn::start(Worker::Threads, &Options::default())?;
    let port = net::free_port()?;
    // Also what goes to the port of the metrics: were it not left out, it would be seen.
    let tracer = Tracer::record(&[
        "--port",
        &service.port().to_string(),
        "--port",
        &port.to_string(),
        "--metrics",
        &format!("prometheus:{port}"),
    ])?;
    let url = format!("http://127.0.0.1:{port}/metrics");
    ensure!(tracer.said().contains(&url), "it does not say where:\n{}", tracer.said());
    ensure!(Scrape::of(port)?.all_requests()? == 0.0, "requests before the first");
    let slow = send(&service)?;
    let sent = (ITEMS + MISSING + SLOW) as f64;
    let end = Instant::now() + pace::limit(Duration::from_secs(10));
    let mut scrape = Scrape::of(port)?;
    // Each at both ends.
    while scrape.all_requests()? < 2.0 * sent {
        ensure!(Instant::now() < end, "{} requests of {}", scrape.all_requests()?, 2.0 * sent);
        thread::sleep(Duration::from_millis(50));
        scrape = Scrape::of(port)?;
    }
    process::run(&Spec::new("curl")?.args(["--silent", "--fail", &url]))?;
    // Long enough for the tracer to have made spans of the scrapes.
    thread::sleep(pace::limit(Duration::from_millis(500)));
    let scrape = Scrape::of(port)?;

    let operations = [("GET /item/*", ITEMS), ("GET /missing/*", MISSING), ("GET /slow/*", SLOW)];
    for (operation, count) in operations {
        for kind in ["server", "client"] {
            let labels = [("operation", operation), ("span_kind", kind)];
            let there = scrape.requests(operation, kind)?;
            ensure!(there == count as f64, "{there} times {operation} ({kind}), {count} were sent");
            let name = "tracer_request_duration_seconds_count";
            let timed = scrape.value("tracer_request_duration_seconds", name, &labels)?;
            ensure!(timed == there, "{timed} durations of {there} {operation} ({kind})");
            // What is missing is the client's error.
            let errors = if (operation, kind) == ("GET /missing/*", "client") { count } else { 0 };
            let told = scrape.value("tracer_request_errors", "tracer_request_errors_total", &labels)?;
            ensure!(told == errors as f64, "{told} errors of {operation} ({kind}), not {errors}");
        }
    }
    ensure!(
        scrape.all_requests()? == 2.0 * sent,
        "somebody else's requests are counted: {:?}",
        scrape.samples("tracer_requests", "tracer_requests_total")?
    );
    let mut said = String::new();
    for kind in ["server", "client"] {
        let labels = [("operation", "GET /slow/*"), ("span_kind", kind)];
        let value = |name: &str, labels: &[(&str, &str)]| {
            scrape.value("tracer_request_duration_seconds", name, labels)
        };
        let sum = value("tracer_request_duration_seconds_sum", &labels)?;
        let least = SLOW as f64 * SLEEP;
        ensure!(sum >= least && sum <= slow, "{sum} s ({kind}), slept {least}, waited {slow}");
        let short = [&labels[..], &[("le", "0.01")]].concat();
        let name = "tracer_request_duration_seconds_bucket";
        ensure!(value(name, &short)? == 0.0, "some slept less than they should ({kind})");
        let all = [&labels[..], &[("le", "+Inf")]].concat();
        ensure!(value(name, &all)? == SLOW as f64, "not all are in a bucket ({kind})");
        said = format!("{sum:.4} s in {SLOW} requests that slept {least} s; the client measured {slow:.4} s");
    }
    let own = |family: &str, name: &str| scrape.value(family, name, &[]);
    ensure!(own("tracer_spans", "tracer_spans_total")? == 2.0 * sent, "spans");
    ensure!(own("tracer_events_lost", "tracer_events_lost_total")? == 0.0, "events were lost");
    ensure!(own("tracer_events", "tracer_events_total")? >= 2.0 * sent, "too few events");
    ensure!(own("process_resident_memory_bytes", "process_resident_memory_bytes")? > 1e6, "no memory");
    ensure!(own("process_cpu_seconds", "process_cpu_seconds_total")? > 0.0, "no processor time");
    let measured = own("tracer_probes_measured_seconds", "tracer_probes_measured_seconds_total")?;
    let ran = own("tracer_probes_run_seconds", "tracer_probes_run_seconds_total")?;
    ensure!(measured > 0.0 && ran < measured, "the probes ran {ran} s of {measured} s");

    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let strange: Vec<_> =
        recording.trace.spans.iter().filter(|span| span.target().starts_with("/metrics")).collect();
    ensure!(strange.is_empty(), "the tracer traced its own readers: {strange:?}");
    ensure!(recording.trace.spans.len() as f64 == 2.0 * sent, "{} spans", recording.trace.spans.len());
    ensure!(recording.ledger.count("requests")? as f64 == 2.0 * sent, "{}", recording.ledger.value());
    Ok(said)
}

fn a_port_that_is_taken() -> Result<String> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let place = format!("prometheus:{}", taken.local_addr()?.port());
    let port = taken.local_addr()?.port().to_string();
    tracer::refuses(
        &[],
        &["record", "-d", "1s", "-o", "/dev/null", "--metrics", &place],
        &[&port, "another port"],
    )
}

/// With metrics alone nothing is written, and what was counted is told at the end all the same.
fn no_file_unless_asked_for() -> Result<String> {
    let scratch = tracer_tests::scratch::Scratch::new()?;
    let spec = Spec::new(paths::tracer_binary()?)?
        .args(["record", "--port", "1", "-d", "500ms", "--metrics", "prometheus:0"])
        .in_directory(scratch.path());
    let result = spec.command().output()?;
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    ensure!(result.status.success(), "{}: {said}", result.status);
    ensure!(said.contains("0 spans in 0 traces") && said.contains("/metrics"), "{said}");
    let files: Vec<_> = std::fs::read_dir(scratch.path())?.collect();
    ensure!(files.is_empty(), "it wrote {files:?}");
    Ok(String::new())
}
