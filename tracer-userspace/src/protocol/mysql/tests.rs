//! Commands and answers, however they come.

mod conversations;
mod loss;

use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::{Outcome, Value};
use crate::protocol::rehearse::{Act, Stage};

/// Of MySQL 8.0, payload only.
pub(super) const GREETING: &[u8] = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0";
/// Of MariaDB 10.11.
pub(super) const MARIADB_GREETING: &[u8] = b"\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0abcdefghijkl\0mysql_native_password\0";

/// A packet.
pub(super) fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes()[..3].to_vec();
    bytes.push(number);
    bytes.extend_from_slice(payload);
    bytes
}

fn packets(first: u8, payloads: &[&[u8]]) -> Vec<u8> {
    payloads
        .iter()
        .enumerate()
        .flat_map(|(at, payload)| packet(first.wrapping_add(at as u8), payload))
        .collect()
}

/// A login with these capabilities besides CLIENT_PROTOCOL_41.
pub(super) fn login(capabilities: u32, schema: Option<&str>) -> Vec<u8> {
    let capabilities = capabilities | 1 << 9 | u32::from(schema.is_some()) << 3;
    let mut bytes = capabilities.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[0; 28]);
    bytes.extend_from_slice(b"me\0");
    bytes.extend_from_slice(b"\x03pwd");
    bytes.extend_from_slice(schema.unwrap_or_default().as_bytes());
    bytes.extend_from_slice(b"\0caching_sha2_password\0");
    bytes
}

fn command(code: u8, rest: &[u8]) -> Vec<u8> {
    packet(0, &[&[code], rest].concat())
}

fn query(text: &str) -> Vec<u8> {
    command(3, text.as_bytes())
}

const OK: &[u8] = b"\0\x01\0\x02\0\0\0";
const EOF: &[u8] = b"\xfe\0\0\x02\0";
const OK_AS_EOF: &[u8] = b"\xfe\0\0\x02\0\0\0";
const COLUMN: &[u8] = b"\x03def\x01a\x01b\x01b\x01c\x01c\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";

fn ok() -> Vec<u8> {
    packet(1, OK)
}

fn error(code: u16) -> Vec<u8> {
    packet(1, &[b"\xff", &code.to_le_bytes()[..], b"#42S02Table 'secret' is not there"].concat())
}

/// Rows of one column, with EOF packets or without.
fn rows(eof: bool, texts: &[&[u8]]) -> Vec<u8> {
    let mut payloads: Vec<Vec<u8>> = vec![b"\x01".to_vec(), COLUMN.to_vec()];
    if eof {
        payloads.push(EOF.to_vec());
    }
    payloads.extend(texts.iter().map(|text| [&[text.len() as u8], *text].concat()));
    payloads.push(if eof { EOF.to_vec() } else { OK_AS_EOF.to_vec() });
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    packets(1, &payloads)
}

/// A server's connection whose client has logged in.
fn server(schema: Option<&str>) -> Stage {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Tx, &packet(0, GREETING));
    stage.call(Rx, &packet(1, &login(1 << 15, schema)));
    stage.call(Tx, &packet(2, b"\x01\x03"));
    stage.call(Tx, &packet(3, b"\0\0\0\x02\0\0\0"));
    stage
}

fn says(stage: &mut Stage, ask: &[u8], answer: &[u8]) {
    stage.call(Rx, ask);
    stage.call(Tx, answer);
}

fn short(acts: &[Act]) -> Vec<(String, Option<&str>)> {
    acts.iter()
        .map(|act| {
            assert_eq!(act.outcome(), Some(Outcome::Complete), "{act:?}");
            (act.asked(), act.error())
        })
        .collect()
}

fn fine(all: &[&str]) -> Vec<(String, Option<&'static str>)> {
    all.iter().map(|one| ((*one).to_owned(), None)).collect()
}

fn table(act: &Act) -> Option<&str> {
    act.head.attributes().iter().find(|one| one.key == "db.sql.table").map(|one| match &one.value {
        Value::Text(text) => &**text,
        Value::Number(_) => "",
    })
}
