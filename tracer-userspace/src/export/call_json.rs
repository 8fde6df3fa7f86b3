//! The name of a span's operation, and the tags that depend on its protocol: OpenTelemetry's names of the 1.x generation
//! (`http.*`, `rpc.*`, `db.*`, `messaging.*`, `dns.*`).

use super::encode::{escaped, key, number, text};
use crate::exchange::{Family, Operation, Protocol, Value, dns_code};
use crate::trace::{Span, Tags};

/// The operation's name.
pub(super) fn operation(out: &mut Vec<u8>, span: &Span) {
    let Operation { verb, object } = span.operation();
    escaped(out, verb);
    if let Some(object) = object {
        if !verb.is_empty() {
            out.push(b' ');
        }
        escaped(out, object);
    }
}

/// The tags up to the status.
pub(super) fn tags(out: &mut Vec<u8>, tags: &Tags) {
    if let Some(id) = tags.id() {
        // It is not known to be HTTP.
        text(key(out, r#""tracer.id":"#), id);
    } else {
        match tags.protocol.family() {
            Family::Http => http(out, tags),
            Family::Rpc => rpc(out, tags),
            Family::Database => database(out, tags),
            Family::Messaging => messaging(out, tags),
            Family::Dns => dns(out, tags),
        }
    }
    for attribute in tags.attributes() {
        out.push(b',');
        text(out, &attribute.key);
        out.push(b':');
        match &attribute.value {
            Value::Text(value) => text(out, value),
            Value::Number(value) if *value < 0 => {
                out.push(b'-');
                number(out, value.unsigned_abs());
            }
            Value::Number(value) => number(out, value.unsigned_abs()),
        }
    }
}

fn http(out: &mut Vec<u8>, tags: &Tags) {
    text(key(out, r#""http.method":"#), &tags.method);
    text(key(out, r#","http.url":"#), &tags.url);
    if let Some(host) = &tags.host {
        text(key(out, r#","http.host":"#), host);
    }
    match tags.protocol {
        Protocol::Http2 => _ = key(out, r#","http.flavor":"2.0""#),
        Protocol::FastCgi => _ = key(out, r#","network.protocol.name":"fastcgi""#),
        _ => {}
    }
    if let Some(status) = tags.status {
        number(key(out, r#","http.status_code":"#), status.into());
    }
    failure(out, tags, r#","error.type":"#);
}

fn rpc(out: &mut Vec<u8>, tags: &Tags) {
    key(out, r#""rpc.system":"grpc""#);
    let path = tags.url.strip_prefix('/').unwrap_or(&tags.url);
    match path.rsplit_once('/') {
        Some((service, method)) => {
            text(key(out, r#","rpc.service":"#), service);
            text(key(out, r#","rpc.method":"#), method);
        }
        None => text(key(out, r#","rpc.method":"#), path),
    }
    if let Some(host) = &tags.host {
        text(key(out, r#","server.address":"#), host);
    }
    if let Some(status) = tags.status {
        number(key(out, r#","rpc.grpc.status_code":"#), status.into());
    }
    failure(out, tags, r#","error.type":"#);
}

fn database(out: &mut Vec<u8>, tags: &Tags) {
    text(key(out, r#""db.system":"#), tags.protocol.system());
    if let Some(name) = &tags.host {
        text(key(out, r#","db.instance":"#), name);
    }
    if !tags.method.is_empty() {
        text(key(out, r#","db.operation":"#), &tags.method);
    }
    if !tags.url.is_empty() {
        text(key(out, r#","db.statement":"#), &tags.url);
    }
    if let Some(status) = tags.status {
        number(key(out, r#","db.response.status":"#), status.into());
    }
    failure(out, tags, r#","db.response.status_code":"#);
}

fn messaging(out: &mut Vec<u8>, tags: &Tags) {
    text(key(out, r#""messaging.system":"#), tags.protocol.system());
    text(key(out, r#","messaging.operation":"#), &tags.method);
    if !tags.url.is_empty() {
        text(key(out, r#","messaging.destination":"#), &tags.url);
    }
    failure(out, tags, r#","error.type":"#);
}

fn dns(out: &mut Vec<u8>, tags: &Tags) {
    text(key(out, r#""dns.question.name":"#), &tags.url);
    text(key(out, r#","dns.question.type":"#), &tags.method);
    if let Some(status) = tags.status {
        match dns_code::name(status) {
            Some(name) => text(key(out, r#","dns.response_code":"#), name),
            None => number(key(out, r#","dns.response_code":"#), status.into()),
        }
    }
    failure(out, tags, r#","error.type":"#);
}

fn failure(out: &mut Vec<u8>, tags: &Tags, name: &'static str) {
    if let Some(code) = &tags.error_code {
        text(key(out, name), code);
    }
}
