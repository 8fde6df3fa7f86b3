//! Commands and answers in any order, whole and in pieces.

use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 26] = [
    b"get a\r\n",
    b"gets a b\r\n",
    b"set a 0 0 5\r\nhello\r\n",
    b"set a 0 0 5 noreply\r\nhello\r\n",
    b"set a 0 0 9000\r\n",
    b"delete a\r\n",
    b"stats\r\n",
    b"mg a v q\r\n",
    b"mn\r\n",
    b"VALUE a 0 5\r\nhello\r\n",
    b"VALUE a 0 9000\r\n",
    b"END\r\n",
    b"STORED\r\n",
    b"STAT a 1\r\n",
    b"VA 5\r\nhello\r\n",
    b"MN\r\n",
    b"SERVER_ERROR x\r\n",
    b"get ",
    // The binary protocol: get, getkq, set with more than is captured, noop, stat; answers.
    b"\x80\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0a",
    b"\x80\x0d\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0a",
    b"\x80\x01\0\x01\x08\0\0\0\0\0\x20\x09\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a",
    b"\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
    b"\x80\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
    b"\x81\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0v",
    b"\x81\x0d\0\x01\0\0\0\0\0\0\x20\x01\0\0\0\x02\0\0\0\0\0\0\0\0a",
    b"\x81\x0a\0\0\0\0\0\x82\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0",
];

/// Any bytes are such a conversation.
pub(crate) fn run(data: &[u8]) {
    improvise(data, &PHRASES);
}
