//! Whom the tracer watches, and from when: open connections, children, commands, processes that come and go.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::pace;
use tracer_tests::process::{self, Spec};
use tracer_tests::scenario::{self, list, the_span};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, Service, golang, java, nginx, node};
use tracer_tests::span::Kind;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("curl")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("late_nginx", || late(nginx::start(&Options::default())?)),
            test("late_gunicorn", || late(gunicorn::start(Worker::Threads, &Options::default())?))
                .needing(&[Need::Command("gunicorn")]),
            test("late_node", || late(node::start(&Options::default())?)).needing(&[Need::Command("node")]),
            test("late_java", || late(java::start(&Options::default())?)).needing(&[Need::Command("javac")]),
            test("late_go", || late(golang::start(&Options::default())?)).needing(&[Need::Go]),
            test("late_pool_behind_a_proxy", late_pool_behind_a_proxy).needing(&[Need::Command("node")]),
            test("short_lived_clients", short_lived_clients),
            test("command", command),
            test("children_of_a_pid", children_of_a_pid),
            test("executable", executable),
            test("target_that_exits", target_that_exits),
            test("duration", duration),
        ],
    )
}

/// Connections that were open, and had been used, before the tracer started.
fn late(service: Service) -> Result<String> {
    // Fewer than gunicorn has threads.
    let mut connections = (0..6).map(|_| Connection::open(service.port())).collect::<Result<Vec<_>>>()?;
    for connection in &mut connections {
        connection.fetch("/item/early")?;
    }
    let tracer = Tracer::record(&["--port", &service.port().to_string()])?;
    for round in 0..20 {
        for (number, connection) in connections.iter_mut().enumerate() {
            connection.fetch(&format!("/item/late-{number}-{round}"))?;
        }
    }
    let recording = tracer.stop()?;
    for round in 0..20 {
        for number in 0..connections.len() {
            let target = format!("/item/late-{number}-{round}");
            let span = the_span(&recording.trace, Kind::Server, &target)?;
            ensure!(span.status() == Some(200), "{:?}", span.tags);
        }
    }
    let joined = scenario::check_joined(&recording.trace, "/item/")?;
    ensure!(joined == 120, "{joined} spans for 120 requests");
    Ok(String::new())
}

/// A proxy's pool of connections to its backend, filled before the tracer started.
fn late_pool_behind_a_proxy() -> Result<String> {
    let backend = node::start(&Options::default())?;
    let nginx = nginx::start(&Options::default().calling(&backend))?;
    let mut connection = Connection::open(nginx.port())?;
    connection.fetch("/front?truth=early")?;
    let tracer = Tracer::record(&[])?;
    for number in 0..20 {
        connection.fetch(&format!("/front?truth=late-{number}"))?;
    }
    let recording = tracer.stop()?;
    let calls: Vec<_> = nginx.calls()?.into_iter().filter(|call| call.incoming.starts_with("late")).collect();
    let score = tracer_tests::truth::score(&calls, &recording.trace);
    score.check(tracer_tests::truth::Links::All)?;
    Ok(score.to_string())
}

/// Processes that live some milliseconds each: every call is a client span of curl, joined to nginx's.
fn short_lived_clients() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&[])?;
    for number in 0..20 {
        process::run(&Spec::new("curl")?.args(["-sS", &nginx.url(&format!("/item/short-{number}"))]))?;
    }
    let recording = tracer.stop()?;
    for number in 0..20 {
        let target = format!("/item/short-{number}");
        let client = the_span(&recording.trace, Kind::Client, &target)?;
        ensure!(client.service.contains("curl"), "curl is called {}", client.service);
    }
    let joined = scenario::check_joined(&recording.trace, "/item/short-")?;
    ensure!(joined == 20, "{joined} spans for 20 requests");
    Ok(String::new())
}

/// `record -- COMMAND` traces the command and its children from their first call, and ends with it.
fn command() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let script = format!(
        "curl -sS {} -o /dev/null; curl -sS {} -o /dev/null",
        nginx.url("/item/first"),
        nginx.url("/item/second")
    );
    let recording = Tracer::record(&["--", "sh", "-c", &script])?.finish()?;
    for target in ["/item/first", "/item/second"] {
        the_span(&recording.trace, Kind::Client, target)?;
    }
    let servers = recording.trace.servers("/").len();
    ensure!(servers == 0, "nginx is not of the command: {}", list(&recording.trace));
    Ok(String::new())
}

/// `--pid` includes children that are started later, and nobody else.
fn children_of_a_pid() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let script = format!(
        "until [ -e go ]; do sleep 0.02; done; curl -sS {} -o /dev/null; touch done; sleep 60",
        nginx.url("/item/child")
    );
    let shell = Spec::new("sh")?.args(["-c", &script]).in_directory(scratch.path()).start(scratch.path())?;
    let tracer = Tracer::record(&["--pid", &shell.pid().to_string()])?;
    process::run(&Spec::new("curl")?.args(["-sS", &nginx.url("/item/stranger")]))?;
    scratch.write("go", "")?;
    for _ in 0..500 * pace::factor() {
        if scratch.join("done").exists() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    ensure!(scratch.join("done").exists(), "the child did not finish: {}", shell.output());
    let recording = tracer.stop()?;
    the_span(&recording.trace, Kind::Client, "/item/child")?;
    ensure!(recording.trace.spans.len() == 1, "others too: {}", list(&recording.trace));
    Ok(String::new())
}

/// `--exe` and `--comm` choose by pattern.
fn executable() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    for choice in [["--exe", "*/nginx"], ["--comm", "ngin*"]] {
        let tracer = Tracer::record(&choice)?;
        process::run(&Spec::new("curl")?.args(["-sS", &nginx.url("/item/chosen")]))?;
        let recording = tracer.stop()?;
        the_span(&recording.trace, Kind::Server, "/item/chosen")?;
        let clients = recording.trace.clients("/").len();
        ensure!(clients == 0, "{choice:?} includes curl: {}", list(&recording.trace));
    }
    Ok(String::new())
}

/// What was captured before the target went is kept, and the exit code stays 0.
fn target_that_exits() -> Result<String> {
    let mut nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--pid", &nginx.pid().to_string(), "-d", "5s"])?;
    for number in 0..10 {
        Connection::open(nginx.port())?.fetch(&format!("/item/{number}"))?;
    }
    nginx.stop();
    // It may end by itself now, or wait for its five seconds.
    let recording = tracer.finish()?;
    for number in 0..10 {
        the_span(&recording.trace, Kind::Server, &format!("/item/{number}"))?;
    }
    Ok(format!("ended {:.1} s later", recording.stopping.as_secs_f64()))
}

fn duration() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &nginx.port().to_string(), "-d", "1s"])?;
    Connection::open(nginx.port())?.fetch("/item/1")?;
    let recording = tracer.finish()?;
    the_span(&recording.trace, Kind::Server, "/item/1").context("after -d 1s")?;
    let took = recording.stopping.as_secs_f64();
    ensure!((0.5..1.0 + pace::milliseconds(3.0)).contains(&took), "-d 1s took {took:.1} s");
    Ok(String::new())
}
