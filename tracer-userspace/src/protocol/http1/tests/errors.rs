//! Input that is wrong, hostile, or not HTTP at all: counted, and followed by what can be understood.

use super::*;
use crate::protocol::tally::Skip;

/// Wrong bytes from the client, answered and followed by an ordinary exchange.
fn after(wrong: &[&[u8]]) -> (Vec<Told>, Streams) {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &ok(200, 3), 20);
    for bytes in wrong {
        kernel.call(Rx, bytes, 30);
    }
    kernel.call(Tx, &ok(400, 3), 40);
    kernel.call(Rx, &get("/201"), 50);
    kernel.call(Tx, &ok(201, 3), 60);
    run(&kernel)
}

#[test]
fn a_mebibyte_of_headers_is_a_truncated_request() {
    let huge =
        [&b"GET /huge HTTP/1.1\r\nHost: h\r\n"[..], &b"X-Header: yes\r\n".repeat(1 << 16), b"\r\n"].concat();
    let mut kernel = server();
    for (at, part) in huge.chunks(16_384).enumerate() {
        kernel.call(Rx, part, 10 + at as u64);
    }
    kernel.call(Tx, &ok(431, 3), 200);
    kernel.call(Rx, &get("/201"), 300);
    kernel.call(Tx, &ok(201, 3), 400);
    let told = told(&kernel);
    assert_eq!(told[0].status(), Some(431));
    assert!(told[0].truncated);
    assert_eq!(told[0].end.unwrap().3, huge.len() as u64);
    assert_eq!(told[0].outcome(), Some(Outcome::Complete));
    assert_eq!((told[1].status(), told.len()), (Some(201), 2));
}

#[test]
fn a_long_target_is_kept_as_far_as_it_would_be_shown() {
    let long = format!("/{}?token=x", "a".repeat(9000));
    let (told, _) = after(&[&get(&long)]);
    assert_eq!(told[1].status(), Some(400));
    assert!(told[1].truncated && told[1].target.len() == 2048 && told[1].target.ends_with("..."));
    assert_eq!(told[2].status(), Some(201));
}

#[test]
fn a_truncated_response_head_ends_before_the_next_message() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &[&b"HTTP/1.1 200 OK\r\n"[..], &b"X-Header: yes\r\n".repeat(1000), b"\r\n"].concat(), 20);
    kernel.call(Rx, &get("/201"), 30);
    kernel.call(Tx, &ok(201, 3), 40);
    let told = told(&kernel);
    assert!(told[0].response.as_ref().unwrap().0.truncated);
    assert_eq!(
        short(&told),
        [
            ("GET /200".into(), Some(200), Outcome::EndUnframed),
            ("GET /201".into(), Some(201), Outcome::Complete)
        ]
    );
}

#[test]
fn garbage_after_a_method_is_counted_and_passed() {
    let wrong: [&[&[u8]]; 5] = [
        &[b"GET \x00\x01\x02\xff\xfe binary \n\n"],
        &[b"GET / HTTP/1.1 and more\r\n\r\n"],
        &[b"\x16\x03\x01\0\xa5\x01\0\0\xa1", b"more"],
        &[b"GET /x HTTP/3.0\r\n\r\n", b"PUT \r\n\r\n"],
        &[b"P", b"\0\0\0\x08\x04\xd2\x16\x2f"],
    ];
    for bytes in wrong {
        let (told, streams) = after(bytes);
        assert_eq!(short(&told), complete(&[200, 201]), "{bytes:?}");
        let tally = &streams.ledger().tally;
        let skipped = tally.skipped_total() - tally.skipped(Skip::Unrequested);
        assert_eq!(skipped, bytes.iter().map(|part| part.len() as u64).sum::<u64>(), "{bytes:?}: {tally:?}");
    }
}

#[test]
fn a_request_length_that_lies_costs_no_wrong_pair() {
    // Too long: the server answers and waits; the next request looks like the rest of the body.
    let (told, _) = after(&[b"POST /400 HTTP/1.1\r\nContent-Length: 500\r\n\r\nshort"]);
    assert!(told.iter().all(|one| one.status().is_none_or(|status| *one.target == *format!("/{status}"))));
    // Too short: the rest of the body stands where a request should.
    let (told, _) = after(&[b"POST /400 HTTP/1.1\r\nContent-Length: 5\r\n\r\nmuch longer than five"]);
    assert_eq!(told.iter().map(|one| one.status()).collect::<Vec<_>>(), [Some(200), Some(400), Some(201)]);
}

#[test]
fn a_response_length_that_lies_costs_no_wrong_pair() {
    for length in [0, 1, 2, 200] {
        let mut kernel = server();
        kernel.call(Rx, &get("/200"), 10);
        kernel.call(Tx, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nfive!").as_bytes(), 20);
        for status in 201..206 {
            kernel.call(Rx, &get(&format!("/{status}")), 30);
            kernel.call(Tx, &ok(status, 0), 40);
        }
        let told = told(&kernel);
        assert!(
            told.iter().all(|one| one.status().is_none_or(|status| *one.target == *format!("/{status}"))),
            "{length}"
        );
    }
}

#[test]
fn lengths_that_differ_leave_the_body_unframed() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc", 20);
    kernel.call(Rx, &get("/201"), 30);
    kernel.call(Tx, &ok(201, 3), 40);
    assert_eq!(
        short(&told(&kernel)),
        [
            ("GET /200".into(), Some(200), Outcome::EndUnframed),
            ("GET /201".into(), Some(201), Outcome::Complete)
        ]
    );
}

#[test]
fn an_empty_line_between_messages_is_passed_over() {
    let mut kernel = server();
    kernel.call(Rx, b"POST /200 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\r\n", 10);
    kernel.call(Tx, &ok(200, 3), 20);
    kernel.call(Rx, b"POST /201 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 30);
    kernel.call(Rx, b"\r\n", 31);
    kernel.call(Tx, &ok(201, 3), 40);
    kernel.call(Rx, &[b"\r\n", &get("/202")[..]].concat(), 50);
    kernel.call(Tx, &ok(202, 3), 60);
    let told = told(&kernel);
    assert_eq!(told.iter().map(|one| one.status().unwrap_or(0)).take(2).collect::<Vec<_>>(), [200, 201]);
}

#[test]
fn what_is_not_http_is_not_understood() {
    let mut kernel = server();
    kernel.call(Rx, b"GET\tout\n", 10);
    kernel.call(Rx, b"GET garbage without end", 20);
    kernel.call(Tx, b"who are you", 30);
    kernel.close(40);
    let (told, streams) = run(&kernel);
    assert!(told.is_empty());
    assert_eq!(streams.ledger().tally.skipped(Skip::NotUnderstood), kernel.bytes());
}

#[test]
fn an_unfinished_head_is_no_request() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &ok(200, 3), 20);
    kernel.call(Rx, b"GET /20", 30);
    kernel.close(40);
    let (told, streams) = run(&kernel);
    assert_eq!(short(&told), complete(&[200]));
    assert_eq!(streams.ledger().tally.skipped(Skip::Incomplete), 7);
}

#[test]
fn a_body_that_begins_like_a_message_is_a_body() {
    let mut kernel = server();
    let inner = get("/inner");
    let length = inner.len() + ok(555, 0).len();
    kernel.call(Rx, format!("POST /200 HTTP/1.1\r\nContent-Length: {length}\r\n\r\n").as_bytes(), 10);
    kernel.call(Rx, &inner, 11);
    kernel.call(Rx, &ok(555, 0), 12);
    kernel.call(Tx, format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes(), 20);
    kernel.call(Tx, &ok(555, 0), 21);
    kernel.call(Tx, &inner, 22);
    kernel.call(Rx, &get("/201"), 30);
    kernel.call(Tx, &ok(201, 3), 40);
    assert_eq!(told(&kernel).iter().map(|one| one.status()).collect::<Vec<_>>(), [Some(200), Some(201)]);
}
