//! HTTP/2 and gRPC: Node's http2, grpcio and @grpc/grpc-js, also through nginx. A hundred streams at a time on one connection; what is told
//! of a call, at either end, is what the ends wrote down, no call is told twice, and nothing else is told.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::pace;
use tracer_tests::services::http2::{Call, Client, Program, Server, at_least, grpc_proxy};
use tracer_tests::span::{Kind, Span};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("node")];
const NGINX: &[Need] = &[Need::Command("nginx")];
/// What the clients and servers name their gRPC calls by.
const NUMBER: &str = "http.request.header.x-number";

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("node", || node(false)),
            test("node_joined", || node(true)),
            test("node_large", node_large),
            test("grpcio", || grpcio(false)),
            test("grpcio_joined", || grpcio(true)),
            test("grpcio_cancelled", grpcio_cancelled),
            test("grpc_js_through_nginx", grpc_js_through_nginx).needing(NGINX),
        ],
    )
}

/// Each call has at most one span on this side, and what is said of it is so. Returns how many are told to their ends.
///
/// Node hands a hundred answers to the kernel in one call of three hundred parts, of which the probes look at the first ones only: what
/// lies behind them is out of sight, and must be missing or said to be uncertain.
fn check_right(
    recording: &Recording,
    kind: Kind,
    calls: &[Call],
    status: &str,
    name: impl Fn(&Span) -> Option<String>,
) -> Result<usize> {
    let mut left: HashMap<&str, &Call> = calls.iter().map(|call| (call.what.as_str(), call)).collect();
    let mut whole = 0;
    for span in recording.trace.spans.iter().filter(|span| span.kind == kind) {
        let Some(name) = name(span) else {
            ensure!(span.tags.contains_key("tracer.truncated"), "no call, and not said to be cut: {span:?}");
            continue;
        };
        if name.contains("/1000") || name.contains("/2000") {
            continue;
        }
        let call =
            left.remove(name.as_str()).with_context(|| format!("not asked for, or twice: {span:?}"))?;
        let told = span.tags.get(status).and_then(Value::as_u64);
        ensure!(told.is_none_or(|told| told == u64::from(call.status)), "{call:?}: {span:?}");
        // HTTP's status nearly always stands in the static table; gRPC's may be a reference into what was not seen.
        let has_reason = span.outcome().is_some() || status != "http.status_code";
        ensure!(told.is_some() || has_reason, "{call:?} has no status and no reason: {span:?}");
        if span.outcome().is_none() && told.is_some() {
            whole += 1;
            let (most, least) = (call.ms + pace::milliseconds(2.0), call.ms - pace::milliseconds(2.0));
            let fits =
                if kind == Kind::Client { span.duration_ms <= most } else { span.duration_ms >= least };
            ensure!(fits, "{call:?} took {} ms: {span:?}", span.duration_ms);
        }
    }
    Ok(whole)
}

/// The names by which Node's calls go.
fn path(span: &Span) -> Option<String> {
    (span.tag("http.flavor") == Some("2.0") && !span.target().is_empty()).then(|| span.target().to_owned())
}

fn node(joined: bool) -> Result<String> {
    let server = Server::start(Program::Node)?;
    let mut client = Client::start(Program::Node, server.port())?;
    if joined {
        for kind in ["item", "missing", "broken"] {
            client.make(kind, 100_000, 100_050)?;
        }
    }
    let before = at_least(|| server.log(), if joined { 150 } else { 0 })?.len();
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    if joined {
        // Where frames begin is known from the first call on; the probes are told to capture everything then.
        client.make("item", 200_000, 200_010)?;
    }
    let skipped = client.log()?.len();
    client.make("item", 0, 400)?;
    client.make("missing", 0, 200)?;
    client.make("slow", 0, 200)?;
    client.make("sent", 0, 200)?;
    client.end()?;
    let asked = client.log()?;
    let served = at_least(|| server.log(), asked.len())?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    // Those of which the first went while the probes had not been told yet are not asked about.
    let is_asked = |what: &str| !what.contains("/1000") && !what.contains("/2000");
    let of_test =
        |calls: &[Call]| -> Vec<Call> { calls.iter().filter(|call| is_asked(&call.what)).cloned().collect() };
    let calls = of_test(&asked);
    let right = check_right(&recording, Kind::Client, &calls, "http.status_code", path)?;
    // Node's server hands a hundred answers to the kernel in one call of three hundred parts, of which 64 are looked at. Of 1000 ends 676 to 712
    // were whole at the client, and 179 to 324 at the server, in twenty runs beside programs that kept both processors busy.
    ensure!(right * 10 >= calls.len() * 6, "{right} of {} client spans are whole", calls.len());
    let whole = check_right(&recording, Kind::Server, &of_test(&served), "http.status_code", path)?;
    ensure!(whole * 8 >= calls.len(), "{whole} of {} server spans are whole", calls.len());
    let said = format!("whole are {right} ends at the client and {whole} at the server, ");
    Ok(format!("{said}{} calls, {before} before", asked.len() - skipped))
}

/// Answers of 100 kB: what is told of them is right, though their ends may be out of sight.
fn node_large() -> Result<String> {
    let server = Server::start(Program::Node)?;
    let mut client = Client::start(Program::Node, server.port())?;
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    client.make("big", 0, 200)?;
    client.make("item", 0, 200)?;
    client.end()?;
    let asked = client.log()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let whole = check_right(&recording, Kind::Client, &asked, "http.status_code", path)?;
    // 156 to 173 of 400 were.
    ensure!(whole * 3 >= asked.len(), "{whole} of {} ends are whole", asked.len());
    Ok(format!("{whole} of {} ends are whole", asked.len()))
}

/// The names by which gRPC calls go.
fn number(span: &Span) -> Option<String> {
    let method = span.tag("rpc.method")?;
    ensure_service(span)?;
    Some(format!("{method} {}", span.tag(NUMBER)?))
}

/// As [`number`], also of a call that is not known to be gRPC's because that was said before: its path, as far as that is known, and the number,
/// which is new in each call.
fn number_or_path(span: &Span) -> Option<String> {
    let method = span.tag("rpc.method").or_else(|| span.target().strip_prefix("/made.Up/"))?;
    Some(format!("{method} {}", span.tag(NUMBER)?))
}

fn ensure_service(span: &Span) -> Option<()> {
    (span.tag("rpc.service") == Some("made.Up")).then_some(())
}

fn grpcio(joined: bool) -> Result<String> {
    let server = Server::start(Program::GrpcIo)?;
    let mut client = Client::start(Program::GrpcIo, server.port())?;
    if joined {
        client.make("Echo", 100_000, 100_100)?;
        client.make("Fail", 100_000, 100_016)?;
    }
    let before = client.log()?.len();
    let served_before = at_least(|| server.log(), before)?.len();
    let port = server.port().to_string();
    let tracer = Tracer::record(&["--port", &port, "--keep-header", "x-number"])?;
    for (method, many) in
        [("Echo", 300), ("Slow", 100), ("Fail", 160), ("Count", 50), ("Chat", 50), ("Sum", 50)]
    {
        client.make(method, 0, many)?;
    }
    client.end()?;
    let asked = client.log()?.split_off(before);
    let served = at_least(|| server.log(), served_before + asked.len())?.split_off(served_before);
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    if joined {
        return check_joined(&recording, &asked);
    }
    let mut whole = 0;
    for (kind, calls) in [(Kind::Client, &asked), (Kind::Server, &served)] {
        whole += check_right(&recording, kind, calls, "rpc.grpc.status_code", number)?;
    }
    // 573 to 1420 of 1420 were: it depends on how many calls of a hundred at a time end up in one system call.
    ensure!(whole * 3 >= 2 * asked.len(), "{whole} of {} ends are whole", 2 * asked.len());
    for span in &recording.trace.spans {
        ensure!(!span.tags.values().any(|value| value.to_string().contains("secret")), "{span:?}");
    }
    Ok(format!("{whole} of {} ends are whole", 2 * asked.len()))
}

/// Calls that the client gives up: it resets their streams (RST_STREAM), and nobody answers.
fn grpcio_cancelled() -> Result<String> {
    const CALLS: u32 = 60;
    let server = Server::start(Program::GrpcIo)?;
    let mut client = Client::start(Program::GrpcIo, server.port())?;
    let tracer = Tracer::record(&["--port", &server.port().to_string(), "--keep-header", "x-number"])?;
    client.make("Echo", 0, 20)?;
    client.make("Hang", 0, CALLS)?;
    client.make("Echo", 20, 40)?;
    client.end()?;
    let asked = client.log()?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let mut reset = 0;
    for (kind, end) in [(Kind::Client, "client"), (Kind::Server, "server")] {
        let mut left: HashMap<&str, &Call> = asked.iter().map(|call| (call.what.as_str(), call)).collect();
        for span in recording.trace.spans.iter().filter(|span| span.kind == kind) {
            let Some(name) = number_or_path(span) else {
                ensure!(
                    span.tags.contains_key("tracer.truncated"),
                    "no call, and not said to be cut: {span:?}"
                );
                continue;
            };
            let call = left.remove(name.as_str()).with_context(|| format!("twice: {span:?}"))?;
            let told = span.tags.get("rpc.grpc.status_code").and_then(Value::as_u64);
            if call.what.starts_with("Hang") {
                let is_reset = span.tag("error.type") == Some("CANCEL") && span.outcome().is_some();
                ensure!(call.status == 1 && told.is_none() && is_reset, "{end}, {call:?}: {span:?}");
                reset += 1;
            } else {
                ensure!(told.is_none_or(|told| told == u64::from(call.status)), "{call:?}: {span:?}");
            }
        }
    }
    let ends = 2 * CALLS as usize;
    ensure!(reset * 10 >= ends * 9, "{reset} of {ends} ends are told as reset");
    Ok(format!("{reset} of {ends} ends are told as reset"))
}

/// Method and content type stand in tables that nobody saw: what is told is right, and says that it is not all.
fn check_joined(recording: &Recording, asked: &[Call]) -> Result<String> {
    let calls: HashMap<&str, &Call> = asked.iter().map(|call| (call.what.as_str(), call)).collect();
    let mut named = 0;
    for kind in [Kind::Client, Kind::Server] {
        let spans: Vec<&Span> = recording.trace.spans.iter().filter(|span| span.kind == kind).collect();
        ensure!(spans.len() <= asked.len(), "{} spans of {} calls", spans.len(), asked.len());
        // On a busy machine once 634 of 710; else all.
        ensure!(spans.len() * 10 >= asked.len() * 8, "{} spans of {} calls", spans.len(), asked.len());
        for span in spans {
            let Some(name) = number_or_path(span) else {
                ensure!(
                    span.tags.contains_key("tracer.truncated"),
                    "no call, and not said to be cut: {span:?}"
                );
                continue;
            };
            let call = calls.get(name.as_str()).with_context(|| format!("nobody asked: {span:?}"))?;
            let told = span.tags.get("rpc.grpc.status_code").and_then(Value::as_u64);
            ensure!(told.is_none_or(|told| told == u64::from(call.status)), "{call:?}: {span:?}");
            ensure!(span.tag("error.type").is_none() || call.status != 0, "{call:?}: {span:?}");
            named += 1;
        }
    }
    // Those of the methods that were not called before have theirs: 500 of 1420; once 436.
    ensure!(named * 2 >= asked.len(), "{named} of {} ends have their names", 2 * asked.len());
    Ok(format!("{named} of {} ends have their names", 2 * asked.len()))
}

fn grpc_js_through_nginx() -> Result<String> {
    let server = Server::start(Program::GrpcIo)?;
    let (nginx, port, _files) = grpc_proxy(server.port())?;
    let mut client = Client::start(Program::GrpcJs, port)?;
    let ports = [port.to_string(), server.port().to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1], "--keep-header", "x-number"])?;
    client.make("Echo", 0, 300)?;
    client.make("Slow", 0, 100)?;
    client.make("Fail", 0, 160)?;
    client.end()?;
    let asked = client.log()?;
    let served = at_least(|| server.log(), asked.len())?;
    let recording = tracer.stop()?;
    drop(nginx);
    recording.check_nothing_lost()?;
    // nginx is the server of one connection and the client of the other; each end is right as far as it is in sight.
    let mut seen = 0;
    for service in ["nginx", "node", "grpc_calls.py"] {
        let (servers, clients) = sides(&recording, service)?;
        for (name, span) in servers.iter().chain(&clients) {
            let call = served.iter().find(|call| call.what == *name).context("nobody asked")?;
            let told = span.tags.get("rpc.grpc.status_code").and_then(Value::as_u64);
            ensure!(told.is_none_or(|told| told == u64::from(call.status)), "{call:?}: {span:?}");
            seen += usize::from(told.is_some());
        }
    }
    // 1687 to 1743 of 2240 had.
    ensure!(seen * 10 >= 4 * asked.len() * 7, "{seen} of {} ends have their status", 4 * asked.len());
    Ok(format!("{seen} of {} ends have their status", 4 * asked.len()))
}

/// The server and client spans of a service that have names.
#[expect(clippy::type_complexity, reason = "two of the same maps")]
fn sides<'a>(
    recording: &'a Recording,
    service: &str,
) -> Result<(HashMap<String, &'a Span>, HashMap<String, &'a Span>)> {
    let mut both = (HashMap::new(), HashMap::new());
    for span in recording.trace.spans.iter().filter(|span| span.service.contains(service)) {
        let Some(name) = number(span) else {
            ensure!(span.tags.contains_key("tracer.truncated"), "no call, and not said to be cut: {span:?}");
            continue;
        };
        let side = if span.kind == Kind::Server { &mut both.0 } else { &mut both.1 };
        if let Some(other) = side.insert(name, span) {
            anyhow::bail!("two spans of one call: {other:?} and {span:?}");
        }
    }
    Ok(both)
}
