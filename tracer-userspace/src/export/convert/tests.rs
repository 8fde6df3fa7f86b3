use std::cell::Cell;
use std::io::Write;

use serde_json::Value as Json;

use super::*;
use crate::export::records::FileTarget;

fn span(trace: u32, id: u32, parent: Option<u32>, operation: &str) -> String {
    let parent = parent.map_or("null".to_owned(), |parent| format!("\"{parent}\""));
    format!(
        "{{\"traceId\":\"{trace}\",\"spanId\":\"{id}\",\"parentSpanId\":{parent},\"serviceName\":\"s\",\"operationName\":\"{operation}\",\
         \"startTime\":\"2023-10-27T10:00:00Z\",\"duration\":1}}"
    )
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Converts, and reads what came of it.
fn convert(text: &str, format: FileFormat, stop: impl Fn() -> bool) -> (Written, String) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let target = FileTarget::new(output.reopen().unwrap()).unwrap();
    let host = Host::default();
    let written = match format.of_stream(&host) {
        Some(form) => convert_stream(text.as_bytes(), SpanWriter::new(target, form).unwrap(), stop),
        None => convert_file(&file(text), target, format, &host, stop),
    };
    (written.unwrap(), std::fs::read_to_string(output.path()).unwrap())
}

/// Spans in an output, by the text that each has once.
fn count(format: FileFormat, text: &str) -> usize {
    match format {
        FileFormat::Trace => text.matches("\"traceId\"").count(),
        FileFormat::Otlp => text.matches("\"spanId\"").count(),
        FileFormat::Zipkin => text.matches("\"id\"").count(),
        FileFormat::Jaeger => text.matches("\"operationName\"").count(),
        FileFormat::Perfetto => text.matches("\"ph\":\"X\"").count(),
        FileFormat::Csv => text.lines().count() - 1,
    }
}

/// Is what it should be, as far as that can be told without knowing the format.
fn check_whole(format: FileFormat, text: &str) {
    match format {
        FileFormat::Csv => assert!(text.ends_with("\r\n")),
        FileFormat::Otlp => {
            assert!(text.is_empty() || text.ends_with('\n'));
            text.lines().for_each(|line| drop(serde_json::from_str::<Json>(line).unwrap()));
        }
        FileFormat::Trace | FileFormat::Zipkin | FileFormat::Jaeger | FileFormat::Perfetto => {
            serde_json::from_str::<Json>(text).unwrap_or_else(|error| panic!("{format:?}: {error}: {text}"));
        }
    }
}

#[test]
fn every_format_has_every_span_and_is_whole_wherever_it_is_told_to_stop() {
    let spans: Vec<String> =
        (0..3000).map(|id| span(id / 7 + 1, id + 1, (id % 7 > 0).then_some(id), "o")).collect();
    let text = format!("[{}]", spans.join(","));
    for format in FileFormat::ALL {
        for limit in [0, 1, 513, 2999, usize::MAX] {
            // Where there are two passes, in the second.
            let passes = if format.of_stream(&Host::default()).is_some() { 0 } else { 3000 };
            let asked = Cell::new(0usize);
            let stop = || asked.replace(asked.get() + 1) >= limit.saturating_add(passes);
            let (written, out) = convert(&text, format, stop);
            let expected = limit.min(3000);
            assert_eq!((written.spans, written.stopped), (expected as u64, limit < 3000), "{format:?}");
            check_whole(format, &out);
            assert_eq!(count(format, &out), expected, "{format:?}");
        }
        // In the first.
        let (written, out) = convert(&text, format, || true);
        assert_eq!((written.spans, written.stopped), (0, true));
        check_whole(format, &out);
        let (written, out) = convert("[]", format, || false);
        assert_eq!(written, Written::default());
        check_whole(format, &out);
    }
}

#[test]
fn what_is_wrong_with_the_input_is_told_and_costs_only_itself() {
    let text =
        format!("[{},7,{},{}", span(1, 1, None, "o"), span(1, 1, None, "again"), span(1, 2, Some(1), "o"));
    for format in FileFormat::ALL {
        let (written, out) = convert(&text, format, || false);
        assert_eq!((written.problems.unusable, written.problems.cut), (1, Some(1)), "{format:?}");
        let is_tabled = format.of_stream(&Host::default()).is_none();
        // Spans that are there twice are found only where all are looked at before.
        assert_eq!(
            (written.spans, written.problems.duplicates),
            if is_tabled { (2, 1) } else { (3, 0) },
            "{format:?}"
        );
        assert_eq!(out.contains("again"), !is_tabled);
        check_whole(format, &out);
    }
}

#[test]
fn traces_that_are_mixed_in_the_file_come_one_after_the_other() {
    // Further apart than what is read at once.
    let long = "x".repeat(40_000);
    let spans: Vec<String> = (0..12).map(|id| span(id % 3 + 1, id + 1, None, &long)).collect();
    let (written, out) = convert(&format!("[{}]", spans.join(",\n")), FileFormat::Jaeger, || false);
    assert_eq!(written.spans, 12);
    let out: Json = serde_json::from_str(&out).unwrap();
    let traces = out["data"].as_array().unwrap();
    for (at, trace) in traces.iter().enumerate() {
        let ids: Vec<&str> =
            trace["spans"].as_array().unwrap().iter().map(|span| span["spanID"].as_str().unwrap()).collect();
        // Ids of decimal digits are hexadecimal too.
        let expected: Vec<String> = (0..4).map(|n| format!("{:016}", at + n * 3 + 1)).collect();
        assert_eq!(ids, expected);
    }
}

#[test]
fn ids_that_are_replaced_are_counted_once_for_each_span() {
    for format in FileFormat::ALL {
        let text =
            format!("[{},{}]", span(1, 1, None, "o"), span(1, 2, Some(1), "o").replace("\"2\"", "\"zwei\""));
        let (written, _) = convert(&text, format, || false);
        let kept = matches!(format, FileFormat::Trace | FileFormat::Csv);
        assert_eq!(written.hashed_ids, u64::from(!kept), "{format:?}");
    }
}

#[test]
fn a_file_that_shrinks_meanwhile_is_an_error_and_no_panic() {
    // More than is read at once.
    let long = "x".repeat(2 * WINDOW);
    let spans = [span(1, 1, None, "o"), span(2, 2, None, &long)];
    let file = file(&format!("[{}]", spans.join(",")));
    let output = tempfile::NamedTempFile::new().unwrap();
    let target = FileTarget::new(output.reopen().unwrap()).unwrap();
    // Asked once for each span in each pass.
    let asked = Cell::new(0);
    let stop = || {
        if asked.replace(asked.get() + 1) == 2 {
            file.set_len(1000).unwrap();
        }
        false
    };
    let error = convert_file(&file, target, FileFormat::Jaeger, &Host::default(), stop).unwrap_err();
    assert!(error.to_string().contains("changed while it was read"), "{error}");
}
