//! Apache with mod_php (prefork) under load.
//!
//! Durations are compared with `%D`: from the request line being read to the response having been sent.

use std::process::ExitCode;

use anyhow::Result;
use tracer_tests::compare::Durations;
use tracer_tests::load::Wrk;
use tracer_tests::scenario::{self, CONNECTIONS};
use tracer_tests::services::{Options, apache};
use tracer_tests::suite::{self, Need, test};

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("wrk"),
    Need::Command("apache2"),
    Need::File(apache::MODULES, "libphp", ".so"),
];

fn main() -> ExitCode {
    let tests =
        CONNECTIONS.map(|connections| test(format!("serve_{connections}"), move || serve(connections)));
    suite::run(NEEDS, tests.into())
}

fn serve(connections: u32) -> Result<String> {
    let service = apache::start(&Options::default())?;
    let load = Wrk::new(service.port(), "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/"]);
    scenario::each_request_is_one_span(&service, &load, &Durations::of(service.unit()))
}
