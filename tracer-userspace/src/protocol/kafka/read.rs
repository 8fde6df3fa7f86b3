//! The fields of Kafka's messages ("Protocol Primitive Types"), one after the other. Versions that are "flexible" write lengths as
//! variable numbers, one more than they are, and end each structure with tagged fields.

/// Reads what is there; what is not is `None`, and so is everything after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    is_flexible: bool,
}

impl<'a> Reader<'a> {
    /// Of these bytes.
    pub fn new(rest: &'a [u8], is_flexible: bool) -> Reader<'a> {
        Reader { rest, is_flexible }
    }

    /// So many bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            self.rest = &[];
            return None;
        };
        self.rest = rest;
        Some(bytes)
    }

    fn number<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        self.take(LEN)?.first_chunk().copied()
    }

    /// 8 bits.
    pub fn int8(&mut self) -> Option<i8> {
        self.number().map(i8::from_be_bytes)
    }

    /// 16 bits.
    pub fn int16(&mut self) -> Option<i16> {
        self.number().map(i16::from_be_bytes)
    }

    /// 32 bits.
    pub fn int32(&mut self) -> Option<i32> {
        self.number().map(i32::from_be_bytes)
    }

    /// 64 bits.
    pub fn int64(&mut self) -> Option<i64> {
        self.number().map(i64::from_be_bytes)
    }

    /// A number of variable length, at most 32 bits.
    pub fn varint(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.number()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A length; `Some(None)`: there is nothing, not even something empty.
    fn length(&mut self, fixed: impl Fn(&mut Self) -> Option<i32>) -> Option<Option<usize>> {
        let len = if self.is_flexible { i64::from(self.varint()?) - 1 } else { fixed(self)?.into() };
        Some(usize::try_from(len).ok())
    }

    /// How many elements an array has.
    pub fn array(&mut self) -> Option<usize> {
        self.length(Reader::int32).map(Option::unwrap_or_default)
    }

    /// A string; one that is null is empty.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.length(|own| own.int16().map(i32::from))?;
        self.take(len.unwrap_or(0))
    }

    /// Bytes: how many there are, and those that are in sight.
    pub fn bytes(&mut self) -> Option<(usize, &'a [u8])> {
        let len = self.length(Reader::int32)?.unwrap_or(0);
        let bytes = self.rest.get(..len).unwrap_or(self.rest);
        self.rest = self.rest.get(len..).unwrap_or_default();
        Some((len, bytes))
    }

    /// The end of a structure.
    pub fn tags(&mut self) -> Option<()> {
        if !self.is_flexible {
            return Some(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let len = self.varint()?;
            self.take(usize::try_from(len).ok()?)?;
        }
        Some(())
    }
}
