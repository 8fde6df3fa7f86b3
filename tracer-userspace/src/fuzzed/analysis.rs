//! The pure end of a run, fed with whatever a capture file may claim: times from the ends of their range, exchanges without
//! a request, connections that were never opened, everything twice.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracer_common::abi::ConnId;

use super::Input;
use crate::analysis::{Analysis, Observation, Seen};
use crate::event::{Endpoints, Open, ProcessChange, Role, Stamp};
use crate::exchange::{
    ExchangeId, Extra, Outcome, Protocol, RequestHead, ResponseHead, Side, Step, Token, TraceContext, Trailer,
};
use crate::export::json::ToJson;
use crate::process::Window;
use crate::service::ProcessFacts;
use crate::spans::Problems;
use crate::spans::file::each_span;
use crate::time::{ClockAnchor, Nanos};
use crate::trace::Span;

/// Where most times lie: far enough from 0 that what is before can be said too.
const AROUND: u64 = 1 << 40;

/// Turns `data` into observations and analyses them, twice.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let clock = match input.byte() % 4 {
        0 => ClockAnchor { monotonic: Nanos(input.number()), unix_nanos: input.number() },
        _ => ClockAnchor { monotonic: Nanos(AROUND), unix_nanos: 1_700_000_000_000_000_000 },
    };
    let mut observations = Vec::new();
    while !input.is_empty() {
        observations.push(observation(&mut input));
    }
    let once = analysed(clock, &observations);
    let again = analysed(clock, &observations);
    assert!(once == again, "the same observations gave other spans");
    let (mut problems, mut read) = (Problems::default(), 0);
    let result = each_span(&*once, &mut problems, |_, _| read += 1);
    assert!(
        result.is_ok() && problems == Problems::default(),
        "{result:?} {problems}: {}",
        String::from_utf8_lossy(&once)
    );
}

fn time(input: &mut Input<'_>) -> Nanos {
    match input.byte() {
        // Steps of a tenth of a millisecond, of a tenth of a second, and anything.
        near @ 0..=179 => Nanos(AROUND + u64::from(near) * 100_000),
        far @ 180..=229 => Nanos(AROUND + u64::from(far - 180) * 100_000_000),
        230..=239 => Nanos(AROUND - u64::from(input.word())),
        _ => Nanos(input.number()),
    }
}

fn stamp(input: &mut Input<'_>) -> Stamp {
    let who = input.byte();
    Stamp { at: time(input), tgid: u32::from(who & 3), tid: u32::from(who >> 2 & 3), ..Stamp::default() }
}

fn conn(input: &mut Input<'_>) -> ConnId {
    let which = input.byte();
    ConnId { sk: u64::from(which & 7), born: u64::from(which >> 3 & 1) }
}

fn id(input: &mut Input<'_>) -> ExchangeId {
    ExchangeId { conn: conn(input), number: input.number() as u32 % 4 }
}

fn text(input: &mut Input<'_>) -> String {
    String::from_utf8_lossy(input.bytes()).into_owned()
}

fn open(input: &mut Input<'_>) -> Open {
    let ports = input.byte();
    let (one, other) = (1000 + u16::from(ports & 3), 80 + u16::from(ports >> 2 & 1));
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let endpoints = match ports >> 6 {
        0 => Endpoints::Unix { peer: u64::from(ports & 7) },
        1 => Endpoints::Inet { local: host, local_port: one, remote: host, remote_port: other },
        2 => Endpoints::Inet { local: host, local_port: other, remote: host, remote_port: one },
        _ => Endpoints::Inet {
            local: IpAddr::V4(Ipv4Addr::from_bits(input.long() as u32)),
            local_port: one,
            remote: host,
            remote_port: other,
        },
    };
    let role = input.byte();
    Open {
        conn: conn(input),
        stamp: stamp(input),
        endpoints,
        netns: u32::from(ports >> 3 & 1),
        inode: 1,
        role: [Role::Active, Role::Passive, Role::Unseen, Role::Unseen]
            .get(usize::from(role & 3))
            .copied()
            .unwrap_or(Role::Unseen),
        birth: (role & 4 != 0).then(|| stamp(input)),
        peek: [0; _],
        peek_len: 0,
    }
}

fn step(input: &mut Input<'_>) -> Step {
    match input.byte() % 3 {
        0 => {
            let words = input.byte();
            Step::Request {
                id: id(input),
                side: if words & 1 == 0 { Side::Client } else { Side::Server },
                first: time(input),
                stamp: stamp(input),
                seq: u32::from(words >> 4 & 3),
                head: RequestHead {
                    protocol: Protocol::ALL.get(usize::from(words >> 3)).copied().unwrap_or_default(),
                    is_message: words & 0x22 == 0x22,
                    method: Arc::from(
                        ["GET", "POST", "CONNECT", ""]
                            .get(usize::from(words >> 1 & 3))
                            .copied()
                            .unwrap_or(""),
                    ),
                    target: if words & 8 == 0 { "/a?b".into() } else { text(input).into() },
                    host: (words & 64 != 0).then(|| Arc::from(text(input))),
                    minor_version: words >> 6,
                    truncated: words & 32 != 0,
                    extra: (words & 128 != 0).then(|| {
                        Box::new(Extra {
                            contexts: vec![TraceContext::w3c(
                                u128::from(input.byte() & 1) + 1,
                                input.number(),
                            )],
                            tokens: (0..input.byte() & 3)
                                .map(|_| Token { value: u64::from(input.byte() & 3), from: 0 })
                                .collect(),
                            ..Extra::default()
                        })
                    }),
                },
            }
        }
        1 => Step::Response {
            id: id(input),
            stamp: stamp(input),
            seq: u32::from(input.byte() & 3),
            head: ResponseHead {
                status: input.word() % 1200,
                truncated: false,
                error: (input.byte() & 7 == 7).then(|| Arc::from("42P01")),
            },
        },
        _ => Step::End {
            trailer: Trailer {
                status: (input.byte() & 3 == 3).then_some(13),
                error: (input.byte() & 7 == 7).then(|| Arc::from("ERR")),
            },
            id: id(input),
            request_end: time(input),
            request_by: Default::default(),
            end: time(input),
            by: Default::default(),
            request_bytes: input.number(),
            response_bytes: input.number(),
            outcome: input.of(&[
                Outcome::Complete,
                Outcome::EndUnframed,
                Outcome::Aborted,
                Outcome::Unanswered,
                Outcome::Pending,
                Outcome::Streaming,
                Outcome::ResponseUnseen,
                Outcome::Upgraded,
            ]),
        },
    }
}

fn observation(input: &mut Input<'_>) -> Observation {
    match input.byte() % 16 {
        0..=2 => Observation::Open(Box::new(open(input))),
        3..=10 => Observation::Step(step(input)),
        11 => Observation::Close { conn: conn(input), at: time(input) },
        12 => {
            let kind = input.byte();
            let change = match kind % 3 {
                0 => ProcessChange::Fork { parent: u32::from(kind >> 2 & 3) },
                1 => ProcessChange::Exec,
                _ => ProcessChange::Exit,
            };
            Observation::Change { stamp: stamp(input), change, comm: [kind; 16] }
        }
        13 => {
            let (one, other) = (time(input), time(input));
            let facts = ProcessFacts {
                pid: u32::from(input.byte() & 3),
                ppid: u32::from(input.byte() & 3),
                comm: text(input),
                ..ProcessFacts::default()
            };
            let window = Window { begin: one.min(other), end: one.max(other) };
            Observation::Process(Box::new(Seen { facts, window, moves_work: input.byte() & 1 != 0 }))
        }
        _ => Observation::Watermark(time(input)),
    }
}

/// The spans, as they are written.
fn analysed(clock: ClockAnchor, observations: &[Observation]) -> Vec<u8> {
    let mut analysis = Analysis::new(clock);
    let (mut json, mut spans, mut requests) = (b"[".to_vec(), 0u64, 0u64);
    {
        let mut out = |span: Span| {
            assert!(span.parent_span_id != Some(span.span_id), "{span:?} is its own parent");
            if spans > 0 {
                json.push(b',');
            }
            span.to_json(&mut json);
            spans += 1;
        };
        for observation in observations {
            requests += u64::from(matches!(observation, Observation::Step(Step::Request { .. })));
            analysis.observe(observation.clone(), &mut out);
        }
        analysis.finish(&mut out);
    }
    json.push(b']');
    let stats = analysis.stats();
    assert_eq!((stats.spans, stats.servers + stats.clients), (spans, spans));
    // Each request becomes one span: none is told twice, and none is lost but those that were told before.
    assert!(spans <= requests && requests - spans <= stats.stray_steps, "{requests} requests: {stats:?}");
    json
}
