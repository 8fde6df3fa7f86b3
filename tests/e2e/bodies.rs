//! Where a response ends: every kind of framing, and bodies that the kernel sends by itself.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::load;
use tracer_tests::pace;
use tracer_tests::process::{self, Spec};
use tracer_tests::scenario::{self, the_span};
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, Service, golang, nginx, odd};
use tracer_tests::span::Kind;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("nginx"),
    Need::Command("gunicorn"),
    Need::Command("hey"),
    Need::Command("curl"),
];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("responses_without_a_body", responses_without_a_body),
            test("chunked", chunked),
            test("ended_by_the_close", ended_by_the_close),
            test("connection_close_per_request", connection_close_per_request),
            test("upload_after_100_continue_gunicorn", || {
                upload_after_100_continue(&gunicorn::start(Worker::Threads, &Options::default())?)
            }),
            test("upload_after_100_continue_go", || {
                upload_after_100_continue(&golang::start(&Options::default())?)
            })
            .needing(&[Need::Go]),
            test("big_file_by_sendfile_read_slowly", big_file_by_sendfile_read_slowly),
        ],
    )
}

/// HEAD announces a length and sends nothing; 204 and 304 have no body. All on one connection: a wrong idea of any end
/// would swallow the next request.
fn responses_without_a_body() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut connection = Connection::open(nginx.port())?;
    for round in 0..3 {
        connection.send(format!("HEAD /item/head-{round} HTTP/1.1\r\nHost: localhost\r\n\r\n"))?;
        ensure!(connection.answer_to_head()?.status == 200, "HEAD was refused");
        connection.get(&format!("/none/{round}"))?;
        ensure!(connection.answer()?.status == 204, "not 204");
        connection.send(format!(
            "GET /item/cached-{round} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: *\r\n\r\n"
        ))?;
        ensure!(connection.answer()?.status == 304, "not 304");
        connection.fetch(&format!("/item/full-{round}"))?;
    }
    let recording = tracer.stop()?;
    for round in 0..3 {
        for (target, method, status) in [
            (format!("/item/head-{round}"), "HEAD", 200),
            (format!("/none/{round}"), "GET", 204),
            (format!("/item/cached-{round}"), "GET", 304),
            (format!("/item/full-{round}"), "GET", 200),
        ] {
            let span = the_span(&recording.trace, Kind::Server, &target)?;
            ensure!(
                (span.method(), span.status(), span.outcome()) == (method, Some(status), None),
                "{target}: {} {:?} {:?}",
                span.method(),
                span.status(),
                span.outcome()
            );
        }
    }
    Ok(String::new())
}

fn chunked() -> Result<String> {
    let gunicorn = gunicorn::start(Worker::Threads, &Options::default())?;
    let tracer = Tracer::record(&["--port", &gunicorn.port().to_string()])?;
    let mut connection = Connection::open(gunicorn.port())?;
    for number in 0..5 {
        let answer = connection.fetch(&format!("/chunked/{number}"))?;
        ensure!(answer.body == 5 * "piece 0\n".len() as u64, "{} bytes", answer.body);
        connection.fetch(&format!("/item/{number}"))?;
    }
    let recording = tracer.stop()?;
    for number in 0..5 {
        for target in [format!("/chunked/{number}"), format!("/item/{number}")] {
            let span = the_span(&recording.trace, Kind::Server, &target)?;
            ensure!(span.status() == Some(200) && span.outcome().is_none(), "{target}: {:?}", span.tags);
        }
    }
    Ok(String::new())
}

/// A response without a length ends with the connection: complete, and its status known.
fn ended_by_the_close() -> Result<String> {
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &odd.port().to_string()])?;
    for number in 0..5 {
        let answer = {
            let mut connection = Connection::open(odd.port())?;
            connection.fetch(&format!("/close/{number}"))?
        };
        ensure!(answer.body == "until the end\n".len() as u64, "{} bytes", answer.body);
    }
    let recording = tracer.stop()?;
    for number in 0..5 {
        let span = the_span(&recording.trace, Kind::Server, &format!("/close/{number}"))?;
        ensure!(span.status() == Some(200) && span.outcome().is_none(), "{:?}", span.tags);
    }
    Ok(String::new())
}

/// One connection per request, many times: the real status each time, and both sides joined.
fn connection_close_per_request() -> Result<String> {
    let requests = pace::count(2000);
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    load::hey(&nginx.url("/item/closing"), requests, 8, false)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let joined = scenario::check_joined(&recording.trace, "/item/closing")?;
    ensure!(joined == requests as usize, "{joined} server spans for {requests} requests");
    for span in recording.trace.servers("/item/closing") {
        ensure!(span.status() == Some(200), "{:?}", span.tags);
    }
    Ok(String::new())
}

/// curl sends a head with `Expect: 100-continue`, gets an interim response, sends the body, gets the final one: one
/// span, with the final status.
fn upload_after_100_continue(service: &Service) -> Result<String> {
    let body = service.directory().join("upload");
    std::fs::write(&body, vec![b'x'; 3 << 20])?;
    let tracer = Tracer::record(&["--port", &service.port().to_string()])?;
    let said = process::run(
        &Spec::new("curl")?
            .args(["-sS", "-X", "POST", "-H", "Expect: 100-continue"])
            .args(["--expect100-timeout", &pace::limit(Duration::from_secs(5)).as_secs().to_string()])
            .args(["--data-binary", &format!("@{}", body.display()), &service.url("/upload/1")]),
    )?;
    ensure!(said.trim() == (3 << 20).to_string(), "received {said} bytes");
    let recording = tracer.stop()?;
    let span = the_span(&recording.trace, Kind::Server, "/upload/1")?;
    ensure!((span.method(), span.status()) == ("POST", Some(200)), "{:?}", span.tags);
    scenario::check_joined(&recording.trace, "/upload/1")?;
    Ok(String::new())
}

/// nginx hands a file to the kernel, which sends it while the client reads slowly. The server's span ends with the last
/// byte sent, the client's with the last byte read.
fn big_file_by_sendfile_read_slowly() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    nginx::add_big_file(&nginx)?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut connection = Connection::open(nginx.port())?;
    let start = Instant::now();
    connection.get("/big.bin")?;
    let mut next_pause = 1 << 20;
    let answer = connection.answer_slowly(|read| {
        if read >= next_pause {
            next_pause = read + (1 << 20);
            thread::sleep(Duration::from_millis(10));
        }
    })?;
    let client_ms = (answer.last - start).as_secs_f64() * 1e3;
    ensure!(answer.body == nginx::BIG, "{} bytes", answer.body);
    // The next one on the same connection must not be taken for a part of the file.
    connection.fetch("/item/after")?;
    let log = nginx.log_at_least("/big.bin", 1)?;
    let recording = tracer.stop()?;
    let server = the_span(&recording.trace, Kind::Server, "/big.bin")?;
    let client = the_span(&recording.trace, Kind::Client, "/big.bin")?;
    the_span(&recording.trace, Kind::Server, "/item/after")?;
    let log_ms = log.first().map_or(0.0, |line| line.duration_ms);
    let said = format!(
        "client {client_ms:.1} ms, its span {:.1}; nginx {log_ms} ms, its span {:.1}",
        client.duration_ms, server.duration_ms
    );
    ensure!(client_ms > 1000.0, "the client was not slow: {said}");
    ensure!((client.duration_ms - client_ms).abs() <= client_ms * 0.05, "{said}");
    ensure!((server.duration_ms - log_ms).abs() <= (log_ms * 0.05).max(2.0), "{said}");
    ensure!(server.outcome().is_none() && client.outcome().is_none(), "{:?} {:?}", server.tags, client.tags);
    Ok(said)
}
