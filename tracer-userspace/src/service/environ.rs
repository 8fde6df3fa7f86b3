//! The few variables of a process's environment that say who it is.
//!
//! An environment is full of secrets. Only the names below are looked for; of everything else not even the key is
//! kept.

use super::facts::EnvFacts;
use super::text::clean;

/// Reads `/proc/PID/environ`: `KEY=value` entries, each ended by NUL. Of a key that stands twice the first counts, as
/// in getenv. Programs that rewrite their title may have written over it, so anything may stand here.
pub fn parse(environ: &[u8]) -> EnvFacts {
    let mut facts = EnvFacts::default();
    for entry in environ.split(|byte| *byte == 0) {
        let Some(equals) = entry.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = entry.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        match key {
            b"OTEL_SERVICE_NAME" => keep(&mut facts.otel_service_name, text(value)),
            b"OTEL_RESOURCE_ATTRIBUTES" => {
                keep(&mut facts.otel_resource_service_name, resource_service_name(value))
            }
            b"HOSTNAME" => keep(&mut facts.hostname, text(value)),
            b"KUBERNETES_SERVICE_HOST" => facts.kubernetes = true,
            _ => {}
        }
    }
    facts
}

fn keep(slot: &mut Option<String>, value: Option<String>) {
    if slot.is_none() {
        *slot = value;
    }
}

fn text(value: &[u8]) -> Option<String> {
    let cleaned = clean(&String::from_utf8_lossy(value));
    (!cleaned.is_empty()).then_some(cleaned)
}

/// `service.name` of `key=value,key=value`; values are percent-encoded (OpenTelemetry, Resource SDK, "Specifying
/// resource information via an environment variable").
fn resource_service_name(value: &[u8]) -> Option<String> {
    for pair in value.split(|byte| *byte == b',') {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = pair.split_at(equals);
        if key.trim_ascii() == b"service.name" {
            return text(&percent_decoded(value.get(1..).unwrap_or_default().trim_ascii()));
        }
    }
    None
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(value.len());
    let mut at = 0;
    while let Some(byte) = value.get(at) {
        match (byte, hex(value.get(at + 1)), hex(value.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_four_are_kept() {
        let facts = parse(
            b"PATH=/bin\0AWS_SECRET_ACCESS_KEY=abc\0OTEL_SERVICE_NAME=shop\0HOSTNAME=shop-1\0\
              KUBERNETES_SERVICE_HOST=10.0.0.1\0",
        );
        let want = EnvFacts {
            otel_service_name: Some("shop".into()),
            otel_resource_service_name: None,
            hostname: Some("shop-1".into()),
            kubernetes: true,
        };
        assert_eq!(facts, want);
    }

    #[test]
    fn the_service_name_within_resource_attributes() {
        let name = |value: &str| {
            parse(format!("OTEL_RESOURCE_ATTRIBUTES={value}\0").as_bytes()).otel_resource_service_name
        };
        assert_eq!(name("deployment.environment=prod,service.name=shop"), Some("shop".into()));
        assert_eq!(name("service.name=my%20shop%2C,x=y"), Some("my shop,".into()));
        assert_eq!(name(" service.name = shop "), Some("shop".into()));
        assert_eq!(name("service.name.x=shop"), None);
        assert_eq!(name("service.name="), None);
        assert_eq!(name("100%"), None);
        assert_eq!(name("service.name=100%"), Some("100%".into()));
    }

    #[test]
    fn an_environment_that_was_written_over_gives_nothing() {
        assert_eq!(parse(b"worker process\0\0\0ner\0=\0OTEL_SERVICE_NAME"), EnvFacts::default());
        assert_eq!(parse(b"OTEL_SERVICE_NAME=\0"), EnvFacts::default());
        assert_eq!(
            parse(b"OTEL_SERVICE_NAME=first\0OTEL_SERVICE_NAME=second").otel_service_name.unwrap(),
            "first"
        );
        assert_eq!(parse(b"OTEL_SERVICE_NAME=\xff\xfe").otel_service_name.unwrap(), "\u{fffd}\u{fffd}");
    }
}
