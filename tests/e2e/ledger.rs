//! The account of a run closes: every byte, connection and request is in it once, also when records are lost.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::load::Wrk;
use tracer_tests::services::{Options, gunicorn, nginx};
use tracer_tests::span::{Kind, Span};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Ledger, Recording, Tracer};

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("nginx"), Need::Command("gunicorn"), Need::Command("wrk")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("to_the_byte", to_the_byte),
            test("what_is_read_after_the_end", what_is_read_after_the_end),
            test("under_load", under_load),
            test("with_a_tiny_ring", with_a_tiny_ring),
            test("what_it_costs_is_told", what_it_costs_is_told),
        ],
    )
}

/// Every sum, from the single counters.
fn check_sums(ledger: &Ledger) -> Result<()> {
    let sum = |names: &[&str]| names.iter().map(|name| ledger.count(name)).sum::<Result<u64>>();
    let skipped =
        ledger.value().get("bytes_skipped").and_then(Value::as_object).context("no skipped bytes")?;
    let skipped: u64 = skipped.values().filter_map(Value::as_u64).sum();
    let text = ledger.value();
    let bytes = sum(&["bytes_parsed", "bytes_pending"])? + skipped;
    ensure!(ledger.count("bytes_seen")? == bytes, "bytes: {text}");
    let kinds = ["understood", "encrypted", "http2", "excluded", "unknown", "silent"];
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("connections_{kind}")).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    ensure!(ledger.count("connections")? == sum(&kinds)?, "connections: {text}");
    let ends = ["requests_paired", "requests_unanswered", "requests_pending", "requests_response_unseen"];
    ensure!(ledger.count("requests")? == sum(&ends)?, "requests: {text}");
    ensure!(ledger.count("spans")? == sum(&["server_spans", "client_spans"])?, "spans: {text}");
    let calls = ["linked", "calls_undecided", "calls_ownerless"];
    ensure!(ledger.count("client_spans")? == sum(&calls)?, "calls: {text}");
    ensure!(text.get("sums_close") == Some(&Value::Bool(true)), "it says itself that they do not: {text}");
    Ok(())
}

/// A port that takes whatever comes, until nothing comes for a moment, answers with `answer`, and closes.
fn sink(answer: &'static [u8]) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _set = stream.set_read_timeout(Some(Duration::from_millis(100)));
            let mut taken = Vec::new();
            let _timeout = stream.read_to_end(&mut taken);
            let _sent = stream.write_all(answer);
        }
    });
    Ok(port)
}

/// Sends all of it, reads until the other end closes, and returns how many bytes moved.
fn exchange(port: u16, bytes: &[u8]) -> Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok((bytes.len() + answer.len()) as u64)
}

/// A client that reads its answer when TCP is done with the connection already.
#[derive(Clone, Copy, Debug)]
enum Late {
    /// It has shut down its sending side before the server answered and closed.
    HalfClosed,
    /// The server has reset the connection behind its answer.
    Reset,
    /// As the first, and it never reads the answer.
    Unread,
}

impl Late {
    fn target(self) -> &'static str {
        match self {
            Self::HalfClosed => "/half-closed",
            Self::Reset => "/reset",
            Self::Unread => "/unread",
        }
    }
}

/// One request and its answer; returns how many bytes moved at both ends.
fn late(how: Late) -> Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    let get = format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", how.target());
    client.write_all(get.as_bytes())?;
    if !matches!(how, Late::Reset) {
        client.shutdown(Shutdown::Write)?;
    }
    let mut asked = vec![0; get.len()];
    server.read_exact(&mut asked)?;
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    server.write_all(answer)?;
    if matches!(how, Late::Reset) {
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let size = size_of_val(&linger) as libc::socklen_t;
        // SAFETY: a structure of that size, which outlives the call.
        let set = unsafe {
            let (fd, option) = (server.as_raw_fd(), (&raw const linger).cast());
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, option, size)
        };
        ensure!(set == 0, "cannot ask for a reset");
    }
    drop(server);
    let mut poll = libc::pollfd { fd: client.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one element, which outlives the call.
    let hung_up = unsafe { libc::poll(&raw mut poll, 1, 5_000) };
    ensure!(hung_up == 1 && poll.revents & libc::POLLHUP != 0, "{how:?}: the connection goes on");
    let sent = get.len() + answer.len();
    if matches!(how, Late::Unread) {
        return Ok((sent + get.len()) as u64);
    }
    let mut answered = vec![0; answer.len()];
    client.read_exact(&mut answered)?;
    ensure!(answered == answer, "{how:?}: another answer");
    Ok(2 * sent as u64)
}

/// The exchange is whole at both ends as far as it was read, and no byte is missing.
fn what_is_read_after_the_end() -> Result<String> {
    let tracer = Tracer::record(&["--pid", &std::process::id().to_string()])?;
    let mut bytes = 0;
    for _ in 0..20 {
        for how in [Late::HalfClosed, Late::Reset, Late::Unread] {
            bytes += late(how)?;
        }
    }
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let ledger = &recording.ledger;
    check_sums(ledger)?;
    for name in ["bytes_untracked", "responses_without_request", "connections_silent"] {
        ensure!(ledger.count(name)? == 0, "{name}: {}", ledger.value());
    }
    ensure!(ledger.count("bytes_seen")? == bytes, "{bytes} bytes moved: {}", ledger.value());
    ensure!(ledger.count("connections")? == 120, "60 connections have two ends each: {}", ledger.value());
    let trace = &recording.trace;
    for (target, answered) in [("/half-closed", true), ("/reset", true), ("/unread", false)] {
        let (clients, servers) = (trace.clients(target), trace.servers(target));
        ensure!((clients.len(), servers.len()) == (20, 20), "{target}: {clients:?}, {servers:?}");
        for span in servers.iter().chain(&clients) {
            let status = (answered || span.kind == Kind::Server).then_some(200);
            ensure!(span.status() == status, "{span:?}");
        }
    }
    Ok(format!("{bytes} bytes"))
}

/// What the test's own sockets moved is what the ledger has seen, at both ends; and each kind is where it belongs.
fn to_the_byte() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let sink = sink(b"some bytes that are no answer")?;
    let ports = [nginx.port().to_string(), sink.to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let (mut http, mut tls, mut http2, mut unknown) = (0, 0, 0, 0);
    for number in 0..50 {
        let get = format!("GET /item/{number} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        http += exchange(nginx.port(), get.as_bytes())?;
    }
    for size in [1_000, 20_000, 300_000] {
        let body = "b".repeat(size);
        let post = format!(
            "POST /item/post HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        http += exchange(nginx.port(), post.as_bytes())?;
        unknown += exchange(sink, &vec![0x7f; size])?;
        let hello = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(), &vec![7; size]].concat();
        tls += exchange(sink, &hello)?;
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &vec![0; size]].concat();
        http2 += exchange(sink, &preface)?;
    }
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let ledger = &recording.ledger;
    check_sums(ledger)?;
    let all = http + tls + http2 + unknown;
    let said = |name: &str| ledger.count(name);
    ensure!(said("bytes_seen")? == 2 * all, "{all} bytes moved, at two ends each: {}", ledger.value());
    ensure!(said("bytes_parsed")? == 2 * http, "{http} of them HTTP: {}", ledger.value());
    let skipped = |why: &str| {
        ledger.value().pointer(&format!("/bytes_skipped/{why}")).and_then(Value::as_u64).unwrap_or_default()
    };
    ensure!(skipped("encrypted (TLS)") == 2 * tls, "{tls} of them TLS: {}", ledger.value());
    ensure!(
        skipped("HTTP~12, not understood") == 2 * http2,
        "{http2} of them begin like HTTP/2: {}",
        ledger.value()
    );
    ensure!(skipped("protocol not understood") == 2 * unknown, "{unknown} unknown: {}", ledger.value());
    let classes =
        [("understood", 106), ("encrypted", 6), ("http2", 6), ("unknown", 6)].map(|(class, expected)| {
            let there = said(&format!("connections_{class}"));
            (class, there, expected)
        });
    for (class, there, expected) in classes {
        let there = there?;
        ensure!(there == expected, "{there} connections are {class}, not {expected}: {}", ledger.value());
    }
    Ok(format!("{} bytes", 2 * all))
}

/// Keep-alive and short connections, a proxy, errors, an end in the middle: everything that comes is in a sum.
fn under_load() -> Result<String> {
    let api = gunicorn::start(gunicorn::Worker::Threads, &Options::default())?;
    let nginx = nginx::start(&Options::default().calling(&api))?;
    let tracer = Tracer::record(&[])?;
    Wrk::new(nginx.port(), "/front?truth=", 8).run()?;
    Wrk::new(nginx.port(), "/item/", 64).prefixes(&["/item/", "/missing/"]).abrupt().run()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    check_sums(&recording.ledger)?;
    let told = recording.said.lines().skip_while(|line| !line.starts_with("accounted for")).skip(1).take(3);
    let told: Vec<&str> = told.map(str::trim).collect();
    ensure!(told.len() == 3, "no account is printed:\n{}", recording.said);
    Ok(told.join("; "))
}

/// The tracer stands still while the smallest ring there is runs over. The loss is told, the sums close, and whatever is
/// left is right: no span without a request, none with another's status.
fn with_a_tiny_ring() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let before = nginx.log("/")?.len();
    let tracer = Tracer::record(&["--ring-mib", "1", "--port", &nginx.port().to_string()])?;
    let pid = tracer.pid();
    let stop = thread::spawn(move || {
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(250));
            // SAFETY: the process is the test's own child, which has not been waited for.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGSTOP) };
            thread::sleep(Duration::from_millis(350));
            // SAFETY: likewise.
            unsafe { libc::kill(pid as libc::pid_t, libc::SIGCONT) };
        }
    });
    let load = Wrk::new(nginx.port(), "/item/", 16).prefixes(&["/item/", "/missing/"]);
    for _ in 0..2 {
        load.run()?;
    }
    stop.join().map_err(|_| anyhow::anyhow!("the stopping thread failed"))?;
    let recording = tracer.stop()?;
    let ledger = &recording.ledger;
    let lost = ledger.count("lost_ring_full")?;
    ensure!(lost > 0, "nothing was lost: this test asks nothing");
    ensure!(ledger.count("events_lost")? >= lost, "{}", ledger.value());
    ensure!(recording.said.contains("the kernel's buffer was full"), "not told:\n{}", recording.said);
    check_sums(ledger)?;
    let log = nginx.log("/")?.split_off(before);
    let truth: HashMap<&str, (&str, u16)> =
        log.iter().map(|line| (line.target.as_str(), (line.method.as_str(), line.status))).collect();
    ensure!(truth.len() == log.len(), "the load's targets are not unique");
    let (servers, clients) =
        (check_right(&recording, true, &truth)?, check_right(&recording, false, &truth)?);
    ensure!(servers < log.len(), "records were lost and yet no request is missing");
    Ok(format!("{lost} records lost; of {} requests {servers} server and {clients} client spans", log.len()))
}

/// Returns how many spans there are of that side.
fn check_right(recording: &Recording, server: bool, truth: &HashMap<&str, (&str, u16)>) -> Result<usize> {
    let trace = &recording.trace;
    let spans: Vec<&Span> = if server { trace.servers("/") } else { trace.clients("/") };
    let mut seen = HashMap::new();
    for span in &spans {
        let (method, status) =
            truth.get(span.target()).with_context(|| format!("nobody asked for {}", span.target()))?;
        ensure!(span.method() == *method, "{} was {method}, not {}", span.target(), span.method());
        match span.status() {
            Some(told) => ensure!(told == *status, "{} was answered {status}, not {told}", span.target()),
            None => ensure!(span.outcome().is_some(), "{} has no status and no reason", span.target()),
        }
        let times = seen.entry(span.target()).or_insert(0);
        *times += 1;
        ensure!(*times == 1, "{} has two spans of one side", span.target());
    }
    Ok(spans.len())
}

/// Time and memory of the tracer, and the probes' time in the kernel.
fn what_it_costs_is_told() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    for _ in 0..2 {
        Wrk::new(nginx.port(), "/item/", 8).run()?;
    }
    let recording = tracer.stop()?;
    let said = |name: &str| recording.ledger.count(name);
    ensure!(said("tracer_cpu_ms")? > 0, "{}", recording.ledger.value());
    let peak = said("tracer_peak_rss_bytes")?;
    ensure!((8 << 20..256 << 20).contains(&peak), "{peak} bytes");
    let (runs, micros, window) =
        (said("probes_runs")?, said("probes_run_micros")?, said("probes_measured_ms")?);
    ensure!(runs > 0 && micros > 0 && window >= 100, "{}", recording.ledger.value());
    // A tenth of the time, and what the clockwork of 50 ms adds.
    let observed = said("observed_ms")?;
    ensure!(window * 3 < observed, "measured for {window} of {observed} ms");
    let each = micros as f64 * 1_000.0 / runs as f64;
    ensure!((20.0..100_000.0).contains(&each), "{each} ns a run");
    ensure!(said("events_captured")? > 0, "{}", recording.ledger.value());
    Ok(format!("{each:.0} ns a run, {runs} runs in {window} ms"))
}
