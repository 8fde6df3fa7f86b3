//! Messages that go through a broker: process 1 serves and sends, process 2 works on what it takes.

use super::scenario::*;
use crate::exchange::{Handing, Handover, Outcome, Side};

const MAIN: u32 = 1000;
const WORKER: u32 = 2000;

/// A request to process 1, and when it has sent a message with these keys, at 1 ms, and answered, at 3 ms.
fn sends(w: &mut World, keys: &[u64]) -> (X, X) {
    let pipe = w.pipe(None, Some(1));
    let request = w.exchange(pipe, "/in");
    w.recv(request, 0, MAIN);
    let broker = w.pipe(Some(1), None);
    let push = w.exchange(broker, "push");
    hands(w, push, Handing::Given, keys);
    w.call(push, MS, MAIN, 0, MS);
    w.reply(request, 3 * MS, MAIN);
    (request, push)
}

fn hands(w: &mut World, x: X, handing: Handing, keys: &[u64]) {
    let count = keys.len() as u32;
    let head = w.extra(x);
    head.handover = Some(Box::new(Handover { handing, count, keys: keys.into() }));
}

/// Process 2 takes messages at one time and is done with them at another.
fn takes(w: &mut World, keys: &[u64], from: u64, until: u64) -> X {
    let pipe = w.pipe(None, Some(2));
    let message = w.exchange(pipe, "take");
    hands(w, message, Handing::Taken, keys);
    w.recv(message, from, WORKER);
    w.end_step(message, Side::Server, until, Outcome::Complete);
    message
}

fn calls(w: &mut World, at: u64) -> X {
    let pipe = w.pipe(Some(2), None);
    let call = w.exchange(pipe, "/back");
    w.call(call, at, WORKER, 0, MS);
    call
}

#[test]
fn who_takes_a_message_is_the_child_of_who_sent_it_and_parent_of_its_work() {
    let mut w = World::default();
    let (request, push) = sends(&mut w, &[7]);
    let message = takes(&mut w, &[7], 2 * MS, 20 * MS);
    let call = calls(&mut w, 10 * MS);
    let later = calls(&mut w, 25 * MS);
    let out = w.run();
    assert!(out.is_child(push, request) && out.is_child(call, message));
    let taken = out.server(message);
    assert_eq!(taken.parent_span_id, Some(out.client(push).span_id));
    assert_eq!(taken.trace_id, out.server(request).trace_id);
    assert_eq!(out.client(call).trace_id, taken.trace_id);
    assert_eq!(taken.tags.evidence.iter().map(|e| e.name()).collect::<Vec<_>>(), ["message"]);
    assert_eq!(taken.duration, 18 * MS, "the work is not over when the message is sent");
    assert_eq!(out.client(later).parent_span_id, None);
    assert_eq!(out.stats.messages, 1);
}

#[test]
fn a_sender_whose_span_was_given_out_is_the_parent_all_the_same() {
    let mut w = World::default();
    let (request, push) = sends(&mut w, &[7]);
    // Something else happens, so that time goes on.
    for n in 1..20 {
        calls(&mut w, n * 1000 * MS);
    }
    let message = takes(&mut w, &[7], 30_000 * MS, 30_020 * MS);
    let call = calls(&mut w, 30_010 * MS);
    let mut feed = w.feed.clone();
    feed.sort_by_key(Feed::at);
    let out = w.run_in_order(&feed);
    let taken = out.server(message);
    assert_eq!(taken.parent_span_id, Some(out.client(push).span_id));
    assert_eq!(taken.trace_id, out.server(request).trace_id);
    assert_eq!(out.client(call).trace_id, taken.trace_id);
    assert_eq!(taken.tags.evidence.iter().map(|e| e.name()).collect::<Vec<_>>(), ["message"]);
    assert!(taken.tags.confidence.is_some_and(|sure| sure < 1.0), "it is inferred");
}

#[test]
fn what_was_sent_twice_is_linked_to_nobody() {
    let mut w = World::default();
    let (_, push) = sends(&mut w, &[7]);
    sends(&mut w, &[7]);
    let message = takes(&mut w, &[7], 2 * MS, 20 * MS);
    let out = w.run();
    let taken = out.server(message);
    assert_eq!(taken.parent_span_id, None);
    assert_eq!(taken.tags.candidates.len(), 1);
    let _ = push;
    assert!(out.spans.iter().any(|span| span.tags.reason == Some(crate::causality::Reason::Senders)));
    assert_eq!(out.stats.messages, 0);
}

#[test]
fn a_message_taken_in_the_middle_of_a_request_is_no_request() {
    let mut w = World::default();
    let pipe = w.pipe(None, Some(2));
    let request = w.exchange(pipe, "/in");
    w.recv(request, 0, WORKER);
    let message = takes(&mut w, &[7], 5 * MS, 30 * MS);
    let call = calls(&mut w, 10 * MS);
    w.reply(request, 20 * MS, WORKER);
    let out = w.run();
    assert_ne!(out.client(call).parent_span_id, Some(out.server(message).span_id));
}

#[test]
fn a_pipeline_does_not_make_a_thread_a_loop() {
    // Two requests at one time on two threads; each sends three commands at once and reads the answers.
    let mut w = World::default();
    let pushes = [MAIN, MAIN + 1].map(|thread| {
        let pipe = w.pipe(None, Some(1));
        let request = w.exchange(pipe, "/in");
        w.recv(request, 0, thread);
        let store = w.pipe(Some(1), None);
        let calls = [0, 1, 2].map(|_| w.exchange(store, "set"));
        for call in calls {
            w.send(call, MS, thread);
        }
        for call in calls {
            w.got(call, 2 * MS, thread);
        }
        // Calls outside requests, which loops that write for each other make.
        (request, calls, thread)
    });
    for (request, _, thread) in &pushes {
        w.reply(*request, 5 * MS, *thread);
    }
    for n in 0..4 {
        let strange = w.pipe(Some(1), None);
        let tick = w.exchange(strange, "tick");
        w.call(tick, 3 * MS + n, MAIN + 7, 0, MS);
    }
    let out = w.run();
    for (request, calls, _) in pushes {
        assert!(calls.into_iter().all(|call| out.is_child(call, request)), "{}", out.reason(calls[0]));
    }
}
