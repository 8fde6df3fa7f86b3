//! Records in any order, whole and in pieces.

use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 14] = [
    b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0",
    b"\x01\x01\0\x02\0\x08\0\0\0\x01\0\0\0\0\0\0",
    b"\x01\x04\0\x01\0\x13\x05\0\x0e\x03REQUEST_METHODGET\0\0\0\0\0",
    b"\x01\x04\0\x01\0\x0f\0\0\x0b\x02REQUEST_URI/a",
    b"\x01\x04\0\x01\0\0\0\0",
    b"\x01\x05\0\x01\0\0\0\0",
    b"\x01\x05\0\x01\x20\0\0\0",
    b"\x01\x06\0\x01\0\x0f\0\0Status: 404 X\r\n",
    b"\x01\x06\0\x01\0\x02\0\0\r\n",
    b"\x01\x06\0\x01\xff\xff\xff\0X: y\r\n",
    b"\x01\x07\0\x01\0\x03\x05\0bad\0\0\0\0\0",
    b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0",
    b"\x01\x03\0\x02\0\x08\0\0\0\0\0\x01\x02\0\0\0",
    b"\x01\x02\0\x01\0\0\0\0",
];

/// Any bytes are such a conversation.
pub(crate) fn run(data: &[u8]) {
    improvise(data, &PHRASES);
}
