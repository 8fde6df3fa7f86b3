//! Packets of the MySQL client/server protocol (MySQL internals, "MySQL Packets"): three bytes of length and one sequence number,
//! then the payload. A payload of 2^24-1 bytes goes on in the next packet.

use crate::protocol::frames::{Frame, Framing};

/// Bytes of a packet's header.
pub(super) const HEADER: usize = 4;
/// The longest payload, which goes on in the next packet.
pub(super) const LONGEST: u64 = 0xff_ffff;

/// How packets are delimited.
pub(super) struct Packets;

impl Framing for Packets {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let [a, b, c, ..] = header else { return None };
        Some(HEADER as u64 + u64::from(u32::from_le_bytes([*a, *b, *c, 0])))
    }
}

/// A packet, as far as it was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Counts the packets of a command and its answer from 0.
    pub number: u8,
    /// The beginning of the payload.
    pub payload: &'a [u8],
    /// Bytes of the payload.
    pub len: u64,
}

impl<'a> Packet<'a> {
    pub fn of(frame: &Frame<'a>) -> Option<Packet<'a>> {
        let ([_, _, _, number], payload) = frame.bytes.split_first_chunk::<HEADER>()?;
        Some(Packet { number: *number, payload, len: frame.len.saturating_sub(HEADER as u64) })
    }

    /// Whether the whole payload is there.
    pub fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.len
    }
}

/// Takes values out of a payload from its front. `None`: there are fewer bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_le_bytes(*bytes))
    }

    pub fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    /// A length-encoded integer.
    pub fn number(&mut self) -> Option<u64> {
        let wide = match self.byte()? {
            small @ 0..=0xfa => return Some(u64::from(small)),
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => return None,
        };
        Some(self.take(wide)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A string with its length before it.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// A string up to a byte of zero.
    pub fn terminated(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(0, self.0)?;
        let string = self.take(end)?;
        self.byte()?;
        Some(string)
    }
}

/// Flags of the server's status.
pub(super) mod status {
    /// In a transaction, or one begins with the next statement, or each statement is one: at least one of these is set.
    pub const TRANSACTION: u16 = 0x0003;
    /// Another answer follows.
    pub const MORE_RESULTS: u16 = 0x0008;
    /// The rows wait for COM_STMT_FETCH.
    pub const CURSOR: u16 = 0x0040;
    /// A backslash is an ordinary character.
    pub const NO_BACKSLASH: u16 = 0x0200;
    /// Those that do not exist.
    pub const UNKNOWN: u16 = 0x8000;
}

/// The status that an OK packet tells, whether it begins with 0 or with 0xfe.
pub(super) fn ok_status(payload: &[u8]) -> Option<u16> {
    let mut reader = Reader(payload);
    reader.byte()?;
    reader.number()?;
    reader.number()?;
    reader.u16()
}

/// The status that an EOF packet tells.
pub(super) fn eof_status(payload: &[u8]) -> Option<u16> {
    let [0xfe, _, _, low, high] = payload else { return None };
    Some(u16::from_le_bytes([*low, *high]))
}

/// Whether the last bytes of a call are the end of a result set: EOF with its header, or the OK that took its place.
pub(super) fn is_end_of_rows(tail: &[u8; 8]) -> bool {
    let fits = |low: u8, high: u8| {
        let status = u16::from_le_bytes([low, high]);
        status & status::TRANSACTION != 0 && status & (status::MORE_RESULTS | status::UNKNOWN) == 0
    };
    match *tail {
        [0, 0, _, 0xfe, _, 0, low, high] => fits(low, high),
        [_, 0xfe, 0, 0, low, high, _, 0] => fits(low, high),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_lengths() {
        for (bytes, expected) in [
            (&[5][..], Some(5)),
            (&[0xfc, 1, 2], Some(0x0201)),
            (&[0xfd, 1, 2, 3], Some(0x03_0201)),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 1], Some(0x0100_0000_0000_0001)),
            (&[0xfb], None),
            (&[0xff], None),
            (&[0xfe, 1], None),
            (&[], None),
        ] {
            assert_eq!(Reader(bytes).number(), expected, "{bytes:?}");
        }
        let mut reader = Reader(b"ab\0\x02cd\xffe");
        assert_eq!(
            (reader.terminated(), reader.string(), reader.string()),
            (Some(&b"ab"[..]), Some(&b"cd"[..]), None)
        );
    }

    #[test]
    fn the_end_of_rows_is_known_by_its_last_bytes() {
        // 05 00 00 07 fe 00 00 22 00 and 07 00 00 07 fe 00 00 22 00 00 00
        assert!(is_end_of_rows(&[0, 0, 7, 0xfe, 0, 0, 0x22, 0]));
        assert!(is_end_of_rows(&[7, 0xfe, 0, 0, 0x22, 0, 0, 0]));
        assert!(!is_end_of_rows(&[0, 0, 7, 0xfe, 0, 0, 0x2a, 0]), "another answer follows");
        assert!(!is_end_of_rows(&[1, 0xfe, 0, 0, 0, 0, 0, 0]), "a number in a row");
        assert!(!is_end_of_rows(b"abcdefgh") && !is_end_of_rows(&[0; 8]));
    }
}
