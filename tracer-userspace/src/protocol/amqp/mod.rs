//! AMQP 0-9-1 on one connection end: RabbitMQ, LavinMQ, Qpid.
//!
//! Frames tell their length and their channel. Methods that are answered are calls: on a channel the k-th answer of a kind belongs to
//! the k-th call of its kind, and the methods say which kind. A message is a method (`basic.publish`, `basic.deliver`,
//! `basic.get-ok`), a header with its properties, and its content in parts.
//!
//! # What is told
//!
//! * A call of the client (`queue.declare`) with its answer. If the server closes the channel instead, with the code as error.
//! * A message that is published, at both ends: by the producer, and at the broker's as what it handles. Where the broker confirms what is
//!   published (`confirm.select`) it lasts until then; else it is over with its last byte.
//! * A message that is delivered, at the consumer's end: from its last byte until it is acknowledged, rejected, or returned. What is not
//!   acknowledged (`no-ack`) is over at once: when the work on it is done, nobody says. The broker's end tells nothing of deliveries,
//!   for nothing is asked of the broker with them.
//! * What the server asks of the client (`connection.tune`, `channel.flow`), and heartbeats, are counted only.
//!
//! # Right or absent
//!
//! Where frames hide (a gap, or a method of which too little was captured), the next ones are found where a call begins with a method,
//! and what waited for an answer that may have been among them is ended as unseen. After that answers could be those of calls that were
//! not seen, or that are given up: calls are told again after [`PATIENCE`], when all that were seen meanwhile have been answered. Once
//! frames of the client may have been missed the numbers of confirms are not known: they are waited for only on channels that are
//! opened later.

mod asks;
mod channel;
mod content;
mod frame;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod message;
mod method;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use super::calls::Calls;
use super::frames::{Cut, Frame, Frames};
use super::recognise::Begin;
use super::tally::Skip;
use super::{Bytes, Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::time::Nanos;
use channel::Channel;
use frame::{END, Fields, HEADER, Kind, Shape};
use method::From;

/// Bytes of a frame that are kept: methods are short, and of a message's properties the names of its headers matter.
const MAX_KEPT: usize = 8 << 10;
/// After so long a call that was missed has been answered, ns.
const PATIENCE: u64 = 5_000_000_000;
/// Channels of one connection (RabbitMQ's limit is 2047).
const MAX_CHANNELS: usize = 2048;

/// AMQP 0-9-1 on one connection end.
#[derive(Debug)]
pub struct Amqp {
    /// The direction in which the client speaks, once it is known.
    client: Option<Direction>,
    /// What is received, and what is sent.
    lanes: [Frames; 2],
    calls: Calls,
    channels: FxHashMap<u16, Channel>,
    /// Since when: calls may be open that nobody saw, or that are given up.
    tainted: Option<Nanos>,
    /// Calls that were seen since then, are not told, and not answered.
    untold: u32,
    understood: bool,
    /// A frame did not end as it must.
    broke: bool,
}

/// A frame on a channel, and who sent it.
#[derive(Clone, Copy)]
struct Sent<'a, 'f> {
    dir: Direction,
    is_client: bool,
    /// The channel.
    number: u16,
    frame: &'a Frame<'f>,
}

/// A parser for a connection on which the client greets, or a call begins with a method.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    let is_greeting = begin.data.starts_with(frame::GREETING);
    let client = is_greeting.then_some(begin.dir);
    if !is_greeting && !begins(begin.data, begin.call_len) {
        return None;
    }
    Some(Box::new(Amqp {
        client,
        lanes: [Frames::new(MAX_KEPT, begin.whole), Frames::new(MAX_KEPT, begin.whole)],
        calls: Calls::default(),
        channels: FxHashMap::default(),
        tainted: (!begin.whole).then_some(Nanos(0)),
        untold: 0,
        understood: false,
        broke: false,
    }))
}

/// Who speaks, if bytes begin with a method whose frame ends as it must.
fn known(data: &[u8]) -> Option<From> {
    let (Kind::Method, channel, size) = frame::begin(data)? else { return None };
    let mut fields = Fields(data.get(HEADER..)?);
    let method = method::find(fields.short()?, fields.short()?)?;
    let len = usize::try_from(size).ok()?;
    let end = data.get(HEADER.checked_add(len)?)?;
    let on_zero = channel == 0;
    (*end == END && len >= 4 && on_zero == (method.id.0 == 10)).then_some(method.from)
}

/// Whether a call begins with a method: all of its frame is there, or the call is no more than its beginning, as that of a client that
/// reads a frame in parts.
fn begins(data: &[u8], call_len: u64) -> bool {
    let is_header =
        call_len == HEADER as u64 && matches!(frame::begin(data), Some((Kind::Method, 1..2048, 4..0x1_0000)));
    is_header || known(data).is_some()
}

impl Amqp {
    fn is_client(&self, dir: Direction) -> bool {
        self.client == Some(dir)
    }

    fn lane(&mut self, dir: Direction) -> &mut Frames {
        let [rx, tx] = &mut self.lanes;
        match dir {
            Direction::Rx => rx,
            Direction::Tx => tx,
        }
    }

    /// A call begins: if the position is lost, and these are frames, it is found again.
    fn find(&mut self, cx: &mut Context<'_>, dir: Direction, bytes: &Bytes<'_>) {
        if self.lane(dir).is_lost() {
            let is_greeting = bytes.data.starts_with(frame::GREETING);
            if is_greeting || begins(bytes.data, bytes.call_len) {
                self.lane(dir).resume();
                cx.tally.resyncs = cx.tally.resyncs.saturating_add(u64::from(self.understood));
            }
        }
        if let Some(since) = self.tainted {
            if since == Nanos(0) {
                // Joined now.
                self.tainted = Some(bytes.stamp.at);
            } else if self.untold == 0 && bytes.stamp.at.since(since) >= PATIENCE {
                self.tainted = None;
            }
        }
    }

    /// The protocol is certain: what was skipped before, because the beginning of this was missed, is accounted for.
    fn understand(&mut self, cx: &mut Context<'_>) {
        cx.understand(&mut self.understood);
    }

    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) => self.frame(cx, dir, &frame),
            Cut::Broken(bytes, at) => {
                cx.tally.malformed = cx.tally.malformed.saturating_add(u64::from(self.understood));
                cx.skip(self.understood, Skip::Malformed, bytes);
                self.lost(cx, dir, at);
            }
            Cut::Lost(bytes, gap) => {
                cx.skip(self.understood, Skip::Desync, bytes);
                if gap.len > 0 {
                    self.lost(cx, dir, gap.last);
                }
            }
            Cut::Passed(bytes, moved) => {
                cx.skip(self.understood, Skip::Desync, bytes);
                self.missed(cx, dir, moved.at);
            }
        }
    }

    /// Where frames of one side begin is not known any more, or what one of them said.
    fn lost(&mut self, cx: &mut Context<'_>, dir: Direction, at: Nanos) {
        cx.tally.desyncs = cx.tally.desyncs.saturating_add(u64::from(self.understood));
        self.missed(cx, dir, at);
    }

    /// Frames of one side may have been missed.
    fn missed(&mut self, cx: &mut Context<'_>, dir: Direction, at: Nanos) {
        let is_client = self.client.is_none_or(|client| client == dir);
        // Of calls that wait, who knows whether the answers were among them, or are still to come?
        let waits = self.tainted.is_some() || self.channels.values().any(|channel| !channel.asks.is_empty());
        if is_client || waits {
            self.taint(at);
        }
        for (_, channel) in self.in_order() {
            channel.lose(cx, at, is_client);
        }
    }

    /// From now on answers may be those of calls that nobody knows.
    fn taint(&mut self, at: Nanos) {
        self.tainted = Some(at);
        self.untold = 0;
    }

    /// The channels by their numbers: the map's order must not show.
    fn in_order(&mut self) -> impl Iterator<Item = (u16, &mut Channel)> {
        let mut channels: Vec<(u16, &mut Channel)> =
            self.channels.iter_mut().map(|(number, channel)| (*number, channel)).collect();
        channels.sort_by_key(|(number, _)| *number);
        channels.into_iter()
    }

    fn frame(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) {
        let is_whole = !frame.is_cut();
        let begun = frame::begin(frame.bytes);
        let payload = frame.bytes.get(HEADER..).unwrap_or_default();
        let (payload, ends) = match payload.split_last() {
            Some((last, payload)) if is_whole => (payload, *last == END),
            _ => (payload, true),
        };
        let Some((kind, number, _)) = begun.filter(|(kind, ..)| ends || *kind == Kind::Greeting) else {
            self.broke = true;
            return self.cut(cx, dir, Cut::Broken(frame.len, frame.stamp.at));
        };
        match kind {
            Kind::Body => cx.tally.body(frame.len),
            _ => cx.tally.head(frame.len),
        }
        match kind {
            Kind::Greeting => {
                self.understand(cx);
                self.client = Some(dir);
            }
            Kind::Heartbeat => {}
            Kind::Method => self.method(cx, dir, number, frame, payload),
            Kind::Header => {
                if self.header(cx, &self.sent(dir, number, frame), payload).is_none() {
                    self.lost(cx, dir, frame.stamp.at);
                }
            }
            Kind::Body => self.body(cx, &self.sent(dir, number, frame)),
        }
    }

    fn sent<'a, 'f>(&self, dir: Direction, number: u16, frame: &'a Frame<'f>) -> Sent<'a, 'f> {
        Sent { dir, is_client: self.is_client(dir), number, frame }
    }

    fn channel(&mut self, number: u16) -> Option<&mut Channel> {
        if self.channels.len() >= MAX_CHANNELS && !self.channels.contains_key(&number) {
            return None;
        }
        Some(self.channels.entry(number).or_default())
    }

    fn method(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        number: u16,
        frame: &Frame<'_>,
        payload: &[u8],
    ) {
        // Too little was captured: it may have been any.
        if self.read(cx, dir, number, frame, payload).is_none() {
            self.lost(cx, dir, frame.stamp.at);
        }
    }

    /// Reads a method; `None`: what matters of it was not captured.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        number: u16,
        frame: &Frame<'_>,
        payload: &[u8],
    ) -> Option<()> {
        let mut arguments = Fields(payload);
        let id = (arguments.short()?, arguments.short()?);
        let Some(method) = method::find(id.0, id.1) else { return Some(()) };
        self.understand(cx);
        match (self.client, method.from) {
            (Some(_), _) => {}
            (None, From::Client) => self.client = Some(dir),
            (None, From::Server) => self.client = Some(dir.opposite()),
            // Who says it is not known yet.
            (None, From::Both) => return Some(()),
        }
        let sent = self.sent(dir, number, frame);
        match (id, sent.is_client) {
            ((60, 40), true) => self.publishes(cx, &sent, arguments)?,
            ((60, 50 | 60 | 71), false) => {
                self.answered(cx, &sent, id, arguments)?;
                self.delivers(cx, &sent, id.1, arguments);
            }
            ((60, 80 | 90 | 120), _) => self.acknowledges(cx, &sent, id.1, arguments)?,
            ((10, 50) | (20, 40), false) => self.closes(cx, &sent, id.0, arguments),
            ((10, 51) | (20, 41), is_client) => {
                if !is_client {
                    self.answered(cx, &sent, id, arguments)?;
                }
                self.forget(cx, (id.0 == 20).then_some(number), frame.last.at);
            }
            (_, true) if method.answer > 0 => self.asks(cx, &sent, method, arguments)?,
            (_, false) => self.answered(cx, &sent, id, arguments)?,
            _ => {}
        }
        Some(())
    }
}

impl Parser for Amqp {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        if let Piece::Bytes(bytes) = &piece {
            self.find(cx, dir, bytes);
        }
        let empty = Frames::new(0, false);
        let mut lane = std::mem::replace(self.lane(dir), empty);
        let mut broken = false;
        lane.feed(&Shape, piece, &mut |cut| {
            if broken {
                // What follows a frame that does not end as it must.
                if let Cut::Frame(frame) = &cut {
                    cx.skip(self.understood, Skip::Desync, frame.len);
                    return;
                }
            }
            self.cut(cx, dir, cut);
            broken |= std::mem::take(&mut self.broke);
        });
        if broken {
            let pending = lane.lose();
            cx.skip(self.understood, Skip::Desync, pending);
        }
        *self.lane(dir) = lane;
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let pending: u64 = self.lanes.iter_mut().map(Frames::lose).sum();
        cx.skip(self.understood, Skip::Desync, pending);
        self.lost(cx, self.client.unwrap_or(Direction::Tx), at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        for (_, channel) in self.in_order() {
            channel.cut(cx, at, closed);
        }
        self.channels.clear();
        let pending: u64 = self.lanes.iter_mut().map(Frames::lose).sum();
        cx.skip(self.understood, Skip::Incomplete, pending);
    }

    fn understood(&self) -> bool {
        self.understood
    }

    fn pending(&self) -> u64 {
        self.lanes.iter().map(Frames::pending).sum()
    }

    fn interest(&self) -> Interest {
        // Frames of several channels, and several small ones, share calls.
        Interest::Everything
    }

    fn is_busy(&self) -> bool {
        self.channels.values().any(Channel::is_busy)
    }
}
