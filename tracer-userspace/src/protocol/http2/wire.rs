//! Frames as they stand on the wire (RFC 9113 sections 4 and 6), and the connection preface (section 3.4).

use std::cell::Cell;

use crate::protocol::frames::Framing;

/// What a client sends first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's header.
pub(super) const HEADER: usize = 9;
/// Largest payload unless the peer allows more (RFC 9113 section 4.2).
pub(super) const MAX_FRAME: u64 = 16_384;

/// Types of frames (RFC 9113 section 11.2).
pub(super) mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Length of the payload.
    pub len: u64,
    pub kind: u8,
    pub flags: u8,
    /// 0: the connection.
    pub stream: u32,
}

impl Header {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let [a, b, c, kind, flags, s, t, u, v] = *bytes.first_chunk::<HEADER>()?;
        Some(Header {
            len: u64::from(u32::from_be_bytes([0, a, b, c])),
            kind,
            flags,
            // The first bit is reserved, and to be ignored.
            stream: u32::from_be_bytes([s & 0x7f, t, u, v]),
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether a frame may have this header: the rules whose violation ends the connection.
    fn is_allowed(&self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION => on_stream,
            kind::PRIORITY => on_stream && self.len == 5,
            kind::RST_STREAM => on_stream && self.len == 4,
            kind::SETTINGS => {
                !on_stream && self.len.is_multiple_of(6) && (!self.has(flag::ACK) || self.len == 0)
            }
            kind::PING => !on_stream && self.len == 8,
            kind::GOAWAY => !on_stream && self.len >= 8,
            kind::WINDOW_UPDATE => self.len == 4,
            // Others are to be ignored (section 5.5).
            _ => true,
        }
    }

    /// Whether it looks like a frame's header to one who does not know whether it is one: all that is usual.
    fn is_likely(&self, bytes: &[u8]) -> bool {
        let allowed_flags = match self.kind {
            kind::DATA => flag::END_STREAM | flag::PADDED,
            kind::HEADERS => flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            kind::SETTINGS | kind::PING => flag::ACK,
            kind::PRIORITY | kind::RST_STREAM | kind::GOAWAY | kind::WINDOW_UPDATE => 0,
            _ => return false,
        };
        let is_whole = self.kind != kind::HEADERS || (self.has(flag::END_HEADERS) && self.len > 0);
        let is_client_stream = self.stream == 0 || self.stream & 1 == 1;
        let no_reserved = bytes.get(5).is_some_and(|byte| byte & 0x80 == 0);
        self.is_allowed()
            && is_whole
            && is_client_stream
            && no_reserved
            && self.len <= MAX_FRAME
            && self.flags & !allowed_flags == 0
    }
}

/// Whether a call of `call_len` bytes that begins with `data` consists of frames. It does if it ends where a frame ends, or if two
/// frames' headers follow one another. A single header is 2⁻²³ of all bytes, the exact end another 2⁻¹⁴.
pub(super) fn is_chain(data: &[u8], call_len: u64) -> bool {
    let (mut at, mut seen) = (0u64, 0u32);
    loop {
        if at == call_len {
            return seen > 0;
        }
        let rest = usize::try_from(at).ok().and_then(|at| data.get(at..)).unwrap_or_default();
        let Some(header) = Header::read(rest) else { return seen >= 2 };
        if !header.is_likely(rest) {
            return false;
        }
        seen += 1;
        at += HEADER as u64 + header.len;
    }
}

/// How far a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing came yet: the preface, or a server's SETTINGS.
    Start,
    /// The preface came; SETTINGS must follow.
    Preface,
    /// Frames.
    Open,
}

/// Tells how long frames are.
pub(super) struct Wire {
    pub stage: Cell<Stage>,
}

impl Framing for Wire {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, bytes: &[u8]) -> Option<u64> {
        let stage = self.stage.get();
        if stage == Stage::Start && PREFACE.starts_with(bytes) {
            return Some(PREFACE.len() as u64);
        }
        let header = Header::read(bytes)?;
        let is_first = stage == Stage::Open || (header.kind == kind::SETTINGS && !header.has(flag::ACK));
        (header.is_allowed() && is_first).then_some(HEADER as u64 + header.len)
    }

    fn keep(&self, bytes: &[u8]) -> usize {
        // What is transported is only counted.
        if bytes.get(3) == Some(&kind::DATA) { HEADER } else { usize::MAX }
    }
}

/// The part of a HEADERS or PUSH_PROMISE payload that is the header block, and whether it was cut: `payload` is what was captured
/// of `len` bytes. `None`: there is no such frame.
pub(super) fn block<'a>(header: &Header, payload: &'a [u8]) -> Option<(&'a [u8], bool)> {
    let (mut from, mut padding) = (0u64, 0u64);
    if header.has(flag::PADDED) {
        from = 1;
        padding = payload.first().copied().map_or(0, u64::from);
    }
    match header.kind {
        kind::HEADERS if header.has(flag::PRIORITY) => from += 5,
        kind::PUSH_PROMISE => from += 4,
        _ => {}
    }
    let end = header.len.checked_sub(padding).filter(|end| *end >= from)?;
    let until = end.min(payload.len() as u64) as usize;
    let block = payload.get(from as usize..until).unwrap_or_default();
    Some((block, (block.len() as u64) < end - from))
}

/// The code of an error, as RFC 9113 section 7 names it; `None`: no error.
pub(super) fn error(code: u32) -> Option<&'static str> {
    Some(match code {
        0 => return None,
        1 => "PROTOCOL_ERROR",
        2 => "INTERNAL_ERROR",
        3 => "FLOW_CONTROL_ERROR",
        4 => "SETTINGS_TIMEOUT",
        5 => "STREAM_CLOSED",
        6 => "FRAME_SIZE_ERROR",
        7 => "REFUSED_STREAM",
        8 => "CANCEL",
        9 => "COMPRESSION_ERROR",
        10 => "CONNECT_ERROR",
        11 => "ENHANCE_YOUR_CALM",
        12 => "INADEQUATE_SECURITY",
        13 => "HTTP_1_1_REQUIRED",
        _ => "UNKNOWN_ERROR",
    })
}

/// A number of four bytes at the beginning.
pub(super) fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_be_bytes(*word))
}
