//! How sure links are said to be, and what becomes of those that are not sure enough.

use super::scenario::*;
use crate::trace::{Settings, SpanId};

/// A request with a call to another process, both ends seen.
fn request_with_call(min_confidence: f32) -> (Out, X, X) {
    let mut w = World::default();
    w.settings = Settings { min_confidence };
    let from = w.pipe(None, Some(1));
    let request = w.exchange(from, "/in");
    w.recv(request, 0, tid(1, 0));
    let pipe = w.pipe(Some(1), Some(2));
    let x = w.exchange(pipe, "/b");
    w.call(x, MS, tid(1, 0), tid(2, 0), 5 * MS);
    w.reply(request, 9 * MS, tid(1, 0));
    (w.run(), request, x)
}

const NONE: &[(SpanId, f32)] = &[];

#[test]
fn every_link_says_how_sure_it_is() {
    let (out, request, x) = request_with_call(0.9);
    assert!(out.is_child(x, request));
    assert_eq!(out.server(request).tags.confidence, None, "a root has no link");
    assert_eq!(out.client(x).tags.confidence, Some(0.99));
    assert_eq!(out.server(x).tags.confidence, Some(1.0));
    assert!(out.spans.iter().all(|span| *span.tags.candidates == *NONE));
    let json = String::from_utf8(out.json.clone()).unwrap();
    assert_eq!(json.matches(r#""tracer.link.confidence":0.99"#).count(), 1);
    assert_eq!(json.matches(r#""tracer.link.confidence":1.0"#).count(), 1);
}

#[test]
fn what_is_not_sure_enough_is_a_candidate_and_no_parent() {
    let (out, request, x) = request_with_call(0.995);
    let call = out.client(x);
    assert_eq!((call.parent_span_id, call.tags.confidence), (None, None));
    assert_eq!(*call.tags.candidates, [(out.server(request).span_id, 0.99)]);
    assert_eq!(out.reason(x), "the best candidate is less sure than was asked for");
    assert!(call.tags.evidence.is_empty());
    // The ends of a connection are not inferred.
    assert_eq!(out.server(x).parent_span_id, Some(call.span_id));
    assert_eq!(out.stats.undecided, 1);
    let json = String::from_utf8(out.json.clone()).unwrap();
    assert_eq!(json.matches(r#""tracer.link.candidates":[{"spanId":""#).count(), 1);
}
