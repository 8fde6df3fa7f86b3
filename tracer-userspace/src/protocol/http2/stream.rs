//! Streams that are open: requests and how far their responses are.

use rustc_hash::FxHashMap;

use super::head::{Head, grpc_error};
use crate::event::Stamp;
use crate::exchange::{Outcome, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::Call;
use crate::protocol::moved::{Half, Move};
use crate::time::Nanos;

/// What a response's head says, before it is known whether it answers a gRPC call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// Who moved its first byte, and where that stands.
    pub stamp: Stamp,
    pub seq: u32,
    /// `:status`; `None`: not known.
    pub http: Option<u16>,
    pub truncated: bool,
}

/// What is known of a response whose request's record has not come yet.
#[derive(Debug, Default)]
pub(super) struct Early {
    pub answer: Option<Answer>,
    pub half: Half,
    /// Its end: how, and when.
    pub ended: Option<(Outcome, Nanos)>,
    /// When the first of it moved: the request was no later.
    pub since: Option<Nanos>,
}

#[derive(Debug)]
pub(super) enum Progress {
    /// The request was told.
    Open(Call),
    /// The response's record came first (two threads, one of which writes and the other reads).
    Early(Box<Early>),
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub progress: Progress,
    pub is_grpc: bool,
    /// What the end will say.
    pub trailer: Trailer,
    /// Since when bytes of unknown streams may have ended its response.
    pub doubt: Option<Nanos>,
}

impl Stream {
    /// A stream whose request was told.
    pub fn open(call: Call, is_grpc: bool) -> Stream {
        Stream { progress: Progress::Open(call), is_grpc, trailer: Trailer::default(), doubt: None }
    }

    /// A stream whose response came first.
    pub fn early() -> Stream {
        let progress = Progress::Early(Box::default());
        Stream { progress, is_grpc: false, trailer: Trailer::default(), doubt: None }
    }

    /// Whether the response's head was seen.
    pub fn is_answered(&self) -> bool {
        match &self.progress {
            Progress::Open(call) => call.is_answered(),
            Progress::Early(early) => early.answer.is_some(),
        }
    }

    /// Bytes of the response.
    pub fn moved(&mut self, bytes: u64, moved: Move) {
        match &mut self.progress {
            Progress::Open(call) => call.moved(bytes, moved),
            Progress::Early(early) => {
                early.half.add(bytes, moved);
                early.since.get_or_insert(moved.at);
            }
        }
    }

    /// The response's head.
    pub fn answer(&mut self, cx: &mut Context<'_>, answer: Answer) {
        let is_grpc = self.is_grpc;
        match &mut self.progress {
            Progress::Early(early) => {
                early.answer.get_or_insert(answer);
            }
            Progress::Open(call) => {
                cx.tally.truncated = cx.tally.truncated.saturating_add(u64::from(answer.truncated));
                let (mut status, mut error) = (answer.http.unwrap_or_default(), None);
                if is_grpc {
                    // HTTP's status is not the call's. It says something only where the other end spoke no gRPC.
                    if status != 0 && status != 200 {
                        error = Some(cx.names.method(status.to_string().as_bytes()));
                    }
                    status = 0;
                }
                let head = ResponseHead { status, error, truncated: answer.truncated };
                call.answer(cx, answer.stamp, answer.seq, head);
            }
        }
    }

    /// What a block of the response says of how the call went.
    pub fn conclude(&mut self, cx: &mut Context<'_>, head: &Head<'_>) {
        match head.grpc_code() {
            // Of an early one it is decided when the request is known.
            Some(code) if self.is_grpc || matches!(self.progress, Progress::Early(_)) => {
                self.trailer.status = Some(code);
            }
            // That it is a gRPC call was not seen, but this has one meaning only.
            Some(code) => {
                let error = grpc_error(code).map(|name| cx.names.method(name.as_bytes()));
                self.trailer.error = error.or(self.trailer.error.take());
            }
            None => {}
        }
    }

    /// The request's head came after parts of its response.
    pub fn asked(&mut self, cx: &mut Context<'_>, call: Call, is_grpc: bool) -> Option<(Outcome, Nanos)> {
        self.is_grpc = is_grpc;
        let before = std::mem::replace(&mut self.progress, Progress::Open(call));
        let Progress::Early(early) = before else { return None };
        if let Some(code) = self.trailer.status.filter(|_| !is_grpc) {
            self.trailer.status = None;
            self.trailer.error = grpc_error(code).map(|name| cx.names.method(name.as_bytes()));
        }
        if let Some(answer) = early.answer {
            self.answer(cx, answer);
        }
        self.moved(early.half.bytes, Move { at: early.half.last, by: early.half.by });
        early.ended
    }
}

/// The streams of a connection that are open, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: FxHashMap<u32, Stream>,
    /// How many of them are [`Progress::Early`].
    early: usize,
    /// How many are in doubt, at most.
    pub doubts: usize,
}

impl Streams {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub fn early(&self) -> usize {
        self.early
    }

    pub fn get(&mut self, id: u32) -> Option<&mut Stream> {
        self.open.get_mut(&id)
    }

    pub fn insert(&mut self, id: u32, stream: Stream) -> &mut Stream {
        self.early += usize::from(matches!(stream.progress, Progress::Early(_)));
        self.open.entry(id).insert_entry(stream).into_mut()
    }

    /// An early stream's request has come.
    pub fn caught_up(&mut self) {
        self.early = self.early.saturating_sub(1);
    }

    pub fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.open.remove(&id)?;
        if matches!(stream.progress, Progress::Early(_)) {
            self.early = self.early.saturating_sub(1);
        }
        if self.open.is_empty() && self.open.capacity() > 256 {
            self.open = FxHashMap::default();
        }
        Some(stream)
    }

    /// The numbers of those that fulfil a condition, in order.
    pub fn which(&self, condition: impl Fn(u32, &Stream) -> bool) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.open.iter().filter(|(id, stream)| condition(**id, stream)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Responses may have moved, or ended, unseen.
    pub fn doubt(&mut self, at: Nanos) {
        for stream in self.open.values_mut() {
            stream.doubt.get_or_insert(at);
        }
        self.doubts = self.open.len();
    }
}
