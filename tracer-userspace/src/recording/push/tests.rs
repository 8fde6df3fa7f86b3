//! Against small servers in this process: what a collector may say, and what becomes of what was pushed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::*;
use crate::metrics::{Figures, Requests, samples};

const SPAN: &str = r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":null,"serviceName":"shop","operationName":"GET /","startTime":"2023-10-27T10:00:00.050123Z","duration":1.0,"tags":{"span.kind":"server"}}"#;
const TAKEN: &str = "200 OK";

/// A request, its head in lower case.
struct Asked {
    head: String,
    body: Vec<u8>,
}

/// Answers every request as it is told to, each connection in a thread; it goes with the tests.
fn server(answer: impl Fn(&Asked) -> &'static str + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(stream, &*answer));
        }
    });
    port
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Asked) -> &'static str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length?.trim().parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let status = answer(&Asked { head, body });
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).ok()?;
    }
}

fn start(port: u16, compresses: bool, pace: Pace) -> Push {
    let settings = Settings {
        place: Place::parse(&format!("otlp+json+http://127.0.0.1:{port}")).unwrap(),
        headers: Headers::default(),
        authorities: Authorities::default(),
        compresses,
        metrics: true,
    };
    Push::start(settings, OwnCalls::new(0), Host::default(), pace).unwrap()
}

fn push(mut push: Push, spans: usize) -> Delivery {
    for _ in 0..spans {
        push.span(SPAN.as_bytes());
    }
    push.finish(None)
}

fn spans_in(asked: &Asked) -> usize {
    String::from_utf8_lossy(&asked.body).matches("\"spanId\"").count()
}

#[test]
fn what_the_queue_does_not_hold_is_dropped_and_counted_and_nothing_waits_for_a_silent_collector() {
    // Nobody accepts: the kernel takes the connections, and the requests are never read.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut push = start(silent.local_addr().unwrap().port(), false, Pace::Live);
    for _ in 0..2 * queue::SPANS {
        push.span(SPAN.as_bytes());
    }
    let hurry = push.hurry();
    assert!(!hurry.up(), "nobody waits yet");
    let hurrying = thread::spawn(move || {
        while !hurry.up() {
            thread::yield_now();
        }
    });
    let delivery = push.finish(None);
    hurrying.join().unwrap();
    let Fates { given, delivered, undelivered } = delivery.spans;
    assert_eq!((given, delivered), (2 * queue::SPANS as u64, 0));
    assert_eq!(undelivered.values().sum::<u64>(), given);
    let of = |words: &str| undelivered.iter().find(|(why, _)| why.contains(words)).map(|(_, count)| *count);
    // What is under way has left the queue.
    assert!(
        of("the queue was full").is_some_and(|dropped| dropped > queue::SPANS as u64 / 2),
        "{undelivered:?}"
    );
    assert!(of("a second signal").is_some_and(|waiting| waiting >= queue::SPANS as u64), "{undelivered:?}");
}

#[test]
fn several_requests_are_under_way_at_once() {
    // None is answered before there are four.
    let together = Barrier::new(4);
    let port = server(move |_| {
        together.wait();
        TAKEN
    });
    let delivery = push(start(port, false, Pace::Patient), 4 * 512);
    assert_eq!((delivery.spans.delivered, delivery.spans.lost()), (4 * 512, 0));
}

#[test]
fn what_is_too_large_is_sent_in_parts_and_what_cannot_be_is_counted() {
    let port = server(|asked| if spans_in(asked) > 100 { "413 Content Too Large" } else { TAKEN });
    let delivery = push(start(port, false, Pace::Patient), 1_500);
    assert_eq!((delivery.spans.delivered, delivery.spans.lost()), (1_500, 0));
    let port = server(|_| "413 Content Too Large");
    let delivery = push(start(port, false, Pace::Patient), 9);
    assert_eq!(delivery.spans.delivered, 0);
    assert_eq!(
        delivery.spans.undelivered,
        BTreeMap::from([("it answered 413 Payload Too Large".to_owned(), 9)])
    );
}

#[test]
fn who_takes_nothing_compressed_gets_it_plain() {
    let encodings = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&encodings);
    // Two are under way when it says so.
    let together = Barrier::new(2);
    let port = server(move |asked| {
        let is_gzip = asked.head.contains("content-encoding: gzip") && asked.body.starts_with(&[0x1f, 0x8b]);
        seen.lock().unwrap().push(is_gzip);
        if !is_gzip {
            return TAKEN;
        }
        together.wait();
        "415 Unsupported Media Type"
    });
    let delivery = push(start(port, true, Pace::Patient), 2 * 512);
    assert_eq!((delivery.spans.delivered, delivery.spans.lost()), (2 * 512, 0));
    assert_eq!(*encodings.lock().unwrap(), [true, true, false, false]);
}

fn counted(requests: u64) -> Scrape {
    let mut counts = Requests::default();
    for _ in 0..requests {
        counts.add(&samples::span("shop", crate::exchange::Side::Server, "GET", "/", 5));
    }
    Scrape::of(Figures::default(), Some(&counts))
}

#[test]
fn the_last_counts_are_pushed_at_the_end() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let port = server(move |asked| {
        if asked.head.starts_with("post /v1/metrics ") {
            seen.lock().unwrap().push(asked.body.clone());
        }
        TAKEN
    });
    let push = start(port, false, Pace::Live);
    assert!(push.has_metrics());
    push.metrics(|| panic!("nobody asked so soon"));
    let last = counted(3);
    let all = points(&last);
    let delivery = push.finish(Some(last));
    let points = delivery.points.unwrap();
    assert_eq!((points.given, points.delivered, points.lost()), (all, all, 0));
    let bodies = bodies.lock().unwrap();
    let [body] = &bodies[..] else { panic!("{} pushes", bodies.len()) };
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    let shop = &body["resourceMetrics"][1]["scopeMetrics"][0]["metrics"];
    assert_eq!(
        (&shop[0]["name"], &shop[0]["sum"]["dataPoints"][0]["asInt"]),
        (&"tracer.requests".into(), &"3".into())
    );
    assert_eq!(shop[2]["histogram"]["dataPoints"][0]["bucketCounts"][0], "3");
}

#[test]
fn who_takes_no_metrics_gets_the_spans_all_the_same() {
    let port = server(|asked| if asked.head.contains("/v1/metrics ") { "404 Not Found" } else { TAKEN });
    let mut push = start(port, false, Pace::Live);
    push.span(SPAN.as_bytes());
    let last = counted(1);
    let all = points(&last);
    let delivery = push.finish(Some(last));
    assert_eq!((delivery.spans.delivered, delivery.spans.lost()), (1, 0));
    let reasons = BTreeMap::from([("it answered 404 Not Found".to_owned(), all)]);
    assert_eq!(delivery.points.unwrap().undelivered, reasons);
}

#[test]
fn from_a_file_no_metrics_are_pushed() {
    let port = server(|asked| if asked.head.contains("/v1/metrics ") { panic!("metrics") } else { TAKEN });
    let push = start(port, false, Pace::Patient);
    assert!(!push.has_metrics());
    assert_eq!(push.finish(Some(counted(1))).points, None);
}
