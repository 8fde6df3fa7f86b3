//! RESP.

use crate::talk::{BULK, Talk, answer, ask, long};

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let get = b"*2\r\n$3\r\nGET\r\n$11\r\nsession:042\r\n".to_vec();
    let found = [&b"$60\r\n"[..], &[b'x'; 60], b"\r\n"].concat();
    let set = b"*3\r\n$3\r\nSET\r\n$11\r\nsession:042\r\n$10\r\n0123456789\r\n".repeat(16);
    let large = [format!("${BULK}\r\n").into_bytes(), vec![b'x'; BULK], b"\r\n".to_vec()].concat();
    let list = [
        format!("*{}\r\n", BULK / 100).into_bytes(),
        [&b"$92\r\n"[..], &[b'x'; 92], b"\r\n"].concat().repeat(BULK / 100),
    ];
    let whole = |bytes: &[u8], seen| {
        let mut cycle = vec![ask(get.clone())];
        cycle.extend(long(bytes, seen));
        cycle
    };
    vec![
        Talk::new("Redis", "GET, 60-byte answer", vec![], vec![ask(get.clone()), answer(found)]),
        Talk::new("Redis", "16 SETs in one call", vec![], vec![ask(set), answer(b"+OK\r\n".repeat(16))])
            .of(16),
        Talk::new("Redis", "answer of 1 MiB, one string", vec![], whole(&large, usize::MAX)).bulk(),
        Talk::new("Redis", "the same, 64 bytes of each call captured", vec![], whole(&large, 64)).bulk(),
        Talk::new(
            "Redis",
            "answer of 1 MiB in strings of 92 bytes",
            vec![],
            whole(&list.concat(), usize::MAX),
        )
        .bulk(),
    ]
}
