//! Which response belongs to which request.

use super::*;

#[test]
fn keep_alive_exchanges_pair_in_order() {
    let mut kernel = server();
    for round in 0..100u16 {
        kernel.call(Rx, &get(&format!("/{}", 200 + round)), 10 * u64::from(round));
        kernel.call(Tx, &ok(200 + round, usize::from(round)), 10 * u64::from(round) + 5);
    }
    assert_eq!(short(&told(&kernel)), complete(&(200..300).collect::<Vec<_>>()));
}

#[test]
fn a_head_one_byte_at_a_time_is_one_request() {
    for prefix_continues in [false, true] {
        let mut kernel = server();
        kernel.variation.prefix_continues = prefix_continues;
        // Bytes that look like the beginning of a method stand inside.
        let request = b"GET /GET/POST HTTP/1.1\r\nHost: GET\r\nX: HTTP/1.1 200 OK\r\n\r\n";
        for (at, byte) in request.iter().enumerate() {
            kernel.call(Rx, &[*byte], 10 + at as u64);
        }
        let seq = kernel.seq(Rx);
        for (at, byte) in ok(200, 3).iter().enumerate() {
            kernel.call(Tx, &[*byte], 500 + at as u64);
        }
        let told = told(&kernel);
        assert_eq!(short(&told), [("GET /GET/POST".into(), Some(200), Outcome::Complete)]);
        assert_eq!(told[0].first.0, 10);
        assert_eq!(told[0].response.as_ref().unwrap().1.0, 500);
        assert_eq!(told[0].seq, seq.wrapping_sub(request.len() as u32));
    }
}

#[test]
fn a_go_server_reads_one_byte_first() {
    let mut kernel = server();
    for round in 0..10u16 {
        let request = get(&format!("/{}", 200 + round));
        kernel.call(Rx, &request[..1], 100 * u64::from(round) + 10);
        kernel.call(Rx, &request[1..], 100 * u64::from(round) + 20);
        kernel.call(Tx, &ok(200 + round, 3), 100 * u64::from(round) + 30);
    }
    let told = told(&kernel);
    assert_eq!(short(&told), complete(&(200..210).collect::<Vec<_>>()));
    assert_eq!(told[3].first.0, 310);
}

#[test]
fn sixteen_identical_requests_in_one_read_are_sixteen_exchanges() {
    let mut kernel = server();
    let one = get("/same");
    let seq = kernel.seq(Rx);
    kernel.call(Rx, &one.repeat(16), 10);
    kernel.call(Tx, &ok(200, 4).repeat(16), 20);
    kernel.call(Rx, &one.repeat(16), 30);
    for at in 0..16 {
        kernel.call(Tx, &ok(200, 4), 40 + at);
    }
    let told = told(&kernel);
    assert_eq!(told.len(), 32);
    for (at, one_told) in told.iter().enumerate() {
        assert_eq!(one_told.status(), Some(200));
        assert_eq!(one_told.outcome(), Some(Outcome::Complete));
        assert_eq!(one_told.first.0, if at < 16 { 10 } else { 30 });
        assert_eq!(
            one_told.seq,
            seq.wrapping_add((at * one.len()) as u32),
            "each has its own place in the stream"
        );
        assert_eq!(one_told.id.number, at as u32);
    }
    assert_eq!(told[20].end.unwrap().2.0, 44);
}

#[test]
fn a_pipelined_request_split_between_reads_has_the_time_of_its_first_byte() {
    let mut kernel = server();
    let both = [get("/200"), get("/201")].concat();
    let cut = get("/200").len() + 5;
    kernel.call(Rx, &both[..cut], 10);
    kernel.call(Rx, &both[cut..], 20);
    kernel.call(Tx, &ok(200, 1), 30);
    kernel.call(Tx, &ok(201, 1), 40);
    let told = told(&kernel);
    assert_eq!(short(&told), complete(&[200, 201]));
    assert_eq!((told[0].first.0, told[1].first.0), (10, 10));
}

#[test]
fn staggered_requests_pair_as_long_as_every_byte_is_seen() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 1);
    for round in 1..50u16 {
        kernel.call(Rx, &get(&format!("/{}", 200 + round)), 10 * u64::from(round));
        kernel.call(Tx, &ok(199 + round, 9000), 10 * u64::from(round) + 5);
    }
    kernel.call(Tx, &ok(249, 1), 600);
    assert_eq!(short(&told(&kernel)), complete(&(200..250).collect::<Vec<_>>()));
}

#[test]
fn a_client_sends_and_receives() {
    let mut kernel = Kernel::new(1, Role::Active);
    kernel.call(Tx, &get("/200"), 10);
    kernel.call(Rx, &ok(200, 3), 20);
    let told = told(&kernel);
    assert_eq!(told[0].side, crate::exchange::Side::Client);
    assert_eq!(short(&told), complete(&[200]));
}

#[test]
fn a_response_recorded_before_its_request_is_told_after_it() {
    // Two threads of a client: the one that sends is preempted before its record is made.
    let mut kernel = Kernel::new(1, Role::Active);
    for round in 0..20u16 {
        let (request, response) = (get(&format!("/{}", 200 + round)), ok(200 + round, 3));
        let at = 100 * u64::from(round);
        if round % 3 == 0 {
            kernel.call(Rx, &response, at + 20);
            kernel.call(Tx, &request, at + 30);
        } else {
            kernel.call(Tx, &request, at + 10);
            kernel.call(Rx, &response, at + 20);
        }
    }
    let told = told(&kernel);
    assert_eq!(short(&told), complete(&(200..220).collect::<Vec<_>>()));
    assert!(told.iter().all(|one| one.first <= one.response.as_ref().unwrap().1));
}

#[test]
fn a_head_response_recorded_before_its_request_is_not_trusted_further() {
    let mut kernel = Kernel::new(1, Role::Active);
    kernel.call(Rx, b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", 20);
    kernel.call(Tx, b"HEAD /1 HTTP/1.1\r\n\r\n", 30);
    kernel.call(Tx, &get("/201"), 40);
    kernel.call(Rx, &ok(201, 3), 50);
    let told = told(&kernel);
    assert_eq!(told[0].status(), Some(200));
    assert!(told.iter().skip(1).all(|one| one.status() == Some(201)));
}

#[test]
fn a_server_record_that_comes_late_changes_nothing() {
    // The client has sent its next request before the record of the response is made.
    let mut kernel = server();
    for round in 0..40u16 {
        let (request, response) = (get(&format!("/{}", 200 + round)), ok(200 + round, 3));
        let next = get(&format!("/{}", 201 + round));
        match round % 10 {
            4 => {
                kernel.call(Rx, &request, 100 * u64::from(round));
                kernel.call(Rx, &next, 100 * u64::from(round) + 1);
                kernel.call(Tx, &response, 100 * u64::from(round) + 2);
            }
            5 => kernel.call(Tx, &response, 100 * u64::from(round)),
            _ => {
                kernel.call(Rx, &request, 100 * u64::from(round));
                kernel.call(Tx, &response, 100 * u64::from(round) + 1);
            }
        }
    }
    assert_eq!(short(&told(&kernel)), complete(&(200..240).collect::<Vec<_>>()));
}

#[test]
fn large_cookies_cut_the_head_and_cost_little() {
    // Every head is longer than what is captured, and now and then the record of a response comes late.
    let request = |status: u16| {
        let cookie = "c=0123456789; ".repeat(400);
        format!("GET /{status} HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\n\r\n").into_bytes()
    };
    let mut kernel = server();
    for status in (400..480u16).step_by(2) {
        let at = 100 * u64::from(status);
        kernel.call(Rx, &request(status), at);
        if status % 10 == 0 {
            kernel.call(Rx, &request(status + 1), at + 11);
            kernel.call(Tx, &ok(status, 3), at + 12);
        } else {
            kernel.call(Tx, &ok(status, 3), at + 10);
            kernel.call(Rx, &request(status + 1), at + 11);
        }
        kernel.call(Tx, &ok(status + 1, 3), at + 20);
    }
    let told = told(&kernel);
    // What is cut off may hide requests, so the one that seems to overtake a response is not paired.
    let expected: Vec<u16> = (400..480).filter(|status| status % 10 != 1).collect();
    assert_eq!(short(&told), complete(&expected));
    assert!(told.iter().all(|one| one.truncated));
    assert_eq!(told[6].end.unwrap().3, request(407).len() as u64);
}

#[test]
fn a_response_nobody_asked_for_is_counted() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 10);
    kernel.call(Tx, &[ok(200, 2), ok(500, 7)].concat(), 20);
    kernel.call(Rx, &get("/201"), 30);
    kernel.call(Tx, &ok(201, 3), 40);
    let (told, streams) = run(&kernel);
    assert_eq!(short(&told), complete(&[200, 201]));
    assert_eq!(streams.ledger().tally.unrequested, 1);
    let skipped = streams.ledger().tally.skipped(crate::protocol::tally::Skip::Unrequested);
    assert_eq!(skipped, ok(500, 7).len() as u64);
}

#[test]
fn requests_beyond_the_limit_are_counted_and_shift_nothing() {
    let limits = Limits { outstanding: 4, ..Limits::default() };
    let mut kernel = server();
    let requests: Vec<u8> = (200..210).flat_map(|status| get(&format!("/{status}"))).collect();
    kernel.call(Rx, &requests, 10);
    for status in 200..210 {
        kernel.call(Tx, &ok(status, 2), 20);
    }
    kernel.call(Rx, &get("/210"), 30);
    kernel.call(Tx, &ok(210, 2), 40);
    let (told, streams) = replay(&kernel.events, limits, 100).unwrap();
    assert_eq!(short(&told), complete(&[200, 201, 202, 203, 210]));
    assert_eq!(streams.ledger().tally.overflow, 1);
}

#[test]
fn a_response_to_a_head_that_never_ended_is_paired_with_what_there_is_of_it() {
    let mut kernel = server();
    kernel.call(Rx, b"GET /slow HTTP/1.1\r\nHost: h\r\n", 10);
    kernel.call(Tx, &ok(408, 0), 20);
    kernel.close(30);
    let told = told(&kernel);
    assert_eq!(short(&told), [("GET /slow".into(), Some(408), Outcome::Complete)]);
    assert!(told[0].truncated);
}
