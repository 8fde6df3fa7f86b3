//! Is it MySQL? By the server's greeting, or, on a connection that was open before, by a command or an answer that is hardly anything
//! else.

use super::packet::{HEADER, Packet, Reader, status};
use super::talk::Phase;
use super::{MySql, handshake};
use crate::protocol::Parser;
use crate::protocol::recognise::Begin;
use crate::protocol::sql::{self, Dialect};

/// Bytes of a statement from which its first word is known.
const ENOUGH: usize = 256;

/// A parser for a connection on which a call begins like MySQL.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    let (requests, phase) = if handshake::is_greeting(begin.data, begin.call_len) {
        (begin.dir.opposite(), Phase::Greeting)
    } else if begin.whole {
        // The server speaks first.
        return None;
    } else if is_command(begin) {
        (begin.dir, Phase::Commands)
    } else if is_answer(begin) {
        (begin.dir.opposite(), Phase::Commands)
    } else {
        return None;
    };
    Some(Box::new(MySql::new(requests, phase, begin.moved)))
}

/// The first packet of a call, and what follows it.
fn first<'a>(data: &'a [u8]) -> Option<(Packet<'a>, &'a [u8])> {
    let (&[a, b, c, number], rest) = data.split_first_chunk::<HEADER>()?;
    let len = u32::from_le_bytes([a, b, c, 0]);
    let (payload, after) = rest.split_at_checked(len as usize).unwrap_or((rest, b""));
    Some((Packet { number, payload, len: u64::from(len) }, after))
}

/// A call that is one command with a statement: its length, its number, its code and its first word.
fn is_command(begin: &Begin<'_>) -> bool {
    let Some((packet, _)) = first(begin.data) else { return false };
    let whole = packet.number == 0 && begin.call_len == packet.len + HEADER as u64;
    let text = match packet.payload {
        [3, 0, 1, text @ ..] | [3 | 0x16, text @ ..] => text,
        _ => return false,
    };
    let text = text.get(..ENOUGH).unwrap_or(text);
    whole && !sql::normalise(Dialect::MYSQL, text, true, ENOUGH).verb.is_empty()
}

/// A call that begins with the first packet of an answer: of rows, with the description of the first column; or of an error.
fn is_answer(begin: &Begin<'_>) -> bool {
    let Some((packet, rest)) = first(begin.data) else { return false };
    if packet.number != 1 {
        return false;
    }
    match packet.payload {
        // A SQLSTATE.
        [0xff, _, _, b'#', state @ ..] => state
            .get(..5)
            .is_some_and(|state| state.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())),
        // OK, and nothing else in the call.
        [0, _, _, low, high, _, 0] => {
            let status = u16::from_le_bytes([*low, *high]);
            let fits =
                status & status::TRANSACTION != 0 && status & (status::MORE_RESULTS | status::UNKNOWN) == 0;
            fits && rest.is_empty() && begin.call_len == 11 && begin.moved == Some(begin.dir.opposite())
        }
        [columns] | [columns, 1] if *columns > 0 => is_column(rest),
        _ => false,
    }
}

/// Whether this is the description of a column: the catalogue is always `def`.
fn is_column(data: &[u8]) -> bool {
    let Some((packet, _)) = first(data) else { return false };
    let mut reader = Reader(packet.payload);
    packet.number == 2 && reader.string() == Some(b"def")
}
