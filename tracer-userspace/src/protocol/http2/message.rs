//! A header block was read: a request, the head of a response, or trailers.

use super::Http2;
use super::head::{Head, Kind};
use super::hpack::Fields;
use super::lane::Block;
use super::stream::{Answer, Progress, Stream};
use crate::event::Direction;
use crate::exchange::{Outcome, Protocol, RequestHead};
use crate::protocol::calls::Begun;
use crate::protocol::tally::Skip;
use crate::protocol::{Context, extra, mask};
use crate::time::Nanos;

/// Longest method that is taken for one.
const MAX_METHOD: usize = 32;

impl Http2 {
    pub(super) fn message(&mut self, cx: &mut Context<'_>, dir: Direction, block: &Block, fields: &Fields) {
        if block.is_promise {
            // Nobody asks for what is promised: it is no exchange.
            self.skip(cx, Skip::Unrequested, block.bytes);
            return;
        }
        let head = Head::read(fields);
        let kind = head.kind();
        let says = match kind {
            Kind::Request => Some(dir),
            Kind::Response => Some(dir.opposite()),
            Kind::Trailers | Kind::Unknown => None,
        };
        if let (Some(says), Some(known)) = (says, self.requests)
            && says != known
        {
            cx.tally.malformed = cx.tally.malformed.saturating_add(1);
            self.skip(cx, Skip::Malformed, block.bytes);
            return;
        }
        self.requests = self.requests.or(says);
        match self.requests {
            Some(requests) if requests == dir => self.request(cx, dir, block, &head, fields),
            Some(_) => self.response(cx, dir, block, &head),
            None => self.skip(cx, Skip::Joined, block.bytes),
        }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        block: &Block,
        head: &Head<'_>,
        fields: &Fields,
    ) {
        let (id, kind) = (block.stream, head.kind());
        if let Some(Progress::Open(call)) = self.streams.get(id).map(|stream| &mut stream.progress) {
            // Trailers.
            call.asked(block.bytes, block.last);
            cx.tally.head(block.bytes);
            return;
        }
        let is_new = id & 1 == 1 && (id > self.newest || self.streams.get(id).is_some());
        if !is_new || kind == Kind::Trailers {
            // Trailers of a request that was not seen, or whose exchange is over.
            let why = if id > self.newest { Skip::Joined } else { Skip::Desync };
            self.skip(cx, why, block.bytes);
            return;
        }
        self.newest = self.newest.max(id);
        // Numbers rise (section 5.1.1).
        self.drop_early(cx, id);
        if self.streams.len() >= cx.limits.outstanding && self.streams.get(id).is_none() {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.skip(cx, Skip::Desync, block.bytes);
            return;
        }
        cx.tally.head(block.bytes);
        let is_grpc = head.is_grpc();
        let target = head.path.known().unwrap_or_default();
        let method = head.method.known().filter(|method| is_token(method)).unwrap_or_default();
        let authority = head.authority.known().or(head.host.known());
        let request = RequestHead {
            protocol: if is_grpc { Protocol::Grpc } else { Protocol::Http2 },
            method: cx.names.method(method),
            target: mask::target(target, cx.limits),
            host: authority.and_then(|host| cx.names.host(host)),
            minor_version: 0,
            is_message: false,
            truncated: head.partly,
            extra: extra::read(fields.known(), target, cx.limits),
        };
        // The request was no later than its response, whose record may have come first.
        let mut stamp = block.stamp;
        if let Some(Progress::Early(early)) = self.streams.get(id).map(|stream| &stream.progress)
            && let Some(since) = early.since
        {
            stamp.at = stamp.at.min(since);
        }
        let begun = Begun { seq: block.seq, at: block.first.at };
        let call = self.calls.ask(cx, dir, begun, stamp, block.bytes, request);
        match self.streams.get(id) {
            None => {
                self.streams.insert(id, Stream::open(call, is_grpc));
            }
            Some(early) => {
                let ended = early.asked(cx, call, is_grpc);
                self.streams.caught_up();
                if let Some((outcome, at)) = ended {
                    self.over(cx, id, outcome, at);
                }
            }
        }
    }

    fn response(&mut self, cx: &mut Context<'_>, dir: Direction, block: &Block, head: &Head<'_>) {
        let id = block.stream;
        let Some(stream) = self.answering(id, dir) else {
            if head.kind() == Kind::Response {
                cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
            }
            self.skip(cx, Skip::Unrequested, block.bytes);
            return;
        };
        cx.tally.head(block.bytes);
        stream.moved(block.bytes, block.last);
        let status = head.http_status();
        if status.is_some_and(|status| (100..200).contains(&status)) && !block.ends_stream {
            cx.tally.interim = cx.tally.interim.saturating_add(1);
            return;
        }
        match head.kind() {
            Kind::Trailers => {}
            _ if !stream.is_answered() => {
                let answer =
                    Answer { stamp: block.first, seq: block.seq, http: status, truncated: head.partly };
                stream.answer(cx, answer);
            }
            // What was taken for the head had no known status: it was an interim response.
            Kind::Response if !stream.is_grpc => stream.trailer.status = status.or(stream.trailer.status),
            _ => {}
        }
        stream.conclude(cx, head);
        if block.ends_stream {
            self.complete(cx, id, block.last.at);
        }
    }

    /// The response of a stream has ended by its own framing.
    pub(super) fn complete(&mut self, cx: &mut Context<'_>, id: u32, at: Nanos) {
        let answered = self.streams.get(id).is_some_and(|stream| stream.is_answered());
        self.over(cx, id, if answered { Outcome::Complete } else { Outcome::ResponseUnseen }, at);
    }

    /// A stream is over.
    pub(super) fn over(&mut self, cx: &mut Context<'_>, id: u32, outcome: Outcome, at: Nanos) {
        if let Some(stream) = self.streams.get(id)
            && let Progress::Early(early) = &mut stream.progress
        {
            early.ended.get_or_insert((outcome, at));
            return;
        }
        if let Some(Stream { progress: Progress::Open(call), trailer, .. }) = self.streams.remove(id) {
            call.end(cx, outcome, at, trailer);
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(method: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    (1..=MAX_METHOD).contains(&method.len()) && method.iter().all(token)
}
