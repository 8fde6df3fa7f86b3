//! What was not understood, told by endpoint: "127.0.0.1:5432: 12 connections, 34 kB, looks like PostgreSQL" is worth
//! more to a reader than a number of bytes.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::event::{Endpoints, Role};
use crate::protocol::guess::Guess;

/// Where a connection leads to, without the arbitrary port of the end that called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// The service's address and port.
    Inet(IpAddr, u16),
    /// Unix sockets, which have no name here.
    Unix,
    /// The record that carried the addresses was lost, or the list is full.
    Unknown,
}

/// Which end of these connections was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// The one that called the service.
    Caller,
    /// The service.
    Service,
    /// The connections were open before; the lower port is taken for the service's.
    Assumed,
}

/// Connections of one kind that were not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The service.
    pub peer: Peer,
    /// Which end was seen. A connection within this host is seen, and counted, at both.
    pub end: End,
    /// What their first bytes look like.
    pub looks_like: Option<Guess>,
    /// How many connection ends.
    pub connections: u64,
    /// How many bytes, both directions.
    pub bytes: u64,
}

type Key = (Peer, End, Option<Guess>);

/// A bounded table of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Strangers {
    known: FxHashMap<Key, (u64, u64)>,
}

impl Strangers {
    /// Counts one connection; one too many for the table is counted as [`Peer::Unknown`].
    pub(super) fn add(&mut self, peer: Peer, end: End, looks_like: Option<Guess>, bytes: u64, limit: usize) {
        let key = (peer, end, looks_like);
        let key = if self.known.len() < limit || self.known.contains_key(&key) {
            key
        } else {
            (Peer::Unknown, End::Assumed, looks_like)
        };
        let entry = self.known.entry(key).or_default();
        entry.0 = entry.0.saturating_add(1);
        entry.1 = entry.1.saturating_add(bytes);
    }

    /// All of them, most bytes first.
    pub(super) fn list(&self) -> Vec<Stranger> {
        let mut list: Vec<Stranger> = self
            .known
            .iter()
            .map(|((peer, end, looks_like), (connections, bytes))| Stranger {
                peer: *peer,
                end: *end,
                looks_like: *looks_like,
                connections: *connections,
                bytes: *bytes,
            })
            .collect();
        list.sort_by(|a, b| {
            let key = |one: &Stranger| (one.peer, one.end, one.looks_like);
            b.bytes.cmp(&a.bytes).then_with(|| key(a).cmp(&key(b)))
        });
        list
    }
}

/// The service's end of a connection, and which end this is.
pub(super) fn service(endpoints: &Endpoints, role: Role) -> (Peer, End) {
    let (Endpoints::Inet { local, local_port, remote, remote_port }
    | Endpoints::Datagram { local, local_port, remote, remote_port }) = endpoints
    else {
        let end = match role {
            Role::Active => End::Caller,
            Role::Passive => End::Service,
            Role::Unseen => End::Assumed,
        };
        return (Peer::Unix, end);
    };
    let (here, there) = (Peer::Inet(*local, *local_port), Peer::Inet(*remote, *remote_port));
    match role {
        Role::Active => (there, End::Caller),
        Role::Passive => (here, End::Service),
        Role::Unseen if local_port <= remote_port => (here, End::Assumed),
        Role::Unseen => (there, End::Assumed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inet(local_port: u16, remote_port: u16) -> Endpoints {
        let address = IpAddr::from([127, 0, 0, 1]);
        Endpoints::Inet { local: address, local_port, remote: address, remote_port }
    }

    #[test]
    fn the_service_is_the_end_that_was_called() {
        let address = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(service(&inet(40_000, 5432), Role::Active), (Peer::Inet(address, 5432), End::Caller));
        assert_eq!(service(&inet(5432, 40_000), Role::Passive), (Peer::Inet(address, 5432), End::Service));
        assert_eq!(service(&inet(40_000, 5432), Role::Unseen), (Peer::Inet(address, 5432), End::Assumed));
    }

    #[test]
    fn the_table_is_bounded_and_loses_no_count() {
        let mut strangers = Strangers::default();
        for port in 0..100 {
            let peer = Peer::Inet(IpAddr::from([127, 0, 0, 1]), port);
            strangers.add(peer, End::Service, None, 10, 8);
        }
        let list = strangers.list();
        assert_eq!(list.len(), 9);
        assert_eq!(list.iter().map(|one| one.connections).sum::<u64>(), 100);
        assert_eq!(list[0].peer, Peer::Unknown);
        assert_eq!(list[0].bytes, 920);
    }
}
