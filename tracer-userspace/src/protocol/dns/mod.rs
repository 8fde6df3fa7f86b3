//! DNS (RFC 1035, with EDNS, RFC 6891): over UDP, where each message is by itself ([`crate::stream`] hands them on), and over TCP, where
//! each has its length before it (RFC 1035 section 4.2.2).
//!
//! A response has the number and the question of its query, so that many may wait on one socket and be answered in any order. A
//! query that is sent once more while it waits is the same lookup. What nobody answers is told as unanswered.

pub(crate) mod datagrams;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod lookups;
mod message;
#[cfg(test)]
mod tests;
mod words;

use super::calls::Begun;
use super::frames::{Cut, Frame, Frames, Framing};
use super::recognise::Begin;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::time::Nanos;
use lookups::{Lookups, Moved, Taken};

/// Bytes of the length before each message on a stream.
const LENGTH: usize = 2;
/// Bytes of a message that are kept: the question is within the first 271.
const KEEP: usize = 512;

/// DNS over TCP on one connection end.
pub struct Dns {
    rx: Frames,
    tx: Frames,
    lookups: Lookups,
    understood: bool,
    /// The position in a direction was lost: it is not found again.
    dead: bool,
    /// The next call in this direction is a query whose length was read by itself: many servers do so.
    naked: Option<Direction>,
}

/// A parser for a connection on which a call is, or begins with, a message.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    let (length, rest) = begin.data.split_first_chunk::<LENGTH>()?;
    let len = usize::from(u16::from_be_bytes(*length));
    // One message, or several that were sent in one go; or one of which the rest is still to come.
    let bytes = rest.get(..len).unwrap_or(rest);
    let is_short = begin.call_len < (LENGTH + len) as u64;
    let asks = |message: &message::Message| message.question.is_some() && !message.is_response;
    let framed =
        message::read(bytes, len).filter(|message| asks(message) || !is_short && message.question.is_some());
    let is_naked =
        || begin.call_len == begin.data.len() as u64 && naked(begin.data).as_ref().is_some_and(asks);
    let naked = (framed.is_none() && is_naked()).then_some(begin.dir);
    (framed.is_some() || naked.is_some()).then(|| {
        let (rx, tx) = (Frames::new(KEEP, true), Frames::new(KEEP, true));
        let lookups = Lookups::default();
        Box::new(Dns { rx, tx, lookups, understood: false, dead: false, naked }) as Box<dyn Parser>
    })
}

/// A message without its length.
fn naked(bytes: &[u8]) -> Option<message::Message> {
    message::read(bytes, bytes.len())
}

/// The length before each message.
struct Prefix;

impl Framing for Prefix {
    fn header(&self) -> usize {
        LENGTH
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let len = usize::from(u16::from_be_bytes(*header.first_chunk()?));
        (len >= message::HEADER).then_some((LENGTH + len) as u64)
    }
}

impl Dns {
    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) => self.frame(cx, dir, &frame),
            Cut::Broken(bytes, at) => {
                cx.skip(self.understood, Skip::Malformed, bytes);
                self.lost(cx, at);
            }
            Cut::Lost(bytes, gap) => {
                cx.skip(self.understood, Skip::Desync, bytes);
                if gap.len > 0 {
                    self.lost(cx, gap.last);
                }
            }
            Cut::Passed(bytes, _) => cx.skip(self.understood, Skip::Desync, bytes),
        }
    }

    /// Where messages begin is not known any more. Connections are short: it is not looked for.
    fn lost(&mut self, cx: &mut Context<'_>, at: Nanos) {
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(u64::from(self.understood));
        self.lookups.lose(cx, at);
        self.dead = true;
    }

    fn frame(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) {
        let body = frame.bytes.get(LENGTH..).unwrap_or_default();
        let len = usize::try_from(frame.len).unwrap_or(usize::MAX).saturating_sub(LENGTH);
        match message::read(body, len) {
            Some(message) if !self.dead => self.message(cx, dir, frame, frame.len, &message),
            None if frame.is_cut() && frame.bytes.len() < KEEP => {
                // It may have been any message, and the answer to any lookup.
                cx.skip(self.understood, Skip::Desync, frame.len);
                self.lookups.lose(cx, frame.last.at);
            }
            // Other operations are of no interest, and do no harm.
            _ => cx.skip(self.understood, Skip::Malformed, frame.len),
        }
    }

    /// A message, of which so many bytes are to be accounted for.
    fn message(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        frame: &Frame<'_>,
        bytes: u64,
        message: &message::Message,
    ) {
        cx.understand(&mut self.understood);
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let moved = Moved { dir, begun, stamp: frame.stamp, last: frame.last, len: frame.len };
        match self.lookups.take(cx, message, &moved) {
            Taken::Unrequested => cx.tally.skip(Skip::Unrequested, bytes),
            Taken::Overflow => cx.tally.skip(Skip::Desync, bytes),
            Taken::Asked | Taken::Again | Taken::Answered => cx.tally.head(bytes),
        }
    }
}

impl Parser for Dns {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let lane = |dns: &mut Dns| match dir {
            Direction::Rx => std::mem::replace(&mut dns.rx, Frames::new(0, false)),
            Direction::Tx => std::mem::replace(&mut dns.tx, Frames::new(0, false)),
        };
        if let (Some(_), Piece::Bytes(bytes)) = (self.naked.take_if(|naked| *naked == dir), &piece)
            && let Some(message) = naked(bytes.data)
        {
            // Its length came before it, and belongs to it, whether it was seen or not.
            let seen = (*cx.unclaimed).min(LENGTH as u64);
            *cx.unclaimed -= seen;
            let len = bytes.data.len() as u64;
            let frame = Frame {
                bytes: bytes.data,
                len: len + LENGTH as u64,
                seq: bytes.seq.wrapping_sub(LENGTH as u32),
                first: bytes.stamp,
                stamp: bytes.stamp,
                last: bytes.stamp.into(),
            };
            return self.message(cx, dir, &frame, len + seen, &message);
        }
        let mut frames = lane(self);
        frames.feed(&Prefix, piece, &mut |cut| self.cut(cx, dir, cut));
        match dir {
            Direction::Rx => self.rx = frames,
            Direction::Tx => self.tx = frames,
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let pending = self.rx.lose().saturating_add(self.tx.lose());
        cx.skip(self.understood, Skip::Desync, pending);
        self.lost(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let pending = self.rx.lose().saturating_add(self.tx.lose());
        cx.skip(self.understood, Skip::Incomplete, pending);
        self.lookups.cut(cx, at, closed);
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.rx.pending().saturating_add(self.tx.pending())
    }

    fn interest(&self) -> Interest {
        if self.dead { Interest::Nothing } else { Interest::Calls }
    }

    fn is_busy(&self) -> bool {
        self.lookups.count() > 0
    }
}
