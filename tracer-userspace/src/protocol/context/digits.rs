//! Numbers as the headers of tracing libraries write them.

/// Hexadecimal digits, either case, as many as 128 bits have at most. `None` for anything else, and for nothing.
pub(super) fn hex(digits: &[u8]) -> Option<u128> {
    if digits.is_empty() || digits.len() > 32 {
        return None;
    }
    digits
        .iter()
        .try_fold(0u128, |value, digit| Some(value << 4 | u128::from(char::from(*digit).to_digit(16)?)))
}

/// Exactly 16 or 32 hexadecimal digits that are not all 0: the two lengths of a trace id.
pub(super) fn trace_id(digits: &[u8]) -> Option<u128> {
    if !matches!(digits.len(), 16 | 32) {
        return None;
    }
    hex(digits).filter(|id| *id != 0)
}

/// Exactly 16 hexadecimal digits that are not all 0: a span id.
pub(super) fn span_id(digits: &[u8]) -> Option<u64> {
    if digits.len() != 16 {
        return None;
    }
    u64::try_from(hex(digits)?).ok().filter(|id| *id != 0)
}

/// A decimal number of 64 bits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_and_not_too_many_are_numbers() {
        assert_eq!(hex(b"0aF"), Some(0xaf));
        assert_eq!(hex(&[b'f'; 32]), Some(u128::MAX));
        for bad in [&b""[..], b"+1", b"g", b"1 ", &[b'0'; 33]] {
            assert_eq!(hex(bad), None, "{bad:?}");
        }
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"18446744073709551616", b"-1", b"+1", b"1a", &[b'9'; 400]] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
        assert_eq!((trace_id(&[b'0'; 32]), span_id(&[b'0'; 16])), (None, None));
        assert_eq!((trace_id(b"1"), span_id(b"1")), (None, None));
    }
}
