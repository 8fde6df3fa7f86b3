//! A span as OpenTelemetry sees it: which of its tags describe the resource, what its attributes are called in the current
//! semantic conventions, and what becomes of them. How that is written (JSON, Protocol Buffers) is for others.
//!
//! The trace JSON has the names of the first generation (`http.method`), which many tools still know. Their successors are those of
//! [`SCHEMA`]; a test holds them against OpenTelemetry's own list (`tests/e2e/exports.rs`). Names that are in no list stay as they are.

pub mod instruments;
mod names;

use std::borrow::Cow;

use super::tags;
use crate::spans::{FileSpan, Kind, Value};
use names::{Key, Rule, rule};

/// The version of the conventions that the names are of.
pub const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// What a span's resource is told by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resource<'a> {
    /// `service.name`.
    pub service: &'a str,
    /// `process.pid`.
    pub pid: Option<i64>,
    /// `host.name`.
    pub host: Option<&'a str>,
    /// `container.id`.
    pub container: Option<&'a str>,
}

/// What becomes the resource, the kind and the status of a span, and therefore none of its attributes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame<'a> {
    /// Who.
    pub resource: Resource<'a>,
    /// Which side of a call.
    pub kind: Kind,
    /// Whether its status is "error".
    pub is_error: bool,
}

/// Reads that of a span.
pub fn frame<'a>(span: &'a FileSpan<'_>) -> Frame<'a> {
    let mut frame = Frame {
        resource: Resource { service: &span.service_name, ..Resource::default() },
        kind: Kind::Internal,
        is_error: false,
    };
    // Of several of one name the first counts, as everywhere.
    for (name, value) in span.tags.iter().rev() {
        match &**name {
            "process.pid" => frame.resource.pid = value.whole(),
            "host.name" => frame.resource.host = value.text(),
            "container.id" => frame.resource.container = value.text(),
            "span.kind" => frame.kind = Kind::of(value.text()),
            "error" => frame.is_error = value.truth(),
            _ => {}
        }
    }
    frame
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute<'a> {
    /// That of the tag.
    As(&'a Value<'a>),
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Int(i64),
    /// A list of one text, as headers are.
    Texts(&'a str),
}

/// Hands over each attribute of a span with its current name, each name once.
pub fn attributes<'a>(span: &'a FileSpan<'_>, attribute: impl FnMut(&str, Attribute<'a>)) {
    let mut out = Out { attribute, written: 0 };
    tags::each(span, |name, value| match rule(name) {
        Rule::Keep => (out.attribute)(name, Attribute::As(value)),
        Rule::Drop => {}
        // What belongs to the resource, and is not of the kind that it must be.
        Rule::Pid if value.whole::<i64>().is_none() => (out.attribute)(name, Attribute::As(value)),
        Rule::Host if value.text().is_none() => (out.attribute)(name, Attribute::As(value)),
        Rule::Pid | Rule::Host => {}
        Rule::Rename(new) => out.put(new, Attribute::As(value)),
        Rule::Whole(new) => match value.whole() {
            Some(number) => out.put(new, Attribute::Int(number)),
            None => out.put(new, Attribute::As(value)),
        },
        Rule::Text(new) => match value {
            Value::Int(number) => out.put(new, Attribute::Text(number.to_string().into())),
            _ => out.put(new, Attribute::As(value)),
        },
        Rule::Header => match value.text() {
            Some(text) => (out.attribute)(name, Attribute::Texts(text)),
            None => (out.attribute)(name, Attribute::As(value)),
        },
        Rule::Method => out.method(value),
        Rule::Url => out.url(value),
        Rule::Authority => out.authority(value),
        Rule::Version => out.version(value),
        Rule::Transport => out.transport(value),
        Rule::Database => out.database(value),
        Rule::Messaging => out.messaging(value),
        Rule::RpcService => {
            // With the method's name it is one.
            if span.tag("rpc.method").is_none() {
                (out.attribute)(name, Attribute::As(value));
            }
        }
        Rule::RpcMethod => match (span.text("rpc.service"), value.text()) {
            (Some(service), Some(method)) if !method.contains('/') => {
                out.put(Key::RpcMethod, Attribute::Text(format!("{service}/{method}").into()));
            }
            _ => out.put(Key::RpcMethod, Attribute::As(value)),
        },
        Rule::GrpcStatus => match value.whole() {
            Some(code) => out.put(Key::RpcResponseStatusCode, Attribute::Text(names::grpc_status(code))),
            None => out.put(Key::RpcResponseStatusCode, Attribute::As(value)),
        },
    });
    if span.tag("error").is_some_and(Value::truth) {
        out.error_type(span);
    }
}

/// A host, and its port if it has one (RFC 3986, section 3.2).
fn authority(text: &str) -> (&str, Option<u16>) {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        // Several colons are an address of IPv6.
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    match port.map(|port| port.parse::<u16>()) {
        Some(Ok(port)) => (host, Some(port)),
        None => (host, None),
        Some(Err(_)) => (text, None),
    }
}

struct Out<F> {
    attribute: F,
    /// Names that were written, a bit each.
    written: u64,
}

impl<'a, F: FnMut(&str, Attribute<'a>)> Out<F> {
    /// One of the names that several tags may become: the first of them counts.
    fn put(&mut self, name: Key, value: Attribute<'a>) {
        let bit = 1 << name as u64;
        if self.written & bit == 0 {
            self.written |= bit;
            (self.attribute)(name.text(), value);
        }
    }

    fn text(&mut self, name: Key, text: &'a str) {
        self.put(name, Attribute::Text(text.into()));
    }

    fn method(&mut self, value: &'a Value<'a>) {
        match value.text() {
            Some(method) if !names::is_known_method(method) => {
                self.text(Key::HttpRequestMethod, "_OTHER");
                self.text(Key::HttpRequestMethodOriginal, method);
            }
            _ => self.put(Key::HttpRequestMethod, Attribute::As(value)),
        }
    }

    /// A request's target: a path with a query, or all of a URL (RFC 9112, section 3.2).
    fn url(&mut self, value: &'a Value<'a>) {
        let Some(url) = value.text() else { return self.put(Key::UrlOriginal, Attribute::As(value)) };
        let target = match url.split_once("://") {
            _ if url.starts_with('/') => url,
            Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains(['/', '?', '#']) => {
                self.text(Key::UrlFull, url);
                self.text(Key::UrlScheme, scheme);
                rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default()
            }
            // `*`, or the host and port of CONNECT.
            _ => return self.text(Key::UrlOriginal, url),
        };
        let target = target.split('#').next().unwrap_or_default();
        let (path, query) =
            target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        self.text(Key::UrlPath, if path.is_empty() { "/" } else { path });
        if let Some(query) = query {
            self.text(Key::UrlQuery, query);
        }
    }

    /// A host, and its port if it has one.
    fn authority(&mut self, value: &'a Value<'a>) {
        let Some(text) = value.text() else { return self.put(Key::ServerAddress, Attribute::As(value)) };
        let (host, port) = authority(text);
        self.text(Key::ServerAddress, host);
        if let Some(port) = port {
            self.put(Key::ServerPort, Attribute::Int(port.into()));
        }
    }

    fn version(&mut self, value: &'a Value<'a>) {
        let version = match value.text() {
            Some("2.0") => "2",
            Some("3.0") => "3",
            _ => return self.put(Key::NetworkProtocolVersion, Attribute::As(value)),
        };
        self.text(Key::NetworkProtocolVersion, version);
    }

    fn transport(&mut self, value: &'a Value<'a>) {
        let transport = match value.text() {
            Some("ip_tcp") => "tcp",
            Some("ip_udp") => "udp",
            _ => return self.put(Key::NetworkTransport, Attribute::As(value)),
        };
        self.text(Key::NetworkTransport, transport);
    }

    fn database(&mut self, value: &'a Value<'a>) {
        match value.text().and_then(names::database) {
            Some(new) => self.text(Key::DbSystemName, new),
            None => self.put(Key::DbSystemName, Attribute::As(value)),
        }
    }

    fn messaging(&mut self, value: &'a Value<'a>) {
        self.put(Key::MessagingOperationName, Attribute::As(value));
        if let Some(kind) = value.text().and_then(names::messaging_type) {
            self.text(Key::MessagingOperationType, kind);
        }
    }

    /// What an error is told by, where nothing tells it better: the status.
    fn error_type(&mut self, span: &'a FileSpan<'_>) {
        let status = [
            "http.status_code",
            "http.response.status_code",
            "rpc.grpc.status_code",
            "db.response.status_code",
        ];
        let mut found = status.iter().filter_map(|name| Some((*name, span.tag(name)?)));
        let Some((name, value)) = found.next() else { return };
        match value {
            Value::Text(text) => self.text(Key::ErrorType, text),
            Value::Int(code) if name == "rpc.grpc.status_code" => {
                self.put(Key::ErrorType, Attribute::Text(names::grpc_status(*code)));
            }
            Value::Int(code) => self.put(Key::ErrorType, Attribute::Text(code.to_string().into())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
