//! Frames and their fields (AMQP 0-9-1 specification, sections 2.3.5 and 4.2).

use crate::protocol::frames::Framing;

/// What a client says first.
pub(super) const GREETING: &[u8; 8] = b"AMQP\0\0\x09\x01";
/// The last byte of every frame.
pub(super) const END: u8 = 0xce;
/// Longest frame that is believed: RabbitMQ's own limit is 128 KiB, and can be raised.
const MAX_FRAME: u64 = 256 << 20;
/// Bytes before the payload.
pub(super) const HEADER: usize = 7;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The client's first eight bytes, which are no frame.
    Greeting,
    /// A method: class, number, arguments.
    Method,
    /// The properties of a message.
    Header,
    /// A part of its content.
    Body,
    /// Nothing.
    Heartbeat,
}

/// How frames begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape;

impl Framing for Shape {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let (kind, _, size) = begin(header)?;
        match kind {
            Kind::Greeting => Some(GREETING.len() as u64),
            Kind::Heartbeat if size != 0 => None,
            _ => Some(size + HEADER as u64 + 1).filter(|len| *len <= MAX_FRAME),
        }
    }
}

/// Kind, channel and bytes of the payload.
pub(super) fn begin(bytes: &[u8]) -> Option<(Kind, u16, u64)> {
    if bytes.first() == Some(&b'A') {
        return GREETING.starts_with(bytes.get(..HEADER)?).then_some((Kind::Greeting, 0, 1));
    }
    let kind = match bytes.first()? {
        1 => Kind::Method,
        2 => Kind::Header,
        3 => Kind::Body,
        8 => Kind::Heartbeat,
        _ => return None,
    };
    let mut fields = Fields(bytes.get(1..)?);
    Some((kind, fields.short()?, u64::from(fields.long()?)))
}

/// Reads the fields of a payload one after the other; what is not there is `None`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    fn bytes<const LEN: usize>(&mut self) -> Option<[u8; LEN]> {
        let (bytes, rest) = self.0.split_first_chunk::<LEN>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// One byte, or eight bits.
    pub(super) fn octet(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    /// 16 bits.
    pub(super) fn short(&mut self) -> Option<u16> {
        self.bytes().map(u16::from_be_bytes)
    }

    /// 32 bits.
    pub(super) fn long(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    /// 64 bits.
    pub(super) fn longlong(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// A short string.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.octet()?;
        self.take(usize::from(len))
    }

    /// A long string, or a table: its bytes.
    pub(super) fn long_text(&mut self) -> Option<&'a [u8]> {
        let len = self.long()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// The next entry of a table: its name, and its value if that is a string.
    pub(super) fn entry(&mut self) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let name = self.text()?;
        // RabbitMQ's types (its "AMQP 0-9-1 errata").
        let len = match self.octet()? {
            b'S' | b'x' => {
                let text = self.long_text()?;
                return Some((name, Some(text)));
            }
            b'A' | b'F' => {
                self.long_text()?;
                0
            }
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'd' | b'T' | b'L' => 8,
            _ => return None,
        };
        self.take(len)?;
        Some((name, None))
    }
}
