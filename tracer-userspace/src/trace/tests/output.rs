//! What comes out, byte for byte.

use super::scenario::*;
use super::sim::Sim;
use crate::export::json::ToJson;

/// The documented form of a span. A change here is a change of the file format.
#[test]
fn a_span_looks_like_this() {
    let mut w = World::default();
    let from = w.pipe(None, Some(1));
    let request = w.exchange(from, "/users?page=2");
    w.status(request, 503);
    w.recv(request, 1_234_567, tid(1, 0));
    let to = w.pipe(Some(1), Some(2));
    let x = w.exchange(to, "/b");
    w.call(x, 2 * MS, tid(1, 0), tid(2, 0), 5 * MS);
    w.reply(request, 151_484_999, tid(1, 0));
    let json = String::from_utf8(w.run().json).unwrap();
    let lines: Vec<&str> = json.lines().collect();
    assert_eq!(
        lines[0],
        concat!(
            r#"{"traceId":"a6bfe34d5a3d235850cdb8579097dfab","spanId":"39a206dc711a20e6","parentSpanId":null,"serviceName":"front","operationName":"GET /users","#,
            r#""startTime":"2023-11-14T22:13:20.001234Z","duration":150.25,"tags":{"http.method":"GET","#,
            r#""http.url":"/users?page=2","http.host":"svc","http.status_code":503,"span.kind":"server","error":true,"#,
            r#""process.pid":1,"thread.id":1000,"net.peer.ip":"10.0.0.1","net.peer.port":10000,"#,
            r#""http.request.bytes":100,"http.response.bytes":300,"tracer.ttfb_ms":150.25}}"#
        )
    );
    assert!(lines[1].contains(r#""tracer.link.evidence":["thread"]"#), "{}", lines[1]);
    for line in &lines {
        let value: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        assert_eq!(value.len(), 8);
        let hex = |key: &str, digits| {
            let text = value[key].as_str().unwrap();
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        assert!(hex("traceId", 32) && hex("spanId", 16));
    }
}

fn busy(sim: &mut Sim, x: X, client: u32) {
    let thread = tid(1, client % 3);
    sim.ready(thread, move |sim| {
        sim.world.recv(x, sim.now, thread);
        sim.call(Some(x), thread, "/b", thread, move |sim, call| {
            sim.ready(thread, move |sim| {
                sim.read(call, thread, thread);
                sim.world.reply(x, sim.now + US, thread);
                sim.answered(x, client, busy);
            });
        });
    });
}

#[test]
fn the_order_of_arrival_within_the_reorder_window_does_not_show() {
    let mut sim = Sim::new(7, 300 * MS);
    sim.clients(16, 1, busy);
    let world = sim.run();
    let mut feed = world.feed.clone();
    feed.sort_by_key(Feed::at);
    let straight = world.run_in_order(&feed);
    assert!(straight.spans.len() > 300);
    let mut random = Sim::new(99, 0);
    for _ in 0..3 {
        // Shuffled within 2 ms; the watermark is 5 ms behind.
        let mut shuffled: Vec<(u64, Feed)> =
            feed.iter().map(|item| (item.at() + random.below(2 * MS), item.clone())).collect();
        shuffled.sort_by_key(|(at, _)| *at);
        let shuffled: Vec<Feed> = shuffled.into_iter().map(|(_, item)| item).collect();
        let again = world.run_in_order(&shuffled);
        assert!(again.json == straight.json, "the same input, in another order, gave other bytes");
    }
}

/// CPU time of this thread, ns: other work on the machine must not count.
fn cpu() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result, and the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// One exchange through the engine and into JSON. Run by hand, in release:
/// `cargo test --release -p tracer-userspace --lib -- --ignored --nocapture speed`.
#[test]
#[ignore = "a measurement, not a check"]
fn speed() {
    let mut sim = Sim::new(7, 300 * MS);
    sim.clients(256, 1, busy);
    let world = sim.run();
    let mut feed = world.feed.clone();
    feed.sort_by_key(Feed::at);
    let exchanges =
        feed.iter().filter(|item| matches!(item, Feed::Step(crate::exchange::Step::Request { .. }))).count()
            as u32;
    for json in [false, false, true, true] {
        let feed = feed.clone();
        let (mut buffer, mut bytes) = (Vec::with_capacity(1 << 20), 0);
        let begin = cpu();
        let stats = world.stream(feed, &mut |span| {
            if json {
                span.to_json(&mut buffer);
                if buffer.len() > 1 << 16 {
                    bytes += buffer.len();
                    buffer.clear();
                }
            }
        });
        let took = (cpu() - begin) / u64::from(exchanges);
        eprintln!("json {json}: {took} ns per exchange, {exchanges} exchanges, {bytes} bytes, {stats:?}");
    }
}

/// What one undecided span and one waiting step cost; [`crate::trace::Limits`] are set by it.
#[test]
fn records_are_not_larger_than_the_limits_presume() {
    assert!(
        size_of::<crate::trace::record::Record>() <= 528,
        "{}",
        size_of::<crate::trace::record::Record>()
    );
    assert!(size_of::<crate::exchange::Step>() <= 208, "{}", size_of::<crate::exchange::Step>());
}
