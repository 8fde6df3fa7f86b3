//! Tests of head reading.

use super::*;

fn whole(bytes: &[u8]) -> (Request<'_>, usize) {
    match request(bytes) {
        Parsed::Whole(request, used) => (request, used),
        other => panic!("{other:?}"),
    }
}

fn answer(bytes: &[u8]) -> (Response, usize) {
    match response(bytes) {
        Parsed::Whole(response, used) => (response, used),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_read_up_to_its_empty_line() {
    let bytes = b"POST /users?x=1 HTTP/1.1\r\nHost: a:80\r\ncontent-LENGTH:  12 \r\nCookie: c\r\n\r\nbody";
    let (request, used) = whole(bytes);
    assert_eq!(request.method, b"POST");
    assert_eq!(request.target, b"/users?x=1");
    assert_eq!(request.minor, 1);
    assert_eq!(request.fields.host, Some(&b"a:80"[..]));
    assert_eq!(request.fields.length, Length::Value(12));
    assert_eq!(&bytes[used..], b"body");
}

#[test]
fn every_proper_prefix_is_a_part() {
    let bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in 0..bytes.len() {
        assert!(matches!(request(&bytes[..cut]), Parsed::Part(_)), "{cut}");
    }
    let bytes = b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n";
    for cut in 0..bytes.len() {
        assert!(matches!(response(&bytes[..cut]), Parsed::Part(_)), "{cut}");
    }
}

#[test]
fn the_end_is_found_from_any_point_before_it() {
    for bytes in [&b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"[..], b"GET / HTTP/1.1\nA: b\n\nrest"] {
        let expected = bytes.len() - 4;
        for from in 0..expected {
            assert_eq!(end(bytes, from), Some(expected), "{from}");
        }
        assert_eq!(end(&bytes[..expected - 1], 0), None);
    }
}

#[test]
fn bare_line_feeds_are_taken() {
    let (request, used) = whole(b"GET / HTTP/1.0\nHost: h\n\n");
    assert_eq!((request.minor, used), (0, 24));
    assert_eq!(request.fields.host, Some(&b"h"[..]));
}

#[test]
fn targets_of_all_forms_are_taken() {
    assert_eq!(whole(b"GET http://h/p HTTP/1.1\r\n\r\n").0.target, b"http://h/p");
    assert_eq!(whole(b"OPTIONS * HTTP/1.1\r\n\r\n").0.target, b"*");
    assert_eq!(whole(b"CONNECT h:443 HTTP/1.1\r\n\r\n").0.target, b"h:443");
    assert_eq!(whole(b"GET /a b HTTP/1.1\r\n\r\n").0.target, b"/a b");
    assert_eq!(whole(b"X-ODD!~ / HTTP/1.1\r\n\r\n").0.method, b"X-ODD!~");
}

#[test]
fn what_is_no_request_is_refused() {
    let bad: &[&[u8]] = &[
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"GET \xff\x01\x02\n\n",
        b" / HTTP/1.1\r\n\r\n",
        b"G(T / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\r\n",
    ];
    for bytes in bad {
        assert!(matches!(request(bytes), Parsed::Invalid), "{bytes:?}");
    }
}

#[test]
fn a_response_needs_no_reason() {
    for bytes in [&b"HTTP/1.1 204\r\n\r\n"[..], b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.0 204 No Content\n\n"] {
        assert_eq!(answer(bytes).0.status, 204, "{bytes:?}");
    }
    for bytes in [
        &b"HTTP/1.1 20\r\n\r\n"[..],
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
    ] {
        assert!(matches!(response(bytes), Parsed::Invalid), "{bytes:?}");
    }
}

#[test]
fn lengths_that_differ_are_not_believed() {
    let length = |fields: &str| answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes()).0.length;
    assert_eq!(length("Content-Length: 5\r\nContent-Length: 5"), Length::Value(5));
    assert_eq!(length("Content-Length: 5, 5"), Length::Value(5));
    assert_eq!(length("Content-Length: 5\r\nContent-Length: 6"), Length::Invalid);
    assert_eq!(length("Content-Length: 5, 6"), Length::Invalid);
    assert_eq!(length("Content-Length: +5"), Length::Invalid);
    assert_eq!(length("Content-Length: 99999999999999999999999"), Length::Invalid);
    assert_eq!(length("Content-Length:"), Length::Invalid);
    assert_eq!(length("Content-Length:\r\n 5"), Length::Invalid);
    assert_eq!(length("Content-Length : 5"), Length::Invalid);
    assert_eq!(length("Content-Lengthy: 5"), Length::Absent);
}

#[test]
fn the_last_coding_decides() {
    let coding = |fields: &str| answer(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes()).0.coding;
    assert_eq!(coding("transfer-encoding: Chunked"), Coding::Chunked);
    assert_eq!(coding("Transfer-Encoding: gzip, chunked"), Coding::Chunked);
    assert_eq!(coding("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"), Coding::Chunked);
    assert_eq!(coding("Transfer-Encoding: chunked, gzip"), Coding::Other);
    assert_eq!(coding("Transfer-Encoding: identity"), Coding::Absent);
    assert_eq!(coding("Transfer-Encoding : chunked"), Coding::Other);
}

#[test]
fn folded_lines_belong_to_the_field_before() {
    let (request, _) = whole(b"GET / HTTP/1.1\r\nX: a\r\n content-length: 7\r\nHost: h\r\n\tx\r\n\r\n");
    assert_eq!(request.fields.length, Length::Absent);
    assert_eq!(request.fields.host, None);
}

#[test]
fn a_cut_request_line_is_kept_only_if_nothing_shown_is_missing() {
    let long = [b"GET /".as_slice(), &[b'a'; TARGET_ENOUGH]].concat();
    assert!(matches!(request(&long), Parsed::Part(Some(Request { method: b"GET", .. }))));
    assert!(matches!(request(b"GET /users/12"), Parsed::Part(None)));
}
