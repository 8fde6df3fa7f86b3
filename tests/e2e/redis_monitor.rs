//! Redis' MONITOR beside redis-py and ioredis: every command of which the server says that it executed it is one span on each side, with the
//! same verb, number of arguments, database and connection, and nothing else is. Lines that a monitor is sent, and what subscribers are, are no calls.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::process::{self, Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::redis::{self, Redis};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;
use tracer_tests::{pace, paths};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("redis-server"), Need::Command("redis-cli")];
const NODE: &[Need] = &[Need::Command("node")];
const ROUNDS: &str = "30";
/// Arguments of which each is shown as `?` (`docs/protocols.md`).
const SHOWN: usize = 8;

fn main() -> ExitCode {
    let python = || -> Result<Spec> {
        let script = paths::services_dir().join("redis_monitored.py");
        Ok(Spec::new(paths::deps_dir()?.join("venv/bin/python"))?.arg(script.to_string_lossy()))
    };
    let node = || -> Result<Spec> {
        let script = paths::services_dir().join("redis_monitored.js");
        let modules = paths::deps_dir()?.join("node/node_modules");
        Ok(Spec::new("node")?.arg(script.to_string_lossy()).env("NODE_PATH", modules.to_string_lossy()))
    };
    let tests = vec![
        test("redis_py", move || command_by_command(python()?)),
        test("ioredis", move || command_by_command(node()?)).needing(NODE),
    ];
    suite::run(NEEDS, tests)
}

/// `redis-cli MONITOR`, writing down what it is told.
struct Monitor {
    _process: Process,
    scratch: Scratch,
}

impl Monitor {
    fn start(redis: &Redis) -> Result<Self> {
        let scratch = Scratch::new()?;
        let process = Spec::new("redis-cli")?
            .args(["-p", &redis.port().to_string(), "MONITOR"])
            .start(scratch.path())?;
        let monitor = Self { _process: process, scratch };
        monitor.wait_for("OK\n")?;
        Ok(monitor)
    }

    fn text(&self) -> String {
        std::fs::read(self.scratch.join("redis-cli.output"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn wait_for(&self, part: &str) -> Result<String> {
        let deadline = Instant::now() + pace::limit(Duration::from_secs(10));
        loop {
            let text = self.text();
            if text.contains(part) {
                return Ok(text);
            }
            ensure!(Instant::now() < deadline, "no {part:?} in {text}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A command: the client's port, the number of the database, the statement as a span shows it.
type Ran = (u64, String, String);

fn command_by_command(client: Spec) -> Result<String> {
    let redis = redis::start()?;
    let early = Monitor::start(&redis)?;
    let port = redis.port().to_string();
    let tracer = Tracer::record(&["--port", &port])?;
    let late = Monitor::start(&redis)?;
    process::run(&client.args([&*port, ROUNDS]))?;
    let last = "the last command";
    process::run(&Spec::new("redis-cli")?.args(["-p", &port, "ECHO", last]))?;
    let monitored = early.wait_for(last)?;
    late.wait_for(last)?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;

    let mut logged: BTreeMap<Ran, usize> = BTreeMap::new();
    for line in monitored.lines().filter(|line| *line != "OK") {
        // What a script calls is no call of a client.
        if let Some(ran) = read(line).with_context(|| format!("MONITOR said {line:?}"))? {
            *logged.entry(ran).or_default() += 1;
        }
    }
    let spans: Vec<&Span> =
        recording.trace.spans.iter().filter(|span| span.tag("db.system") == Some("redis")).collect();
    let clients: HashMap<&str, &Span> = spans
        .iter()
        .filter(|span| span.kind == Kind::Client)
        .map(|span| (span.span_id.as_str(), *span))
        .collect();
    let mut told: BTreeMap<Ran, usize> = BTreeMap::new();
    let (mut served, mut monitors) = (0, 0);
    for span in spans.iter().filter(|span| span.kind == Kind::Server) {
        served += 1;
        let call = span.parent.as_deref().and_then(|parent| clients.get(parent));
        let call = call.with_context(|| format!("nobody asked for {span:?}"))?;
        Trace::check_joined(call, span)?;
        ensure!(call.tag("db.statement") == span.tag("db.statement"), "{call:?} is joined with {span:?}");
        for end in [call, span] {
            ensure!(end.outcome().is_none(), "{} ended as {:?}", end.operation, end.outcome());
        }
        let statement = span.tag("db.statement").unwrap_or_default().to_owned();
        if statement == "MONITOR" {
            monitors += 1;
            continue;
        }
        // What the server refuses it does not execute: this one knows no such subcommands of CLIENT.
        if statement.starts_with("CLIENT ") && span.tag("db.response.status_code") == Some("ERR") {
            continue;
        }
        let port = span.tags.get("net.peer.port").and_then(Value::as_u64).context("no port")?;
        let database = span.tag("db.instance").context("no database")?;
        *told.entry(ran(port, database, statement)).or_default() += 1;
    }
    ensure!(clients.len() == served, "{} commands at the clients, {served} at the server", clients.len());
    let keys = logged.keys().chain(told.keys());
    let wrong: Vec<String> = keys
        .filter(|key| logged.get(*key) != told.get(*key))
        .map(|key| format!("{key:?}: MONITOR {:?}, told {:?}", logged.get(key), told.get(key)))
        .collect();
    let (total, first) = (wrong.len(), wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n"));
    ensure!(wrong.is_empty(), "{total} differ:\n{first}");
    // The one that began before the tracer is sent lines only.
    ensure!(monitors == 1, "{monitors} MONITORs");
    // What the later monitor printed, it was sent. Lines that are longer than what is captured of a call hide where the next ones begin.
    let skipped = |why: &str| {
        let bytes = recording.ledger.value().pointer(&format!("/bytes_skipped/{why}"));
        bytes.and_then(Value::as_u64).with_context(|| format!("no counter of {why}"))
    };
    let unasked = skipped("response without a request")?;
    let counted = unasked + skipped("position in the stream lost")?;
    ensure!(unasked > 10_000 && counted >= late.text().len() as u64, "{unasked}, {counted} bytes unasked");
    let commands: usize = logged.values().sum();
    Ok(format!("{commands} commands on {} connections", ports(&logged)))
}

fn ports(logged: &BTreeMap<Ran, usize>) -> usize {
    let mut ports: Vec<u64> = logged.keys().map(|(port, ..)| *port).collect();
    ports.dedup();
    ports.len()
}

fn ran(port: u64, database: &str, statement: String) -> Ran {
    // Whether it was in the old database or the new one is a question of taste.
    let database = if statement.starts_with("SELECT ") { String::new() } else { database.to_owned() };
    (port, database, statement)
}

/// A line of MONITOR: `1339518083.107412 [0 127.0.0.1:60866] "set" "key" "it\"s"`. `None`: a script's.
fn read(line: &str) -> Result<Option<Ran>> {
    let (_, rest) = line.split_once(" [").context("no place")?;
    let (place, rest) = rest.split_once("] ").context("no end of the place")?;
    let (database, address) = place.split_once(' ').context("no database")?;
    if address == "lua" {
        return Ok(None);
    }
    let (_, port) = address.rsplit_once(':').context("no port")?;
    let words = words(rest)?;
    let (verb, arguments) = words.split_first().context("no command")?;
    let mut statement = verb.to_ascii_uppercase();
    let mut arguments = arguments;
    if matches!(&*statement, "CLIENT" | "CONFIG" | "OBJECT" | "COMMAND")
        && let Some((second, rest)) = arguments.split_first()
    {
        statement = format!("{statement} {}", second.to_ascii_uppercase());
        arguments = rest;
    }
    statement.push_str(&" ?".repeat(arguments.len().min(SHOWN)));
    if arguments.len() > SHOWN {
        statement.push_str(" ...");
    }
    Ok(Some(ran(port.parse()?, database, statement)))
}

/// Strings in quotes, with backslashes before what is special.
fn words(text: &str) -> Result<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), text);
    while let Some(inner) = rest.trim_start().strip_prefix('"') {
        let (mut word, mut chars) = (String::new(), inner.char_indices());
        let end = loop {
            match chars.next().context("no end of a string")? {
                (at, '"') => break at,
                (_, '\\') => word.extend(chars.next().map(|(_, next)| next)),
                (_, other) => word.push(other),
            }
        };
        words.push(word);
        rest = inner.get(end + 1..).unwrap_or_default();
    }
    ensure!(rest.trim().is_empty(), "what follows the strings is {rest:?}");
    Ok(words)
}
