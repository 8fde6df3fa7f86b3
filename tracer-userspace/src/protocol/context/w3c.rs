//! The `traceparent` field (W3C Trace Context, section 3.2): `version-traceid-parentid-flags`, lower-case hex.

use super::TraceContext;

/// Length of a version 00 value: 2 + 1 + 32 + 1 + 16 + 1 + 2.
const LENGTH: usize = 55;

/// Reads a field value (without surrounding white space). `None` if it is not valid, which means: as if absent.
pub(super) fn parse(value: &[u8]) -> Option<TraceContext> {
    let (known, more) = value.split_at_checked(LENGTH)?;
    let version = hex(known.get(0..2)?)?;
    // Version ff is forbidden. Later versions may append fields after a dash (section 3.2.4).
    let ends = more.is_empty() || (version != 0 && more.first() == Some(&b'-'));
    let dashes = [2, 35, 52].into_iter().all(|at| known.get(at) == Some(&b'-'));
    if version == 0xff || !ends || !dashes {
        return None;
    }
    let trace_id = hex(known.get(3..35)?)?;
    let parent_id = u64::try_from(hex(known.get(36..52)?)?).ok()?;
    hex(known.get(53..55)?)?;
    (trace_id != 0 && parent_id != 0).then_some(TraceContext::w3c(trace_id, parent_id))
}

fn hex(digits: &[u8]) -> Option<u128> {
    let mut value = 0u128;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u128::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let parent = parse(GOOD.as_bytes()).unwrap();
        assert_eq!(parent.trace_id, 0x0af7651916cd43dd8448eb211c80319c);
        assert_eq!(parent.span_id, 0xb7ad6b7169203331);
    }

    #[test]
    fn later_versions_may_be_longer_and_version_00_may_not() {
        assert!(parse(GOOD.replacen("00", "01", 1).as_bytes()).is_some());
        assert!(parse(format!("{}-what", GOOD.replacen("00", "cc", 1)).as_bytes()).is_some());
        assert!(parse(format!("{}.what", GOOD.replacen("00", "cc", 1)).as_bytes()).is_none());
        assert!(parse(format!("{GOOD}-what").as_bytes()).is_none());
    }

    #[test]
    fn what_is_not_valid_is_as_if_absent() {
        let bad = [
            GOOD.replacen("00", "ff", 1),
            GOOD.to_uppercase(),
            GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD.replace("-01", "-0g"),
            GOOD[..54].to_string(),
            String::new(),
        ];
        for value in bad {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }
}
