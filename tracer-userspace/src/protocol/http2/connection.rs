//! What frames do to a connection.

use super::hpack;
use super::lane::Block;
use super::wire::{self, HEADER, Header, PREFACE, Stage, Wire, flag, kind};
use super::{Http2, Stream};
use crate::event::Direction;
use crate::exchange::Outcome;
use crate::protocol::frames::{Cut, Frame, Frames};
use crate::protocol::tally::Skip;
use crate::protocol::{Context, Piece};
use crate::time::Nanos;

impl Http2 {
    /// Takes a piece of one direction.
    pub(super) fn piece(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let lane = self.lane(dir);
        if let Piece::Bytes(bytes) = &piece
            && lane.frames.is_lost()
        {
            let is_preface = lane.why == Skip::Joined && bytes.data.starts_with(PREFACE);
            if is_preface || wire::is_chain(bytes.data, bytes.call_len) {
                lane.frames.resume();
                lane.stage = if is_preface { Stage::Start } else { Stage::Open };
                cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
                self.understand(cx);
            }
        }
        let lane = self.lane(dir);
        let framing = Wire { stage: lane.stage.into() };
        let mut frames = std::mem::replace(&mut lane.frames, Frames::new(0, false));
        frames.feed(&framing, piece, &mut |cut| {
            self.cut(cx, dir, cut);
            framing.stage.set(self.lane(dir).stage);
        });
        let lane = self.lane(dir);
        lane.frames = frames;
        if let Some(at) = lane.broken.take() {
            let held = lane.frames.lose();
            self.skip(cx, Skip::Malformed, held);
            self.lost(cx, dir, at);
        }
        let now = match &piece {
            Piece::Bytes(bytes) => bytes.stamp.at,
            Piece::Gap(gap) => gap.last,
        };
        self.settle_doubts(cx, now);
    }

    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        match cut {
            Cut::Frame(frame) if self.lane(dir).broken.is_some() => self.skip(cx, Skip::Malformed, frame.len),
            Cut::Frame(frame) => self.frame(cx, dir, &frame),
            Cut::Broken(bytes, at) => {
                self.malformed(cx, bytes);
                self.lost(cx, dir, at);
            }
            Cut::Lost(bytes, gap) => {
                if bytes > 0 {
                    self.lost(cx, dir, gap.last);
                    let why = self.lane(dir).why;
                    self.skip(cx, why, bytes);
                }
            }
            Cut::Passed(bytes, moved) => {
                self.lost(cx, dir, moved.at);
                let why = self.lane(dir).why;
                self.skip(cx, why, bytes);
            }
        }
    }

    pub(super) fn skip(&self, cx: &mut Context<'_>, why: Skip, bytes: u64) {
        cx.skip(self.understood, why, bytes);
    }

    /// Bytes that no peer may send.
    fn malformed(&mut self, cx: &mut Context<'_>, bytes: u64) {
        if self.understood {
            cx.tally.malformed = cx.tally.malformed.saturating_add(1);
        } else {
            // The preface, if it was one, was followed by something else.
            let held = std::mem::take(&mut self.held);
            cx.skip(false, Skip::Malformed, held);
        }
        self.skip(cx, Skip::Malformed, bytes);
    }

    /// It is certain that HTTP/2 is spoken.
    fn understand(&mut self, cx: &mut Context<'_>) {
        if cx.understand(&mut self.understood) {
            cx.tally.head(std::mem::take(&mut self.held));
        }
    }

    /// A frame that may not stand where it does: nothing that follows it in the direction is certain.
    fn violation(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) {
        self.malformed(cx, frame.len);
        self.lane(dir).broken = Some(frame.last.at);
    }

    fn frame(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>) {
        if self.lane(dir).stage == Stage::Start && frame.bytes.starts_with(b"PRI ") {
            if frame.bytes != PREFACE || self.requests.is_some_and(|requests| requests != dir) {
                self.violation(cx, dir, frame);
                return;
            }
            self.requests = Some(dir);
            self.lane(dir).stage = Stage::Preface;
            self.lane(dir).table = hpack::Table::new(true);
            if self.understood {
                cx.tally.head(frame.len);
            } else {
                self.held += frame.len;
            }
            return;
        }
        let Some(header) = Header::read(frame.bytes) else {
            // Nine bytes or more, of which the first nine are always kept.
            self.violation(cx, dir, frame);
            return;
        };
        let lane = self.lane(dir);
        (lane.stage, lane.followed) = (Stage::Open, true);
        // From here on it is certain: what came first was SETTINGS, or the frames were recognised.
        self.understand(cx);
        let payload = frame.bytes.get(HEADER..).unwrap_or_default();
        let open = self.lane(dir).block.map(|block| block.stream);
        match (header.kind, open) {
            (kind::CONTINUATION, Some(stream)) if stream == header.stream => {
                self.continuation(cx, dir, frame, &header, payload);
            }
            // Nothing may stand between the frames of a block (section 6.10).
            (kind::CONTINUATION, _) | (_, Some(_)) => self.violation(cx, dir, frame),
            (kind::HEADERS | kind::PUSH_PROMISE, None) => self.headers(cx, dir, frame, &header, payload),
            (kind::DATA, None) => self.data(cx, dir, frame, &header),
            (other, None) => {
                cx.tally.head(frame.len);
                let at = frame.last.at;
                match other {
                    kind::RST_STREAM => self.reset(cx, header.stream, wire::word(payload), at),
                    kind::GOAWAY => self.go_away(cx, dir, payload, at),
                    _ => {}
                }
            }
        }
    }

    fn headers(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        frame: &Frame<'_>,
        header: &Header,
        payload: &[u8],
    ) {
        let Some((fragment, cut)) = wire::block(header, payload) else {
            self.violation(cx, dir, frame);
            return;
        };
        let is_promise = header.kind == kind::PUSH_PROMISE;
        let block = Block {
            stream: header.stream,
            ends_stream: !is_promise && header.has(flag::END_STREAM),
            is_promise,
            seq: frame.seq,
            first: frame.first,
            stamp: frame.stamp,
            last: frame.last,
            bytes: frame.len,
            cut,
        };
        if header.has(flag::END_HEADERS) {
            self.block(cx, dir, block, fragment);
            return;
        }
        let lane = self.lane(dir);
        lane.buffer.clear();
        lane.block = Some(Block { cut: false, ..block });
        lane.keep(fragment, cut);
    }

    fn continuation(
        &mut self,
        cx: &mut Context<'_>,
        dir: Direction,
        frame: &Frame<'_>,
        header: &Header,
        payload: &[u8],
    ) {
        let lane = self.lane(dir);
        lane.keep(payload, (payload.len() as u64) < header.len);
        if let Some(block) = &mut lane.block {
            block.bytes = block.bytes.saturating_add(frame.len);
            (block.stamp, block.last) = (frame.stamp, frame.last);
        }
        if header.has(flag::END_HEADERS) {
            self.end_block(cx, dir);
        }
    }

    /// Reads the block that was collected, or as much of it as there is.
    pub(super) fn end_block(&mut self, cx: &mut Context<'_>, dir: Direction) {
        let lane = self.lane(dir);
        let Some(block) = lane.block.take() else { return };
        let buffer = std::mem::take(&mut lane.buffer);
        self.block(cx, dir, block, &buffer);
    }

    /// A header block.
    fn block(&mut self, cx: &mut Context<'_>, dir: Direction, block: Block, bytes: &[u8]) {
        let mut fields = std::mem::take(&mut self.fields);
        let lane = self.lane(dir);
        if !hpack::decode(&mut lane.table, bytes, block.cut, &mut fields) {
            cx.tally.malformed = cx.tally.malformed.saturating_add(1);
        }
        self.message(cx, dir, &block, &fields);
        fields.rest();
        self.fields = fields;
    }

    fn data(&mut self, cx: &mut Context<'_>, dir: Direction, frame: &Frame<'_>, header: &Header) {
        let (id, ends) = (header.stream, header.has(flag::END_STREAM));
        if self.requests == Some(dir) {
            match self.streams.get(id).map(|stream| &mut stream.progress) {
                Some(super::stream::Progress::Open(call)) => call.asked(frame.len, frame.last),
                _ if id > self.newest => return self.skip(cx, Skip::Joined, frame.len),
                // The exchange is over.
                _ => {}
            }
            cx.tally.body(frame.len);
            return;
        }
        if self.requests.is_none() {
            return self.skip(cx, Skip::Joined, frame.len);
        }
        let Some(stream) = self.answering(id, dir) else {
            return self.skip(cx, Skip::Unrequested, frame.len);
        };
        cx.tally.body(frame.len);
        stream.moved(frame.len, frame.last);
        if ends {
            self.complete(cx, id, frame.last.at);
        }
    }

    /// The stream that a frame of the responses belongs to, new if its request is still to come; `None` if there is none.
    pub(super) fn answering(&mut self, id: u32, dir: Direction) -> Option<&mut Stream> {
        if self.streams.get(id).is_none() {
            // It was seen whole, or the numbers say where it is.
            let newest = self.newest;
            let requests = self.lane(dir.opposite());
            let is_sure = !requests.frames.is_lost() && (newest > 0 || requests.whole);
            let may_come = dir == Direction::Rx && id & 1 == 1 && id > newest && is_sure;
            if !may_come || self.streams.early() >= super::MAX_EARLY {
                return None;
            }
            self.streams.insert(id, Stream::early());
        }
        let stream = self.streams.get(id)?;
        stream.doubt = None;
        Some(stream)
    }

    /// Either side gives a stream up (section 6.4).
    fn reset(&mut self, cx: &mut Context<'_>, id: u32, code: Option<u32>, at: Nanos) {
        let Some(stream) = self.streams.get(id) else { return };
        let error = code.and_then(wire::error).map(|name| cx.names.method(name.as_bytes()));
        stream.trailer.error = error.or(stream.trailer.error.take());
        let outcome = if stream.is_answered() { Outcome::Aborted } else { Outcome::Unanswered };
        self.over(cx, id, outcome, at);
    }

    /// The server will not process the streams beyond a number, as if they had been refused (section 6.8).
    fn go_away(&mut self, cx: &mut Context<'_>, dir: Direction, payload: &[u8], at: Nanos) {
        let Some(last) = wire::word(payload).map(|last| last & 0x7fff_ffff) else { return };
        if self.requests != Some(dir.opposite()) {
            return;
        }
        let code = payload.get(4..).and_then(wire::word).and_then(wire::error).unwrap_or("REFUSED_STREAM");
        for id in self.streams.which(|id, _| id > last) {
            if let Some(stream) = self.streams.get(id) {
                stream.trailer.error = Some(cx.names.method(code.as_bytes()));
                let outcome = if stream.is_answered() { Outcome::Aborted } else { Outcome::Unanswered };
                self.over(cx, id, outcome, at);
            }
        }
    }
}
