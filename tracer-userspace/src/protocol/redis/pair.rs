//! Commands and answers, each as a whole: what is told of them, and what they do to the connection.

use std::sync::Arc;

use super::command::{self, Act, Command, Queue};
use super::lane::Message;
use super::reply::{self, Told};
use super::{AHEAD, MAX_AHEAD, Open, Redis, Replies};
use crate::event::Direction;
use crate::exchange::{
    Attribute, Extra, Handing, Handover, MAX_MESSAGES, Outcome, Protocol, RequestHead, ResponseHead, Trailer,
};
use crate::protocol::Context;
use crate::protocol::calls::Begun;
use crate::protocol::tally::Skip;

impl Redis {
    /// A command is complete.
    pub(super) fn asked(&mut self, cx: &mut Context<'_>, message: &Message, kept: &[u8]) {
        let Some(mut command) = command::read(kept, message.is_cut, cx.limits) else {
            // An empty one: nobody answers it.
            return self.count_ask(cx, message);
        };
        if self.in_transaction {
            command.wait_for_exec();
        }
        let is_muted = match (self.replies, command.act) {
            (_, Act::Unmute) => {
                self.replies = Replies::On;
                false
            }
            (_, Act::Mute) => {
                self.replies = Replies::Off;
                true
            }
            (Replies::Off, _) => true,
            (_, Act::Skip) => {
                self.replies = Replies::SkipNext;
                true
            }
            (Replies::SkipNext, _) => {
                self.replies = Replies::On;
                true
            }
            (Replies::On, _) => false,
        };
        if is_muted {
            // Whether it did what it says, nobody is told.
            self.understand(cx);
            cx.tally.head(message.len);
            return;
        }
        if self.queue.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            cx.skip(self.understood, Skip::Desync, message.len);
            return self.lose_all(cx, message.stamp.at);
        }
        self.understand(cx);
        cx.tally.head(message.len);
        if matches!(command.queue, Queue::Takes(_) | Queue::Finishes) {
            self.end_taken(cx, message.first.at, Outcome::Complete);
        }
        let head = self.head(cx, &command, message.is_cut);
        let begun = Begun { seq: message.seq, at: message.first.at };
        let mut call = self.calls.ask(cx, self.requests, begun, message.stamp, message.len, head);
        call.asked(0, message.last);
        match command.act {
            Act::Multi => self.in_transaction = true,
            Act::Exec => self.in_transaction = false,
            // What follows is in the other database, if there is one.
            Act::Select(_) | Act::Reset => self.database = None,
            _ => {}
        }
        let left = match command.act {
            Act::Subscribe(count) => count,
            Act::Unsubscribe(count) => count.max(1),
            _ => 0,
        };
        self.queue.push_back(Open { call, act: command.act, queue: command.queue, left });
        while !self.queue.is_empty()
            && let Some((early, kept)) = self.ahead.pop_front()
        {
            if message.first.at.since(early.stamp.at) > AHEAD {
                // It answered something else.
                cx.skip(self.understood, Skip::Unrequested, early.len);
                return self.lose_all(cx, message.stamp.at);
            }
            self.answered(cx, early, &kept);
        }
    }

    fn count_ask(&mut self, cx: &mut Context<'_>, message: &Message) {
        if self.understood {
            cx.tally.head(message.len);
        } else {
            cx.skip(false, Skip::Joined, message.len);
        }
    }

    /// The protocol is certain: what was skipped before, because the beginning of this was missed, is accounted for.
    fn understand(&mut self, cx: &mut Context<'_>) {
        cx.understand(&mut self.understood);
    }

    fn head(&self, cx: &mut Context<'_>, command: &Command, is_cut: bool) -> RequestHead {
        let mut attributes = Vec::new();
        if self.in_transaction && command.act != Act::Exec {
            attributes.push(Attribute::text("db.redis.queued", "true"));
        } else if command.is_blocking {
            attributes.push(Attribute::text("db.redis.blocking", "true"));
        }
        let handover = (!command.keys.is_empty()).then(|| {
            let count = u32::try_from(command.keys.len()).unwrap_or(u32::MAX);
            Box::new(Handover { handing: Handing::Given, count, keys: command.keys.clone().into() })
        });
        let extra = (handover.is_some() || !attributes.is_empty())
            .then(|| Box::new(Extra { attributes, handover, ..Extra::default() }));
        RequestHead {
            protocol: Protocol::Redis,
            method: cx.names.method(command.name()),
            target: command.target(cx.limits.target),
            host: self.host(cx),
            minor_version: 0,
            is_message: false,
            // Only arguments can be missing, and they are not shown.
            truncated: is_cut && command.name() == b"?",
            extra,
        }
    }

    /// The number of the current database.
    fn host(&self, cx: &mut Context<'_>) -> Option<Arc<str>> {
        let mut digits = [0u8; 10];
        let (mut number, mut at) = (self.database?, digits.len());
        loop {
            at = at.checked_sub(1)?;
            *digits.get_mut(at)? = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        cx.names.host(digits.get(at..)?)
    }

    /// The answer that is on its way: told as soon as its first line is there, for the rest may take long.
    pub(super) fn begun(&mut self, cx: &mut Context<'_>) {
        if self.answers.is_between() {
            return;
        }
        let bytes = self.answers.kept();
        let may_be_told = self.tells_unasked() || self.monitors || bytes.first() == Some(&b'>');
        // The code of a long error stands in its second line; an attribute says nothing of what follows it.
        let lines = if bytes.first() == Some(&b'!') { 2 } else { 1 };
        let is_there = bytes.first() != Some(&b'|')
            && bytes.iter().filter(|byte| **byte == b'\n').nth(lines - 1).is_some();
        let Some(open) = self.queue.front_mut() else { return };
        if may_be_told || open.call.is_answered() || !is_there {
            return;
        }
        let error = reply::error(bytes).map(|code| cx.names.method(code));
        let (stamp, seq) = self.answers.first();
        open.call.answer(cx, stamp, seq, ResponseHead { error, ..ResponseHead::default() });
    }

    /// Whether arrays may be what nobody asked for.
    fn tells_unasked(&self) -> bool {
        let confirms = self
            .queue
            .front()
            .is_some_and(|open| matches!(open.act, Act::Subscribe(_) | Act::Unsubscribe(_)));
        !self.resp3 && (self.subscriptions > 0 || confirms)
    }

    /// An answer is complete, or what was told unasked.
    pub(super) fn answered(&mut self, cx: &mut Context<'_>, message: Message, kept: &[u8]) {
        self.resp3 |= matches!(kept.first(), Some(b'>' | b'%' | b'_' | b'~'));
        let told = reply::told(kept, self.tells_unasked(), self.monitors);
        let confirms = |open: &Open| matches!(open.act, Act::Subscribe(_) | Act::Unsubscribe(_));
        match told {
            Some(Told::Confirmation(left)) => {
                self.subscriptions = left;
                if !self.queue.front().is_some_and(confirms) {
                    return self.stray(cx, &message);
                }
            }
            Some(Told::News) => return self.stray(cx, &message),
            None => {}
        }
        let Some(mut open) = self.queue.pop_front() else {
            if self.is_exact() && self.ahead.len() < MAX_AHEAD && self.understood {
                self.ahead.push_back((message, kept.to_vec()));
            } else {
                self.stray(cx, &message);
                if self.is_exact() {
                    self.lose_all(cx, message.stamp.at);
                }
            }
            return;
        };
        let error = reply::error(kept);
        let head = ResponseHead { error: error.map(|code| cx.names.method(code)), ..ResponseHead::default() };
        open.call.answer(cx, message.first, message.seq, head);
        open.call.moved(message.len, message.last);
        cx.tally.body(message.len);
        if told.is_some() && open.left > 1 {
            open.left -= 1;
            self.queue.push_front(open);
            return;
        }
        let at = message.last.at.max(open.call.request_end());
        let (act, queue) = (open.act, open.queue);
        open.call.end(cx, Outcome::Complete, at, Trailer::default());
        self.probation &= !self.queue.is_empty();
        if error.is_some() {
            return;
        }
        match act {
            Act::Select(number) => self.database = number,
            Act::Reset => {
                self.database = Some(0);
                (self.subscriptions, self.monitors, self.in_transaction) = (0, false, false);
            }
            Act::Monitor => self.monitors = true,
            Act::Replicate => {
                self.lose_all(cx, message.last.at);
                self.over = true;
            }
            _ => {}
        }
        if let Queue::Takes(shape) = queue
            && self.requests == Direction::Tx
            && let Some((count, keys)) = reply::taken(kept, shape, cx.limits)
        {
            self.take(cx, &message, count, if message.is_cut { Vec::new() } else { keys });
        }
    }

    /// What was told unasked belongs to nobody.
    fn stray(&mut self, cx: &mut Context<'_>, message: &Message) {
        cx.skip(self.understood, Skip::Unrequested, message.len);
    }

    /// Messages were taken: the work on them begins.
    fn take(&mut self, cx: &mut Context<'_>, message: &Message, count: usize, mut keys: Vec<u64>) {
        keys.truncate(MAX_MESSAGES);
        self.end_taken(cx, message.first.at, Outcome::Complete);
        let mut attributes = vec![
            Attribute::text("messaging.system", cx.names.method(b"redis")),
            Attribute::text("messaging.operation", cx.names.method(b"receive")),
        ];
        if count > 1 {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            attributes.push(Attribute::number("messaging.batch.message_count", count));
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let handover = Some(Box::new(Handover { handing: Handing::Taken, count, keys: keys.into() }));
        let head = RequestHead {
            protocol: Protocol::Redis,
            method: cx.names.method(b"receive"),
            target: Box::default(),
            host: self.host(cx),
            minor_version: 0,
            is_message: true,
            truncated: false,
            extra: Some(Box::new(Extra { attributes, handover, ..Extra::default() })),
        };
        let begun = Begun { seq: message.seq, at: message.first.at };
        let dir = match self.requests {
            Direction::Tx => Direction::Rx,
            Direction::Rx => Direction::Tx,
        };
        // It begins when all of it is there: until then it is the answer that is being read.
        let begun = Begun { at: message.last.at.max(begun.at), ..begun };
        self.taken = Some(self.calls.ask(cx, dir, begun, message.stamp, 0, head));
    }
}

impl Command {
    /// It is queued by a transaction: nothing of what it does happens now.
    fn wait_for_exec(&mut self) {
        if !matches!(self.act, Act::Exec | Act::Reset) {
            self.act = Act::None;
            self.queue = Queue::None;
            self.is_blocking = false;
        }
    }
}
