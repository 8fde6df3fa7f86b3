//! Zipkin's JSON, version 2: an array of spans (zipkin-api, `zipkin2-api.yaml`).

use std::net::IpAddr;

use super::super::encode::{key, number, text, value_as_text};
use super::super::ids::Ids;
use super::super::tags;
use super::{FileSpan, Format, since_1970};
use crate::spans::Value;

/// The array.
#[derive(Debug, Default)]
pub struct Zipkin {
    begun: bool,
    ids: Ids,
}

/// Whom a span's other end is.
#[derive(Default)]
struct Remote<'a> {
    name: Option<&'a str>,
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl<'a> Remote<'a> {
    fn of(span: &'a FileSpan<'_>) -> Self {
        let mut remote = Remote::default();
        let mut system = None;
        for (name, value) in &span.tags {
            match &**name {
                "peer.service" => remote.name = value.text(),
                "db.system" | "messaging.system" => system = value.text(),
                "net.peer.ip" => remote.address = value.text().and_then(|ip| ip.parse().ok()),
                "net.peer.port" => remote.port = value.whole().filter(|port| *port > 0),
                _ => {}
            }
        }
        remote.name = remote.name.or(system).filter(|name| !name.is_empty());
        remote
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#","remoteEndpoint":{"#);
        let start = out.len();
        let comma = |out: &mut Vec<u8>| {
            if out.len() > start {
                out.push(b',');
            }
        };
        if let Some(name) = self.name {
            lower_case(key(out, r#""serviceName":"#), name);
        }
        if let Some(address) = self.address {
            comma(out);
            text(key(out, if address.is_ipv4() { r#""ipv4":"# } else { r#""ipv6":"# }), &address.to_string());
        }
        if let Some(port) = self.port {
            comma(out);
            number(key(out, r#""port":"#), port.into());
        }
        out.push(b'}');
    }
}

impl Format for Zipkin {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn span(&mut self, span: &FileSpan<'_>, _: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.begun { b",\n" } else { b"\n" });
        self.begun = true;
        let ids = self.ids.of(span);
        out.extend_from_slice(br#"{"traceId":""#);
        // Ids of 64 bits stay such: other spans of the trace may have been sent with them.
        let trace = ids.trace.to_hex();
        let is_short = span.trace_id.len() <= 16;
        out.extend_from_slice(
            trace
                .get(if is_short && ids.trace.0 <= u64::MAX.into() { 16.. } else { 0.. })
                .unwrap_or_default(),
        );
        out.extend_from_slice(br#"","id":""#);
        out.extend_from_slice(&ids.span.to_hex());
        if let Some(parent) = ids.parent {
            out.extend_from_slice(br#"","parentId":""#);
            out.extend_from_slice(&parent.to_hex());
        }
        out.extend_from_slice(br#"","name":"#);
        lower_case(out, &span.operation_name);
        if let Some(kind) = span.text("span.kind").and_then(kind) {
            out.extend_from_slice(kind.as_bytes());
        }
        let micros = since_1970(span.start) / 1_000;
        if micros > 0 {
            number(key(out, r#","timestamp":"#), micros);
        }
        // Zipkin takes 0 for not known: what is shorter than a microsecond is rounded up.
        number(key(out, r#","duration":"#), (span.duration / 1_000).max(1));
        lower_case(key(out, r#","localEndpoint":{"serviceName":"#), &span.service_name);
        out.push(b'}');
        let remote = Remote::of(span);
        if remote.name.is_some() || remote.address.is_some() || remote.port.is_some() {
            remote.write(out);
        }
        write_tags(out, span, &remote);
        out.push(b'}');
    }

    fn closing(&self) -> &'static [u8] {
        b"\n]\n"
    }

    fn hashed_ids(&self) -> u64 {
        self.ids.hashed
    }
}

fn write_tags(out: &mut Vec<u8>, span: &FileSpan<'_>, remote: &Remote<'_>) {
    let before = out.len();
    out.extend_from_slice(br#","tags":{"#);
    let start = out.len();
    tags::each(span, |name, value| {
        let is_said = match name {
            "span.kind" => value.text().and_then(kind).is_some(),
            "net.peer.ip" => remote.address.is_some(),
            "net.peer.port" => remote.port.is_some(),
            // That it is there makes the span an error, whatever it says.
            "error" => matches!(value, Value::Null | Value::Bool(false)) || value.text() == Some("false"),
            _ => false,
        };
        if is_said {
            return;
        }
        if out.len() > start {
            out.push(b',');
        }
        text(out, name);
        out.push(b':');
        value_as_text(out, value);
    });
    if out.len() == start {
        out.truncate(before);
    } else {
        out.push(b'}');
    }
}

fn kind(name: &str) -> Option<&'static str> {
    Some(match name {
        "server" | "SERVER" => r#","kind":"SERVER""#,
        "client" | "CLIENT" => r#","kind":"CLIENT""#,
        "producer" | "PRODUCER" => r#","kind":"PRODUCER""#,
        "consumer" | "CONSUMER" => r#","kind":"CONSUMER""#,
        _ => return None,
    })
}

/// Names are in lower case in Zipkin, which would make them so.
fn lower_case(out: &mut Vec<u8>, name: &str) {
    if name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        text(out, &name.to_lowercase());
    } else {
        text(out, name);
    }
}
