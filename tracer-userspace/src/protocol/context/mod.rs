//! Trace contexts that requests carry: each format of each tracing library, read into the same [`TraceContext`].
//!
//! A format is a module that reads values. [`Found`] collects the values while a head is gone through, because some formats spread
//! over several headers, and because a header that comes twice says nothing (Trace Context section 3.2). What is not valid is
//! as if absent, never an error. Nothing here knows HTTP/1: any protocol with named fields may ask.

mod aws;
mod b3;
mod datadog;
mod digits;
mod jaeger;
mod skywalking;
mod w3c;

use super::tokens::HashKey;
pub use crate::exchange::{Format, TraceContext};

/// The headers that make up a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    TraceParent,
    B3,
    B3Trace,
    B3Span,
    B3Parent,
    Jaeger,
    DatadogTrace,
    DatadogParent,
    DatadogTags,
    Aws,
    SkyWalking,
}

/// How many there are.
const HEADERS: usize = 11;

impl Header {
    /// Which a field is, by its name as it was sent.
    fn of(name: &[u8]) -> Option<Header> {
        // Mostly the length alone decides.
        let (header, known): (Header, &[u8]) = match name.len() {
            2 => (Header::B3, b"b3"),
            3 => (Header::SkyWalking, b"sw8"),
            11 => match name.first() {
                Some(b't' | b'T') => (Header::TraceParent, b"traceparent"),
                _ => (Header::B3Span, b"x-b3-spanid"),
            },
            12 => (Header::B3Trace, b"x-b3-traceid"),
            13 => (Header::Jaeger, b"uber-trace-id"),
            14 => (Header::DatadogTags, b"x-datadog-tags"),
            15 => (Header::Aws, b"x-amzn-trace-id"),
            17 => (Header::B3Parent, b"x-b3-parentspanid"),
            18 => (Header::DatadogTrace, b"x-datadog-trace-id"),
            19 => (Header::DatadogParent, b"x-datadog-parent-id"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(known).then_some(header)
    }
}

impl Format {
    /// The headers that carry it; one that is to be ignored takes the whole format with it.
    pub fn headers(self) -> &'static [&'static str] {
        match self {
            Format::W3c => &["traceparent"],
            Format::B3 => &["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid"],
            Format::Jaeger => &["uber-trace-id"],
            Format::Datadog => &["x-datadog-trace-id", "x-datadog-parent-id", "x-datadog-tags"],
            Format::Aws => &["x-amzn-trace-id"],
            Format::SkyWalking => &["sw8"],
        }
    }
}

/// A field's value: there once, or too often.
#[derive(Clone, Copy, Debug, Default)]
enum Seen<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Again,
}

/// The values of these headers in one head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    values: [Seen<'a>; HEADERS],
    any: bool,
}

impl<'a> Found<'a> {
    /// Takes a field. False if it is none of a context's.
    pub fn field(&mut self, name: &[u8], value: &'a [u8]) -> bool {
        let Some(header) = Header::of(name) else { return false };
        if let Some(seen) = self.values.get_mut(header as usize) {
            *seen = match seen {
                Seen::Absent => Seen::Once(value),
                Seen::Once(_) | Seen::Again => Seen::Again,
            };
            self.any = true;
        }
        true
    }

    fn seen(&self, header: Header) -> Seen<'a> {
        self.values.get(header as usize).copied().unwrap_or_default()
    }

    /// The value of a field that came once.
    fn once(&self, header: Header) -> Option<&'a [u8]> {
        if let Seen::Once(value) = self.seen(header) { Some(value) } else { None }
    }

    /// The value of a field that may be missing; `None` if it came several times.
    fn optional(&self, header: Header) -> Option<Option<&'a [u8]>> {
        match self.seen(header) {
            Seen::Absent => Some(None),
            Seen::Once(value) => Some(Some(value)),
            Seen::Again => None,
        }
    }

    /// What they say, at most one of each format, in the order in which formats are believed.
    pub fn contexts(&self, key: HashKey) -> Vec<TraceContext> {
        if !self.any {
            return Vec::new();
        }
        let w3c = self.once(Header::TraceParent).and_then(w3c::parse);
        let several = || {
            let parent = self.optional(Header::B3Parent)?;
            b3::several(self.once(Header::B3Trace)?, self.once(Header::B3Span)?, parent)
        };
        // The single header is the newer form, and wins (openzipkin/b3-propagation).
        let b3 = self.once(Header::B3).and_then(b3::single).or_else(several);
        let jaeger = self.once(Header::Jaeger).and_then(jaeger::parse);
        let datadog = || {
            let (parent, tags) = (self.optional(Header::DatadogParent)?, self.optional(Header::DatadogTags)?);
            datadog::parse(self.once(Header::DatadogTrace)?, parent, tags)
        };
        let aws = self.once(Header::Aws).and_then(aws::parse);
        let skywalking = self.once(Header::SkyWalking).and_then(|value| skywalking::parse(value, key));
        [w3c, b3, jaeger, datadog(), aws, skywalking].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: &[(&str, &str)]) -> Vec<(Format, u128, u64)> {
        let mut found = Found::default();
        for (name, value) in fields {
            found.field(name.as_bytes(), value.as_bytes());
        }
        let all = found.contexts(HashKey::default());
        all.into_iter().map(|context| (context.format, context.trace_id, context.span_id)).collect()
    }

    const W3C: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn every_header_is_known_by_its_name_whatever_its_case() {
        for format in
            [Format::W3c, Format::B3, Format::Jaeger, Format::Datadog, Format::Aws, Format::SkyWalking]
        {
            for name in format.headers() {
                assert!(Header::of(name.to_uppercase().as_bytes()).is_some(), "{name}");
                assert!(Header::of(name.replacen(['a', 'b', 's'], "z", 1).as_bytes()).is_none(), "{name}");
            }
        }
        assert!(!Found::default().field(b"host", b"x"));
    }

    #[test]
    fn formats_stand_in_the_order_in_which_they_are_believed() {
        let all = found(&[
            ("X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
            ("x-datadog-trace-id", "7"),
            ("uber-trace-id", "5:6:0:1"),
            ("X-B3-SpanId", "e457b5a2e4d86bd1"),
            ("X-B3-TraceId", "64fe8b2a57d3eff7"),
            ("X-B3-Sampled", "1"),
            ("traceparent", W3C),
        ]);
        let formats: Vec<Format> = all.iter().map(|(format, ..)| *format).collect();
        assert_eq!(formats, [Format::W3c, Format::B3, Format::Jaeger, Format::Datadog, Format::Aws]);
        assert_eq!(all[1], (Format::B3, 0x64fe_8b2a_57d3_eff7, 0xe457_b5a2_e4d8_6bd1));
    }

    #[test]
    fn a_header_that_comes_twice_says_nothing() {
        assert_eq!(found(&[("traceparent", W3C)]).len(), 1);
        for count in 2..5 {
            assert!(found(&[("traceparent", W3C)].repeat(count)).is_empty());
        }
        let b3 = [("x-b3-traceid", "64fe8b2a57d3eff7"), ("x-b3-spanid", "e457b5a2e4d86bd1")];
        let parent = ("x-b3-parentspanid", "05e3ac9a4f6e3b90");
        assert_eq!(found(&[&b3[..], &[parent]].concat()).len(), 1);
        assert!(found(&[&b3[..], &[parent, parent]].concat()).is_empty());
        assert!(found(&b3[..1]).is_empty(), "a trace id without a span id is no B3 context");
    }
}
