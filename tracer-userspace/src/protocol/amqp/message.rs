//! Messages: published, delivered, confirmed, acknowledged.

use super::channel::{self, Content, Method};
use super::content::{self, Destination};
use super::frame::{Fields, HEADER};
use super::{Amqp, Sent};
use crate::event::{Direction, Stamp};
use crate::exchange::{Attribute, Handing, Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::Begun;

/// Whether what comes for a `basic.consume` or `basic.get` is not acknowledged.
pub(super) fn no_ack(id: (u16, u16), mut arguments: Fields<'_>) -> Option<bool> {
    arguments.short()?;
    arguments.text()?;
    match id {
        (60, 20) => {
            arguments.text()?;
            Some(arguments.octet()? >> 1 & 1 == 1)
        }
        (60, 70) => Some(arguments.octet()? & 1 == 1),
        _ => None,
    }
}

/// The tag that the client gives to a consumer, if it does.
pub(super) fn consumer_tag(mut arguments: Fields<'_>) -> Option<&[u8]> {
    arguments.short()?;
    arguments.text()?;
    arguments.text().filter(|tag| !tag.is_empty())
}

impl Amqp {
    /// `basic.publish`: what follows is a message for the broker.
    /// `None`: where it goes was not captured.
    pub(super) fn publishes(
        &mut self,
        cx: &mut Context<'_>,
        sent: &Sent<'_, '_>,
        mut arguments: Fields<'_>,
    ) -> Option<()> {
        arguments.short()?;
        let destination = Destination::new(cx, arguments.text()?, arguments.text()?);
        self.begin(cx, sent, Method::Publish, destination);
        Some(())
    }

    /// `basic.deliver` (60), `basic.get-ok` (71), `basic.return` (50): what follows is a message for the client.
    pub(super) fn delivers(
        &mut self,
        cx: &mut Context<'_>,
        sent: &Sent<'_, '_>,
        id: u16,
        mut arguments: Fields<'_>,
    ) {
        let Some(channel) = self.channel(sent.number) else { return };
        let no_ack = match id {
            60 => arguments.text().map(|tag| channel.is_no_ack(tag)),
            71 => Some(channel.is_got_no_ack()),
            _ => None,
        };
        let method = match no_ack {
            Some(no_ack) => {
                let (Some(tag), Some(bits)) = (arguments.longlong(), arguments.octet()) else { return };
                Method::Deliver { tag, no_ack, redelivered: bits & 1 == 1 }
            }
            None => {
                arguments.short();
                arguments.text();
                Method::Return
            }
        };
        if let (Some(exchange), Some(key)) = (arguments.text(), arguments.text()) {
            // At the broker's end nothing is told of it.
            let destination = match self.tells(&method) {
                true => Destination::new(cx, exchange, key),
                false => Destination::default(),
            };
            self.begin(cx, sent, method, destination);
        }
    }

    /// Whether a message is told at this end: what is delivered only at the client's.
    fn tells(&self, method: &Method) -> bool {
        match method {
            Method::Publish => true,
            Method::Deliver { .. } => self.client == Some(Direction::Tx),
            Method::Return => false,
        }
    }

    fn begin(&mut self, cx: &mut Context<'_>, sent: &Sent<'_, '_>, method: Method, destination: Destination) {
        let frame = sent.frame;
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let content =
            Content { method, destination, begun, bytes: frame.len, left: None, head: None, call: None };
        let Some(place) = self.content(sent) else { return };
        let before = place.replace(content).and_then(|before| before.call);
        if let Some(call) = before {
            // Its content was never whole.
            let at = call.request_end();
            call.end(cx, Outcome::EndUnframed, at, Trailer::default());
        }
    }

    fn content(&mut self, sent: &Sent<'_, '_>) -> Option<&mut Option<Content>> {
        let [client, server] = &mut self.channel(sent.number)?.contents;
        Some(if sent.is_client { client } else { server })
    }

    /// The properties of the message that is on its way. `None`: not even its length was captured.
    pub(super) fn header(&mut self, cx: &mut Context<'_>, sent: &Sent<'_, '_>, payload: &[u8]) -> Option<()> {
        let frame = sent.frame;
        let properties = content::properties(payload)?;
        let Some(place) = self.content(sent) else { return Some(()) };
        if place.as_ref().is_some_and(|content| content.left.is_some()) {
            // It has one already.
            return None;
        }
        let Some(mut content) = place.take() else { return Some(()) };
        content.bytes += frame.len;
        content.left = Some(properties.size);
        if matches!(content.method, Method::Publish) {
            let destination = std::mem::take(&mut content.destination);
            let head = content::head(cx, Handing::Given, destination, &properties, true);
            let call = self.calls.ask(cx, sent.dir, content.begun, frame.stamp, content.bytes, head);
            content.call = Some(call);
        } else if let Method::Deliver { redelivered, .. } = content.method
            && self.tells(&content.method)
        {
            // What comes again is not the first to be known again.
            let destination = std::mem::take(&mut content.destination);
            let mut head = content::head(cx, Handing::Taken, destination, &properties, !redelivered);
            if redelivered && let Some(extra) = &mut head.extra {
                extra.attributes.push(Attribute::text("messaging.rabbitmq.message.redelivered", "true"));
            }
            content.head = Some(head);
        }
        self.moved_on(cx, sent, content, 0);
        Some(())
    }

    /// A part of its content.
    pub(super) fn body(&mut self, cx: &mut Context<'_>, sent: &Sent<'_, '_>) {
        let frame = sent.frame;
        let Some(mut content) = self.content(sent).and_then(Option::take) else { return };
        content.bytes += frame.len;
        if let Some(call) = &mut content.call {
            call.asked(frame.len, frame.last);
        }
        self.moved_on(cx, sent, content, frame.len.saturating_sub(HEADER as u64 + 1));
    }

    fn moved_on(&mut self, cx: &mut Context<'_>, sent: &Sent<'_, '_>, mut content: Content, bytes: u64) {
        let left = content.left.map(|left| left.saturating_sub(bytes));
        content.left = left;
        if left != Some(0) {
            if let Some(place) = self.content(sent) {
                *place = Some(content);
            }
            return;
        }
        match content.method {
            Method::Publish => self.published(cx, sent, content),
            Method::Deliver { tag, no_ack, .. } if self.tells(&content.method) => {
                self.delivered(cx, sent, content, (tag, no_ack));
            }
            Method::Deliver { .. } | Method::Return => {}
        }
    }

    /// A message that is published is whole.
    fn published(&mut self, cx: &mut Context<'_>, sent: &Sent<'_, '_>, content: Content) {
        let Some(call) = content.call else { return };
        let (limit, at) = (cx.limits.outstanding, sent.frame.last.at);
        let Some(channel) = self.channel(sent.number) else {
            return call.end(cx, Outcome::Complete, at, Trailer::default());
        };
        let Some(next) = &mut channel.confirms else {
            return call.end(cx, Outcome::Complete, at, Trailer::default());
        };
        channel.unconfirmed.push_back((*next, call));
        *next += 1;
        if channel.unconfirmed.len() > limit
            && let Some((_, oldest)) = channel.unconfirmed.pop_front()
        {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            let at = oldest.request_end();
            oldest.end(cx, Outcome::ResponseUnseen, at, Trailer::default());
        }
    }

    /// A message was delivered: the work on it begins when all of it is there.
    fn delivered(
        &mut self,
        cx: &mut Context<'_>,
        &Sent { number, frame, .. }: &Sent<'_, '_>,
        content: Content,
        (tag, no_ack): (u64, bool),
    ) {
        let Some(head) = content.head else { return };
        let begun = Begun { at: frame.last.at, ..content.begun };
        let stamp = Stamp { at: frame.last.at.max(frame.stamp.at), ..frame.stamp };
        let call = self.calls.ask(cx, Direction::Rx, begun, stamp, content.bytes, head);
        let limit = cx.limits.outstanding;
        let channel = if no_ack { None } else { self.channel(number) };
        let Some(channel) = channel else {
            // When the work on it is done, nobody says.
            let at = call.request_end();
            return call.end(cx, Outcome::Complete, at, Trailer::default());
        };
        channel.taken.push_back((tag, call));
        if channel.taken.len() > limit
            && let Some((_, oldest)) = channel.taken.pop_front()
        {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            oldest.end(cx, Outcome::EndUnframed, frame.last.at, Trailer::default());
        }
    }

    /// `basic.ack` (80), `basic.reject` (90), `basic.nack` (120). Of the client: it is done with what was delivered; of the server: it
    /// has what was published. `None`: which messages was not captured.
    pub(super) fn acknowledges(
        &mut self,
        cx: &mut Context<'_>,
        &Sent { number, is_client, frame, .. }: &Sent<'_, '_>,
        id: u16,
        mut arguments: Fields<'_>,
    ) -> Option<()> {
        let (tag, bits) = (arguments.longlong()?, arguments.octet()?);
        let multiple = id != 90 && bits & 1 == 1;
        let error = match id {
            90 => Some(cx.names.method(b"reject")),
            120 => Some(cx.names.method(b"nack")),
            _ => None,
        };
        let Some(channel) = self.channels.get_mut(&number) else { return Some(()) };
        if is_client {
            channel.acks = true;
            channel::settle(&mut channel.taken, tag, multiple, |call| {
                let at = frame.first.at.max(call.request_end());
                call.end(cx, Outcome::Complete, at, Trailer { error: error.clone(), ..Trailer::default() });
            });
            return Some(());
        }
        channel::settle(&mut channel.unconfirmed, tag, multiple, |mut call| {
            let head = ResponseHead { error: error.clone(), ..ResponseHead::default() };
            call.answer(cx, frame.first, frame.seq, head);
            let at = frame.last.at.max(call.request_end());
            call.moved(0, frame.last);
            call.end(cx, Outcome::Complete, at, Trailer::default());
        });
        Some(())
    }
}
