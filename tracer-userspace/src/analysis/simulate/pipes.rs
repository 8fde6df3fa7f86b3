//! The connections of the simulated host, and what is told of what goes over them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracer_common::abi::ConnId;

use super::{Counts, US};
use crate::analysis::Observation;
use crate::arena::{Arena, Key};
use crate::event::{Endpoints, Open, Role, Stamp};
use crate::exchange::{
    ExchangeId, Extra, Outcome, RequestHead, ResponseHead, Side, Step, TraceContext, Trailer,
};
use crate::time::Nanos;

/// One observed end.
#[derive(Debug)]
struct End {
    conn: ConnId,
    endpoints: Endpoints,
    /// It was told that it is there.
    told: bool,
    first: Nanos,
}

/// A connection. It carries one exchange at a time.
#[derive(Debug)]
struct Pipe {
    client: Option<End>,
    server: End,
    /// Who called connect.
    birth: Option<Stamp>,
    /// Of the exchange that it carries now, or carried last.
    number: u32,
    used: bool,
    seq: u32,
    reply_seq: u32,
    request_bytes: u64,
    /// The end of its last exchange, which the next look at it will tell.
    late: Option<Step>,
}

impl Pipe {
    fn end(&mut self, side: Side) -> Option<&mut End> {
        match side {
            Side::Client => self.client.as_mut(),
            Side::Server => Some(&mut self.server),
        }
    }
}

/// All connections.
#[derive(Debug, Default)]
pub struct Pipes {
    pipes: Arena<Pipe>,
    late: Vec<Key>,
    said: Vec<Observation>,
    /// What went over them.
    pub counts: Counts,
}

impl Pipes {
    /// A connection to a port, by an observed process or by somebody outside.
    pub fn connect(&mut self, birth: Option<Stamp>, port: u16, now: u64) -> Key {
        self.counts.connections += 1;
        let n = self.counts.connections;
        let server = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1));
        let caller = match birth {
            Some(_) => server,
            None => IpAddr::V4(Ipv4Addr::from(0xc0a8_0000 | (scramble(n) as u32 & 0xffff))),
        };
        let caller_port = 1024 + (n % 60_000) as u16;
        let end = |which: u64, local, local_port, remote, remote_port| End {
            conn: ConnId { sk: scramble(2 * n + which), born: now },
            endpoints: Endpoints::Inet { local, local_port, remote, remote_port },
            told: false,
            first: Nanos(now),
        };
        self.pipes.insert(Pipe {
            client: birth.map(|_| end(0, caller, caller_port, server, port)),
            server: end(1, server, port, caller, caller_port),
            birth,
            number: 0,
            used: false,
            seq: scramble(n) as u32,
            reply_seq: (scramble(n) >> 32) as u32,
            request_bytes: 0,
            late: None,
        })
    }

    /// Exchanges that it has carried.
    pub fn uses(&self, pipe: Key) -> u32 {
        self.pipes.get(pipe).map_or(0, |pipe| pipe.number + u32::from(pipe.used))
    }

    /// Another exchange begins on it.
    pub fn begin(&mut self, pipe: Key) {
        self.tell_late_of(pipe);
        self.counts.calls += 1;
        if let Some(pipe) = self.pipes.get_mut(pipe) {
            pipe.number += u32::from(pipe.used);
            pipe.used = true;
        }
    }

    /// The request is written or read.
    pub fn request(&mut self, pipe: Key, side: Side, stamp: Stamp, head: RequestHead) {
        let Some(pipe) = self.pipes.get_mut(pipe) else { return };
        let (number, seq, birth) = (pipe.number, pipe.seq, pipe.birth);
        pipe.request_bytes = 120 + head.target.len() as u64;
        let Some(end) = pipe.end(side) else { return };
        end.first = stamp.at;
        let id = ExchangeId { conn: end.conn, number };
        if !std::mem::replace(&mut end.told, true) {
            self.said.push(Observation::Open(Box::new(Open {
                conn: end.conn,
                stamp,
                endpoints: end.endpoints.clone(),
                netns: 4_026_531_840,
                inode: end.conn.sk >> 40,
                role: if side == Side::Client { Role::Active } else { Role::Passive },
                birth: birth.filter(|_| side == Side::Client),
                peek: [0; _],
                peek_len: 0,
            })));
        }
        self.said.push(Observation::Step(Step::Request { id, side, first: stamp.at, stamp, seq, head }));
        self.counts.exchanges += 1;
    }

    /// The response is written or read, in one piece. `late`: of its end is told when the connection is next looked at.
    pub fn response(&mut self, key: Key, side: Side, stamp: Stamp, (status, bytes): (u16, u64), late: bool) {
        let Some(pipe) = self.pipes.get_mut(key) else { return };
        let (number, seq, request_bytes) = (pipe.number, pipe.reply_seq, pipe.request_bytes);
        let Some(end) = pipe.end(side) else { return };
        let id = ExchangeId { conn: end.conn, number };
        let done = Step::End {
            trailer: Trailer::default(),
            id,
            request_end: end.first,
            request_by: Default::default(),
            end: Nanos(stamp.at.0 + if late { 20 * US } else { 0 }),
            by: Default::default(),
            request_bytes,
            response_bytes: bytes,
            outcome: Outcome::Complete,
        };
        let head = ResponseHead { status, truncated: false, error: None };
        self.said.push(Observation::Step(Step::Response { id, stamp, seq, head }));
        if side == Side::Client || pipe.client.is_none() {
            pipe.seq = pipe.seq.wrapping_add(request_bytes as u32);
            pipe.reply_seq = pipe.reply_seq.wrapping_add(bytes as u32);
        }
        if late {
            pipe.late = Some(done);
            self.late.push(key);
        } else {
            self.said.push(Observation::Step(done));
        }
    }

    /// Both ends are closed.
    pub fn close(&mut self, pipe: Key, now: u64) {
        self.tell_late_of(pipe);
        let Some(pipe) = self.pipes.remove(pipe) else { return };
        for end in pipe.client.into_iter().chain([pipe.server]) {
            self.said.push(Observation::Close { conn: end.conn, at: Nanos(now) });
        }
    }

    /// All connections are looked at.
    pub fn tell_late(&mut self) {
        for pipe in std::mem::take(&mut self.late) {
            self.tell_late_of(pipe);
        }
    }

    fn tell_late_of(&mut self, pipe: Key) {
        let late = self.pipes.get_mut(pipe).and_then(|pipe| pipe.late.take());
        self.said.extend(late.map(Observation::Step));
    }

    /// Tells something else.
    pub fn say(&mut self, observation: Observation) {
        self.said.push(observation);
    }

    /// What was told.
    pub fn take_said(&mut self) -> impl Iterator<Item = Observation> {
        self.said.drain(..)
    }
}

/// The texts of heads that return again and again; the protocol stage knows each only once, too.
#[derive(Debug)]
pub struct Words {
    get: Arc<str>,
    outside: Arc<str>,
    shop: Arc<str>,
    stock: Arc<str>,
}

impl Default for Words {
    fn default() -> Self {
        Words {
            get: "GET".into(),
            outside: "www.example.com".into(),
            shop: "shop.internal:8080".into(),
            stock: "stock.internal:9000".into(),
        }
    }
}

impl Words {
    /// The head of a request from outside to the proxy.
    pub fn to_proxy(&self, target: Box<str>, context: Option<TraceContext>) -> RequestHead {
        let extra = context.map(|context| Box::new(Extra { contexts: vec![context], ..Extra::default() }));
        RequestHead { extra, ..self.head(&self.outside, target) }
    }

    /// From the proxy to the shop.
    pub fn to_shop(&self, target: Box<str>) -> RequestHead {
        self.head(&self.shop, target)
    }

    /// From the shop to a stock keeper.
    pub fn to_stock(&self, target: Box<str>) -> RequestHead {
        self.head(&self.stock, target)
    }

    fn head(&self, host: &Arc<str>, target: Box<str>) -> RequestHead {
        RequestHead {
            method: Arc::clone(&self.get),
            target,
            host: Some(Arc::clone(host)),
            minor_version: 1,
            ..RequestHead::default()
        }
    }
}

/// A number that looks like any other (splitmix64): names of connections are hashes.
pub fn scramble(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
