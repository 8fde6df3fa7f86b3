//! Real clients of Kafka against librdkafka's broker for tests: every message that was delivered is one span at each end, joined, within
//! what its producer measured; requests are as many as librdkafka counted; what consumers took is as much as they say.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::services::kafka;
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer];
/// Messages of each kind.
const COUNT: u32 = 40;

fn main() -> ExitCode {
    let tests = vec![
        test("librdkafka", || compare("kafka_confluent.py")),
        test("kafka_python", || compare("kafka_python.py")),
    ];
    suite::run(NEEDS, tests)
}

/// What a client says: requests by name, where it counts them (not those of its consumer); of each message that was sent alone its
/// offset, and when it was sent and delivered, ns since 1970; messages that its consumer took.
type Said = (BTreeMap<String, u64>, Vec<(i64, u64, u64)>, u64);

fn compare(client: &str) -> Result<String> {
    let broker = kafka::start()?;
    let tracer = Tracer::record(&["--port", &broker.port()?.to_string()])?;
    let (requests, deliveries, said): Said =
        serde_json::from_str(&broker.client(client, COUNT)?).context("what the client said")?;
    std::thread::sleep(Duration::from_millis(200));
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;

    let all: Vec<&Span> =
        recording.trace.spans.iter().filter(|span| span.tag("messaging.system") == Some("kafka")).collect();
    let of = |kind: &str, operation: &str| -> Vec<&Span> {
        let is_one = |span: &&&Span| {
            span.tag("span.kind") == Some(kind) && span.tag("messaging.operation") == Some(operation)
        };
        all.iter().filter(is_one).copied().collect()
    };
    for span in &all {
        ensure!(!format!("{:?}", span.tags).contains("secret"), "a message is shown: {:?}", span.tags);
        if span.kind == Kind::Server {
            let call = all.iter().find(|call| Some(call.span_id.as_str()) == span.parent.as_deref());
            Trace::check_joined(call.with_context(|| format!("{} has no caller", span.operation))?, span)?;
        }
    }

    // What was sent alone, by its delivery.
    let published = of("producer", "publish");
    for (offset, begin, end) in &deliveries {
        let near = |span: &&&Span| {
            let last = span.start_ns + (span.duration_ms * 1e6) as u64;
            // Both clocks are written in microseconds.
            span.operation == "publish orders" && span.start_ns + 2_000 >= *begin && last <= *end + 2_000
        };
        let found = published.iter().filter(near).count();
        ensure!(found == 1, "message {offset}, delivered from {begin} to {end}, is {found} spans");
    }
    ensure!(deliveries.len() == COUNT as usize, "{} deliveries", deliveries.len());

    // As many as the client counted. The broker's end has the same.
    let sent = requests.get("Produce").copied().unwrap_or(u64::from(COUNT) + 1);
    ensure!(published.len() as u64 == sent, "{} spans, {sent} requests", published.len());
    let handled = all.iter().filter(|span| {
        span.tag("messaging.operation") == Some("publish") && span.tag("span.kind") != Some("producer")
    });
    ensure!(handled.count() as u64 == sent, "the broker's end has not {sent}");
    let (calls, handled) = (count(&all, "client"), count(&all, "server"));
    ensure!(calls == handled, "clients made {calls:?}, the broker answered {handled:?}");

    // What consumers took.
    let taken: u64 = of("consumer", "receive")
        .iter()
        .map(|span| {
            span.tags.get("messaging.batch.message_count").and_then(serde_json::Value::as_u64).unwrap_or(1)
        })
        .sum();
    ensure!(taken == said, "{taken} messages were taken, the consumer says {said}");
    let waits = of("client", "fetch");
    let blocking = waits.iter().filter(|span| span.tag("messaging.kafka.blocking").is_some()).count();
    ensure!(blocking == waits.len() && blocking > 0, "{blocking} of {} fetches wait", waits.len());
    Ok(format!(
        "{} published, {taken} taken, {} other requests",
        published.len(),
        calls.values().sum::<u64>()
    ))
}

/// Calls by operation.
fn count(all: &[&Span], kind: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for span in all.iter().filter(|span| span.tag("span.kind") == Some(kind)) {
        *counts.entry(span.operation.clone()).or_default() += 1;
    }
    counts
}
