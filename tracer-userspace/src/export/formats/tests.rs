//! Each form, of spans of ours and of spans that nobody should write. What other tools' own code says of the same files is tested in
//! `tests/e2e/exports.rs`.

use serde_json::{Value as Json, json};

use super::*;
use crate::spans::file::{each_span, read_table};
use crate::spans::{NO_ROW, Problems};

/// A request of `front` that calls `back`, twice at the same time, which each ask a database; and spans by somebody else.
const SPANS: &str = r#"[
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000a1","parentSpanId":null,"serviceName":"front","operationName":"GET /a","startTime":"2023-10-27T10:00:00.000000Z","duration":10.0,"tags":{"http.method":"GET","http.url":"/a?b=1","http.status_code":500,"span.kind":"server","error":true,"process.pid":7}},
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000a2","parentSpanId":"00000000000000a1","serviceName":"front","operationName":"GET /b","startTime":"2023-10-27T10:00:00.001000Z","duration":5.0,"tags":{"span.kind":"client","process.pid":7,"net.peer.ip":"10.0.0.2","net.peer.port":80}},
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000a3","parentSpanId":"00000000000000a1","serviceName":"front","operationName":"GET /c","startTime":"2023-10-27T10:00:00.002000Z","duration":5.0,"tags":{"span.kind":"client","process.pid":7,"net.peer.ip":"2001:db8::1","tracer.link.evidence":["thread"],"tracer.link.confidence":0.95}},
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000b2","parentSpanId":"00000000000000a2","serviceName":"back","operationName":"GET /b","startTime":"2023-10-27T10:00:00.001000Z","duration":4.0,"tags":{"span.kind":"server","process.pid":8}},
{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"00000000000000c2","parentSpanId":"00000000000000b2","serviceName":"back","operationName":"SELECT users","startTime":"2023-10-27T10:00:00.002000Z","duration":0.0005,"tags":{"span.kind":"client","process.pid":9,"db.system":"postgresql","db.instance":"users_db","db.statement":"SELECT ?"}},
{"traceId":"Order 17","spanId":"x","parentSpanId":"y","serviceName":"=cmd()","operationName":"-1, \"two\"\nthree","startTime":"1969-12-31T23:59:59Z","duration":-1,"tags":{"error":"false","span.kind":"odd","nested":{"a":[1,null,"x"]},"none":null,"twice":1,"twice":2,"net.peer.ip":"/run/x.sock"}}
]"#;

fn streamed(format: FileFormat) -> String {
    let mut out = Vec::new();
    let mut format = format.of_stream(&Host { name: Some("host-1".into()) }).unwrap();
    format.begin(&mut out);
    each_span(SPANS.as_bytes(), &mut Problems::default(), |span, _| format.span(&span, NO_ROW, &mut out))
        .unwrap();
    format.flush(&mut out);
    out.extend_from_slice(format.closing());
    String::from_utf8(out).unwrap()
}

fn of_table(format: FileFormat, text: &str) -> Json {
    let table = read_table(text.as_bytes()).unwrap();
    let mut out = Vec::new();
    let (mut format, _) = format.of_table(&table, &Host::default());
    format.begin(&mut out);
    let mut row = 0;
    each_span(text.as_bytes(), &mut Problems::default(), |span, _| {
        format.span(&span, row, &mut out);
        row += 1;
        // It is whole behind every span.
        serde_json::from_slice::<Json>(&[&out, format.closing()].concat()).unwrap();
    })
    .unwrap();
    format.flush(&mut out);
    out.extend_from_slice(format.closing());
    serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)))
}

#[test]
fn otlp_groups_spans_by_resource() {
    let text = streamed(FileFormat::Otlp);
    assert_eq!(text.lines().count(), 1);
    let line: Json = serde_json::from_str(&text).unwrap();
    let resources = line["resourceSpans"].as_array().unwrap();
    let attributes = |resource: &Json| resource["resource"]["attributes"].clone();
    assert_eq!(resources.len(), 4);
    assert_eq!(
        attributes(&resources[0]),
        json!([
            {"key": "service.name", "value": {"stringValue": "front"}},
            {"key": "host.name", "value": {"stringValue": "host-1"}},
            {"key": "process.pid", "value": {"intValue": "7"}}
        ])
    );
    let spans = |resource: usize| resources[resource]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!([spans(0).len(), spans(1).len(), spans(2).len(), spans(3).len()], [3, 1, 1, 1]);
    let first = &spans(0)[0];
    assert_eq!(first["kind"], 2);
    assert_eq!(first["status"], json!({"code": 2}));
    assert_eq!(first["startTimeUnixNano"], "1698400800000000000");
    assert_eq!(first["endTimeUnixNano"], "1698400800010000000");
    assert!(first.get("parentSpanId").is_none());
    assert_eq!(spans(0)[1]["parentSpanId"], "00000000000000a1");
    assert_eq!(spans(0)[1].get("status"), None);
    let odd = &spans(3)[0];
    assert_eq!((odd["kind"].clone(), odd["startTimeUnixNano"].clone()), (json!(1), json!("0")));
    assert_eq!(
        odd["attributes"][0],
        json!({"key": "nested", "value": {"kvlistValue": {"values": [
            {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}, {"stringValue": "x"}]}}}]}}})
    );
    assert_eq!(odd["attributes"][1], json!({"key": "none", "value": {}}));
    assert_eq!(odd["attributes"][2], json!({"key": "twice", "value": {"intValue": "1"}}));
}

#[test]
fn otlp_batches_have_a_bound() {
    let span = SPANS.lines().nth(1).unwrap().trim_end_matches(',');
    let text = format!("[{}]", [span; 1600].join(",\n"));
    let mut out = Vec::new();
    let mut format = FileFormat::Otlp.of_stream(&Host::default()).unwrap();
    each_span(text.as_bytes(), &mut Problems::default(), |span, _| format.span(&span, NO_ROW, &mut out))
        .unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 3);
    format.flush(&mut out);
    let counts = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let line: Json = serde_json::from_slice(line).unwrap();
        line["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().len()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [512, 512, 512, 64]);
}

#[test]
fn otlp_tells_resources_apart_by_each_of_their_parts() {
    let span = SPANS.lines().nth(1).unwrap().trim_end_matches(',');
    let parts = [
        r#""process.pid":7"#,
        r#""process.pid":0"#,
        r#""x":1"#,
        r#""host.name":"a""#,
        r#""container.id":"a""#,
        r#""host.name":"a","container.id":"a""#,
        r#""host.name":"b","container.id":"a""#,
    ];
    let spans: Vec<String> =
        parts.iter().chain(&parts).map(|tags| span.replace("\"process.pid\":7", tags)).collect();
    let text = format!("[{}]", spans.join(","));
    let mut out = Vec::new();
    let mut format = FileFormat::Otlp.of_stream(&Host::default()).unwrap();
    // In two batches, of which the second finds what the first left.
    for _ in 0..2 {
        each_span(text.as_bytes(), &mut Problems::default(), |span, _| format.span(&span, NO_ROW, &mut out))
            .unwrap();
        format.flush(&mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], lines[1]);
    let resources = lines[0]["resourceSpans"].as_array().unwrap();
    assert_eq!(resources.len(), parts.len());
    assert!(
        resources.iter().all(|resource| resource["scopeSpans"][0]["spans"].as_array().unwrap().len() == 2)
    );
}

#[test]
fn zipkin_knows_ends_and_rounds_nothing_to_zero() {
    let spans: Vec<Json> = serde_json::from_str(&streamed(FileFormat::Zipkin)).unwrap();
    assert_eq!(
        spans[0],
        json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "id": "00000000000000a1", "name": "get /a", "kind": "SERVER",
            "timestamp": 1_698_400_800_000_000u64, "duration": 10_000, "localEndpoint": {"serviceName": "front"},
            "tags": {"http.method": "GET", "http.url": "/a?b=1", "http.status_code": "500", "error": "true", "process.pid": "7"}
        })
    );
    assert_eq!(spans[1]["remoteEndpoint"], json!({"ipv4": "10.0.0.2", "port": 80}));
    assert_eq!(spans[1]["tags"], json!({"process.pid": "7"}));
    assert_eq!(spans[2]["remoteEndpoint"], json!({"ipv6": "2001:db8::1"}));
    assert_eq!(spans[2]["tags"]["tracer.link.evidence"], "[\"thread\"]");
    assert_eq!(
        (spans[4]["duration"].clone(), spans[4]["remoteEndpoint"].clone()),
        (json!(1), json!({"serviceName": "postgresql"}))
    );
    let odd = &spans[5];
    assert_eq!(odd["traceId"].as_str().unwrap().len(), 32);
    assert!(
        odd.get("timestamp").is_none() && odd.get("kind").is_none() && odd["tags"].get("error").is_none()
    );
    assert_eq!(odd["tags"]["net.peer.ip"], "/run/x.sock");
    assert_eq!((odd["tags"]["span.kind"].clone(), odd["tags"]["none"].clone()), (json!("odd"), json!("")));
    assert_eq!(odd["tags"]["nested"], r#"{"a":[1,null,"x"]}"#);
}

#[test]
fn zipkin_keeps_ids_of_64_bits() {
    for (trace, written) in
        [("1f", "000000000000001f"), ("10000000000000001", "00000000000000010000000000000001")]
    {
        let text = SPANS.replace("0af7651916cd43dd8448eb211c80319c", trace);
        let mut out = Vec::new();
        let mut format = FileFormat::Zipkin.of_stream(&Host::default()).unwrap();
        each_span(text.as_bytes(), &mut Problems::default(), |span, _| format.span(&span, 0, &mut out))
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(&format!("{{\"traceId\":\"{written}\",\"id\":\"00000000000000a1\"")), "{out}");
    }
}

#[test]
fn jaeger_has_traces_with_processes_and_references() {
    let all = of_table(FileFormat::Jaeger, SPANS);
    let traces = all["data"].as_array().unwrap();
    assert_eq!(traces.len(), 2);
    assert_eq!(
        traces[0]["processes"],
        json!({"p1": {"serviceName": "front", "tags": []}, "p2": {"serviceName": "back", "tags": []}})
    );
    let spans = traces[0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 5);
    assert_eq!(spans[0]["references"], json!([]));
    assert_eq!(
        spans[3]["references"],
        json!([{"refType": "CHILD_OF", "traceID": "0af7651916cd43dd8448eb211c80319c", "spanID": "00000000000000a2"}])
    );
    assert_eq!((spans[3]["processID"].clone(), spans[3]["duration"].clone()), (json!("p2"), json!(4_000)));
    assert_eq!(spans[0]["tags"][4], json!({"key": "error", "type": "bool", "value": true}));
    assert_eq!(
        spans[2]["tags"][3],
        json!({"key": "tracer.link.evidence", "type": "string", "value": "[\"thread\"]"})
    );
    assert_eq!(
        spans[2]["tags"][4],
        json!({"key": "tracer.link.confidence", "type": "float64", "value": 0.95})
    );
    // A parent that is not there is named all the same: the viewer says so.
    assert_eq!(traces[1]["spans"][0]["references"].as_array().unwrap().len(), 1);
    assert_eq!(of_table(FileFormat::Jaeger, "[]")["data"], json!([]));
}

#[test]
fn jaeger_gets_no_circles() {
    let span = |id: &str, parent: &str| {
        format!(
            r#"{{"traceId":"1","spanId":"{id}","parentSpanId":"{parent}","serviceName":"a","operationName":"o","startTime":"2023-10-27T10:00:0{id}Z","duration":1}}"#
        )
    };
    let all =
        of_table(FileFormat::Jaeger, &format!("[{},{},{}]", span("1", "2"), span("2", "1"), span("3", "3")));
    let parents: Vec<usize> = all["data"][0]["spans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|span| span["references"].as_array().unwrap().len())
        .collect();
    assert_eq!(parents, [0, 1, 0]);
}

#[test]
fn perfetto_has_a_process_for_each_service_and_arrows_between_them() {
    let all = of_table(FileFormat::Perfetto, SPANS);
    let events = all["traceEvents"].as_array().unwrap();
    let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).collect::<Vec<_>>();
    let names: Vec<&Json> = of("M")
        .into_iter()
        .filter(|event| event["name"] == "process_name")
        .map(|event| &event["args"]["name"])
        .collect();
    assert_eq!(names, ["front", "back", "=cmd()"]);
    let slices = of("X");
    assert_eq!(slices.len(), 6);
    let place = |at: usize| (slices[at]["pid"].as_u64().unwrap(), slices[at]["tid"].as_u64().unwrap());
    // The first call lies below the request; the second, at the same time, does not.
    assert_eq!([place(0), place(1), place(2)], [(1, 1), (1, 1), (1, 2)]);
    assert_eq!([place(3), place(4), place(5)], [(2, 3), (2, 3), (3, 4)]);
    assert_eq!(slices[4]["dur"], json!(0.5));
    assert_eq!((of("s").len(), of("f").len()), (1, 1));
    let (begin, end) = (of("s")[0], of("f")[0]);
    assert_eq!(
        (begin["id"].clone(), begin["pid"].clone(), begin["tid"].clone()),
        (end["id"].clone(), json!(1), json!(1))
    );
    assert_eq!((end["pid"].clone(), end["bp"].clone()), (json!(2), json!("e")));
    assert_eq!(of_table(FileFormat::Perfetto, "[]")["traceEvents"], json!([]));
}

#[test]
fn an_arrow_ends_behind_its_beginning_whatever_comes_first_in_the_file() {
    let mut lines: Vec<&str> = SPANS.lines().collect();
    // The callee before its caller, both at one time.
    lines.swap(2, 4);
    let all = of_table(FileFormat::Perfetto, &lines.join("\n"));
    let events = all["traceEvents"].as_array().unwrap();
    let at = |phase: &str| events.iter().position(|event| event["ph"] == phase).unwrap();
    let slice = |operation: &str, kind: &str| {
        events
            .iter()
            .position(|event| event["ph"] == "X" && event["name"] == operation && event["cat"] == kind)
            .unwrap()
    };
    assert!(slice("GET /b", "client") < at("s") && at("s") < at("f"), "{events:?}");
}

#[test]
fn a_table_has_a_row_for_each_span_and_no_formulas() {
    let text = streamed(FileFormat::Csv);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    let cell = |row: usize, column: &str| {
        rows[row].get(header.iter().position(|name| name == column).unwrap()).unwrap()
    };
    assert_eq!(
        (cell(0, "service"), cell(0, "status"), cell(0, "error"), cell(0, "tags")),
        ("front", "500", "true", "{}")
    );
    assert_eq!(
        (cell(0, "start_time"), cell(0, "end_time")),
        ("2023-10-27T10:00:00.000000Z", "2023-10-27T10:00:00.010000Z")
    );
    assert_eq!(
        (cell(2, "link_confidence"), cell(2, "tags")),
        ("0.95", r#"{"tracer.link.evidence":["thread"]}"#)
    );
    assert_eq!((cell(5, "service"), cell(5, "operation")), ("'=cmd()", "'-1, \"two\"\nthree"));
    assert_eq!(cell(5, "tags"), r#"{"nested":{"a":[1,null,"x"]},"none":null,"twice":1}"#);
    assert!(text.starts_with("trace_id,") && text.contains("\"'-1, \"\"two\"\"\nthree\""), "{text}");
    assert_eq!(text.matches("\r\n").count(), 7);
}

#[test]
fn the_trace_json_is_what_it_was() {
    let text = streamed(FileFormat::Trace);
    let ours = SPANS.lines().take(5).collect::<Vec<_>>().join("\n").replace("0.0005", "0.0");
    assert!(text.starts_with(&ours), "{text}");
    let spans: Vec<Json> = serde_json::from_str(&text).unwrap();
    assert_eq!((spans.len(), spans[5]["startTime"].clone()), (6, json!("1970-01-01T00:00:00.000000Z")));
}
