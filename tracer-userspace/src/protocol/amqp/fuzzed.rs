//! Frames, methods and properties by themselves: what is read of them does not depend on bytes that follow, and nothing of it
//! panics. And conversations of them, in any order and with parts out of sight.

use super::content;
use super::frame::{self, Fields, HEADER, Shape};
use super::method;
use crate::fuzzed::Input;
use crate::protocol::frames::Framing;
use crate::protocol::rehearse::improvise;

const PHRASES: [&[u8]; 30] = [
    // Greeting.
    b"AMQP\0\0\x09\x01",
    // Connection.start.
    b"\x01\0\0\0\0\0\x12\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\xce",
    // Connection.open.
    b"\x01\0\0\0\0\0\x08\0\x0a\0(\x01/\0\0\xce",
    // Open-ok.
    b"\x01\0\0\0\0\0\x05\0\x0a\0)\0\xce",
    // Connection.close.
    b"\x01\0\0\0\0\0\x0b\0\x0a\x002\0\xc8\0\0\0\0\0\xce",
    // Close-ok.
    b"\x01\0\0\0\0\0\x04\0\x0a\x003\xce",
    // Channel.open.
    b"\x01\0\x01\0\0\0\x05\0\x14\0\x0a\0\xce",
    b"\x01\0\x01\0\0\0\x08\0\x14\0\x0b\0\0\0\0\xce",
    // Channel.close: a queue could not be declared.
    b"\x01\0\x01\0\0\0\x0b\0\x14\0(\x01\x94\0\x002\0\x0a\xce",
    b"\x01\0\x01\0\0\0\x04\0\x14\0)\xce",
    // Queue.declare, with and without an answer.
    b"\x01\0\x01\0\0\0\x0d\x002\0\x0a\0\0\x01q\0\0\0\0\0\xce",
    b"\x01\0\x01\0\0\0\x0d\x002\0\x0a\0\0\x01q\x10\0\0\0\0\xce",
    b"\x01\0\x01\0\0\0\x0e\x002\0\x0b\x01q\0\0\0\0\0\0\0\0\xce",
    // Basic.consume.
    b"\x01\0\x01\0\0\0\x0f\0<\0\x14\0\0\x01q\x01t\0\0\0\0\0\xce",
    b"\x01\0\x01\0\0\0\x06\0<\0\x15\x01t\xce",
    // Basic.publish, its header and content, which may come apart.
    b"\x01\0\x01\0\0\0\x0b\0<\0(\0\0\x01x\x01k\0\xce",
    b"\x02\0\x01\0\0\0\x0e\0<\0\0\0\0\0\0\0\0\0\x05\0\0\xce",
    b"\x03\0\x01\0\0\0\x05hello\xce",
    // Basic.deliver.
    b"\x01\0\x01\0\0\0\x13\0<\0<\x01t\0\0\0\0\0\0\0\x01\0\x01x\x01k\xce",
    // Basic.get.
    b"\x01\0\x01\0\0\0\x09\0<\0F\0\0\x01q\0\xce",
    b"\x01\0\x01\0\0\0\x15\0<\0G\0\0\0\0\0\0\0\x01\0\x01x\x01k\0\0\0\0\xce",
    b"\x01\0\x01\0\0\0\x05\0<\0H\0\xce",
    // Basic.ack, of one and of all; basic.nack.
    b"\x01\0\x01\0\0\0\x0d\0<\0P\0\0\0\0\0\0\0\x01\0\xce",
    b"\x01\0\x01\0\0\0\x0d\0<\0P\0\0\0\0\0\0\0\x01\x01\xce",
    b"\x01\0\x01\0\0\0\x0d\0<\0x\0\0\0\0\0\0\0\x01\0\xce",
    // Confirm.select.
    b"\x01\0\x01\0\0\0\x05\0U\0\x0a\0\xce",
    b"\x01\0\x01\0\0\0\x04\0U\0\x0b\xce",
    // Another channel.
    b"\x01\0\x02\0\0\0\x05\0\x14\0\x0a\0\xce",
    b"\x01\0\x02\0\0\0\x0b\0<\0(\0\0\x01x\x01k\0\xce",
    // A heartbeat.
    b"\x08\0\0\0\0\0\0\xce",
];

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let what = input.byte();
    let bytes = input.rest();
    if what & 0x80 != 0 {
        return improvise(bytes, &PHRASES);
    }
    match what % 3 {
        0 => {
            let header = bytes.get(..HEADER).unwrap_or_default();
            if let Some(len) = Shape.length(header) {
                assert!(len > HEADER as u64);
                assert_eq!(
                    frame::begin(header),
                    frame::begin(bytes),
                    "what follows a header says nothing about it"
                );
            }
            _ = super::known(bytes);
        }
        1 => {
            let mut fields = Fields(bytes);
            if let (Some(class), Some(number)) = (fields.short(), fields.short())
                && let Some(found) = method::find(class, number)
            {
                assert_eq!(found.id, (class, number));
                _ = method::is_no_wait(found.id, fields);
                let object = method::object(found.id, fields)
                    .map(|object| content::printable(object).collect::<String>());
                assert!(object.is_none_or(|object| object.is_ascii() && object.len() <= 128));
            }
        }
        _ => {
            if let Some(whole) = content::properties(bytes) {
                let part = content::properties(bytes.get(..12).unwrap_or(bytes));
                assert_eq!(part.map(|part| part.size), Some(whole.size));
            }
            let mut entries = Fields(bytes);
            let mut left = bytes.len();
            while entries.entry().is_some() {
                assert!(entries.0.len() < left, "a table comes to its end");
                left = entries.0.len();
            }
        }
    }
}
