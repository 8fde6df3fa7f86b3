//! Celery over Redis and RabbitMQ: what a task does hangs below the request that queued it, or nowhere.
//!
//! Requests come several at once. Each names itself in its path, and its task calls back with the same name: the tracer knows nothing of
//! that, and the test compares.

use std::collections::HashMap;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::process::{Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{rabbitmq, redis};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;
use tracer_tests::{net, pace, paths};

const NEEDS: &[Need] = &[Need::Tracer];
const REDIS: &[Need] = &[Need::Command("redis-server")];
const RABBITMQ: &[Need] = &[Need::File("/usr/lib/rabbitmq/bin", "rabbitmq-server", "")];

/// Requests, and how many of them come at once.
const REQUESTS: usize = 24;
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("celery_over_redis", || {
                let redis = redis::start()?;
                // The first may be the answer to what the worker asked before the tracer came.
                celery(&format!("redis://127.0.0.1:{}/0", redis.port()), false, 1, (0.9, 0.9))
            })
            .needing(REDIS),
            test("celery_over_rabbitmq", || {
                let rabbitmq = rabbitmq::start()?;
                // What is published in the moment in which its connection is recognised is not seen whole, so it has no name: those are
                // the first four.
                let one = celery(&rabbitmq.url(), true, 1, (0.75, 0.75))?;
                // Two messages are open at a time, both of them taken and neither acknowledged until the work on both is done: whose a call
                // is stays open then. 7 to 13 of 24 were found.
                let two = celery(&rabbitmq.url(), true, 2, (0.75, 0.2))?;
                Ok(format!("one message at a time: {one}; two: {two}"))
            })
            .needing(RABBITMQ),
        ],
    )
}

fn start(scratch: &Scratch, program: &str, args: &[&str], broker: &str, late: bool) -> Result<Process> {
    Spec::new(paths::deps_dir()?.join("venv/bin").join(program))?
        .args(args.iter().copied())
        .env("BROKER", broker)
        .env("LATE", if late { "1" } else { "0" })
        .in_directory(scratch.path())
        .start(scratch.path())
}

/// `late`: the worker acknowledges a message when its task is done. `open`: of so many tasks at a time it thinks itself capable, which is how many
/// messages RabbitMQ gives it before it acknowledges any. `least`: the share of messages, and of the calls of tasks, that must be found under
/// their requests.
fn celery(broker: &str, late: bool, open: u32, least: (f64, f64)) -> Result<String> {
    let scratch = Scratch::new()?;
    let program = scratch.stage("queue_app.py")?;
    let port = net::free_port()?;
    let mut web = start(&scratch, "python", &[&program.to_string_lossy(), &port.to_string()], broker, late)?;
    net::wait_for_port(port, &mut web)?;
    let other = Scratch::new()?;
    other.stage("queue_app.py")?;
    let open = open.to_string();
    let worker =
        ["-A", "queue_app", "worker", "-P", "solo", "-c", &open, "-n", "one@here", "--loglevel=INFO"];
    let mut worker = start(&other, "celery", &worker, broker, late)?;
    let log = worker.log().context("the worker has no log")?.to_path_buf();
    let said = |what: &str| std::fs::read_to_string(&log).map_or(0, |text| text.matches(what).count());
    net::wait("its queue", &mut worker, || said("one@here ready") > 0)?;
    let tracer = Tracer::record(&[])?;
    for batch in 0..REQUESTS / AT_ONCE {
        let mut open = Vec::new();
        for number in 0..AT_ONCE {
            let mut connection = Connection::open(port)?;
            connection.get(&format!("/start/t{}", batch * AT_ONCE + number))?;
            open.push(connection);
        }
        for mut connection in open {
            connection.answer()?;
        }
        thread::sleep(pace::limit(Duration::from_millis(150)));
    }
    net::wait("the last task", &mut worker, || said(" succeeded in ") >= REQUESTS)?;
    // The last message is acknowledged, and what is still on its way is read.
    thread::sleep(pace::limit(Duration::from_millis(300)));
    let recording = tracer.stop()?;
    judge(&recording.trace, least)
}

fn judge(trace: &Trace, (messages, calls): (f64, f64)) -> Result<String> {
    let by_id: HashMap<&str, &Span> = trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let above = |span: &Span| {
        let mut path = Vec::new();
        let mut at = span.parent.clone();
        while let Some(parent) = at.as_deref().and_then(|id| by_id.get(id)) {
            path.push(*parent);
            at.clone_from(&parent.parent);
        }
        path
    };
    let (mut found, mut tasks, mut taken) = (0, 0, 0);
    for call in trace.clients("/callback/") {
        tasks += 1;
        let name = call.target().trim_start_matches("/callback/");
        let above = above(call);
        let start =
            above.iter().find(|span| span.kind == Kind::Server && span.target().starts_with("/start/"));
        if let Some(start) = start {
            let is_its = start.target() == format!("/start/{name}");
            ensure!(is_its, "{} hangs below {}", call.target(), start.target());
            ensure!(
                above.iter().any(|span| span.evidence().is_some_and(|all| all.contains("message"))),
                "{name} has no message between"
            );
            found += 1;
        }
    }
    ensure!(tasks == REQUESTS, "{tasks} tasks called back");
    for message in trace.spans.iter().filter(|span| span.tag("span.kind") == Some("consumer")) {
        let above = above(message);
        let is_task = above.iter().any(|span| span.target().starts_with("/start/"));
        taken += usize::from(is_task && message.evidence().is_some_and(|all| all.contains("message")));
    }
    let share = |found: usize| found as f64 / REQUESTS as f64;
    ensure!(share(taken) >= messages, "only {taken} of {REQUESTS} messages hang below their requests");
    ensure!(share(found) >= calls, "only {found} of {tasks} calls were found");
    Ok(format!(
        "{taken} messages under their requests, {found} of {tasks} calls of tasks below them, none wrong"
    ))
}
