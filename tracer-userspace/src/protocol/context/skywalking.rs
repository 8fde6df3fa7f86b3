//! `sw8`, as Apache SkyWalking's agents speak it (Cross Process Propagation Headers Protocol v3):
//! `{sample}-{trace id}-{parent segment id}-{parent span}-{service}-{instance}-{endpoint}-{address}`, texts in Base64.
//!
//! Its ids are texts of any length, so they cannot name a trace of ours. What is kept is a hash of each, which says whether two
//! messages carry the same.

use super::{Format, TraceContext};
use crate::protocol::tokens::HashKey;

/// Longest field that is taken for an id.
const MAX_FIELD: usize = 256;

/// Reads a field value.
pub(super) fn parse(value: &[u8], key: HashKey) -> Option<TraceContext> {
    let mut parts = value.split(|byte| *byte == b'-');
    let (sample, trace, segment, span) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Four more follow, the caller's names.
    let whole = parts.by_ref().take(4).filter(|part| is_base64(part)).count() == 4 && parts.next().is_none();
    let fine = matches!(sample, b"0" | b"1")
        && is_base64(trace)
        && is_base64(segment)
        && !span.is_empty()
        && span.len() <= 10
        && span.iter().all(u8::is_ascii_digit);
    (whole && fine).then(|| TraceContext {
        format: Format::SkyWalking,
        // Both halves of one hash with different beginnings.
        trace_id: u128::from(key.hash(&[b"sw8", trace])) << 64 | u128::from(key.hash(&[b"8sw", trace])),
        span_id: key.hash(&[segment, b"-", span]),
        parent_id: 0,
    })
}

/// Text in Base64 (RFC 4648 section 4), which is not decoded: equal texts look equal.
fn is_base64(text: &[u8]) -> bool {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let (text, padding) = text.split_at_checked(end).unwrap_or((text, b""));
    !text.is_empty()
        && text.len() <= MAX_FIELD
        && padding.len() <= 2
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "1-TRACEID-SEGMENTID-3-PARENT_SERVICE-PARENT_INSTANCE-PARENT_ENDPOINT-IPPORT";

    /// The example of the protocol's description, with the placeholders encoded as it says.
    fn example() -> String {
        GOOD.replace("TRACEID", "VFJBQ0VJRA==")
            .replace("SEGMENTID", "U0VHTUVOVElE")
            .replace("PARENT_SERVICE", "UEFSRU5U")
            .replace("PARENT_INSTANCE", "SU5TVA==")
            .replace("PARENT_ENDPOINT", "RU5E")
            .replace("IPPORT", "SVA=")
    }

    fn read(value: &str) -> Option<TraceContext> {
        parse(value.as_bytes(), HashKey::default())
    }

    #[test]
    fn the_example_of_the_description_is_read() {
        let context = read(&example()).unwrap();
        assert_eq!(Some(context), read(&example()));
        let other_span = read(&example().replace("-3-", "-4-")).unwrap();
        assert_eq!(other_span.trace_id, context.trace_id);
        assert_ne!(other_span.span_id, context.span_id);
        let other_trace = read(&example().replace("VFJB", "VFJC")).unwrap();
        assert_ne!(other_trace.trace_id, context.trace_id);
        assert_ne!(parse(example().as_bytes(), HashKey(1, 2)), Some(context), "the key does not matter");
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        let good = example();
        let long = good.replace("VFJBQ0VJRA==", &"A".repeat(300));
        for bad in [
            "",
            "-",
            "1-------",
            GOOD,
            &good[..good.len() - 5],
            &format!("{good}-x"),
            &format!("2{good}"),
            &long,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&good.replace("-3-", "--")), None);
        assert_eq!(read(&good.replace("-3-", "-99999999999-")), None);
    }
}
