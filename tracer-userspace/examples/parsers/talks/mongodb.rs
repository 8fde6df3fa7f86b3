//! MongoDB's wire protocol (OP_MSG), at the client's end.

use crate::talk::{BULK, Talk, answer, ask, long};

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

fn text(name: &str, value: &str) -> Vec<u8> {
    let value = [&(value.len() as i32 + 1).to_le_bytes()[..], value.as_bytes(), &[0]].concat();
    element(2, name, &value)
}

fn document(elements: &[Vec<u8>]) -> Vec<u8> {
    let inner = elements.concat();
    [&(inner.len() as i32 + 5).to_le_bytes()[..], &inner, &[0]].concat()
}

fn message(id: i32, to: i32, elements: &[Vec<u8>]) -> Vec<u8> {
    let body = [&[0; 5][..], &document(elements)].concat();
    let head = [body.len() as i32 + 16, id, to, 2013].map(i32::to_le_bytes).concat();
    [head, body].concat()
}

fn find() -> Vec<u8> {
    let filter = element(3, "filter", &document(&[text("email", "a@example.com")]));
    let limit = element(0x10, "limit", &1i32.to_le_bytes());
    message(7, 0, &[text("find", "users"), filter, limit, text("$db", "shop")])
}

/// An answer with so many documents.
fn found(count: usize) -> Vec<u8> {
    let one = document(&[text("email", "a@example.com"), text("name", &"x".repeat(160))]);
    let batch: Vec<Vec<u8>> = (0..count).map(|at| element(3, &at.to_string(), &one)).collect();
    let id = element(0x12, "id", &[0; 8]);
    let cursor = document(&[element(4, "firstBatch", &document(&batch)), id, text("ns", "shop.users")]);
    message(100, 7, &[element(3, "cursor", &cursor), element(1, "ok", &1f64.to_le_bytes())])
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let mut large = vec![ask(find())];
    large.extend(long(&found(BULK / 220), usize::MAX));
    vec![
        Talk::new("MongoDB", "find, one document", vec![], vec![ask(find()), answer(found(1))]).at_client(),
        Talk::new("MongoDB", "answer of 1 MiB in documents of 200 bytes", vec![], large).at_client().bulk(),
    ]
}
