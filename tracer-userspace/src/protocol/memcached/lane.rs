//! One direction of memcached's text protocol: lines, and blocks of data whose length a line has said.

use memchr::memchr;

use crate::event::Stamp;
use crate::protocol::moved::Move;
use crate::protocol::{Bytes, Gap, Piece};

/// The longest line that is read: a request for many keys.
const MAX_LINE: usize = 8 * 1024;
/// What ends a line, and a block.
pub(super) const END: u64 = 2;

/// What a direction consists of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// A line without its end.
    Line(Line<'a>),
    /// So many bytes of a block; whether they are the last ones.
    Data(u64, Move, bool),
    /// Bytes of which the position is not known: whether the first of them begins a line, and perhaps the last ones.
    Lost(u64, Move, bool, Option<[u8; 8]>),
    /// Bytes that are no line.
    Broken(u64, Move),
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub text: &'a [u8],
    /// Its bytes, the end included.
    pub len: u64,
    /// Sequence number of its first byte, and who moved it.
    pub seq: u32,
    pub first: Stamp,
    /// Who moved its last byte.
    pub stamp: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Line,
    Data { left: u64 },
    Lost,
}

#[derive(Clone, Debug)]
pub(super) struct Lane {
    state: State,
    line: Vec<u8>,
    first: Stamp,
    seq: u32,
}

impl Lane {
    pub fn new() -> Lane {
        Lane { state: State::Line, line: Vec::new(), first: Stamp::default(), seq: 0 }
    }

    pub fn is_lost(&self) -> bool {
        self.state == State::Lost
    }

    /// Whether a line begins with the next byte.
    pub fn is_between(&self) -> bool {
        self.state == State::Line && self.line.is_empty()
    }

    /// Bytes of a line that is not over.
    pub fn pending(&self) -> u64 {
        self.line.len() as u64
    }

    /// A line begins with the next byte, or nobody knows where; the bytes of one that was begun are returned.
    pub fn restart(&mut self, known: bool) -> u64 {
        self.state = if known { State::Line } else { State::Lost };
        std::mem::take(&mut self.line).len() as u64
    }

    /// Takes a piece. `out` says how many bytes of data follow a line; `None`: it is no line.
    pub fn feed(&mut self, piece: &Piece<'_>, out: &mut impl FnMut(Part<'_>) -> Option<u64>) {
        match piece {
            Piece::Bytes(bytes) => self.bytes(bytes, out),
            Piece::Gap(gap) => self.gap(gap, out),
        }
    }

    fn bytes(&mut self, piece: &Bytes<'_>, out: &mut impl FnMut(Part<'_>) -> Option<u64>) {
        let (mut rest, moved) = (piece.data, Move::from(piece.stamp));
        while !rest.is_empty() {
            match self.state {
                State::Lost => {
                    let tail = piece.data.last_chunk().copied().filter(|_| piece.ends_call);
                    out(Part::Lost(rest.len() as u64, moved, false, tail));
                    return;
                }
                State::Data { left } => {
                    let taken = left.min(rest.len() as u64);
                    rest = rest.get(taken as usize..).unwrap_or_default();
                    self.data(left, taken, moved, out);
                }
                State::Line => {
                    if self.line.is_empty() {
                        self.first = piece.stamp;
                        self.seq = piece.seq.wrapping_add((piece.data.len() - rest.len()) as u32);
                    }
                    let end = memchr(b'\n', rest);
                    let (head, after) =
                        rest.split_at_checked(end.map_or(rest.len(), |at| at + 1)).unwrap_or((rest, b""));
                    if self.line.len() + head.len() > MAX_LINE {
                        let bytes = self.restart(false) + rest.len() as u64;
                        out(Part::Broken(bytes, moved));
                        return;
                    }
                    rest = after;
                    if !self.line.is_empty() || end.is_none() {
                        self.line.extend_from_slice(head);
                    }
                    if end.is_none() {
                        continue;
                    }
                    let line = std::mem::take(&mut self.line);
                    let whole = if line.is_empty() { head } else { &line };
                    let text = whole.strip_suffix(b"\n").unwrap_or(whole);
                    let line = Line {
                        text: text.strip_suffix(b"\r").unwrap_or(text),
                        len: whole.len() as u64,
                        seq: self.seq,
                        first: self.first,
                        stamp: piece.stamp,
                    };
                    match out(Part::Line(line)) {
                        Some(0) => {}
                        Some(data) => self.state = State::Data { left: data },
                        None => self.state = State::Lost,
                    }
                }
            }
        }
    }

    fn data(&mut self, left: u64, taken: u64, moved: Move, out: &mut impl FnMut(Part<'_>) -> Option<u64>) {
        let left = left.saturating_sub(taken);
        self.state = if left == 0 { State::Line } else { State::Data { left } };
        out(Part::Data(taken, moved, left == 0));
    }

    fn gap(&mut self, gap: &Gap, out: &mut impl FnMut(Part<'_>) -> Option<u64>) {
        let (mut len, moved) = (gap.len, Move::from(gap));
        if let State::Data { left } = self.state {
            let taken = left.min(len);
            if taken > 0 {
                self.data(left, taken, moved, out);
            }
            len -= taken;
        }
        if len > 0 || self.is_lost() {
            let between = self.is_between();
            let begun = self.restart(false);
            out(Part::Lost(begun + len, moved, between, gap.tail));
        }
    }
}
