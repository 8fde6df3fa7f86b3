//! One direction of a connection: where it is in its message, and the part of a head that is not complete yet.

use super::body::Body;
use crate::event::{Direction, Stamp};
use crate::protocol::tally::Skip;

/// Bytes of a head that are looked at: as much as the probes capture of one message.
pub(super) const HEAD_LIMIT: usize = tracer_common::abi::MAX_HEAD_BYTES;

/// Where a direction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Position unknown: bytes are skipped until a message start that is certain.
    Skip(Skip),
    /// Between messages.
    Start,
    /// In a head, of which [`Lane::buffer`] holds what came so far.
    Head,
    /// In a body.
    Body(Body),
    /// Another protocol has taken over.
    Tunnel,
}

/// The first byte of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// The call that moved it.
    pub stamp: Stamp,
    /// Its TCP sequence number.
    pub seq: u32,
    /// It is the first byte of its call.
    pub new_call: bool,
    /// In which direction bytes moved last before this call.
    pub after: Option<Direction>,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    pub state: State,
    /// Where the current head began.
    pub mark: Mark,
    /// The call that brought the latest part of the current head.
    pub latest: Stamp,
    /// The current head may be none: it began where the position was unknown. Says what was skipped before.
    pub tentative: Option<Skip>,
    /// Number of the exchange to which the current body belongs.
    pub owner: u32,
    /// The head so far; its memory is kept for the next split head.
    pub buffer: Vec<u8>,
}

impl Lane {
    pub(super) fn new(state: State) -> Lane {
        Lane {
            state,
            mark: Mark::default(),
            latest: Stamp::default(),
            tentative: None,
            owner: 0,
            buffer: Vec::new(),
        }
    }

    /// Bytes held back.
    pub(super) fn pending(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Takes as many bytes of a head as may be held; returns how many.
    pub(super) fn hold(&mut self, bytes: &[u8], stamp: Stamp) -> usize {
        let room = HEAD_LIMIT.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        self.latest = stamp;
        self.state = State::Head;
        taken.len()
    }
}
