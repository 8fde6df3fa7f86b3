//! The services alone, without a tracer: what the other files rely on.
//!
//! Each server logs exactly one line per request that wrk counts as answered, so that a difference between log and
//! spans elsewhere is the tracer's.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::load::Wrk;
use tracer_tests::services::{Options, Service, apache, golang, gunicorn, java, nginx, node, postgres};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[
    Need::Command("nginx"),
    Need::Command("wrk"),
    Need::Command("gunicorn"),
    Need::Command("node"),
    Need::Command("javac"),
    Need::Command("apache2"),
    Need::File(apache::MODULES, "libphp", ".so"),
    Need::File("/usr/lib/postgresql", "", ""),
    Need::Go,
];

fn main() -> ExitCode {
    let options = Options::default;
    suite::run(
        NEEDS,
        vec![
            test("nginx", move || logs_each_request(nginx::start(&options())?)),
            test("gunicorn_threads", move || {
                logs_each_request(gunicorn::start(gunicorn::Worker::Threads, &options())?)
            }),
            test("node", move || logs_each_request(node::start(&options())?)),
            test("java", move || logs_each_request(java::start(&options())?)),
            test("go", move || logs_each_request(golang::start(&options())?)),
            test("apache", move || logs_each_request(apache::start(&options())?)),
            test("fronts_write_the_truth", fronts_write_the_truth),
            test("postgres", || {
                let postgres = postgres::start()?;
                postgres.sql("postgres", "CREATE DATABASE users_db")?;
                let sum = postgres.sql("users_db", "SELECT 1 + 1")?;
                ensure!(sum.trim() == "2", "SELECT 1 + 1 is {sum}");
                Ok(String::new())
            }),
        ],
    )
}

fn logs_each_request(service: Service) -> Result<String> {
    let outcome = Wrk::new(service.port(), "/item/", 8).prefixes(&["/item/", "/item/", "/missing/"]).run()?;
    let mut targets = HashSet::new();
    let log = service.log("/")?;
    ensure!(log.len() as u64 == outcome.requests, "wrk {}, log {}", outcome.requests, log.len());
    for line in &log {
        ensure!(targets.insert(&line.target), "{} is twice in the log", line.target);
        let expected = if line.target.starts_with("/missing/") { 404 } else { 200 };
        ensure!(line.status == expected, "{} has {}", line.target, line.status);
    }
    Ok(format!("{} requests, {:.0}/s", outcome.requests, outcome.rate))
}

/// Each kind of front calls its backend twice (nginx: once) per request, with ids of their own.
fn fronts_write_the_truth() -> Result<String> {
    let backend = node::start(&Options::default())?;
    let options = Options::default().calling(&backend);
    let fronts = [
        ("nginx", nginx::start(&options)?, 1),
        ("gunicorn sync", gunicorn::start(gunicorn::Worker::Sync, &options)?, 2),
        ("gunicorn threads", gunicorn::start(gunicorn::Worker::Threads, &options)?, 2),
        ("node", node::start(&options)?, 2),
        ("java", java::start(&options)?, 2),
        ("go", golang::start(&options)?, 2),
        ("apache", apache::start(&options)?, 2),
    ];
    let mut ids = HashSet::new();
    let mut said = Vec::new();
    for (name, front, calls) in &fronts {
        // Few enough that the synchronous workers have no queue when the load ends.
        let outcome = Wrk::new(front.port(), "/front?truth=", 1).run()?;
        let truth = front.calls()?;
        ensure!(
            truth.len() as u64 == outcome.requests * calls,
            "{name}: wrk {}, truth {}",
            outcome.requests,
            truth.len()
        );
        for call in &truth {
            ensure!(ids.insert(call.outgoing.clone()), "{name}: {} was drawn twice", call.outgoing);
        }
        said.push(format!("{name} {:.0}/s", outcome.rate));
    }
    let served = backend.log("/b?truth=")?.len();
    ensure!(served == ids.len(), "{} calls, {served} served by the backend", ids.len());
    Ok(said.join(", "))
}
