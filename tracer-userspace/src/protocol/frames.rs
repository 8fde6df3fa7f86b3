//! Messages that say their own length: PostgreSQL, MySQL, MongoDB, Kafka, AMQP, FastCGI and HTTP/2 all begin each message with a
//! header of fixed size from which the length of the whole follows. This cuts one direction of a connection into such
//! frames, from pieces of which parts are only counted.
//!
//! A frame is handed on when its last byte has moved, with as much of its beginning as was captured and fits into the limit.
//! When a gap ends within a frame nothing is lost; when it passes the end of one, the position is: then [`Cut::Lost`]
//! tells how many bytes were beyond, and nothing more is cut until [`Frames::resume`] says that a frame begins with the next byte.

use super::moved::Move;
use super::{Bytes, Gap, Piece};
use crate::event::Stamp;
use crate::time::Nanos;

/// The longest header.
pub const MAX_HEADER: usize = 16;

/// How a protocol's frames begin.
pub trait Framing {
    /// Bytes from which the length of a frame is known, at most [`MAX_HEADER`].
    fn header(&self) -> usize;

    /// Bytes of the whole frame, the header among them, given its [`header`](Framing::header); `None`: no frame begins so.
    fn length(&self, header: &[u8]) -> Option<u64>;

    /// Bytes of such a frame that are of use, the header among them: no more of a frame that comes in parts is kept.
    fn keep(&self, _header: &[u8]) -> usize {
        usize::MAX
    }
}

/// A frame whose last byte has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its beginning, header first: all of it, or as much as was captured and fits into the limit.
    pub bytes: &'a [u8],
    /// How long it is.
    pub len: u64,
    /// TCP sequence number of its first byte.
    pub seq: u32,
    /// Who moved its first byte.
    pub first: Stamp,
    /// Who moved the last captured byte of it.
    pub stamp: Stamp,
    /// When its last byte moved. Where that was only counted: no later than this.
    pub last: Move,
}

impl Frame<'_> {
    /// Whether a part of it was not captured.
    pub fn is_cut(&self) -> bool {
        (self.bytes.len() as u64) < self.len
    }
}

/// What comes out of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// What stands here is no frame; nothing more is cut. So many bytes belong to none.
    Broken(u64, Nanos),
    /// A gap hides where frames begin. So many bytes belong to none that is known; with them its last bytes may tell the end
    /// of something ([`Gap::tail`]).
    Lost(u64, Gap),
    /// Bytes that moved while the position was not known.
    Passed(u64, Move),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A frame begins with the next byte.
    Between,
    /// Within a frame; its length is known once there are as many bytes as the header has.
    Within { len: Option<u64>, taken: u64 },
    /// Nobody knows.
    Lost,
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub struct Frames {
    state: State,
    buffer: Vec<u8>,
    first: Stamp,
    stamp: Stamp,
    seq: u32,
    limit: usize,
    /// How many bytes of the frame are kept.
    keep: usize,
    /// A part of the frame was not captured: what comes after it is not kept.
    holed: bool,
}

impl Frames {
    /// Keeps at most `limit` bytes of each frame. `whole`: a frame begins with the first byte.
    pub fn new(limit: usize, whole: bool) -> Frames {
        Frames {
            state: if whole { State::Between } else { State::Lost },
            buffer: Vec::new(),
            first: Stamp::default(),
            stamp: Stamp::default(),
            seq: 0,
            limit: limit.max(MAX_HEADER),
            keep: usize::MAX,
            holed: false,
        }
    }

    /// Bytes of a frame whose end has not moved yet.
    pub fn pending(&self) -> u64 {
        if let State::Within { taken, .. } = self.state { taken } else { 0 }
    }

    /// Whether it is not known where a frame begins.
    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// A frame begins with the next byte. What was begun before is forgotten; its bytes are returned, for the account.
    pub fn resume(&mut self) -> u64 {
        let pending = self.pending();
        self.forget(State::Between);
        pending
    }

    /// The position is not known any more; bytes of a frame that was begun are returned, for the account.
    pub fn lose(&mut self) -> u64 {
        let pending = self.pending();
        self.forget(State::Lost);
        pending
    }

    /// What has been captured of the frame that has begun and is not over.
    pub fn unfinished(&self) -> &[u8] {
        &self.buffer
    }

    /// Who moved the first byte of the frame that has begun and is not over, the sequence number of that byte, and who moved its
    /// last captured one.
    pub fn begun(&self) -> (Stamp, u32, Stamp) {
        (self.first, self.seq, self.stamp)
    }

    fn forget(&mut self, state: State) {
        self.state = state;
        self.holed = false;
        self.keep = usize::MAX;
        self.buffer.clear();
        if self.buffer.capacity() > 4096 {
            self.buffer = Vec::new();
        }
    }

    /// Takes a piece.
    pub fn feed(&mut self, framing: &impl Framing, piece: Piece<'_>, out: &mut impl FnMut(Cut<'_>)) {
        match piece {
            Piece::Bytes(bytes) => self.bytes(framing, &bytes, out),
            Piece::Gap(gap) => self.gap(gap, out),
        }
    }

    fn bytes(&mut self, framing: &impl Framing, piece: &Bytes<'_>, out: &mut impl FnMut(Cut<'_>)) {
        let mut rest = piece.data;
        while !rest.is_empty() {
            let at = piece.seq.wrapping_add((piece.data.len() - rest.len()) as u32);
            let (len, taken) = match self.state {
                State::Lost => {
                    out(Cut::Passed(rest.len() as u64, piece.stamp.into()));
                    return;
                }
                State::Between => {
                    (self.first, self.seq) = (piece.stamp, at);
                    // Most frames lie whole in one call: they are not copied.
                    if let Some(len) = whole(framing, rest)
                        && let Some((bytes, after)) = rest.split_at_checked(len)
                    {
                        let kept = bytes.get(..self.limit).unwrap_or(bytes);
                        out(Cut::Frame(self.frame(kept, len as u64, piece.stamp, piece.stamp.into())));
                        rest = after;
                        continue;
                    }
                    (None, 0)
                }
                State::Within { len, taken } => (len, taken),
            };
            self.stamp = piece.stamp;
            let header = framing.header().clamp(1, MAX_HEADER);
            let wanted = match len {
                Some(len) => len.saturating_sub(taken),
                None => header.saturating_sub(self.buffer.len()) as u64,
            };
            let take = usize::try_from(wanted).unwrap_or(usize::MAX).min(rest.len());
            let (bytes, after) = rest.split_at(take);
            let most = self.limit.min(self.keep);
            let room = if self.holed { 0 } else { most.saturating_sub(self.buffer.len()) };
            self.buffer.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
            let taken = taken + take as u64;
            let len = match len {
                None if self.buffer.len() >= header => {
                    let bytes = self.buffer.get(..header).unwrap_or_default();
                    match framing.length(bytes) {
                        Some(len) if len >= header as u64 => {
                            self.keep = framing.keep(bytes).max(header);
                            Some(len)
                        }
                        _ => {
                            let broken = taken + after.len() as u64;
                            self.forget(State::Lost);
                            out(Cut::Broken(broken, piece.stamp.at));
                            return;
                        }
                    }
                }
                known => known,
            };
            self.state = State::Within { len, taken };
            rest = after;
            if let Some(len) = len.filter(|len| taken >= *len) {
                self.finish(len, piece.stamp.into(), out);
            }
        }
    }

    fn gap(&mut self, gap: Gap, out: &mut impl FnMut(Cut<'_>)) {
        if gap.len == 0 {
            if self.is_lost() {
                out(Cut::Lost(0, gap));
            }
            return;
        }
        match self.state {
            State::Within { len: Some(len), taken } => {
                let left = len.saturating_sub(taken);
                if gap.len < left {
                    self.state = State::Within { len: Some(len), taken: taken + gap.len };
                    // What is captured after it does not continue the beginning.
                    self.holed = true;
                    return;
                }
                self.finish(len, Move::from(&gap), out);
                if gap.len > left {
                    self.state = State::Lost;
                    out(Cut::Lost(gap.len - left, gap));
                }
            }
            State::Within { len: None, taken } => {
                self.forget(State::Lost);
                out(Cut::Lost(taken + gap.len, gap));
            }
            State::Between => {
                self.state = State::Lost;
                out(Cut::Lost(gap.len, gap));
            }
            State::Lost => out(Cut::Lost(gap.len, gap)),
        }
    }

    /// The frame that was begun has its last byte.
    fn finish(&mut self, len: u64, last: Move, out: &mut impl FnMut(Cut<'_>)) {
        let buffer = std::mem::take(&mut self.buffer);
        out(Cut::Frame(self.frame(&buffer, len, self.stamp, last)));
        self.buffer = buffer;
        self.forget(State::Between);
    }

    fn frame<'a>(&self, bytes: &'a [u8], len: u64, stamp: Stamp, last: Move) -> Frame<'a> {
        Frame { bytes, len, seq: self.seq, first: self.first, stamp, last }
    }
}

/// The length of a frame that lies whole in `bytes`.
fn whole(framing: &impl Framing, bytes: &[u8]) -> Option<usize> {
    let header = framing.header().clamp(1, MAX_HEADER);
    let len = framing.length(bytes.get(..header)?)?;
    usize::try_from(len).ok().filter(|len| (header..=bytes.len()).contains(len))
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
