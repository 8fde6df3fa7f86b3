//! Goes through the fields of a Protocol Buffers message where it lies, copying nothing.
//!
//! Three messages make up all but a few of those in a capture, and of a capture of millions none must be built only to be
//! taken apart again. Everything rarer is read by `prost`, from the bytes that this hands out.

/// A field's value, as far as the encoding tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// An unsigned number; wider ones are cut off, as everybody's decoders do.
    pub fn uint32(self) -> Option<u32> {
        self.uint64().map(|value| value as u32)
    }

    /// An unsigned number.
    pub fn uint64(self) -> Option<u64> {
        if let Value::Varint(value) = self { Some(value) } else { None }
    }

    /// A signed number, in zigzag encoding.
    pub fn sint64(self) -> Option<i64> {
        self.uint64().map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A truth value.
    pub fn bool(self) -> Option<bool> {
        self.uint64().map(|value| value != 0)
    }

    /// Four bytes.
    pub fn fixed32(self) -> Option<u32> {
        if let Value::Fixed32(value) = self { Some(value) } else { None }
    }

    /// Eight bytes.
    pub fn fixed64(self) -> Option<u64> {
        if let Value::Fixed64(value) = self { Some(value) } else { None }
    }

    /// Bytes, or a message.
    pub fn bytes(self) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// A text.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

/// The rest of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next field's number and value: `Ok(None)` at the end, an error where there is no field.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.field().map(Some).ok_or(Broken)
    }

    #[inline]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => return None,
        };
        Some((number, value))
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if *first < 0x80 {
            self.0 = rest;
            return Some(u64::from(*first));
        }
        self.long_varint()
    }

    /// Times and counts: two to eight bytes at once. Each byte has seven bits of the number, and the last one's highest
    /// bit is clear.
    fn long_varint(&mut self) -> Option<u64> {
        let Some(bytes) = self.0.first_chunk() else { return self.any_varint() };
        let word = u64::from_le_bytes(*bytes);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends == 0 {
            return self.any_varint();
        }
        let length = (ends.trailing_zeros() as usize + 1) / 8;
        let sevens = word & 0x7f7f_7f7f_7f7f_7f7f & (u64::MAX >> (64 - 8 * length));
        let fourteens = (sevens & 0x007f_007f_007f_007f) | ((sevens & 0x7f00_7f00_7f00_7f00) >> 1);
        let halves = (fourteens & 0x3fff_0000_3fff) | ((fourteens & 0x3fff_0000_3fff_0000) >> 2);
        self.0 = self.0.get(length..)?;
        Some((halves & 0x0fff_ffff) | ((halves & 0x0fff_ffff_0000_0000) >> 4))
    }

    /// One near the end of the message, or one that is longer.
    fn any_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = self.0.get(at + 1..)?;
                return Some(value);
            }
        }
        None
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }
}

/// The bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Broken> {
        let mut fields = Fields(bytes);
        std::iter::from_fn(|| fields.next().transpose()).take(100).collect()
    }

    #[test]
    fn every_kind_of_field_is_read() {
        let bytes = [0x08, 0xac, 0x02, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 2, 0, 0, 0];
        let expected = [
            (1, Value::Varint(300)),
            (2, Value::Fixed64(1)),
            (3, Value::Bytes(b"hi")),
            (4, Value::Fixed32(2)),
        ];
        assert_eq!(all(&bytes).unwrap(), expected);
        for (encoded, number) in [(0, 0), (1, -1), (2, 1), (u64::MAX, i64::MIN), (u64::MAX - 1, i64::MAX)] {
            assert_eq!(Value::Varint(encoded).sint64(), Some(number));
        }
        assert_eq!(Value::Varint(1).bytes(), None);
        assert_eq!(Value::Bytes(b"\xff").text(), None);
    }

    #[test]
    fn numbers_of_every_length_are_read_wherever_they_stand() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1 << bits) - 1, u64::MAX >> bits, 0x5555_5555_5555_5555 >> bits] {
                let mut bytes = vec![0x08];
                prost::encoding::encode_varint(value, &mut bytes);
                // At the end of a message, and with something behind it.
                assert_eq!(all(&bytes).unwrap(), [(1, Value::Varint(value))]);
                bytes.extend([0x10, 7, 0x10, 7, 0x10, 7, 0x10, 7]);
                assert_eq!(all(&bytes).unwrap()[0], (1, Value::Varint(value)), "{value:#x}");
                assert_eq!(all(&bytes).unwrap().len(), 5);
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_no_field_is_broken() {
        let whole = [0x08, 0xac, 0x02, 0x1a, 2, b'h', b'i', 0x25, 2, 0, 0, 0];
        for end in [1, 2, 4, 5, 6, 8, 11] {
            assert_eq!(all(&whole[..end]), Err(Broken), "{end}");
        }
        // A group, the number 0, and a number without end.
        for broken in
            [[0x0b; 1].as_slice(), &[0x00, 0], &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]]
        {
            assert_eq!(all(broken), Err(Broken));
        }
    }
}
