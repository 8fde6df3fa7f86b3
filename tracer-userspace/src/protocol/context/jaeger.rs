//! `uber-trace-id`, as Jaeger's clients speak it ("Propagation Format" in Jaeger's documentation of its client libraries).

use super::digits::hex;
use super::{Format, TraceContext};

/// `{trace-id}:{span-id}:{parent-span-id}:{flags}` in hexadecimal digits without leading zeros; the colons may come
/// percent-encoded. The third is deprecated, and 0 in most libraries.
pub(super) fn parse(value: &[u8]) -> Option<TraceContext> {
    let mut rest = value;
    let mut next = || {
        let end = rest.iter().position(|byte| matches!(byte, b':' | b'%')).unwrap_or(rest.len());
        let (part, after) = rest.split_at_checked(end)?;
        rest = match after {
            [b':', after @ ..] | [b'%', b'3', b'a' | b'A', after @ ..] => after,
            [] => after,
            _ => return None,
        };
        Some(part)
    };
    let (trace, span, parent, flags) = (next()?, next()?, next()?, next()?);
    if !rest.is_empty() || flags.len() > 2 {
        return None;
    }
    hex(flags)?;
    let number = |digits: &[u8]| u64::try_from(hex(digits)?).ok();
    let context = TraceContext {
        format: Format::Jaeger,
        trace_id: hex(trace)?,
        span_id: number(span)?,
        parent_id: number(parent)?,
    };
    (context.trace_id != 0 && context.span_id != 0).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_documentation_describes_is_read() {
        let context = parse(b"3d0c43b1a2d5e6f7:5f6a7b8c:0:1").unwrap();
        assert_eq!(
            (context.trace_id, context.span_id, context.parent_id),
            (0x3d0c_43b1_a2d5_e6f7, 0x5f6a_7b8c, 0)
        );
        assert_eq!(parse(b"3d0c43b1a2d5e6f7%3A5f6a7b8c%3a0%3A1"), Some(context));
        let long = parse(b"6e0c63257de34c92bf9efcd03927272e:53995c3f42cd8ad8:1:0").unwrap();
        assert_eq!((long.trace_id >> 64, long.parent_id), (0x6e0c_6325_7de3_4c92, 1));
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        let long = format!("{}:1:0:1", "1".repeat(33));
        for bad in [
            "",
            ":::",
            "1:2:0",
            "1:2:0:1:5",
            "0:2:0:1",
            "1:0:0:1",
            "1:2:0:x",
            "1:2::1",
            "1%3B2:0:1",
            "1%",
            "1:2:0:123",
            &long,
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"1:11111111111111111:0:1"), None, "a span id of 68 bits");
    }
}
