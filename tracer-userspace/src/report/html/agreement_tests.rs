//! The same spans, counted by everything that counts spans: the end of a run, the metrics, `show`, `diff`, and the report. One number, wherever
//! it stands.

use std::collections::BTreeMap;

use super::map::Map;
use super::operations::{Operations, kind_number};
use crate::exchange::Side;
use crate::export::json::ToJson;
use crate::measure::Counts;
use crate::metrics::{Requests, samples};
use crate::report::compare::compare;
use crate::report::filter::Filter;
use crate::report::latency::Tally;
use crate::report::operations::operations;
use crate::report::tree::self_times;
use crate::spans::file::read_table;
use crate::spans::{Kind, Table};
use crate::trace::{Span, SpanId, TraceId};

/// Requests of two services and calls to what was not observed; some fail, some were not seen to their end, some both.
fn spans() -> Vec<Span> {
    let mut spans = Vec::new();
    for at in 0..500_u64 {
        let service = if at % 5 < 3 { "shop" } else { "stock" };
        let kind = if at % 7 < 5 { Side::Server } else { Side::Client };
        let url = match at % 4 {
            0 => format!("/users/{at}"),
            1 => "/api/v2/orders".to_owned(),
            2 => format!("/orders/{}/items", at * 7919),
            _ => "/".to_owned(),
        };
        let micros = 100 + (at * 7919) % 90_001;
        let mut span = samples::span(service, kind, if at % 3 == 0 { "GET" } else { "POST" }, &url, micros);
        span.trace_id = TraceId(at as u128 + 1);
        span.span_id = SpanId(at + 1);
        span.start_time = 1_700_000_000_000_000_000 + at * 3_000_000;
        span.tags.error = at % 11 == 0;
        span.tags.incomplete = at % 13 == 0;
        // Nothing was seen of some operation's end.
        if at == 499 {
            span.tags.method = "DELETE".into();
            span.tags.incomplete = true;
        }
        spans.push(span);
    }
    spans
}

fn table(spans: &[Span]) -> Table {
    let mut json = b"[".to_vec();
    for (at, span) in spans.iter().enumerate() {
        json.extend_from_slice(if at == 0 { b"\n" } else { b",\n" });
        span.to_json(&mut json);
    }
    json.extend_from_slice(b"\n]\n");
    read_table(json.as_slice()).unwrap()
}

/// By service, operation and kind: counts, quantiles.
type Told = BTreeMap<(String, String, u8), (Counts, [Option<u64>; 2])>;

#[test]
fn everything_that_counts_requests_comes_to_the_same_numbers() {
    let spans = spans();
    let table = table(&spans);
    let own = self_times(&table);

    let shown = operations(&table, &own, &Filter::default());
    let show: Told = shown
        .all
        .iter()
        .map(|one| {
            let key =
                (table.name(one.service).into(), table.name(one.operation).into(), kind_number(one.kind));
            (key, (one.counts, [50, 95].map(|percent| one.quantile(percent))))
        })
        .collect();
    assert!(show.len() > 8 && show.values().any(|(counts, [p50, _])| counts.requests > 0 && p50.is_none()));

    let report: Told = Operations::of(&table, &own)
        .listed
        .iter()
        .map(|one| {
            let tally = &one.tally;
            let counts = Counts { requests: tally.count, errors: tally.errors, incomplete: tally.incomplete };
            let is_any = counts.requests > counts.incomplete;
            let key = (table.name(one.service).into(), table.name(one.name).into(), one.kind);
            (key, (counts, [tally.p50, tally.p95].map(|nanos| is_any.then_some(nanos))))
        })
        .collect();
    assert_eq!(report, show);

    let kind = |kind: Kind| kind_number(kind);
    let diff: Told = compare((&table, &shown), (&table, &shown))
        .iter()
        .map(|one| {
            assert_eq!(one.before, one.after);
            let key = (one.service.to_string(), one.operation.to_string(), kind(one.kind));
            (key, (one.before.counts, [one.before.p50, one.before.p95]))
        })
        .collect();
    assert_eq!(diff, show);

    let mut requests = Requests::default();
    let mut tally = Tally::default();
    for span in &spans {
        requests.add(span);
        tally.add(span);
    }
    let metrics: BTreeMap<(String, String, u8), Counts> = requests
        .series()
        .iter()
        .map(|series| {
            let labels = &series.labels;
            let counts = Counts {
                requests: series.requests,
                errors: series.errors,
                incomplete: series.requests - series.durations().count(),
            };
            let key =
                (labels.service.to_string(), labels.operation.to_string(), kind(Kind::of(Some(labels.kind))));
            (key, counts)
        })
        .collect();
    let counts: BTreeMap<_, _> = show.iter().map(|(key, (counts, _))| (key.clone(), *counts)).collect();
    assert_eq!(metrics, counts);

    // At the end of a run services are told, by what they answered; in the report the map does.
    let map = Map::of(&table);
    for (service, summary) in tally.services() {
        let node = map.nodes.iter().find(|node| node.kind == 0 && table.name(node.name) == service).unwrap();
        let told = Counts {
            requests: node.tally.count,
            errors: node.tally.errors,
            incomplete: node.tally.incomplete,
        };
        assert_eq!(summary.counts, told);
        assert_eq!(summary.latency.max(), node.tally.max);
        for (percent, exact) in [(50, node.tally.p50), (95, node.tally.p95), (99, node.tally.p99)] {
            let about = summary.latency.quantile(percent);
            assert!(about >= exact && about <= exact + exact / 128, "p{percent}: {about} and {exact}");
        }
    }
    assert_eq!(tally.services().count(), 2);
}
