//! Ends exchanges: when nothing of them is missing, when nothing more can be known of them, and at the end.

use super::Http1;
use super::body::Body;
use super::call::unframed;
use super::lane::State;
use super::queue::{Answering, Asking, Exchange};
use crate::event::Direction;
use crate::exchange::Outcome;
use crate::protocol::Context;
use crate::protocol::tally::Skip;
use crate::time::Nanos;

impl Http1 {
    /// The response of an exchange is over.
    pub(super) fn answered(&mut self, cx: &mut Context<'_>, number: u32, outcome: Outcome) {
        if let Some(exchange) = self.queue.get(number) {
            exchange.answering = Answering::Done(outcome);
            exchange.framed &= outcome == Outcome::Complete;
        }
        self.end_if_over(cx, number);
    }

    /// Tells the end of an exchange if nothing of it is missing.
    pub(super) fn end_if_over(&mut self, cx: &mut Context<'_>, number: u32) {
        let Some(outcome) = self.queue.get(number).and_then(|exchange| exchange.is_over()) else { return };
        let Some(exchange) = self.queue.remove(number) else { return };
        let orderly = exchange.framed
            && self.queue.is_empty()
            && self.rx.state == State::Start
            && self.tx.state == State::Start;
        if orderly {
            if self.exact {
                self.staggered = self.staggered.saturating_sub(1);
            }
            if self.staggered == 0 {
                self.exact = true;
                self.strayed = false;
                self.missing = 0;
            }
        }
        let at = exchange.response.last;
        exchange.end(cx, outcome, at);
    }

    /// A new request begins: what can only be ended by that is ended.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(responses) = self.responses() else { return };
        let state = self.lane(responses).state;
        let Some(front) = self.queue.only() else { return };
        let number = front.number;
        match (front.asking, front.answering, state) {
            // Superseded: the rest of the request will not come any more.
            (Asking::Open, Answering::Done(_), _) => {
                front.asking = Asking::Blind;
                self.end_if_over(cx, number);
            }
            (Asking::Done | Asking::Blind, Answering::Begun, State::Body(body))
                if self.staggered == 0 && !body.is_framed() && !body.is_open() =>
            {
                self.exact = false;
                self.lane(responses).state = State::Start;
                self.answered(cx, number, unframed(body));
            }
            _ => {}
        }
    }

    /// Pairing is lost: ends what waits for a response, and skips requests until the next certain point.
    pub(super) fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.exact = false;
        self.drop_where(cx, at, |exchange| {
            !matches!(exchange.answering, Answering::Begun) || exchange.held.is_some()
        });
        if let Some(requests) = self.requests {
            self.skip_on(cx, requests);
        }
        // The rest of a request that was on its way is skipped: nothing more of it will be known.
        let mut over = None;
        if let Some(exchange) = self.queue.find(|exchange| exchange.asking == Asking::Open) {
            exchange.asking = Asking::Blind;
            exchange.framed = false;
            over = Some(exchange.number);
        }
        if let Some(number) = over {
            self.end_if_over(cx, number);
        }
    }

    /// What is held of a direction, and what comes on it, is skipped until the next certain point.
    fn skip_on(&mut self, cx: &mut Context<'_>, dir: Direction) {
        let understood = self.understood;
        self.fresh = false;
        let lane = self.lane(dir);
        if lane.state == State::Tunnel {
            // It ends with the connection only.
            return;
        }
        cx.skip(understood, Skip::Desync, lane.pending());
        lane.buffer.clear();
        lane.tentative = None;
        lane.state = State::Skip(Skip::Desync);
    }

    /// Nothing is certain any more, in either direction: also what had begun to be answered is ended, and both directions
    /// are skipped until the next certain point.
    pub(super) fn lose_all(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.lose(cx, at);
        let Some(responses) = self.responses() else { return };
        self.skip_on(cx, responses);
        for exchange in self.queue.drain(|_| true) {
            let last = exchange.response.last;
            let outcome = match exchange.answering {
                Answering::Done(outcome) => outcome,
                Answering::Awaited | Answering::Begun => Outcome::EndUnframed,
            };
            exchange.end(cx, outcome, last);
        }
    }

    /// A response was read as if it had a body, and has none: where it ended is not known.
    pub(super) fn misread(&mut self, cx: &mut Context<'_>, number: u32) {
        if let Some(responses) = self.responses() {
            self.lane(responses).state = State::Skip(Skip::Desync);
        }
        if let Some(exchange) = self.queue.remove(number) {
            let at = exchange.response.last;
            exchange.end(cx, Outcome::EndUnframed, at);
        }
        self.lose(cx, Nanos(0));
    }

    /// Ends exchanges whose responses cannot be told apart any more.
    pub(super) fn drop_where(
        &mut self,
        cx: &mut Context<'_>,
        at: Nanos,
        condition: impl Fn(&Exchange) -> bool,
    ) {
        if self.queue.is_empty() {
            return;
        }
        for exchange in self.queue.drain(condition) {
            self.drop_one(cx, exchange, at, Outcome::ResponseUnseen);
        }
    }

    fn drop_one(&mut self, cx: &mut Context<'_>, exchange: Exchange, at: Nanos, outcome: Outcome) {
        match (exchange.asking, exchange.answering) {
            // A response without a request: there is nothing to tell.
            (Asking::Unseen, _) => cx.tally.unrequested = cx.tally.unrequested.saturating_add(1),
            (_, Answering::Done(outcome)) => {
                let at = exchange.response.last;
                exchange.end(cx, outcome, at);
            }
            (_, answering) => {
                self.missing = self.missing.saturating_add(u32::from(answering == Answering::Awaited));
                let at = at.max(exchange.request.last);
                exchange.end(cx, outcome, at);
            }
        }
    }

    /// The connection is over (`closed`), or only the capture.
    pub(super) fn end_all(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let responses = self.responses();
        for dir in [Direction::Rx, Direction::Tx] {
            let bytes = self.lane(dir).pending();
            if bytes == 0 {
                continue;
            }
            let latest = self.lane(dir).latest.into();
            self.lane(dir).buffer = Vec::new();
            let waiting =
                self.queue.find(|exchange| exchange.is_awaiting()).filter(|_| responses == Some(dir));
            match waiting {
                // The beginning of a response, though not enough to read it.
                Some(exchange) => {
                    exchange.answering = Answering::Begun;
                    exchange.response.add(bytes, latest);
                    cx.tally.head(bytes);
                    self.lane(dir).state = State::Head;
                }
                None => {
                    cx.skip(self.understood, Skip::Incomplete, bytes);
                    self.lane(dir).state = State::Skip(Skip::Incomplete);
                }
            }
        }
        let state = responses.map_or(State::Start, |dir| self.lane(dir).state);
        for exchange in self.queue.drain(|_| true) {
            let last = exchange.response.last;
            match (exchange.answering, closed) {
                _ if exchange.asking == Asking::Unseen => {
                    self.drop_one(cx, exchange, at, Outcome::ResponseUnseen)
                }
                (Answering::Done(outcome), _) => exchange.end(cx, outcome, last),
                (Answering::Begun, closed) => exchange.end(cx, unfinished(state, closed), last),
                (Answering::Awaited, true) => exchange.end(cx, Outcome::Unanswered, at),
                (Answering::Awaited, false) => exchange.end(cx, Outcome::Pending, at),
            }
        }
        if let Some(requests) = self.requests {
            self.lane(requests).state = State::Skip(Skip::Desync);
            self.lane(requests.opposite()).state = State::Skip(Skip::Desync);
        }
    }
}

/// How a response ends that was not over at the end.
fn unfinished(state: State, closed: bool) -> Outcome {
    match (state, closed) {
        (State::Body(Body::Unseen), _) => Outcome::ResponseUnseen,
        (State::Body(Body::Blind { open: false, .. }), _) => Outcome::EndUnframed,
        // RFC 9112 section 6.3, item 8: the close is its end.
        (State::Body(Body::UntilClose), true) => Outcome::Complete,
        (_, true) => Outcome::Aborted,
        (_, false) => Outcome::Streaming,
    }
}
