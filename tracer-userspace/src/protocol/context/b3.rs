//! B3 propagation, as Zipkin's libraries speak it (openzipkin/b3-propagation): one header `b3`, or several `X-B3-…`.

use super::digits::{span_id, trace_id};
use super::{Format, TraceContext};

/// `{TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]]`. A sampling decision alone (`0`, `1`, `d`) is no context.
pub(super) fn single(value: &[u8]) -> Option<TraceContext> {
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let sampling = parts.next();
    if !matches!(sampling, None | Some(b"0" | b"1" | b"d")) {
        return None;
    }
    let parent = match parts.next() {
        Some(parent) => span_id(parent)?,
        None => 0,
    };
    let context = TraceContext { format: Format::B3, trace_id: trace, span_id: span, parent_id: parent };
    parts.next().is_none().then_some(context)
}

/// The fields `X-B3-TraceId`, `X-B3-SpanId` and `X-B3-ParentSpanId`, of which the last may be missing.
pub(super) fn several(trace: &[u8], span: &[u8], parent: Option<&[u8]>) -> Option<TraceContext> {
    Some(TraceContext {
        format: Format::B3,
        trace_id: trace_id(trace)?,
        span_id: span_id(span)?,
        parent_id: match parent {
            Some(parent) => span_id(parent)?,
            None => 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let context =
            single(b"80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90").unwrap();
        assert_eq!(context.trace_id, 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7);
        assert_eq!((context.span_id, context.parent_id), (0xe457_b5a2_e4d8_6bd1, 0x05e3_ac9a_4f6e_3b90));
        let several = several(
            b"80f198ee56343ba864fe8b2a57d3eff7",
            b"e457b5a2e4d86bd1",
            Some(b"05e3ac9a4f6e3b90".as_slice()),
        );
        assert_eq!(several, Some(context));
        // 64 bits, and no sampling decision.
        let short = single(b"64fe8b2a57d3eff7-e457b5a2e4d86bd1").unwrap();
        assert_eq!((short.trace_id, short.parent_id), (0x64fe_8b2a_57d3_eff7, 0));
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        for bad in [
            "",
            "0",
            "d",
            "-",
            "---",
            "64fe8b2a57d3eff7",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-x",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-",
            "64fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1",
            "0000000000000000-e457b5a2e4d86bd1-1",
            "64fe8b2a57d3eff7-0000000000000000-1",
            "64fe8b2a57d3ef\u{fc}-e457b5a2e4d86bd1",
        ] {
            assert_eq!(single(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(several(b"1", b"e457b5a2e4d86bd1", None), None);
        assert_eq!(several(b"64fe8b2a57d3eff7", b"e457b5a2e4d86bd1", Some(b"".as_slice())), None);
    }
}
