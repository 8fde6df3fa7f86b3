//! Messages in any order, whole and in pieces.

use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 11] = [
    // ApiVersions 0 and its answer.
    b"\0\0\0\x0c\0\x12\0\0\0\0\0\x01\0\x02me",
    b"\0\0\0\x0a\0\0\0\x01\0\0\0\0\0\0",
    // Produce 3 of one batch with two messages to topic t, and its answer.
    b"\0\0\0\x6c\0\0\0\x03\0\0\0\x02\0\x02me\xff\xff\0\x01\0\0\x03\xe8\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\0\0\0\x3d\0\0\0\0\0\0\0\0\0\0\0\x31\0\0\0\0\x02\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02",
    b"\0\0\0\x31\0\0\0\x02\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\0\0\x06\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
    // The same without an answer.
    b"\0\0\0\x1c\0\0\0\x03\0\0\0\x03\0\x02me\xff\xff\0\0\0\0\x03\xe8\0\0\0\0",
    // Fetch 12 of topic t, and an answer with nothing.
    b"\0\0\0\x4a\0\x01\0\x0c\0\0\0\x04\0\x02me\0\xff\xff\xff\xff\0\0\x01\xf4\0\0\0\x01\0\x10\0\0\0\0\0\0\0\xff\xff\xff\xff\x02\x02t\x02\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\x10\0\0\0\0\x01\x01\0",
    b"\0\0\0\x11\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\x01\0",
    // Metadata 12.
    b"\0\0\0\x12\0\x03\0\x0c\0\0\0\x05\0\x02me\0\x01\x01\0\0",
    b"\0\0\0\x14\0\0\0\x05\0\0\0\0\0\x01\0\0\0\0\0\x01\0",
    // A length by itself, and a request without one.
    b"\0\0\0\x0c",
    b"\0\x12\0\0\0\0\0\x06\0\x02me",
];

/// Any bytes are such a conversation.
pub(crate) fn run(data: &[u8]) {
    improvise(data, &PHRASES);
}
