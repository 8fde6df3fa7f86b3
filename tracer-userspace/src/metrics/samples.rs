//! Spans for tests.

use crate::causality::EvidenceSet;
use crate::exchange::{Protocol, Side};
use crate::trace::{Span, SpanId, Tags, TraceId};

/// A request of HTTP/1 that was answered in `micros` µs.
pub fn span(service: &str, kind: Side, method: &str, url: &str, micros: u64) -> Span {
    Span {
        trace_id: TraceId(1),
        span_id: SpanId(1),
        parent_span_id: None,
        service_name: service.into(),
        start_time: 0,
        duration: micros * 1_000,
        tags: Tags {
            protocol: Protocol::Http1,
            method: method.into(),
            url: url.into(),
            host: None,
            status: Some(200),
            error_code: None,
            kind,
            is_message: false,
            error: false,
            pid: 1,
            tid: 1,
            peer_ip: None,
            peer_port: None,
            transport: None,
            request_bytes: None,
            response_bytes: None,
            first_byte: None,
            outcome: None,
            incomplete: false,
            truncated: false,
            evidence: EvidenceSet::default(),
            reason: None,
            confidence: None,
            candidates: Box::default(),
            other_trace: None,
            n_plus_one: None,
            extra: None,
        },
    }
}
