//! Go's net/http under load.
//!
//! Durations are compared with the service's own log: from the handler's first statement to the flush. Go reads the first
//! byte of a request in a goroutine of its own and then wakes the one that serves: on a busy machine that is where log
//! and span differ.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::{Options, golang};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("wrk"), Need::Go];

fn main() -> ExitCode {
    let tests =
        CONNECTIONS.map(|connections| test(format!("serve_{connections}"), move || serve(connections)));
    suite::run(NEEDS, tests.into())
}

fn serve(connections: u32) -> Result<String> {
    let service = golang::start(&Options::default())?;
    let load = Wrk::new(service.port(), "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/"]);
    scenario::each_request_is_one_span(&service, &load, &Durations::of(service.unit()))
}
