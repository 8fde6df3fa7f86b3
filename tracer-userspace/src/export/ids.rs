//! Ids as other tools know them: 16 bytes for a trace, 8 for a span, in hexadecimal digits.
//!
//! Ours are such. Files by others may have any text for an id: what is no hexadecimal number of that size is hashed, the same text to the
//! same id, always; and it is counted, because whoever looks for the id in the other tool must know.

use std::hash::Hash;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::spans::FileSpan;
use crate::trace::{SpanId, TraceId};

/// The ids of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanIds {
    /// Its trace.
    pub trace: TraceId,
    /// Itself.
    pub span: SpanId,
    /// Its parent; none if it names itself.
    pub parent: Option<SpanId>,
}

/// Reads ids.
#[derive(Debug, Default)]
pub struct Ids {
    /// Spans with an id that was hashed.
    pub hashed: u64,
}

impl Ids {
    /// Those of a span.
    pub fn of(&mut self, span: &FileSpan<'_>) -> SpanIds {
        let mut is_hashed = false;
        let mut id = |text: &str, digits| {
            number(text, digits).unwrap_or_else(|| {
                is_hashed = true;
                hash(text)
            })
        };
        let trace = id(&span.trace_id, 32);
        // The lower half: what is hashed is cut, and may not be 0 then either.
        let mut span_id = |text: &str| SpanId((id(text, 16) as u64).max(1));
        let own = span_id(&span.span_id);
        let parent = span.parent_span_id.as_deref().map(span_id).filter(|parent| *parent != own);
        self.hashed += u64::from(is_hashed);
        SpanIds { trace: TraceId(trace), span: own, parent }
    }
}

/// Up to so many hexadecimal digits, not all of them 0: an id of zeros is none, to OpenTelemetry and Zipkin alike.
fn number(text: &str, digits: usize) -> Option<u128> {
    let number = match (text.len(), digits) {
        // With all of their digits, as nearly all ids are.
        (32, 32) => const_hex::decode_to_array(text).ok().map(u128::from_be_bytes),
        (16, 16) => const_hex::decode_to_array(text).ok().map(|bytes| u64::from_be_bytes(bytes).into()),
        (len, most) if len <= most && text.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
            u128::from_str_radix(text, 16).ok()
        }
        _ => None,
    };
    number.filter(|number| *number != 0)
}

fn hash(text: &str) -> u128 {
    let mut hasher = SipHasher13::new();
    text.hash(&mut hasher);
    hasher.finish128().as_u128().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::file::read_again;

    fn of(trace: &str, span: &str, parent: &str) -> (SpanIds, u64) {
        let json = format!(
            "{{\"traceId\":\"{trace}\",\"spanId\":\"{span}\",\"parentSpanId\":{parent},\"startTime\":\"2023-10-27T10:00:00Z\",\"duration\":1}}"
        );
        let mut ids = Ids::default();
        (ids.of(&read_again(json.as_bytes()).unwrap()), ids.hashed)
    }

    #[test]
    fn hexadecimal_ids_are_kept() {
        let (ids, hashed) = of("4BF92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "\"1\"");
        assert_eq!(&ids.trace.to_hex(), b"4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(&ids.span.to_hex(), b"00f067aa0ba902b7");
        assert_eq!((ids.parent, hashed), (Some(SpanId(1)), 0));
        assert_eq!(of("1", "2", "null").0, SpanIds { trace: TraceId(1), span: SpanId(2), parent: None });
        assert_eq!(of("1", "2", "\"2\"").0.parent, None);
    }

    #[test]
    fn other_ids_become_hexadecimal_always_the_same_and_are_counted() {
        let (ids, hashed) = of("order-17", "+1", "\"0000000000000000\"");
        assert_eq!(hashed, 1);
        assert_eq!(ids, of("order-17", "+1", "\"0000000000000000\"").0);
        assert_ne!(ids.trace, of("order-18", "+1", "null").0.trace);
        // A child names its parent as that one names itself.
        assert_eq!(of("order-17", "x", "\"+1\"").0.parent, Some(ids.span));
        assert!(ids.span.0 != 0 && ids.trace.0 != 0 && ids.parent != Some(SpanId(0)));
        assert_eq!(of("4bf92f3577b34da6a3ce929d0e0e47360", "1", "null").1, 1);
        assert_eq!(of("1", "ö", "null").1, 1);
        // Some libraries take that for a sign of hexadecimal digits.
        assert_eq!(of("0x4bf92f3577b34da6a3ce929d0e0e4736", "1", "null").1, 1);
        assert_eq!(of("1", "0xa3ce929d0e0e47", "null").1, 1);
    }
}
