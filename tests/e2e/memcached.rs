//! memcached, pymemcache (text), meta-memcache (meta) and python-binary-memcached: every command is one span at each end, joined, as the client and the server's own counters say.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::services::memcached;
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("memcached"), Need::PythonModule("pymemcache")];

/// Commands that each connection makes: this often each of those in the client's loop.
const ROUNDS: u64 = 40;

fn main() -> ExitCode {
    let mut tests = Vec::new();
    for connections in [1, 8] {
        tests.push(test(format!("pymemcache_{connections}"), move || {
            each_command_once(connections, Form::Text)
        }));
        tests.push(test(format!("binary_{connections}"), move || {
            each_command_once(connections, Form::Binary)
        }));
    }
    tests.push(test("meta_4", || each_command_once(4, Form::Meta)));
    suite::run(NEEDS, tests)
}

/// What the client speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Meta,
    Binary,
}

impl Form {
    /// The client, and whether its library is of PyPI.
    fn program(self) -> (&'static str, bool) {
        match self {
            Form::Text => ("memcached_client.py", false),
            Form::Meta => ("memcached_meta.py", true),
            Form::Binary => ("memcached_binary.py", true),
        }
    }

    /// Which commands the server counts how.
    fn counters(self) -> &'static [(&'static [&'static str], &'static [&'static str])] {
        match self {
            // An `mg` that sets a time counts as a touch.
            Form::Meta => &[(&["cmd_get", "cmd_touch"], &["mg"]), (&["cmd_set"], &["ms"])],
            Form::Text | Form::Binary => &[
                (&["cmd_get"], &["get", "gets"]),
                (&["cmd_set"], &["set", "add", "replace"]),
                (&["cmd_touch"], &["touch"]),
            ],
        }
    }
}

fn each_command_once(connections: u64, form: Form) -> Result<String> {
    let server = memcached::start()?;
    let before = server.stats()?;
    let tracer = Tracer::record(&[])?;
    let (program, needs_pypi) = form.program();
    let said = server.client(program, needs_pypi, &[&connections.to_string(), &ROUNDS.to_string()])?;
    std::thread::sleep(Duration::from_millis(200));
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let after = server.stats()?;
    let parse = |line: &str| {
        let (name, count) = line.split_once(' ').with_context(|| format!("the client said {line:?}"))?;
        Ok((name.to_owned(), count.parse()?))
    };
    let expected: BTreeMap<String, u64> = said.lines().map(parse).collect::<Result<_>>()?;

    let all: Vec<&Span> =
        recording.trace.spans.iter().filter(|span| span.tag("db.system") == Some("memcached")).collect();
    let count = |kind: Kind| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for span in all.iter().filter(|span| span.kind == kind) {
            *counts.entry(span.tag("db.operation").unwrap_or("-").to_owned()).or_default() += 1;
        }
        counts
    };
    for kind in [Kind::Client, Kind::Server] {
        ensure!(count(kind) == expected, "{kind:?}: {:?}, and the client made {expected:?}", count(kind));
    }
    // What the server counts besides: keys, not commands, where there are several.
    let rise = |name: &str| after.get(name).zip(before.get(name)).map(|(after, before)| after - before);
    let keys = |name: &[&str]| {
        let of = |span: &&&Span| {
            span.kind == Kind::Server && name.contains(&span.tag("db.operation").unwrap_or_default())
        };
        all.iter().filter(of).filter_map(|span| span.tags.get("memcached.key_count")?.as_u64()).sum::<u64>()
    };
    for (counters, commands) in form.counters() {
        let rise: Option<u64> = counters.iter().map(|counter| rise(counter)).sum();
        let keys = keys(commands);
        ensure!(rise == Some(keys), "{counters:?}: the server counted {rise:?}, and {keys} were told");
    }
    let refused = |span: &&&Span| span.tag("db.response.status_code") == Some("NON_NUMERIC");
    let refused = all.iter().filter(refused).count() as u64;
    // At both ends.
    let expected = if form == Form::Binary { 2 * connections * ROUNDS } else { 0 };
    ensure!(refused == expected, "{refused} of {expected} increments of a text are errors");

    let mut cut = 0;
    for span in &all {
        // Of several answers in one call that is longer than what is captured of it the last is not seen.
        let several =
            form == Form::Binary && span.tags.get("memcached.key_count").and_then(Value::as_u64) == Some(3);
        let is_cut = several && span.kind == Kind::Server && span.outcome() == Some("end-unframed");
        cut += u64::from(is_cut);
        ensure!(
            span.outcome().is_none() || is_cut,
            "{} has the outcome {:?}",
            span.operation,
            span.outcome()
        );
        ensure!(!format!("{:?}", span.tags).contains("secret"), "a key is shown: {:?}", span.tags);
        if span.kind == Kind::Server {
            let call = all.iter().find(|call| Some(call.span_id.as_str()) == span.parent.as_deref());
            Trace::check_joined(call.with_context(|| format!("{} has no caller", span.operation))?, span)?;
        }
    }
    ensure!(cut <= connections * ROUNDS / 4, "{cut} ends were not seen");
    Ok(format!("{} commands", all.len() / 2))
}
