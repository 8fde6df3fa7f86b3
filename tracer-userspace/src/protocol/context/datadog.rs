//! `x-datadog-…`, as Datadog's libraries speak it: ids are decimal numbers of 64 bits; the higher half of a trace id of 128 bits
//! stands in `x-datadog-tags` as `_dd.p.tid`, in 16 hexadecimal digits.

use super::digits::{decimal, hex};
use super::{Format, TraceContext};

/// From the values of `x-datadog-trace-id`, `x-datadog-parent-id` and `x-datadog-tags`. Without a parent (or with 0, as browsers
/// send it) the trace is known and the caller's span is not.
pub(super) fn parse(trace: &[u8], parent: Option<&[u8]>, tags: Option<&[u8]>) -> Option<TraceContext> {
    let low = decimal(trace).filter(|id| *id != 0)?;
    let span_id = match parent {
        Some(parent) => decimal(parent)?,
        None => 0,
    };
    let high = tags.and_then(high_half).unwrap_or(0);
    Some(TraceContext {
        format: Format::Datadog,
        trace_id: u128::from(high) << 64 | u128::from(low),
        span_id,
        parent_id: 0,
    })
}

/// `_dd.p.tid` of a list such as `_dd.p.dm=-4,_dd.p.tid=640cfd8d00000000`.
fn high_half(tags: &[u8]) -> Option<u64> {
    let value = tags
        .split(|byte| *byte == b',')
        .find_map(|tag| tag.trim_ascii().strip_prefix(b"_dd.p.tid="))
        .filter(|digits| digits.len() == 16)?;
    u64::try_from(hex(value)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_halves_of_an_id_are_read() {
        let context = parse(b"1311768467463790320", Some(b"5678"), None).unwrap();
        assert_eq!((context.trace_id, context.span_id), (0x1234_5678_9abc_def0, 5678));
        let tags = b"_dd.p.dm=-4, _dd.p.tid=640cfd8d00000000".as_slice();
        let long = parse(b"1311768467463790320", Some(b"5678"), Some(tags)).unwrap();
        assert_eq!(long.trace_id, 0x640c_fd8d_0000_0000_1234_5678_9abc_def0);
        assert_eq!(parse(b"7", None, None).map(|context| context.span_id), Some(0));
        assert_eq!(parse(b"7", Some(b"0"), None).map(|context| context.span_id), Some(0));
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        for bad in ["", "0", "x", "-1", "18446744073709551616", "1 2"] {
            assert_eq!(parse(bad.as_bytes(), None, None), None, "{bad}");
        }
        assert_eq!(parse(b"7", Some(b"x"), None), None);
        // A bad half is none.
        for tags in ["_dd.p.tid=640cfd8d", "_dd.p.tid=", "_dd.p.tid=zzzzzzzzzzzzzzzz", ",,,=", ""] {
            assert_eq!(parse(b"7", None, Some(tags.as_bytes())).map(|context| context.trace_id), Some(7));
        }
    }
}
