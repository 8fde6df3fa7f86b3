//! What ends exchanges besides their own frames: losses, doubt, and the end of the connection or capture.

use super::stream::{Progress, Stream};
use super::{DOUBT, Http2, LONG_DOUBT};
use crate::event::Direction;
use crate::exchange::Outcome;
use crate::protocol::Context;
use crate::protocol::tally::Skip;
use crate::time::Nanos;

/// How often doubts are looked at.
const CHECK: u64 = 250_000_000;

impl Http2 {
    /// Bytes moved in a direction, and where frames begin among them is not known; what its table holds neither.
    pub(super) fn lost(&mut self, cx: &mut Context<'_>, dir: Direction, at: Nanos) {
        self.cut_block(cx, dir);
        let lane = self.lane(dir);
        lane.table.hole();
        if std::mem::take(&mut lane.followed) {
            lane.why = Skip::Desync;
            cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        }
        if self.requests == Some(dir) {
            // The requests of responses that came first may have been in it.
            self.drop_early(cx, u32::MAX);
        } else {
            self.streams.doubt(at);
        }
    }

    /// The rest of a block will not be seen: it is told as far as it came.
    fn cut_block(&mut self, cx: &mut Context<'_>, dir: Direction) {
        if let Some(block) = &mut self.lane(dir).block {
            block.cut = true;
            self.end_block(cx, dir);
        }
    }

    /// Forgets responses whose requests will not come any more: those of lower numbers than `before`.
    pub(super) fn drop_early(&mut self, cx: &mut Context<'_>, before: u32) {
        if self.streams.early() == 0 {
            return;
        }
        let early = |id: u32, stream: &Stream| id < before && matches!(stream.progress, Progress::Early(_));
        for id in self.streams.which(early) {
            self.streams.remove(id);
            cx.tally.unrequested = cx.tally.unrequested.saturating_add(1);
        }
    }

    /// Ends what has been in doubt for long enough.
    pub(super) fn settle_doubts(&mut self, cx: &mut Context<'_>, now: Nanos) {
        if self.streams.doubts == 0 || now < self.check {
            return;
        }
        self.check = Nanos(now.0.saturating_add(CHECK));
        let waited = |stream: &Stream| {
            let most = if stream.is_answered() { DOUBT } else { LONG_DOUBT };
            stream.doubt.is_some_and(|since| now.0.saturating_sub(since.0) > most)
        };
        for id in self.streams.which(|_, stream| waited(stream)) {
            if let Some(stream) = self.streams.remove(id) {
                give_up(cx, stream);
            }
        }
        self.streams.doubts = self.streams.which(|_, stream| stream.doubt.is_some()).len();
    }

    /// Calls may have been missed in either direction without a trace.
    pub(super) fn lose_all(&mut self, cx: &mut Context<'_>, at: Nanos) {
        for dir in [Direction::Rx, Direction::Tx] {
            self.cut_block(cx, dir);
            let lane = self.lane(dir);
            let held = lane.frames.lose();
            lane.table.hole();
            lane.why = Skip::Desync;
            self.skip(cx, Skip::Desync, held);
        }
        self.drop_early(cx, u32::MAX);
        for id in self.streams.which(|_, _| true) {
            if let Some(Stream { progress: Progress::Open(call), .. }) = self.streams.remove(id) {
                let at = if call.is_answered() { call.response_end() } else { at };
                call.lose(cx, at);
            }
        }
    }

    /// The connection is over (`closed`), or only the capture.
    pub(super) fn end_all(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        for dir in [Direction::Rx, Direction::Tx] {
            self.cut_block(cx, dir);
            let held = self.lane(dir).frames.lose();
            self.skip(cx, Skip::Incomplete, held);
        }
        let held = std::mem::take(&mut self.held);
        self.skip(cx, Skip::Incomplete, held);
        self.drop_early(cx, u32::MAX);
        for id in self.streams.which(|_, _| true) {
            let Some(stream) = self.streams.remove(id) else { continue };
            if stream.doubt.is_some() {
                give_up(cx, stream);
                continue;
            }
            if let Progress::Open(call) = stream.progress {
                let (answered, last) = (call.is_answered(), call.response_end());
                let outcome = match (answered, closed) {
                    (true, true) => Outcome::Aborted,
                    (true, false) => Outcome::Streaming,
                    (false, true) => Outcome::Unanswered,
                    (false, false) => Outcome::Pending,
                };
                call.end(cx, outcome, if answered { last } else { at }, stream.trailer);
            }
        }
    }
}

/// Tells a stream whose end may have been among bytes that were not captured.
fn give_up(cx: &mut Context<'_>, stream: Stream) {
    let Stream { progress: Progress::Open(call), trailer, doubt, .. } = stream else { return };
    let hole = doubt.unwrap_or_default();
    let (outcome, at) = if call.is_answered() {
        (Outcome::EndUnframed, call.response_end())
    } else {
        (Outcome::ResponseUnseen, hole.max(call.request_end()))
    };
    call.end(cx, outcome, at, trailer);
}
