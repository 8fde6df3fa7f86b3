//! `X-Amzn-Trace-Id`, as AWS X-Ray and its load balancers speak it ("Tracing header" in the X-Ray documentation).

use super::digits::{hex, span_id};
use super::{Format, TraceContext};

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`, in any order, with other fields between. Without
/// `Parent`, as a load balancer sends it, the trace is known and the caller's span is not.
pub(super) fn parse(value: &[u8]) -> Option<TraceContext> {
    let field =
        |name: &[u8]| value.split(|byte| *byte == b';').find_map(|part| part.trim_ascii().strip_prefix(name));
    let [b'1', b'-', root @ ..] = field(b"Root=")? else { return None };
    let (seconds, rest) = root.split_at_checked(8)?;
    let [b'-', unique @ ..] = rest else { return None };
    if unique.len() != 24 {
        return None;
    }
    let span_id = match field(b"Parent=") {
        Some(parent) => span_id(parent)?,
        None => 0,
    };
    Some(TraceContext {
        format: Format::Aws,
        trace_id: hex(seconds)? << 96 | hex(unique)?,
        span_id,
        parent_id: 0,
    })
    .filter(|context| context.trace_id != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation_are_read() {
        let context =
            parse(b"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1").unwrap();
        assert_eq!(context.trace_id, 0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793);
        assert_eq!(context.span_id, 0x5399_5c3f_42cd_8ad8);
        let root =
            parse(b"Self=1-67891234-12456789abcdef012345678; Root=1-5759e988-bd862e3fe1be46a994272793")
                .unwrap();
        assert_eq!((root.trace_id, root.span_id), (context.trace_id, 0));
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        for bad in [
            "",
            "Root=",
            "Root=1-",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279",
            "Root=1-5759e98g-bd862e3fe1be46a994272793",
            "Root=1-00000000-000000000000000000000000",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=1",
            "Parent=53995c3f42cd8ad8",
            "Root=1-\u{fc}\u{fc}\u{fc}\u{fc}-",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
