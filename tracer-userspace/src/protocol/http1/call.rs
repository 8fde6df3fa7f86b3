//! Captured bytes: finds messages in them.

use tracer_common::classify::Class;

use super::body::{Body, Taken};
use super::head::{self, Parsed};
use super::lane::{HEAD_LIMIT, Mark, State};
use super::method;
use super::queue::{Answering, Asking};
use super::{CALM, Http1, Kind};
use crate::event::{Direction, Stamp};
use crate::exchange::Outcome;
use crate::protocol::tally::Skip;
use crate::protocol::{Bytes, Context, Parser, Piece};

impl Http1 {
    /// Takes captured bytes of one call.
    pub(super) fn bytes(&mut self, cx: &mut Context<'_>, dir: Direction, piece: &Bytes<'_>) {
        let skips = matches!(self.lane(dir).state, State::Skip(_));
        let class = method::class(piece.data, dir, self.moved);
        if skips && class != Class::Http1Request {
            self.may_be_answered(cx, dir);
        }
        // The probes mark only what they know, and no call of a client where they capture every call.
        let unmarked = self.moved != Some(dir) && (self.unusual || class == Class::Http1Request);
        if piece.starts || unmarked {
            self.call_starts(cx, dir, piece);
        }
        let mut at = 0usize;
        while let Some(rest) = piece.data.get(at..)
            && !rest.is_empty()
        {
            let state = self.lane(dir).state;
            at += match state {
                State::Tunnel if self.next.is_some() => {
                    // What follows the answer to an upgrade in the same call.
                    let seq = piece.seq.wrapping_add(at as u32);
                    let piece = Bytes { data: rest, starts: false, seq, ..*piece };
                    if let Some(next) = &mut self.next {
                        next.feed(cx, dir, Piece::Bytes(piece));
                    }
                    rest.len()
                }
                State::Tunnel if self.carries_http(dir, piece, at) => {
                    self.enter_tunnel();
                    0
                }
                State::Tunnel => {
                    cx.tally.skip(Skip::Upgraded, rest.len() as u64);
                    rest.len()
                }
                State::Skip(why) => {
                    self.skip(cx, why, rest.len());
                    rest.len()
                }
                State::Start => self.start(cx, dir, piece, at, rest),
                State::Head => self.more_head(cx, dir, piece, at, rest),
                State::Body(body) => self.body(cx, dir, piece, rest, body),
            };
        }
        self.moved = Some(dir);
    }

    /// Whether these are the first bytes of a tunnel, and HTTP/1.
    fn carries_http(&mut self, dir: Direction, piece: &Bytes<'_>, at: usize) -> bool {
        let first = std::mem::take(&mut self.fresh) && self.requests == Some(dir) && at == 0;
        first && method::class(piece.data, dir, self.moved) == Class::Http1Request
    }

    /// A tunnel begins as a connection does: nothing of it has been missed.
    fn enter_tunnel(&mut self) {
        self.rx.state = State::Start;
        self.tx.state = State::Start;
        self.exact = true;
    }

    /// A call begins like a message. That matters only where the position is unknown.
    fn call_starts(&mut self, cx: &mut Context<'_>, dir: Direction, piece: &Bytes<'_>) {
        let state = self.lane(dir).state;
        let unknown = match state {
            State::Start | State::Skip(_) => true,
            State::Body(body) => body.is_blind() && !body.is_open(),
            State::Head | State::Tunnel => false,
        };
        if !unknown {
            return;
        }
        let class = method::class(piece.data, dir, self.moved);
        if self.responses() == Some(dir)
            && class == Class::Http1Request
            && self.moved != Some(dir)
            && !matches!(state, State::Body(_))
        {
            // Requests come from where responses were thought to come from: what was taken for a request was none.
            self.lose(cx, piece.stamp.at);
            self.drop_where(cx, piece.stamp.at, |_| true);
            self.requests = None;
            self.lane(dir).state = State::Skip(Skip::Desync);
            self.lane(dir.opposite()).state = State::Skip(Skip::Desync);
        }
        let is_requests = self.requests != Some(dir.opposite());
        let is_responses = self.requests != Some(dir);
        match (self.lane(dir).state, class) {
            (State::Skip(why), Class::Http1Request | Class::Prefix) if is_requests => {
                self.settle(cx);
                let owed = self.queue.iter().any(|exchange| exchange.is_owed());
                if self.moved == Some(dir) || owed {
                    self.suspect(dir, class, piece.data);
                } else if self.staggered > 0 || self.missing > 0 {
                    self.missing = self.missing.saturating_add(1);
                } else {
                    let lane = self.lane(dir);
                    lane.state = State::Start;
                    lane.tentative = Some(why);
                }
            }
            (State::Skip(_), Class::Http1Response) if is_responses => self.stray(cx, dir),
            (State::Body(_), Class::Http1Request | Class::Prefix) if self.requests == Some(dir) => {
                // The blind body of a request ends here, if its response has begun: else it may be part of it.
                let owner = self.lane(dir).owner;
                let waits =
                    self.queue.get(owner).is_some_and(|exchange| exchange.answering == Answering::Awaited);
                if waits {
                    self.suspect(dir, class, piece.data);
                } else {
                    let lane = self.lane(dir);
                    lane.state = State::Start;
                    lane.tentative = Some(Skip::Desync);
                    if let Some(exchange) = self.queue.get(owner) {
                        exchange.asking = Asking::Done;
                    }
                }
            }
            (State::Body(body), Class::Http1Response) if self.responses() == Some(dir) => {
                let owner = self.lane(dir).owner;
                self.lane(dir).state = State::Start;
                self.answered(cx, owner, unframed(body));
                if !self.queue.iter().any(|exchange| exchange.is_awaiting()) {
                    self.stray(cx, dir);
                }
            }
            _ => {}
        }
    }

    /// What may be a request begins where none can be taken, and earlier ones may be waiting.
    fn suspect(&mut self, dir: Direction, class: Class, data: &[u8]) {
        if self.requests != Some(dir) {
            return;
        }
        if class == Class::Prefix {
            // Small parts of a body look like this too.
            let skipping = matches!(self.lane(dir).state, State::Skip(_));
            self.missing = self.missing.saturating_add(u32::from(skipping));
        } else if !matches!(head::request(data), Parsed::Invalid) {
            self.staggered = CALM;
        }
    }

    /// A response begins for which there is no request: it is skipped, and the next request is on probation.
    pub(super) fn stray(&mut self, cx: &mut Context<'_>, dir: Direction) {
        self.understand(cx);
        self.requests = Some(dir.opposite());
        self.lane(dir).state = State::Skip(Skip::Unrequested);
        self.exact = false;
        self.strayed = true;
        self.missing = self.missing.saturating_sub(1);
        cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
    }

    /// Bytes where a message should begin. Returns how many were taken.
    fn start(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        piece: &Bytes<'_>,
        at: usize,
        rest: &[u8],
    ) -> usize {
        // Empty lines before a message are to be ignored (RFC 9112 section 2.2).
        let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if blank > 0 {
            self.count_blank(cx, blank as u64);
            return blank;
        }
        let after = self.moved;
        let lane = self.lane(dir);
        let strict = lane.tentative.is_some();
        lane.mark = Mark {
            stamp: piece.stamp,
            // Sequence numbers wrap (RFC 9293 section 3.4).
            seq: piece.seq.wrapping_add(at as u32),
            new_call: at == 0,
            after,
        };
        match self.kind(dir, rest, strict) {
            Kind::Requests => match head::request(rest) {
                Parsed::Whole(request, len) => {
                    self.request(cx, dir, &request, len, piece.stamp, false);
                    len
                }
                Parsed::Part(_) if head::may_go_on(rest, 0, true) => self.hold(cx, dir, piece.stamp, rest),
                Parsed::Part(_) | Parsed::Invalid => self.refuse(cx, dir, rest, piece.stamp),
            },
            Kind::Responses => match head::response(rest) {
                Parsed::Whole(response, len) => {
                    self.response(cx, dir, &response, len, piece.stamp, false);
                    len
                }
                Parsed::Part(_) => self.hold(cx, dir, piece.stamp, rest),
                Parsed::Invalid => self.refuse(cx, dir, rest, piece.stamp),
            },
            Kind::Undecided => self.hold(cx, dir, piece.stamp, rest),
            Kind::Neither => self.refuse(cx, dir, rest, piece.stamp),
        }
    }

    /// Empty lines between messages.
    pub(super) fn count_blank(&mut self, cx: &mut Context<'_>, bytes: u64) {
        if self.understood {
            cx.tally.head(bytes);
        } else {
            cx.skip(false, Skip::NotUnderstood, bytes);
        }
    }

    /// Keeps the part of a head until the rest comes.
    fn hold(&mut self, cx: &mut Context<'_>, dir: Direction, stamp: Stamp, rest: &[u8]) -> usize {
        let lane = self.lane(dir);
        lane.buffer.clear();
        let taken = lane.hold(rest, stamp);
        if lane.buffer.len() >= HEAD_LIMIT {
            self.exhausted(cx, dir);
        }
        taken
    }

    /// Bytes that continue a head. Returns how many were taken.
    fn more_head(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        piece: &Bytes<'_>,
        at: usize,
        rest: &[u8],
    ) -> usize {
        let lane = self.lane(dir);
        let before = lane.buffer.len();
        let taken = lane.hold(rest, piece.stamp);
        let strict = lane.tentative.is_some();
        let buffer = std::mem::take(&mut self.lane(dir).buffer);
        let kind = self.kind(dir, &buffer, strict);
        let possible = match kind {
            Kind::Requests => head::may_go_on(&buffer, before, true),
            Kind::Responses => head::may_go_on(&buffer, before, false),
            Kind::Undecided => true,
            Kind::Neither => false,
        };
        if !possible {
            // What was held was no beginning. These bytes may be one of their own.
            self.give_back(dir, buffer);
            self.malformed(cx, dir, before, piece.stamp);
            if piece.starts && at == 0 {
                self.call_starts(cx, dir, piece);
            }
            return 0;
        }
        let used = match head::end(&buffer, before) {
            Some(end) => {
                match kind {
                    Kind::Requests => match head::request(&buffer) {
                        Parsed::Whole(request, len) => {
                            self.request(cx, dir, &request, len, piece.stamp, false)
                        }
                        _ => self.malformed(cx, dir, end, piece.stamp),
                    },
                    _ => match head::response(&buffer) {
                        Parsed::Whole(response, len) => {
                            self.response(cx, dir, &response, len, piece.stamp, false)
                        }
                        _ => self.malformed(cx, dir, end, piece.stamp),
                    },
                }
                self.give_back(dir, buffer);
                return end.saturating_sub(before).max(1);
            }
            None => taken,
        };
        let full = buffer.len() >= HEAD_LIMIT;
        self.lane(dir).buffer = buffer;
        if full {
            self.exhausted(cx, dir);
        }
        used
    }

    /// Empties a buffer and keeps its memory.
    fn give_back(&mut self, dir: Direction, mut buffer: Vec<u8>) {
        buffer.clear();
        self.lane(dir).buffer = buffer;
    }

    /// No more of the head that is being read will be seen: tells what there is of it.
    pub(super) fn exhausted(&mut self, cx: &mut Context<'_>, dir: Direction) {
        let lane = self.lane(dir);
        let (latest, strict) = (lane.latest, lane.tentative.is_some());
        let buffer = std::mem::take(&mut lane.buffer);
        let len = buffer.len();
        match self.kind(dir, &buffer, strict) {
            Kind::Requests => match head::request(&buffer) {
                Parsed::Part(Some(request)) | Parsed::Whole(request, _) => {
                    self.request(cx, dir, &request, len, latest, true);
                }
                Parsed::Part(None) | Parsed::Invalid => self.cut(cx, dir, len, latest),
            },
            Kind::Responses => match head::response(&buffer) {
                Parsed::Part(Some(response)) | Parsed::Whole(response, _) => {
                    self.response(cx, dir, &response, len, latest, true);
                }
                Parsed::Part(None) | Parsed::Invalid => self.cut(cx, dir, len, latest),
            },
            Kind::Undecided | Kind::Neither => self.cut(cx, dir, len, latest),
        }
        self.give_back(dir, buffer);
    }

    /// A head of which not even the first line was captured: as if none of it had been.
    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, len: usize, stamp: Stamp) {
        match self.lane(dir).tentative.take() {
            Some(why) => {
                self.lane(dir).state = State::Skip(why);
                self.skip(cx, why, len);
            }
            None => self.hidden(cx, dir, len as u64, stamp.into(), Skip::Desync),
        }
    }

    /// Bytes that stand where a message should begin and are none. Returns how many.
    fn refuse(&mut self, cx: &mut Context<'_>, dir: Direction, rest: &[u8], stamp: Stamp) -> usize {
        self.malformed(cx, dir, rest.len(), stamp);
        rest.len()
    }

    /// So many bytes stand where a message should begin and are none.
    fn malformed(&mut self, cx: &mut Context<'_>, dir: Direction, len: usize, stamp: Stamp) {
        match self.lane(dir).tentative.take() {
            Some(why) => {
                self.lane(dir).state = State::Skip(why);
                self.skip(cx, why, len);
            }
            None => {
                if self.understood {
                    cx.tally.malformed = cx.tally.malformed.saturating_add(1);
                }
                self.may_be_answered(cx, dir);
                self.hidden(cx, dir, len as u64, stamp.into(), Skip::Malformed);
            }
        }
    }

    /// Bytes of a body. Returns how many were taken.
    fn body(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        piece: &Bytes<'_>,
        rest: &[u8],
        was: Body,
    ) -> usize {
        let mut body = was;
        let taken = body.bytes(rest, piece.ends_call);
        if body.is_blind() && self.others_may_follow(dir) {
            self.let_go(cx, dir, rest.len() as u64, piece.stamp.at);
            return rest.len();
        }
        let used = match taken {
            Taken::Ended(used) => used.min(rest.len() as u64),
            Taken::All | Taken::Passed(_) => rest.len() as u64,
        };
        self.body_moved(cx, dir, used, piece.stamp.into());
        self.lane(dir).state = State::Body(body);
        if body.is_blind() {
            self.blinded(cx, dir, piece.stamp.at);
        }
        if matches!(taken, Taken::Ended(_)) {
            self.body_ended(cx, dir, Outcome::Complete);
        }
        used as usize
    }
}

/// How a response ends whose last byte is known only from what came after it.
pub(super) fn unframed(body: Body) -> Outcome {
    if body == Body::Unseen { Outcome::ResponseUnseen } else { Outcome::EndUnframed }
}
