//! One connection end: turns its events into ordered pieces and feeds them to its parser.

use tracer_common::abi::{ConnId, Progress, proto};

use super::cursor::Cursor;
use super::ledger::{Classes, Ledger};
use super::strangers::{self, End, Peer, Strangers};
use crate::event::{Counts, Direction, Open, Role, Segment};
use crate::exchange::Step;
use crate::protocol::guess::{Guess, guess};
use crate::protocol::names::Names;
use crate::protocol::recognise::{Begin, recognise};
use crate::protocol::tally::Skip;
use crate::protocol::{Bytes, Context, Gap, Interest, Limits, Parser, Piece};
use crate::time::Nanos;

/// Changes of interest that are kept until somebody asks.
const MAX_TOLD: usize = 1 << 16;

/// What all connections share.
pub(super) struct Shared {
    pub limits: Limits,
    pub ledger: Ledger,
    pub names: Names,
    pub strangers: Strangers,
    /// What the probes shall be told.
    pub interests: Vec<(ConnId, Interest)>,
}

/// State of one connection end. Small, because most never speak a protocol that is parsed.
pub(super) struct Connection {
    id: ConnId,
    peer: Peer,
    end: End,
    looks_like: Option<Guess>,
    /// Its beginning was seen.
    established: bool,
    /// Its beginning was seen, and no record of it has been lost so far.
    watched: bool,
    rx: Cursor,
    tx: Cursor,
    moved: Option<Direction>,
    role: Role,
    interest: Interest,
    /// Bytes for which no parser has accounted.
    unclaimed: u64,
    /// Bytes that a parser has found to be encrypted: the peers agreed on it after they had begun in the clear.
    encrypted: u64,
    parser: Option<Box<dyn Parser>>,
}

impl Connection {
    pub(super) fn new(id: ConnId) -> Connection {
        Connection {
            id,
            peer: Peer::Unknown,
            end: End::Assumed,
            looks_like: None,
            established: false,
            watched: false,
            rx: Cursor::default(),
            tx: Cursor::default(),
            moved: None,
            role: Role::Unseen,
            interest: Interest::Unknown,
            unclaimed: 0,
            encrypted: 0,
            parser: None,
        }
    }

    pub(super) fn id(&self) -> ConnId {
        self.id
    }

    /// An exchange is open on it.
    pub(super) fn is_busy(&self) -> bool {
        self.parser.as_ref().is_some_and(|parser| parser.is_busy())
    }

    /// The kernel does not number its bytes, as far as is known, so that missed calls leave no trace.
    pub(super) fn is_unnumbered(&self) -> bool {
        matches!(self.peer, Peer::Unix | Peer::Unknown) && (self.watched || self.parser.is_some())
    }

    /// Calls on it may have been missed: nothing that was going on is certain any more.
    pub(super) fn lose(&mut self, at: Nanos, shared: &mut Shared, out: &mut Vec<Step>) {
        self.watched = false;
        if let Some(mut parser) = self.parser.take() {
            parser.lose(&mut self.context(shared, out), at);
            self.parser = Some(parser);
        }
    }

    fn context<'a>(&'a mut self, shared: &'a mut Shared, out: &'a mut Vec<Step>) -> Context<'a> {
        Context {
            conn: self.id,
            out,
            tally: &mut shared.ledger.tally,
            names: &mut shared.names,
            limits: &shared.limits,
            unclaimed: &mut self.unclaimed,
        }
    }

    /// Its addresses and first bytes became known.
    pub(super) fn open(&mut self, open: &Open) {
        (self.peer, self.end) = strangers::service(&open.endpoints, open.role);
        self.role = open.role;
        self.established = open.role != Role::Unseen;
        self.watched = self.established && self.moved.is_none();
        let peek = open.peek.get(..usize::from(open.peek_len)).unwrap_or(&open.peek);
        self.looks_like = self.looks_like.or_else(|| guess(peek));
    }

    /// Takes a segment.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, shared: &mut Shared, out: &mut Vec<Step>) {
        if segment.lost_before {
            self.watched = false;
            shared.ledger.lost_before += 1;
        }
        self.advance(&segment.rx, &segment.tx, shared, out);
        let len = u64::from(segment.len);
        let (cursor, before) = match segment.dir {
            Direction::Rx => (&mut self.rx, segment.rx.bytes),
            Direction::Tx => (&mut self.tx, segment.tx.bytes),
        };
        if before < cursor.bytes {
            // Another record has already accounted for (the beginning of) these bytes: their place is past.
            shared.ledger.late += 1;
            let beyond = before.saturating_add(len).saturating_sub(cursor.bytes);
            if let Some(gap) = cursor.rest(beyond, &segment.stamp) {
                self.piece(segment.dir, Piece::Gap(gap), shared, out);
            }
            return;
        }
        let captured = len.min(segment.data.len() as u64);
        let data = segment.data.get(..captured as usize).unwrap_or_default();
        cursor.captured(captured);
        let rest = cursor.rest(len - captured, &segment.stamp);
        if !data.is_empty() {
            let bytes = Bytes {
                data,
                starts: segment.starts,
                ends_call: rest.is_none(),
                call_len: len,
                seq: segment.seq,
                stamp: segment.stamp,
            };
            self.piece(segment.dir, Piece::Bytes(bytes), shared, out);
        }
        if let Some(gap) = rest {
            self.piece(segment.dir, Piece::Gap(gap), shared, out);
        }
    }

    /// Takes counts without a call.
    pub(super) fn counts(&mut self, counts: &Counts, shared: &mut Shared, out: &mut Vec<Step>) {
        self.advance(&counts.rx, &counts.tx, shared, out);
    }

    /// Hands on what moved up to these counts, the older direction first.
    fn advance(&mut self, rx: &Progress, tx: &Progress, shared: &mut Shared, out: &mut Vec<Step>) {
        let received = self.rx.advance(rx).map(|gap| (Direction::Rx, gap));
        let sent = self.tx.advance(tx).map(|gap| (Direction::Tx, gap));
        let in_order = match (&received, &sent) {
            (Some((_, received)), Some((_, sent))) => received.last <= sent.last,
            _ => true,
        };
        let both = if in_order { [received, sent] } else { [sent, received] };
        for (dir, gap) in both.into_iter().flatten() {
            self.piece(dir, Piece::Gap(gap), shared, out);
        }
    }

    fn piece(&mut self, dir: Direction, piece: Piece<'_>, shared: &mut Shared, out: &mut Vec<Step>) {
        let bytes = match &piece {
            Piece::Bytes(bytes) => bytes.data.len() as u64,
            Piece::Gap(Gap { len, .. }) => *len,
        };
        shared.ledger.seen = shared.ledger.seen.saturating_add(bytes);
        if self.parser.is_none()
            && let Piece::Bytes(bytes) = &piece
        {
            let whole = self.watched && self.moved.is_none();
            self.parser = recognise(&Begin::new(bytes, dir, whole, self.moved, self.role));
            self.looks_like = self.looks_like.or_else(|| guess(bytes.data));
        }
        if bytes > 0 {
            self.moved = Some(dir);
        }
        let Some(mut parser) = self.parser.take() else {
            self.unclaimed = self.unclaimed.saturating_add(bytes);
            return;
        };
        let before = shared.ledger.tally.skipped(Skip::Tls);
        parser.feed(&mut self.context(shared, out), dir, piece);
        let encrypted = shared.ledger.tally.skipped(Skip::Tls).saturating_sub(before);
        self.encrypted = self.encrypted.saturating_add(encrypted);
        if parser.understood() || parser.pending() > 0 {
            self.parser = Some(parser);
        }
        self.tell_interest(shared);
    }

    /// Tells the probes what is needed of the connection, where that has changed and they do not know it by themselves.
    fn tell_interest(&mut self, shared: &mut Shared) {
        let interest = self.parser.as_ref().map_or(Interest::Unknown, |parser| parser.interest());
        if interest != self.interest {
            self.interest = interest;
            if interest != Interest::Heads && shared.interests.len() < MAX_TOLD {
                shared.interests.push((self.id, interest));
            }
        }
    }

    /// The connection, or the capture, is over: accounts for all that is left.
    pub(super) fn end(&mut self, at: Nanos, how: Ending, shared: &mut Shared, out: &mut Vec<Step>) {
        let mut understood = false;
        if let Some(mut parser) = self.parser.take() {
            let mut cx = self.context(shared, out);
            parser.end(&mut cx, at, matches!(how, Ending::Closed(_)));
            understood = parser.understood();
        }
        let kernel = match how {
            Ending::Closed(proto) => proto,
            Ending::Finished => proto::UNKNOWN,
        };
        let bytes = std::mem::take(&mut self.unclaimed);
        self.account(understood, kernel, bytes, &mut shared.ledger, &mut shared.strangers, &shared.limits);
    }

    /// Counts the connection, and the bytes for which no parser has accounted.
    fn account(
        &self,
        understood: bool,
        kernel: u8,
        bytes: u64,
        ledger: &mut Ledger,
        strangers: &mut Strangers,
        limits: &Limits,
    ) {
        ledger.joined += u64::from(!self.established);
        let Classes { understood: parsed, encrypted, http2, excluded, unknown, silent } = &mut ledger.classes;
        let (skip, looks_like) = self.class(kernel);
        let class = match skip {
            _ if self.encrypted > 0 => encrypted,
            _ if understood => parsed,
            Skip::Ignored => excluded,
            _ if bytes == 0 => silent,
            Skip::Tls => encrypted,
            Skip::Http2 => http2,
            _ => unknown,
        };
        *class += 1;
        if self.encrypted > 0 {
            strangers.add(self.peer, self.end, Some(Guess::Tls), self.encrypted, limits.strangers);
        }
        if bytes > 0 {
            ledger.tally.skip(skip, bytes);
            if skip != Skip::Ignored {
                strangers.add(self.peer, self.end, looks_like, bytes, limits.strangers);
            }
        }
    }

    /// Why this connection was not understood.
    fn class(&self, kernel: u8) -> (Skip, Option<Guess>) {
        match (kernel, self.looks_like) {
            (proto::IGNORED, looks_like) => (Skip::Ignored, looks_like),
            (proto::TLS, _) => (Skip::Tls, Some(Guess::Tls)),
            (proto::HTTP2, _) => (Skip::Http2, Some(Guess::Http2)),
            (_, Some(Guess::Tls)) => (Skip::Tls, Some(Guess::Tls)),
            (_, Some(Guess::Http2)) => (Skip::Http2, Some(Guess::Http2)),
            (_, other) => (Skip::NotUnderstood, other),
        }
    }

    /// Adds to a snapshot what this connection would add at its end.
    pub(super) fn snapshot(&self, ledger: &mut Ledger, strangers: &mut Strangers, limits: &Limits) {
        let pending = self.parser.as_ref().map_or(0, |parser| parser.pending());
        ledger.pending = ledger.pending.saturating_add(pending);
        let understood = self.parser.as_ref().is_some_and(|parser| parser.understood());
        self.account(understood, proto::UNKNOWN, self.unclaimed, ledger, strangers, limits);
    }

    /// Bytes handed on: received, sent.
    pub(super) fn positions(&self) -> (u64, u64) {
        (self.rx.bytes, self.tx.bytes)
    }
}

/// Why a connection's state is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was closed; what the kernel side thinks its protocol is.
    Closed(u8),
    /// The capture is over.
    Finished,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_speaks_nothing_known_is_small() {
        assert!(size_of::<Connection>() <= 192, "{}", size_of::<Connection>());
        assert!(
            size_of::<crate::protocol::http1::Http1>() <= 400,
            "{}",
            size_of::<crate::protocol::http1::Http1>()
        );
    }
}
