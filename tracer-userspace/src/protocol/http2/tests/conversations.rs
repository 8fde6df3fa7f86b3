//! Exchanges in sight: streams, their ends, gRPC.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fuzzed::Input;
use crate::protocol::headers::Headers;
use crate::protocol::http2::script::Script;

#[test]
fn a_request_and_its_response() {
    for is_server in [false, true] {
        let mut talk = Talk::new(is_server);
        talk.ask(1, "/users?token=abc&page=2", ENDS);
        let asked = talk.client.out.len() as u64;
        talk.send();
        talk.answer(1, "404", OPEN);
        talk.server.data(1, 300, true);
        let answered = talk.server.out.len() as u64;
        talk.send();
        let told = only(talk.watch.told());
        assert_eq!(told.head.protocol, Protocol::Http2);
        assert_eq!((&*told.head.method, &*told.head.target), ("GET", "/users?token=***&page=2"));
        assert_eq!((told.head.host.as_deref(), told.head.truncated), (Some("shop.example"), false));
        assert_eq!((told.status, told.outcome), (Some(404), Some(Outcome::Complete)));
        assert_eq!((told.request_bytes, told.response_bytes), (asked, answered));
        // Calls are a microsecond apart: two for the preface and SETTINGS.
        assert_eq!(
            (told.first, told.request_end, told.answered, told.end),
            (3_000, 3_000, Some(4_000), 4_000)
        );
        assert_eq!(told.seq, 24 + 15);
        assert_eq!(talk.watch.tally.skipped_total(), 0);
    }
}

#[test]
fn a_hundred_streams_at_once_are_told_apart() {
    let mut talk = Talk::new(true);
    for number in 0..100 {
        talk.ask(number * 2 + 1, &format!("/{number}"), OPEN);
        talk.send();
    }
    for number in (0..100).rev() {
        talk.client.data(number * 2 + 1, 10, true);
        talk.answer(number * 2 + 1, if number % 2 == 0 { "200" } else { "503" }, OPEN);
    }
    talk.send();
    assert!(talk.watch.told().iter().all(|told| told.outcome.is_none()));
    for number in 0..100 {
        talk.server.data((number * 37 % 100) * 2 + 1, 5, true);
        talk.send();
    }
    for (number, told) in talk.watch.end(true).into_iter().enumerate() {
        assert_eq!(&*told.head.target, format!("/{number}"));
        assert_eq!(told.status, Some(if number % 2 == 0 { 200 } else { 503 }));
        assert_eq!(told.outcome, Some(Outcome::Complete));
    }
}

#[test]
fn a_grpc_call_has_the_status_of_its_trailers() {
    for (code, told_code) in [("0", Some(0)), ("14", Some(14)), ("x", None), ("99999", None)] {
        let mut talk = Talk::new(false);
        talk.grpc(1, "/shop.Cart/Add", OPEN);
        talk.client.data(1, 20, true);
        talk.send();
        talk.answer(1, "200", OPEN);
        talk.server.data(1, 20, false);
        talk.send();
        assert_eq!(only(talk.watch.told()).status, None, "HTTP's status is not the call's");
        talk.trailers(1, code);
        talk.send();
        let told = only(talk.watch.end(true));
        assert_eq!((told.head.protocol, &*told.head.target), (Protocol::Grpc, "/shop.Cart/Add"));
        assert_eq!((told.status, told.error, told.outcome), (told_code, None, Some(Outcome::Complete)));
    }
}

#[test]
fn trailers_only_and_other_answers_than_grpc() {
    let mut talk = Talk::new(false);
    talk.grpc(1, "/a.B/C", ENDS);
    talk.grpc(3, "/a.B/C", ENDS);
    talk.send();
    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")];
    talk.server.headers(1, ENDS, fields.map(|(name, value)| (name, value, Way::USUAL)));
    talk.answer(3, "502", ENDS);
    talk.send();
    let told = talk.watch.end(true);
    assert_eq!((told[0].status, told[0].error.as_deref()), (Some(12), None));
    assert_eq!((told[1].status, told[1].error.as_deref()), (None, Some("502")));
}

#[test]
fn a_stream_of_messages_lasts_until_its_trailers() {
    let mut talk = Talk::new(true);
    talk.grpc(1, "/a.B/Watch", ENDS);
    talk.send();
    talk.answer(1, "200", OPEN);
    for _ in 0..50 {
        talk.watch.now += 1_000_000_000;
        talk.server.data(1, 100, false);
        talk.send();
    }
    assert_eq!(only(talk.watch.told()).outcome, None);
    talk.trailers(1, "0");
    talk.send();
    let told = only(talk.watch.end(true));
    assert_eq!((told.outcome, told.end), (Some(Outcome::Complete), talk.watch.now));
    assert!(told.end > 50_000_000_000);
}

#[test]
fn a_stream_that_is_given_up_says_why() {
    for (from_client, answered, code, outcome, error) in [
        (true, true, 8, Outcome::Aborted, Some("CANCEL")),
        (true, false, 8, Outcome::Unanswered, Some("CANCEL")),
        (false, false, 7, Outcome::Unanswered, Some("REFUSED_STREAM")),
        (false, true, 2, Outcome::Aborted, Some("INTERNAL_ERROR")),
        (false, true, 0, Outcome::Aborted, None),
        (false, true, 4711, Outcome::Aborted, Some("UNKNOWN_ERROR")),
    ] {
        let mut talk = Talk::new(true);
        talk.grpc(1, "/a.B/C", OPEN);
        talk.send();
        if answered {
            talk.answer(1, "200", OPEN);
            talk.send();
        }
        if from_client {
            talk.client.reset(1, code)
        } else {
            talk.server.reset(1, code)
        }
        talk.send();
        let told = only(talk.watch.told());
        assert_eq!((told.outcome, told.error.as_deref()), (Some(outcome), error));
        assert_eq!((told.status, told.end), (None, talk.watch.now));
    }
}

#[test]
fn what_the_server_will_not_process_is_refused() {
    let mut talk = Talk::new(false);
    for stream in [1, 3, 5] {
        talk.ask(stream, "/", ENDS);
    }
    talk.server.go_away((1 << 31) - 1, 0);
    talk.send();
    assert!(talk.watch.told().iter().all(|told| told.outcome.is_none()));
    talk.server.go_away(3, 0);
    talk.answer(3, "200", ENDS);
    talk.answer(1, "200", ENDS);
    talk.send();
    let told = talk.watch.end(true);
    let ends: Vec<_> = told.iter().map(|told| (told.outcome.unwrap(), told.error.as_deref())).collect();
    let refused = (Outcome::Unanswered, Some("REFUSED_STREAM"));
    assert_eq!(ends, [(Outcome::Complete, None), (Outcome::Complete, None), refused]);
}

#[test]
fn interim_responses_are_no_answers_and_pushed_ones_no_exchanges() {
    let mut talk = Talk::new(false);
    talk.ask(1, "/", ENDS);
    talk.answer(1, "100", OPEN);
    talk.answer(1, "103", OPEN);
    talk.server.promise(1, 2, [(":method", "GET", Way::USUAL), (":path", "/pushed", Way::USUAL)]);
    talk.server.headers(2, ENDS, [(":status", "200", Way::USUAL)]);
    talk.answer(1, "204", ENDS);
    talk.send();
    let told = only(talk.watch.end(true));
    assert_eq!((told.status, told.outcome), (Some(204), Some(Outcome::Complete)));
    assert_eq!((talk.watch.tally.interim, talk.watch.tally.unrequested), (2, 1));
}

#[test]
fn a_response_whose_record_comes_first_waits_for_its_request() {
    let mut talk = Talk::new(false);
    talk.ask(1, "/first", ENDS);
    talk.grpc(3, "/a.B/C", ENDS);
    let asked = talk.client.take();
    talk.answer(1, "404", OPEN);
    talk.server.data(1, 10, true);
    talk.answer(3, "200", OPEN);
    talk.trailers(3, "5");
    talk.send();
    assert!(talk.watch.told().is_empty());
    talk.call(true, &asked, asked.len());
    let told = talk.watch.end(true);
    assert_eq!((told[0].status, told[1].status, told.len()), (Some(404), Some(5), 2));
    assert!(told.iter().all(|told| told.outcome == Some(Outcome::Complete) && told.first <= told.end));
    assert_eq!(talk.watch.tally.skipped_total(), 0);
    // A server answers nothing that it has not read.
    let mut talk = Talk::new(true);
    talk.answer(1, "404", ENDS);
    talk.send();
    assert_eq!((talk.watch.end(true).len(), talk.watch.tally.unrequested), (0, 1));
}

#[test]
fn an_end_in_the_middle_says_which() {
    for (closed, expected) in
        [(true, [Outcome::Unanswered, Outcome::Aborted]), (false, [Outcome::Pending, Outcome::Streaming])]
    {
        let mut talk = Talk::new(false);
        talk.ask(1, "/", ENDS);
        talk.ask(3, "/", ENDS);
        talk.send();
        talk.answer(3, "200", OPEN);
        talk.send();
        let ends: Vec<_> = talk.watch.end(closed).iter().map(|told| told.outcome.unwrap()).collect();
        assert_eq!(ends, expected);
    }
}

#[test]
fn contexts_tokens_and_kept_headers_are_read_as_those_of_http_1() {
    let mut talk = Talk::new(true);
    talk.watch.limits.headers = std::sync::Arc::new(Headers::new(&["X-Tenant".to_owned()], &[]).unwrap());
    let fields = [
        (":method", "GET"),
        (":path", "/"),
        ("x-tenant", "17"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-request-id", "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a"),
    ];
    talk.client.headers(1, ENDS, fields.map(|(name, value)| (name, value, Way::USUAL)));
    talk.send();
    let told = only(talk.watch.end(true));
    assert_eq!((told.head.contexts().len(), told.head.tokens().len()), (1, 1));
    assert_eq!(&*told.head.kept()[0].value, "17");
}

#[test]
fn requests_beyond_the_limit_are_counted() {
    let mut talk = Talk::new(true);
    talk.watch.limits.outstanding = 3;
    for stream in 0..5 {
        talk.ask(stream * 2 + 1, "/", ENDS);
    }
    talk.send();
    assert_eq!((talk.watch.told().len(), talk.watch.tally.overflow), (3, 2));
    talk.answer(9, "200", ENDS);
    talk.answer(3, "200", ENDS);
    talk.send();
    let answered = talk.watch.end(true).iter().filter(|told| told.status == Some(200)).count();
    assert_eq!(answered, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the bytes are cut into calls.
    #[test]
    fn any_split_gives_the_same_exchanges(bytes in vec(any::<u8>(), 0..1500), cuts in vec(1u16..700, 0..6), server in any::<bool>()) {
        Script::new(&mut Input::new(&bytes)).check_whole(&cuts, server);
    }

    /// Whatever is not captured, and from wherever on: right or absent.
    #[test]
    fn what_is_told_with_holes_is_right(
        bytes in vec(any::<u8>(), 0..1500),
        cuts in vec(1u16..700, 0..6),
        server in any::<bool>(),
        hidden in vec(any::<u8>(), 1..40),
        joined in any::<usize>(),
    ) {
        let script = Script::new(&mut Input::new(&bytes));
        let joined = if joined % 3 == 0 { joined % (script.steps() + 1) } else { 0 };
        script.check_holes(&cuts, server, &hidden, joined);
    }

    /// Whatever the fuzz target makes of any bytes.
    #[test]
    fn any_input_of_the_fuzz_target_holds(bytes in vec(any::<u8>(), 0..300)) {
        crate::protocol::http2::fuzzed::run(&bytes);
    }

    /// Joined anywhere: every request from then on is told.
    #[test]
    fn what_comes_after_the_tracer_is_told(bytes in vec(any::<u8>(), 0..1500), joined in any::<usize>(), server in any::<bool>()) {
        Script::new(&mut Input::new(&bytes)).check_joined(joined, server);
    }
}

#[test]
fn the_conversations_have_many_streams() {
    let mut state = 1u64;
    let mut bytes = [0u8; 1200];
    for byte in &mut bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    assert!(Script::new(&mut Input::new(&bytes)).len() > 30);
}
