//! The outermost fields of a message in Protocol Buffers' encoding, one by one and in place. What is taken apart this way
//! costs no memory before somebody has decided to keep it, whatever the bytes claim.

/// A field's value, by wire type (protobuf.dev, "Encoding"). Groups, which nobody writes any more, are malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Types VARINT and I32: not looked at here.
    Other,
    /// Type I64.
    Fixed64(u64),
    /// Type LEN.
    Bytes(&'a [u8]),
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Takes the first field off a message: its number and its value. `None` at the message's end.
pub(super) fn first<'a>(bytes: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, Malformed> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => {
            varint(bytes)?;
            Value::Other
        }
        1 => {
            let (number, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed)?;
            *bytes = rest;
            Value::Fixed64(u64::from_le_bytes(*number))
        }
        2 => {
            let len = usize::try_from(varint(bytes)?).map_err(|_| Malformed)?;
            let (value, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
            *bytes = rest;
            Value::Bytes(value)
        }
        5 => {
            *bytes = bytes.split_first_chunk::<4>().ok_or(Malformed)?.1;
            Value::Other
        }
        _ => return Err(Malformed),
    };
    Ok(Some((key >> 3, value)))
}

fn varint(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_type_are_passed() {
        // 1: varint 300; 2: bytes "ab"; 3: fixed64 1; 4: fixed32.
        let mut bytes: &[u8] = b"\x08\xac\x02\x12\x02ab\x19\x01\0\0\0\0\0\0\0\x25abcd";
        let mut found = Vec::new();
        while let Some(field) = first(&mut bytes).unwrap() {
            found.push(field);
        }
        let want = [(1, Value::Other), (2, Value::Bytes(b"ab")), (3, Value::Fixed64(1)), (4, Value::Other)];
        assert_eq!(found, want);
    }

    #[test]
    fn what_is_cut_off_or_of_no_known_type_is_malformed() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\xff",
            b"\x12\x05abcd",
            b"\x19abc",
            b"\x25abc",
            b"\x0b",
            b"\x0e",
            &[0xff; 11],
        ] {
            assert_eq!(first(&mut &*bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
