//! Whole pages, unpacked again.

use std::io::Read;

use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::read::ZlibDecoder;
use serde_json::{Value, json};

use super::*;
use crate::causality::Evidence;
use crate::spans::file::{read_again, read_table};

fn span(trace: u64, id: u64, parent: Option<u64>, who: (&str, &str), at: (u64, u64), tags: Value) -> Value {
    json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:x}"), "parentSpanId": parent.map(|id| format!("{id:x}")),
        "serviceName": who.0, "operationName": who.1,
        "startTime": format!("2026-11-22T10:00:00.{:06}Z", at.0), "duration": at.1 as f64 / 1e3, "tags": tags,
    })
}

/// A request to a shop, which asks a stock that was observed and a database that was not.
fn shop(trace: u64, millis: u64, failed: bool) -> Vec<Value> {
    let length = millis * 1_000;
    let stock = ("stock", "GET /stock");
    let db = json!({"span.kind": "client", "db.system": "postgresql", "db.instance": "shop"});
    vec![
        span(trace, 1, None, ("shop", "GET /"), (0, length), json!({"span.kind": "server", "error": failed})),
        span(trace, 2, Some(1), ("shop", "GET /stock"), (100, length / 2), json!({"span.kind": "client"})),
        span(
            trace,
            3,
            Some(2),
            stock,
            (150, length / 4),
            json!({"span.kind": "server", "http.status_code": 200}),
        ),
        span(trace, 4, Some(1), ("shop", "SELECT items"), (100 + length / 2, length / 4), db),
    ]
}

fn made(spans: &[Value], limits: Limits, account: Option<&Account>) -> (Page, Value, Vec<Value>) {
    let file = serde_json::to_vec(spans).unwrap();
    let table = read_table(file.as_slice()).unwrap();
    let again = |place: Place, each: &mut dyn FnMut(&FileSpan<'_>)| {
        let from = place.offset as usize;
        each(&read_again(&file[from..from + place.len as usize]).unwrap());
    };
    let page =
        page(&Input { table: &table, source: "traces.json", account, remarks: &[] }, &again, limits).unwrap();
    let text = String::from_utf8(page.bytes.clone()).unwrap();
    let part = |id: &str| {
        let begin = format!("<script type=\"text/plain\" id=\"{id}\">");
        let packed = text.split_once(&begin)?.1.split_once("</script>")?.0;
        let mut json = Vec::new();
        ZlibDecoder::new(BASE64_STANDARD.decode(packed).unwrap().as_slice()).read_to_end(&mut json).unwrap();
        Some(serde_json::from_slice(&json).unwrap())
    };
    let blocks = (0..).map_while(|number| part(&format!("block{number}"))).collect();
    let main = part("main").unwrap();
    (page, main, blocks)
}

#[test]
fn a_page_carries_sums_operations_the_map_and_every_tag() {
    let spans: Vec<Value> = (0..4).flat_map(|trace| shop(trace, 10 + trace, trace == 3)).collect();
    let (page, main, blocks) = made(&spans, Limits::default(), None);
    assert_eq!((page.traces, page.unread, blocks.len()), (4, 0, 1));
    let name = |number: &Value| main["names"][number.as_u64().unwrap() as usize].as_str().unwrap();
    let totals = &main["totals"];
    assert_eq!(
        ["traces", "spans", "services", "operations", "failing", "errors", "certain", "unlinked", "torn"]
            .map(|name| totals[name].as_u64().unwrap()),
        [4, 16, 2, 4, 1, 1, 12, 0, 0]
    );
    assert_eq!((totals["observed"].as_u64(), &main["ledger"]), (Some(6_600_000), &Value::Null));
    let root =
        main["operations"].as_array().unwrap().iter().find(|one| name(&one["name"]) == "GET /").unwrap();
    assert_eq!([&root["count"], &root["errors"], &root["p50"], &root["max"]], [4, 1, 11_000_000, 13_000_000]);

    let node = |number: &Value| &main["map"]["nodes"][number.as_u64().unwrap() as usize];
    let mut edges: Vec<(String, String, u64)> = main["map"]["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| {
            let said = |node: &Value| match node["kind"].as_u64() {
                Some(2) => "outside".to_owned(),
                Some(kind) => format!("{kind} {}", name(&node["name"])),
                None => panic!("no kind"),
            };
            (said(node(&edge["from"])), said(node(&edge["to"])), edge["count"].as_u64().unwrap())
        })
        .collect();
    edges.sort();
    let want = [("0 shop", "0 stock"), ("0 shop", "1 postgresql shop"), ("outside", "0 shop")];
    assert_eq!(edges, want.map(|(from, to)| (from.to_owned(), to.to_owned(), 4)));

    // The traces that failed and those with an operation are found by its place in the list.
    let place = main["operations"].as_array().unwrap().iter().position(|one| one == root).unwrap();
    let failing =
        main["traces"]["failed"].as_array().unwrap().iter().position(|all| all == &json!([place])).unwrap();
    assert_eq!(main["traces"]["id"][failing], format!("{:032x}", 3));
    let error = main["findings"].as_array().unwrap().iter().find(|one| one["kind"] == "error").unwrap();
    assert_eq!((&error["trace"], &error["operation"]), (&json!(failing), &json!(place)));
    assert_eq!(error["title"], "GET / at shop failed: 1 of 4 requests (25 %)");

    let block = &blocks[main["traces"]["block"][failing].as_u64().unwrap() as usize];
    let trace = &block["traces"][main["traces"]["at"][failing].as_u64().unwrap() as usize];
    assert_eq!(trace["parent"], json!([-1, 0, 1, 0]));
    let shape: Vec<u64> =
        serde_json::from_value(block["shapes"][trace["shape"][2].as_u64().unwrap() as usize].clone())
            .unwrap();
    let text = |number: &u64| block["texts"][(number / 2) as usize].as_str().unwrap();
    assert_eq!(shape.iter().map(text).collect::<Vec<_>>(), ["http.status_code", "span.kind"]);
    assert_eq!((shape[0] % 2, shape[1] % 2, &trace["tags"][2][0]), (1, 0, &json!(200)));
    // The critical path tiles the root.
    let path: Vec<u64> = serde_json::from_value(trace["path"].clone()).unwrap();
    assert_eq!(path.chunks(3).map(|piece| piece[2]).sum::<u64>(), 13_000_000);
    assert!(trace["says"].as_str().unwrap().contains("GET /"));
}

#[test]
fn of_too_many_traces_the_slowest_and_the_failing_stay() {
    let mut spans: Vec<Value> =
        (0..300).flat_map(|trace| shop(trace, 1 + (trace * 37) % 100, trace == 150)).collect();
    spans.extend((300..310).map(|trace| span(trace, 1, None, ("rare", "GET /rare"), (0, 5), json!({}))));
    let (page, main, _) = made(&spans, Limits { traces: 40, ..Limits::default() }, None);
    assert_eq!((page.traces, &main["totals"]["traces"]), (40, &json!(310)));
    let traces = &main["traces"];
    let durations: Vec<u64> = serde_json::from_value(traces["duration"].clone()).unwrap();
    assert!(durations.contains(&100_000_000), "the slowest is missing");
    assert!(durations.iter().filter(|nanos| **nanos < 50_000_000).count() > 5, "there is no sample");
    assert!(traces["errors"].as_array().unwrap().contains(&json!(1)), "the failing one is missing");
    assert!(traces["services"].as_array().unwrap().contains(&json!(1)), "the rare operation is missing");
    let mut ids: Vec<&Value> = traces["id"].as_array().unwrap().iter().collect();
    ids.sort_by_key(|id| id.to_string());
    ids.dedup();
    assert_eq!(ids.len(), 40, "some are there twice");
}

#[test]
fn a_page_has_no_more_bytes_than_it_may() {
    let random = |at: u64| {
        format!("{:032x}", u128::from(at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    };
    let spans: Vec<Value> =
        (0..20_000).map(|at| span(at, 1, None, ("a", "b"), (0, at), json!({"random": random(at)}))).collect();
    let limits = Limits { bytes: 400_000, ..Limits::default() };
    let (page, main, blocks) = made(&spans, limits, None);
    assert!(page.traces > 1_000 && page.traces < 10_000, "{} traces", page.traces);
    assert_eq!((main["traces"]["id"].as_array().unwrap().len(), blocks.is_empty()), (page.traces, false));
    assert!(page.bytes.len() < 1_200_000, "{} bytes", page.bytes.len());
}

#[test]
fn of_a_trace_that_is_too_large_the_spans_nearest_to_its_root_stay() {
    // A chain, and beside it many children of the root.
    let mut spans: Vec<Value> = (1..=6_000)
        .map(|id| span(1, id, (id > 1).then_some(id - 1), ("a", "deep"), (id, 9), json!({})))
        .collect();
    spans.extend((6_001..=6_050).map(|id| span(1, id, Some(1), ("a", "wide"), (9_000, 1), json!({}))));
    let (_, main, blocks) = made(&spans, Limits { spans_of_one: 100, ..Limits::default() }, None);
    assert_eq!((&main["traces"]["spans"][0], &main["traces"]["kept"][0]), (&json!(6_050), &json!(100)));
    let trace = &blocks[0]["traces"][0];
    let parents: Vec<i64> = serde_json::from_value(trace["parent"].clone()).unwrap();
    assert_eq!(parents.iter().filter(|parent| **parent == -1).count(), 1, "a part hangs in the air");
    assert!(parents.iter().zip(0..).all(|(parent, at)| *parent < at));
    assert_eq!(parents.iter().filter(|parent| **parent == 0).count(), 51);
}

#[test]
fn the_account_is_told_with_what_was_lost() {
    let lost = serde_json::from_value(
        json!([{"what": "records: the ring was full", "count": 7, "advice": "--ring-mib 16"}]),
    )
    .unwrap();
    let account = Account { observed_ms: 2_000, requests: 5, sums_close: true, lost, ..Account::default() };
    let (_, main, _) = made(&shop(1, 3, false), Limits::default(), Some(&account));
    assert_eq!(main["totals"]["observed"], json!(2_000_000_000u64));
    let ledger = main["ledger"].as_array().unwrap();
    let group = |title: &str| ledger.iter().find(|group| group["title"] == title);
    let line = &group("Lost").unwrap()["lines"][0];
    assert_eq!(
        (&line["value"], &line["note"], &line["is_loss"]),
        (&json!("7"), &json!("--ring-mib 16"), &json!(true))
    );
    assert_eq!(
        group("Requests").unwrap()["lines"],
        json!([{"what": "seen", "value": "5", "note": "", "is_loss": false}])
    );
    assert!(group("Connection ends").is_none() && group("Not understood").is_none());
}

#[test]
fn without_spans_there_is_a_page_all_the_same() {
    let (page, main, blocks) = made(&[], Limits::default(), None);
    assert_eq!((page.traces, blocks.len(), &main["totals"]["spans"]), (0, 0, &json!(0)));
}

#[test]
fn every_kind_of_evidence_has_its_words() {
    let words = include_str!("../../../assets/report/evidence.js");
    for evidence in Evidence::ALL {
        let name = evidence.name();
        let is_there =
            [format!("\n  {name}:"), format!("\n  \"{name}\":")].iter().any(|key| words.contains(key));
        assert!(is_there, "{name}");
    }
}

#[test]
fn repeated_calls_are_one_group_as_in_the_terminal() {
    let server = json!({"span.kind": "server"});
    let mut spans = vec![span(1, 1, None, ("shop", "GET /"), (0, 1_000), server)];
    for at in 0..6 {
        let statement = if at == 2 { "SELECT other" } else { "SELECT * FROM users" };
        let tags = json!({"span.kind": "client", "db.system": "postgresql", "db.statement": statement});
        spans.push(span(1, 2 + at, Some(1), ("shop", "SELECT users"), (10 + 100 * at, 50), tags));
    }
    let (_, _, blocks) = made(&spans, Limits::default(), None);
    let texts = blocks[0]["texts"].as_array().unwrap();
    let name = texts.iter().position(|text| text == "SELECT users").unwrap();
    assert_eq!(blocks[0]["traces"][0]["groups"], json!([[name, [1, 2, 4, 5, 6]]]));
}

#[test]
fn a_candidate_in_another_trace_is_found_if_only_one_trace_has_it() {
    let id = |n: u64| format!("{n:016x}");
    let mut spans: Vec<Value> = (1..=4).flat_map(|trace| shop(trace, 10, false)).collect();
    for (at, span) in spans.iter_mut().enumerate() {
        // The last two traces have the same ids.
        span["spanId"] = id(if at < 8 { at } else { 8 + at % 4 } as u64 + 100).into();
        span["parentSpanId"] = Value::Null;
    }
    let named: Vec<Value> =
        [105, 109, 999].map(|n| json!({"spanId": id(n), "confidence": 0.5})).into_iter().collect();
    spans[0]["tags"]["tracer.link.candidates"] = named.into();
    let file = serde_json::to_vec(&spans).unwrap();
    let table = read_table(file.as_slice()).unwrap();
    let again = |place: Place, each: &mut dyn FnMut(&FileSpan<'_>)| {
        let from = place.offset as usize;
        each(&read_again(&file[from..from + place.len as usize]).unwrap());
    };
    let input = Input { table: &table, source: "traces.json", account: None, remarks: &[] };
    let written = contents(&input, &again, Limits::default()).unwrap().written;
    let [(found, trace)] = written.candidates[..] else { panic!("{:?}", written.candidates) };
    assert_eq!((found, written.traces[trace].trace), (105, 1));
}
