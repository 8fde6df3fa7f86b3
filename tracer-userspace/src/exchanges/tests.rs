use super::*;
use crate::analysis::Analysis;
use crate::causality::Evidence;
use crate::export::json::ToJson;
use crate::time::{ClockAnchor, Nanos};
use crate::trace::Span;

fn read(text: &str) -> (Exchanges, Vec<Refused>) {
    let mut refused = Vec::new();
    let exchanges = Exchanges::read(text.as_bytes(), &mut |line| refused.push(line)).unwrap();
    (exchanges, refused)
}

fn analysed(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut analysis = Analysis::new(ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 });
    read(text).0.observations(&mut |observation| analysis.observe(observation, &mut |span| spans.push(span)));
    analysis.finish(&mut |span| spans.push(span));
    spans
}

fn json(spans: &[Span]) -> Vec<serde_json::Value> {
    let one = |span: &Span| {
        let mut out = Vec::new();
        span.to_json(&mut out);
        serde_json::from_slice(&out).unwrap()
    };
    spans.iter().map(one).collect()
}

/// The id of the parent of each, by ids.
fn parents(spans: &[Span]) -> Vec<(String, Option<String>)> {
    let id = |span: &Span| span.tags.id().unwrap().to_owned();
    let parent = |span: &Span| spans.iter().find(|other| Some(other.span_id) == span.parent_span_id).map(id);
    let mut all: Vec<_> = spans.iter().map(|span| (id(span), parent(span))).collect();
    all.sort();
    all
}

fn pair(id: &str, parent: Option<&str>) -> (String, Option<String>) {
    (id.to_owned(), parent.map(str::to_owned))
}

/// The worked example of docs/exchanges.md.
fn example() -> String {
    let docs = include_str!("../../../docs/exchanges.md");
    let lines = docs.lines().filter_map(|line| line.strip_prefix("    {\"process\""));
    lines.map(|line| format!("{{\"process\"{line}\n")).collect()
}

#[test]
fn the_worked_example_gives_what_the_page_says() {
    let spans = analysed(&example());
    let expected = [
        pair("c1", Some("r1")),
        pair("c2", Some("r1")),
        pair("c3", Some("r2")),
        pair("r1", None),
        pair("r2", None),
        pair("s1", Some("c1")),
    ];
    assert_eq!(parents(&spans), expected);
    let all = json(&spans);
    let of = |id: &str| all.iter().find(|span| span["tags"]["tracer.id"] == id).unwrap();
    assert_eq!(of("r1")["serviceName"], "shop");
    assert_eq!(of("r1")["operationName"], "GET /cart?user=7");
    assert_eq!(of("r1")["startTime"], "2026-11-22T10:00:00.000000Z");
    assert_eq!(of("r1")["duration"], 9.0);
    assert_eq!(of("s1")["tags"]["tracer.link.evidence"], serde_json::json!(["connection"]));
    // Nothing is said that was not observed.
    for span in &all {
        for tag in
            ["http.method", "http.status_code", "net.transport", "http.request.bytes", "tracer.ttfb_ms"]
        {
            assert!(span["tags"].get(tag).is_none(), "{span}");
        }
    }
}

#[test]
fn the_order_of_the_lines_does_not_matter() {
    let forward = example();
    let mut lines: Vec<&str> = forward.lines().collect();
    lines.reverse();
    let other = lines.join("\n");
    assert_eq!(analysed(&forward), analysed(&other));
    lines.swap(0, 3);
    assert_eq!(analysed(&forward), analysed(&lines.join("\r\n\r\n")));
}

/// Two requests side by side, each with a call.
fn side_by_side(thread: impl Fn(u32) -> String) -> String {
    let line = |id: &str, kind: &str, thread: String, start: u64, end: u64| {
        format!(
            r#"{{"process":"p",{thread}"kind":"{kind}","operation":"o","start_ns":{start},"end_ns":{end},"id":"{id}"}}"#
        ) + "\n"
    };
    [
        line("r1", "server", thread(1), 1_000_000_000, 1_010_000_000),
        line("r2", "server", thread(2), 1_001_000_000, 1_009_000_000),
        line("c1", "client", thread(1), 1_002_000_000, 1_008_000_000),
        line("c2", "client", thread(2), 1_003_000_000, 1_007_000_000),
    ]
    .concat()
}

#[test]
fn threads_are_believed_where_they_are_told_and_only_there() {
    let told = side_by_side(|thread| format!(r#""thread":"worker-{thread}","#));
    let expected = [pair("c1", Some("r1")), pair("c2", Some("r2")), pair("r1", None), pair("r2", None)];
    assert_eq!(parents(&analysed(&told)), expected);
    let untold = analysed(&side_by_side(|_| String::new()));
    let threads = |spans: &[Span]| spans.iter().any(|span| span.tags.evidence.has(Evidence::Thread));
    assert!(!threads(&untold), "{untold:?}");
    assert!(json(&untold).iter().all(|span| span["tags"].get("thread.id").is_none()));
    // One line without a thread: the others could be anybody's too.
    let partly = side_by_side(|thread| if thread == 1 { r#""thread":1,"#.to_owned() } else { String::new() });
    assert_eq!(analysed(&partly), untold, "nothing follows from the thread that is told");
}

#[test]
fn what_happens_in_one_nanosecond_is_in_the_order_of_causes() {
    let line = |id: &str, kind: &str, start: u64, end: u64| {
        format!(
            r#"{{"process":"p","thread":1,"kind":"{kind}","operation":"o","start_ns":{start},"end_ns":{end},"id":"{id}"}}"#
        ) + "\n"
    };
    let second = 1_000_000_000;
    let text = [
        line("r", "server", second, second + 9_000),
        line("c1", "client", second, second + 4_000),
        line("c2", "client", second + 4_000, second + 9_000),
        line("next", "server", second + 9_000, second + 9_000),
    ]
    .concat();
    let spans = analysed(&text);
    let expected = [pair("c1", Some("r")), pair("c2", Some("r")), pair("next", None), pair("r", None)];
    assert_eq!(parents(&spans), expected);
    let durations: Vec<u64> = spans.iter().map(|span| span.duration).collect();
    assert!(durations.iter().all(|duration| [0, 4_000, 5_000, 9_000].contains(duration)), "{durations:?}");
}

#[test]
fn lines_that_are_wrong_are_refused_and_the_good_ones_used() {
    let good = side_by_side(|_| String::new());
    let long = format!("{{\"process\":\"{}\"}}", "x".repeat(MAX_LINE));
    let text = format!("not json\n\n  \n{good}{long}\n{{}}\n{good}{{\"process\":");
    let (exchanges, refused) = read(&text);
    assert_eq!(exchanges.len(), 8);
    let lines: Vec<u64> = refused.iter().map(|refused| refused.line).collect();
    assert_eq!(lines, [1, 8, 9, 14]);
    assert!(refused[1].why.contains("longer than"), "{refused:?}");
    assert!(refused.iter().all(|refused| refused.column > 0 && !refused.why.is_empty()), "{refused:?}");
    let (empty, refused) = read("");
    assert!(empty.is_empty() && refused.is_empty());
    assert!(analysed("").is_empty());
}

#[test]
fn processes_beyond_the_bound_are_refused() {
    let line = |process: usize| {
        format!(
            r#"{{"process":"p{process}","kind":"server","operation":"o","start_ns":1,"end_ns":2,"id":"i"}}"#
        ) + "\n"
    };
    let text: String = (0..MAX_PROCESSES + 5).chain([3]).map(line).collect();
    let (exchanges, refused) = read(&text);
    assert_eq!((exchanges.len(), refused.len()), (MAX_PROCESSES + 1, 5));
    let names: std::collections::BTreeSet<_> =
        analysed(&text).into_iter().map(|span| span.service_name.to_string()).collect();
    assert_eq!(names.len(), MAX_PROCESSES);
}
