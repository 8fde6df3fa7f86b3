//! RESP messages by themselves: where they end must not depend on how the bytes came, and what is read of them never shows what people
//! put into them.

use super::command;
use super::reply;
use super::scan::{Kind, Scan, Scanner};
use crate::fuzzed::Input;
use crate::protocol::Limits;

/// The first byte says what the others are, the next two where they are cut.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = if input.byte() & 1 == 0 { Kind::Commands } else { Kind::Replies };
    let cut = usize::from(input.word());
    let bytes = input.rest();
    let whole = Scanner::new(kind).take(bytes);
    let (one, other) = bytes.split_at(cut % (bytes.len() + 1));
    let mut scanner = Scanner::new(kind);
    let parts = match scanner.take(one) {
        Scan::More => match scanner.take(other) {
            Scan::Over(at) => Scan::Over(one.len() + at),
            later => later,
        },
        early => early,
    };
    assert_eq!(whole, parts, "cut at {}", one.len());
    if let Scan::Over(len) = whole {
        assert!((1..=bytes.len()).contains(&len));
        let own = bytes.get(..len).unwrap_or_default();
        assert_eq!(Scanner::new(kind).take(own), whole, "what follows a message says nothing about it");
    }
    let limits = Limits::default();
    if let Some(found) = command::read(bytes, cut & 1 == 0, &limits) {
        let target = found.target(40);
        let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b" ?.-_".contains(&byte);
        assert!(target.len() <= 40 && target.bytes().all(is_shown), "{target:?}");
    }
    if let Some(code) = reply::error(bytes) {
        assert!(
            (1..=32).contains(&code.len())
                && code.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
        );
    }
    for shape in
        [command::Shape::Pair, command::Shape::Element, command::Shape::Several, command::Shape::Stream]
    {
        _ = reply::taken(bytes, shape, &limits);
    }
    _ = reply::told(bytes, cut & 2 == 0, cut & 4 == 0);
}
