//! FastCGI, as nginx and PHP-FPM speak it over a connection that is kept.

use crate::talk::{BULK, Talk, answer, ask, long};

const BEGIN: u8 = 1;
const END: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let padding = (8 - content.len() % 8) % 8;
    let mut bytes = vec![1, kind, 0, 1];
    bytes.extend_from_slice(&(content.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[padding as u8, 0]);
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len() + padding, 0);
    bytes
}

fn request() -> Vec<u8> {
    let params = [
        ("QUERY_STRING", "page=2"),
        ("REQUEST_METHOD", "GET"),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("SCRIPT_NAME", "/app.php"),
        ("REQUEST_URI", "/app.php?page=2"),
        ("DOCUMENT_URI", "/app.php"),
        ("DOCUMENT_ROOT", "/var/www/html"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REQUEST_SCHEME", "http"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "nginx/1.22.1"),
        ("REMOTE_ADDR", "192.0.2.7"),
        ("REMOTE_PORT", "40000"),
        ("SERVER_NAME", "shop.example.com"),
        ("SCRIPT_FILENAME", "/var/www/html/app.php"),
        ("HTTP_HOST", "shop.example.com"),
        ("HTTP_USER_AGENT", "curl/8.5.0"),
        ("HTTP_ACCEPT", "*/*"),
    ];
    let mut pairs = Vec::new();
    for (name, value) in params {
        pairs.extend_from_slice(&[name.len() as u8, value.len() as u8]);
        pairs.extend_from_slice(name.as_bytes());
        pairs.extend_from_slice(value.as_bytes());
    }
    let begin = record(BEGIN, &[0, 1, 1, 0, 0, 0, 0, 0]);
    [begin, record(PARAMS, &pairs), record(PARAMS, b""), record(STDIN, b"")].concat()
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut all = record(STDOUT, b"Status: 200 OK\r\nContent-type: text/html; charset=UTF-8\r\n\r\n");
    for part in body.chunks(0x7ff8) {
        all.extend(record(STDOUT, part));
    }
    [all, record(END, &[0; 8])].concat()
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let mut large = vec![ask(request())];
    large.extend(long(&response(&vec![b'x'; BULK]), usize::MAX));
    vec![
        Talk::new(
            "FastCGI",
            "19 parameters, 200-byte answer",
            vec![],
            vec![ask(request()), answer(response(&[b'x'; 200]))],
        ),
        Talk::new("FastCGI", "answer of 1 MiB in records of 32 KiB", vec![], large).bulk(),
    ]
}
