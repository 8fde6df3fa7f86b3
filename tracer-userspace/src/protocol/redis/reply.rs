//! What an answer says: an error's code, whether it is an answer at all, and which messages it hands over.

use super::command::{self, Shape};
use super::words::{Word, Words};
use crate::protocol::Limits;

/// Longest code of an error.
const MAX_CODE: usize = 32;
/// Messages of one answer that are told apart, and elements of an entry that are looked at.
const MAX_MESSAGES: usize = 8;
const MAX_FIELDS: usize = 64;

/// The code of an error: its first word, if it is written as Redis writes them (`WRONGTYPE`); of others, which scripts may have
/// made, nothing is shown. `None`: no error.
pub(super) fn error(bytes: &[u8]) -> Option<&[u8]> {
    let text = match bytes.first()? {
        b'-' => bytes.get(1..)?,
        b'!' => bytes.split(|byte| *byte == b'\n').nth(1)?,
        _ => return None,
    };
    let end =
        text.iter().position(|byte| !(byte.is_ascii_uppercase() || *byte == b'_')).unwrap_or(text.len());
    let (code, rest) = text.split_at_checked(end)?;
    let is_code = (1..=MAX_CODE).contains(&end)
        && rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    Some(if is_code { code } else { b"ERR" })
}

/// What is told on a connection without having been asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A subscription begins or ends: the answer to SUBSCRIBE, UNSUBSCRIBE. So many are left.
    Confirmation(u64),
    /// Nobody's.
    News,
}

/// Whether an answer is one of those. `subscribed`: in RESP2 they are arrays, which can be told from answers only because a connection
/// with subscriptions gets no other arrays that begin so. `monitoring`: lines come that begin with a time.
pub(super) fn told(bytes: &[u8], subscribed: bool, monitoring: bool) -> Option<Told> {
    let kind = bytes.first()?;
    if *kind == b'+' && monitoring {
        return bytes.get(1).filter(|byte| byte.is_ascii_digit()).map(|_| Told::News);
    }
    if *kind != b'>' && !(*kind == b'*' && subscribed) {
        return None;
    }
    let mut words = Words::new(bytes);
    words.list();
    let word = words.text().unwrap_or_default();
    let is_one_of = |names: &[&str]| names.iter().any(|name| name.as_bytes() == word);
    if is_one_of(&["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"]) {
        words.pass();
        let left = words.text().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        return Some(Told::Confirmation(left.unwrap_or(0)));
    }
    (*kind == b'>' || is_one_of(&["message", "pmessage", "smessage"])).then_some(Told::News)
}

/// The messages that an answer hands over: how many, and the hashes of those that have one. `None`: there was nothing to take.
pub(super) fn taken(bytes: &[u8], shape: Shape, limits: &Limits) -> Option<(usize, Vec<u64>)> {
    let mut words = Words::new(bytes);
    let one = |words: &mut Words<'_>| {
        let text = words.text()?;
        Some((1, command::element(text, limits).into_iter().collect()))
    };
    match shape {
        Shape::Element => one(&mut words),
        Shape::Pair => {
            words.list()?;
            words.text()?;
            one(&mut words)
        }
        Shape::Several => {
            words.list()?;
            words.text()?;
            let count = words.list()?;
            let found = words.take(count.min(MAX_MESSAGES)).filter_map(|word| match word {
                Word::Text(_, text) => command::element(text, limits),
                Word::Open(..) | Word::Null => None,
            });
            (count > 0).then(|| (count, found.collect()))
        }
        Shape::Stream => entries(words, limits),
    }
}

/// Streams with their names, as a map or a list of pairs; each with a list of entries; each with its id and its fields.
fn entries(mut words: Words<'_>, limits: &Limits) -> Option<(usize, Vec<u64>)> {
    let (streams, is_map) = match words.next()? {
        Word::Open(b'%', count) => (count / 2, true),
        Word::Open(b'*', count) => (count, false),
        _ => return None,
    };
    let (mut count, mut keys) = (0, Vec::new());
    for _ in 0..streams {
        if !is_map {
            words.list()?;
        }
        words.text()?;
        let entries = words.list()?;
        count += entries;
        for _ in 0..entries {
            let mut inside = words;
            if keys.len() < MAX_MESSAGES
                && let Some(2) = inside.list()
                && inside.text().is_some()
                && let Some(fields) = inside.list().filter(|fields| *fields <= MAX_FIELDS)
            {
                let fields: Vec<&[u8]> = (0..fields).map_while(|_| inside.text()).collect();
                keys.extend(command::entry(&fields, limits));
            }
            if words.pass().is_none() {
                return Some((count, keys));
            }
        }
    }
    (count > 0).then_some((count, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";

    #[test]
    fn the_code_of_an_error_is_shown_and_its_text_is_not() {
        for (bytes, code) in [
            (&b"-WRONGTYPE Operation against a key\r\n"[..], Some(&b"WRONGTYPE"[..])),
            (b"-ERR unknown command 'secret'\r\n", Some(b"ERR")),
            (b"-MOVED 3999 127.0.0.1:6381\r\n", Some(b"MOVED")),
            (b"-my secret\r\n", Some(b"ERR")),
            (b"-SECRETpassword\r\n", Some(b"ERR")),
            (b"-\r\n", Some(b"ERR")),
            (b"!11\r\nSYNTAX abcd\r\n", Some(b"SYNTAX")),
            (b"!11\r\nSYNT", Some(b"ERR")),
            (b"+OK\r\n", None),
            (b"$4\r\n-ERR\r\n", None),
        ] {
            assert_eq!(error(bytes), code, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn what_nobody_asked_for_is_told_from_answers() {
        let message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n";
        assert_eq!(told(message, true, false), Some(Told::News));
        assert_eq!(told(message, false, false), None, "a list may hold such words");
        assert_eq!(
            told(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:2\r\n", true, false),
            Some(Told::Confirmation(2))
        );
        assert_eq!(
            told(b"*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", true, false),
            Some(Told::Confirmation(0))
        );
        assert_eq!(told(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n", false, false), Some(Told::News));
        assert_eq!(told(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", true, false), None);
        assert_eq!(
            told(b"+1339518083.107412 [0 127.0.0.1:60866] \"keys\"\r\n", false, true),
            Some(Told::News)
        );
        assert_eq!(told(b"+OK\r\n", false, true), None);
    }

    #[test]
    fn messages_are_found_in_answers() {
        let limits = Limits::default();
        let key = command::element(ID.as_bytes(), &limits).unwrap();
        let id = format!("$36\r\n{ID}\r\n");
        let of = |text: String, shape| taken(text.as_bytes(), shape, &limits);
        assert_eq!(of(format!("*2\r\n$1\r\nq\r\n{id}"), Shape::Pair), Some((1, vec![key])));
        assert_eq!(of("*-1\r\n".into(), Shape::Pair), None);
        assert_eq!(of("_\r\n".into(), Shape::Pair), None);
        assert_eq!(of(id.clone(), Shape::Element), Some((1, vec![key])));
        assert_eq!(of("$-1\r\n".into(), Shape::Element), None);
        assert_eq!(of("$1\r\nx\r\n".into(), Shape::Element), Some((1, vec![])));
        assert_eq!(
            of(format!("*2\r\n$1\r\nq\r\n*2\r\n{id}$1\r\nx\r\n"), Shape::Several),
            Some((2, vec![key]))
        );
        let entry = command::entry(&[b"job", ID.as_bytes()], &limits).unwrap();
        let fields = format!("*2\r\n$3\r\n5-1\r\n*2\r\n$3\r\njob\r\n{id}");
        let one = format!("$1\r\ns\r\n*2\r\n{fields}*2\r\n$3\r\n5-2\r\n*-1\r\n");
        assert_eq!(of(format!("*1\r\n*2\r\n{one}"), Shape::Stream), Some((2, vec![entry])));
        assert_eq!(of(format!("%1\r\n{one}"), Shape::Stream), Some((2, vec![entry])));
        assert_eq!(of("*-1\r\n".into(), Shape::Stream), None);
        assert_eq!(of("*1\r\n*2\r\n$1\r\ns\r\n*0\r\n".into(), Shape::Stream), None);
    }
}
