//! Calls: what the client asks for, what the server answers, and what ends without an answer because a channel is closed.

use super::channel::{Ask, Channel};
use super::frame::Fields;
use super::{Amqp, Sent, content, message, method};
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::Begun;
use crate::time::Nanos;

impl Amqp {
    /// The client asks for something that is answered.
    pub(super) fn asks(
        &mut self,
        cx: &mut Context<'_>,
        sent: &Sent<'_, '_>,
        method: &'static method::Method,
        arguments: Fields<'_>,
    ) -> Option<()> {
        let Sent { dir, number, frame, .. } = *sent;
        let no_wait = method::is_no_wait(method.id, arguments)?;
        let kind = (method.id.0, method.answer);
        let no_ack = match method.id {
            (60, 20 | 70) => message::no_ack(method.id, arguments)?,
            _ => false,
        };
        if method.id == (20, 10) {
            // What it was before is over, though that was not seen.
            self.forget(cx, Some(number), frame.first.at);
        }
        if let Some(channel) = self.channel(number) {
            match method.id {
                (20, 10) => channel.is_fresh = true,
                (85, 10) if channel.is_fresh => _ = channel.confirms.get_or_insert(1),
                (60, 20) => {
                    if let Some(tag) = message::consumer_tag(arguments) {
                        channel.consumes(tag, no_ack);
                    }
                }
                _ => {}
            }
            channel.serial += 1;
            if no_wait {
                channel.hastens(kind, frame.last.at);
            }
        }
        if matches!(method.id, (20, 40) | (10, 50)) {
            // It does not work on messages any more. Its calls are answered before this is.
            for (_, channel) in self.in_order().filter(|(other, _)| kind.0 == 10 || *other == number) {
                channel.end_taken(cx, frame.last.at, Outcome::EndUnframed);
            }
        }
        if self.tainted.is_some() {
            // Its answer could be another's.
            self.untold = self.untold.saturating_add(u32::from(!no_wait));
            return Some(());
        }
        let limit = cx.limits.outstanding;
        if self.channels.values().map(Channel::open).sum::<usize>() >= limit {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            return None;
        }
        let head = content::call(cx, method.name, method::object(method.id, arguments));
        let begun = Begun { seq: frame.seq, at: frame.first.at };
        let mut call = self.calls.ask(cx, dir, begun, frame.stamp, frame.len, head);
        call.asked(0, frame.last);
        if no_wait {
            call.end(cx, Outcome::Complete, frame.last.at, Trailer::default());
            return Some(());
        }
        let other = if method.id == (60, 70) { 72 } else { 0 };
        match self.channel(number) {
            Some(channel) => {
                let serial = channel.serial;
                channel.asks.push_back(Ask { class: kind.0, answer: kind.1, other, no_ack, serial, call });
            }
            None => call.lose(cx, frame.stamp.at),
        }
        Some(())
    }

    /// The server answers.
    pub(super) fn answered(
        &mut self,
        cx: &mut Context<'_>,
        &Sent { number, frame, .. }: &Sent<'_, '_>,
        id: (u16, u16),
        arguments: Fields<'_>,
    ) -> Option<()> {
        let answers = |ask: &Ask| ask.class == id.0 && (ask.answer == id.1 || ask.other == id.1);
        let found = self.channels.get_mut(&number).and_then(|channel| {
            let at = channel.asks.iter().position(answers)?;
            Some((channel.asks.remove(at)?, channel))
        });
        let Some((mut ask, channel)) = found else {
            self.untold = self.untold.saturating_sub(u32::from(method::is_answer(id)));
            if id == (60, 71)
                && let Some(channel) = self.channel(number)
            {
                // As of a consumer that is not known.
                channel.got_no_ack(!channel.acks);
            }
            return Some(());
        };
        channel.reached(ask.serial);
        let mut is_known = Some(());
        if id == (60, 21) {
            let tag = Fields(arguments.0).text();
            is_known = tag.map(|tag| channel.consumes(tag, ask.no_ack));
        }
        if id == (60, 71) {
            channel.got_no_ack(ask.no_ack);
        }
        ask.call.answer(cx, frame.first, frame.seq, ResponseHead::default());
        ask.call.moved(frame.len, frame.last);
        let at = frame.last.at.max(ask.call.request_end());
        ask.call.end(cx, Outcome::Complete, at, Trailer::default());
        is_known
    }

    /// The server closes a channel, or the connection. That may be the answer to a call.
    pub(super) fn closes(
        &mut self,
        cx: &mut Context<'_>,
        &Sent { number, frame, .. }: &Sent<'_, '_>,
        class: u16,
        mut arguments: Fields<'_>,
    ) {
        let (now, code) = (frame.last.at, arguments.short());
        arguments.text();
        let failed = arguments.short().zip(arguments.short());
        let failed = failed.and_then(|(class, id)| method::find(class, id));
        let kind = failed.filter(|method| method.answer > 0).map(|method| (method.id.0, method.answer));
        let channels = self.in_order().filter(|(other, _)| class == 10 || *other == number);
        let mut holders =
            channels.filter(|(_, channel)| kind.is_some_and(|kind| channel.has_asked(kind, now)));
        // Whose it is must be certain.
        let failed = match (holders.next(), holders.next(), kind) {
            (Some((_, channel)), None, Some(kind)) => channel.take_failed(kind, now),
            _ => None,
        };
        drop(holders);
        if let Some(mut ask) = failed {
            let error = code.map(|code| cx.names.method(code.to_string().as_bytes()));
            let head = ResponseHead { error, ..ResponseHead::default() };
            ask.call.answer(cx, frame.first, frame.seq, head);
            ask.call.moved(frame.len, frame.last);
            ask.call.end(cx, Outcome::Complete, now, Trailer::default());
        }
        self.forget(cx, (class == 20).then_some(number), now);
    }

    /// A channel, or all of them, is closed: nothing on it is answered any more.
    pub(super) fn forget(&mut self, cx: &mut Context<'_>, only: Option<u16>, at: Nanos) {
        if only.is_none_or(|number| self.channels.contains_key(&number)) && self.tainted.is_some() {
            // Calls that are not told may have been among them.
            self.taint(at);
        }
        for (number, channel) in self.in_order() {
            if only.is_none_or(|only| only == number) {
                channel.cut(cx, at, true);
            }
        }
        self.channels.retain(|number, _| only.is_some_and(|only| only != *number));
    }
}
