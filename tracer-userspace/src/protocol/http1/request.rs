//! A request's head was read: decides whether it can be paired, and tells it.

use super::body::{self, Body};
use super::head::Request;
use super::lane::State;
use super::lines::Lines;
use super::queue::{Answering, Asking};
use super::{CALM, Http1, method};
use crate::event::{Direction, Stamp};
use crate::exchange::{ExchangeId, Protocol, RequestHead, Side, Step};
use crate::protocol::tally::Skip;
use crate::protocol::{Context, extra, mask};

impl Http1 {
    /// A request's head of `len` bytes, completed by the call of `stamp`.
    pub(super) fn request(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        request: &Request<'_>,
        len: usize,
        stamp: Stamp,
        truncated: bool,
    ) {
        self.understand(cx);
        self.requests = Some(dir);
        self.unusual |= !method::is_known(request.method);
        if !self.may_pair(cx, dir, stamp) {
            self.lane(dir).state = State::Skip(Skip::Desync);
            self.skip(cx, Skip::Desync, len);
            return;
        }
        let mark = self.lane(dir).mark;
        let number = self.queue.ahead().unwrap_or_else(|| self.queue.push());
        let Some(exchange) = self.queue.get(number) else { return };
        // Calls on two processors may be stamped in another order than their bytes have. A response whose record came first:
        // the request was no later.
        let (mut first, mut stamp) = (mark.stamp.at.min(stamp.at), stamp);
        if let Some(held) = &exchange.held {
            first = first.min(held.stamp.at);
            stamp.at = stamp.at.min(held.stamp.at);
        }
        exchange.is_head = request.method == b"HEAD";
        exchange.is_connect = request.method == b"CONNECT";
        exchange.request.add(len as u64, stamp.into());
        // After CONNECT nothing is a body (RFC 9112 section 6.3, item 2, and RFC 9110 section 9.3.6).
        let body = if exchange.is_connect && !truncated {
            None
        } else {
            let plain = matches!(request.method, b"GET" | b"HEAD" | b"DELETE" | b"OPTIONS");
            body::of_request(request.fields.length, request.fields.coding, truncated, plain)
        };
        exchange.asking = match body {
            None => Asking::Done,
            Some(Body::Blind { .. }) => Asking::Blind,
            Some(_) => Asking::Open,
        };
        if exchange.asking == Asking::Blind {
            exchange.framed = false;
            self.exact = false;
            self.holed = true;
        }
        let lane = self.lane(dir);
        lane.owner = number;
        lane.state = body.map_or(State::Start, State::Body);

        cx.tally.head(len as u64);
        cx.tally.requests = cx.tally.requests.saturating_add(1);
        cx.tally.truncated = cx.tally.truncated.saturating_add(u64::from(truncated));
        let head = RequestHead {
            protocol: Protocol::Http1,
            method: cx.names.method(request.method),
            target: mask::target(request.target, cx.limits),
            host: request.fields.host.and_then(|host| cx.names.host(host)),
            minor_version: request.minor,
            is_message: false,
            truncated,
            extra: extra::read(Lines(request.lines), request.target, cx.limits),
        };
        let side = if dir == Direction::Rx { Side::Server } else { Side::Client };
        let id = ExchangeId { conn: cx.conn, number };
        cx.out.push(Step::Request { id, side, first, stamp, seq: mark.seq, head });
        self.tell_held(cx, number);
    }

    /// Whether the request that begins at the lane's mark can be paired with its response.
    fn may_pair(&mut self, cx: &mut Context<'_>, dir: Direction, stamp: Stamp) -> bool {
        let lane = self.lane(dir);
        let (mark, tentative) = (lane.mark, lane.tentative.take());
        if mark.new_call {
            self.settle(cx);
        }
        if self.queue.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.exact = false;
            self.missing = self.missing.saturating_add(1);
            return false;
        }
        if self.queue.iter().any(|exchange| exchange.is_owed()) {
            if self.holed {
                self.missing = self.missing.saturating_add(1);
                return false;
            }
            // Bytes that answer earlier requests have moved, and more are due: that is no batch.
            let within = mark.new_call && mark.after == Some(dir.opposite());
            if within || (mark.new_call && self.exact) {
                self.staggered = CALM;
            }
            if !self.exact && (within || (mark.new_call && self.strayed)) {
                self.lose(cx, stamp.at);
                self.missing = self.missing.saturating_add(1);
                return false;
            }
            return tentative.is_none();
        }
        if !self.queue.is_empty() {
            // Its response came first.
            return true;
        }
        if !self.exact && (self.staggered > 0 || self.missing > 0 || mark.after == Some(dir)) {
            self.missing = self.missing.saturating_add(1);
            return false;
        }
        let other = self.lane(dir.opposite());
        if matches!(other.state, State::Skip(_)) {
            other.state = State::Start;
            cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
            self.exact = false;
        }
        self.holed = false;
        self.exact &= tentative.is_none() && !self.strayed;
        true
    }

    /// Tells a response that was seen before its request.
    fn tell_held(&mut self, cx: &mut Context<'_>, number: u32) {
        let Some(exchange) = self.queue.get(number) else { return };
        let Some(held) = exchange.held.take() else { return };
        let misread = exchange.is_head || exchange.is_connect;
        let begun = exchange.answering == Answering::Begun;
        let id = ExchangeId { conn: cx.conn, number };
        cx.tally.responses = cx.tally.responses.saturating_add(1);
        cx.out.push(Step::Response { id, stamp: held.stamp, seq: held.seq, head: held.head });
        if misread && begun {
            // Its framing was read as if it had a body.
            self.misread(cx, number);
            return;
        }
        self.end_if_over(cx, number);
    }
}
