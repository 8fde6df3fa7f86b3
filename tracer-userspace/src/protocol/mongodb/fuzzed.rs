//! Messages in any order, whole and in pieces; and documents by themselves: what is shown of one has nothing of its values.

use super::bson::{self, Element, Elements, Value};
use super::shape::Shape;
use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 12] = [
    // {ping: 1, $db: "a"}, as a request of number 1.
    b"\x2d\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x18\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x02\0\0\0a\0\0",
    // The same of number 2, for which no answer is wanted.
    b"\x2d\0\0\0\x02\0\0\0\0\0\0\0\xdd\x07\0\0\x02\0\0\0\0\x18\0\0\0\x10ping\0\x01\0\0\0\x02$db\0\x02\0\0\0a\0\0",
    // {find: "u", filter: {a: {$gt: 1}}} of number 3.
    b"\x43\0\0\0\x03\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x2e\0\0\0\x02find\0\x02\0\0\0u\0\x03filter\0\x16\0\0\0\x03a\0\x0e\0\0\0\x10$gt\0\x01\0\0\0\0\0\0",
    // {ok: 1} for 1 and 3, {ok: 0, code: 26} for 1.
    b"\x23\0\0\0\x09\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0\x0e\0\0\0\x10ok\0\x01\0\0\0\0",
    b"\x23\0\0\0\x0a\0\0\0\x03\0\0\0\xdd\x07\0\0\0\0\0\0\0\x0e\0\0\0\x10ok\0\x01\0\0\0\0",
    b"\x2d\0\0\0\x0b\0\0\0\x01\0\0\0\xdd\x07\0\0\0\0\0\0\0\x18\0\0\0\x10ok\0\0\0\0\0\x10code\0\x1a\0\0\0\0",
    // Another one follows.
    b"\x23\0\0\0\x0c\0\0\0\x01\0\0\0\xdd\x07\0\0\x02\0\0\0\0\x0e\0\0\0\x10ok\0\x01\0\0\0\0",
    // A query of `a.$cmd`, and its answer.
    b"\x38\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0\0\0\0\0a.$cmd\0\0\0\0\0\xff\xff\xff\xff\x15\0\0\0\x10isMaster\0\x01\0\0\0\0",
    b"\x32\0\0\0\x09\0\0\0\x01\0\0\0\x01\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x0e\0\0\0\x10ok\0\x01\0\0\0\0",
    // Compressed.
    b"\x1d\0\0\0\x05\0\0\0\0\0\0\0\xdc\x07\0\0\xdd\x07\0\0\x40\0\0\0\x02abcd",
    // Only a header.
    b"\xff\0\0\0\x06\0\0\0\0\0\0\0\xdd\x07\0\0",
    // Documents beside a command.
    b"\x3f\0\0\0\x07\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x13\0\0\0\x02insert\0\x02\0\0\0u\0\0\x01\x16\0\0\0documents\0\x05\0\0\0\0\x05\0\0\0\0",
];

/// Any bytes are such a conversation, and a document.
pub(crate) fn run(data: &[u8]) {
    improvise(data, &PHRASES);
    if let Some(document) = bson::document(data) {
        walk(document, 6);
        let mut text = String::new();
        let mut shape = Shape::new(&mut text, 100);
        shape.command(document, None);
        let text = shape.text();
        let is_shown = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$-?{}[]:, ".contains(&byte);
        assert!(text.len() <= 100 && text.bytes().all(is_shown), "{text:?}");
    }
}

/// Elements lie within their documents, one behind the other.
fn walk(elements: Elements<'_>, depth: usize) {
    let mut last = 0;
    for Element { name, value } in elements {
        let at = name.as_ptr() as usize;
        assert!(at > last, "an element comes again");
        last = at;
        match value {
            Value::Document(inner) | Value::Array(inner) if depth > 0 => walk(inner, depth - 1),
            _ => {}
        }
    }
}
