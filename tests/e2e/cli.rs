//! The command line: refusals in one sentence, clean ends, and what is left behind (nothing).

use std::io::{BufRead, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf;
use tracer_tests::client::Connection;
use tracer_tests::load::Wrk;
use tracer_tests::pace;
use tracer_tests::paths;
use tracer_tests::process::{Process, Spec};
use tracer_tests::scratch::{Scratch, SmallDisk};
use tracer_tests::services::{Options, nginx};
use tracer_tests::span::Trace;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("nginx"), Need::Command("wrk"), Need::Command("setpriv")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("not_root", not_root),
            test("unknown_pid", unknown_pid),
            test("output_not_writable", output_not_writable),
            test("command_not_found", command_not_found),
            test("disk_full", disk_full),
            test("sigint", || ends_cleanly(libc::SIGINT)),
            test("sigterm", || ends_cleanly(libc::SIGTERM)),
            test("nobody_listens", nobody_listens),
            test("kill_9_leaves_nothing", kill_9_leaves_nothing),
            test("nothing_to_see", nothing_to_see),
            test("show", show),
            test("doctor", doctor),
        ],
    )
}

/// The tracer refuses, in one sentence that has `word` in it.
fn refuses(wrapper: &[&str], args: &[&str], word: &str) -> Result<String> {
    tracer::refuses(wrapper, args, &[word])
}

fn not_root() -> Result<String> {
    let scratch = Scratch::new()?;
    let binary = tracer::open_to_all(&scratch)?;
    let output = scratch.join("traces.json");
    let spec = Spec::new(&binary)?
        .args(["record", "-d", "1s", "-o", &output.to_string_lossy()])
        .as_nobody()
        .in_directory(scratch.path());
    let result = spec.command().output()?;
    let said = String::from_utf8_lossy(&result.stderr).trim().to_owned();
    ensure!(!result.status.success(), "it ended with 0 and said:\n{said}");
    ensure!(said.contains("root") || said.contains("sudo") || said.contains("CAP_"), "what to do?\n{said}");
    ensure!(said.lines().count() <= 3 && !said.contains("panicked"), "more than a sentence:\n{said}");
    Ok(said)
}

fn unknown_pid() -> Result<String> {
    // Beyond the largest id the kernel gives out (PID_MAX_LIMIT is 2^22).
    refuses(&[], &["record", "--pid", "4194400", "-d", "1s", "-o", "/dev/null"], "4194400")
}

fn output_not_writable() -> Result<String> {
    refuses(
        &[],
        &["record", "-d", "1s", "-o", "/proc/no-such-directory/traces.json"],
        "/proc/no-such-directory",
    )
}

fn command_not_found() -> Result<String> {
    let scratch = Scratch::new()?;
    let output = scratch.join("traces.json");
    refuses(
        &[],
        &["record", "-o", &output.to_string_lossy(), "--", "/no/such/command", "--flag"],
        "/no/such/command",
    )
}

/// More spans than the disk holds: the file is valid JSON all the same, and the tracer says what happened.
fn disk_full() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let disk = SmallDisk::new(64)?;
    let output = disk.path().join("traces.json");
    let mut tracer = Tracer::start(&["--port", &nginx.port().to_string()], Scratch::new()?, output.clone())?;
    tracer.wait_for("tracing ", pace::limit(Duration::from_secs(20)))?;
    Wrk::new(nginx.port(), "/item/", 8).run()?;
    tracer.signal(libc::SIGINT)?;
    let end = tracer.end(pace::limit(Duration::from_secs(60)))?;
    ensure!(!end.said.contains("panicked"), "it panicked:\n{}", end.said);
    let said = end.said.to_lowercase();
    ensure!(said.contains("space") || said.contains("full"), "it does not say so:\n{}", end.said);
    ensure!(
        end.status.code() == Some(1),
        "not all that was asked for is there, and it ended with {}",
        end.status
    );
    let size = std::fs::metadata(&output)?.len();
    ensure!(size > 0, "nothing at all was kept");
    let trace = Trace::read(&output)?;
    Ok(format!("{} spans in {size} bytes; exit {:?}", trace.spans.len(), end.status.code()))
}

/// Stopped by a signal: output written, summary printed, detached soon, exit code 0, no probe left.
fn ends_cleanly(signal: i32) -> Result<String> {
    let before = bpf::programs()?;
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    ensure!(bpf::programs()?.difference(&before).count() > 0, "no BPF program is loaded while tracing");
    Connection::open(nginx.port())?.fetch("/item/1")?;
    let recording = tracer.stop_with(signal)?;
    ensure!(recording.trace.servers("/item/1").len() == 1, "the request is not there");
    let line = recording.said.lines().find(|line| line.contains("detached in "));
    let line = line.map(str::trim).unwrap_or_default().to_owned();
    ensure!(!line.is_empty(), "it does not say how long detaching took:\n{}", recording.said);
    ensure!(
        recording.stopping < pace::limit(Duration::from_secs(3)),
        "stopping took {:?}",
        recording.stopping
    );
    bpf::wait_until_gone(&before, pace::limit(Duration::from_secs(2)))?;
    Ok(line)
}

/// Whoever started it has gone, as when the connection to the host breaks: it is told to hang up, and cannot say anything. What was recorded
/// is there, and it ends as usual.
fn nobody_listens() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let output = scratch.join("traces.json");
    let mut command = Spec::new(paths::tracer_binary()?)?
        .args(["record", "--port", &nginx.port().to_string(), "-o", &output.to_string_lossy()])
        .command();
    let mut child = command.stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(child.stderr.take().context("its words go into a pipe")?);
    let mut tracer = Process::adopt("tracer", child);
    let mut line = String::new();
    while !line.starts_with("tracing ") {
        line.clear();
        ensure!(said.read_line(&mut line)? > 0, "it ended before it began");
    }
    drop(said);
    Connection::open(nginx.port())?.fetch("/item/1")?;
    tracer.signal(libc::SIGHUP)?;
    let status = tracer.wait(pace::limit(Duration::from_secs(10)))?;
    ensure!(status.success(), "{status}");
    ensure!(Trace::read(&output)?.servers("/item/1").len() == 1, "the request is not there");
    Ok(String::new())
}

fn kill_9_leaves_nothing() -> Result<String> {
    let before = bpf::programs()?;
    let nginx = nginx::start(&Options::default())?;
    let mut tracer = Tracer::record(&[])?;
    let loaded = bpf::programs()?.difference(&before).count();
    ensure!(loaded > 0, "no BPF program is loaded while tracing");
    Connection::open(nginx.port())?.fetch("/item/1")?;
    tracer.signal(libc::SIGKILL)?;
    tracer.end(pace::limit(Duration::from_secs(5)))?;
    bpf::wait_until_gone(&before, pace::limit(Duration::from_secs(5)))?;
    // The service did not notice.
    Connection::open(nginx.port())?.fetch("/item/2")?;
    Ok(format!("{loaded} programs were loaded, none is left"))
}

/// No request at all: an empty array, exit code 0.
fn nothing_to_see() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let recording = Tracer::record(&["--port", &nginx.port().to_string(), "-d", "1s"])?.finish()?;
    ensure!(recording.trace.spans.is_empty(), "spans without requests");
    Ok(String::new())
}

fn show() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string()])?;
    for number in 0..5 {
        Connection::open(nginx.port())?.fetch(&format!("/item/shown-{number}"))?;
    }
    let recording = tracer.stop()?;
    let output = recording.output.to_string_lossy().into_owned();
    let (status, shown, said) = tracer::run(&[], &["show", &output, "--slowest", "2"])?;
    ensure!(status.success(), "show ended with {status}: {said}");
    let traces = shown.lines().filter(|line| line.starts_with("trace ")).count();
    ensure!(traces == 2, "{traces} of the traces are shown, 2 were asked for:\n{shown}");
    ensure!(shown.contains("GET /item/"), "no operation is named:\n{shown}");
    refuses(&[], &["show", "/no/such/traces.json"], "/no/such/traces.json")?;
    Ok(String::new())
}

fn doctor() -> Result<String> {
    let (status, shown, said) = tracer::run(&[], &["doctor"])?;
    ensure!(status.success(), "doctor ended with {status}, although this kernel is traced here: {said}");
    for word in ["BTF", "kernel"] {
        ensure!(shown.to_lowercase().contains(&word.to_lowercase()), "nothing about {word}:\n{shown}");
    }
    Ok(String::new())
}
