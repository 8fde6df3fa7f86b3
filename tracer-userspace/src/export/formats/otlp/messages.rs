//! The same as Protocol Buffers' messages, those that OpenTelemetry publishes: what is pushed over HTTP and gRPC. A test holds the
//! JSON, which is written without them because it has to be written fast, against them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use rustc_hash::FxHashMap;

use super::super::super::ids::Ids;
use super::super::super::semconv::{self, Attribute, Resource, SCHEMA};
use super::super::{FileSpan, Host, since_1970};
use super::write_resource;
use crate::spans::{Kind, Value};

/// Spans that become a request.
#[derive(Debug)]
pub struct Messages {
    host: Host,
    ids: Ids,
    /// By resource, in the order in which they came.
    groups: Vec<proto::ResourceSpans>,
    /// Indices of them, by what the JSON says of the resource.
    numbers: FxHashMap<Box<[u8]>, usize>,
}

impl Messages {
    /// For spans of this host.
    pub fn new(host: Host) -> Self {
        Self { host, ids: Ids::default(), groups: Vec::new(), numbers: FxHashMap::default() }
    }

    /// Adds a span.
    pub fn span(&mut self, span: &FileSpan<'_>) {
        let ids = self.ids.of(span);
        let frame = semconv::frame(span);
        let mut attributes = Vec::new();
        semconv::attributes(span, |name, value| attributes.push(attribute(name, &value)));
        let message = proto::Span {
            trace_id: ids.trace.0.to_be_bytes().to_vec(),
            span_id: ids.span.0.to_be_bytes().to_vec(),
            parent_span_id: ids.parent.map(|parent| parent.0.to_be_bytes().to_vec()).unwrap_or_default(),
            name: span.operation_name.clone().into_owned(),
            kind: kind(frame.kind).into(),
            start_time_unix_nano: since_1970(span.start),
            end_time_unix_nano: since_1970(span.end()),
            attributes,
            status: frame.is_error.then(|| proto::Status {
                message: String::new(),
                code: proto::status::StatusCode::Error.into(),
            }),
            ..proto::Span::default()
        };
        let group = self.group(&frame.resource);
        if let Some(scope) = group.scope_spans.first_mut() {
            scope.spans.push(message);
        }
    }

    /// What was added.
    pub fn take(&mut self) -> ExportTraceServiceRequest {
        self.numbers.clear();
        ExportTraceServiceRequest { resource_spans: std::mem::take(&mut self.groups) }
    }

    fn group(&mut self, of: &Resource<'_>) -> &mut proto::ResourceSpans {
        let mut key = Vec::new();
        write_resource(&mut key, of, self.host.name.as_deref());
        let number = *self.numbers.entry(key.into()).or_insert_with(|| {
            self.groups.push(resource_spans(of, self.host.name.as_deref()));
            self.groups.len() - 1
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "the number is of a group that is there, or was just added"
        )]
        let group = &mut self.groups[number];
        group
    }
}

fn resource_spans(of: &Resource<'_>, host: Option<&str>) -> proto::ResourceSpans {
    let mut attributes = vec![attribute("service.name", &Attribute::Text(of.service.into()))];
    for (name, value) in [("host.name", of.host.or(host)), ("container.id", of.container)] {
        if let Some(value) = value {
            attributes.push(attribute(name, &Attribute::Text(value.into())));
        }
    }
    if let Some(pid) = of.pid {
        attributes.push(attribute("process.pid", &Attribute::Int(pid)));
    }
    let scope = InstrumentationScope {
        name: "tracer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let scope = proto::ScopeSpans { scope: Some(scope), spans: Vec::new(), schema_url: SCHEMA.to_owned() };
    proto::ResourceSpans {
        resource: Some(resource::Resource { attributes, ..resource::Resource::default() }),
        scope_spans: vec![scope],
        schema_url: SCHEMA.to_owned(),
    }
}

fn kind(kind: Kind) -> proto::span::SpanKind {
    match kind {
        Kind::Internal => proto::span::SpanKind::Internal,
        Kind::Server => proto::span::SpanKind::Server,
        Kind::Client => proto::span::SpanKind::Client,
        Kind::Producer => proto::span::SpanKind::Producer,
        Kind::Consumer => proto::span::SpanKind::Consumer,
    }
}

fn attribute(name: &str, value: &Attribute<'_>) -> KeyValue {
    let value = match value {
        Attribute::As(value) => any(value),
        Attribute::Text(value) => text(value),
        Attribute::Int(value) => AnyValue { value: Some(Any::IntValue(*value)) },
        Attribute::Texts(value) => {
            AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: vec![text(value)] })) }
        }
    };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn any(value: &Value<'_>) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(value) => Some(Any::BoolValue(*value)),
        Value::Int(value) => Some(Any::IntValue(*value)),
        Value::Float(value) => Some(Any::DoubleValue(*value)),
        Value::Text(value) => return text(value),
        Value::List(values) => Some(Any::ArrayValue(ArrayValue { values: values.iter().map(any).collect() })),
        Value::Map(values) => {
            let attributes = values.iter().map(|(name, value)| attribute(name, &Attribute::As(value)));
            Some(Any::KvlistValue(KeyValueList { values: attributes.collect() }))
        }
    };
    AnyValue { value }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Any::StringValue(value.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::formats::Format;
    use crate::export::formats::otlp::Otlp;
    use crate::spans::file::read_again;

    /// OpenTelemetry's own reader of its JSON finds the same messages in ours.
    #[test]
    fn the_json_and_the_messages_say_the_same() {
        let spans = [
            r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":null,"serviceName":"shop","operationName":"GET \"/\"","startTime":"2023-10-27T10:00:00.050123Z","duration":150.25,"tags":{"span.kind":"server","http.method":"GET","http.url":"/a?b=1","http.status_code":500,"error":true,"process.pid":17,"container.id":"abc","http.request.header.x":"y","list":[1,"a",true,null,{"k":-2}],"float":1.5,"null":null,"map":{"a":{"b":[]}}}}"#,
            r#"{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"2","parentSpanId":"00f067aa0ba902b7","serviceName":"shop","operationName":"SELECT","startTime":"2023-10-27T10:00:00.06Z","duration":0.001,"tags":{"span.kind":"client","db.system":"postgresql","db.statement":"SELECT ?","process.pid":17,"container.id":"abc"}}"#,
            r#"{"traceId":"order-17","spanId":"x","parentSpanId":"y","serviceName":"größe","operationName":"","startTime":"1969-12-31T23:59:59Z","duration":0,"tags":{"span.kind":"consumer","host.name":"other"}}"#,
        ];
        for host in [None, Some("here".to_owned())] {
            let host = Host { name: host };
            let (mut json, mut messages) = (Otlp::new(host.clone()), Messages::new(host));
            let mut out = Vec::new();
            for _ in 0..2 {
                for span in &spans {
                    let span = read_again(span.as_bytes()).unwrap();
                    json.span(&span, 0, &mut out);
                    messages.span(&span);
                }
                json.flush(&mut out);
                let read: ExportTraceServiceRequest = serde_json::from_slice(&out).unwrap();
                let made = messages.take();
                assert_eq!(made, read);
                assert_eq!(made.resource_spans.len(), 2);
                out.clear();
            }
        }
    }
}
