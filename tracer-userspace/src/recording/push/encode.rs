//! A batch in the collector's language.

use bytes::Bytes;
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

/// What is sent.
#[derive(Clone, Debug)]
pub enum Encoded {
    /// As the body of a request.
    Bytes {
        /// The body.
        body: Bytes,
        /// What it is.
        content_type: &'static str,
    },
    /// Over gRPC.
    Messages(ExportTraceServiceRequest),
}

/// Puts spans, each of which is trace JSON, into the collector's form.
pub fn encode(language: Language, spans: &Spans, host: &Host) -> Encoded {
    match language {
        Language::Otlp => Encoded::Bytes {
            body: messages(spans, host).encode_to_vec().into(),
            content_type: "application/x-protobuf",
        },
        Language::OtlpGrpc => Encoded::Messages(messages(spans, host)),
        Language::OtlpJson => written(Otlp::batched_outside(host.clone()), spans),
        Language::Zipkin => written(Zipkin::default(), spans),
    }
}

fn messages(spans: &Spans, host: &Host) -> ExportTraceServiceRequest {
    let mut messages = Messages::new(host.clone());
    // Our own JSON is read.
    for span in spans.iter().filter_map(|json| read_again(json)) {
        messages.span(&span);
    }
    messages.take()
}

fn written(mut format: impl Format, spans: &Spans) -> Encoded {
    let mut out = Vec::new();
    format.begin(&mut out);
    for span in spans.iter().filter_map(|json| read_again(json)) {
        format.span(&span, NO_ROW, &mut out);
    }
    format.flush(&mut out);
    out.extend_from_slice(format.closing());
    Encoded::Bytes { body: out.into(), content_type: "application/json" }
}
