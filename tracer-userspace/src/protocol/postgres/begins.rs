//! Whether a call begins a conversation, or a new request in one that has gone on for a while.

use super::message::{Frontend, HEADER, Untyped, be32, database, text, untyped};
use crate::protocol::frames::Framing;
use crate::protocol::sql::{Dialect, normalise};

/// A call of so many bytes may be the first part of a message: a buffer is full.
const LONG: u64 = 1024;
/// The longest name of a statement or portal (`NAMEDATALEN` less one).
const MAX_NAME: usize = 63;

/// Messages that are looked at.
const MAX_LOOK: usize = 6;

/// Whether the first call of a connection is one that a client begins with.
pub(super) fn connection(data: &[u8], call_len: u64) -> bool {
    let exact = be32(data).is_some_and(|length| u64::from(length) == call_len);
    exact
        && match untyped(data) {
            Some(Untyped::Startup) => data.get(8..).is_some_and(is_list),
            Some(Untyped::Encrypt | Untyped::Cancel) => true,
            None => false,
        }
}

/// The parameters of a StartupMessage: names and values, with the user's among them, or the database's.
fn is_list(rest: &[u8]) -> bool {
    let named = |(name, _): (&[u8], _)| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic());
    text(rest).is_some_and(named) && database(&[&[0; 8], rest].concat()).is_some()
}

/// Whether a call begins with the messages of a new request: a whole Query; or a Parse or Bind, with others behind it. As long as
/// nothing else tells what the bytes are (`strict`), a Query must be all that the call has, and begin with a known command.
pub(super) fn request(data: &[u8], call_len: u64, strict: bool) -> bool {
    match data.first() {
        Some(b'Q') => query(data, call_len, strict),
        Some(b'P' | b'B') => chain(data, call_len),
        Some(b'C' | b'D' | b'E') if !strict => chain(data, call_len),
        _ => false,
    }
}

fn query(data: &[u8], call_len: u64, strict: bool) -> bool {
    let Some(length) = data.get(1..).and_then(be32) else { return false };
    let len = u64::from(length) + 1;
    let whole = usize::try_from(len).ok().and_then(|len| data.get(HEADER..len));
    // Servers read long messages in parts.
    let fits = len == call_len || (!strict && len <= call_len) || (len > call_len && call_len >= LONG);
    let (statement, truncated) = match whole {
        Some(statement) => match statement.split_last() {
            Some((0, statement)) => (statement, false),
            _ => return false,
        },
        None => (data.get(HEADER..).unwrap_or_default(), true),
    };
    // No more than the beginning is needed.
    let start = statement.get(..256).unwrap_or(statement);
    let truncated = truncated || start.len() < statement.len();
    let told = normalise(Dialect::POSTGRESQL, start, truncated, 64);
    fits && !statement.contains(&0) && (!told.verb.is_empty() || (!strict && told.text.is_empty()))
}

/// Messages of the extended protocol: the first, and at least the header of a second, that fits behind it; or one that is longer
/// than what was captured, or than the call.
fn chain(data: &[u8], call_len: u64) -> bool {
    let (mut at, mut seen) = (0u64, 0);
    while seen < MAX_LOOK {
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(rest) = data.get(start..).filter(|rest| !rest.is_empty()) else { break };
        let Some(length) = rest.get(..HEADER).and_then(|header| Frontend.length(header)) else {
            // A header that was cut off is no reason against it.
            return seen >= 2 && (data.len() as u64) < call_len && rest.len() < HEADER;
        };
        let content = rest.get(HEADER..).unwrap_or_default();
        let whole = usize::try_from(length).ok().and_then(|len| content.get(..len - HEADER));
        if !is_plausible(
            rest.first().copied().unwrap_or(0),
            whole.unwrap_or(content),
            whole.is_none() && seen > 0,
        ) {
            return false;
        }
        at += length;
        seen += 1;
        if at > call_len {
            return call_len >= LONG;
        }
    }
    // The one message of a call that was cut off: what follows it cannot be seen.
    seen >= 2 || (at < call_len && at > data.len() as u64)
}

/// Whether a message of this kind may have this content. `cut`: even its beginning may be missing.
fn is_plausible(kind: u8, content: &[u8], cut: bool) -> bool {
    let name = |bytes| text(bytes).filter(|(name, _)| name.len() <= MAX_NAME && is_text(name));
    match kind {
        b'P' => match name(content) {
            Some((_, rest)) => is_text(text(rest).map_or(rest, |(sql, _)| sql)),
            None => cut,
        },
        b'B' => match name(content).and_then(|(_, rest)| name(rest)) {
            // How many formats, and the first of them: text or binary.
            Some((_, rest)) => match rest {
                [0 | 1, 0..=255, 0, 0 | 1, ..] | [0, 0, ..] => true,
                _ => rest.len() < 4 && cut,
            },
            None => cut,
        },
        b'D' | b'C' => matches!(content.first(), None | Some(b'S' | b'P')),
        b'E' | b'S' | b'H' | b'Q' => true,
        _ => false,
    }
}

/// UTF-8, as far as it goes, without control characters but white space.
fn is_text(bytes: &[u8]) -> bool {
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !bytes.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn typed(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind], &(content.len() as u32 + 4).to_be_bytes()[..], content].concat()
    }

    #[test]
    fn a_connection_begins_with_a_message_without_a_type() {
        let startup =
            |list: &[u8]| [&(8 + list.len() as u32).to_be_bytes()[..], &[0, 3, 0, 0], list].concat();
        let good = startup(b"user\0me\0database\0shop\0\0");
        assert!(connection(&good, good.len() as u64));
        assert!(!connection(&good, good.len() as u64 + 1));
        assert!(!connection(&startup(b"user"), 12));
        assert!(connection(&[0, 0, 0, 8, 4, 210, 22, 47], 8));
        assert!(!connection(&[0, 0, 0, 8, 4, 210, 22, 40], 8));
    }

    #[test]
    fn a_request_begins_with_a_query_or_several_messages() {
        let query = typed(b'Q', b"SELECT 1\0");
        assert!(request(&query, query.len() as u64, true));
        assert!(!request(&query, query.len() as u64 + 1, true));
        assert!(request(&query, query.len() as u64 + 1, false));
        assert!(!request(&typed(b'Q', b"quit\0"), 10, true));
        assert!(!request(&typed(b'Q', b"SELECT 1"), 13, true));
        let parse = typed(b'P', b"s\0SELECT 1\0\0\0");
        assert!(!request(&parse, parse.len() as u64, true), "alone it is not sure");
        let both = [parse, typed(b'S', b"")].concat();
        assert!(request(&both, both.len() as u64, true));
        let long = typed(b'B', &[b"p\0s\0\0\x01\0\0\0\x01".to_vec(), vec![1; 4000]].concat());
        assert!(request(&long[..1024], long.len() as u64 + 15, true));
        assert!(!request(&[both.clone(), b"?????".to_vec()].concat(), both.len() as u64 + 5, true));
    }

    #[test]
    fn random_bytes_are_no_request() {
        let mut random = Random::new(1);
        let mut data = [0u8; 48];
        for _ in 0..2_000_000 {
            random.fill(&mut data);
            let len = data.len() as u64 + random.below(16) as u64 * 500;
            assert!(!connection(&data, len) && !request(&data, len, true), "{data:?}");
        }
    }
}
