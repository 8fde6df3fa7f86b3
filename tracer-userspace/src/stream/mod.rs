//! From events to ordered bytes, per connection and direction, with what was not captured marked as gaps; and from
//! those, through the parsers of [`crate::protocol`], to exchanges.
//!
//! [`Streams`] owns every connection. Events go in, [`Step`]s come out; there is no clock, no thread and no I/O, and the
//! same events give the same steps.
//!
//! # What is expected of the events
//!
//! Events of one connection come in the order in which the kernel made them. Counts (`Progress`) are those before the
//! event's own call; counts that are behind what is known are ignored, which happens where two CPUs serve one
//! connection. A segment whose bytes were already accounted for is late: its data is not used, only counted.
//! A connection may appear without its [`Open`] (lost), and may lose any record.

mod closed;
mod connection;
mod cursor;
mod ledger;
#[cfg(test)]
mod properties;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod script;
#[cfg(any(test, feature = "test-support"))]
pub mod simulate;
mod strangers;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

use crate::event::{Counts, Datagram, Direction, Open, Segment};
use crate::exchange::Step;
use crate::protocol::dns::datagrams::{Output, Sockets};
use crate::protocol::names::Names;
use crate::protocol::tally::Skip;
use crate::protocol::{Interest, Limits};
use crate::time::Nanos;
use closed::Closed;
use connection::{Connection, Ending, Shared};
pub use ledger::{Classes, Ledger};
use strangers::Strangers;
pub use strangers::{End, Peer, Stranger};

/// All connections of a capture.
pub struct Streams {
    connections: FxHashMap<ConnId, Connection>,
    closed: Closed,
    /// UDP sockets.
    sockets: Sockets,
    shared: Shared,
}

/// Connections that stand for what goes through UDP sockets.
#[derive(Debug, Default)]
pub struct Apparent {
    /// New ones.
    pub opened: Vec<Open>,
    /// Those on which nothing is to be expected any more.
    pub closed: Vec<ConnId>,
}

impl Streams {
    /// Nothing seen yet.
    pub fn new(limits: Limits) -> Streams {
        Streams {
            connections: FxHashMap::default(),
            closed: Closed::default(),
            sockets: Sockets::default(),
            shared: Shared {
                names: Names::new(limits.names),
                limits,
                ledger: Ledger::default(),
                strangers: Strangers::default(),
                interests: Vec::new(),
            },
        }
    }

    /// A connection is seen for the first time (or its addresses become known later).
    pub fn on_open(&mut self, open: &Open) {
        match self.connection(open.conn) {
            Some((connection, _)) => connection.open(open),
            None => {
                let late = self.closed.contains(&open.conn).then_some(0);
                self.shared.late(late);
            }
        }
    }

    /// Part of a message, or a call that looks like one.
    pub fn on_segment(&mut self, segment: &Segment<'_>, out: &mut Vec<Step>) {
        match self.connection(segment.conn) {
            Some((connection, shared)) => connection.segment(segment, shared, out),
            None => {
                let len = u64::from(segment.len);
                let call = match segment.dir {
                    Direction::Rx => (len, 0),
                    Direction::Tx => (0, len),
                };
                let late = self.closed.late(&segment.conn, &segment.rx, &segment.tx, call);
                self.shared.late(late);
            }
        }
    }

    /// A message of a UDP socket.
    pub fn on_datagram(&mut self, datagram: &Datagram<'_>, apparent: &mut Apparent, out: &mut Vec<Step>) {
        let ledger = &mut self.shared.ledger;
        // The word that nobody takes what was sent is no message, whatever its record says of bytes.
        let moved = if datagram.refused { 0 } else { datagram.len };
        ledger.seen = ledger.seen.saturating_add(u64::from(moved));
        let before = apparent.opened.len();
        self.sockets.take(datagram, &mut output(&mut self.shared, apparent, out));
        let new = (apparent.opened.len() - before) as u64;
        let ledger = &mut self.shared.ledger;
        ledger.connections = ledger.connections.saturating_add(new);
        ledger.classes.understood = ledger.classes.understood.saturating_add(new);
    }

    /// It is `now`. `lost`: messages of UDP sockets may have been lost.
    pub fn on_time(&mut self, now: Nanos, lost: bool, apparent: &mut Apparent, out: &mut Vec<Step>) {
        let mut output = output(&mut self.shared, apparent, out);
        if lost {
            self.sockets.lose(now, &mut output);
        }
        self.sockets.expire(now, &mut output);
    }

    /// Counts of a connection: its end, or a look at one that is quiet.
    pub fn on_counts(&mut self, counts: &Counts, out: &mut Vec<Step>) {
        let Some((connection, shared)) = self.connection(counts.conn) else {
            let late = self.closed.late(&counts.conn, &counts.rx, &counts.tx, (0, 0));
            self.shared.late(late);
            return;
        };
        connection.counts(counts, shared, out);
        if counts.closed {
            connection.end(counts.at, Ending::Closed(counts.proto), shared, out);
            let positions = connection.positions();
            self.connections.remove(&counts.conn);
            self.closed.add(counts.conn, positions);
        }
    }

    /// Calls may have been missed on any connection. The bytes of TCP's have numbers, which tell; what was going on on
    /// the others is given up.
    pub fn on_missed(&mut self, at: Nanos, out: &mut Vec<Step>) {
        let mut busy: Vec<&mut Connection> =
            self.connections.values_mut().filter(|connection| connection.is_unnumbered()).collect();
        busy.sort_unstable_by_key(|connection| (connection.id().born, connection.id().sk));
        for connection in busy {
            connection.lose(at, &mut self.shared, out);
        }
        self.sockets.lose(at, &mut output(&mut self.shared, &mut Apparent::default(), out));
    }

    /// The capture is over: what is open is told as far as it is known. Connections are ended in the order in which they
    /// were first seen.
    pub fn finish(&mut self, at: Nanos, out: &mut Vec<Step>) {
        self.sockets.finish(at, &mut output(&mut self.shared, &mut Apparent::default(), out));
        let mut open: Vec<(ConnId, Connection)> = self.connections.drain().collect();
        open.sort_by_key(|(id, _)| (id.born, id.sk));
        for (id, mut connection) in open {
            connection.end(at, Ending::Finished, &mut self.shared, out);
            self.closed.add(id, connection.positions());
        }
    }

    /// The account so far. It closes at any moment.
    pub fn ledger(&self) -> Ledger {
        self.snapshot().0
    }

    /// Connections that were not understood, by endpoint, most bytes first.
    pub fn not_understood(&self) -> Vec<Stranger> {
        self.snapshot().1.list()
    }

    /// Connections with an open exchange, whose counts may tell its end; in the order in which they were first seen.
    pub fn busy(&self) -> Vec<ConnId> {
        let mut busy: Vec<ConnId> =
            self.connections.values().filter(|connection| connection.is_busy()).map(Connection::id).collect();
        busy.sort_unstable_by_key(|id| (id.born, id.sk));
        busy
    }

    /// What is to be captured of connections from now on, as far as that has changed and the probes cannot know it.
    pub fn take_interests(&mut self) -> Vec<(ConnId, Interest)> {
        std::mem::take(&mut self.shared.interests)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.connections.len() + self.sockets.count()
    }

    fn snapshot(&self) -> (Ledger, Strangers) {
        let (mut ledger, mut strangers) = (self.shared.ledger.clone(), self.shared.strangers.clone());
        let mut open: Vec<&Connection> = self.connections.values().collect();
        // The order matters only where the table of strangers is full.
        open.sort_by_key(|connection| (connection.id().born, connection.id().sk));
        for connection in open {
            connection.snapshot(&mut ledger, &mut strangers, &self.shared.limits);
        }
        (ledger, strangers)
    }

    /// The connection, new if need be; `None` if it has ended or there is no room.
    fn connection(&mut self, id: ConnId) -> Option<(&mut Connection, &mut Shared)> {
        let shared = &mut self.shared;
        let room = self.connections.len() < shared.limits.connections;
        match self.connections.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => Some((known.into_mut(), shared)),
            std::collections::hash_map::Entry::Vacant(new) => {
                if self.closed.contains(&id) || !room {
                    return None;
                }
                shared.ledger.connections += 1;
                Some((new.insert(Connection::new(id)), shared))
            }
        }
    }
}

fn output<'a>(shared: &'a mut Shared, apparent: &'a mut Apparent, steps: &'a mut Vec<Step>) -> Output<'a> {
    Output {
        opened: &mut apparent.opened,
        closed: &mut apparent.closed,
        steps,
        tally: &mut shared.ledger.tally,
        names: &mut shared.names,
        limits: &shared.limits,
    }
}

impl Shared {
    /// An event of a connection that is not followed: because it has ended (`new` bytes), or because there is no room.
    fn late(&mut self, new: Option<u64>) {
        match new {
            Some(new) => {
                self.ledger.late += 1;
                self.ledger.seen = self.ledger.seen.saturating_add(new);
                self.ledger.tally.skip(Skip::AfterClose, new);
            }
            None => self.ledger.untracked += 1,
        }
    }
}
