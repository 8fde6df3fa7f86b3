//! Packets in any order, whole and in pieces.

use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 25] = [
    b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0",
    b"\x29\0\0\x01\x0d\xa2\x0a\0\0\0\0\x40\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0me\0\0shop\0",
    b"\x20\0\0\x01\x0d\xaa\x0a\0\0\0\0\x40\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x07\0\0\x02\0\0\0\x02\0\0\0",
    b"\x07\0\0\x01\0\0\0\x02\0\0\0",
    b"\x09\0\0\0\x03SELECT 1",
    b"\x0b\0\0\0\x03\0\x01SELECT 1",
    b"\x09\0\0\0\x16SELECT ?",
    b"\x0a\0\0\0\x17\x01\0\0\0\0\x01\0\0\0",
    b"\x05\0\0\0\x19\x01\0\0\0",
    b"\x01\0\0\0\x0e",
    b"\x01\0\0\0\x01",
    b"\x06\0\0\0\x03USE b",
    b"\x01\0\0\x01\x01",
    b"\x07\0\0\x02\x03def\0\0\0",
    b"\x05\0\0\x03\xfe\0\0\x02\0",
    b"\x02\0\0\x04\x011",
    b"\x05\0\0\x05\xfe\0\0\x02\0",
    b"\x07\0\0\x04\xfe\0\0\x02\0\0\0",
    b"\x05\0\0\x05\xfe\0\0\x0a\0",
    b"\x0c\0\0\x01\0\x01\0\0\0\x01\0\x01\0\0\0\0",
    b"\x09\0\0\x01\xff\x15\x04#28000",
    b"\x04\0\0\x01\xfbfil",
    b"\xff\xff\xff\0\x03",
    b"\0\0\0\x02",
];

/// Any bytes are such a conversation.
pub(crate) fn run(data: &[u8]) {
    improvise(data, &PHRASES);
}
