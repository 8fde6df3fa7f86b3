//! One request of a connection, from BEGIN_REQUEST to END_REQUEST.

use super::{cgi, params};
use crate::event::{Direction, Stamp};
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::{Begun, Call, Calls};
use crate::protocol::frames::Frame;
use crate::protocol::moved::Move;
use crate::time::Nanos;

/// A request that has no END_REQUEST yet.
pub(super) struct Request {
    /// Its number among those that are open.
    pub id: u16,
    begun: Begun,
    asking: Asking,
    /// The first record of the response: who moved its first byte, and its sequence number.
    first: Option<(Stamp, u32)>,
    /// The beginning of the response's header, as long as the status is not known.
    header: Vec<u8>,
    /// A part of the response's header was not captured.
    holed: bool,
}

enum Asking {
    /// Its pairs are still coming.
    Head { pairs: Vec<u8>, truncated: bool, stamp: Stamp, bytes: u64 },
    /// It was told.
    Told(Call),
}

impl Request {
    /// With this BEGIN_REQUEST.
    pub fn new(id: u16, frame: &Frame<'_>) -> Request {
        let head = Asking::Head { pairs: Vec::new(), truncated: false, stamp: frame.stamp, bytes: frame.len };
        Request {
            id,
            begun: Begun { seq: frame.seq, at: frame.first.at },
            asking: head,
            first: None,
            header: Vec::new(),
            holed: false,
        }
    }

    /// More of its pairs; `is_cut`: not all of them were captured.
    pub fn pairs(&mut self, content: &[u8], is_cut: bool, frame: &Frame<'_>) {
        match &mut self.asking {
            Asking::Head { pairs, truncated, stamp, bytes } => {
                let room = if *truncated { 0 } else { params::MAX.saturating_sub(pairs.len()) };
                pairs.extend_from_slice(content.get(..room).unwrap_or(content));
                *truncated |= is_cut || content.len() > room;
                *stamp = frame.stamp;
                *bytes = bytes.saturating_add(frame.len);
            }
            Asking::Told(call) => call.asked(frame.len, frame.last),
        }
    }

    /// Other bytes of the request moved. `all`: it is not certain that its pairs have all been seen, and there will be no more.
    pub fn asked(&mut self, bytes: u64, moved: Move, all: bool) {
        match &mut self.asking {
            Asking::Head { truncated, bytes: had, .. } => {
                *had = had.saturating_add(bytes);
                *truncated |= all;
            }
            Asking::Told(call) => call.asked(bytes, moved),
        }
    }

    /// Its pairs are all there, or will not come: tells it.
    pub fn tell(&mut self, cx: &mut Context<'_>, calls: &mut Calls, dir: Direction) -> Option<&mut Call> {
        if let Asking::Head { pairs, truncated, stamp, bytes } = &mut self.asking {
            let head = params::head(std::mem::take(pairs), *truncated, cx.names, cx.limits);
            let call = calls.ask(cx, dir, self.begun, *stamp, *bytes, head);
            self.asking = Asking::Told(call);
        }
        self.call()
    }

    /// Its call, if it was told.
    pub fn call(&mut self) -> Option<&mut Call> {
        if let Asking::Told(call) = &mut self.asking { Some(call) } else { None }
    }

    /// A record of the response of which the beginning was at `frame`.
    pub fn begin_response(&mut self, stamp: Stamp, seq: u32) {
        self.first.get_or_insert((stamp, seq));
    }

    /// More of the response's output: tells the response once the status is known.
    pub fn output(&mut self, cx: &mut Context<'_>, content: &[u8], is_cut: bool) {
        let is_known = self.call().is_none_or(|call| call.is_answered());
        if is_known || self.holed {
            return;
        }
        let room = cgi::MAX.saturating_sub(self.header.len());
        let status = if self.header.is_empty() {
            cgi::status(content)
        } else {
            self.header.extend_from_slice(content.get(..room).unwrap_or(content));
            cgi::status(&self.header)
        };
        match status {
            Some(status) => self.answer(cx, ResponseHead { status, ..ResponseHead::default() }),
            None => {
                self.holed = is_cut || content.len() >= room;
                if self.header.is_empty() {
                    self.header.extend_from_slice(content.get(..room).unwrap_or(content));
                }
            }
        }
    }

    /// The response's header as far as it is known.
    fn answer(&mut self, cx: &mut Context<'_>, head: ResponseHead) {
        self.header = Vec::new();
        if let (Asking::Told(call), Some((stamp, seq))) = (&mut self.asking, self.first) {
            call.answer(cx, stamp, seq, head);
        }
    }

    /// What is known of the response is told, because no more of its header will be seen.
    fn answer_anyway(&mut self, cx: &mut Context<'_>) {
        // It is a header without an empty line, or one that was cut off: its status is unknown.
        self.answer(cx, ResponseHead { truncated: true, ..ResponseHead::default() });
    }

    /// Whether its response was told.
    pub fn is_answered(&mut self) -> bool {
        self.call().is_some_and(|call| call.is_answered())
    }

    /// END_REQUEST: the application's exit code, and whether it took the request at all (section 5.5). `frame`: the record, if it
    /// was not counted before.
    pub fn complete(mut self, cx: &mut Context<'_>, frame: Option<&Frame<'_>>, content: &[u8]) {
        let error = match content {
            [_, _, _, _, 1, ..] => Some("CANT_MPX_CONN".to_owned()),
            [_, _, _, _, 2, ..] => Some("OVERLOADED".to_owned()),
            [_, _, _, _, 3, ..] => Some("UNKNOWN_ROLE".to_owned()),
            [a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d]))
                .filter(|code| *code != 0)
                .map(|code| format!("exit {code}")),
            _ => None,
        };
        let error = error.map(std::sync::Arc::from);
        if self.header.is_empty() && !self.holed {
            // It said nothing at all.
            self.answer(cx, ResponseHead::default());
        } else {
            self.answer_anyway(cx);
        }
        if let Asking::Told(mut call) = self.asking {
            if let Some(frame) = frame {
                call.moved(frame.len, frame.last);
            }
            let at = call.response_end();
            call.end(cx, Outcome::Complete, at, Trailer { status: None, error });
        }
    }

    /// The connection (`closed`) or the capture is over.
    pub fn cut(mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        if self.first.is_some() {
            self.answer_anyway(cx);
        }
        if let Asking::Told(call) = self.asking {
            call.cut(cx, at, closed);
        }
    }

    /// Where its response ends is out of sight.
    pub fn lose(mut self, cx: &mut Context<'_>, at: Nanos) {
        if self.first.is_some() {
            self.answer_anyway(cx);
        }
        if let Asking::Told(call) = self.asking {
            let seen = call.response_end();
            call.lose(cx, if seen.0 > 0 { seen } else { at });
        }
    }
}
