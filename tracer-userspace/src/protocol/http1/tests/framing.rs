//! Where messages end.

use super::*;

/// One GET, answered by these calls, then a second exchange.
fn answered(calls: &[&[u8]]) -> Kernel {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    for (at, call) in calls.iter().enumerate() {
        kernel.call(Tx, call, 20 + at as u64);
    }
    kernel.call(Rx, &get("/201"), 1000);
    kernel.call(Tx, &ok(201, 3), 1010);
    kernel
}

/// The first exchange's end: outcome, time, bytes.
fn first_end(kernel: &Kernel) -> (Outcome, u64, u64) {
    let told = told(kernel);
    assert_eq!(told[1].status(), Some(201), "the next exchange pairs");
    assert_eq!(told[1].outcome(), Some(Outcome::Complete));
    let (outcome, _, end, _, bytes) = told[0].end.unwrap();
    assert_eq!(told[0].status(), Some(200));
    (outcome, end.0, bytes)
}

fn chunked(chunks: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend_from_slice(format!("{chunk:x}\r\n").as_bytes());
        bytes.resize(bytes.len() + chunk, b'c');
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n";

#[test]
fn a_whole_exchange_has_its_times_and_bytes() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200?token=secret"), 10);
    kernel.call(Tx, &ok(200, 5), 20);
    let told = told(&kernel);
    assert_eq!(told.len(), 1);
    assert_eq!(&*told[0].target, "/200?token=***");
    assert_eq!(told[0].first.0, 10);
    assert_eq!(told[0].response.as_ref().unwrap().1.0, 20);
    let (outcome, request_end, end, request_bytes, response_bytes) = told[0].end.unwrap();
    assert_eq!((outcome, request_end.0, end.0), (Outcome::Complete, 10, 20));
    assert_eq!(
        (request_bytes, response_bytes),
        (get("/200?token=secret").len() as u64, ok(200, 5).len() as u64)
    );
}

#[test]
fn a_counted_body_ends_with_its_last_byte() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 183000000\r\n\r\n";
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, head, 20);
    for at in 0..183 {
        kernel.sendfile(Tx, 1_000_000, 100 + at);
    }
    kernel.call(Rx, &get("/201"), 1000);
    kernel.call(Tx, &ok(201, 3), 1010);
    assert_eq!(first_end(&kernel), (Outcome::Complete, 282, 183_000_000 + head.len() as u64));
}

#[test]
fn a_large_body_in_the_call_of_its_head_ends_with_that_call() {
    assert_eq!(
        first_end(&answered(&[&ok(200, 60_000)])),
        (Outcome::Complete, 20, ok(200, 60_000).len() as u64)
    );
}

#[test]
fn the_end_is_told_at_once_when_the_counts_show_it() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &ok(200, 60_000), 20);
    let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::new());
    kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut steps));
    assert_eq!(steps.len(), 3);
}

#[test]
fn visible_chunks_end_by_their_framing_in_any_split() {
    let body = [CHUNKED, &chunked(&[5, 17, 1]), b"0;ext=\"a\"\r\nTrailer: t\r\n\r\n"].concat();
    for cut in 1..body.len() {
        let kernel = answered(&[&body[..cut], &body[cut..]]);
        // A call that ends with a head ends the capture; trailers cannot be told from data by the last bytes.
        let outcome = if cut == CHUNKED.len() { Outcome::EndUnframed } else { Outcome::Complete };
        assert_eq!(first_end(&kernel), (outcome, 21, body.len() as u64), "{cut}");
    }
}

#[test]
fn a_cut_off_chunked_body_ends_by_its_last_bytes() {
    for tail_at_end in [false, true] {
        for last in [&b"\r\n0\r\n\r\n"[..], b"0\r\n\r\n"] {
            let mut kernel = server();
            kernel.variation.tail_at_end = tail_at_end;
            kernel.call(Rx, &get("/200"), 10);
            kernel.call(Tx, &[CHUNKED, &chunked(&[3000, 3000, 3000])].concat(), 20);
            kernel.call(Tx, &chunked(&[3000]), 30);
            kernel.call(Tx, last, 40);
            kernel.call(Rx, &get("/201"), 1000);
            kernel.call(Tx, &ok(201, 3), 1010);
            assert_eq!((first_end(&kernel).0, first_end(&kernel).1), (Outcome::Complete, 40));
        }
    }
}

#[test]
fn a_chunked_body_cut_within_its_only_call_ends_by_its_last_bytes() {
    let body = [CHUNKED, &chunked(&[3000, 3000]), b"0\r\n\r\n"].concat();
    assert_eq!(first_end(&answered(&[&body])), (Outcome::Complete, 20, body.len() as u64));
}

#[test]
fn a_chunk_larger_than_what_is_captured_keeps_its_framing() {
    let body = [CHUNKED, &chunked(&[100_000]), b"0\r\n\r\n"].concat();
    assert_eq!(
        first_end(&answered(&[&body[..2000], &body[2000..50_000], &body[50_000..]])).0,
        Outcome::Complete
    );
}

#[test]
fn a_chunked_body_whose_end_is_not_visible_ends_before_the_next_request() {
    let mut kernel = server();
    kernel.variation.no_tails = true;
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &[CHUNKED, &chunked(&[3000, 3000, 3000])].concat(), 20);
    kernel.call(Tx, b"0\r\n\r\n", 40);
    kernel.call(Rx, &get("/201"), 1000);
    kernel.call(Tx, &ok(201, 3), 1010);
    assert_eq!((first_end(&kernel).0, first_end(&kernel).1), (Outcome::EndUnframed, 40));
}

#[test]
fn head_204_and_304_have_no_body() {
    let mut kernel = server();
    kernel.call(Rx, b"HEAD /1 HTTP/1.1\r\n\r\n", 10);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 20);
    kernel.call(Rx, &get("/2"), 30);
    kernel.call(Tx, b"HTTP/1.1 204 No Content\r\n\r\n", 40);
    kernel.call(Rx, &get("/3"), 50);
    kernel.call(Tx, b"HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n", 60);
    kernel.call(Rx, &get("/4"), 70);
    kernel.call(Tx, &ok(404, 0), 80);
    let told = told(&kernel);
    let statuses: Vec<_> = told.iter().map(|one| (one.status().unwrap(), one.end.unwrap().2.0)).collect();
    assert_eq!(statuses, [(200, 20), (204, 40), (304, 60), (404, 80)]);
    assert!(told.iter().all(|one| one.outcome() == Some(Outcome::Complete)));
}

#[test]
fn interim_responses_are_not_the_answer() {
    let mut kernel = server();
    kernel.call(Rx, b"POST /1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 6000\r\n\r\n", 10);
    kernel.call(Tx, b"HTTP/1.1 100 Continue\r\n\r\n", 20);
    kernel.call(Rx, &[b'b'; 6000], 30);
    let last =
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    kernel.call(Tx, last, 40);
    let (told, streams) = run(&kernel);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].response.as_ref().unwrap().0.status, 201);
    let (outcome, request_end, end, _, response_bytes) = told[0].end.unwrap();
    assert_eq!((outcome, request_end.0, end.0), (Outcome::Complete, 30, 40));
    assert_eq!(response_bytes, 25 + last.len() as u64);
    assert_eq!(streams.ledger().tally.interim, 2);
}

#[test]
fn a_response_without_framing_ends_with_the_connection() {
    let mut kernel = server();
    kernel.call(Rx, b"GET /old HTTP/1.0\r\n\r\n", 10);
    kernel.call(Tx, b"HTTP/1.0 200 OK\r\n\r\n", 20);
    kernel.sendfile(Tx, 70_000, 30);
    kernel.sweep(35);
    assert_eq!(told(&kernel)[0].outcome(), Some(Outcome::Streaming));
    kernel.close(40);
    let told = told(&kernel);
    let (outcome, _, end, _, bytes) = told[0].end.unwrap();
    assert_eq!((outcome, end.0, bytes), (Outcome::Complete, 30, 70_019));
}

#[test]
fn an_upgrade_ends_the_exchange_at_its_head() {
    let upgrades: [(&[u8], &[u8]); 2] = [
        (
            b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello",
        ),
        (
            b"CONNECT h:443 HTTP/1.1\r\n\r\n",
            // The other end speaks first: that is no HTTP, whatever comes then.
            b"HTTP/1.1 200 Connected\r\nContent-Length: 7\r\n\r\nSSH-2.0",
        ),
    ];
    for (request, response) in upgrades {
        let mut kernel = server();
        kernel.call(Rx, request, 10);
        kernel.call(Tx, response, 20);
        kernel.call(Rx, &get("/inside"), 30);
        kernel.call(Tx, &ok(200, 2), 40);
        kernel.close(50);
        let (told, streams) = run(&kernel);
        assert_eq!(told.len(), 1);
        let (outcome, _, end, _, bytes) = told[0].end.unwrap();
        assert_eq!((outcome, end.0, bytes), (Outcome::Upgraded, 20, response.len() as u64 - 7));
        let upgraded = streams.ledger().tally.skipped(crate::protocol::tally::Skip::Upgraded);
        assert_eq!(upgraded, 7 + (get("/inside").len() + ok(200, 2).len()) as u64);
    }
}

/// A proxy's connection behind its answer to a CONNECT.
fn tunnel() -> Kernel {
    let mut kernel = server();
    kernel.call(Rx, b"CONNECT h:80 HTTP/1.1\r\n\r\n", 10);
    kernel.call(Tx, b"HTTP/1.1 200 Connected\r\n\r\n", 20);
    kernel
}

#[test]
fn a_tunnel_in_which_http_is_spoken_is_read() {
    let mut kernel = tunnel();
    kernel.call(Rx, &[get("/200"), get("/404")].concat(), 30);
    kernel.call(Tx, &ok(200, 1), 40);
    kernel.call(Tx, &ok(404, 1), 50);
    kernel.close(60);
    let (told, streams) = run(&kernel);
    let inside = complete(&[200, 404]);
    assert_eq!(short(&told), [vec![("CONNECT h:80".into(), Some(200), Outcome::Upgraded)], inside].concat());
    assert_eq!(streams.ledger().tally.skipped(crate::protocol::tally::Skip::Upgraded), 0);
}

#[test]
fn a_tunnel_that_does_not_begin_with_a_request_is_opaque() {
    let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for begin in [Some((Rx, hello)), Some((Tx, b"220 mail ready\r\n")), None] {
        let mut kernel = tunnel();
        match begin {
            Some((dir, bytes)) => kernel.call(dir, bytes, 30),
            None => kernel.sendfile(Rx, 100, 30),
        }
        kernel.call(Rx, &get("/200"), 40);
        kernel.call(Tx, &ok(200, 1), 50);
        kernel.close(60);
        let (told, streams) = run(&kernel);
        assert_eq!(short(&told), [("CONNECT h:80".into(), Some(200), Outcome::Upgraded)]);
        let first = begin.map_or(100, |(_, bytes)| bytes.len());
        let upgraded = streams.ledger().tally.skipped(crate::protocol::tally::Skip::Upgraded);
        assert_eq!(upgraded, (first + get("/200").len() + ok(200, 1).len()) as u64);
    }
}

#[test]
fn a_tunnel_stays_one_when_calls_were_missed() {
    let mut kernel = server();
    kernel.call(Rx, b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", 10);
    kernel.call(Tx, b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 20);
    kernel.missed(30);
    kernel.call(Rx, &get("/200"), 40);
    kernel.call(Tx, &ok(200, 1), 50);
    kernel.close(60);
    assert_eq!(short(&told(&kernel)), [("GET /ws".into(), Some(101), Outcome::Upgraded)]);
}

#[test]
fn a_refused_connect_is_an_ordinary_exchange() {
    let mut kernel = server();
    kernel.call(Rx, b"CONNECT h:443 HTTP/1.1\r\n\r\n", 10);
    kernel.call(Tx, &ok(403, 9), 20);
    kernel.call(Rx, &get("/200"), 30);
    kernel.call(Tx, &ok(200, 1), 40);
    assert_eq!(told(&kernel).iter().map(|one| one.status()).collect::<Vec<_>>(), [Some(403), Some(200)]);
}

#[test]
fn an_early_response_does_not_end_the_exchange_before_its_request() {
    let mut kernel = server();
    let head = b"POST /up HTTP/1.1\r\nContent-Length: 100000\r\n\r\n";
    kernel.call(Rx, head, 10);
    kernel.sendfile(Rx, 50_000, 20);
    kernel.call(Tx, &ok(413, 0), 30);
    kernel.sendfile(Rx, 50_000, 40);
    kernel.call(Rx, &get("/200"), 50);
    kernel.call(Tx, &ok(200, 1), 60);
    let told = told(&kernel);
    let (outcome, request_end, end, request_bytes, _) = told[0].end.unwrap();
    assert_eq!((outcome, request_end.0, end.0), (Outcome::Complete, 40, 30));
    assert_eq!(request_bytes, 100_000 + head.len() as u64);
    assert_eq!(told[1].status(), Some(200));
}

#[test]
fn a_chunked_upload_followed_blindly_ends_with_its_response() {
    let mut kernel = server();
    kernel.call(Rx, b"POST /200 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 10);
    for at in 0..10 {
        kernel.call(Rx, &chunked(&[3000]), 20 + at);
    }
    kernel.call(Rx, b"0\r\n\r\n", 31);
    kernel.call(Tx, &ok(200, 5), 40);
    kernel.call(Rx, &get("/201"), 1000);
    kernel.call(Tx, &ok(201, 3), 1010);
    let told = told(&kernel);
    assert_eq!(told[0].end.unwrap().1.0, 31);
    assert_eq!(told[0].outcome(), Some(Outcome::Complete));
    assert_eq!(told[1].status(), Some(201));
}

#[test]
fn the_close_decides_what_was_not_over() {
    let chunk = [CHUNKED, b"5\r\nab"].concat();
    let cases: [(&[&[u8]], Outcome, Outcome); 8] = [
        (&[], Outcome::Unanswered, Outcome::Pending),
        (&[b"HTTP/1.1 100 Continue\r\n\r\n"], Outcome::Unanswered, Outcome::Pending),
        (&[b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"], Outcome::Aborted, Outcome::Streaming),
        (&[&chunk], Outcome::Aborted, Outcome::Streaming),
        // Not captured, but the last bytes are not those of an end.
        (&[CHUNKED, b"5\r\nab"], Outcome::Aborted, Outcome::Streaming),
        (&[CHUNKED, b"4\r\n\r\n\r\n"], Outcome::EndUnframed, Outcome::EndUnframed),
        (&[b"HTTP/1.1 200 OK\r\n\r\nab"], Outcome::Complete, Outcome::Streaming),
        (&[b"HTTP/1.1 200 OK\r\nConte"], Outcome::Aborted, Outcome::Streaming),
    ];
    for (calls, closed, open) in cases {
        let mut kernel = server();
        kernel.call(Rx, &get("/"), 10);
        calls.iter().for_each(|call| kernel.call(Tx, call, 20));
        kernel.sweep(25);
        assert_eq!(told(&kernel)[0].outcome(), Some(open), "{calls:?}");
        kernel.close(30);
        assert_eq!(told(&kernel)[0].outcome(), Some(closed), "{calls:?}");
    }
}

#[test]
fn the_end_without_a_response_is_when_none_came() {
    let mut kernel = server();
    kernel.call(Rx, &get("/"), 10);
    assert_eq!(told(&kernel)[0].end.unwrap().2.0, 1_000_000);
    kernel.close(30);
    assert_eq!(told(&kernel)[0].end.unwrap().2.0, 30);
}
