//! A small world of processes, threads and connections that yields what the protocol stage would say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracer_common::abi::{ConnId, PEEK_BYTES};

pub use super::outcome::Out;
use crate::event::{Endpoints, Open, Role, Scene, Stamp};
use crate::exchange::{
    ExchangeId, Extra, Outcome, RequestHead, ResponseHead, Side, Step, TraceContext, Trailer,
};
use crate::export::json::ToJson;
use crate::time::{ClockAnchor, Nanos};
use crate::trace::{Engine, Limits, Services, Settings, Span, SpanId, Stats};

/// Microseconds.
pub const US: u64 = 1_000;
/// Milliseconds.
pub const MS: u64 = 1_000_000;
/// When the worlds begin.
pub const T0: u64 = 1_000_000_000_000;

/// Thread `n` of process `pid`; thread 0 is the main thread.
pub fn tid(pid: u32, n: u32) -> u32 {
    pid * 1000 + n
}

/// A connection: index into the world.
pub type Pipe = usize;

/// An exchange: connection and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct X(pub Pipe, pub u32);

/// What is fed to the engine.
#[derive(Clone, Debug)]
pub enum Feed {
    Open(Open),
    Step(Step),
    Close(ConnId, Nanos),
    Exit(u32, Nanos),
}

impl Feed {
    pub fn at(&self) -> u64 {
        match self {
            Feed::Open(open) => open.stamp.at.0,
            Feed::Step(Step::Request { stamp, .. } | Step::Response { stamp, .. }) => stamp.at.0,
            Feed::Step(Step::End { end, .. }) => end.0,
            Feed::Close(_, at) | Feed::Exit(_, at) => at.0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct End {
    pub pid: u32,
    pub conn: ConnId,
    pub endpoints: Endpoints,
    pub netns: u32,
    pub role: Role,
    pub birth: Option<Stamp>,
    opened: bool,
    number: u32,
    pub shift: u32,
}

#[derive(Clone, Debug)]
pub struct PipeState {
    pub client: Option<End>,
    pub server: Option<End>,
    next: u32,
    pub seq: u32,
    pub reply_seq: u32,
}

#[derive(Clone, Debug)]
struct Exchange {
    seq: u32,
    reply_seq: u32,
    head: RequestHead,
    sent: Option<(u32, u64)>,
    read: Option<(u32, u64)>,
    status: u16,
}

/// The world.
pub struct World {
    pub feed: Vec<Feed>,
    pub pipes: Vec<PipeState>,
    exchanges: BTreeMap<X, Exchange>,
    /// call → request that made it.
    pub truth: BTreeMap<X, X>,
    pub mn: BTreeSet<u32>,
    pub limits: Option<Limits>,
    pub settings: Settings,
    /// The turn in which threads do what is told next; 0: not known.
    pub turn: u32,
    pub(super) cut: bool,
    sockets: u64,
}

/// Without weighing: what is weighed is less sure than any rule, and these worlds are about the rules. How well is weighed is
/// measured on captures of real services (`tests/accuracy.rs`), and in `weighed.rs`.
pub const RULES: Settings = Settings { min_confidence: 0.99 };

impl Default for World {
    fn default() -> Self {
        World {
            feed: Vec::new(),
            pipes: Vec::new(),
            exchanges: BTreeMap::new(),
            truth: BTreeMap::new(),
            mn: BTreeSet::new(),
            limits: None,
            settings: RULES,
            turn: 0,
            cut: false,
            sockets: 0,
        }
    }
}

struct Names<'a>(&'a BTreeSet<u32>);

impl Services for Names<'_> {
    fn name(&self, tgid: u32, _: Nanos) -> Arc<str> {
        Arc::from(match tgid {
            1 => "front",
            2 => "back",
            3 => "third",
            _ => "other",
        })
    }

    fn is_mn_runtime(&self, tgid: u32) -> bool {
        self.0.contains(&tgid)
    }
}

impl World {
    /// A TCP connection between two processes; `None` is a process that is not observed (another host).
    pub fn pipe(&mut self, client: Option<u32>, server: Option<u32>) -> Pipe {
        let n = self.pipes.len() as u32;
        let (a, b) = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)));
        let (aport, bport) = (10_000 + (n % 50_000) as u16, 80 + server.unwrap_or(0) as u16);
        let client = client.map(|pid| self.end(pid, Role::Active, (a, aport), (b, bport)));
        let server = server.map(|pid| self.end(pid, Role::Passive, (b, bport), (a, aport)));
        let (seq, reply_seq) = (n.wrapping_mul(2_654_435_761), n.wrapping_mul(40_503).wrapping_add(77));
        self.pipes.push(PipeState { client, server, next: 0, seq, reply_seq });
        self.pipes.len() - 1
    }

    fn end(&mut self, pid: u32, role: Role, local: (IpAddr, u16), remote: (IpAddr, u16)) -> End {
        self.sockets += 1;
        End {
            pid,
            conn: ConnId { sk: 0xffff_0000 + self.sockets * 64, born: T0 + self.sockets },
            endpoints: Endpoints::Inet {
                local: local.0,
                local_port: local.1,
                remote: remote.0,
                remote_port: remote.1,
            },
            netns: 1,
            role,
            birth: None,
            opened: false,
            number: 0,
            shift: 0,
        }
    }

    /// Turns a connection into a unix socket pair.
    pub fn make_unix(&mut self, pipe: Pipe, role: Option<Role>) {
        let p = &mut self.pipes[pipe];
        let (a, b) = (p.client.as_ref().unwrap().conn.sk, p.server.as_ref().unwrap().conn.sk);
        p.client.as_mut().unwrap().endpoints = Endpoints::Unix { peer: b };
        p.server.as_mut().unwrap().endpoints = Endpoints::Unix { peer: a };
        if let Some(role) = role {
            p.client.as_mut().unwrap().role = role;
            p.server.as_mut().unwrap().role = role;
        }
        p.seq = 0;
        p.reply_seq = 0;
    }

    /// Turns a connection into UDP sockets, of which the server's knows nobody.
    pub fn make_datagrams(&mut self, pipe: Pipe) {
        let p = &mut self.pipes[pipe];
        for end in [&mut p.client, &mut p.server].into_iter().flatten() {
            let Endpoints::Inet { local, local_port, remote, remote_port } = end.endpoints else { continue };
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            end.endpoints = match end.role {
                Role::Passive => Endpoints::Datagram { local: any, local_port, remote: any, remote_port: 0 },
                _ => Endpoints::Datagram { local, local_port, remote, remote_port },
            };
        }
    }

    /// The thread that called connect, and when.
    pub fn connected(&mut self, pipe: Pipe, at: u64, tid: u32) {
        let end = self.pipes[pipe].client.as_mut().unwrap();
        end.birth = Some(Stamp { at: Nanos(T0 + at), tgid: end.pid, tid, ..Stamp::default() });
    }

    /// A new exchange on a connection; nothing has happened yet.
    pub fn exchange(&mut self, pipe: Pipe, target: &str) -> X {
        let p = &mut self.pipes[pipe];
        let x = X(pipe, p.next);
        p.next += 1;
        let exchange = Exchange {
            seq: p.seq,
            reply_seq: p.reply_seq,
            head: RequestHead {
                method: "GET".into(),
                target: target.into(),
                host: Some("svc".into()),
                minor_version: 1,
                ..RequestHead::default()
            },
            sent: None,
            read: None,
            status: 200,
        };
        p.seq = p.seq.wrapping_add(100);
        p.reply_seq = p.reply_seq.wrapping_add(300);
        self.exchanges.insert(x, exchange);
        x
    }

    /// What the request says beyond what every request is asked for.
    pub fn extra(&mut self, x: X) -> &mut Extra {
        self.exchanges.get_mut(&x).unwrap().head.extra.get_or_insert_default()
    }

    pub fn traceparent(&mut self, x: X, trace_id: u128, parent_id: u64) {
        self.extra(x).contexts = vec![TraceContext::w3c(trace_id, parent_id)];
    }

    pub fn status(&mut self, x: X, status: u16) {
        self.exchanges.get_mut(&x).unwrap().status = status;
    }

    fn step(&mut self, x: X, side: Side, at: u64, tid: u32) -> Option<ExchangeId> {
        let p = &mut self.pipes[x.0];
        let end = if side == Side::Client { p.client.as_mut() } else { p.server.as_mut() }?;
        let scene = Scene { turn: self.turn, ..Scene::default() };
        let stamp = Stamp { at: Nanos(T0 + at), tgid: end.pid, tid, scene };
        if !std::mem::replace(&mut end.opened, true) {
            let open = Open {
                conn: end.conn,
                stamp,
                endpoints: end.endpoints.clone(),
                netns: end.netns,
                inode: 0,
                role: end.role,
                birth: end.birth,
                peek: [0; PEEK_BYTES],
                peek_len: 0,
            };
            self.feed.push(Feed::Open(open));
        }
        let exchange = self.exchanges.get_mut(&x).unwrap();
        let slot = if side == Side::Client { &mut exchange.sent } else { &mut exchange.read };
        let number = match slot {
            Some((number, _)) => *number,
            None => {
                *slot = Some((end.number, at));
                end.number += 1;
                let id = ExchangeId { conn: end.conn, number: end.number - 1 };
                self.feed.push(Feed::Step(Step::Request {
                    id,
                    side,
                    first: Nanos(T0 + at),
                    stamp,
                    seq: exchange.seq.wrapping_add(end.shift),
                    head: exchange.head.clone(),
                }));
                return Some(id);
            }
        };
        let id = ExchangeId { conn: end.conn, number };
        self.feed.push(Feed::Step(Step::Response {
            id,
            stamp,
            seq: exchange.reply_seq.wrapping_add(end.shift),
            head: ResponseHead { status: exchange.status, truncated: false, error: None },
        }));
        Some(id)
    }

    pub fn end_step(&mut self, x: X, side: Side, at: u64, outcome: Outcome) {
        let (p, e) = (&self.pipes[x.0], &self.exchanges[&x]);
        let (end, slot) = if side == Side::Client { (&p.client, e.sent) } else { (&p.server, e.read) };
        if let (Some(end), Some((number, first))) = (end, slot) {
            self.feed.push(Feed::Step(Step::End {
                trailer: Trailer::default(),
                id: ExchangeId { conn: end.conn, number },
                request_end: Nanos(T0 + first),
                request_by: Default::default(),
                end: Nanos(T0 + at),
                by: Default::default(),
                request_bytes: 100,
                response_bytes: 300,
                outcome,
            }));
        }
    }

    /// The client writes the request.
    pub fn send(&mut self, x: X, at: u64, tid: u32) {
        self.step(x, Side::Client, at, tid);
    }

    /// The server reads it.
    pub fn recv(&mut self, x: X, at: u64, tid: u32) {
        self.step(x, Side::Server, at, tid);
    }

    /// The server writes the response, all of it.
    pub fn reply(&mut self, x: X, at: u64, tid: u32) {
        self.begin_reply(x, at, tid);
        self.end_step(x, Side::Server, at, Outcome::Complete);
    }

    /// The server writes the beginning of the response.
    pub fn begin_reply(&mut self, x: X, at: u64, tid: u32) {
        self.step(x, Side::Server, at, tid);
    }

    /// The client reads the response, all of it.
    pub fn got(&mut self, x: X, at: u64, tid: u32) {
        self.step(x, Side::Client, at, tid);
        self.end_step(x, Side::Client, at, Outcome::Complete);
    }

    /// A whole call: sent, read by the server's thread 20 µs later, answered, read.
    pub fn call(&mut self, x: X, at: u64, client_tid: u32, server_tid: u32, took: u64) {
        self.send(x, at, client_tid);
        self.recv(x, at + 20 * US, server_tid);
        self.reply(x, at + took - 20 * US, server_tid);
        self.got(x, at + took, client_tid);
    }

    /// The capture begins at `at`: what began earlier is not told, and connections are old.
    pub fn cut(&mut self, at: u64) {
        self.cut = true;
        let mut feed = std::mem::take(&mut self.feed);
        feed.sort_by_key(Feed::at);
        let (before, after): (Vec<Feed>, Vec<Feed>) = feed.into_iter().partition(|item| item.at() < T0 + at);
        let mut old: BTreeMap<ConnId, Open> = BTreeMap::new();
        let mut begun = BTreeSet::new();
        for item in before {
            match item {
                Feed::Open(open) => drop(old.insert(open.conn, open)),
                Feed::Step(step) => drop(begun.insert(step.id())),
                Feed::Close(..) | Feed::Exit(..) => {}
            }
        }
        for item in after {
            match &item {
                Feed::Step(step) if begun.contains(&step.id()) => continue,
                Feed::Step(Step::Request { id, stamp, .. }) => {
                    if let Some(mut open) = old.remove(&id.conn) {
                        open.stamp = *stamp;
                        open.role = Role::Unseen;
                        open.birth = None;
                        self.feed.push(Feed::Open(open));
                    }
                }
                _ => {}
            }
            self.feed.push(item);
        }
    }

    pub fn cause(&mut self, call: X, request: X) {
        self.truth.insert(call, request);
    }

    /// Runs the engine over everything, in the order in which it was told.
    pub fn run(&self) -> Out {
        let mut feed = self.feed.clone();
        feed.sort_by_key(Feed::at);
        self.run_in_order(&feed)
    }

    /// Runs the engine over what is given, the watermark following 5 ms behind, every millisecond.
    pub fn stream(&self, feed: Vec<Feed>, mut out: &mut dyn FnMut(Span)) -> Stats {
        let clock = ClockAnchor { monotonic: Nanos(T0), unix_nanos: 1_700_000_000_000_000_000 };
        let mut engine = Engine::new(self.limits.unwrap_or_default(), clock).with(self.settings);
        let names = Names(&self.mn);
        let (mut advanced, mut latest) = (T0, T0);
        for item in feed {
            latest = latest.max(item.at());
            while advanced + 6 * MS < latest {
                advanced += MS;
                engine.advance(Nanos(advanced), &names, &mut out);
            }
            match item {
                Feed::Open(open) => engine.open(&open),
                Feed::Step(step) => engine.step(step),
                Feed::Close(conn, at) => engine.close(conn, at),
                Feed::Exit(tgid, at) => engine.process_exit(tgid, at),
            }
        }
        engine.finish(&names, &mut out);
        assert_eq!(engine.undecided(), 0, "nothing stays behind");
        engine.stats()
    }

    /// The same, and keeps everything that comes out.
    pub fn run_in_order(&self, feed: &[Feed]) -> Out {
        let mut spans = Vec::new();
        let stats = self.stream(feed.to_vec(), &mut |span| spans.push(span));
        let mut json = Vec::new();
        for span in &spans {
            span.to_json(&mut json);
            json.push(b'\n');
        }
        let id = |end: &Option<End>, slot: Option<(u32, u64)>| {
            let (end, (number, at)) = (end.as_ref()?, slot?);
            Some(SpanId::derive(ExchangeId { conn: end.conn, number }, Nanos(T0 + at)))
        };
        let ids = self.exchanges.iter().map(|(x, e)| {
            let p = &self.pipes[x.0];
            (*x, (id(&p.client, e.sent), id(&p.server, e.read)))
        });
        Out { spans, stats, json, ids: ids.collect() }
    }
}
