//! What servers say.

use std::sync::Arc;

use super::message::{self, HEADER};
use super::talk::{ABORTED, Awaits, Item, Talk, UNKNOWN, lose};
use crate::exchange::Outcome;
use crate::exchange::Trailer;
use crate::protocol::Context;
use crate::protocol::frames::Frame;
use crate::protocol::sql::Backslash;
use crate::protocol::tally::Skip;

impl Talk {
    /// A message of the server's.
    pub fn answers(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        let kind = frame.bytes.first().copied().unwrap_or(0);
        if !self.paired {
            self.skip(cx, Skip::Desync, frame.len);
        } else if matches!(kind, b'D' | b'd') {
            cx.tally.body(frame.len);
        } else {
            cx.tally.head(frame.len);
        }
        match kind {
            b'S' => self.parameter(frame),
            // Notices and notifications come at any time; the others are of the login.
            b'N' | b'A' | b'R' | b'K' | b'v' => {}
            _ if !self.paired => {}
            b'Z' => self.ready(cx, frame),
            b'E' => self.error(cx, frame),
            _ => self.progress(cx, kind, frame),
        }
    }

    /// A ParameterStatus: one says how strings are to be read.
    fn parameter(&mut self, frame: &Frame<'_>) {
        let content = frame.bytes.get(HEADER..).unwrap_or_default();
        if let Some((name, rest)) = message::text(content)
            && name == b"standard_conforming_strings"
            && let Some((value, _)) = message::text(rest)
        {
            self.dialect.backslash = if value == b"on" { Backslash::Plain } else { Backslash::Escapes };
        }
    }

    /// Neither the end of a cycle nor an error.
    fn progress(&mut self, cx: &mut Context<'_>, kind: u8, frame: &Frame<'_>) {
        let Some(item) = self.items.front_mut() else { return };
        // A Close may stand before what it is waited for.
        if kind == b'3' || item.awaits == Awaits::Sync {
            return;
        }
        item.note(frame.first, frame.seq);
        if let Some(call) = &mut item.call {
            call.moved(frame.len, frame.last);
        }
        let is_over = match (&mut item.awaits, kind) {
            (Awaits::Prepared { described, parsed }, b'1') => {
                *parsed = true;
                !*described
            }
            (Awaits::Prepared { parsed: true, .. }, b'T' | b'n') => true,
            (Awaits::Prepared { .. }, _) => false,
            // What comes before the rows does not say yet whether there will be any.
            (Awaits::Executed, b'1' | b'2' | b't' | b'T' | b'n') => return,
            (Awaits::Executed | Awaits::Cycle, b'G') => {
                // The server waits for the data, and has not answered yet.
                self.copying = true;
                item.first = None;
                return;
            }
            (awaits, b'C' | b'I' | b's') => {
                self.copying = false;
                *awaits == Awaits::Executed
            }
            _ => false,
        };
        if is_over || !matches!(item.awaits, Awaits::Prepared { .. }) {
            item.told(cx, None);
        }
        if is_over && let Some(item) = self.items.pop_front() {
            item.complete(cx, frame.last.at);
        }
    }

    fn error(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        // Without an exchange: the login failed, the server goes down, or a Describe or Close was wrong.
        let Some(item) = self.items.front_mut() else { return };
        self.copying = false;
        self.failed = true;
        if item.awaits == Awaits::Sync {
            return;
        }
        let code = cx.names.method(message::sqlstate(frame.bytes).unwrap_or(UNKNOWN.as_bytes()));
        item.note(frame.first, frame.seq);
        if let Some(call) = &mut item.call {
            call.moved(frame.len, frame.last);
            if call.is_answered() {
                item.error.get_or_insert(code);
            } else {
                item.told(cx, Some(&code));
            }
        }
        if item.awaits != Awaits::Cycle
            && let Some(item) = self.items.pop_front()
        {
            item.complete(cx, frame.last.at);
        }
    }

    fn ready(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        if self.owed() == 0 && (!self.front_lost || self.items.is_empty()) {
            self.unasked(cx);
            return;
        }
        while let Some(mut item) = self.items.pop_front() {
            match item.awaits {
                Awaits::Sync => break,
                Awaits::Cycle => {
                    item.note(frame.first, frame.seq);
                    if let Some(call) = &mut item.call {
                        call.moved(frame.len, frame.last);
                    }
                    item.told(cx, None);
                    item.complete(cx, frame.last.at);
                    break;
                }
                Awaits::Executed | Awaits::Prepared { .. } => self.skipped(cx, item, frame),
            }
        }
        self.cycle_over();
    }

    /// An exchange of a cycle that is over, and that was not answered.
    fn skipped(&mut self, cx: &mut Context<'_>, mut item: Item, frame: &Frame<'_>) {
        if !self.failed {
            if let Some(call) = item.call {
                lose(cx, call, frame.last.at);
            }
            return;
        }
        let code: Arc<str> = cx.names.method(ABORTED.as_bytes());
        item.note(frame.first, frame.seq);
        item.told(cx, Some(&code));
        if let Some(call) = item.call {
            call.end(cx, Outcome::Complete, frame.last.at, Trailer::default());
        }
    }

    /// A ReadyForQuery for which nothing was asked.
    fn unasked(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.starting) {
            return;
        }
        cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
        if self.holed || self.front_lost {
            // What asked for it was hidden.
            self.paired = false;
            cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        } else {
            self.ahead = self.ahead.saturating_add(1);
        }
    }
}
