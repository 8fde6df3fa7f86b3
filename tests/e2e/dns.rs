//! Lookups by dig, glibc, c-ares and plain sockets, answered by dnsmasq: every query in its log is one span at each end, joined;
//! what nobody answers is told.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::paths;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::dnsmasq::{self, Namespace};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("dnsmasq"),
    Need::Command("dig"),
    Need::Command("ip"),
    Need::Command("node"),
];

/// Where nobody listens.
const NOBODY: &str = "9";

fn main() -> ExitCode {
    suite::run(NEEDS, vec![test("each_query_once", each_query_once)])
}

fn each_query_once() -> Result<String> {
    let namespace = Namespace::new()?;
    let far = dnsmasq::start(&namespace, 5301, &["--local=/far.test/", "--address=/www.far.test/192.0.2.9"])?;
    let near = dnsmasq::start(
        &namespace,
        53,
        &[
            "--local=/near.test/",
            "--address=/near.test/192.0.2.1",
            "--address=/none.test/",
            "--server=/far.test/127.0.0.1#5301",
            "--txt-record=txt.near.test,hello",
        ],
    )?;
    let scratch = Scratch::new()?;
    let program = |command: &str, args: &[&str]| -> Result<Spec> {
        Ok(Spec::new(command)?.args(args.iter().copied()).in_namespace(namespace.name()))
    };
    let lookups = |file: &str| paths::services_dir().join(file).to_string_lossy().into_owned();
    let (python, node) = (lookups("dns_lookups.py"), lookups("dns_lookups.js"));

    let tracer = Tracer::record(&[])?;
    let mut silent = program("/usr/bin/python3", &[&python, "silent", "6"])?.start(scratch.path())?;
    let began = Instant::now();
    let dig = |args: &[&str]| -> Result<String> {
        let all = [&["+tries=1", "+timeout=2", "+noall", "+answer", "@127.0.0.1"], args].concat();
        process::run(&program("dig", &all)?)
    };
    dig(&["A", "dig.near.test", "+short"])?;
    dig(&["MX", "dig.near.test", "+nocookie"])?;
    dig(&["A", "nothing.none.test"])?;
    dig(&["A", "tcp.near.test", "+tcp"])?;
    dig(&["AAAA", "www.far.test", "-x", "192.0.2.77"])?;
    // There is no answer, so it fails.
    let refused = dig(&["-p", NOBODY, "A", "refused.test"]);
    ensure!(refused.is_err(), "who listens on port {NOBODY}?");
    let said = process::run(&program(
        "/usr/bin/python3",
        &[&python, "glibc", "glibc.near.test", "www.far.test", "glibc.none.test"],
    )?)?;
    ensure!(said.contains("glibc.near.test 192.0.2.1"), "getaddrinfo said {said}");
    process::run(&program("/usr/bin/python3", &[&python, "plain", "53", "p0.near.test", "p1.near.test"])?)?;
    process::run(&program("node", &[&node, "53", "n0.near.test", "txt.near.test", "n1.near.test"])?)?;
    silent.wait(Duration::from_secs(20))?;
    ensure!(began.elapsed() > Duration::from_secs(6), "the silent lookup ended early: {}", silent.output());
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let (failed, absent) = check(&recording, near.pid(), near.queries()?)?;
    ensure!(failed > 0 && absent > 0, "{failed} failed, {absent} names do not exist");
    check(&recording, far.pid(), far.queries()?)?;
    check_clients(&recording, near.queries()?, far.queries()?)?;
    check_forwarded(&recording, near.pid(), far.pid())?;
    check_unanswered(&recording)?;
    Ok(format!("{} queries", near.queries()?.len() + far.queries()?.len()))
}

/// Those of this test: other programs of the host may look up what they like.
fn lookups(recording: &Recording, kind: Kind) -> impl Iterator<Item = &Span> {
    recording.trace.spans.iter().filter(move |span| {
        let name = span.tag("dns.question.name").unwrap_or_default();
        span.kind == kind && (name.ends_with(".test") || name.ends_with(".2.0.192.in-addr.arpa"))
    })
}

fn operations<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<String> {
    let mut operations: Vec<String> = spans.map(|span| span.operation.clone()).collect();
    operations.sort_unstable();
    operations
}

fn is_of(span: &Span, pid: u32) -> bool {
    span.tags.get("process.pid").and_then(serde_json::Value::as_u64) == Some(u64::from(pid))
}

/// What a server's log says, and its spans; those over TCP are answered by a child of it. How many failed, and how many asked for a name that
/// does not exist.
fn check(recording: &Recording, pid: u32, asked: Vec<String>) -> Result<(usize, usize)> {
    let clients: Vec<&Span> = lookups(recording, Kind::Client).collect();
    let own: Vec<&Span> = lookups(recording, Kind::Server)
        .filter(|span| {
            is_of(span, pid) || (asked.contains(&span.operation) && span.tag("net.transport").is_none())
        })
        .collect();
    ensure!(operations(own.iter().copied()) == asked, "{:?} of {asked:?}", operations(own.iter().copied()));
    let (mut failed, mut absent) = (0, 0);
    for span in own {
        ensure!(span.outcome().is_none(), "{} has the outcome {:?}", span.operation, span.outcome());
        let call = clients.iter().find(|call| Some(call.span_id.as_str()) == span.parent.as_deref());
        let call = call.with_context(|| format!("{} has no caller: {span:?}", span.operation))?;
        Trace::check_joined(call, span)?;
        ensure!(call.operation == span.operation, "{} is joined with {}", call.operation, span.operation);
        // A name that does not exist is an answer.
        let code = span.tag("dns.response_code");
        let error = code.filter(|code| !matches!(*code, "NOERROR" | "NXDOMAIN"));
        for end in [call, span] {
            ensure!(end.tag("dns.response_code") == code && end.tag("error.type") == error, "{end:?}");
        }
        failed += usize::from(error == Some("REFUSED"));
        absent += usize::from(code == Some("NXDOMAIN"));
    }
    Ok((failed, absent))
}

/// Who asked: each query once, and nothing else but the two that nobody answered.
fn check_clients(recording: &Recording, near: Vec<String>, far: Vec<String>) -> Result<()> {
    let mut expected = [near, far, vec!["A refused.test".to_owned(), "A silent.test".to_owned()]].concat();
    expected.sort_unstable();
    let told = operations(lookups(recording, Kind::Client));
    ensure!(told == expected, "{told:?}, and asked was {expected:?}");
    Ok(())
}

/// What the near resolver asks the far one stands below what it was asked.
fn check_forwarded(recording: &Recording, near: u32, far: u32) -> Result<()> {
    let mut count = 0;
    for call in lookups(recording, Kind::Client).filter(|call| is_of(call, near)) {
        let servers: Vec<&Span> = lookups(recording, Kind::Server).collect();
        let parent = servers.iter().find(|span| Some(span.span_id.as_str()) == call.parent.as_deref());
        let parent = parent.with_context(|| format!("{} was asked for nobody: {call:?}", call.operation))?;
        ensure!(is_of(parent, near) && parent.operation == call.operation, "{call:?} below {parent:?}");
        ensure!(servers.iter().any(|span| is_of(span, far) && span.trace_id == call.trace_id));
        count += 1;
    }
    ensure!(count > 0, "nothing was forwarded");
    Ok(())
}

fn check_unanswered(recording: &Recording) -> Result<()> {
    let find = |name: &str| {
        let mut all = lookups(recording, Kind::Client);
        all.find(|span| span.tag("dns.question.name") == Some(name)).context(name.to_owned())
    };
    let (silent, refused) = (find("silent.test")?, find("refused.test")?);
    for span in [silent, refused] {
        ensure!(span.outcome() == Some("unanswered"), "{}: {:?}", span.operation, span.tags);
        ensure!(span.tags.get("error").and_then(serde_json::Value::as_bool) == Some(true), "{:?}", span.tags);
    }
    ensure!((4999.0..5001.0).contains(&silent.duration_ms), "{} ms", silent.duration_ms);
    ensure!(refused.tag("error.type") == Some("ECONNREFUSED"), "{:?}", refused.tags);
    ensure!(refused.duration_ms < 1000.0, "{} ms", refused.duration_ms);
    Ok(())
}
