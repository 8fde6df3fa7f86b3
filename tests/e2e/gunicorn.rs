//! gunicorn under load: sync workers (one request per connection) and thread workers (connections kept).
//!
//! Durations are compared with `%(D)s`. gunicorn reads its clock after it has parsed the request, and again before it
//! logs, both in Python: the interval is shorter than the span by the parsing and by waits for the interpreter.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::Options;
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("gunicorn"), Need::Command("wrk")];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for connections in CONNECTIONS {
        tests.push(test(format!("sync_{connections}"), move || serve(Worker::Sync, connections)));
        tests.push(test(format!("threads_{connections}"), move || serve(Worker::Threads, connections)));
    }
    suite::run(NEEDS, tests)
}

fn serve(worker: Worker, connections: u32) -> Result<String> {
    let gunicorn = gunicorn::start(worker, &Options::default())?;
    let load = Wrk::new(gunicorn.port(), "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/"]);
    let load = match worker {
        // Its two workers would wait for requests on the idle connections of a quiet ending.
        Worker::Sync => load.abrupt(),
        Worker::Threads => load,
    };
    scenario::each_request_is_one_span(&gunicorn, &load, &Durations::of(gunicorn.unit()))
}
