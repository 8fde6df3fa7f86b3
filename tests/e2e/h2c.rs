//! `Upgrade: h2c` between Apache and curl, which asks for one thing after the other, or nghttp, which asks for many at once. Each call is one
//! span at each end, joined, as Apache's log and the client say, but for what moves while the probes are not told yet that the connection is
//! no longer HTTP/1: of that, what is said is right. With a server that does not upgrade it goes on in HTTP/1.

use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::access_log::Line;
use tracer_tests::pace;
use tracer_tests::services::h2c::{self, Answer};
use tracer_tests::services::{Options, Service, nginx};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer];
const APACHE: &[Need] = &[
    Need::Command("apache2"),
    Need::File("/usr/lib/apache2/modules", "mod_http2", ".so"),
    Need::Command("nghttp"),
];
const NGINX: &[Need] = &[Need::Command("nginx"), Need::Command("curl")];
/// Connections that ask for everything at once, and requests of each connection.
const CONNECTIONS: usize = 3;
const ITEMS: usize = 14;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("apache_in_turn", in_turn).needing(APACHE),
            test("apache_at_once", at_once).needing(APACHE),
            test("nginx_does_not", refused).needing(NGINX),
        ],
    )
}

/// A call: its target, what the client says of it, whether it was made in HTTP/2.
type Call = (String, Answer, bool);

/// Every span is of one of these calls, and what is said of it is so. Returns how many are told to their ends; `is_exact` says of which calls
/// both ends must be, joined.
fn check(recording: &Recording, calls: &[Call], is_exact: impl Fn(usize) -> bool) -> Result<usize> {
    recording.check_nothing_lost()?;
    let (mut told, mut whole) = (0, 0);
    for (at, (target, answer, is_stream)) in calls.iter().enumerate() {
        let of = |kind: Kind| -> Result<Option<&Span>> {
            let mut all =
                recording.trace.spans.iter().filter(|span| span.kind == kind && span.target() == target);
            let first = all.next();
            ensure!(all.next().is_none(), "{target} is told twice: {kind:?}");
            Ok(first)
        };
        let ends = [of(Kind::Client)?, of(Kind::Server)?];
        for span in ends.into_iter().flatten() {
            told += 1;
            let is_whole = span.outcome().is_none();
            whole += usize::from(is_whole);
            ensure!(
                span.status() == Some(answer.status) || (!is_whole && span.status().is_none()),
                "{target}, {answer:?}: {span:?}"
            );
            ensure!(span.method() == "GET", "{span:?}");
            ensure!(*is_stream == (span.tag("http.flavor") == Some("2.0")), "{target}: {:?}", span.tags);
            let most = answer.ms + pace::milliseconds(1.0);
            let fits = span.duration_ms <= most || span.kind == Kind::Server || !is_whole;
            ensure!(fits, "{target}: {answer:?}, and {} ms are told", span.duration_ms);
        }
        if is_exact(at) {
            let [Some(call), Some(served)] = ends else { bail!("{target} has not both ends") };
            Trace::check_joined(call, served)?;
            for span in [call, served] {
                ensure!(span.outcome().is_none(), "{target} ended as {:?}", span.outcome());
            }
        }
    }
    let other = recording.trace.spans.iter().filter(|span| !span.tags.contains_key("tracer.truncated"));
    ensure!(other.count() <= told, "there are spans of what nobody asked for");
    Ok(whole)
}

fn urls(server: &Service, mark: &str) -> (Vec<String>, Vec<String>) {
    let target = |item| format!("/{}/{item}?{mark}", if item % 7 == 3 { "missing" } else { "item" });
    let targets: Vec<String> = (1..=ITEMS).map(target).collect();
    let urls = targets.iter().map(|target| server.url(target)).collect();
    (targets, urls)
}

fn in_turn() -> Result<String> {
    let server = h2c::start(ITEMS)?;
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    let (targets, urls) = urls(&server, "turn");
    let answers = h2c::curl(&urls, true)?;
    ensure!(answers.len() == ITEMS, "there were {} answers", answers.len());
    let calls = targets.into_iter().zip(answers).enumerate();
    // The one that upgrades began in HTTP/1.
    let calls: Vec<Call> = calls.map(|(at, (target, answer))| (target, answer, at > 0)).collect();
    // Of the first Apache writes down that it switched, too.
    let log = server.log_at_least("/", ITEMS + 1)?;
    let recording = tracer.stop()?;
    for (target, answer, _) in &calls {
        let is_in_log = |line: &Line| line.target == *target && line.status == answer.status;
        ensure!(log.iter().any(is_in_log), "{target} is not in the log with {answer:?}");
    }
    // The answer to the first moves in HTTP/2 before the probes are told.
    let whole = check(&recording, &calls, |at| at > 0)?;
    Ok(format!("{whole} of {} ends are whole", 2 * ITEMS))
}

fn at_once() -> Result<String> {
    let server = h2c::start(ITEMS)?;
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    let mut calls: Vec<Call> = Vec::new();
    for connection in 0..CONNECTIONS {
        let (targets, urls) = urls(&server, &connection.to_string());
        let answers = h2c::nghttp(&urls)?;
        for (at, target) in targets.into_iter().enumerate() {
            let answer = *answers.get(&target).with_context(|| format!("{target} was not answered"))?;
            calls.push((target, answer, at > 0));
        }
    }
    let recording = tracer.stop()?;
    let whole = check(&recording, &calls, |_| false)?;
    Ok(format!("{whole} of {} ends are whole, what is told is right", 2 * calls.len()))
}

fn refused() -> Result<String> {
    let server = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    let answers = h2c::curl(&[server.url("/item/1")], false)?;
    let recording = tracer.stop()?;
    let answer = answers.first().context("curl said nothing")?;
    check(&recording, &[("/item/1".to_owned(), *answer, false)], |_| true)?;
    Ok(String::new())
}
