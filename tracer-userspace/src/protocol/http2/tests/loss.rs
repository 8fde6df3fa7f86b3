//! Joined in the middle, and bytes that were not captured.

use super::*;

#[test]
fn joined_in_the_middle_what_the_table_hides_is_unknown_and_what_follows_is_right() {
    let mut talk = Talk::new(true);
    talk.grpc(1, "/shop.Cart/Add", ENDS);
    talk.answer(1, "302", ENDS);
    talk.send();
    let mut talk = talk.joined();
    // All of it stands in the table by now, but method and scheme.
    talk.grpc(3, "/shop.Cart/Add", ENDS);
    talk.send();
    talk.answer(3, "302", ENDS);
    talk.send();
    // Here path and authority are new, and from then on known by their index.
    for stream in [5, 7] {
        let fields = [
            (":method", "POST"),
            (":path", "/shop.Cart/List"),
            (":authority", "other.example"),
            ("content-type", "application/grpc+proto"),
        ];
        talk.client.headers(stream, ENDS, fields.map(|(name, value)| (name, value, Way::USUAL)));
        talk.send();
        talk.answer(stream, "200", OPEN);
        talk.trailers(stream, "0");
        talk.send();
    }
    let told = talk.watch.end(true);
    let shown: Vec<_> = told
        .iter()
        .map(|told| (told.head.protocol, &*told.head.method, &*told.head.target, told.head.host.as_deref()))
        .collect();
    let known = (Protocol::Grpc, "POST", "/shop.Cart/List", Some("other.example"));
    assert_eq!(shown, [(Protocol::Http2, "POST", "", None), known, known]);
    assert_eq!(told.iter().map(|told| told.head.truncated).collect::<Vec<_>>(), [true, false, false]);
    // `302` stands in the table that nobody saw.
    assert_eq!(told.iter().map(|told| told.status).collect::<Vec<_>>(), [None, Some(0), Some(0)]);
    assert!(told.iter().all(|told| told.outcome == Some(Outcome::Complete)));
}

#[test]
fn the_status_of_a_grpc_call_that_was_not_known_to_be_one_is_an_error_by_name() {
    let mut talk = Talk::new(true);
    talk.grpc(1, "/a.B/C", ENDS);
    talk.send();
    let mut talk = talk.joined();
    for (stream, code) in [(3, "14"), (5, "0")] {
        talk.grpc(stream, "/a.B/C", ENDS);
        talk.answer(stream, "200", OPEN);
        talk.trailers(stream, code);
        talk.send();
    }
    let told = talk.watch.end(true);
    assert_eq!((told[0].status, told[0].error.as_deref()), (Some(200), Some("UNAVAILABLE")));
    assert_eq!((told[1].status, told[1].error.as_deref()), (Some(200), None));
}

#[test]
fn a_hole_within_content_loses_nothing() {
    let mut talk = Talk::new(false);
    talk.ask(1, "/", ENDS);
    talk.send();
    talk.answer(1, "200", OPEN);
    talk.server.data(1, 10_000, true);
    let bytes = talk.server.take();
    let len = bytes.len() as u64;
    talk.call(false, &bytes, 100);
    let told = only(talk.watch.told());
    assert_eq!((told.outcome, told.response_bytes), (Some(Outcome::Complete), len));
    assert_eq!(talk.watch.tally.desyncs, 0);
}

#[test]
fn a_hole_that_hides_frames_leaves_the_other_streams_right() {
    let mut talk = Talk::new(false);
    for stream in [1, 3, 5] {
        talk.ask(stream, &format!("/{stream}"), ENDS);
    }
    talk.send();
    talk.answer(1, "200", OPEN);
    talk.send();
    // The rest of the first response, and all of the second one, are not captured.
    talk.server.data(1, 100, true);
    talk.answer(3, "500", ENDS);
    let hidden = talk.server.take();
    let hole = talk.watch.now + 1_000;
    talk.call(false, &hidden, 0);
    talk.answer(5, "404", ENDS);
    talk.send();
    assert_eq!(talk.watch.told()[2].status, Some(404));
    assert_eq!(talk.watch.told()[0].outcome, None);
    // After a while nothing more is expected.
    talk.watch.now += 2_000_000_000;
    talk.client.frame(6, 0, 0, &[0; 8]);
    talk.send();
    let told = talk.watch.told();
    assert_eq!((told[0].outcome, told[0].end), (Some(Outcome::EndUnframed), 4_000));
    assert_eq!(told[1].outcome, None, "a slow answer is more likely");
    talk.watch.now += 40_000_000_000;
    talk.client.frame(6, 0, 0, &[0; 8]);
    talk.send();
    assert_eq!(
        (talk.watch.told()[1].outcome, talk.watch.told()[1].end),
        (Some(Outcome::ResponseUnseen), hole)
    );
    assert_eq!((talk.watch.tally.desyncs, talk.watch.tally.resyncs), (1, 1));
}

#[test]
fn a_response_that_is_seen_again_after_a_hole_is_whole() {
    let mut talk = Talk::new(false);
    talk.ask(1, "/", ENDS);
    talk.answer(1, "200", OPEN);
    talk.send();
    talk.server.data(1, 100, false);
    let hidden = talk.server.take();
    talk.call(false, &hidden, 0);
    talk.server.data(1, 100, false);
    talk.send();
    talk.watch.now += 60_000_000_000;
    talk.server.data(1, 100, true);
    talk.send();
    assert_eq!(only(talk.watch.told()).outcome, Some(Outcome::Complete));
}

#[test]
fn a_block_that_is_cut_is_told_as_far_as_it_came() {
    let mut talk = Talk::new(true);
    let fields =
        [(":method", "PUT"), (":path", "/a/b"), (":authority", "shop.example"), ("x-long", "abcdefgh")];
    let long = "y".repeat(500);
    let fields = fields.into_iter().chain([("x-longer", long.as_str())]);
    talk.client.headers(
        1,
        ENDS,
        fields.map(|(name, value)| (name, value, Way { insert: true, ..Way::default() })),
    );
    let bytes = talk.client.take();
    talk.call(true, &bytes, 120);
    talk.answer(1, "200", ENDS);
    talk.send();
    let told = only(talk.watch.told());
    assert_eq!((&*told.head.target, told.head.truncated, told.status), ("/a/b", true, Some(200)));
    // What it inserted before the cut is of unknown number now.
    talk.client.headers(3, ENDS, [(":method", "PUT", Way::USUAL), (":path", "/a/b", Way::USUAL)]);
    talk.send();
    let told = talk.watch.end(true);
    assert_eq!((&*told[1].head.target, told[1].head.truncated), ("", true));
}

#[test]
fn missed_calls_end_what_was_going_on() {
    let mut talk = Talk::new(false);
    talk.ask(1, "/", ENDS);
    talk.ask(3, "/", ENDS);
    talk.send();
    talk.answer(1, "200", OPEN);
    talk.send();
    talk.watch.lose();
    let told = talk.watch.told();
    assert_eq!(told[0].outcome, Some(Outcome::EndUnframed));
    assert_eq!(told[1].outcome, Some(Outcome::ResponseUnseen));
    talk.answer(3, "200", ENDS);
    talk.ask(5, "/", ENDS);
    talk.send();
    talk.answer(5, "204", ENDS);
    talk.send();
    assert_eq!(talk.watch.end(true)[2].status, Some(204));
}

#[test]
fn what_no_peer_may_send_stops_a_direction_until_frames_come_again() {
    let mut talk = Talk::new(true);
    talk.ask(1, "/", ENDS);
    talk.send();
    // Something between the frames of a block; content of the connection; lengths that cannot be.
    talk.ask(3, "/", Form { split: 3, ..ENDS });
    let mut broken = talk.client.take();
    broken.truncate(9 + 3);
    talk.client.frame(6, 0, 0, &[0; 8]);
    broken.extend(talk.client.take());
    talk.call(true, &broken, broken.len());
    assert_eq!(talk.watch.tally.malformed, 1);
    for (kind, stream, len) in
        [(0, 0, 1), (1, 0, 1), (3, 1, 5), (4, 0, 5), (4, 1, 6), (6, 0, 7), (8, 0, 5), (9, 1, 1)]
    {
        talk.client.frame(6, 0, 0, &[0; 8]);
        talk.send();
        let before = talk.watch.tally.malformed;
        talk.client.frame(6, 0, 0, &[0; 8]);
        talk.client.frame(kind, 0, stream, &vec![0; len]);
        talk.client.frame(6, 0, 0, &[0; 8]);
        talk.send();
        assert_eq!(talk.watch.tally.malformed, before + 1, "{kind} {stream} {len}");
    }
    talk.ask(5, "/five", ENDS);
    talk.answer(5, "200", ENDS);
    talk.send();
    let told = talk.watch.end(true);
    assert_eq!((told.len(), &*told.last().unwrap().head.target), (2 + usize::from(told.len() > 2), "/five"));
}
