//! The two ends of a call find each other, and nobody else.

use std::net::{IpAddr, Ipv4Addr};

use super::scenario::*;
use crate::causality::Evidence;
use crate::event::{Endpoints, Role};
use crate::exchange::{Format, Outcome, Side, TraceContext};
use crate::time::Nanos;

fn pair(w: &mut World) -> X {
    let pipe = w.pipe(Some(1), Some(2));
    w.exchange(pipe, "/b")
}

fn run(w: &mut World, x: X, at: u64) {
    w.call(x, at, tid(1, 0), tid(2, 0), 5 * MS);
}

fn joined_by(out: &Out, x: X) -> Vec<&'static str> {
    let joined = out.server(x).parent_span_id == Some(out.client(x).span_id);
    if joined { out.server(x).tags.evidence.iter().map(Evidence::name).collect() } else { Vec::new() }
}

fn readdress(w: &mut World, x: X, f: impl Fn(&mut IpAddr, &mut u16, &mut IpAddr, &mut u16, bool)) {
    let pipe = &mut w.pipes[x.0];
    for (end, server) in [(pipe.client.as_mut(), false), (pipe.server.as_mut(), true)] {
        if let Some(Endpoints::Inet { local, local_port, remote, remote_port }) =
            end.map(|end| &mut end.endpoints)
        {
            f(local, local_port, remote, remote_port, server);
        }
    }
}

#[test]
fn mapped_addresses_and_other_network_namespaces_join() {
    let mut w = World::default();
    let x = pair(&mut w);
    readdress(&mut w, x, |local, _, remote, _, server| {
        if let (IpAddr::V4(one), IpAddr::V4(other), true) = (*local, *remote, server) {
            (*local, *remote) = (one.to_ipv6_mapped().into(), other.to_ipv6_mapped().into());
        }
    });
    w.pipes[x.0].server.as_mut().unwrap().netns = 99;
    run(&mut w, x, 0);
    let out = w.run();
    assert_eq!(joined_by(&out, x), ["connection"]);
    assert_eq!(out.server(x).tags.peer_ip, Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
}

#[test]
fn the_same_loopback_addresses_in_two_namespaces_are_two_connections() {
    let mut w = World::default();
    let (one, other) = (pair(&mut w), pair(&mut w));
    for (x, netns) in [(one, 1), (other, 2)] {
        readdress(&mut w, x, |local, local_port, remote, remote_port, server| {
            (*local, *remote) = (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into());
            (*local_port, *remote_port) = if server { (80, 40_000) } else { (40_000, 80) };
        });
        w.pipes[x.0].seq = 7;
        w.pipes[x.0].client.as_mut().unwrap().netns = netns;
        w.pipes[x.0].server.as_mut().unwrap().netns = netns;
    }
    let (one, other) = (w.exchange(one.0, "/same"), w.exchange(other.0, "/same"));
    run(&mut w, one, 0);
    run(&mut w, other, US);
    let out = w.run();
    assert_eq!(joined_by(&out, one), ["connection"]);
    assert_eq!(joined_by(&out, other), ["connection"]);
    assert_eq!(out.stats.join_ambiguous, 0);
}

#[test]
fn translated_addresses_join_by_sequence_numbers_and_words() {
    let mut w = World::default();
    let x = pair(&mut w);
    readdress(&mut w, x, |_, _, remote, port, server| {
        if server {
            (*remote, *port) = (Ipv4Addr::new(172, 17, 0, 1).into(), 51_000);
        }
    });
    run(&mut w, x, 0);
    let out = w.run();
    assert_eq!(joined_by(&out, x), ["connection", "sequence-numbers"]);
    assert_eq!(out.stats.joined_translated, 1);
}

#[test]
fn equal_sequence_numbers_with_other_words_do_not_join() {
    let mut w = World::default();
    let (one, other) = (w.pipe(Some(1), None), w.pipe(None, Some(2)));
    for pipe in [one, other] {
        (w.pipes[pipe].seq, w.pipes[pipe].reply_seq) = (5, 6);
    }
    let (one, other) = (w.exchange(one, "/b"), w.exchange(other, "/c"));
    w.send(one, 0, tid(1, 0));
    w.recv(other, US, tid(2, 0));
    w.reply(other, MS, tid(2, 0));
    w.got(one, MS + US, tid(1, 0));
    let out = w.run();
    assert_eq!(out.server(other).parent_span_id, None);
}

#[test]
fn two_candidates_are_none() {
    let mut w = World::default();
    let pipes = [w.pipe(Some(1), None), w.pipe(Some(1), None), w.pipe(None, Some(2))];
    for pipe in &pipes {
        (w.pipes[*pipe].seq, w.pipes[*pipe].reply_seq) = (5, 6);
    }
    let xs: Vec<X> = pipes.iter().map(|pipe| w.exchange(*pipe, "/b")).collect();
    // Both clients have read their response before the server's stamp comes.
    w.send(xs[0], 0, tid(1, 0));
    w.send(xs[1], 0, tid(1, 1));
    w.recv(xs[2], US, tid(2, 0));
    w.got(xs[0], MS, tid(1, 0));
    w.got(xs[1], MS, tid(1, 1));
    w.reply(xs[2], MS + US, tid(2, 0));
    let out = w.run();
    assert_eq!(out.server(xs[2]).parent_span_id, None);
    assert!(out.stats.join_ambiguous > 0);
}

#[test]
fn either_side_may_come_first() {
    for skew in [0, 40 * US, 3 * MS] {
        let mut w = World::default();
        let x = pair(&mut w);
        w.recv(x, 10 * MS, tid(2, 0));
        w.send(x, 10 * MS + skew, tid(1, 0));
        w.reply(x, 20 * MS, tid(2, 0));
        w.got(x, 20 * MS + US, tid(1, 0));
        let out = w.run();
        assert_eq!(joined_by(&out, x), ["connection"]);
        assert_eq!(out.client(x).start_time, out.server(x).start_time);
    }
}

#[test]
fn a_server_request_is_held_for_a_client_that_is_told_late() {
    let mut w = World::default();
    let x = pair(&mut w);
    run(&mut w, x, 0);
    // The client's end is known from an earlier exchange, so the server waits for it up to a second.
    let next = w.exchange(x.0, "/next");
    run(&mut w, next, 10 * MS);
    let mut feed = w.feed.clone();
    feed.sort_by_key(Feed::at);
    let is_client = |item: &Feed| match item {
        Feed::Step(step) => {
            step.id().conn == w.pipes[x.0].client.as_ref().unwrap().conn && step.id().number == 1
        }
        _ => false,
    };
    let (late, mut feed): (Vec<Feed>, Vec<Feed>) = feed.into_iter().partition(is_client);
    // Time goes on for 800 ms before it is told.
    let other = w.pipe(None, Some(3));
    let tick = w.exchange(other, "/tick");
    let before = w.feed.len();
    w.recv(tick, 800 * MS, tid(3, 0));
    feed.extend(w.feed[before..].iter().cloned());
    feed.extend(late);
    let out = w.run_in_order(&feed);
    assert_eq!(joined_by(&out, next), ["connection"]);
    assert!(out.stats.late_steps > 0);
}

#[test]
fn a_request_from_elsewhere_is_given_out_soon() {
    let mut w = World::default();
    let pipe = w.pipe(None, Some(1));
    for n in 0..1000 {
        let x = w.exchange(pipe, "/in");
        w.recv(x, n * 10 * MS, tid(1, 0));
        w.reply(x, n * 10 * MS + MS, tid(1, 0));
    }
    let out = w.run();
    assert_eq!(out.spans.len(), 1000);
    assert!(out.stats.peak < 20, "{}", out.stats.peak);
}

#[test]
fn unix_sockets_join_by_their_offsets() {
    let mut w = World::default();
    let x = pair(&mut w);
    w.make_unix(x.0, None);
    let xs: Vec<X> = (0..3).map(|_| w.exchange(x.0, "/u")).collect();
    for (n, x) in xs.iter().enumerate() {
        run(&mut w, *x, n as u64 * 10 * MS);
    }
    let out = w.run();
    for x in xs {
        assert_eq!(joined_by(&out, x), ["connection"]);
        assert_eq!(out.server(x).tags.transport, Some("unix"));
    }
}

#[test]
fn datagrams_join_by_what_they_say_and_the_servers_port() {
    let mut w = World::default();
    let (x, far) = (pair(&mut w), pair(&mut w));
    w.make_datagrams(x.0);
    w.make_datagrams(far.0);
    // The same, of another server.
    (w.pipes[far.0].seq, w.pipes[far.0].reply_seq) = (w.pipes[x.0].seq, w.pipes[x.0].reply_seq);
    let pipe = &mut w.pipes[far.0];
    for end in [&mut pipe.client, &mut pipe.server] {
        let Endpoints::Datagram { local_port, remote_port, .. } = &mut end.as_mut().unwrap().endpoints else {
            panic!("made so above");
        };
        let port = if *remote_port == 0 { local_port } else { remote_port };
        *port = 5353;
    }
    let (x, far) = (w.exchange(x.0, "a.example"), w.exchange(far.0, "a.example"));
    run(&mut w, x, 0);
    run(&mut w, far, 10 * US);
    let out = w.run();
    assert_eq!(joined_by(&out, x), ["connection"]);
    assert_eq!(joined_by(&out, far), ["connection"]);
    assert_eq!(out.client(x).tags.transport, Some("udp"));
    assert!(out.client(x).tags.peer_port.is_some() && out.server(x).tags.peer_ip.is_none());
}

#[test]
fn a_lookup_that_is_forwarded_under_the_same_number_is_not_joined_with_itself() {
    let mut w = World::default();
    let (asked, on) = (w.pipe(None, Some(2)), w.pipe(Some(2), None));
    for pipe in [asked, on] {
        w.make_datagrams(pipe);
        (w.pipes[pipe].seq, w.pipes[pipe].reply_seq) = (5, 6);
    }
    let port = |end: &super::scenario::End| match end.endpoints {
        Endpoints::Datagram { local_port, .. } => local_port,
        _ => panic!("made so above"),
    };
    let server = port(w.pipes[asked].server.as_ref().unwrap());
    if let Endpoints::Datagram { remote_port, .. } = &mut w.pipes[on].client.as_mut().unwrap().endpoints {
        *remote_port = server;
    }
    let (asked, on) = (w.exchange(asked, "a.example"), w.exchange(on, "a.example"));
    w.recv(asked, 0, tid(2, 0));
    w.send(on, US, tid(2, 0));
    w.got(on, MS, tid(2, 0));
    w.reply(asked, MS + US, tid(2, 0));
    let out = w.run();
    assert_eq!(out.server(asked).parent_span_id, None);
    assert_eq!(out.client(on).parent_span_id, Some(out.server(asked).span_id));
}

#[test]
fn a_lookup_that_nobody_answers_is_over_when_the_request_is_that_it_was_made_for() {
    let mut w = World::default();
    let (request, lookup) = (w.pipe(None, Some(2)), w.pipe(Some(2), None));
    w.make_datagrams(lookup);
    let (request, lookup) = (w.exchange(request, "/page"), w.exchange(lookup, "a.example"));
    w.recv(request, 0, tid(2, 0));
    w.send(lookup, MS, tid(2, 0));
    w.reply(request, 20 * MS, tid(2, 0));
    w.end_step(lookup, Side::Client, 5000 * MS, Outcome::Unanswered);
    let out = w.run();
    assert!(out.is_child(lookup, request));
    assert_eq!(out.client(lookup).duration, 19 * MS);
}

#[test]
fn unix_sockets_from_before_the_capture_join_in_order() {
    let mut w = World::default();
    let x = pair(&mut w);
    w.make_unix(x.0, Some(Role::Unseen));
    // The server was first seen one request later: its offsets are those of the client's previous request.
    w.pipes[x.0].server.as_mut().unwrap().shift = 100u32.wrapping_neg();
    let xs: Vec<X> = (0..5).map(|_| w.exchange(x.0, "/same")).collect();
    for (n, x) in xs.iter().enumerate() {
        run(&mut w, *x, n as u64 * 10 * MS);
    }
    let out = w.run();
    for x in xs {
        assert_eq!(joined_by(&out, x), ["connection", "order"]);
    }
}

#[test]
fn a_position_that_comes_again_does_not_join_what_is_long_over() {
    let mut w = World::default();
    let x = pair(&mut w);
    // Only the server's stamps of the first, only the client's of the second, at one position.
    w.recv(x, 0, tid(2, 0));
    w.reply(x, MS, tid(2, 0));
    w.pipes[x.0].seq = w.pipes[x.0].seq.wrapping_sub(100);
    let again = w.exchange(x.0, "/b");
    w.send(again, 90 * MS, tid(1, 0));
    w.got(again, 95 * MS, tid(1, 0));
    let out = w.run();
    assert_eq!(out.server(x).parent_span_id, None);
}

#[test]
fn trace_headers_are_honoured() {
    let mut w = World::default();
    // From elsewhere, with a header: its caller is the parent.
    let from = w.pipe(None, Some(1));
    let request = w.exchange(from, "/in");
    w.traceparent(request, 0xabc, 0xdef);
    w.recv(request, 0, tid(1, 0));
    // A call inside it carries another trace: tagged, not followed.
    let x = pair(&mut w);
    w.traceparent(x, 0x999, 0x111);
    run(&mut w, x, MS);
    w.reply(request, 9 * MS, tid(1, 0));
    let out = w.run();
    let root = out.server(request);
    assert_eq!((root.trace_id.0, root.parent_span_id.map(|id| id.0)), (0xabc, Some(0xdef)));
    assert_eq!(root.tags.evidence.iter().map(Evidence::name).collect::<Vec<_>>(), ["traceparent"]);
    for span in [out.client(x), out.server(x)] {
        assert_eq!(span.trace_id.0, 0xabc);
        assert_eq!(span.tags.other_trace.map(|id| id.0), Some(0x999));
    }
    assert_eq!(out.server(x).parent_span_id, Some(out.client(x).span_id));
}

#[test]
fn a_header_further_in_names_the_whole_trace() {
    let mut w = World::default();
    let from = w.pipe(None, Some(1));
    let request = w.exchange(from, "/in");
    w.recv(request, 0, tid(1, 0));
    let x = pair(&mut w);
    w.traceparent(x, 0x777, 0x111);
    run(&mut w, x, MS);
    w.reply(request, 9 * MS, tid(1, 0));
    let out = w.run();
    assert!(out.spans.iter().all(|span| span.trace_id.0 == 0x777 && span.tags.other_trace.is_none()));
    assert_eq!(out.server(request).parent_span_id, None);
}

#[test]
fn contexts_of_every_format_are_honoured_but_texts_are_no_ids() {
    let ids = |contexts: &[TraceContext]| {
        let mut w = World::default();
        let from = w.pipe(None, Some(1));
        let request = w.exchange(from, "/in");
        w.extra(request).contexts = contexts.to_vec();
        w.recv(request, 0, tid(1, 0));
        w.reply(request, MS, tid(1, 0));
        let out = w.run();
        let root = out.server(request);
        let evidence: Vec<_> = root.tags.evidence.iter().map(Evidence::name).collect();
        (root.trace_id.0, root.parent_span_id.map(|id| id.0), evidence)
    };
    let of = |format, trace_id, span_id| TraceContext { format, ..TraceContext::w3c(trace_id, span_id) };
    for format in [Format::B3, Format::Jaeger, Format::Datadog, Format::Aws] {
        assert_eq!(ids(&[of(format, 7, 5)]), (7, Some(5), vec!["context"]));
        assert_eq!(ids(&[of(Format::W3c, 9, 3), of(format, 7, 5)]), (9, Some(3), vec!["traceparent"]));
    }
    // A load balancer names the trace, and no span.
    assert_eq!(ids(&[of(Format::Aws, 7, 0)]), (7, None, vec![]));
    let (trace, parent, _) = ids(&[of(Format::SkyWalking, 7, 5)]);
    assert!(trace != 7 && parent.is_none());
}

#[test]
fn a_client_that_closed_before_the_server_read_is_still_its_client() {
    let mut w = World::default();
    let x = pair(&mut w);
    w.send(x, 0, tid(1, 0));
    w.end_step(x, Side::Client, MS, Outcome::Unanswered);
    let conn = w.pipes[x.0].client.as_ref().unwrap().conn;
    w.feed.push(Feed::Close(conn, Nanos(T0 + MS)));
    w.recv(x, 90 * MS, tid(2, 0));
    w.reply(x, 95 * MS, tid(2, 0));
    assert_eq!(joined_by(&w.run(), x), ["connection"]);
}

/// No time bucket stands between the two ends of a call, and nothing gives it up because it takes long.
#[test]
fn calls_of_any_length_are_joined_and_linked() {
    for took in [MS / 10, 20_000 * MS, 600_000 * MS] {
        let mut w = World::default();
        let from = w.pipe(None, Some(1));
        let request = w.exchange(from, "/in");
        w.recv(request, 0, tid(1, 0));
        let x = pair(&mut w);
        w.call(x, MS, tid(1, 0), tid(2, 0), took);
        w.reply(request, took + 2 * MS, tid(1, 0));
        let out = w.run();
        assert_eq!(joined_by(&out, x), ["connection"], "{took} ns");
        assert!(out.is_child(x, request), "{took} ns");
        let durations = (out.client(x).duration, out.server(x).duration, out.server(request).duration);
        assert_eq!(durations, (took, took - 40 * US, took + 2 * MS));
    }
}
