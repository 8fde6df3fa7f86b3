//! The exchanges of a connection that are not over, in the order of their requests.

use std::collections::VecDeque;

use crate::event::Stamp;
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::Call;
use crate::protocol::moved::Half;
use crate::time::Nanos;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Its response was seen first (see [`Held`]).
    Unseen,
    /// Its body is on its way, and its end will be known.
    Open,
    /// Its body may be on its way; the end will not be known.
    Blind,
    /// Over.
    Done,
}

/// How far a response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    Awaited,
    Begun,
    Done(Outcome),
}

/// A response that was seen before its request, waiting to be told after it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub stamp: Stamp,
    pub seq: u32,
    pub head: ResponseHead,
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    pub number: u32,
    pub asking: Asking,
    pub answering: Answering,
    /// Both messages' framing was seen without a break.
    pub framed: bool,
    /// The method is HEAD: the response has no body.
    pub is_head: bool,
    /// The method is CONNECT: a 2xx response opens a tunnel.
    pub is_connect: bool,
    pub request: Half,
    pub response: Half,
    pub held: Option<Box<Held>>,
}

impl Exchange {
    /// Whether nothing of it is missing.
    pub(super) fn is_over(&self) -> Option<Outcome> {
        match (self.asking, self.answering) {
            (Asking::Done | Asking::Blind, Answering::Done(outcome)) => Some(outcome),
            _ => None,
        }
    }

    /// Whether its request was told and its response has not begun.
    pub(super) fn is_awaiting(&self) -> bool {
        self.asking != Asking::Unseen && self.answering == Answering::Awaited
    }

    /// Whether its request was told and its response is not over.
    pub(super) fn is_owed(&self) -> bool {
        self.asking != Asking::Unseen && !matches!(self.answering, Answering::Done(_))
    }

    /// Tells its end.
    pub(super) fn end(self, cx: &mut Context<'_>, outcome: Outcome, at: Nanos) {
        Call::adopted(self.number, self.request, self.response).end(cx, outcome, at, Trailer::default());
    }
}

/// Exchanges in the order of their numbers, which follow one another.
#[derive(Debug, Default)]
pub(super) struct Queue {
    exchanges: VecDeque<Exchange>,
    next: u32,
}

impl Queue {
    /// The number that the next exchange will have.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// The first that fulfils a condition. It is among the first few whenever it matters for speed.
    pub(super) fn find(&mut self, condition: impl Fn(&Exchange) -> bool) -> Option<&mut Exchange> {
        self.exchanges.iter_mut().find(|exchange| condition(exchange))
    }

    /// The exchange, if there is exactly one.
    pub(super) fn only(&mut self) -> Option<&mut Exchange> {
        if self.exchanges.len() == 1 { self.exchanges.front_mut() } else { None }
    }

    /// The one with this number.
    pub(super) fn get(&mut self, number: u32) -> Option<&mut Exchange> {
        let at = self.index(number)?;
        self.exchanges.get_mut(at)
    }

    fn index(&self, number: u32) -> Option<usize> {
        self.exchanges.binary_search_by_key(&number, |exchange| exchange.number).ok()
    }

    /// Adds an exchange whose request (or, ahead of it, response) has been seen.
    pub(super) fn push(&mut self) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        if self.next == 0 {
            // Numbers must rise; after four thousand million exchanges on one connection the old ones are forgotten.
            self.exchanges.clear();
        }
        self.exchanges.push_back(Exchange {
            number,
            asking: Asking::Unseen,
            answering: Answering::Awaited,
            framed: true,
            is_head: false,
            is_connect: false,
            request: Half::default(),
            response: Half::default(),
            held: None,
        });
        number
    }

    /// The first whose response was seen and whose request was not.
    pub(super) fn ahead(&self) -> Option<u32> {
        self.exchanges.back().filter(|last| last.asking == Asking::Unseen)?;
        self.iter().find(|exchange| exchange.asking == Asking::Unseen).map(|exchange| exchange.number)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, number: u32) -> Option<Exchange> {
        let at = self.index(number)?;
        self.exchanges.remove(at)
    }

    /// Takes out all that fulfil a condition, in order.
    pub(super) fn drain(&mut self, condition: impl Fn(&Exchange) -> bool) -> VecDeque<Exchange> {
        let (out, keep) = self.exchanges.drain(..).partition(|exchange| condition(exchange));
        self.exchanges = keep;
        out
    }
}
