//! The header of a packet of memcached's binary protocol (memcached's wiki, "BinaryProtocolRevamped"), and what the commands are called.
//!
//! ```text
//! 0 magic  1 opcode  2-3 length of the key  4 length of the extras  5 data type (0)  6-7 vbucket, or status of an answer
//! 8-11 length of all that follows  12-15 opaque, which the answer repeats  16-23 cas
//! ```

use crate::protocol::frames::Framing;

/// Length of a header.
pub(super) const HEADER: usize = 24;
/// The longest key (`KEY_MAX_LENGTH`).
const MAX_KEY: u16 = 250;
/// The most that follows a header: the largest item that memcached can be told to take (`-I`), and its key.
const MAX_BODY: u32 = (1 << 30) + 1024;

/// The command that lists counters: its answer is several packets, of which the last has no key.
pub(super) const STAT: u8 = 0x10;
/// The command that does nothing, but is answered: it ends quiet ones.
pub(super) const NOOP: u8 = 0x0a;
/// The only command that is never answered.
pub(super) const QUITQ: u8 = 0x17;

/// What a packet's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub opcode: u8,
    pub key: u16,
    pub extras: u8,
    /// Of an answer.
    pub status: u16,
    /// All that follows.
    pub body: u32,
    pub opaque: u32,
}

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// Its name in the text protocol, where it has one.
    pub name: &'static str,
    /// It is answered only if it has something to say.
    pub quiet: bool,
    /// Lengths that its extras may have.
    extras: &'static [u8],
    /// Whether it has a key: `None` where it may.
    key: Option<bool>,
    /// Whether it may have a value.
    value: bool,
}

/// The command of an opcode.
pub(super) fn command(opcode: u8) -> Option<Command> {
    let of = |name, extras, key, value| Some(Command { name, quiet: false, extras, key, value });
    let quiet = |plain: u8| command(plain).map(|command| Command { quiet: true, ..command });
    match opcode {
        0x00 | 0x0c => of("get", &[0], Some(true), false),
        0x01 => of("set", &[8], Some(true), true),
        0x02 => of("add", &[8], Some(true), true),
        0x03 => of("replace", &[8], Some(true), true),
        0x04 => of("delete", &[0], Some(true), false),
        0x05 => of("incr", &[20], Some(true), false),
        0x06 => of("decr", &[20], Some(true), false),
        0x07 => of("quit", &[0], Some(false), false),
        0x08 => of("flush_all", &[0, 4], Some(false), false),
        0x09 | 0x0d => quiet(0x00),
        NOOP => of("noop", &[0], Some(false), false),
        0x0b => of("version", &[0], Some(false), false),
        0x0e => of("append", &[0], Some(true), true),
        0x0f => of("prepend", &[0], Some(true), true),
        STAT => of("stats", &[0], None, false),
        0x11..=0x16 => quiet(opcode - 0x10),
        QUITQ => quiet(0x07),
        0x18 => quiet(0x08),
        0x19 => quiet(0x0e),
        0x1a => quiet(0x0f),
        0x1b => of("verbosity", &[4], Some(false), false),
        0x1c => of("touch", &[4], Some(true), false),
        0x1d | 0x23 => of("gat", &[4], Some(true), false),
        0x1e | 0x24 => quiet(0x1d),
        0x20 => of("sasl_list_mechs", &[0], Some(false), false),
        0x21 => of("sasl_auth", &[0], Some(true), true),
        0x22 => of("sasl_step", &[0], Some(true), true),
        _ => None,
    }
}

/// Reads a header; `None`: it is none.
pub(super) fn read(bytes: &[u8]) -> Option<Header> {
    let bytes: &[u8; HEADER] = bytes.first_chunk()?;
    let [_, opcode, k0, k1, extras, _, s0, s1, b0, b1, b2, b3, o0, o1, o2, o3, ..] = *bytes;
    Some(Header {
        opcode,
        key: u16::from_be_bytes([k0, k1]),
        extras,
        status: u16::from_be_bytes([s0, s1]),
        body: u32::from_be_bytes([b0, b1, b2, b3]),
        opaque: u32::from_be_bytes([o0, o1, o2, o3]),
    })
}

/// Whether bytes that a call begins with are a request, as strictly as can be told.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    let Some(header) = read(bytes).filter(|_| Packets::Requests.length(bytes).is_some()) else {
        return false;
    };
    let Some(command) = command(header.opcode) else { return false };
    let lengths = u32::from(header.key) + u32::from(header.extras);
    command.extras.contains(&header.extras)
        && command.key.is_none_or(|has| has == (header.key > 0))
        && (command.value || header.body == lengths)
        // The vbucket, which is of use only behind Couchbase's proxies.
        && header.status == 0
}

/// What an answer's status is called, if it is an error. That something is not there, or there already, is an answer.
pub(super) fn error(status: u16) -> Option<&'static str> {
    Some(match status {
        // Not found, exists, not stored; authentication goes on.
        0x00 | 0x01 | 0x02 | 0x05 | 0x21 => return None,
        0x03 => "TOO_LARGE",
        0x04 => "INVALID_ARGUMENTS",
        0x06 => "NON_NUMERIC",
        0x07 => "WRONG_VBUCKET",
        0x08 | 0x20 => "AUTHENTICATION_ERROR",
        0x81 => "UNKNOWN_COMMAND",
        0x82 => "OUT_OF_MEMORY",
        0x83 => "NOT_SUPPORTED",
        0x84 => "INTERNAL_ERROR",
        0x85 => "BUSY",
        0x86 => "TEMPORARY_FAILURE",
        _ => "ERROR",
    })
}

/// The packets of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packets {
    Requests,
    Answers,
}

impl Framing for Packets {
    fn header(&self) -> usize {
        12
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let [magic, opcode, k0, k1, extras, kind, _, _, b0, b1, b2, b3] = *header.first_chunk()?;
        let expected = if *self == Packets::Requests { 0x80 } else { 0x81 };
        let (key, body) = (u16::from_be_bytes([k0, k1]), u32::from_be_bytes([b0, b1, b2, b3]));
        let fits = u32::from(key) + u32::from(extras) <= body && body <= MAX_BODY && key <= MAX_KEY;
        // What a server does not know it answers, too.
        let known = *self == Packets::Answers || command(opcode).is_some();
        (magic == expected && kind == 0 && fits && known).then(|| HEADER as u64 + u64::from(body))
    }

    fn keep(&self, _header: &[u8]) -> usize {
        HEADER
    }
}
