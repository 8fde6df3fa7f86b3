//! AMQP 0-9-1, at the client's end, without confirms.

use crate::talk::{BULK, Call, Talk, answer, ask, long};

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(0xce);
    bytes
}

fn method(channel: u16, class: u16, id: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &id.to_be_bytes(), arguments].concat())
}

fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// A message with a message id.
fn content(body: &[u8]) -> Vec<u8> {
    let flags = 1u16 << 12 | 1 << 7;
    let length = (body.len() as u64).to_be_bytes();
    let id = text("7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a");
    let header = [&[0, 60, 0, 0][..], &length, &flags.to_be_bytes(), &[2], &id].concat();
    let mut bytes = frame(2, 1, &header);
    for part in body.chunks(128 << 10) {
        bytes.extend(frame(3, 1, part));
    }
    bytes
}

fn publish(body: &[u8]) -> Vec<u8> {
    let arguments = [&[0, 0][..], &text("shop"), &text("orders"), &[0]].concat();
    [method(1, 60, 40, &arguments), content(body)].concat()
}

/// The server's end sends `answer`s; [`Talk::at_client`] turns them round.
fn opening() -> Vec<Call> {
    vec![
        ask(*b"AMQP\0\0\x09\x01"),
        answer(method(0, 10, 10, &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ask(method(0, 10, 11, &[0; 16])),
        answer(method(0, 10, 30, &[0; 8])),
        ask([method(0, 10, 31, &[0; 8]), method(0, 10, 40, &[1, b'/', 0, 0])].concat()),
        answer(method(0, 10, 41, &[0])),
        ask(method(1, 20, 10, &[0])),
        answer(method(1, 20, 11, &[0; 4])),
    ]
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let mut large: Vec<Call> = long(&publish(&vec![b'x'; BULK]), usize::MAX);
    for call in &mut large {
        call.dir = call.dir.opposite();
    }
    let declare = method(1, 50, 10, &[&[0, 0][..], &text("orders"), &[0], &[0; 4]].concat());
    let declared = method(1, 50, 11, &[&text("orders")[..], &[0; 8]].concat());
    vec![
        Talk::new("AMQP", "publish, 200 bytes", opening(), vec![ask(publish(&[b'x'; 200]))]).at_client(),
        Talk::new("AMQP", "queue.declare and its answer", opening(), vec![ask(declare), answer(declared)])
            .at_client(),
        Talk::new("AMQP", "publish, 1 MiB in frames of 128 KiB", opening(), large).at_client().bulk(),
    ]
}
