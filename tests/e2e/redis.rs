//! Redis and its clients: every command that the server counted is one span on each side, and nothing else is; what the clients
//! measured contains their spans.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::paths;
use tracer_tests::process::{self, Spec};
use tracer_tests::services::redis;
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("redis-server"), Need::Command("redis-cli")];

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for protocol in [2, 3] {
        tests.push(test(format!("redis_py_resp{protocol}"), move || redis_py(protocol)));
    }
    for pipeline in [1, 16] {
        tests.push(test(format!("redis_benchmark_{pipeline}"), move || redis_benchmark(pipeline)));
    }
    suite::run(NEEDS, tests)
}

fn of_kind(trace: &Trace, kind: Kind) -> Vec<&Span> {
    let is_redis = |span: &&Span| span.kind == kind && span.tag("db.system") == Some("redis");
    trace.spans.iter().filter(is_redis).collect()
}

fn counted(spans: &[&Span]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for span in spans {
        // What the server refuses it does not count: this one knows no such subcommands of CLIENT.
        let name = span.tag("db.operation").unwrap_or_default();
        if name.starts_with("CLIENT ") && span.tag("db.response.status_code") == Some("ERR") {
            continue;
        }
        *counts.entry(span.tag("db.operation").unwrap_or_default().to_owned()).or_insert(0) += 1;
    }
    counts
}

fn redis_py(protocol: u32) -> Result<String> {
    let redis = redis::start()?;
    redis.reset()?;
    let tracer = Tracer::record(&["--port", &redis.port().to_string()])?;
    let python = paths::deps_dir()?.join("venv/bin/python");
    let said = process::run(
        &Spec::new(&python)?.arg(paths::services_dir().join("redis_client.py").to_string_lossy()).args([
            redis.port().to_string(),
            protocol.to_string(),
            "4".into(),
            "60".into(),
        ]),
    )?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let (servers, clients) =
        (of_kind(&recording.trace, Kind::Server), of_kind(&recording.trace, Kind::Client));
    let counts = redis.counts()?;
    ensure!(counted(&servers) == counts, "the server counted {counts:?}, not {:?}", counted(&servers));
    ensure!(counted(&clients) == counts, "the server counted {counts:?}, not {:?}", counted(&clients));
    for client in &clients {
        // The parts of a long list are not all captured: then its end is that of its last byte.
        ensure!(matches!(client.outcome(), None | Some("end-unframed")), "{client:?} did not end");
        let shown = client.tag("db.statement").unwrap_or_default();
        ensure!(!shown.contains("key") && !shown.contains("vv"), "{shown} shows an argument");
    }
    let joined =
        servers.iter().filter(|server| server.evidence().is_some_and(|all| all.contains("connection")));
    ensure!(joined.count() == servers.len(), "not every server span has its client");

    let measured: Vec<(u64, String, u64, u64)> =
        serde_json::from_str(&said).context("what the client said")?;
    let mut by_thread: HashMap<u64, Vec<&Span>> = HashMap::new();
    for client in &clients {
        let thread = client.tags.get("thread.id").and_then(Value::as_u64).context("no thread")?;
        by_thread.entry(thread).or_default().push(client);
    }
    let mut compared = 0;
    for (thread, spans) in &mut by_thread {
        spans.sort_by_key(|span| span.start_ns);
        let measured: Vec<_> = measured.iter().filter(|one| one.0 == *thread).collect();
        // In a pipeline several begin at one time: names are compared as sets of each time.
        for (_, name, begin, end) in measured {
            let near = |span: &&&Span| {
                let last = span.start_ns + (span.duration_ms * 1e6) as u64;
                // Both clocks are written in microseconds.
                span.tag("db.operation") == Some(name)
                    && span.start_ns + 2_000 >= *begin
                    && last <= *end + 2_000
            };
            let found = spans.iter().filter(near).count();
            ensure!(found == 1, "{name} from {begin} to {end} on thread {thread} is {found} spans");
            compared += 1;
        }
    }
    let errors =
        clients.iter().filter(|span| span.tag("db.response.status_code") == Some("WRONGTYPE")).count();
    ensure!(errors == 4 * 60, "{errors} errors");
    let waits = clients.iter().filter(|span| span.tag("db.redis.blocking").is_some()).count();
    ensure!(waits == 4 * 3, "{waits} commands that wait");
    Ok(format!("{} commands, {compared} within what the client measured", clients.len()))
}

fn redis_benchmark(pipeline: u32) -> Result<String> {
    let redis = redis::start()?;
    redis.reset()?;
    let tracer = Tracer::record(&["--pid", &redis.pid().to_string()])?;
    process::run(
        &Spec::new("redis-benchmark")?
            .args([
                "-p",
                &redis.port().to_string(),
                "-c",
                "8",
                "-n",
                "4000",
                "-q",
                "-t",
                "set,get,lpush,mset",
            ])
            .args(["-P", &pipeline.to_string()]),
    )?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let servers = of_kind(&recording.trace, Kind::Server);
    let (counts, ours) = (redis.counts()?, counted(&servers));
    ensure!(ours.keys().eq(counts.keys()), "the server counted {counts:?}, not {ours:?}");
    // All were, in each of 24 runs, ten of them beside two programs that kept both processors busy.
    let least = 0.98;
    for (name, count) in &counts {
        let seen = ours.get(name).copied().unwrap_or(0);
        let share = seen as f64 / *count as f64;
        ensure!((least..=1.0).contains(&share), "{seen} of {count} {name}");
    }
    let total: u64 = counts.values().sum();
    Ok(format!("{} of {total} commands, {pipeline} at a time, none twice", servers.len()))
}
