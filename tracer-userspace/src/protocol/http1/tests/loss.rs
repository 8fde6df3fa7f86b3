//! Joining in the middle, and records that were lost: right or absent.

use super::*;
use crate::protocol::tally::Skip;

/// A connection that was open before the tracer came.
fn joined() -> Kernel {
    Kernel::new(1, Role::Unseen)
}

/// Loses the n-th segment that moved in a direction.
fn lose(kernel: &mut Kernel, dir: Direction, which: usize) {
    let at = kernel
        .events
        .iter()
        .enumerate()
        .filter(|(_, event)| matches!(event, crate::stream::simulate::Recorded::Segment(one, _) if one.dir == dir))
        .nth(which)
        .map(|(at, _)| at)
        .unwrap();
    kernel.lose(at);
}

fn rounds(kernel: &mut Kernel, statuses: std::ops::Range<u16>) {
    for status in statuses {
        let at = 100 * u64::from(status);
        kernel.call(Rx, &get(&format!("/{status}")), at);
        kernel.call(Tx, &ok(status, 7), at + 10);
    }
}

#[test]
fn joining_at_a_request_pairs_from_there() {
    let mut kernel = joined();
    rounds(&mut kernel, 200..205);
    assert_eq!(short(&told(&kernel)), complete(&[200, 201, 202, 203, 204]));
}

#[test]
fn joining_at_a_response_counts_it() {
    let mut kernel = joined();
    kernel.call(Tx, &ok(500, 7), 1);
    rounds(&mut kernel, 200..203);
    let (told, streams) = run(&kernel);
    assert_eq!(short(&told), complete(&[200, 201, 202]));
    assert_eq!(streams.ledger().tally.unrequested, 1);
}

#[test]
fn joining_in_a_body_waits_for_the_next_request() {
    for dir in [Rx, Tx] {
        let mut kernel = joined();
        kernel.sendfile(dir, 5000, 1);
        kernel.call(dir, b"GET me out of this body", 2);
        kernel.sendfile(dir, 5000, 3);
        kernel.call(Tx, &ok(500, 7), 5);
        rounds(&mut kernel, 200..203);
        let (told, streams) = run(&kernel);
        assert_eq!(short(&told), complete(&[200, 201, 202]), "{dir:?}");
        assert!(streams.ledger().tally.skipped(Skip::Joined) >= 10_000);
    }
}

#[test]
fn a_lost_request_costs_that_exchange_only() {
    for which in 0..5 {
        let mut kernel = server();
        rounds(&mut kernel, 200..205);
        lose(&mut kernel, Rx, which);
        let expected: Vec<u16> = (200..205).filter(|status| *status != 200 + which as u16).collect();
        assert_eq!(short(&told(&kernel)), complete(&expected), "{which}");
    }
}

#[test]
fn a_lost_response_costs_that_response_only() {
    for which in 0..4 {
        let mut kernel = server();
        rounds(&mut kernel, 200..205);
        lose(&mut kernel, Tx, which);
        let told = told(&kernel);
        for (at, one) in told.iter().enumerate() {
            let status = 200 + at as u16;
            if at == which {
                assert_eq!((one.status(), one.outcome()), (None, Some(Outcome::ResponseUnseen)));
                assert_eq!(one.end.unwrap().2.0, 100 * u64::from(status) + 10);
            } else {
                assert_eq!((one.status(), one.outcome()), (Some(status), Some(Outcome::Complete)));
            }
        }
        assert_eq!(told.len(), 5);
    }
}

#[test]
fn a_response_lost_among_pipelined_ones_costs_what_follows() {
    let mut kernel = server();
    kernel.call(Rx, &[get("/200"), get("/201"), get("/202")].concat(), 10);
    for status in 200..203 {
        kernel.call(Tx, &ok(status, 5), 20);
    }
    rounds(&mut kernel, 203..206);
    lose(&mut kernel, Tx, 1);
    let told = told(&kernel);
    let statuses: Vec<_> = told.iter().map(|one| one.status()).collect();
    // How many of the others were answered in the lost bytes cannot be known: the next ones would be a guess.
    assert_eq!(statuses, [Some(200), None, None]);
    assert_eq!(told[1].outcome(), Some(Outcome::ResponseUnseen));
}

#[test]
fn a_batch_cut_by_the_capture_pairs_what_was_captured() {
    let mut kernel = server();
    let requests: Vec<u8> = (200..400).flat_map(|status| get(&format!("/{status}"))).collect();
    let responses: Vec<u8> = (200..400).flat_map(|status| ok(status, 0)).collect();
    kernel.call(Rx, &requests, 10);
    for response in responses.chunks(ok(200, 0).len()) {
        kernel.call(Tx, response, 20);
    }
    rounds(&mut kernel, 400..403);
    let told = told(&kernel);
    assert!(told.len() > 100);
    assert!(told.iter().all(|one| *one.target == *format!("/{}", one.status().unwrap())));
    assert_eq!(told.last().unwrap().status(), Some(402));
}

#[test]
fn several_responses_in_one_call_beyond_the_capture_are_not_guessed() {
    let mut kernel = server();
    kernel.call(Rx, &[get("/200"), get("/201"), get("/202")].concat(), 10);
    kernel.call(Tx, &[ok(200, 5000), ok(201, 5000), ok(202, 5)].concat(), 20);
    rounds(&mut kernel, 203..206);
    let told = told(&kernel);
    let statuses: Vec<_> = told.iter().map(|one| (one.status(), one.outcome().unwrap())).collect();
    assert_eq!(
        statuses,
        [(Some(200), Outcome::EndUnframed), (None, Outcome::ResponseUnseen), (None, Outcome::ResponseUnseen),]
    );
}

#[test]
fn a_blind_response_with_others_waiting_costs_those() {
    let mut kernel = server();
    kernel.call(Rx, &[get("/200"), get("/201")].concat(), 10);
    kernel.call(Tx, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 20);
    kernel.sendfile(Tx, 9000, 30);
    kernel.call(Tx, &ok(201, 5), 40);
    rounds(&mut kernel, 203..206);
    let statuses: Vec<_> = told(&kernel).iter().map(|one| (one.status(), one.outcome().unwrap())).collect();
    assert_eq!(statuses[..2], [(Some(200), Outcome::EndUnframed), (None, Outcome::ResponseUnseen)]);
    // The one response that was given up has been seen: pairing is certain again.
    assert_eq!(statuses.last(), Some(&(Some(205), Outcome::Complete)));
}

#[test]
fn a_staggering_connection_is_given_up_after_a_loss() {
    let mut kernel = server();
    kernel.call(Rx, &get("/200"), 1);
    for round in 1..30u16 {
        kernel.call(Rx, &get(&format!("/{}", 200 + round)), 10 * u64::from(round));
        kernel.call(Tx, &ok(199 + round, 9), 10 * u64::from(round) + 5);
    }
    lose(&mut kernel, Tx, 10);
    let (told, streams) = run(&kernel);
    assert!(told.iter().all(|one| one.status().is_none_or(|status| *one.target == *format!("/{status}"))));
    assert!(streams.ledger().tally.skipped(Skip::Desync) > 0);
}

#[test]
fn a_loss_of_everything_in_between_is_survived() {
    let mut kernel = server();
    rounds(&mut kernel, 200..220);
    for _ in 0..10 {
        lose(&mut kernel, Rx, 5);
        lose(&mut kernel, Tx, 5);
    }
    let told = told(&kernel);
    assert_eq!(short(&told), complete(&[200, 201, 202, 203, 204, 215, 216, 217, 218, 219]));
}

#[test]
fn a_request_hidden_behind_a_body_is_not_answered_by_the_next_response() {
    let mut kernel = server();
    let upload = b"POST /200 HTTP/1.1\r\nContent-Length: 9000\r\n\r\n";
    kernel.call(Rx, &[&upload[..], &[b'b'; 9000], &get("/201")].concat(), 10);
    kernel.call(Tx, &ok(200, 3), 20);
    kernel.call(Tx, &ok(201, 3), 30);
    rounds(&mut kernel, 202..205);
    let told = told(&kernel);
    let statuses: Vec<_> = told.iter().map(|one| one.status()).collect();
    assert_eq!(statuses, [Some(200), Some(202), Some(203), Some(204)]);
}

#[test]
fn a_response_whose_framing_is_out_of_sight_takes_no_bytes_of_those_behind_it() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.call(Rx, &[get("/200"), get("/201"), get("/202")].concat(), 10);
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    kernel.call(Tx, head, 20);
    // The rest of its chunks and two more responses; what moved last ends like chunks do.
    kernel.sendfile(Tx, 40_000, 30);
    kernel.call(Tx, b"5\r\nhello\r\n0\r\n\r\n", 40);
    kernel.sweep(50);
    let told = told(&kernel);
    assert_eq!(told[0].outcome(), Some(Outcome::EndUnframed), "{told:?}");
    let (_, _, end, _, bytes) = told[0].end.unwrap();
    assert_eq!((end.0, bytes), (20, head.len() as u64), "{told:?}");
    assert!(told[1..].iter().all(|one| one.outcome() == Some(Outcome::ResponseUnseen)), "{told:?}");
}

#[test]
fn a_lost_response_is_that_of_the_head_that_was_not_complete() {
    let mut kernel = Kernel::new(1, Role::Active);
    let (first, rest) = (b"GET /200 HTTP/1.1\r\nX", b"-Field: 1\r\n\r\n");
    kernel.call(Tx, first, 10);
    kernel.sendfile(Tx, rest.len() as u64, 20);
    kernel.call(Rx, &ok(200, 4), 30);
    // The next exchange: of its request only the end is seen.
    kernel.sendfile(Tx, first.len() as u64, 40);
    kernel.call(Tx, rest, 50);
    kernel.call(Rx, &ok(201, 4), 60);
    kernel.sweep(70);
    lose(&mut kernel, Rx, 0);
    let told = told(&kernel);
    assert!(told.iter().all(|one| one.status().is_none() || &*one.target != "/200"), "{told:?}");
}
