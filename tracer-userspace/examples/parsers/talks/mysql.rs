//! MySQL's client/server protocol.

use crate::talk::{BULK, Call, Talk, answer, ask, long};

/// Of MySQL 8.0.
const GREETING: &[u8] = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0abcdefghijkl\0caching_sha2_password\0";
const EOF: &[u8] = b"\xfe\0\0\x02\0";
const COLUMN: &[u8] = b"\x03def\x01a\x01b\x01b\x01c\x01c\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
const QUERY: &[u8] =
    b"\x03SELECT id, name, email FROM users WHERE id = 42 AND name <> 'nobody' ORDER BY id LIMIT 10";

fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.pop();
    bytes.push(number);
    bytes.extend_from_slice(payload);
    bytes
}

fn packets(payloads: &[&[u8]]) -> Vec<u8> {
    payloads
        .iter()
        .enumerate()
        .flat_map(|(at, payload)| packet((at as u8).wrapping_add(1), payload))
        .collect()
}

fn login() -> Vec<Call> {
    // Protocol 4.1, a schema, secure connection.
    let capabilities = 1u32 << 15 | 1 << 9 | 1 << 3;
    let login =
        [&capabilities.to_le_bytes()[..], &[0; 28], b"me\0\x03pwdshop\0caching_sha2_password\0"].concat();
    vec![
        answer(packet(0, GREETING)),
        ask(packet(1, &login)),
        answer(packet(2, b"\x01\x03")),
        answer(packet(3, b"\0\0\0\x02\0\0\0")),
    ]
}

fn rows(count: usize, row: &[u8]) -> Vec<u8> {
    let mut payloads: Vec<&[u8]> = vec![b"\x01", COLUMN, EOF];
    payloads.resize(3 + count, row);
    payloads.push(EOF);
    packets(&payloads)
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let text = [&[60][..], &[b'x'; 60]].concat();
    let mut prepared = login();
    prepared.push(ask(packet(0, b"\x16SELECT id, name, email FROM users WHERE id = ?")));
    prepared.push(answer(packets(&[b"\0\x01\0\0\0\x01\0\x01\0\0\0\0", COLUMN, EOF, COLUMN, EOF])));
    let execute = packet(0, b"\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x08\0\x2a\0\0\0\0\0\0\0");
    let binary = [&[0, 0, 60][..], &[b'x'; 60]].concat();
    let large = rows(BULK / 200, &[&[195][..], &[b'x'; 195]].concat());
    let whole = |seen| {
        let mut cycle = vec![ask(packet(0, QUERY))];
        cycle.extend(long(&large, seen));
        cycle
    };
    vec![
        Talk::new(
            "MySQL",
            "query of 90 bytes, one row",
            login(),
            vec![ask(packet(0, QUERY)), answer(rows(1, &text))],
        ),
        Talk::new(
            "MySQL",
            "prepared statement, one row",
            prepared,
            vec![ask(execute), answer(rows(1, &binary))],
        ),
        Talk::new("MySQL", "answer of 1 MiB in rows of 200 bytes", login(), whole(usize::MAX)).bulk(),
    ]
}
