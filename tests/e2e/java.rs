//! The JDK's HTTP server under load.
//!
//! Durations are compared with the service's own log: from the handler's first statement (the head is parsed by the same
//! thread just before) to the end of `close()`, which writes the last byte.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::{Options, java};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("wrk"), Need::Command("javac")];

fn main() -> ExitCode {
    let tests =
        CONNECTIONS.map(|connections| test(format!("serve_{connections}"), move || serve(connections)));
    suite::run(NEEDS, tests.into())
}

fn serve(connections: u32) -> Result<String> {
    let service = java::start(&Options::default())?;
    // The first requests of a JVM load classes between the log's clock and the socket, for tens of milliseconds.
    Wrk::new(service.port(), "/item/", 8).prefixes(&["/item/", "/slow/", "/missing/"]).run()?;
    let load = Wrk::new(service.port(), "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/"]);
    scenario::each_request_is_one_span(&service, &load, &Durations::of(service.unit()))
}
