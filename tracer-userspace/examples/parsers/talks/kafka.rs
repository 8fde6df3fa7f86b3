//! Kafka's protocol, in the versions of current clients: a producer's end, and the broker's end of a consumer's connection, which tells
//! nothing of what a Fetch brought.

use crate::talk::{BULK, Talk, answer, ask, long};

/// Fields one behind the other, in the flexible versions' form.
fn fields(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [varint(text.len() as u32 + 1), text.as_bytes().to_vec()].concat()
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = fields(parts);
    [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// Kind, version, number, the client's name, and no tags.
fn header(key: i16, version: i16) -> Vec<u8> {
    let name = b"shop-1";
    let numbers = [&key.to_be_bytes()[..], &version.to_be_bytes(), &7i32.to_be_bytes()].concat();
    [&numbers[..], &(name.len() as u16).to_be_bytes(), name, &[0]].concat()
}

/// A batch of one message of so many bytes.
fn batch(len: usize) -> Vec<u8> {
    let body = vec![b'x'; len];
    let head = fields(&[&[0; 8], &(49 + len as i32).to_be_bytes(), &[0; 4], &[2], &[0; 4], &[0, 0], &[0; 4]]);
    fields(&[&head, &[0xff; 30], &1i32.to_be_bytes(), &body])
}

fn records(len: usize) -> Vec<u8> {
    let batch = batch(len);
    [varint(batch.len() as u32 + 1), batch].concat()
}

fn produce() -> Vec<u8> {
    let partition = fields(&[&[2], &3i32.to_be_bytes(), &records(200), &[0]]);
    let topic = fields(&[&[2], &text("orders"), &partition, &[0]]);
    framed(&[&header(0, 9), &[0], &1i16.to_be_bytes(), &1000i32.to_be_bytes(), &topic, &[0]])
}

fn produced() -> Vec<u8> {
    let partition = fields(&[
        &[2],
        &3i32.to_be_bytes(),
        &0i16.to_be_bytes(),
        &17i64.to_be_bytes(),
        &[0xff; 8],
        &[0; 8],
        &[1, 0, 0],
    ]);
    let topic = fields(&[&[2], &text("orders"), &partition, &[0]]);
    framed(&[&7i32.to_be_bytes(), &[0], &topic, &[0; 4], &[0]])
}

fn fetch() -> Vec<u8> {
    let partition = fields(&[
        &[2],
        &3i32.to_be_bytes(),
        &[0xff; 4],
        &17i64.to_be_bytes(),
        &[0xff; 12],
        &[0, 16, 0, 0],
        &[0],
    ]);
    let topic = fields(&[&[2], &text("orders"), &partition, &[0]]);
    let limits = fields(&[&[0xff; 4], &500i32.to_be_bytes(), &1i32.to_be_bytes(), &[0, 0x32, 0, 0], &[0]]);
    framed(&[&header(1, 12), &limits, &[0; 4], &[0xff; 4], &topic, &[1], &[1], &[0]])
}

fn fetched(len: usize) -> Vec<u8> {
    let numbers = fields(&[&3i32.to_be_bytes(), &0i16.to_be_bytes(), &[0; 8], &[0; 8], &[0; 8], &[1]]);
    let partition = fields(&[&[2], &numbers, &[0xff; 4], &records(len), &[0]]);
    let topic = fields(&[&[2], &text("orders"), &partition, &[0]]);
    framed(&[&7i32.to_be_bytes(), &[0], &[0; 4], &[0, 0], &[0; 4], &topic, &[0]])
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let mut large = vec![ask(fetch())];
    large.extend(long(&fetched(BULK), usize::MAX));
    vec![
        Talk::new(
            "Kafka",
            "produce, one message of 200 bytes",
            vec![],
            vec![ask(produce()), answer(produced())],
        )
        .at_client(),
        Talk::new(
            "Kafka",
            "fetch, one message of 200 bytes",
            vec![],
            vec![ask(fetch()), answer(fetched(200))],
        ),
        Talk::new("Kafka", "fetch of 1 MiB", vec![], large).bulk(),
    ]
}
