//! What clients say.

use std::sync::Arc;

use super::message::{self, HEADER, Untyped};
use super::statements::{Known, What};
use super::talk::{Awaits, CALM, Encryption, Item, Parsed, Talk};
use crate::event::Stamp;
use crate::exchange::{Attribute, Extra, Protocol, RequestHead};
use crate::protocol::Context;
use crate::protocol::calls::Begun;
use crate::protocol::frames::Frame;
use crate::protocol::moved::Move;
use crate::protocol::tally::Skip;

/// The longest name of a database (`NAMEDATALEN` less one).
const MAX_DATABASE: usize = 63;

impl Talk {
    /// A message of the client's.
    pub fn asks(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        let kind = frame.bytes.first().copied().unwrap_or(0);
        if kind == b'd' {
            cx.tally.body(frame.len);
        } else if self.paired {
            cx.tally.head(frame.len);
        } else {
            self.skip(cx, Skip::Desync, frame.len);
        }
        let content = frame.bytes.get(HEADER..).unwrap_or_default();
        if matches!(kind, b'Q' | b'P' | b'B' | b'E' | b'F') {
            self.request_begins();
        }
        self.cut_bind = None;
        match kind {
            0 => self.untyped(cx, frame),
            b'Q' => self.query(cx, frame, content),
            b'F' => self.function(cx, frame, content),
            b'P' => self.parse(cx, frame, content),
            b'B' => self.bind(cx, frame, content),
            b'E' => self.execute(cx, frame, content),
            b'D' => self.describe(frame, content),
            b'C' => self.close(content),
            b'S' => self.sync(cx, frame),
            b'H' => self.prepared(cx),
            b'd' | b'c' | b'f' => {
                if let Some(call) = self.current() {
                    call.asked(frame.len, frame.last);
                }
            }
            // Passwords, and the end.
            _ => {}
        }
    }

    /// A request is sent while another waits: that is no orderly alternation.
    fn request_begins(&mut self) {
        let in_new_call = std::mem::take(&mut self.fresh_call);
        // While it is not known how far the server is, it may have answered.
        if in_new_call && self.owed() > 0 && !self.back_lost {
            self.staggered = CALM;
        }
    }

    fn untyped(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        self.understand(cx);
        match message::untyped(frame.bytes) {
            Some(Untyped::Startup) => {
                self.starting = true;
                self.database = message::database(frame.bytes).and_then(|name| {
                    let shown = std::str::from_utf8(name).ok()?;
                    let fine = name.len() <= MAX_DATABASE && !shown.chars().any(char::is_control);
                    (fine && !name.is_empty()).then(|| cx.names.method(name))
                });
            }
            Some(Untyped::Encrypt) => self.encryption = Encryption::Asked,
            Some(Untyped::Cancel) | None => {}
        }
    }

    fn query(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, content: &[u8]) {
        self.prepared(cx);
        if !self.paired {
            return;
        }
        let (text, truncated) = statement(content);
        let known = Known::read(cx, self.dialect, text, truncated);
        let head = known.into_head(self.database.as_ref());
        self.tell(cx, Awaits::Cycle, begun(frame), frame.stamp, frame.len, head, Some(frame.last));
        self.answered_ahead(cx);
    }

    fn function(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, content: &[u8]) {
        self.prepared(cx);
        if !self.paired {
            return;
        }
        let oid = message::be32(content).map(i64::from);
        let attribute = oid.map(|oid| Attribute::number("db.postgresql.function_oid", oid));
        let head = RequestHead {
            protocol: Protocol::PostgreSql,
            method: cx.names.method(b"CALL"),
            host: self.database.clone(),
            extra: attribute.map(|one| Box::new(Extra { attributes: vec![one], ..Extra::default() })),
            ..RequestHead::default()
        };
        self.tell(cx, Awaits::Cycle, begun(frame), frame.stamp, frame.len, head, Some(frame.last));
        self.answered_ahead(cx);
    }

    fn parse(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, content: &[u8]) {
        self.prepared(cx);
        // A name that was not captured to its end names nothing.
        let Some((name, rest)) = message::text(content) else { return };
        let (text, truncated) = statement(rest);
        let known = Arc::new(Known::read(cx, self.dialect, text, truncated));
        self.statements.insert(name, Arc::clone(&known));
        self.parsed = Some(Parsed {
            name: Box::from(name),
            what: What::Known(known),
            begun: begun(frame),
            stamp: frame.stamp,
            bytes: frame.len,
            described: false,
        });
    }

    fn bind(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, content: &[u8]) {
        let names = message::text(content).and_then(|(portal, rest)| Some((portal, message::text(rest)?.0)));
        let Some((portal, statement)) = names else {
            // Which portal it makes, and of what, was not captured.
            self.parsed = None;
            self.statements.forget_portals();
            return;
        };
        let parsed = self.parsed.take_if(|parsed| *parsed.name == *statement);
        self.prepared(cx);
        let (what, begun, bytes) = match parsed {
            Some(parsed) => (parsed.what, parsed.begun, parsed.bytes),
            None => (self.statements.find(statement), begun(frame), 0),
        };
        self.statements.bind(portal, what, begun, bytes + frame.len);
        self.cut_bind = Some(frame.stamp).filter(|_| frame.is_cut());
    }

    fn describe(&mut self, frame: &Frame<'_>, content: &[u8]) {
        // A name that was not captured is taken for the one that is expected: were it another, no end would be seen.
        let (kind, rest) = content.split_first().map_or((b'S', content), |(kind, rest)| (*kind, rest));
        let name = message::text(rest).map(|(name, _)| name);
        if kind == b'S' {
            let is_parsed = |parsed: &&mut Parsed| name.is_none_or(|name| *parsed.name == *name);
            if let Some(parsed) = self.parsed.as_mut().filter(is_parsed) {
                parsed.described = true;
                parsed.bytes += frame.len;
            }
        } else if let Some(portal) = name.and_then(|name| self.statements.portal(name))
            && let Some((_, bytes)) = &mut portal.fresh
        {
            *bytes += frame.len;
        }
    }

    fn execute(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>, content: &[u8]) {
        self.prepared(cx);
        let name = message::text(content).map(|(name, _)| name);
        let portal = name.and_then(|name| self.statements.portal(name));
        let (what, fresh) = match portal {
            Some(portal) => (portal.what.clone(), portal.fresh.take()),
            None => (What::Unknown(None), None),
        };
        if !self.paired {
            return;
        }
        let (begun, bytes) = fresh.unwrap_or((begun(frame), 0));
        let head = what.head(cx, self.database.as_ref(), None);
        self.tell(cx, Awaits::Executed, begun, frame.stamp, bytes + frame.len, head, Some(frame.last));
    }

    /// A Bind was cut off, and what came behind it: an Execute of its portal.
    pub fn execute_hidden(&mut self, cx: &mut Context<'_>, stamp: Stamp) {
        let Some(portal) = self.statements.last_portal() else { return };
        let (what, fresh) = (portal.what.clone(), portal.fresh.take());
        let Some((begun, bytes)) = fresh else { return };
        let head = what.head(cx, self.database.as_ref(), None);
        self.tell(cx, Awaits::Executed, begun, stamp, bytes, head, None);
    }

    fn close(&mut self, content: &[u8]) {
        match content.split_first() {
            Some((b'S', rest)) => {
                if let Some((name, _)) = message::text(rest) {
                    self.statements.remove(name);
                }
            }
            Some((_, rest)) => {
                if let Some((name, _)) = message::text(rest) {
                    self.statements.unbind(name);
                }
            }
            None => {}
        }
    }

    fn sync(&mut self, cx: &mut Context<'_>, frame: &Frame<'_>) {
        self.prepared(cx);
        if !self.paired {
            return;
        }
        if let Some(call) = self.items.back_mut().and_then(|item| item.call.as_mut()) {
            call.asked(frame.len, frame.last);
        }
        self.items.push_back(Item { awaits: Awaits::Sync, call: None, first: None, error: None });
        if self.items.len() > cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.lose(cx, frame.last.at);
            return;
        }
        self.answered_ahead(cx);
    }

    /// A Parse is over that no Bind followed.
    fn prepared(&mut self, cx: &mut Context<'_>) {
        let Some(parsed) = self.parsed.take() else { return };
        if !self.paired {
            return;
        }
        let head = parsed.what.head(cx, self.database.as_ref(), Some("PREPARE"));
        let awaits = Awaits::Prepared { described: parsed.described, parsed: false };
        self.tell(cx, awaits, parsed.begun, parsed.stamp, parsed.bytes, head, None);
    }

    #[allow(clippy::too_many_arguments, reason = "what a request is told with")]
    fn tell(
        &mut self,
        cx: &mut Context<'_>,
        awaits: Awaits,
        begun: Begun,
        stamp: Stamp,
        bytes: u64,
        head: RequestHead,
        last: Option<Move>,
    ) {
        self.ask(cx, awaits, begun, stamp, bytes, head);
        // The last byte may have moved later than the last that was captured.
        if let (Some(last), Some(call)) = (last, self.items.back_mut().and_then(|item| item.call.as_mut())) {
            call.asked(0, last);
        }
    }

    /// The answer to what was asked last came before it.
    fn answered_ahead(&mut self, cx: &mut Context<'_>) {
        if self.ahead == 0 || self.owed() != 1 {
            return;
        }
        self.ahead -= 1;
        let at = self.items.iter().filter_map(|item| item.call.as_ref()).map(|call| call.request_end()).max();
        self.give_up(cx, at.unwrap_or_default());
    }
}

/// Where a message began.
fn begun(frame: &Frame<'_>) -> Begun {
    Begun { seq: frame.seq, at: frame.first.at }
}

/// A statement up to its zero byte, and whether that was not captured.
fn statement(bytes: &[u8]) -> (&[u8], bool) {
    match message::text(bytes) {
        Some((text, _)) => (text, false),
        None => (bytes, true),
    }
}
