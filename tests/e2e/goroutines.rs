//! For whom a Go program calls: each call's record names the goroutine that asked for it, though another one writes, and
//! where that is not the one that serves the request, the goroutine that created it.
//!
//! The front (`tests/services/main.go`) calls a backend twice in turn, or three times at once from goroutines of their
//! own. Its truth file says which request each call was for; the capture says which goroutine read that request and
//! which one asked for the call. They must be the same for every call: not one may be wrong, or left open.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tracer_tests::load::Wrk;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::golang::{self, Build};
use tracer_tests::services::{Options, Service};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tcap;
use tracer_tests::tracer::Tracer;
use tracer_tests::truth::Call;

/// The capture is read by the reader that was written from its description.
const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("wrk"),
    Need::Go,
    Need::Command("python3"),
    Need::Command("protoc"),
    Need::PythonModule("google.protobuf"),
    Need::PythonModule("lz4.block"),
];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for (name, build) in [("plain", Build::Plain), ("stripped", Build::Stripped), ("pie", Build::Pie)] {
        for connections in [8, 32] {
            tests.push(test(format!("{name}_{connections}"), move || asked_for(build, connections, false)));
        }
    }
    tests.push(test("a_connection_for_each_call", a_connection_each));
    tests.push(test("members_lie_where_the_debug_information_says", members));
    tests.push(test("connections_that_were_open_before", || asked_for(Build::Stripped, 8, true)));
    suite::run(NEEDS, tests)
}

/// What the front's calls say of who asked for them. `before`: it has connections to the backend, which it goes on
/// using, before the tracer comes.
fn asked_for(build: Build, connections: u32, before: bool) -> Result<String> {
    let backend = golang::start(&Options::named("backend"))?;
    let front = golang::start_built(build, &Options::named("front").calling(&backend))?;
    let load = Wrk::new(front.port(), "", connections).prefixes(&["/front?truth=", "/fan?truth="]);
    if before {
        load.run()?;
    }
    let known = front.calls()?.len();
    let score = recorded(&front, &load, known)?;
    ensure!(score.own > 0 && score.parents > 0, "{score:?}");
    Ok(format!("{} by the request's own goroutine, {} by its children", score.own, score.parents))
}

/// Connections whose first request is asked for while the goroutine that will write it begins: the two are seen in either
/// order, or at once.
fn a_connection_each() -> Result<String> {
    let backend = golang::start(&Options::named("backend"))?;
    let front = golang::start(&Options::named("front").calling(&backend))?;
    let load = Wrk::new(front.port(), "/apart?truth=", 16);
    let score = recorded(&front, &load, 0)?;
    Ok(format!("{} by the request's own goroutine", score.own))
}

/// Records the front under a load; who asked for its calls after the first `known` ones must be known of every one, and right.
fn recorded(front: &Service, load: &Wrk, known: usize) -> Result<Score> {
    let scratch = Scratch::new()?;
    let capture = scratch.join("go.tcap");
    let tracer = Tracer::record(&["--pid", &front.pid().to_string(), "-o", &capture.to_string_lossy()])?;
    load.run()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let calls = front.calls()?.split_off(known);
    let score = score(front, &calls, &capture)?;
    ensure!(score.wrong + score.unknown == 0, "{score:?}; the tracer said:\n{}", recording.said);
    Ok(score)
}

#[derive(Debug, Default)]
struct Score {
    own: usize,
    parents: usize,
    unknown: usize,
    wrong: usize,
    first: Option<String>,
}

fn score(front: &Service, calls: &[Call], capture: &Path) -> Result<Score> {
    ensure!(!calls.is_empty(), "nothing was called");
    let told = tcap::by_stranger(capture)?;
    ensure!(told.code == Some(0), "the reader said:\n{}", told.said);
    let (mut served, mut called) = (HashMap::new(), HashMap::new());
    for one in told.exchanges.iter().filter(|one| one["pid"] == front.pid()) {
        let target = one["target"].as_str().context("no target")?;
        let Some((path, id)) = target.split_once("?truth=") else { continue };
        let of_side = if one["side"] == "server" { &mut served } else { &mut called };
        if of_side.insert(id, (path, &one["request_by"])).is_some() {
            bail!("{target} is there twice");
        }
    }
    let mut score = Score::default();
    for call in calls {
        let (path, request) = served.get(&*call.incoming).context("a request is missing")?;
        let (_, asked) = called.get(&*call.outgoing).context("a call is missing")?;
        let who = |who: &Value, field: &str| who.get(field).and_then(Value::as_u64).context("no number");
        let serves = who(request, "task")?;
        let asks = who(asked, if *path == "/fan" { "parent_task" } else { "task" })?;
        match (serves, asks) {
            (0, _) | (_, 0) => score.unknown += 1,
            _ if serves != asks => score.wrong += 1,
            _ if *path == "/fan" => score.parents += 1,
            _ => score.own += 1,
        }
        if score.first.is_none() && serves != asks {
            score.first = Some(format!("{path}: {request} called {asked}"));
        }
    }
    Ok(score)
}

/// Offsets are known by the version of Go; this is the version that is here.
fn members() -> Result<String> {
    let service = golang::start(&Options::default())?;
    let truth = golang::layout(&service)?;
    let member = |name: &str| truth.get(name).copied().with_context(|| format!("no {name} in {truth:?}"));
    let tracer = Tracer::record(&["-v", "--pid", &service.pid().to_string()])?;
    let said = tracer.stop()?.said;
    let told = said.lines().find(|line| line.contains("goid=")).context("nothing was said of it")?;
    for name in ["goid", "parentGoid", "startpc"] {
        // There are no parents before Go 1.21.
        let bytes = if name == "parentGoid" {
            member("runtime.g.parentGoid").unwrap_or(0)
        } else {
            member(&format!("runtime.g.{name}"))?
        };
        ensure!(told.contains(&format!("{name}={bytes} ")), "{name} is at {bytes}: {told}");
    }
    // What the probes take to be the same in all versions (`tracer_common::golang`).
    for (name, bytes) in [
        ("net/http.persistConn.conn", 80),
        ("net.TCPConn.conn", 0),
        ("net.conn.fd", 0),
        ("net.netFD.pfd", 0),
        ("internal/poll.FD.Sysfd", 16),
        ("net.netFD.family", 56),
        ("net.netFD.sotype", 64),
        ("net.netFD.isConnected", 72),
    ] {
        ensure!(member(name)? == bytes, "{name} is at {}", member(name)?);
    }
    Ok(told.to_owned())
}
