//! One direction of a connection, cut into messages. Strings that were only counted are passed by their length; where a gap
//! hides more than the rest of a string, the position is lost until somebody knows that a message begins.

use super::scan::{Kind, Scan, Scanner};
use crate::event::Stamp;
use crate::protocol::moved::Move;
use crate::protocol::{Bytes, Gap};

/// Bytes of a message that are kept: an element of a queue is known by all of its bytes.
const MAX_KEPT: usize = 16 << 10;
/// What a direction keeps of its buffer between messages.
const SPARE: usize = 1 << 10;

/// A message whose last byte has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// How long it is.
    pub len: u64,
    /// Part of it was not captured, or is too long to be kept.
    pub is_cut: bool,
    /// Who moved its first byte.
    pub first: Stamp,
    /// TCP sequence number of its first byte.
    pub seq: u32,
    /// Who moved the last captured byte.
    pub stamp: Stamp,
    /// When its last byte moved.
    pub last: Move,
}

/// What comes next on a direction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// Nothing more is known now.
    More,
    /// A message is over. Its bytes are in [`Lane::kept`].
    Message(Message),
    /// What stands here is no message. So many bytes, from its beginning to the end of what was given, belong to none.
    Broken(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Within { len: u64 },
    Lost,
}

/// One direction.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    scanner: Scanner,
    state: State,
    kept: Vec<u8>,
    is_cut: bool,
    first: Stamp,
    seq: u32,
    stamp: Stamp,
}

impl Lane {
    /// `whole`: a message begins with the first byte.
    pub(super) fn new(kind: Kind, whole: bool) -> Lane {
        Lane {
            scanner: Scanner::new(kind),
            state: if whole { State::Between } else { State::Lost },
            kept: Vec::new(),
            is_cut: false,
            first: Stamp::default(),
            seq: 0,
            stamp: Stamp::default(),
        }
    }

    /// Whether it is not known where a message begins.
    pub(super) fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Whether a message begins with the next byte.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Between
    }

    /// Bytes of a message that is not over.
    pub(super) fn pending(&self) -> u64 {
        if let State::Within { len } = self.state { len } else { 0 }
    }

    /// What is known of the message that was found last, or is going on.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// What is kept of the message that was found last, for as long as it is being looked at.
    pub(super) fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }

    /// Its memory comes back.
    pub(super) fn give_back(&mut self, kept: Vec<u8>) {
        self.kept = kept;
    }

    /// Who moved the first byte of the message that is going on, and its place.
    pub(super) fn first(&self) -> (Stamp, u32) {
        (self.first, self.seq)
    }

    /// A message begins with the next byte. Bytes of one that was going on are returned, for the account.
    pub(super) fn resume(&mut self) -> u64 {
        self.leave(State::Between)
    }

    /// The position is not known any more. Bytes of a message that was going on are returned.
    pub(super) fn lose(&mut self) -> u64 {
        self.leave(State::Lost)
    }

    fn leave(&mut self, state: State) -> u64 {
        let pending = self.pending();
        self.state = state;
        pending
    }

    /// Takes what stands in `piece` from `at` on, up to the end of a message. The position must be known.
    pub(super) fn take(&mut self, piece: &Bytes<'_>, at: &mut usize) -> Next {
        let data = piece.data.get(*at..).unwrap_or_default();
        if data.is_empty() {
            return Next::More;
        }
        if !matches!(self.state, State::Within { .. }) {
            self.begin(piece.stamp, piece.seq.wrapping_add(*at as u32));
        }
        let before = self.pending();
        match self.scanner.take(data) {
            Scan::More => {
                *at = piece.data.len();
                self.keep(data, piece.stamp);
                self.state = State::Within { len: before + data.len() as u64 };
                Next::More
            }
            Scan::Over(used) => {
                *at += used;
                self.keep(data.get(..used).unwrap_or(data), piece.stamp);
                self.state = State::Between;
                Next::Message(self.message(before + used as u64, piece.stamp.into()))
            }
            Scan::Broken => {
                *at = piece.data.len();
                self.state = State::Lost;
                Next::Broken(before + data.len() as u64)
            }
        }
    }

    /// Bytes moved unseen. A message that is over with them, and how many of them belong to none that is known: then the position
    /// is lost.
    pub(super) fn gap(&mut self, gap: &Gap) -> (Option<Message>, u64) {
        let State::Within { len } = self.state else {
            self.state = State::Lost;
            return (None, gap.len);
        };
        let own = gap.len.min(self.scanner.may_hide());
        if own == 0 {
            self.state = State::Lost;
            return (None, len + gap.len);
        }
        self.is_cut = true;
        let (over, beyond) = (self.scanner.hide(own), gap.len - own);
        if over {
            self.state = if beyond == 0 { State::Between } else { State::Lost };
            return (Some(self.message(len + own, Move::from(gap))), beyond);
        }
        if beyond > 0 {
            self.state = State::Lost;
            return (None, len + gap.len);
        }
        self.state = State::Within { len: len + own };
        (None, 0)
    }

    fn begin(&mut self, first: Stamp, seq: u32) {
        self.scanner.reset();
        self.kept.clear();
        self.kept.shrink_to(SPARE);
        (self.first, self.seq, self.is_cut) = (first, seq, false);
        self.state = State::Within { len: 0 };
    }

    fn keep(&mut self, data: &[u8], stamp: Stamp) {
        self.stamp = stamp;
        if self.is_cut {
            // It does not continue what is kept.
            return;
        }
        let room = MAX_KEPT.saturating_sub(self.kept.len());
        self.is_cut = data.len() > room;
        self.kept.extend_from_slice(data.get(..room).unwrap_or(data));
    }

    fn message(&self, len: u64, last: Move) -> Message {
        Message { len, is_cut: self.is_cut, first: self.first, seq: self.seq, stamp: self.stamp, last }
    }
}
