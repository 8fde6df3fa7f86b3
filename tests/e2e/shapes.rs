//! How bytes arrive: pipelined, in pieces, late or never.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::client::{self, Connection};
use tracer_tests::load;
use tracer_tests::pace;
use tracer_tests::scenario::{self, the_span};
use tracer_tests::services::{Options, Service, golang, nginx, odd};
use tracer_tests::span::{Kind, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("hey")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("pipelining_of_16", pipelining_of_16),
            test("identical_requests_back_to_back", identical_requests_back_to_back),
            test("head_one_byte_at_a_time_nginx", || {
                head_one_byte_at_a_time(&nginx::start(&Options::default())?)
            }),
            test("head_one_byte_at_a_time_go", || {
                head_one_byte_at_a_time(&golang::start(&Options::default())?)
            })
            .needing(&[Need::Go]),
            test("response_one_byte_at_a_time", response_one_byte_at_a_time),
            test("unanswered_requests", unanswered_requests),
            test("any_method", any_method),
            test("a_call_of_two_seconds", a_call_of_two_seconds),
        ],
    )
}

/// Sixteen requests in one write, again and again: sixteen spans, each with its own path and status, in order. The client
/// reads several responses in one call, of which only the first 4 KiB are looked at: a client span whose response lies
/// beyond that may be missing or say so, and must not be somebody else's.
fn pipelining_of_16() -> Result<String> {
    const ROUNDS: u32 = 50;
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut connection = Connection::open(nginx.port())?;
    let target = |round: u32, k: u32| {
        let place = if k % 5 == 4 { "missing" } else { "item" };
        format!("/{place}/{round}-{k}")
    };
    for round in 0..ROUNDS {
        let requests: String = (0..16).map(|k| client::get(&target(round, k))).collect();
        connection.send(requests)?;
        for k in 0..16 {
            let expected = if k % 5 == 4 { 404 } else { 200 };
            ensure!(connection.answer()?.status == expected, "{} was answered otherwise", target(round, k));
        }
    }
    let recording = tracer.stop()?;
    for round in 0..ROUNDS {
        for k in 0..16 {
            let expected = if k % 5 == 4 { 404 } else { 200 };
            let server = the_span(&recording.trace, Kind::Server, &target(round, k))?;
            ensure!(server.status() == Some(expected), "{}: {:?}", target(round, k), server.tags);
        }
    }
    let clients = recording.trace.clients("/");
    for client in &clients {
        let server = the_span(&recording.trace, Kind::Server, client.target())?;
        Trace::check_joined(client, server)?;
        let status = client.status();
        ensure!(status.is_none() || status == server.status(), "{}: {status:?}", client.target());
    }
    ensure!(!clients.is_empty(), "no client span at all");
    Ok(format!("{} requests, {} client spans", ROUNDS * 16, clients.len()))
}

/// Nothing tells these requests apart but their place in the stream.
fn identical_requests_back_to_back() -> Result<String> {
    let requests = pace::count(4000);
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    load::hey(&nginx.url("/item/same"), requests, 8, true)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let joined = scenario::check_joined(&recording.trace, "/item/same")?;
    ensure!(joined == requests as usize, "{joined} server spans for {requests} requests");
    let clients = recording.trace.clients("/item/same").len();
    ensure!(clients == requests as usize, "{clients} client spans for {requests} requests");
    Ok(String::new())
}

/// To nginx, which reads what there is, and to Go, which reads one byte first by itself.
fn head_one_byte_at_a_time(service: &Service) -> Result<String> {
    let tracer = Tracer::record(&["--port", &service.port().to_string()])?;
    let mut connection = Connection::open(service.port())?;
    for number in 0..3 {
        for byte in client::get(&format!("/item/dripped-{number}")).bytes() {
            connection.send([byte])?;
            thread::sleep(Duration::from_micros(500));
        }
        ensure!(connection.answer()?.status == 200, "it was refused");
    }
    connection.fetch("/item/whole")?;
    let recording = tracer.stop()?;
    for number in 0..3 {
        let span = the_span(&recording.trace, Kind::Server, &format!("/item/dripped-{number}"))?;
        ensure!(span.status() == Some(200), "{:?}", span.tags);
        // From the first byte: 50 and more of them, half a millisecond apart.
        ensure!(span.duration_ms > 20.0, "{} ms", span.duration_ms);
    }
    the_span(&recording.trace, Kind::Server, "/item/whole")?;
    scenario::check_joined(&recording.trace, "/item/")?;
    Ok(String::new())
}

fn response_one_byte_at_a_time() -> Result<String> {
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &odd.port().to_string()])?;
    let mut connection = Connection::open(odd.port())?;
    for number in 0..3 {
        connection.fetch(&format!("/dripped/{number}"))?;
    }
    let recording = tracer.stop()?;
    for number in 0..3 {
        let span = the_span(&recording.trace, Kind::Server, &format!("/dripped/{number}"))?;
        ensure!(span.status() == Some(200) && span.outcome().is_none(), "{:?}", span.tags);
        ensure!(span.duration_ms > 30.0, "{} ms", span.duration_ms);
    }
    scenario::check_joined(&recording.trace, "/dripped/")?;
    Ok(String::new())
}

/// A request that nobody answered is a span without a status, and says why.
fn unanswered_requests() -> Result<String> {
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &odd.port().to_string()])?;
    let mut waiting = Connection::open(odd.port())?;
    waiting.get("/never/waiting")?;
    let mut given_up = Connection::open(odd.port())?;
    given_up.get("/never/given-up")?;
    thread::sleep(Duration::from_millis(200));
    drop(given_up);
    thread::sleep(Duration::from_millis(100));
    let recording = tracer.stop()?;
    drop(waiting);
    for (target, outcome) in [("/never/waiting", "pending"), ("/never/given-up", "unanswered")] {
        for kind in [Kind::Server, Kind::Client] {
            let span = the_span(&recording.trace, kind, target)?;
            ensure!(
                span.status().is_none() && span.outcome() == Some(outcome),
                "the {kind:?} span of {target} should be {outcome}: {:?}",
                span.tags
            );
        }
    }
    Ok(String::new())
}

/// Methods that the probes do not know: the first request of a connection is known by its line, and before the next ones the probes have been
/// asked for all of its calls.
fn any_method() -> Result<String> {
    const METHODS: [&str; 6] = ["BREW", "QUERY", "PROPPATCH", "M-SEARCH", "VERSION-CONTROL", "GETS"];
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut statuses = Vec::new();
    for method in METHODS {
        let mut connection = Connection::open(nginx.port())?;
        for round in 0..3 {
            let target = format!("/item/{method}-{round}");
            connection.send(client::get(&target).replacen("GET", method, 1))?;
            statuses.push((method, target, connection.answer()?.status));
            if round == 0 {
                // The recorder tells the probes.
                thread::sleep(pace::limit(Duration::from_millis(250)));
            }
        }
    }
    let recording = tracer.stop()?;
    for (method, target, status) in &statuses {
        scenario::check_joined(&recording.trace, target)?;
        for kind in [Kind::Server, Kind::Client] {
            let span = the_span(&recording.trace, kind, target)?;
            let is_right = span.tag("http.method") == Some(method) && span.status() == Some(*status);
            ensure!(is_right, "{method} {target}, answered with {status}: {:?}", span.tags);
        }
    }
    Ok(format!("{} requests", statuses.len()))
}

/// Both sides of a long call are joined: no time bucket comes between them.
fn a_call_of_two_seconds() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut connection = Connection::open(nginx.port())?;
    let request = client::get("/item/long");
    let (first, rest) = request.split_at(10);
    connection.send(first)?;
    thread::sleep(Duration::from_secs(2));
    connection.send(rest)?;
    ensure!(connection.answer()?.status == 200, "nginx refused it");
    let recording = tracer.stop()?;
    scenario::check_joined(&recording.trace, "/item/long")?;
    // The client's span begins with its first call; the server's, when a busy server gets round to reading it.
    let span = the_span(&recording.trace, Kind::Client, "/item/long")?;
    ensure!(
        (2000.0..2000.0 + pace::milliseconds(200.0)).contains(&span.duration_ms),
        "{} ms",
        span.duration_ms
    );
    Ok(String::new())
}
