//! HTTP/1.1 with keep-alive.

use crate::talk::{BULK, Talk, answer, ask, long};

/// As a browser's library sends it.
const REQUEST: &str = "GET /api/users/42?page=2&sort=name HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36\r\nAccept: application/json, text/plain, */*\r\nAccept-Language: en-US,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\n\
    Cookie: session=8f14e45fceea167a5a36dedd4bea2543\r\nX-Forwarded-For: 192.0.2.7\r\nX-Request-Id: 7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nConnection: keep-alive\r\n\r\n";
/// As wrk sends it.
const SHORT: &str = "GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn response(len: usize) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 05:00:00 GMT\r\nContent-Type: application/json\r\n\
         Content-Length: {len}\r\nCache-Control: no-store\r\nConnection: keep-alive\r\n\r\n"
    )
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let small = || answer([response(200).into_bytes(), vec![b'x'; 200]].concat());
    let whole = |seen| {
        let mut cycle = vec![ask(REQUEST), answer(response(BULK))];
        cycle.extend(long(&vec![b'x'; BULK], seen));
        cycle
    };
    let mut chunked = vec![ask(REQUEST), answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")];
    let chunk = [&b"2000\r\n"[..], &[b'x'; 0x2000], b"\r\n"].concat();
    chunked.extend(long(&[chunk.repeat(BULK / 0x2000), b"0\r\n\r\n".to_vec()].concat(), usize::MAX));
    vec![
        Talk::new("HTTP/1.1", "GET with ten headers, 200-byte answer", vec![], vec![ask(REQUEST), small()]),
        Talk::new("HTTP/1.1", "GET with one header, 200-byte answer", vec![], vec![ask(SHORT), small()]),
        Talk::new("HTTP/1.1", "answer of 1 MiB, length known", vec![], whole(usize::MAX)).bulk(),
        Talk::new("HTTP/1.1", "answer of 1 MiB in chunks of 8 KiB", vec![], chunked).bulk(),
    ]
}
