//! A batch in the collector's language.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::batch::Spans;
use super::place::Language;
use crate::export::formats::otlp::Otlp;
use crate::export::formats::otlp::messages::Messages;
use crate::export::formats::zipkin::Zipkin;
use crate::export::formats::{Format, Host};
use crate::spans::NO_ROW;
use crate::spans::file::read_again;

/// Puts spans, each of which is trace JSON, into the collector's form.
pub fn spans(language: Language, spans: &Spans, host: &Host) -> Bytes {
    match language {
        Language::Otlp | Language::OtlpGrpc => messages(spans, host).encode_to_vec().into(),
        Language::OtlpJson => written(Otlp::batched_outside(host.clone()), spans),
        Language::Zipkin => written(Zipkin::default(), spans),
    }
}

/// Likewise counts; nothing where the collector's language has no words for them.
pub fn metrics(language: Language, request: &ExportMetricsServiceRequest) -> Bytes {
    match language {
        Language::Otlp | Language::OtlpGrpc => request.encode_to_vec().into(),
        // Writing into memory does not fail.
        Language::OtlpJson => serde_json::to_vec(request).unwrap_or_default().into(),
        Language::Zipkin => Bytes::new(),
    }
}

/// What such a body is, over HTTP.
pub fn content_type(language: Language) -> &'static str {
    match language {
        Language::Otlp | Language::OtlpGrpc => "application/x-protobuf",
        Language::OtlpJson | Language::Zipkin => "application/json",
    }
}

/// Compressed (RFC 1952). As fast as it can be: the network is to be spared, and the host even more.
pub fn gzip(body: &[u8]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into memory does not fail.
    let _ = gzip.write_all(body);
    gzip.finish().unwrap_or_default().into()
}

fn messages(spans: &Spans, host: &Host) -> ExportTraceServiceRequest {
    let mut messages = Messages::new(host.clone());
    // Our own JSON is read.
    for span in spans.iter().filter_map(|json| read_again(json)) {
        messages.span(&span);
    }
    messages.take()
}

fn written(mut format: impl Format, spans: &Spans) -> Bytes {
    let mut out = Vec::new();
    format.begin(&mut out);
    for span in spans.iter().filter_map(|json| read_again(json)) {
        format.span(&span, NO_ROW, &mut out);
    }
    format.flush(&mut out);
    out.extend_from_slice(format.closing());
    out.into()
}
