//! Queries that wait for their responses, on one socket: paired by their number and what they ask for.

use std::sync::Arc;

use tracer_common::abi::ConnId;

use super::message::{Message, Question};
use super::words;
use crate::event::{Direction, Mover, Stamp};
use crate::exchange::{Attribute, Extra, Outcome, Protocol, RequestHead, ResponseHead, Trailer, dns_code};
use crate::protocol::Context;
use crate::protocol::calls::{Begun, Call, Calls};
use crate::protocol::moved::Move;
use crate::time::Nanos;

/// What was asked and is not answered yet.
struct Open {
    conn: ConnId,
    dir: Direction,
    id: u16,
    question: Box<Question>,
    call: Call,
    /// When, and by whom, it was asked last.
    asked: Move,
    /// The same was asked once more elsewhere: no longer did anybody wait here.
    given_up: Option<Nanos>,
}

/// A message that moved.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Which way.
    pub dir: Direction,
    /// When it began, and where it stands.
    pub begun: Begun,
    /// Who moved it, or the last captured part.
    pub stamp: Stamp,
    /// When its last byte moved.
    pub last: Move,
    /// How many bytes it has.
    pub len: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is a query that was not asked before.
    Asked,
    /// It is one that was asked before.
    Again,
    /// It is a response.
    Answered,
    /// It is a response of which the query was not seen.
    Unrequested,
    /// There are too many.
    Overflow,
}

/// The open lookups of a socket.
#[derive(Default)]
pub(super) struct Lookups {
    calls: Calls,
    open: Vec<Open>,
}

impl Lookups {
    /// How many wait for a response.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Takes a message; [`Context::conn`] is the connection that it belongs to if it is a query.
    pub fn take(&mut self, cx: &mut Context<'_>, message: &Message, moved: &Moved) -> Taken {
        // A response is of the query that went the other way.
        let asks = if message.is_response { moved.dir.opposite() } else { moved.dir };
        let is = |open: &Open| {
            let same = message.question.is_none_or(|question| open.question.is(&question));
            same && open.id == message.id && open.dir == asks
        };
        let mut found = self.open.iter().enumerate().filter(|(_, open)| is(open)).map(|(at, _)| at);
        let (first, is_only) = (found.next(), found.next().is_none());
        match (first, message.question) {
            // Without a question it could be of any with this number.
            (Some(at), question) if message.is_response && (question.is_some() || is_only) => {
                self.answer(cx, at, message, moved)
            }
            (Some(at), Some(_)) if !message.is_response => {
                if let Some(open) = self.open.get_mut(at) {
                    open.call.asked(moved.len, moved.last);
                    (open.asked, open.given_up) = (moved.last, None);
                }
                Taken::Again
            }
            (None, Some(question)) if !message.is_response => self.ask(cx, message.id, question, moved),
            _ => {
                cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
                Taken::Unrequested
            }
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>, id: u16, question: Question, moved: &Moved) -> Taken {
        if self.open.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            return Taken::Overflow;
        }
        let head = head(cx, &question);
        let mut call = self.calls.ask(cx, moved.dir, moved.begun, moved.stamp, moved.len, head);
        call.asked(0, moved.last);
        let (conn, dir, question) = (cx.conn, moved.dir, Box::new(question));
        self.open.push(Open { conn, dir, id, question, call, asked: moved.last, given_up: None });
        Taken::Asked
    }

    fn answer(&mut self, cx: &mut Context<'_>, at: usize, message: &Message, moved: &Moved) -> Taken {
        let Open { conn, mut call, .. } = self.open.remove(at);
        let of = std::mem::replace(&mut cx.conn, conn);
        let error = dns_code::is_failure(message.code).then(|| code(cx, message.code));
        let head = ResponseHead { status: message.code, error, truncated: false };
        let first = Stamp { at: moved.begun.at.min(moved.stamp.at), ..moved.stamp };
        call.answer(cx, first, moved.begun.seq, head);
        call.moved(moved.len, moved.last);
        call.end(cx, Outcome::Complete, moved.last.at, Trailer::default());
        cx.conn = of;
        Taken::Answered
    }

    /// Nobody takes what was asked (ECONNREFUSED).
    pub fn refused(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let error = Some(cx.names.method(b"ECONNREFUSED"));
        self.end_those(
            cx,
            |open| open.dir == Direction::Tx,
            |_| (Outcome::Unanswered, at, Trailer { status: None, error: error.clone() }),
        );
    }

    /// The same was asked again elsewhere, long after it was asked here.
    pub fn give_up(&mut self, id: u16, question: &Question, by: Mover, at: Nanos, patience: u64) {
        for open in &mut self.open {
            let is_same = open.id == id && open.dir == Direction::Tx && open.question.is(question);
            if is_same && open.asked.by.tid == by.tid && at.since(open.asked.at) > patience {
                open.given_up.get_or_insert(at);
            }
        }
    }

    /// Ends what was asked before `before`: nobody waits for it any more. Of what this end asked it is said that nothing came for
    /// `patience` nanoseconds.
    pub fn expire(&mut self, cx: &mut Context<'_>, before: Nanos, patience: u64) {
        self.end_those(
            cx,
            |open| open.asked.at < before,
            |open| {
                let until = Nanos(open.asked.at.0.saturating_add(patience));
                (Outcome::Unanswered, open.given_up.unwrap_or(until).min(until), Trailer::default())
            },
        );
    }

    /// Messages may have been missed, responses among them.
    pub fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.end_those(cx, |_| true, |_| (Outcome::ResponseUnseen, at, Trailer::default()));
    }

    /// The connection (`closed`) or the capture is over.
    pub fn cut(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let outcome = if closed { Outcome::Unanswered } else { Outcome::Pending };
        self.end_those(cx, |_| true, |_| (outcome, at, Trailer::default()));
    }

    fn end_those(
        &mut self,
        cx: &mut Context<'_>,
        which: impl Fn(&Open) -> bool,
        how: impl Fn(&Open) -> (Outcome, Nanos, Trailer),
    ) {
        let of = cx.conn;
        for open in self.open.extract_if(.., |open| which(open)) {
            let (outcome, at, trailer) = how(&open);
            cx.conn = open.conn;
            let at = at.max(open.call.request_end());
            open.call.end(cx, outcome, at, trailer);
        }
        cx.conn = of;
    }
}

fn code(cx: &mut Context<'_>, number: u16) -> Arc<str> {
    match dns_code::name(number) {
        Some(word) => cx.names.method(word.as_bytes()),
        None => cx.names.method(format!("RCODE{number}").as_bytes()),
    }
}

fn head(cx: &mut Context<'_>, question: &Question) -> RequestHead {
    // RFC 3597 section 5: types and classes that have no name.
    let method = match words::kind(question.kind) {
        Some(word) => cx.names.method(word.as_bytes()),
        None => cx.names.method(format!("TYPE{}", question.kind).as_bytes()),
    };
    let class = words::class(question.class).map(|class| Attribute::text("dns.question.class", class));
    let extra = class.map(|class| Box::new(Extra { attributes: vec![class], ..Extra::default() }));
    RequestHead {
        protocol: Protocol::Dns,
        method,
        target: question.name.text().into_boxed_str(),
        extra,
        ..RequestHead::default()
    }
}
