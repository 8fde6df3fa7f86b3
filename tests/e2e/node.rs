//! Node's HTTP server under load.
//!
//! Durations are compared with the service's own log: from the `request` event (the head is parsed) to the response's
//! `finish` (all of it was handed to the kernel).

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::{Options, node};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("wrk"), Need::Command("node")];

fn main() -> ExitCode {
    let tests =
        CONNECTIONS.map(|connections| test(format!("serve_{connections}"), move || serve(connections)));
    suite::run(NEEDS, tests.into())
}

fn serve(connections: u32) -> Result<String> {
    let service = node::start(&Options::default())?;
    let load = Wrk::new(service.port(), "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/"]);
    scenario::each_request_is_one_span(&service, &load, &Durations::of(service.unit()))
}
