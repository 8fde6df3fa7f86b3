//! What messages look like (PostgreSQL's manual, "Message Formats"): where they end, and the few fields that are read.

use crate::protocol::frames::Framing;

/// The longest message that the server takes (`PQ_LARGE_MESSAGE_LIMIT`), length field included.
const MAX_LENGTH: u32 = 0x3fff_ffff;

/// Codes of the messages without a type, which may come before the first with one.
const STARTUP: std::ops::RangeInclusive<u32> = 0x0003_0000..=0x0003_0002;
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

/// A ReadyForQuery, up to the status.
const READY: [u8; 5] = [b'Z', 0, 0, 0, 5];
/// A whole Sync.
pub(super) const SYNC: [u8; 5] = [b'S', 0, 0, 0, 4];
/// A whole CopyDone.
pub(super) const COPY_DONE: [u8; 5] = [b'c', 0, 0, 0, 4];

/// The bytes before the content: type and length.
pub(super) const HEADER: usize = 5;

/// What clients send. A message without a type begins with its length, of which the first byte is 0.
pub(super) struct Frontend;

impl Framing for Frontend {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let [kind, rest @ ..] = header else { return None };
        if *kind == 0 {
            let length = be32(header)?;
            return (8..=10_000).contains(&length).then_some(u64::from(length));
        }
        let length = be32(rest)?;
        let fits = match kind {
            b'S' | b'H' | b'X' | b'c' => length == 4,
            b'E' => (9..=0xffff).contains(&length),
            b'C' | b'D' => (6..=0xffff).contains(&length),
            b'p' => (4..=0x1_0000).contains(&length),
            b'Q' | b'P' | b'B' | b'F' | b'd' | b'f' => (5..=MAX_LENGTH).contains(&length) || length == 4,
            _ => false,
        };
        fits.then_some(1 + u64::from(length))
    }
}

/// What servers send.
pub(super) struct Backend;

impl Framing for Backend {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let [kind, rest @ ..] = header else { return None };
        let length = be32(rest)?;
        let fits = match kind {
            b'Z' => length == 5,
            b'1' | b'2' | b'3' | b'n' | b'I' | b's' | b'c' => length == 4,
            b'K' | b'C' | b'S' | b'R' | b'v' => (5..=0xffff).contains(&length),
            b'T' | b't' | b'G' | b'H' | b'W' => (6..=0xf_ffff).contains(&length),
            b'D' | b'd' | b'V' | b'E' | b'N' | b'A' => (4..=MAX_LENGTH).contains(&length),
            _ => false,
        };
        fits.then_some(1 + u64::from(length))
    }
}

/// A message without a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Untyped {
    /// StartupMessage.
    Startup,
    /// SSLRequest or GSSENCRequest: one byte answers it.
    Encrypt,
    /// CancelRequest: nothing answers it.
    Cancel,
}

/// Which message without a type this is.
pub(super) fn untyped(bytes: &[u8]) -> Option<Untyped> {
    match (be32(bytes)?, be32(bytes.get(4..)?)?) {
        (_, code) if STARTUP.contains(&code) => Some(Untyped::Startup),
        (8, TLS | GSS) => Some(Untyped::Encrypt),
        (16.., CANCEL) => Some(Untyped::Cancel),
        _ => None,
    }
}

/// The database that a StartupMessage asks for: by default that of the user's name.
pub(super) fn database(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    let mut user = None;
    while let Some((name, after)) = text(rest)
        && let Some((value, after)) = text(after)
        && !name.is_empty()
    {
        match name {
            b"database" => return Some(value),
            b"user" => user = Some(value),
            _ => {}
        }
        rest = after;
    }
    // The list ends with an empty name; a list that was cut off may yet name a database.
    user.filter(|_| rest.first() == Some(&0))
}

/// A text up to its zero byte, and what follows; `None` if the end was not captured.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// The SQLSTATE of an ErrorResponse.
pub(super) fn sqlstate(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(HEADER..)?;
    while let Some((field, after)) = text(rest)
        && let Some((kind, value)) = field.split_first()
    {
        if *kind == b'C' {
            let fine = value.len() == 5 && value.iter().all(u8::is_ascii_alphanumeric);
            return Some(value).filter(|_| fine);
        }
        rest = after;
    }
    None
}

/// How a call ends of which the messages are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a ReadyForQuery behind a CommandComplete.
    Complete,
    /// With a ReadyForQuery behind an ErrorResponse, of which the code is not known.
    Failed,
    /// With a ReadyForQuery behind something that is not known.
    Unclear,
}

/// Whether the last bytes of a call are a ReadyForQuery, and behind what. A CommandComplete ends with a letter or digit and
/// its zero byte, an ErrorResponse with two zero bytes. `before`: the last bytes of the call before, which count where this one
/// has nothing else: an ErrorResponse is sent at once. `padded`: two zero bytes may also stand for none.
pub(super) fn ending(before: Option<[u8; 2]>, tail: &[u8], padded: bool) -> Option<Ending> {
    let (own, ready) = tail.split_at_checked(tail.len().checked_sub(6)?)?;
    let (code, status) = ready.split_at_checked(5)?;
    if code != READY || !matches!(status, b"I" | b"T" | b"E") {
        return None;
    }
    let before = if own.is_empty() { before } else { own.last_chunk().copied() };
    Some(match before {
        Some([last, 0]) if last.is_ascii_alphanumeric() => Ending::Complete,
        Some([0, 0]) if !padded => Ending::Failed,
        _ => Ending::Unclear,
    })
}

/// Four bytes, the highest first.
pub(super) fn be32(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.first_chunk()?))
}
