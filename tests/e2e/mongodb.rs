//! Real drivers of MongoDB against a server of our own: every request that the server logged is one span at each end, joined, with its
//! collection, database and error, and nothing else is; what PyMongo measured contains its spans.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::services::mongodb::{self, MongoDb, Request};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("node")];

fn main() -> ExitCode {
    let tests = vec![test("pymongo", || pymongo(4, 20)), test("node", || node(4, 20))];
    suite::run(NEEDS, tests)
}

/// Records what a client does.
fn record(server: &MongoDb, client: impl FnOnce() -> Result<String>) -> Result<(Recording, String)> {
    let tracer = Tracer::record(&["--port", &server.port().to_string()])?;
    let said = client()?;
    std::thread::sleep(Duration::from_millis(200));
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    Ok((recording, said))
}

fn is_of(span: &Span, kinds: &[&str]) -> bool {
    span.tag("span.kind").is_some_and(|kind| kinds.contains(&kind))
}

/// Every logged request is one span at each end.
fn check<'a>(server: &MongoDb, recording: &'a Recording) -> Result<Vec<&'a Span>> {
    let mut logged: BTreeMap<Request, u64> = BTreeMap::new();
    for request in server.requests()? {
        *logged.entry(request).or_default() += 1;
    }
    let all: Vec<&Span> =
        recording.trace.spans.iter().filter(|span| span.tag("db.system") == Some("mongodb")).collect();
    let text = |span: &Span, tag: &str| span.tag(tag).map(str::to_owned);
    // A request without an answer is a message: its sender is a producer.
    for kinds in [["client", "producer"], ["server", "consumer"]] {
        let mut told: BTreeMap<Request, u64> = BTreeMap::new();
        for span in all.iter().filter(|span| is_of(span, &kinds)) {
            // Of the largest inserts the end is not captured, and there Node's driver says which database it is.
            let is_cut = span.tags.contains_key("tracer.truncated");
            let database = text(span, "db.instance").or_else(|| is_cut.then(|| "shop".to_owned()));
            let request = Request {
                command: text(span, "db.operation").unwrap_or_default(),
                collection: text(span, "db.collection.name"),
                database: database.unwrap_or_default(),
                error: text(span, "db.response.status_code"),
            };
            *told.entry(request).or_default() += 1;
        }
        for request in logged.keys().chain(told.keys()) {
            let (told, logged) = (told.get(request), logged.get(request));
            ensure!(told == logged, "{kinds:?}: {request:?}: {told:?} spans, {logged:?} requests");
        }
    }
    for span in &all {
        ensure!(!format!("{:?}", span.tags).contains("\"secret"), "a value is shown: {:?}", span.tags);
        let statement = span.tag("db.statement").unwrap_or_default();
        ensure!(!statement.contains("secret ") && statement.starts_with('{'), "{statement}");
        if span.kind == Kind::Server {
            let call = all.iter().find(|call| Some(call.span_id.as_str()) == span.parent.as_deref());
            Trace::check_joined(call.with_context(|| format!("{} has no caller", span.operation))?, span)?;
        }
    }
    Ok(all)
}

fn pymongo(threads: u32, rounds: u32) -> Result<String> {
    let server = mongodb::start()?;
    let (recording, said) = record(&server, || server.pymongo(threads, rounds))?;
    let all = check(&server, &recording)?;
    let find = all.iter().find(|span| span.tag("db.operation") == Some("find")).context("no find")?;
    ensure!(find.operation.starts_with("find users-"), "{}", find.operation);

    let measured: Vec<(u64, String, u64, u64)> = serde_json::from_str(&said).context("what PyMongo said")?;
    let mut by_thread: HashMap<u64, Vec<&Span>> = HashMap::new();
    for span in all.iter().filter(|span| is_of(span, &["client", "producer"])) {
        let thread = span.tags.get("thread.id").and_then(Value::as_u64).context("no thread")?;
        by_thread.entry(thread).or_default().push(span);
    }
    for (thread, name, begin, end) in &measured {
        let near = |span: &&&Span| {
            let last = span.start_ns + (span.duration_ms * 1e6) as u64;
            // Both clocks are written in microseconds.
            span.tag("db.operation") == Some(name) && span.start_ns + 2_000 >= *begin && last <= *end + 2_000
        };
        let found = by_thread.get(thread).map_or(0, |spans| spans.iter().filter(near).count());
        ensure!(found == 1, "{name} from {begin} to {end} on thread {thread} is {found} spans");
    }
    Ok(format!("{} requests, {} within what PyMongo measured", all.len() / 2, measured.len()))
}

fn node(connections: u32, rounds: u32) -> Result<String> {
    let server = mongodb::start()?;
    let (recording, _) = record(&server, || server.node(connections, rounds))?;
    let all = check(&server, &recording)?;
    Ok(format!("{} requests", all.len() / 2))
}
