//! The JSON form of a span: the product's file format. The names and their order here are those in the file.
//!
//! Written by hand, because tens of thousands of spans a second leave on a busy host, and a general serialiser
//! spends four fifths of its time on escaping field names that never change.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::call_json;
use super::encode::{escaped, key, milliseconds, number, text};
use super::json::ToJson;
use crate::causality::Evidence;
use crate::exchange::{Family, Kept, Side};
use crate::time::Rfc3339Micros;
use crate::trace::{Span, SpanId, Tags};

impl ToJson for Span {
    fn to_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"traceId":""#);
        out.extend_from_slice(&self.trace_id.to_hex());
        out.extend_from_slice(br#"","spanId":""#);
        out.extend_from_slice(&self.span_id.to_hex());
        out.extend_from_slice(br#"","parentSpanId":"#);
        match self.parent_span_id {
            Some(parent) => {
                out.push(b'"');
                out.extend_from_slice(&parent.to_hex());
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","serviceName":"#);
        text(out, &self.service_name);
        out.extend_from_slice(br#","operationName":"#);
        out.push(b'"');
        call_json::operation(out, self);
        out.push(b'"');
        out.extend_from_slice(br#","startTime":""#);
        out.extend_from_slice(&Rfc3339Micros(self.start_time).to_ascii());
        out.extend_from_slice(br#"","duration":"#);
        milliseconds(out, self.duration);
        out.extend_from_slice(br#","tags":{"#);
        tags(out, &self.tags);
        out.extend_from_slice(b"}}");
    }
}

fn tags(out: &mut Vec<u8>, tags: &Tags) {
    call_json::tags(out, tags);
    key(
        out,
        match (tags.kind, tags.is_message) {
            (Side::Server, false) => r#","span.kind":"server""#,
            (Side::Client, false) => r#","span.kind":"client""#,
            (Side::Server, true) => r#","span.kind":"consumer""#,
            (Side::Client, true) => r#","span.kind":"producer""#,
        },
    );
    if tags.error {
        key(out, r#","error":true"#);
    }
    number(key(out, r#","process.pid":"#), tags.pid.into());
    if tags.tid != 0 {
        number(key(out, r#","thread.id":"#), tags.tid.into());
    }
    if let Some(ip) = tags.peer_ip {
        address(key(out, r#","net.peer.ip":"#), ip);
    }
    if let Some(port) = tags.peer_port {
        number(key(out, r#","net.peer.port":"#), port.into());
    }
    if let Some(transport) = tags.transport {
        text(key(out, r#","net.transport":"#), transport);
    }
    let is_http = tags.protocol.family() == Family::Http;
    if let Some(bytes) = tags.request_bytes {
        number(
            key(out, if is_http { r#","http.request.bytes":"# } else { r#","tracer.request.bytes":"# }),
            bytes,
        );
    }
    if let Some(bytes) = tags.response_bytes {
        number(
            key(out, if is_http { r#","http.response.bytes":"# } else { r#","tracer.response.bytes":"# }),
            bytes,
        );
    }
    if let Some(nanos) = tags.first_byte {
        milliseconds(key(out, r#","tracer.ttfb_ms":"#), nanos);
    }
    if let Some(outcome) = tags.outcome {
        text(key(out, r#","tracer.outcome":"#), outcome);
    }
    if tags.incomplete {
        key(out, r#","tracer.incomplete":true"#);
    }
    if tags.truncated {
        key(out, r#","tracer.truncated":true"#);
    }
    if !tags.evidence.is_empty() {
        key(out, r#","tracer.link.evidence":["#);
        for (at, evidence) in tags.evidence.iter().map(Evidence::name).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            // The words are ours: nothing in them is escaped.
            out.push(b'"');
            out.extend_from_slice(evidence.as_bytes());
            out.push(b'"');
        }
        out.push(b']');
    }
    if let Some(confidence) = tags.confidence {
        share(key(out, r#","tracer.link.confidence":"#), confidence);
    }
    if let Some(reason) = tags.reason {
        text(key(out, r#","tracer.link.reason":"#), &reason.to_string());
    }
    if let Some(repeated) = &tags.n_plus_one {
        number(key(out, r#","tracer.n_plus_one":"#), repeated.count.into());
        text(key(out, r#","tracer.n_plus_one.operation":"#), &repeated.operation);
        milliseconds(key(out, r#","tracer.n_plus_one.total_ms":"#), repeated.total);
    }
    candidates(out, &tags.candidates);
    if let Some(trace) = tags.other_trace {
        key(out, r#","tracer.traceparent.trace_id":""#);
        out.extend_from_slice(&trace.to_hex());
        out.push(b'"');
    }
    headers(out, tags.kept());
}

/// Who could be the parent of a span that has none.
fn candidates(out: &mut Vec<u8>, all: &[(SpanId, f32)]) {
    for (at, (span, confidence)) in all.iter().enumerate() {
        key(out, if at == 0 { r#","tracer.link.candidates":[{"spanId":""# } else { r#",{"spanId":""# });
        out.extend_from_slice(&span.to_hex());
        share(key(out, r#"","confidence":"#), *confidence);
        out.push(b'}');
    }
    if !all.is_empty() {
        out.push(b']');
    }
}

/// A number from 0 to 1 with one to three decimals, cut off: what is not certain must not look so.
fn share(out: &mut Vec<u8>, share: f32) {
    // A share of nothing, or of no number, is 0.
    let thousandths = (f64::from(share.clamp(0.0, 1.0)) * 1_000.0 + 1e-4) as u64;
    milliseconds(out, thousandths * 1_000);
}

/// By OpenTelemetry's name for them.
fn headers(out: &mut Vec<u8>, all: &[Kept]) {
    for kept in all {
        escaped(key(out, r#","http.request.header."#), &kept.name);
        text(key(out, r#"":"#), &kept.value);
    }
}

fn address(out: &mut Vec<u8>, ip: IpAddr) {
    out.push(b'"');
    match ip {
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        IpAddr::V6(ip) => {
            let mut text = String::new();
            // Writing into a string does not fail.
            let _ = write!(text, "{ip}");
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn confidence_is_cut_off_and_candidates_are_a_list() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.99, "0.99"),
            (0.9, "0.9"),
            (0.999_99, "0.999"),
            (0.5, "0.5"),
            (0.0, "0.0"),
            (f32::NAN, "0.0"),
            (7.0, "1.0"),
            (-1.0, "0.0"),
        ] {
            assert_eq!(written(|out| share(out, value)), text, "{value}");
        }
        assert_eq!(written(|out| candidates(out, &[])), "");
        let two = [(SpanId(1), 0.625), (SpanId(2), 0.25)];
        assert_eq!(
            written(|out| candidates(out, &two)),
            concat!(
                r#","tracer.link.candidates":[{"spanId":"0000000000000001","confidence":0.625},"#,
                r#"{"spanId":"0000000000000002","confidence":0.25}]"#
            )
        );
    }

    #[test]
    fn kept_headers_are_tags_whatever_they_are_called() {
        let kept = |name: &str, value: &str| Kept { name: name.into(), value: value.into() };
        let json = written(|out| headers(out, &[kept("x-truth-id", "17"), kept("x\"odd", "a\\b")]));
        assert_eq!(json, r#","http.request.header.x-truth-id":"17","http.request.header.x\"odd":"a\\b""#);
    }

    #[test]
    fn addresses_are_strings() {
        for ip in ["10.0.0.255", "2001:db8::1", "::"] {
            assert_eq!(written(|out| address(out, ip.parse().unwrap())), format!("{ip:?}"));
        }
    }
}
