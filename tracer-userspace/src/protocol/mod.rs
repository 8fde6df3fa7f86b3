//! From ordered bytes to exchanges: one parser per protocol, all behind one trait.
//!
//! Parsers are sans-IO and see *cut-off* streams: the beginning of a message and, for the rest, only how many bytes
//! there were and when the last of them moved. A parser therefore says what it knows for certain and counts the
//! rest; it never guesses a pairing. `stream` owns the connections, decides what is a gap, and feeds the parsers.

use std::sync::Arc;

use tracer_common::abi::ConnId;

use crate::event::{Direction, Mover, Stamp};
use crate::exchange::Step;
use crate::secret::Masking;
use crate::time::Nanos;

pub mod amqp;
pub mod calls;
pub mod context;
pub mod dns;
pub(crate) mod extra;
pub mod fastcgi;
pub mod frames;
pub mod guess;
pub mod headers;
pub mod http1;
pub mod http2;
pub mod kafka;
pub(crate) mod mask;
pub mod memcached;
pub mod mongodb;
pub mod moved;
pub mod mysql;
pub mod names;
pub mod postgres;
pub mod recognise;
pub mod redis;
#[cfg(any(test, feature = "test-support"))]
pub mod rehearse;
#[cfg(test)]
pub(crate) mod scripted;
pub mod sql;
pub mod tally;
pub mod tokens;

use headers::Headers;
use names::Names;
use tally::{Skip, Tally};
use tokens::HashKey;

/// Bytes in their order on one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a> {
    /// The bytes, never empty. The first of them is the first of a call: a call is captured from its beginning.
    pub data: &'a [u8],
    /// They look like the beginning of an HTTP/1 message.
    pub starts: bool,
    /// They are the last of their call (nothing of it was cut off).
    pub ends_call: bool,
    /// Bytes that the call moved, of which these are the first.
    pub call_len: u64,
    /// TCP sequence number of the first one.
    pub seq: u32,
    /// Who moved them; the end of the call.
    pub stamp: Stamp,
}

/// Bytes that moved and were not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many. 0: there are no more bytes, but the tail of the last gap has become known.
    pub len: u64,
    /// When the last of them moved.
    pub last: Nanos,
    /// Who moved it.
    pub by: Mover,
    /// The last eight bytes of the last call, if they were readable. A call of fewer bytes is padded with zeros.
    pub tail: Option<[u8; 8]>,
}

/// What a connection's direction consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Captured.
    Bytes(Bytes<'a>),
    /// Counted.
    Gap(Gap),
}

/// Bounds on what is kept, and what is not to be kept or used at all. The defaults suit a host with some ten thousand connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections followed at a time.
    pub connections: usize,
    /// Requests of one connection that wait for their responses; further ones are counted, not paired.
    pub outstanding: usize,
    /// Bytes of a request target that are kept.
    pub target: usize,
    /// Distinct methods and hosts of which one copy is shared.
    pub names: usize,
    /// Distinct endpoints in the list of what was not understood.
    pub strangers: usize,
    /// Whether secrets are masked.
    pub masking: Masking,
    /// Which headers are kept, and which prove nothing.
    pub headers: Arc<Headers>,
    /// The key of the hashes of tokens.
    pub hash_key: HashKey,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1 << 18,
            outstanding: 1024,
            target: 2048,
            names: 4096,
            strangers: 1024,
            masking: Masking::On,
            headers: Arc::default(),
            hash_key: HashKey::default(),
        }
    }
}

/// What a parser works with besides its own state.
pub struct Context<'a> {
    /// The connection, for naming exchanges.
    pub conn: ConnId,
    /// Where steps go.
    pub out: &'a mut Vec<Step>,
    /// Where every byte is accounted for.
    pub tally: &'a mut Tally,
    /// Shared strings.
    pub names: &'a mut Names,
    /// Bounds.
    pub limits: &'a Limits,
    /// Bytes of this connection that nobody has accounted for, because it is not certain yet that the protocol is
    /// spoken on it at all.
    pub unclaimed: &'a mut u64,
}

impl Context<'_> {
    /// Accounts for bytes that belong to no message. Before the protocol is certain they stay unclaimed.
    pub fn skip(&mut self, understood: bool, why: Skip, bytes: u64) {
        if understood {
            self.tally.skip(why, bytes);
        } else {
            *self.unclaimed = self.unclaimed.saturating_add(bytes);
        }
    }

    /// It is certain from now on that the protocol is spoken: what was seen before is accounted for. Once; false if it was known.
    pub fn understand(&mut self, understood: &mut bool) -> bool {
        if *understood {
            return false;
        }
        *understood = true;
        self.tally.skip(Skip::Joined, std::mem::take(self.unclaimed));
        true
    }
}

/// What shall be captured of a connection. The probes begin with little, and are told when more (or less) is of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interest {
    /// Nothing is known: the first calls are looked at, and now and then one.
    #[default]
    Unknown,
    /// Calls that begin like an HTTP/1 message, up to the end of the head. The probes see to it by themselves.
    Heads,
    /// Of every call the beginning: short calls whole, of long transfers the first call's beginning and a few bytes of each further one.
    Calls,
    /// Of every call as much as fits into a record, because messages of several exchanges are mixed.
    Everything,
    /// Nothing but how many bytes there are: it is encrypted, or cannot be followed any more.
    Nothing,
}

/// One protocol on one connection.
pub trait Parser: Send {
    /// Takes the next piece of one direction. Pieces of both directions come in the order in which they moved.
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>);

    /// Calls may have been missed, in either direction, and nothing else will tell of it: what was going on is given up,
    /// and nothing that follows continues it.
    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos);

    /// The connection is over (`closed`), or only the capture: tells what is open, and accounts for what was begun.
    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool);

    /// Whether it is certain that the protocol is spoken. A parser that is not certain and holds no bytes is dropped.
    fn understood(&self) -> bool;

    /// Bytes held back because what they are is not yet decided.
    fn pending(&self) -> u64;

    /// What it needs of the calls to come. Asked after each piece.
    fn interest(&self) -> Interest;

    /// Whether an exchange is open, so that bytes which are only counted may be the end of it.
    fn is_busy(&self) -> bool;
}
