//! Nothing is lost at 20 000 requests per second.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::load;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

/// The rate that is promised.
const RATE: f64 = 20_000.0;
const CONNECTIONS: u32 = 64;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("wrk")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![test("one_side", || nothing_lost(true)), test("both_sides", || nothing_lost(false))],
    )
}

/// As fast as this machine can, nginx alone or wrk too being traced. A machine that cannot do 20 000 per second shows
/// less than was asked; the text says so.
fn nothing_lost(server_only: bool) -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let pid = nginx.pid().to_string();
    let target = if server_only { vec!["--pid", pid.as_str()] } else { Vec::new() };
    let tracer = Tracer::record(&target)?;
    let outcome = load::saturate(&nginx.url("/fast"), CONNECTIONS, 4)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let spans = recording.trace.servers("/fast");
    let answered = spans.iter().filter(|span| span.status() == Some(200)).count() as u64;
    // wrk closes its connections with a request in flight on each.
    let most = outcome.requests + u64::from(CONNECTIONS);
    ensure!(
        (outcome.requests..=most).contains(&answered),
        "wrk had {} answers, {answered} server spans have 200",
        outcome.requests
    );
    let reached = if outcome.rate >= RATE {
        String::new()
    } else {
        format!(" (this machine did not reach {RATE} per second: less is shown than was asked)")
    };
    Ok(format!("{answered} requests, {:.0}/s, none lost{reached}", outcome.rate))
}
