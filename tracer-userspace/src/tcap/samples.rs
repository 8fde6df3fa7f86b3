//! What the tests of capture files write into them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracer_common::abi::{ConnId, Progress};

use super::*;
use crate::analysis::{Observation, Seen};
use crate::causality::joint::Operation;
use crate::causality::joint::learned::{Counted, Kind, Learned, Lesson};
use crate::event::{Direction, Endpoints, Mover, Open, ProcessChange, Role, Scene, Segment, Stamp};
use crate::exchange::{
    Attribute, ExchangeId, Extra, Format, Handing, Handover, Kept, Outcome, Protocol, RequestHead,
    ResponseHead, Side, Step, Token, TraceContext, Trailer,
};
use crate::process::Window;
use crate::service::{Container, ContainerRuntime, EnvFacts, Missing, Part, ProcessFacts, Reason, Runtime};
use crate::time::{ClockAnchor, Nanos};

pub(super) const MS: u64 = 1_000_000;
pub(super) const BEGAN: u64 = 5_000 * MS;

pub(super) fn description() -> Description {
    Description {
        clock: ClockAnchor { monotonic: Nanos(BEGAN), unix_nanos: 1_700_000_000_000_000_000 },
        kernel: "6.1.0-test".to_owned(),
        provider: "tests".to_owned(),
        missing: vec!["nothing much".to_owned()],
        unmasked: true,
        raw: true,
        features: vec!["a program".to_owned()],
    }
}

pub(super) fn stamp(at: u64, tgid: u32) -> Stamp {
    // Some threads were woken, at the batch's base even, and some were not.
    let (waker, woken) = if at.is_multiple_of(2) { (tgid + 2, Nanos(BEGAN + at % 3)) } else { (0, Nanos(0)) };
    let scene =
        Scene { turn: at as u32 % 5, waker, woken, waker_turn: waker % 7, task: at % 7, parent_task: at % 3 };
    Stamp { at: Nanos(at), tgid, tid: tgid + 1, scene }
}

pub(super) fn process(pid: u32, program: &str) -> Observation {
    let facts = ProcessFacts {
        pid,
        ppid: 1,
        start_ticks: 77,
        exe: Some(format!("/usr/bin/{program}")),
        comm: program.to_owned(),
        args: vec![program.to_owned(), "--flag".to_owned()],
        env: EnvFacts { hostname: Some("host".to_owned()), ..EnvFacts::default() },
        cgroups: vec!["/system.slice/x.service".to_owned()],
        container: Some(Container {
            id: "c0".into(),
            runtime: ContainerRuntime::Podman,
            name: Some("web".into()),
        }),
        unit: Some("x.service".to_owned()),
        listening: vec![80, 443],
        netns: Some(4_026_531_840),
        runtime: Some(Runtime::Go),
        ..ProcessFacts::default()
    };
    let window = Window { begin: Nanos(BEGAN - MS), end: Nanos(BEGAN) };
    Observation::Process(Box::new(Seen { facts, window, moves_work: true }))
}

/// A call from process 10 to process 20, both ends seen.
pub(super) fn call(number: u64, out: &mut Vec<Observation>) {
    let at = BEGAN + number * 3 * MS;
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for (sk, tgid, side, role, local_port, remote_port) in [
        (100 + number, 10, Side::Client, Role::Active, 40_000, 80),
        (900_000 + number, 20, Side::Server, Role::Passive, 80, 40_000),
    ] {
        let conn = ConnId { sk, born: at };
        let local_port = if local_port == 80 { 80 } else { 20_000 + (number % 40_000) as u16 };
        let remote_port = if remote_port == 80 { 80 } else { 20_000 + (number % 40_000) as u16 };
        let late = if side == Side::Server { MS / 10 } else { 0 };
        out.push(Observation::Open(Box::new(Open {
            conn,
            stamp: stamp(at + late, tgid),
            endpoints: Endpoints::Inet { local: host, local_port, remote: host, remote_port },
            netns: 1,
            inode: sk,
            role,
            birth: (role == Role::Active).then_some(stamp(at, tgid)),
            peek: [0; _],
            peek_len: 0,
        })));
        let id = ExchangeId { conn, number: 0 };
        out.push(Observation::Step(Step::Request {
            id,
            side,
            first: Nanos(at + late),
            stamp: stamp(at + late, tgid),
            seq: number as u32,
            head: RequestHead {
                protocol: Protocol::ALL[number as usize % Protocol::ALL.len()],
                is_message: number % 9 == 8,
                method: Arc::from("GET"),
                target: format!("/item/{number}").into(),
                host: (number.is_multiple_of(2)).then(|| Arc::from("h.example")),
                minor_version: 1,
                truncated: false,
                extra: (number.is_multiple_of(3)).then(|| {
                    let other = TraceContext { format: Format::B3, parent_id: 3, ..TraceContext::w3c(9, 2) };
                    Box::new(Extra {
                        kept: vec![Kept { name: Arc::from("x-truth-id"), value: number.to_string().into() }],
                        contexts: vec![TraceContext::w3c(7 + u128::from(number), 9), other],
                        tokens: Box::new([Token { value: number, from: 0 }, Token { value: 2, from: 1 }]),
                        id: None,
                        attributes: vec![
                            Attribute::text("db.sql.table", "users"),
                            Attribute::number("db.rows", -3),
                        ],
                        handover: (number % 4 == 3).then(|| {
                            let handing = if number % 8 == 3 { Handing::Taken } else { Handing::Given };
                            Box::new(Handover { handing, count: 3, keys: Box::new([number, 7]) })
                        }),
                    })
                }),
            },
        }));
    }
    for (sk, tgid, late) in [(900_000 + number, 20, MS), (100 + number, 10, 2 * MS)] {
        let conn = ConnId { sk, born: at };
        let id = ExchangeId { conn, number: 0 };
        out.push(Observation::Step(Step::Response {
            id,
            stamp: stamp(at + late, tgid),
            seq: 5,
            head: ResponseHead {
                status: if number.is_multiple_of(7) { 500 } else { 200 },
                truncated: false,
                error: number.is_multiple_of(7).then(|| Arc::from("57014")),
            },
        }));
        out.push(Observation::Step(Step::End {
            trailer: Trailer {
                status: number.is_multiple_of(5).then_some(0),
                error: number.is_multiple_of(6).then(|| Arc::from("40001")),
            },
            id,
            request_end: Nanos(at),
            request_by: Mover { tid: tgid + 2, turn: number as u32 + 1 },
            end: Nanos(at + late),
            by: Mover { tid: tgid + 1, turn: number as u32 },
            request_bytes: 50,
            response_bytes: 120,
            outcome: Outcome::Complete,
        }));
        out.push(Observation::Close { conn, at: Nanos(at + late + 1) });
    }
}

pub(super) fn observations(calls: u64) -> Vec<Observation> {
    let mut all = vec![process(10, "caller"), process(20, "server")];
    for number in 0..calls {
        call(number, &mut all);
        if number % 10 == 9 {
            all.push(Observation::Watermark(Nanos(BEGAN + number * 3 * MS)));
        }
    }
    all.push(Observation::Change {
        stamp: stamp(BEGAN + MS, 30),
        change: ProcessChange::Fork { parent: 20 },
        comm: *b"worker\0\0\0\0\0\0\0\0\0\0",
    });
    all.push(Observation::Change {
        stamp: stamp(BEGAN + 2 * MS, 30),
        change: ProcessChange::Exec,
        comm: [b'x'; 16],
    });
    all.push(Observation::Change {
        stamp: stamp(BEGAN + 3 * MS, 30),
        change: ProcessChange::Exit,
        comm: [0; 16],
    });
    all
}

/// Raw payload beside the observations, which must not matter to who reads those.
pub(super) fn raw(writer: &mut Writer<&mut Vec<u8>>, number: u64, now: Nanos) {
    let progress = Progress { bytes: 5 + number, ..Progress::default() };
    let segment = Segment {
        conn: ConnId { sk: 99, born: 98 },
        stamp: stamp(now.0, 10),
        dir: if number.is_multiple_of(2) { Direction::Rx } else { Direction::Tx },
        rx: progress,
        tx: progress,
        seq: 7,
        len: 20,
        data: b"payload",
        starts: true,
        lost_before: false,
    };
    writer.raw(ConnId { sk: 3 + number % 3, born: 4 }, &segment, now).unwrap();
}

/// A file; a batch each `every` observations, so that there are several.
pub(super) fn file(all: &[Observation], every: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, &description()).unwrap();
    for (index, observation) in all.iter().enumerate() {
        let now = Nanos(BEGAN + index as u64);
        writer.observe(observation, now).unwrap();
        raw(&mut writer, index as u64, now);
        if index % every == every - 1 {
            writer.tick(Nanos(now.0 + 1000 * MS)).unwrap();
        }
    }
    writer.clock(ClockAnchor { monotonic: Nanos(9), unix_nanos: 10 }).unwrap();
    writer.learned(&learned()).unwrap();
    let size = writer.finish(b"{\"events_lost\":0}").unwrap();
    assert_eq!(size, bytes.len() as u64);
    bytes
}

/// Something learned, in which nothing is as it would be if it were not told.
pub(super) fn learned() -> Learned {
    let operation = |words: &str, to: &str| Operation { words: words.into(), to: to.into() };
    let mut lesson = Lesson::new(
        vec![operation("GET /front", ""), operation("POST /front", "")],
        vec![operation("GET /b/#", "10.0.0.1:80"), operation("GET /c", "unix")],
    );
    let counted = |steps| Counted {
        steps,
        gaps: [(3, 64 * 7), (90, 64)].into(),
        bins: [(1, 65), (20, 3)].into(),
        pairs: 12,
        crossed: 5,
    };
    for (after, next, way) in
        [(Err(1), Some(0), 0), (Ok((0, 1)), Some(1), 3), (Ok((1, 0)), None, 2), (Err(0), None, 1)]
    {
        assert!(lesson.put(Kind { after, next, way }, counted(64 * (5 + u32::from(way)))));
    }
    assert!(lesson.put_random(Some(1), counted(640)) && lesson.put_random(None, counted(641)));
    let mut learned = Learned::default();
    learned.add(&Arc::from("shop"), &lesson);
    learned.add(&Arc::from("cart"), &lesson);
    learned
}

/// A file in which every field of the format is set somewhere.
pub(super) fn file_with_everything() -> Vec<u8> {
    let mut all = observations(10);
    let Some(Observation::Process(seen)) = all.first_mut() else { unreachable!() };
    // The end of a window is the base of its batch.
    seen.window.end = Nanos(BEGAN - 1);
    seen.facts.kernel_thread = true;
    seen.facts.exe_deleted = true;
    seen.facts.in_pod = true;
    seen.facts.pod_name = Some("web-0".to_owned());
    seen.facts.env.otel_service_name = Some("shop".to_owned());
    seen.facts.env.otel_resource_service_name = Some("shop".to_owned());
    seen.facts.env.kubernetes = true;
    seen.facts.missing = vec![Missing { part: Part::Environ, reason: Reason::Denied }];
    let conn = ConnId { sk: 5, born: BEGAN };
    let (local, remote) = (IpAddr::from([0; 4]), IpAddr::from([0; 4]));
    all.push(Observation::Open(Box::new(Open {
        conn: ConnId { sk: 8, born: BEGAN },
        stamp: stamp(BEGAN, 10),
        endpoints: Endpoints::Datagram { local, local_port: 53, remote, remote_port: 0 },
        netns: 1,
        inode: 8,
        role: Role::Passive,
        birth: None,
        peek: [0; _],
        peek_len: 0,
    })));
    all.push(Observation::Open(Box::new(Open {
        conn,
        stamp: stamp(BEGAN, 10),
        endpoints: Endpoints::Unix { peer: 6 },
        netns: 1,
        inode: 5,
        role: Role::Unseen,
        birth: None,
        peek: [0; _],
        peek_len: 0,
    })));
    for observation in &mut all {
        let Observation::Step(step) = observation else { continue };
        let (Step::Request { id, .. } | Step::Response { id, .. } | Step::End { id, .. }) = &mut *step;
        // A second method, and a second exchange.
        id.number = 1;
        match step {
            Step::Request { side, head, .. } => {
                head.method = Arc::from(if *side == Side::Client { "GET" } else { "POST" });
                head.truncated = true;
            }
            Step::Response { head, .. } => head.truncated = true,
            Step::End { outcome, .. } => *outcome = Outcome::Streaming,
        }
    }
    file(&all, 20)
}
