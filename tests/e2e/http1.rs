//! HTTP/1.1 beyond plain requests: trailers, interim responses, tunnels, upgrades and proxies, between real clients and servers.
//!
//! Every call is one span at each end, with the status that both ends know of; a server's own measurement lies within its span, and the client's
//! span within what the client measured; and there is nothing else.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::access_log::Line;
use tracer_tests::pace;
use tracer_tests::process::{self, Spec};
use tracer_tests::scenario::{check_joined, list, the_span};
use tracer_tests::services::{Options, Service, http1, nginx};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx")];
const NODE: &[Need] = &[Need::Command("node")];
const PROXY: &[Need] = &[Need::Command("apache2"), Need::Command("curl")];
const TLS: &[Need] = &[Need::Command("apache2"), Need::Command("curl"), Need::Command("openssl")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("node", node).needing(NODE),
            test("node_through_nginx", node_through_nginx).needing(NODE),
            test("websocket_through_nginx", websocket_through_nginx),
            test("absolute_form", absolute_form).needing(PROXY),
            test("connect_http", connect_http).needing(PROXY),
            test("connect_tls", connect_tls).needing(TLS),
        ],
    )
}

/// How far two clocks that read the same moment may be apart.
fn slack() -> f64 {
    pace::milliseconds(1.0)
}

/// Each line is one span of that kind, and `fits` the line's duration and its own.
fn check_each_once(
    trace: &Trace,
    kind: Kind,
    prefix: &str,
    lines: &[Line],
    fits: impl Fn(f64, f64) -> bool,
) -> Result<()> {
    let mut left: HashMap<&str, &Line> = lines.iter().map(|line| (line.target.as_str(), line)).collect();
    ensure!(left.len() == lines.len(), "targets are not unique");
    let spans = trace.spans.iter().filter(|span| span.kind == kind && span.target().starts_with(prefix));
    for span in spans {
        let line =
            left.remove(span.target()).with_context(|| format!("not in the log, or twice: {span:?}"))?;
        ensure!((span.method(), span.status()) == (&line.method, Some(line.status)), "{line:?}: {span:?}");
        // The last bytes of a chunked body are not seen where trailers end it, nor where several parts are sent in one call, as nginx does:
        // then its end is that of its last byte.
        let is_chunked = ["/chunked/", "/ended/"].iter().any(|kind| span.target().contains(kind));
        let outcome = span.outcome().filter(|outcome| !is_chunked || *outcome != "end-unframed");
        ensure!(outcome.is_none(), "{line:?} has the outcome {outcome:?}: {span:?}");
        ensure!(fits(line.duration_ms, span.duration_ms), "{line:?}: {} ms: {span:?}", span.duration_ms);
    }
    ensure!(left.is_empty(), "{} have no {kind:?} span: {:?}", left.len(), left.values().next());
    Ok(())
}

/// What a client measured contains its spans.
fn check_clients(trace: &Trace, prefix: &str, measured: &[Line]) -> Result<()> {
    check_each_once(trace, Kind::Client, prefix, measured, |measured, span| span <= measured + slack())
}

/// What Node measured lies within its spans.
fn check_servers(trace: &Trace, prefix: &str, log: &[Line]) -> Result<()> {
    check_each_once(trace, Kind::Server, prefix, log, |log, span| span + slack() >= log)
}

/// The logs of nginx and Apache go on after the last byte was sent, and on a busy host for long: a span that missed a part of what
/// was served would be shorter by more. Their durations are compared strictly where they are loaded evenly (`nginx.rs`, `apache.rs`).
fn check_proxies(trace: &Trace, prefix: &str, log: &[Line]) -> Result<()> {
    check_each_once(trace, Kind::Server, prefix, log, |log, span| span + 100.0 * slack() >= log)
}

/// Node to Node, eight connections: both directions chunked, with trailers, HEAD, 204, 304, 100-continue, 103, bodies of 2 MB, keep-alive off.
fn node() -> Result<String> {
    let node = http1::node()?;
    let tracer = Tracer::record(&["--port", &node.port().to_string()])?;
    let measured = http1::calls(node.port(), "", 8, 4)?;
    let log = node.log_at_least("/", measured.len())?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    check_clients(&recording.trace, "/", &measured)?;
    check_servers(&recording.trace, "/", &log)?;
    let joined = check_joined(&recording.trace, "/")?;
    ensure!(joined == measured.len(), "{joined} of {} calls are joined", measured.len());
    Ok(format!("{joined} calls"))
}

/// The same with nginx in between: four ends of each call, and the outgoing call of nginx stands under the one that it serves.
fn node_through_nginx() -> Result<String> {
    let node = http1::node()?;
    let nginx = nginx::start(&Options::default().calling(&node))?;
    let ports = [nginx.port().to_string(), node.port().to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let measured = http1::calls(nginx.port(), "/proxied", 8, 4)?;
    let front = nginx.log_at_least("/proxied", measured.len())?;
    let log = node.log_at_least("/", measured.len())?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let trace = &recording.trace;
    check_clients(trace, "/proxied/", &measured)?;
    check_proxies(trace, "/proxied/", &front)?;
    let inner = |target: &str| !target.starts_with("/proxied/");
    let behind = Trace { spans: trace.spans.iter().filter(|span| inner(span.target())).cloned().collect() };
    check_servers(&behind, "/", &log)?;
    check_each_once(&behind, Kind::Client, "/", &log, |_, _| true)?;
    ensure!(check_joined(trace, "/")? == 2 * measured.len(), "not every server span has its client");
    let linked = check_linked(trace, &behind.clients("/"), |call, request| {
        request.target() == format!("/proxied{}", call.target())
    })?;
    // Which requests these are is told by docs/causality.md: nginx reads bodies to their end before it calls.
    ensure!(linked > 0, "no call of nginx has a parent");
    Ok(format!("{} calls, {linked} of nginx under the requests that it served", measured.len()))
}

/// No call stands under a request for which `is_its` is false. Returns how many stand under one.
fn check_linked(trace: &Trace, calls: &[&Span], is_its: impl Fn(&Span, &Span) -> bool) -> Result<usize> {
    let by_id: HashMap<&str, &Span> = trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut linked = 0;
    for call in calls {
        let Some(parent) = call.parent.as_deref().and_then(|id| by_id.get(id)) else { continue };
        ensure!(is_its(call, parent), "{} stands under {}", call.target(), parent.target());
        linked += 1;
    }
    Ok(linked)
}

fn after_upgrades(recording: &Recording) -> u64 {
    let skipped = recording.ledger.value().pointer("/bytes_skipped/after a protocol upgrade");
    skipped.and_then(Value::as_u64).unwrap_or_default()
}

/// The handshake is the span; what follows is counted, also where it looks like a request.
fn websocket_through_nginx() -> Result<String> {
    const CONNECTIONS: usize = 6;
    let echo = http1::websocket()?;
    let backend = Options { backend: Some(format!("127.0.0.1:{}", echo.port)), ..Options::default() };
    let nginx = nginx::start(&backend)?;
    let ports = [nginx.port().to_string(), echo.port.to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let talks = http1::talks(nginx.port(), "/ws/", CONNECTIONS, 50)?;
    // nginx logs a connection when it is over.
    nginx.log_at_least("/ws/", CONNECTIONS)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let trace = &recording.trace;
    ensure!(trace.spans.len() == 4 * CONNECTIONS, "not four ends of each connection: {}", list(trace));
    for span in &trace.spans {
        let is_handshake =
            (span.method(), span.status(), span.outcome()) == ("GET", Some(101), Some("upgraded"));
        ensure!(is_handshake, "{span:?}");
        let number: usize = span.target().trim_start_matches("/ws/").parse().context("no number")?;
        let talk = talks.get(number).with_context(|| format!("nobody asked for {}", span.target()))?;
        ensure!(span.duration_ms <= talk.opened_ms + slack(), "{talk:?}: {span:?}");
    }
    let moved: u64 = talks.iter().map(|talk| talk.moved).sum();
    let counted = after_upgrades(&recording);
    // Four ends; and each message has 14 bytes of a frame's head at most, each connection two frames that close it.
    let frames = (CONNECTIONS * (2 * 50 + 2) * 4 * 14 + CONNECTIONS * 4 * 200) as u64;
    ensure!((4 * moved..=4 * moved + frames).contains(&counted), "{counted} bytes, {moved} at each end");
    Ok(format!("{counted} bytes after {CONNECTIONS} handshakes"))
}

/// Calls curl through a proxy, without a look at the answers. Returns the status and the milliseconds of each.
fn curl(proxy: &Service, args: &[&str]) -> Result<Vec<(u16, f64)>> {
    let said = process::run(
        &Spec::new("curl")?
            .args(["-sSk", "-x", &proxy.url(""), "-o", "/dev/null", "-w", "%{http_code} %{time_total}\n"])
            .args(["--max-time", &pace::limit(Duration::from_secs(20)).as_secs().to_string()])
            .args(args.iter().copied()),
    )?;
    let answer = |line: &str| {
        let (status, seconds) = line.split_once(' ')?;
        Some((status.parse().ok()?, seconds.parse::<f64>().ok()? * 1e3))
    };
    said.lines().map(|line| answer(line).with_context(|| format!("curl said {line:?}"))).collect()
}

const CALLS: usize = 20;

/// A proxy in the words of RFC 9112, section 3.2.2: the target is a URL. Apache's log says the same of each.
fn absolute_form() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let proxy = http1::forward_proxy(nginx.port())?;
    let ports = [proxy.port().to_string(), nginx.port().to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let numbered = |path: &str| nginx.url(&format!("/{path}/[1-{CALLS}]"));
    let mut measured = curl(&proxy, &[&numbered("item")])?;
    measured.extend(curl(&proxy, &[&numbered("missing")])?);
    measured.extend(curl(&proxy, &["-I", &numbered("item/head")])?);
    let asked = 3 * CALLS;
    let log = proxy.log_at_least("http://", asked)?;
    let served = nginx.log_at_least("/", asked)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let trace = &recording.trace;
    ensure!(trace.spans.len() == 4 * asked, "not four ends of {asked} calls: {}", list(trace));
    // Which end a span is of is told by its target: only between client and proxy it is a URL.
    let (front, back): (Vec<Span>, Vec<Span>) = trace
        .spans
        .iter()
        .cloned()
        .partition(|span| span.tag("http.url").is_some_and(|url| url.starts_with("http://")));
    let (front, back) = (Trace { spans: front }, Trace { spans: back });
    let paths = log.iter().map(|line| Line {
        target: line.target.trim_start_matches(&nginx.url("")).to_owned(),
        ..line.clone()
    });
    let paths: Vec<Line> = paths.collect();
    check_proxies(&front, "/", &paths)?;
    check_each_once(&front, Kind::Client, "/", &paths, |_, _| true)?;
    check_proxies(&back, "/", &served)?;
    check_each_once(&back, Kind::Client, "/", &paths, |log, span| span <= log + slack())?;
    // curl's calls came one after the other, in the order of its answers.
    let mut clients = front.clients("/");
    clients.sort_by_key(|span| span.start_ns);
    for (span, (status, ms)) in clients.iter().zip(&measured) {
        ensure!(span.status() == Some(*status) && span.duration_ms <= ms + slack(), "{ms} ms: {span:?}");
    }
    ensure!(check_joined(trace, "/")? == 2 * asked, "not every server span has its client");
    let calls = back.clients("/");
    let linked = check_linked(trace, &calls, |call, request| call.target() == request.target())?;
    ensure!(linked * 10 >= asked * 9, "{linked} of {asked} calls of the proxy have parents");
    Ok(format!("{asked} calls, {linked} of the proxy under the requests that it served"))
}

/// The spans of CONNECT, one at each end, which end with the answer.
fn check_connects(trace: &Trace, port: u16, proxy: &Service, measured: &[(u16, f64)]) -> Result<()> {
    let target = format!("127.0.0.1:{port}");
    let log = proxy.log_at_least(&target, 1)?;
    let [line] = log.as_slice() else { anyhow::bail!("the proxy logged {log:?}") };
    // curl opens the tunnel for its first call, within the time of it. Apache logs a tunnel when it is closed.
    let first = measured.first().context("curl made no call")?.1;
    for (kind, at_most) in [(Kind::Client, first), (Kind::Server, line.duration_ms)] {
        let span = the_span(trace, kind, &target)?;
        let told = (span.method(), span.status(), span.outcome());
        ensure!(told == ("CONNECT", Some(line.status), Some("upgraded")), "{span:?}");
        ensure!(span.duration_ms <= at_most + slack(), "at most {at_most} ms: {span:?}");
    }
    Ok(())
}

/// HTTP within a tunnel is told at its ends, as it is between the proxy and the server.
fn connect_http() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let proxy = http1::forward_proxy(nginx.port())?;
    let ports = [proxy.port().to_string(), nginx.port().to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let measured = curl(&proxy, &["-p", &nginx.url(&format!("/item/[1-{CALLS}]"))])?;
    ensure!(measured.len() == CALLS, "curl made {} calls", measured.len());
    let served = nginx.log_at_least("/", CALLS)?;
    proxy.log_at_least("127.0.0.1:", 1)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let trace = &recording.trace;
    check_connects(trace, nginx.port(), &proxy, &measured)?;
    ensure!(trace.spans.len() == 2 + 4 * CALLS, "not four ends of each call: {}", list(trace));
    for line in &served {
        let spans = trace.spans.iter().filter(|span| span.target() == line.target);
        for span in spans {
            let told = (span.method(), span.status(), span.outcome());
            ensure!(told == (&line.method, Some(line.status), None), "{line:?}: {span:?}");
        }
        for kind in [Kind::Client, Kind::Server] {
            let spans = trace.spans.iter().filter(|span| span.kind == kind && span.target() == line.target);
            ensure!(spans.count() == 2, "{line:?} has not two {kind:?} spans: {}", list(trace));
        }
    }
    ensure!(check_joined(trace, "/")? == 2 * CALLS, "not every server span has its client");
    let linked = check_linked(trace, &trace.clients("/"), |call, parent| call.target() == parent.target())?;
    Ok(format!("{CALLS} calls in a tunnel, {linked} of the proxy under what came in"))
}

/// TLS within a tunnel is counted.
fn connect_tls() -> Result<String> {
    let tls = http1::tls()?;
    let proxy = http1::forward_proxy(tls.port)?;
    let ports = [proxy.port().to_string(), tls.port.to_string()];
    let tracer = Tracer::record(&["--port", &ports[0], "--port", &ports[1]])?;
    let measured = curl(&proxy, &[&format!("https://127.0.0.1:{}/", tls.port)])?;
    ensure!(measured.iter().map(|(status, _)| *status).eq([200]), "curl had no answer: {measured:?}");
    proxy.log_at_least("127.0.0.1:", 1)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    check_connects(&recording.trace, tls.port, &proxy, &measured)?;
    ensure!(recording.trace.spans.len() == 2, "{}", list(&recording.trace));
    let counted = after_upgrades(&recording);
    ensure!(counted > 1000, "{counted} bytes in the tunnel");
    Ok(format!("{counted} bytes in a tunnel, at both of its ends"))
}
