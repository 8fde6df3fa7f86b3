//! What is known of connections, and which two ends belong together.
//!
//! Both ends of a TCP connection have the same two addresses, and both ends of a unix socket know each other's
//! `struct sock`. What they share is a *flow*; it gets a number, so that the join of requests compares two integers.

use std::collections::VecDeque;
use std::net::IpAddr;

use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::abi::ConnId;

use super::record::Peer;
use crate::causality::Birth;
use crate::event::{Endpoints, Open, Role, Stamp};
use crate::time::Nanos;

/// A closed connection is remembered this long, since what was read last may be told after the close.
const LINGER: u64 = 2_000_000_000;

/// What both ends have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ends {
    /// The two addresses, the smaller first. Loopback addresses mean something else in each network namespace, so
    /// it is part of their name; for all others it is 0, because the two ends may be in different ones.
    Inet { low: (IpAddr, u16), high: (IpAddr, u16), netns: u32 },
    /// The two `struct sock`s, the smaller first.
    Unix { low: u64, high: u64 },
}

impl Ends {
    fn of(open: &Open) -> Option<Ends> {
        match open.endpoints {
            Endpoints::Inet { local, local_port, remote, remote_port } => {
                let (one, other) = ((local.to_canonical(), local_port), (remote.to_canonical(), remote_port));
                let loopback = one.0.is_loopback() && other.0.is_loopback();
                let netns = if loopback { open.netns } else { 0 };
                Some(Ends::Inet { low: one.min(other), high: one.max(other), netns })
            }
            Endpoints::Datagram { .. } | Endpoints::Unix { peer: 0 } => None,
            Endpoints::Unix { peer } => {
                Some(Ends::Unix { low: peer.min(open.conn.sk), high: peer.max(open.conn.sk) })
            }
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conn {
    /// Number of the flow.
    pub flow: Option<u32>,
    /// The other end.
    pub peer: Peer,
    /// UDP, which has no flows: both ports, the local one first.
    pub ports: Option<(u16, u16)>,
    /// A unix socket that was open before the capture: the two ends may count from different bytes.
    pub shifted: bool,
    /// It was opened by this end while the capture ran.
    pub new: bool,
    /// By whom, if that was seen.
    pub birth: Option<Stamp>,
    /// The request it was opened for.
    pub born_for: Option<Birth>,
    closed: bool,
}

#[derive(Debug)]
struct Flow {
    number: u32,
    ends: u32,
    /// The `struct sock`s of its ends, as far as they were seen.
    socks: [u64; 2],
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Conns {
    conns: FxHashMap<ConnId, (Conn, Option<Ends>)>,
    flows: FxHashMap<Ends, Flow>,
    /// Flows of which both ends are known, by number.
    both: FxHashSet<u32>,
    numbers: u32,
    order: VecDeque<ConnId>,
    closing: VecDeque<(Nanos, ConnId)>,
}

impl Conns {
    /// A connection is new.
    pub fn open(&mut self, open: &Open, born_for: Option<Birth>, limit: usize) {
        let ends = Ends::of(open);
        let flow = ends.map(|ends| {
            let numbers = &mut self.numbers;
            let mut fresh = || {
                *numbers = numbers.wrapping_add(1);
                Flow { number: *numbers, ends: 0, socks: [0; 2] }
            };
            let flow = self.flows.entry(ends).or_insert_with(&mut fresh);
            // The same end once more: another connection between the same two pieces of kernel memory (unix sockets
            // are named by these) or ports. What comes now must not meet what the earlier one carried.
            if flow.socks.contains(&open.conn.sk) {
                self.both.remove(&flow.number);
                *flow = fresh();
            }
            if let Some(free) = flow.socks.iter_mut().find(|sock| **sock == 0) {
                *free = open.conn.sk;
            }
            flow.ends += 1;
            if flow.ends > 1 {
                self.both.insert(flow.number);
            }
            flow.number
        });
        let (peer, unix) = match open.endpoints {
            Endpoints::Inet { remote, remote_port, .. } => {
                (Peer::Inet(remote.to_canonical(), remote_port), false)
            }
            Endpoints::Datagram { remote, remote_port, .. } => {
                let known = (remote_port != 0).then(|| (remote.to_canonical(), remote_port));
                (Peer::Datagram(known), false)
            }
            Endpoints::Unix { .. } => (Peer::Unix, true),
        };
        let conn = Conn {
            flow,
            peer,
            ports: match open.endpoints {
                Endpoints::Datagram { local_port, remote_port, .. } => Some((local_port, remote_port)),
                Endpoints::Inet { .. } | Endpoints::Unix { .. } => None,
            },
            shifted: unix && open.role == Role::Unseen,
            new: open.role == Role::Active,
            birth: open.birth,
            born_for,
            closed: false,
        };
        match self.conns.insert(open.conn, (conn, ends)) {
            Some((conn, Some(old))) => self.leave(old, conn.flow),
            Some((_, None)) => {}
            None => self.order.push_back(open.conn),
        }
        while self.conns.len() > limit {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(oldest);
        }
        if self.order.len() > 2 * self.conns.len() + 1024 {
            let conns = &self.conns;
            self.order.retain(|conn| conns.contains_key(conn));
        }
    }

    /// A connection.
    pub fn get(&self, conn: ConnId) -> Option<&Conn> {
        self.conns.get(&conn).map(|(conn, _)| conn)
    }

    /// Whether both ends of a flow are on this host and observed.
    pub fn sees_both(&self, flow: u32) -> bool {
        self.both.contains(&flow)
    }

    /// How much is remembered of connections.
    pub fn held(&self) -> usize {
        let Conns { conns, flows, both, numbers: _, order, closing } = self;
        conns.len() + flows.len() + both.len() + order.len() + closing.len()
    }

    /// A connection ended.
    pub fn close(&mut self, conn: ConnId, at: Nanos) {
        if let Some((known, _)) = self.conns.get_mut(&conn)
            && !std::mem::replace(&mut known.closed, true)
        {
            self.closing.push_back((at, conn));
        }
    }

    /// Forgets what ended long ago.
    pub fn advance(&mut self, now: Nanos) {
        while let Some((_, conn)) = self.closing.pop_front_if(|(at, _)| now.since(*at) >= LINGER) {
            self.forget(conn);
        }
    }

    fn forget(&mut self, conn: ConnId) {
        if let Some((conn, Some(ends))) = self.conns.remove(&conn) {
            self.leave(ends, conn.flow);
        }
    }

    fn leave(&mut self, ends: Ends, number: Option<u32>) {
        if let Some(flow) = self.flows.get_mut(&ends).filter(|flow| Some(flow.number) == number) {
            flow.ends = flow.ends.saturating_sub(1);
            if flow.ends == 0 {
                self.both.remove(&flow.number);
                self.flows.remove(&ends);
            }
        }
    }
}
