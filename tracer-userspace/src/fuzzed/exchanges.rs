//! Exchanges from elsewhere: any bytes as a file; and lines of the right form with times, threads and connections from anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Input;
use crate::analysis::Analysis;
use crate::exchanges::Exchanges;
use crate::time::{ClockAnchor, Nanos};
use crate::trace::Span;

/// Reads `data`, or lines made of it, and analyses what is there.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 {
        check(input.rest());
    } else {
        let text = lines(&mut input);
        let spans = check(text.as_bytes());
        // In whatever order they come.
        let reversed: Vec<&str> = text.lines().rev().collect();
        assert_eq!(check(reversed.join("\n").as_bytes()), spans);
    }
}

fn lines(input: &mut Input<'_>) -> String {
    let mut text = String::new();
    let mut number = 0;
    while !input.is_empty() && number < 64 {
        let (words, start, length) = (input.byte(), u64::from(input.word()), u64::from(input.word()));
        let kind = if words & 1 == 0 { "client" } else { "server" };
        let thread = if words & 2 == 0 { format!("\"thread\":{},", words >> 6) } else { String::new() };
        let connection =
            if words & 4 == 0 { format!("\"connection\":\"{}\",", words >> 5) } else { String::new() };
        let (process, operation) = (words >> 3 & 3, words >> 4 & 3);
        let (start, end) = (start * 250, (start + length) * 250);
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            r#"{{"process":"{process}",{thread}"kind":"{kind}","operation":"{operation}","start_ns":{start},{connection}"end_ns":{end},"id":"{number}"}}"#
        );
        number += 1;
    }
    text
}

/// Every exchange becomes one span, with its id and its times.
fn check(file: &[u8]) -> Vec<Span> {
    let mut refused = 0;
    let exchanges = Exchanges::read(file, &mut |line| {
        assert!(line.line > 0 && line.column > 0 && !line.why.is_empty(), "{line:?}");
        refused += 1;
    });
    let Ok(exchanges) = exchanges else { panic!("reading memory does not fail") };
    let count = exchanges.len();
    assert!(count + refused <= file.split(|byte| *byte == b'\n').count());
    let mut analysis = Analysis::new(ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 });
    let mut spans: Vec<Span> = Vec::new();
    exchanges.observations(&mut |observation| analysis.observe(observation, &mut |span| spans.push(span)));
    analysis.finish(&mut |span| spans.push(span));
    assert_eq!(spans.len(), count, "exchanges are spans");
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.span_id, span)).collect();
    for span in &spans {
        assert!(span.tags.id().is_some(), "{span:?}");
        if let Some(parent) = span.parent_span_id {
            let parent = by_id.get(&parent);
            assert!(parent.is_some_and(|parent| parent.trace_id == span.trace_id), "{span:?}");
        }
    }
    spans
}
