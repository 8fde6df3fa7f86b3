//! Bytes that are no HTTP, or too much of it: no span is made up, no panic, and honest requests beside them are traced.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::scenario::{list, the_span};
use tracer_tests::services::{Options, nginx, odd};
use tracer_tests::span::Kind;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("garbage_on_the_port", garbage_on_the_port),
            test("a_mebibyte_of_headers", a_mebibyte_of_headers),
            test("a_response_nobody_asked_for", a_response_nobody_asked_for),
            test("a_response_that_is_noise", a_response_that_is_noise),
        ],
    )
}

/// Reproducible bytes of every value (a linear congruential generator).
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(length)
    .collect()
}

fn check_unshaken(recording: &Recording) -> Result<()> {
    ensure!(!recording.said.contains("panic"), "the tracer panicked:\n{}", recording.said);
    Ok(())
}

fn garbage_on_the_port() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    let mut starts: Vec<Vec<u8>> = (0..40).map(|seed| noise(seed, 1 + 97 * seed as usize)).collect();
    starts.extend([
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), // a TLS ClientHello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),             // HTTP/2
        b"GET ".to_vec(),
        b"GET /half HTTP/1.1\r\nHost".to_vec(),
        b"\r\n\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec(),
        b"POST /item/huge HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        [b"GET /\x00\xff\xfe".as_slice(), &noise(7, 300), b" HTTP/1.1\r\n\r\n"].concat(),
    ]);
    for (number, bytes) in starts.iter().enumerate() {
        let mut connection = Connection::open(nginx.port())?;
        connection.send(bytes)?;
        // nginx answers 400 to most of it, and waits for more of the rest.
        drop(connection);
        Connection::open(nginx.port())?.fetch(&format!("/item/honest-{number}"))?;
    }
    let recording = tracer.stop()?;
    check_unshaken(&recording)?;
    for number in 0..starts.len() {
        the_span(&recording.trace, Kind::Server, &format!("/item/honest-{number}"))?;
    }
    Ok(format!("{} kinds", starts.len()))
}

fn a_mebibyte_of_headers() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string(), "--port", &odd.port().to_string()])?;
    let mut request = b"GET /item/fat HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    for number in 0..1040 {
        request.extend_from_slice(format!("X-Field-{number:04}: {}\r\n", "v".repeat(1006)).as_bytes());
    }
    request.extend_from_slice(b"\r\n");
    ensure!(request.len() > 1 << 20, "only {} bytes", request.len());

    // nginx refuses and may close before it has read everything: then the rest cannot be sent.
    let mut refused = Connection::open(nginx.port())?;
    let _cut_short = refused.send(&request);
    // This one reads it all, answers, and is asked again on the same connection.
    let mut accepted = Connection::open(odd.port())?;
    accepted.send(&request)?;
    ensure!(accepted.answer()?.status == 200, "the fat request was refused");
    accepted.fetch("/item/thin")?;

    let recording = tracer.stop()?;
    check_unshaken(&recording)?;
    let fat: Vec<_> = recording.trace.servers("/item/fat");
    ensure!(
        fat.iter().any(|span| span.status() == Some(200)),
        "the fat request has no span with 200: {}",
        list(&recording.trace)
    );
    the_span(&recording.trace, Kind::Server, "/item/thin")?;
    Ok(String::new())
}

/// The second response belongs to no request: it makes no span and does not shift those after it.
fn a_response_nobody_asked_for() -> Result<String> {
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &odd.port().to_string()])?;
    let mut connection = Connection::open(odd.port())?;
    connection.fetch("/unasked/1")?;
    ensure!(connection.answer()?.status == 200, "there was no second response");
    for number in 0..5 {
        connection.fetch(&format!("/item/after-{number}"))?;
    }
    let recording = tracer.stop()?;
    check_unshaken(&recording)?;
    the_span(&recording.trace, Kind::Server, "/unasked/1")?;
    for number in 0..5 {
        the_span(&recording.trace, Kind::Server, &format!("/item/after-{number}"))?;
    }
    let servers = recording.trace.servers("/").len();
    ensure!(servers == 6, "{servers} server spans for 6 requests: {}", list(&recording.trace));
    Ok(String::new())
}

/// The request is a span; what came back was no response, so it has no status.
fn a_response_that_is_noise() -> Result<String> {
    let odd = odd::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &odd.port().to_string()])?;
    let mut connection = Connection::open(odd.port())?;
    connection.get("/noise/1")?;
    ensure!(connection.answer().is_err(), "noise was understood as an answer");
    Connection::open(odd.port())?.fetch("/item/honest")?;
    let recording = tracer.stop()?;
    check_unshaken(&recording)?;
    let span = the_span(&recording.trace, Kind::Server, "/noise/1")?;
    ensure!(span.status().is_none() && span.outcome().is_some(), "{:?}", span.tags);
    the_span(&recording.trace, Kind::Server, "/item/honest")?;
    Ok(String::new())
}
