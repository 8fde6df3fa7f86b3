//! DNS over UDP: the sockets on which lookups are made or answered.
//!
//! A UDP socket has no connection, and closes without a sign. What is told of it is told of connections that are made up here:
//! one for each other end, as far as that is known. A socket without open lookups is soon forgotten; if it speaks again
//! it is another one.
//!
//! The two ends of a lookup are joined by what it says ([`position`]) and the port of the server: the addresses are not the same
//! at both ends where they are translated, and of a server's socket they are not known when the query comes.

use std::net::IpAddr;

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

use super::lookups::{Lookups, Moved, Taken};
use super::message::{self, Message};
use crate::event::{Datagram, Direction, Endpoints, Mover, Open, Role};
use crate::exchange::Step;
use crate::protocol::calls::Begun;
use crate::protocol::names::Names;
use crate::protocol::tally::{Skip, Tally};
use crate::protocol::{Context, Limits};
use crate::time::Nanos;

/// Nobody waits longer for an answer than this after asking, as far as is known: five seconds is the default of glibc, musl,
/// Go and dig. Nothing is said of what came after.
const PATIENCE: u64 = 5_000_000_000;
/// An answer that comes later than this after the query is not waited for.
const OVER: u64 = 10_000_000_000;
/// Who asks the same once more, at another server, this long after the first time waits no longer for the first one.
const AGAIN: u64 = 250_000_000;
/// A socket on which nothing has moved for so long, and nothing is open, is forgotten.
const IDLE: u64 = 3_000_000_000;
/// Other ends of a socket that are told apart.
const MAX_PEERS: usize = 64;
/// Multicast DNS (RFC 6762) and LLMNR (RFC 4795): the same messages, to everybody, whom nobody need answer.
const MULTICAST: [u16; 2] = [5353, 5355];

/// A socket's memory and inode: the kernel uses the former again.
type Key = (u64, u64);

type Address = Option<(IpAddr, u16)>;

/// All sockets.
#[derive(Default)]
pub(crate) struct Sockets {
    sockets: FxHashMap<Key, Socket>,
    /// Where each thread asked last.
    asked: FxHashMap<u32, Key>,
    /// When the last connection was made up.
    born: u64,
}

#[derive(Default)]
struct Socket {
    /// Each with the connection that stands for it.
    peers: Vec<(Address, ConnId)>,
    lookups: Lookups,
    last: Nanos,
}

/// What a datagram, or the passing of time, leads to.
pub(crate) struct Output<'a> {
    /// New connections.
    pub opened: &'a mut Vec<Open>,
    /// Connections that are forgotten.
    pub closed: &'a mut Vec<ConnId>,
    /// Steps of exchanges.
    pub steps: &'a mut Vec<Step>,
    /// The account.
    pub tally: &'a mut Tally,
    /// Shared strings.
    pub names: &'a mut Names,
    /// Bounds.
    pub limits: &'a Limits,
}

impl Output<'_> {
    /// Runs something that parsers do.
    fn with<T>(&mut self, conn: ConnId, what: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let mut unclaimed = 0;
        let mut cx = Context {
            conn,
            out: self.steps,
            tally: self.tally,
            names: self.names,
            limits: self.limits,
            unclaimed: &mut unclaimed,
        };
        what(&mut cx)
    }
}

const NOBODY: ConnId = ConnId { sk: 0, born: 0 };

impl Sockets {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Takes a datagram: every byte of it is accounted for.
    pub fn take(&mut self, datagram: &Datagram<'_>, out: &mut Output<'_>) {
        let key = (datagram.sk, datagram.inode);
        if datagram.refused {
            if let Some(socket) = self.sockets.get_mut(&key) {
                out.with(NOBODY, |cx| socket.lookups.refused(cx, datagram.stamp.at));
            }
            return;
        }
        let len = u64::from(datagram.len);
        let message = message::read(datagram.data, datagram.len as usize).filter(|_| !is_multicast(datagram));
        let Some(message) = message else { return out.tally.skip(Skip::NotUnderstood, len) };
        let is_known = self.sockets.contains_key(&key);
        if !is_known && message.is_response {
            out.tally.unrequested = out.tally.unrequested.saturating_add(1);
            return out.tally.skip(Skip::Unrequested, len);
        }
        if !is_known && self.sockets.len() >= out.limits.connections {
            return out.tally.skip(Skip::Desync, len);
        }
        let moved = Moved {
            dir: datagram.dir,
            begun: Begun { seq: position(&message), at: datagram.stamp.at },
            stamp: datagram.stamp,
            last: datagram.stamp.into(),
            len,
        };
        let (socket, born) = (self.sockets.entry(key).or_default(), &mut self.born);
        socket.last = datagram.stamp.at;
        let conn = if message.is_response { NOBODY } else { socket.conn(datagram, born, out) };
        match out.with(conn, |cx| socket.lookups.take(cx, &message, &moved)) {
            Taken::Unrequested => out.tally.skip(Skip::Unrequested, len),
            Taken::Overflow => out.tally.skip(Skip::Desync, len),
            Taken::Asked => {
                out.tally.head(len);
                self.give_up(key, &message, datagram);
            }
            Taken::Again | Taken::Answered => out.tally.head(len),
        }
    }

    /// Whoever asks the same elsewhere has waited long enough for those whom he asked before.
    fn give_up(&mut self, here: Key, message: &Message, datagram: &Datagram<'_>) {
        let Some(question) = message.question.filter(|_| datagram.dir == Direction::Tx) else { return };
        let (at, by) = (datagram.stamp.at, Mover::from(&datagram.stamp));
        let before = self.asked.insert(by.tid, here).filter(|before| *before != here);
        if let Some(socket) = before.and_then(|before| self.sockets.get_mut(&before)) {
            socket.lookups.give_up(message.id, &question, by, at, AGAIN);
        }
    }

    /// It is `now`: what was asked long ago is not answered any more, and idle sockets are forgotten.
    pub fn expire(&mut self, now: Nanos, out: &mut Output<'_>) {
        let before = |nanos| Nanos(now.0.saturating_sub(nanos));
        for key in self.in_order(|socket| socket.lookups.count() > 0) {
            if let Some(socket) = self.sockets.get_mut(&key) {
                out.with(NOBODY, |cx| socket.lookups.expire(cx, before(OVER), PATIENCE));
            }
        }
        for key in self.in_order(|socket| socket.lookups.count() == 0 && socket.last < before(IDLE)) {
            if let Some(socket) = self.sockets.remove(&key) {
                out.closed.extend(socket.peers.iter().map(|(_, conn)| *conn));
            }
        }
        let sockets = &self.sockets;
        self.asked.retain(|_, key| sockets.contains_key(key));
    }

    /// Messages may have been missed.
    pub fn lose(&mut self, at: Nanos, out: &mut Output<'_>) {
        for key in self.in_order(|socket| socket.lookups.count() > 0) {
            if let Some(socket) = self.sockets.get_mut(&key) {
                out.with(NOBODY, |cx| socket.lookups.lose(cx, at));
            }
        }
    }

    /// The capture is over.
    pub fn finish(&mut self, at: Nanos, out: &mut Output<'_>) {
        for key in self.in_order(|_| true) {
            if let Some(mut socket) = self.sockets.remove(&key) {
                let before = Nanos(at.0.saturating_sub(PATIENCE));
                out.with(NOBODY, |cx| {
                    socket.lookups.expire(cx, before, PATIENCE);
                    socket.lookups.cut(cx, at, false);
                });
            }
        }
    }

    /// The table's order must not show.
    fn in_order(&self, which: impl Fn(&Socket) -> bool) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.sockets.iter().filter(|(_, socket)| which(socket)).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }
}

impl Socket {
    /// The connection that stands for the other end of a query.
    fn conn(&mut self, datagram: &Datagram<'_>, born: &mut u64, out: &mut Output<'_>) -> ConnId {
        let known =
            |peer: Address| self.peers.iter().find(|(other, _)| *other == peer).map(|(_, conn)| *conn);
        let peer = match known(datagram.remote) {
            Some(conn) => return conn,
            None if self.peers.len() < MAX_PEERS => datagram.remote,
            None => match self.peers.last() {
                Some((_, conn)) => return *conn,
                None => datagram.remote,
            },
        };
        // Two of the same moment are two.
        *born = datagram.stamp.at.0.max(born.saturating_add(1));
        let conn = ConnId { sk: datagram.sk, born: *born };
        self.peers.push((peer, conn));
        let (local, local_port) = datagram.local;
        let (remote, remote_port) = peer.unwrap_or((unspecified(local), 0));
        out.opened.push(Open {
            conn,
            stamp: datagram.stamp,
            endpoints: Endpoints::Datagram { local, local_port, remote, remote_port },
            netns: datagram.netns,
            inode: datagram.inode,
            role: if datagram.dir == Direction::Tx { Role::Active } else { Role::Passive },
            birth: None,
            peek: [0; _],
            peek_len: 0,
        });
        conn
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0u8; 16]),
    }
}

fn is_multicast(datagram: &Datagram<'_>) -> bool {
    let to = datagram.remote;
    MULTICAST.contains(&datagram.local.1)
        || to.is_some_and(|(ip, port)| ip.is_multicast() || MULTICAST.contains(&port))
}

/// What stands for a message's position: both ends of a lookup see the same number and question. FNV-1a.
fn position(message: &Message) -> u32 {
    let question = message.question.as_ref();
    let wire = question.map_or(&[][..], |question| question.name.wire());
    let (kind, class) = question.map_or((0, 0), |question| (question.kind, question.class));
    let head = [message.id, kind, class, message.code + u16::from(message.is_response)];
    let head = head.iter().flat_map(|word| word.to_be_bytes());
    head.chain(wire.iter().copied())
        .fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
