//! Conversations, through the simulated kernel.

mod random;

use super::frame::GREETING;
use crate::event::Direction::{self, Rx, Tx};
use crate::event::Role;
use crate::exchange::{Handing, Outcome, Side, Step};
use crate::protocol::Limits;
use crate::stream::Streams;
use crate::stream::simulate::{Kernel, Told, replay};

const ID: &str = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";

fn client() -> Kernel {
    let mut kernel = Kernel::new(1, Role::Active);
    kernel.variation.all = true;
    kernel
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&channel.to_be_bytes());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes.push(0xce);
    bytes
}

fn method(channel: u16, class: u16, id: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes()[..], &id.to_be_bytes(), arguments].concat())
}

fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

/// Header and content of a message with these headers, correlation id, reply-to and message id.
fn content(channel: u16, headers: &[(&str, &str)], ids: [&str; 3], body: &[u8]) -> Vec<u8> {
    let mut table = Vec::new();
    for (name, value) in headers {
        table.extend(text(name));
        table.push(b'S');
        table.extend_from_slice(&(value.len() as u32).to_be_bytes());
        table.extend_from_slice(value.as_bytes());
    }
    let mut flags = 1u16 << 13 | 1 << 12;
    let mut rest = vec![2];
    for (id, bit) in ids.iter().zip([10, 9, 7]) {
        if !id.is_empty() {
            flags |= 1 << bit;
            rest.extend(text(id));
        }
    }
    let mut payload = vec![0, 60, 0, 0];
    payload.extend_from_slice(&(body.len() as u64).to_be_bytes());
    payload.extend_from_slice(&flags.to_be_bytes());
    payload.extend_from_slice(&(table.len() as u32).to_be_bytes());
    payload.extend(table);
    payload.extend(rest);
    let mut bytes = frame(2, channel, &payload);
    for part in body.chunks(100) {
        bytes.extend(frame(3, channel, part));
    }
    bytes
}

fn publish(exchange: &str, key: &str, id: &str, body: &[u8]) -> Vec<u8> {
    let arguments = [&[0, 0][..], &text(exchange), &text(key), &[0]].concat();
    [method(1, 60, 40, &arguments), content(1, &[], ["", "", id], body)].concat()
}

fn deliver(tag: u64, exchange: &str, key: &str, id: &str, body: &[u8]) -> Vec<u8> {
    let arguments = [&text("ctag")[..], &tag.to_be_bytes(), &[0], &text(exchange), &text(key)].concat();
    [method(1, 60, 60, &arguments), content(1, &[], ["", "", id], body)].concat()
}

fn ack(tag: u64, multiple: bool) -> Vec<u8> {
    method(1, 60, 80, &[&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat())
}

fn consume(no_ack: bool) -> Vec<u8> {
    let arguments = [&[0, 0][..], &text("q"), &text("ctag"), &[u8::from(no_ack) << 1], &[0; 4]].concat();
    method(1, 60, 20, &arguments)
}

fn declare(queue: &str, bits: u8) -> Vec<u8> {
    method(1, 50, 10, &[&[0, 0][..], &text(queue), &[bits], &[0; 4]].concat())
}

fn declared(queue: &str) -> Vec<u8> {
    method(1, 50, 11, &[&text(queue)[..], &[0; 8]].concat())
}

/// The beginning of a connection, and then these, each at its millisecond from the tenth on.
fn talk(lines: &[(Direction, Vec<u8>)]) -> Kernel {
    let mut kernel = client();
    let begin = [
        (Tx, GREETING.to_vec()),
        (Rx, method(0, 10, 10, &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (Tx, method(0, 10, 11, &[0; 16])),
        (Rx, method(0, 10, 30, &[0; 8])),
        (Tx, [method(0, 10, 31, &[0; 8]), method(0, 10, 40, &[1, b'/', 0, 0])].concat()),
        (Rx, method(0, 10, 41, &[0])),
        (Tx, method(1, 20, 10, &[0])),
        (Rx, method(1, 20, 11, &[0; 4])),
    ];
    for (at, (dir, bytes)) in begin.iter().enumerate() {
        kernel.call(*dir, bytes, (at as u64 + 1) * 1_000_000);
    }
    for (at, (dir, bytes)) in lines.iter().enumerate() {
        kernel.call(*dir, bytes, (at as u64 + 10) * 1_000_000);
    }
    kernel
}

/// All but the calls that every connection begins with.
fn told(kernel: &Kernel) -> Vec<Told> {
    let mut all = replay(&kernel.events, Limits::default(), 10_000_000_000).unwrap().0;
    all.retain(|one| !matches!(&*one.method, "connection.open" | "channel.open"));
    all
}

fn short(told: &[Told]) -> Vec<(String, Outcome)> {
    told.iter().map(|one| (format!("{} {}", one.method, one.target), one.outcome().unwrap())).collect()
}

fn complete(what: &[&str]) -> Vec<(String, Outcome)> {
    what.iter().map(|what| ((*what).to_string(), Outcome::Complete)).collect()
}

/// Handing and keys of all messages.
fn handovers(kernel: &Kernel) -> Vec<(Handing, Vec<u64>)> {
    let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::new());
    for event in &kernel.events {
        event.feed(&mut streams, &mut steps);
    }
    let handover = |step: &Step| match step {
        Step::Request { head, .. } => head.handover().map(|all| (all.handing, all.keys.to_vec())),
        _ => None,
    };
    steps.iter().filter_map(handover).collect()
}

#[test]
fn a_connection_begins_with_two_calls() {
    let kernel = talk(&[]);
    let all = replay(&kernel.events, Limits::default(), 10_000_000_000).unwrap().0;
    assert_eq!(short(&all), complete(&["connection.open ", "channel.open "]));
    assert!(all.iter().all(|one| one.side == Side::Client && one.response.is_some()));
}

#[test]
fn calls_are_answered_by_their_own_kind() {
    let kernel = talk(&[
        (Tx, [declare("a", 0), method(1, 60, 10, &[0; 7]), declare("b", 0b1_0000), declare("c", 0)].concat()),
        (Rx, [declared("a"), method(1, 60, 11, &[]), declared("c")].concat()),
        (Tx, method(1, 60, 70, &[0, 0, 1, b'q', 1])),
        (Rx, method(1, 60, 72, &[0])),
    ]);
    let all = told(&kernel);
    let names = ["queue.declare a", "basic.qos ", "queue.declare b", "queue.declare c", "basic.get q"];
    assert_eq!(short(&all), complete(&names));
    assert!(all[2].response.is_none(), "nobody answers what asks for no answer");
    assert_eq!(all[3].end.unwrap().2.0, 11_000_000);
}

#[test]
fn a_closed_channel_is_the_answer_of_what_it_names() {
    let close = [
        &404u16.to_be_bytes()[..],
        &text("NOT_FOUND - no queue 'secret'"),
        &50u16.to_be_bytes(),
        &10u16.to_be_bytes(),
    ]
    .concat();
    let kernel = talk(&[
        (Tx, [declare("a", 1), method(1, 60, 10, &[0; 7])].concat()),
        (Rx, method(1, 20, 40, &close)),
        (Tx, method(1, 20, 41, &[])),
        (Tx, method(1, 20, 40, &[0, 200, 0, 0, 0, 0, 0])),
        (Rx, method(1, 20, 41, &[])),
    ]);
    let all = told(&kernel);
    assert_eq!(all[0].response.as_ref().unwrap().0.error.as_deref(), Some("404"));
    assert_eq!(all[1].outcome(), Some(Outcome::Unanswered));
    assert_eq!(short(&all)[2], complete(&["channel.close "])[0]);
}

#[test]
fn what_is_published_is_over_with_its_last_byte_or_its_confirm() {
    let kernel = talk(&[(Tx, publish("x", "k", ID, &[7; 250]))]);
    let all = told(&kernel);
    assert_eq!(short(&all), complete(&["publish x/k"]));
    assert_eq!((all[0].side, all[0].end.unwrap().2.0), (Side::Client, 10_000_000));
    assert_eq!(all[0].end.unwrap().3, publish("x", "k", ID, &[7; 250]).len() as u64);

    let nack = method(1, 60, 120, &[0, 0, 0, 0, 0, 0, 0, 3, 0]);
    let kernel = talk(&[
        (Tx, method(1, 85, 10, &[0])),
        (Rx, method(1, 85, 11, &[])),
        (Tx, [publish("", "a", "", b"1"), publish("", "b", "", b"2"), publish("", "c", "", b"")].concat()),
        (Rx, ack(2, true)),
        (Rx, nack),
        (Tx, publish("", "d", "", b"4")),
    ]);
    let mut kernel = kernel;
    kernel.close(50_000_000);
    let all = told(&kernel);
    let ends: Vec<u64> = all.iter().map(|one| one.end.unwrap().2.0 / 1_000_000).collect();
    assert_eq!(ends, [11, 13, 13, 14, 15]);
    assert_eq!(all[3].response.as_ref().unwrap().0.error.as_deref(), Some("nack"));
    assert_eq!(all[4].outcome(), Some(Outcome::EndUnframed));
}

#[test]
fn a_delivery_lasts_until_it_is_acknowledged() {
    let kernel = talk(&[
        (Tx, consume(false)),
        (Rx, method(1, 60, 21, &text("ctag"))),
        (
            Rx,
            [
                deliver(1, "x", "k", ID, b"one"),
                deliver(2, "x", "k", "", b"two"),
                deliver(3, "x", "k", "", b""),
            ]
            .concat(),
        ),
        (Tx, ack(2, false)),
        (Tx, ack(3, true)),
    ]);
    let all = told(&kernel);
    assert_eq!(short(&all)[1..], complete(&["receive x/k"; 3]));
    let ends: Vec<u64> = all[1..].iter().map(|one| one.end.unwrap().2.0 / 1_000_000).collect();
    assert_eq!(ends, [14, 13, 14]);
    assert!(all[1..].iter().all(|one| one.side == Side::Server && one.first.0 == 12_000_000));
}

#[test]
fn what_is_not_acknowledged_is_over_at_once() {
    let kernel = talk(&[
        (Tx, consume(true)),
        (Rx, method(1, 60, 21, &text("ctag"))),
        (Rx, deliver(1, "", "amq.gen-7b0e2a4c9d3f4a518c66", ID, b"one")),
    ]);
    let all = told(&kernel);
    assert_eq!(short(&all)[1..], complete(&["receive ?"]), "a name that was drawn at random is not shown");
    assert_eq!(all[1].end.unwrap().2, all[1].first);
}

#[test]
fn the_brokers_end_tells_what_is_published_and_not_what_is_delivered() {
    let swap = |kernel: &Kernel, lines: &[(Direction, Vec<u8>)]| {
        let mut broker = Kernel::new(2, Role::Passive);
        broker.variation.all = true;
        broker.call(Rx, GREETING, 1_000_000);
        for (at, (dir, bytes)) in lines.iter().enumerate() {
            let dir = if *dir == Tx { Rx } else { Tx };
            broker.call(dir, bytes, (at as u64 + 10) * 1_000_000);
        }
        let _ = kernel;
        broker
    };
    let lines =
        [(Tx, publish("x", "k", ID, b"one")), (Rx, deliver(1, "x", "k", ID, b"one")), (Tx, ack(1, false))];
    let broker = swap(&talk(&lines), &lines);
    let all = told(&broker);
    assert_eq!(short(&all), complete(&["publish x/k"]));
    assert_eq!(all[0].side, Side::Server);
}

#[test]
fn a_message_is_known_again_by_its_id_and_destination() {
    let keys = |bytes: Vec<u8>, dir| handovers(&talk(&[(Tx, consume(false)), (dir, bytes)]));
    let published = keys(publish("x", "k", ID, b"one"), Tx);
    let delivered = keys(deliver(1, "x", "k", ID, b"one"), Rx);
    assert_eq!((published[0].0, delivered[0].0), (Handing::Given, Handing::Taken));
    assert_eq!(published[0].1.len(), 1);
    assert_eq!(published[0].1, delivered[0].1);
    assert_ne!(published[0].1, keys(deliver(1, "", "reply", ID, b"one"), Rx)[0].1);
    assert!(keys(publish("x", "k", "17", b"one"), Tx)[0].1.is_empty(), "others may count too");
    // Celery: the task's id stands among the headers, and is the correlation id too.
    let arguments = [&[0, 0][..], &text("x"), &text("k"), &[0]].concat();
    let celery =
        [method(1, 60, 40, &arguments), content(1, &[("task", "app.add"), ("id", ID)], [ID, "r", ""], b"[]")];
    assert_eq!(keys(celery.concat(), Tx)[0].1, published[0].1);
}

#[test]
fn a_trace_context_among_the_headers_is_found() {
    let arguments = [&[0, 0][..], &text("x"), &text("k"), &[0]].concat();
    let header = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
    let kernel = talk(&[(Tx, [method(1, 60, 40, &arguments), content(1, &header, [""; 3], b"x")].concat())]);
    let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::new());
    kernel.events.iter().for_each(|event| event.feed(&mut streams, &mut steps));
    let contexts: usize = steps
        .iter()
        .map(|step| if let Step::Request { head, .. } = step { head.contexts().len() } else { 0 })
        .sum();
    assert_eq!(contexts, 1);
}

#[test]
fn after_a_loss_nothing_is_paired_that_may_be_anothers() {
    let mut kernel = talk(&[(Tx, declare("a", 0))]);
    kernel.sendfile(Tx, 30, 20_000_000);
    // An answer that may be to what was hidden.
    kernel.call(Tx, &declare("b", 0), 21_000_000);
    kernel.call(Rx, &declared("?"), 22_000_000);
    kernel.call(Tx, &declare("c", 0), 5_021_000_000);
    kernel.call(Rx, &declared("c"), 5_024_000_000);
    let all = told(&kernel);
    assert_eq!(all[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(short(&all)[1..], complete(&["queue.declare c"]));
}

#[test]
fn a_connection_may_be_joined_at_any_frame() {
    let mut kernel = client();
    kernel.call(Rx, &deliver(5, "x", "k", ID, b"one"), 1_000_000);
    kernel.call(Tx, &ack(5, false), 2_000_000);
    kernel.call(Rx, &deliver(6, "x", "k", ID, b"one"), 3_000_000);
    kernel.call(Tx, &ack(6, false), 4_000_000);
    kernel.call(Tx, &declare("c", 0), 5_000_000);
    kernel.call(Rx, &declared("c"), 6_000_000);
    kernel.call(Tx, &declare("d", 0), 5_007_000_000);
    kernel.call(Rx, &declared("d"), 5_008_000_000);
    if let crate::stream::simulate::Recorded::Open(open) = &mut kernel.events[0] {
        open.role = Role::Unseen;
    }
    let all = told(&kernel);
    assert_eq!(short(&all), complete(&["receive x/k", "receive x/k", "queue.declare d"]));
    // That it acknowledges is known once it has.
    assert_eq!(all[0].end.unwrap().2, all[0].first);
    assert_eq!(all[1].end.unwrap().2.0, 4_000_000);
}

#[test]
fn frames_end_where_they_end_however_they_are_cut() {
    let lines = [
        (Tx, [declare("a", 0), publish("x", "k", ID, &[0xce; 250])].concat()),
        (Rx, [declared("a"), deliver(1, "x", "k", ID, &[1; 120])].concat()),
        (Tx, ack(1, false)),
    ];
    let whole = short(&told(&talk(&lines)));
    assert_eq!(whole.len(), 3);
    for cut in 1..60 {
        let mut kernel = talk(&[]);
        for (at, (dir, bytes)) in lines.iter().enumerate() {
            for part in bytes.chunks(cut) {
                kernel.call(*dir, part, (at as u64 + 10) * 1_000_000);
            }
        }
        assert_eq!(short(&told(&kernel)), whole, "{cut}");
    }
}

#[test]
fn what_is_not_amqp_is_refused() {
    assert!(super::known(&declare("a", 0)).is_some());
    let mut no_end = declare("a", 0);
    *no_end.last_mut().unwrap() = 0;
    assert!(super::known(&no_end).is_none());
    assert!(super::known(&method(0, 50, 10, &[0; 9])).is_none(), "no queue is declared on channel 0");
    assert!(super::known(&method(1, 50, 12, &[0; 9])).is_none());
    // A frame that does not end as it must.
    let mut kernel = talk(&[]);
    kernel.call(Tx, &no_end, 10_000_000);
    kernel.call(Tx, &declare("b", 0), 11_000_000);
    kernel.call(Rx, &declared("b"), 12_000_000);
    assert_eq!(told(&kernel).len(), 0);
}

/// py-amqp reads the beginning of a frame, its payload and its last byte with a call each.
#[test]
fn a_connection_may_be_joined_by_a_client_that_reads_in_parts() {
    let mut kernel = client();
    let mut at = 0;
    for tag in 1..4 {
        let mut rest = &deliver(tag, "x", "k", ID, b"one")[..];
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[3..7].try_into().unwrap()) as usize;
            for part in [&rest[..7], &rest[7..7 + size], &rest[7 + size..8 + size]] {
                at += 1000;
                kernel.call(Rx, part, at);
            }
            rest = &rest[8 + size..];
        }
        at += 1000;
        kernel.call(Tx, &ack(tag, false), at);
    }
    if let crate::stream::simulate::Recorded::Open(open) = &mut kernel.events[0] {
        open.role = Role::Unseen;
    }
    assert_eq!(short(&told(&kernel)), complete(&["receive x/k"; 3]));
}
