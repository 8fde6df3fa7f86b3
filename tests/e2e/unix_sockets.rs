//! nginx in front of gunicorn over a unix socket: the same spans, joined, as over TCP.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::load::Wrk;
use tracer_tests::scenario;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;
use tracer_tests::truth::Links;

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("nginx"), Need::Command("gunicorn"), Need::Command("wrk")];

fn main() -> ExitCode {
    let mut tests = vec![];
    for (name, worker) in [("sync", Worker::Sync), ("threads", Worker::Threads)] {
        for connections in [1, 8] {
            tests.push(test(format!("{name}_{connections}"), move || joined(worker, connections)));
        }
    }
    suite::run(NEEDS, tests)
}

fn joined(worker: Worker, connections: u32) -> Result<String> {
    let scratch = Scratch::new()?;
    let socket = scratch.join("app.sock");
    let _gunicorn = gunicorn::start_unix(worker, &socket, &Options::default())?;
    let backend = Some(format!("unix:{}", socket.display()));
    let nginx = nginx::start(&Options { backend, ..Options::default() })?;

    let load = Wrk::new(nginx.port(), "/front?truth=", connections);
    let before = nginx.calls()?.len();
    ensure!(before == 0, "nginx made {before} calls before the load");
    let said = scenario::each_call_has_its_parent(&nginx, &load, Links::All)?;

    // And for a single call: the backend's span stands below nginx's.
    let tracer = Tracer::record(&[])?;
    tracer_tests::client::Connection::open(nginx.port())?.fetch("/proxied/item/one")?;
    let recording = tracer.stop()?;
    let count = scenario::check_joined(&recording.trace, "/item/one")?;
    ensure!(count == 1, "{count} server spans of one call over the unix socket");
    Ok(said)
}
