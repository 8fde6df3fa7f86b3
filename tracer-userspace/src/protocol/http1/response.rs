//! A response's head was read: finds its request, and tells it.

use super::body::{self, Body};
use super::head::{self, Parsed, Response};
use super::lane::State;
use super::queue::{Answering, Asking, Held};
use super::{Http1, Kind, MAX_AHEAD};
use crate::event::{Direction, Stamp};
use crate::exchange::{ExchangeId, Outcome, ResponseHead, Step};
use crate::protocol::Context;
use crate::protocol::calls::Call;
use crate::protocol::http2::Http2;
use crate::protocol::tally::Skip;

impl Http1 {
    /// A response's head of `len` bytes, completed by the call of `stamp`.
    pub(super) fn response(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        response: &Response,
        len: usize,
        stamp: Stamp,
        truncated: bool,
    ) {
        self.understand(cx);
        self.requests = Some(dir.opposite());
        self.lane(dir).tentative = None;
        let interim = (100..200).contains(&response.status) && response.status != 101;
        if interim && truncated {
            // Where it ends, and the final response begins, is not known.
            self.hidden(cx, dir, len as u64, stamp.into(), Skip::Desync);
            return;
        }
        if interim {
            // RFC 9110 section 15.2: not the answer yet.
            cx.tally.interim = cx.tally.interim.saturating_add(1);
            cx.tally.head(len as u64);
            if let Some(exchange) = self.queue.find(|exchange| exchange.is_awaiting()) {
                exchange.response.bytes = exchange.response.bytes.saturating_add(len as u64);
            }
            self.lane(dir).state = State::Start;
            return;
        }
        let Some(number) = self.asked_by(cx, dir, response) else {
            self.stray(cx, dir);
            self.skip(cx, Skip::Unrequested, len);
            return;
        };
        let mark = self.lane(dir).mark;
        let Some(exchange) = self.queue.get(number) else { return };
        exchange.answering = Answering::Begun;
        exchange.response.add(len as u64, stamp.into());
        let is_tunnel =
            response.status == 101 || (exchange.is_connect && (200..300).contains(&response.status));
        // RFC 9110 sections 6.4.1, 15.3.5 and 15.4.5.
        let bodiless = exchange.is_head || matches!(response.status, 204 | 304);
        let head = ResponseHead { status: response.status, truncated, error: None };
        cx.tally.head(len as u64);
        cx.tally.truncated = cx.tally.truncated.saturating_add(u64::from(truncated));
        if response.is_h2c && !truncated {
            // What answers the request comes in HTTP/2.
            cx.tally.interim = cx.tally.interim.saturating_add(1);
        } else if exchange.asking == Asking::Unseen {
            exchange.held = Some(Box::new(Held { stamp: mark.stamp, seq: mark.seq, head }));
        } else {
            let id = ExchangeId { conn: cx.conn, number };
            cx.tally.responses = cx.tally.responses.saturating_add(1);
            cx.out.push(Step::Response { id, stamp: mark.stamp, seq: mark.seq, head });
        }
        if is_tunnel {
            self.tunnel(cx, number, response.is_h2c && !truncated);
            return;
        }
        let lane = self.lane(dir);
        lane.owner = number;
        match body::of_response(response.length, response.coding, truncated, bodiless) {
            None => {
                lane.state = State::Start;
                self.answered(cx, number, Outcome::Complete);
            }
            Some(body) => {
                lane.state = State::Body(body);
                if matches!(body, Body::Blind { .. }) {
                    self.blinded(cx, dir, stamp.at);
                }
            }
        }
    }

    /// The exchange that a response belongs to; `None` if it must not be paired.
    fn asked_by(&mut self, cx: &mut Context<'_>, dir: Direction, response: &Response) -> Option<u32> {
        if let Some(exchange) = self.queue.find(|exchange| exchange.is_awaiting()) {
            return Some(exchange.number);
        }
        // A response to a head that is not complete (too large, too slow): the head is told as far as it is known.
        let requests = dir.opposite();
        let lane = self.lane(requests);
        if lane.state == State::Head && lane.tentative.is_none() {
            let buffer = std::mem::take(&mut lane.buffer);
            let known = self.kind(requests, &buffer, false) == Kind::Requests
                && matches!(head::request(&buffer), Parsed::Part(Some(_)));
            self.lane(requests).buffer = buffer;
            if known {
                self.exhausted(cx, requests);
                return self.queue.find(|exchange| exchange.is_awaiting()).map(|exchange| exchange.number);
            }
        }
        // The client's view of a request can come after that of its response (module documentation).
        let ahead =
            self.exact && dir == Direction::Rx && response.status != 101 && self.queue.len() < MAX_AHEAD;
        ahead.then(|| self.queue.push())
    }

    /// The protocol changes. This exchange is over, and whatever follows on the connection belongs to no other; or (`is_h2c`) all
    /// that follows is HTTP/2's, beginning with the response to this request.
    fn tunnel(&mut self, cx: &mut Context<'_>, number: u32, is_h2c: bool) {
        if let Some(exchange) = self.queue.remove(number) {
            let at = exchange.response.last;
            // Only where no request is missed, also none that came too early.
            self.fresh = exchange.is_connect && self.exact && self.queue.is_empty();
            match self.requests.filter(|_| is_h2c) {
                Some(requests) => {
                    let call = Call::adopted(number, exchange.request, exchange.response);
                    self.next = Some(Box::new(Http2::upgraded(requests, call, self.queue.next())));
                }
                None => exchange.end(cx, Outcome::Upgraded, at),
            }
            self.drop_where(cx, at, |_| true);
        }
        for lane in [&mut self.rx, &mut self.tx] {
            cx.tally.skip(Skip::Upgraded, lane.pending());
            lane.buffer = Vec::new();
            lane.state = State::Tunnel;
        }
    }
}
