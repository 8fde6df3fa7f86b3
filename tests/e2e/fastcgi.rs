//! nginx in front of PHP-FPM, over a unix socket and over TCP.
//!
//! PHP-FPM's own access log says which requests it served, and for how long; each of them is one span of it, and stands below
//! nginx's call, which stands below nginx's own request.

use std::collections::HashMap;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::compare::{self, Durations};
use tracer_tests::load::Wrk;
use tracer_tests::scenario;
use tracer_tests::services::fpm::{self, Pair, Way};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("wrk"),
    Need::Command("nginx"),
    Need::File(fpm::PROGRAM.0, fpm::PROGRAM.1, ""),
];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for (name, way) in [("unix", Way::Unix), ("tcp", Way::Tcp)] {
        for connections in [1, 8] {
            tests.push(test(format!("serve_{name}_{connections}"), move || serve(way, connections)));
            tests.push(test(format!("linked_{name}_{connections}"), move || linked(way, connections)));
        }
    }
    suite::run(NEEDS, tests)
}

fn load(port: u16, connections: u32) -> Wrk {
    Wrk::new(port, "/item/", connections).prefixes(&["/item/", "/slow/", "/missing/", "/large/"])
}

/// With the page's own figures no preemption before the first read, or within the page, is taken for a wrong duration; what is left is
/// one between PHP-FPM's reading of its clock and its last write. With eight workers and two more programs that do nothing but run on two
/// cores, 99.5 to 100 % of the requests were without.
fn durations(pair: &Pair) -> Durations {
    Durations { share: 0.98, ..Durations::of(pair.fpm.unit()) }
}

/// Each request of PHP-FPM's access log is one span, not shorter than what the page measured, and not longer than PHP-FPM's own figure. That one
/// begins with `accept`, on a connection that is kept even with the end of the request before, so it may be much longer.
fn serve(way: Way, connections: u32) -> Result<String> {
    let pair = fpm::start(way)?;
    let (load, durations) = (load(pair.nginx.port(), connections), durations(&pair));
    if way == Way::Unix {
        return scenario::each_request_is_one_span(&pair.fpm, &load, &durations);
    }
    let tracer = Tracer::record(&["--pid", &pair.fpm.pid().to_string()])?;
    open_connections(&pair, connections)?;
    load.run()?;
    thread::sleep(Duration::from_millis(300));
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let log = pair.fpm.log("/")?;
    ensure!(log.iter().all(|line| line.within_ms.is_some()), "the page did not tell how long it took");
    let report = compare::compare(&log, &recording.trace.servers("/"), &durations, None);
    report.check(&durations)?;
    Ok(report.to_string().lines().next().unwrap_or_default().to_owned())
}

/// Makes nginx open its connections to PHP-FPM, and waits until the probes have been told that every call on them is of use: a
/// burst on a new connection is not captured to its end before.
fn open_connections(pair: &Pair, connections: u32) -> Result<()> {
    let port = pair.nginx.port();
    let fetch =
        |number: u32| thread::spawn(move || Connection::open(port)?.fetch(&format!("/slow/first-{number}")));
    let threads: Vec<_> = (0..connections).map(fetch).collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    thread::sleep(Duration::from_millis(400));
    Ok(())
}

/// Each of them stands below nginx's call, and that below the request that nginx served; targets are unique.
fn linked(way: Way, connections: u32) -> Result<String> {
    let pair = fpm::start(way)?;
    let tracer = Tracer::record(&[])?;
    open_connections(&pair, connections)?;
    load(pair.nginx.port(), connections).run()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let trace = &recording.trace;
    let is_fastcgi = |span: &&Span| span.tag("network.protocol.name") == Some("fastcgi");
    let (calls, served): (Vec<&Span>, Vec<&Span>) =
        trace.spans.iter().filter(is_fastcgi).partition(|span| span.kind == Kind::Client);
    let by_id: HashMap<&str, &Span> = trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let parent = |span: &Span| span.parent.as_deref().and_then(|id| by_id.get(id).copied());
    ensure!(!served.is_empty(), "PHP-FPM has no span; {}", scenario::list(trace));
    let mut cut = 0;
    for span in &served {
        let call = parent(span).with_context(|| format!("{} has no parent", span.target()))?;
        Trace::check_joined(call, span)?;
        ensure!(call.target() == span.target(), "{} joined {}", call.target(), span.target());
    }
    let mut unlinked = Vec::new();
    for call in &calls {
        match parent(call) {
            Some(request) => ensure!(
                request.target() == call.target() && request.kind == Kind::Server,
                "{} stands below {}",
                call.target(),
                request.target()
            ),
            // Those that open the connections come all at once, to a process of which nothing is known yet.
            None if call.target().starts_with("/slow/first-") => {}
            None => unlinked.push(call.target()),
        }
        cut += usize::from(call.outcome().is_some());
    }
    let open = unlinked.len();
    ensure!(open * 100 <= calls.len(), "{open} of {} calls have no parent: {unlinked:?}", calls.len());
    let scripts = served.iter().filter(|span| span.tag("fastcgi.script").is_some()).count();
    ensure!(scripts == served.len(), "{scripts} of {} have their script", served.len());
    Ok(format!(
        "{} served, {} calls, {open} without a parent, {cut} with an outcome",
        served.len(),
        calls.len()
    ))
}
