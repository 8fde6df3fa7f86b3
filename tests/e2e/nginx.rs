//! nginx under load: as a file server, and as a reverse proxy in front of Node.
//!
//! Durations are compared with `$request_time`, which has milliseconds and reads a clock that nginx itself reads once
//! per turn of its event loop; see [`Durations`] for what is allowed.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::{Options, Service, nginx, node};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("wrk")];
/// The proxy's backend.
const NODE: &[Need] = &[Need::Command("node")];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for connections in CONNECTIONS {
        tests.push(test(format!("static_{connections}"), move || files(connections)));
        tests.push(test(format!("proxy_{connections}"), move || proxy(connections)).needing(NODE));
    }
    suite::run(NEEDS, tests)
}

fn files(connections: u32) -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let load =
        Wrk::new(nginx.port(), "/item/", connections).prefixes(&["/item/", "/item/", "/item/", "/missing/"]);
    scenario::each_request_is_one_span(&nginx, &load, &durations(&nginx, connections))
}

fn proxy(connections: u32) -> Result<String> {
    let backend = node::start(&Options::default())?;
    let nginx = nginx::start(&Options::default().calling(&backend))?;
    let load = Wrk::new(nginx.port(), "/proxied/item/", connections).prefixes(&[
        "/proxied/item/",
        "/proxied/slow/",
        "/proxied/missing/",
    ]);
    scenario::each_request_is_one_span(&nginx, &load, &durations(&nginx, connections))
}

fn durations(nginx: &Service, connections: u32) -> Durations {
    Durations::of(nginx.unit()).clock_per_turn(connections)
}
