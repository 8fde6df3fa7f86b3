//! The capture file: the same traces as live, whatever ends the recording, within the bounds that were set.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf;
use tracer_tests::client::Connection;
use tracer_tests::load::{self, Wrk};
use tracer_tests::pace;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::{Scratch, SmallDisk};
use tracer_tests::services::{Options, gunicorn, nginx};
use tracer_tests::span::Trace;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, ALONE, Tracer};

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("nginx"), Need::Command("gunicorn"), Need::Command("wrk")];

/// The exit code of `analyze` for a capture that is damaged or cut off.
const DAMAGED: i32 = 2;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("byte_identical", byte_identical),
            test("a_capture_alone", a_capture_alone),
            test("anywhere_without_root", anywhere_without_root),
            test("killed", killed),
            test("disk_full", disk_full),
            test("sigint", || ends_whole(Some(libc::SIGINT))),
            test("sigterm", || ends_whole(Some(libc::SIGTERM))),
            test("sighup", || ends_whole(Some(libc::SIGHUP))),
            test("duration", || ends_whole(None)),
            test("a_second_sigint_quits_at_once", a_second_sigint_quits_at_once),
            test("max_size_of_a_capture", max_size_of_a_capture),
            test("max_size_of_traces", max_size_of_traces),
            test("max_memory", max_memory),
        ],
    )
}

/// `tracer analyze`: exit code and what it said.
fn analyze(capture: &Path, output: &Path) -> Result<(Option<i32>, String)> {
    let (capture, output) = (capture.to_string_lossy(), output.to_string_lossy());
    let (status, _, said) = tracer::run(&[], &["analyze", &capture, "-o", &output])?;
    ensure!(!said.contains("panicked"), "analyze panicked:\n{said}");
    Ok((status.code(), said))
}

/// Fails if `analyze` of a whole capture does not give what the live run gave, to the byte. Returns the capture's size.
fn check_same(capture: &Path, live: &Path) -> Result<u64> {
    let offline = live.with_extension("offline.json");
    let (code, said) = analyze(capture, &offline)?;
    ensure!(code == Some(0), "analyze ended with {code:?}:\n{said}");
    let (live, offline) = (std::fs::read(live)?, std::fs::read(&offline)?);
    ensure!(!offline.is_empty(), "no traces");
    ensure!(live == offline, "live gave {} bytes, analyze {}, and they differ", live.len(), offline.len());
    Ok(std::fs::metadata(capture)?.len())
}

/// A chain of services under load, short-lived processes, and connections that are cut.
fn byte_identical() -> Result<String> {
    let api = gunicorn::start(gunicorn::Worker::Threads, &Options::default())?;
    let nginx = nginx::start(&Options::default().calling(&api))?;
    let scratch = Scratch::new()?;
    let capture = scratch.join("both.tcap");
    let tracer = Tracer::record(&["-o", &capture.to_string_lossy()])?;
    Wrk::new(nginx.port(), "/front?truth=", 8).run()?;
    Wrk::new(nginx.port(), "/item/", 16).abrupt().run()?;
    for number in 0..20 {
        let url = nginx.url(&format!("/item/short-{number}?token=x"));
        process::run(&Spec::new("curl")?.args(["-s", "-o", "/dev/null", &url]))?;
    }
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let bytes = check_same(&capture, &recording.output)?;
    let spans = recording.trace.spans.len();
    ensure!(spans > 500, "only {spans} spans");
    Ok(format!("{spans} spans, {bytes} bytes: {:.0} per span", bytes as f64 / spans as f64))
}

/// `record -o FILE.tcap` and nothing else: no traces.json appears, and the analysis finds every request.
fn a_capture_alone() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let spec = Spec::new(tracer_tests::paths::tracer_binary()?)?
        .args(["record", "-d", "3s", "-o", "alone.tcap", "--port", &nginx.port().to_string()])
        .in_directory(scratch.path());
    let mut child = spec.command().stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines();
    let mut said = lines.by_ref().map_while(Result::ok);
    ensure!(said.any(|line| line.starts_with("tracing ")), "it does not begin");
    for number in 0..30 {
        Connection::open(nginx.port())?.fetch(&format!("/item/{number}"))?;
    }
    let said: Vec<String> = said.collect();
    let status = child.wait()?;
    ensure!(status.success(), "it ended with {status}:\n{}", said.join("\n"));
    let said = said.join("\n");
    ensure!(said.contains("60 requests captured"), "each request is captured at both ends:\n{said}");
    ensure!(
        !scratch.join("traces.json").exists(),
        "traces.json was written although only a capture was asked for"
    );
    let output = scratch.join("later.json");
    let (code, said) = analyze(&scratch.join("alone.tcap"), &output)?;
    ensure!(code == Some(0), "{code:?}:\n{said}");
    let found = Trace::read(&output)?.servers("/item/").len();
    ensure!(found == 30, "{found} of 30 requests");
    // What the recording counted is told again.
    ensure!(said.contains("60 requests: 60 answered"), "no account:\n{said}");
    Ok(String::new())
}

/// In a root directory with nothing but the tracer and the capture, as a user without rights.
fn anywhere_without_root() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let root = Scratch::new()?;
    let capture = root.join("c.tcap");
    let tracer = Tracer::record(&["-o", &capture.to_string_lossy(), "--port", &nginx.port().to_string()])?;
    Connection::open(nginx.port())?.fetch("/item/1")?;
    let recording = tracer.stop()?;
    tracer::alone(root.path(), &[])?;
    process::run(&Spec::new("chmod")?.args(["a+r", &capture.to_string_lossy()]))?;
    // Any user id will do.
    let spec = Spec::new("chroot")?.args(["--userspec=64999:64999", &root.path().to_string_lossy(), ALONE]);
    process::run(&spec.args(["analyze", "/c.tcap", "-o", "/offline.json"]))?;
    let offline = std::fs::read(root.join("offline.json"))?;
    ensure!(offline == std::fs::read(&recording.output)?, "it gave other traces than the live run");
    Ok(String::new())
}

/// `kill -9` under load: what is there reaches to a second before the end, and what is missing is told.
fn killed() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let capture = scratch.join("killed.tcap");
    let mut oldest = Duration::ZERO;
    // At different moments between two frames.
    for wait in [1_100, 1_350, 1_700] {
        let port = nginx.port().to_string();
        let mut tracer = Tracer::record(&["-o", &capture.to_string_lossy(), "--port", &port])?;
        let begun = Instant::now();
        let mut connection = Connection::open(nginx.port())?;
        while begun.elapsed() < Duration::from_millis(wait) {
            connection.fetch("/item/killed")?;
        }
        let last = load::now_ns();
        tracer.signal(libc::SIGKILL)?;
        tracer.end(pace::limit(Duration::from_secs(5)))?;
        let output = scratch.join("killed.json");
        let (code, said) = analyze(&capture, &output)?;
        ensure!(code == Some(DAMAGED), "analyze ended with {code:?}:\n{said}");
        ensure!(
            said.contains("tail is missing") && said.contains("killed.tcap"),
            "it does not say so:\n{said}"
        );
        let trace = Trace::read(&output)?;
        let spans = trace.servers("/item/killed");
        let newest = spans.iter().map(|span| span.end_ns()).max();
        let age = Duration::from_nanos(last.saturating_sub(newest.context("no span at all")?));
        ensure!(age < pace::limit(Duration::from_secs(1)), "the newest span is {age:?} old");
        oldest = oldest.max(age);
    }
    Ok(format!("at most {} ms are missing", oldest.as_millis()))
}

/// The recording stops by itself, says why, keeps what was written, and leaves no probe.
fn disk_full() -> Result<String> {
    let before = bpf::programs()?;
    let nginx = nginx::start(&Options::default())?;
    let disk = SmallDisk::new(512)?;
    let capture = disk.path().join("full.tcap");
    let mut tracer =
        Tracer::record(&["-o", &capture.to_string_lossy(), "--port", &nginx.port().to_string()])?;
    Wrk::new(nginx.port(), "/item/", 8).run()?;
    // Nobody tells it to.
    let end = tracer.end(pace::limit(Duration::from_secs(10)))?;
    let last = end.said.lines().last().unwrap_or_default().to_owned();
    ensure!(end.status.code() == Some(1) && !end.said.contains("panicked"), "{}:\n{}", end.status, end.said);
    ensure!(
        last.contains("space") && last.contains("analysed"),
        "the last line does not say so:\n{}",
        end.said
    );
    bpf::wait_until_gone(&before, pace::limit(Duration::from_secs(2)))?;
    let output = nginx.directory().join("full.json");
    let (code, said) = analyze(&capture, &output)?;
    ensure!(code == Some(DAMAGED) && said.contains("tail is missing"), "{code:?}:\n{said}");
    let kept = Trace::read(&output)?.servers("/item/").len();
    ensure!(kept > 50, "only {kept} spans were kept");
    Ok(format!("{kept} server spans in half a MiB"))
}

/// Every orderly end writes everything.
fn ends_whole(signal: Option<i32>) -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let capture = scratch.join("whole.tcap");
    let port = nginx.port().to_string();
    let mut args = vec!["-o", capture.to_str().context("path")?, "--port", &port];
    if signal.is_none() {
        args.extend(["-d", "2s"]);
    }
    let tracer = Tracer::record(&args)?;
    for number in 0..40 {
        Connection::open(nginx.port())?.fetch(&format!("/item/{number}"))?;
    }
    // Exit code 0 is checked in there.
    let recording = match signal {
        Some(signal) => tracer.stop_with(signal)?,
        None => tracer.finish()?,
    };
    ensure!(recording.trace.servers("/item/").len() == 40, "not every request is there");
    check_same(&capture, &recording.output)?;
    Ok(String::new())
}

/// An output that nobody reads holds the end up: the second SIGINT does not wait for it.
fn a_second_sigint_quits_at_once() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let pipe = scratch.join("pipe");
    process::run(&Spec::new("mkfifo")?.arg(pipe.to_string_lossy()))?;
    // Opened for both, so that opening waits for nobody; never read.
    let _held = std::fs::OpenOptions::new().read(true).write(true).open(&pipe)?;
    let mut tracer = Tracer::start(&["--port", &nginx.port().to_string()], scratch, pipe)?;
    tracer.wait_for("tracing ", pace::limit(Duration::from_secs(20)))?;
    Wrk::new(nginx.port(), "/item/", 8).run()?;
    tracer.signal(libc::SIGINT)?;
    thread::sleep(Duration::from_millis(500));
    tracer.signal(libc::SIGINT)?;
    let begun = Instant::now();
    let end = tracer.end(pace::limit(Duration::from_secs(2)))?;
    ensure!(end.status.code() == Some(130), "it ended with {}:\n{}", end.status, end.said);
    Ok(format!("gone after {} ms", begun.elapsed().as_millis()))
}

/// It ends by itself when traces.json has the size that it may have. What did not fit any more is counted.
fn max_size_of_traces() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let mut tracer = Tracer::record(&["--port", &nginx.port().to_string(), "--max-size", "1"])?;
    let deadline = Instant::now() + pace::limit(Duration::from_secs(30));
    while tracer.is_running()? {
        ensure!(Instant::now() < deadline, "it does not end: {}", tracer.said());
        load::saturate(&nginx.url("/fast"), 8, 1)?;
    }
    let recording = tracer.finish()?;
    ensure!(recording.said.contains("--max-size"), "it does not say why it ended:\n{}", recording.said);
    let ended = recording.ledger.value().get("ended").and_then(|ended| ended.as_str());
    ensure!(ended == Some("file full"), "the ledger says {ended:?}");
    let bytes = std::fs::metadata(&recording.output)?.len();
    // The span that reaches it is whole.
    ensure!((1 << 20..(1 << 20) + 4096).contains(&bytes), "traces.json has {bytes} bytes");
    let (all, unwritten) = (recording.ledger.count("spans")?, recording.ledger.count("spans_unwritten")?);
    let written = recording.trace.spans.len() as u64;
    ensure!(written + unwritten == all, "{written} spans were written, {unwritten} not, of {all}");
    Ok(format!("{written} of {all} spans"))
}

/// The same with a capture, which is whole.
fn max_size_of_a_capture() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let capture = scratch.join("sized.tcap");
    let spec = Spec::new(tracer_tests::paths::tracer_binary()?)?
        .args(["record", "-d", "30s", "--max-size", "1", "-o", &capture.to_string_lossy()])
        .args(["--port", &nginx.port().to_string()]);
    let mut child = spec.command().stderr(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(child.stderr.take().context("no stderr")?).lines().map_while(Result::ok);
    ensure!(lines.any(|line| line.starts_with("tracing ")), "it does not begin");
    let begun = Instant::now();
    while child.try_wait()?.is_none() {
        load::saturate(&nginx.url("/fast"), 8, 1)?;
    }
    ensure!(child.wait()?.success(), "it ended with an error");
    ensure!(begun.elapsed() < pace::limit(Duration::from_secs(25)), "it ended when its time was over");
    let said = lines.collect::<Vec<_>>().join("\n");
    ensure!(said.contains("--max-size"), "it does not say why it ended:\n{said}");
    let bytes = std::fs::metadata(&capture)?.len();
    // What a tick brings, and what is open at the end, is written all the same.
    ensure!((1 << 20..3 << 20).contains(&bytes), "the capture has {bytes} bytes");
    let (code, said) = analyze(&capture, &scratch.join("sized.json"))?;
    ensure!(code == Some(0), "analyze ended with {code:?}:\n{said}");
    Ok(format!("{bytes} bytes"))
}

/// Requests that are never answered must be kept until the end. There are too many of them for what is allowed.
fn max_memory() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let mut tracer = Tracer::record(&["--max-memory", "128", "--port", &port.to_string()])?;
    let path = format!("/{}", "long".repeat(480));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut clients = Vec::new();
    let deadline = Instant::now() + pace::limit(Duration::from_secs(40));
    while tracer.is_running()? {
        ensure!(Instant::now() < deadline, "it does not end after {} connections", clients.len());
        // Accepted by the kernel, never read.
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        client.set_nonblocking(true)?;
        for _ in 0..900 {
            if client.write(request.as_bytes()).is_err() {
                break;
            }
        }
        clients.push((client, listener.accept()?));
        // At a rate that the ring holds.
        thread::sleep(Duration::from_millis(20));
    }
    let recording = tracer.finish()?;
    ensure!(recording.said.contains("--max-memory"), "it does not say why it ended:\n{}", recording.said);
    let ended = recording.ledger.value().get("ended").and_then(|ended| ended.as_str());
    ensure!(ended == Some("memory full"), "the ledger says {ended:?}");
    let peak = recording.ledger.count("tracer_peak_rss_bytes")?;
    // It is weighed between two drains, and the end takes some.
    ensure!(peak < 160 << 20, "{peak} bytes");
    Ok(format!("{} connections, {} MiB at most", clients.len(), peak >> 20))
}
