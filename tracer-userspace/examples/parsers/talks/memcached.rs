//! memcached's text protocol.

use crate::talk::{BULK, Talk, answer, ask, long};

fn value(len: usize) -> Vec<u8> {
    [format!("VALUE session:042 0 {len}\r\n").into_bytes(), vec![b'x'; len], b"\r\nEND\r\n".to_vec()].concat()
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let get = || ask("get session:042\r\n");
    let mut large = vec![get()];
    large.extend(long(&value(BULK - 4096), usize::MAX));
    vec![
        Talk::new("memcached", "get, 60-byte answer", vec![], vec![get(), answer(value(60))]),
        Talk::new("memcached", "answer of 1 MiB", vec![], large).bulk(),
    ]
}
