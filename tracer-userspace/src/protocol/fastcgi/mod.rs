//! FastCGI 1.0 (specification of Open Market, 1996): how a web server hands a request to an application, such as PHP-FPM.
//!
//! Both directions consist of records that say which request they belong to, so that responses are paired by number. A request is
//! from BEGIN_REQUEST to the end of its STDIN, its head is PARAMS; a response is from its first STDOUT or STDERR record to
//! END_REQUEST.
//!
//! Where a gap hides the end of a record, the position in that direction is lost. It is found again at a call that begins with
//! BEGIN_REQUEST: for the requests because nothing else begins so, and for the responses because by then what was asked before has
//! been answered, on a connection that has never had two requests at a time (no server in use sends several). On one that has,
//! what is open is given up, and so is the connection.

mod cgi;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod params;
mod record;
mod request;

#[cfg(test)]
mod tests;

use super::calls::Calls;
use super::frames::{Cut, Frame, Frames};
use super::moved::Move;
use super::recognise::Begin;
use super::tally::Skip;
use super::{Context, Interest, Parser, Piece};
use crate::event::Direction;
use crate::time::Nanos;
use record::{Record, Records};
use request::Request;

/// Bytes of a record that are kept while it is not over.
const KEPT: usize = 16 * 1024;

/// Requests of one connection at a time. Servers send one.
const MAX_OPEN: usize = 64;

/// FastCGI on one connection end.
pub struct FastCgi {
    rx: Frames,
    tx: Frames,
    talk: Talk,
}

/// What is being said.
struct Talk {
    /// In which direction the requests go.
    requests: Direction,
    calls: Calls,
    open: Vec<Request>,
    /// Two requests were open at a time.
    multiplexed: bool,
    /// It cannot be followed any more.
    dead: bool,
    /// The request that ended last: the rest of its STDIN may be read late.
    ended: u16,
    understood: bool,
}

/// A parser for a connection on which a call begins with BEGIN_REQUEST.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    record::begins(begin.data).then(|| {
        let talk = Talk {
            requests: begin.dir,
            calls: Calls::default(),
            open: Vec::new(),
            multiplexed: false,
            dead: false,
            ended: 0,
            understood: false,
        };
        Box::new(FastCgi { rx: Frames::new(KEPT, true), tx: Frames::new(KEPT, true), talk })
            as Box<dyn Parser>
    })
}

impl FastCgi {
    /// A call begins with a new request, and the position of one direction at least was lost.
    fn resume(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let (requests, responses) = match self.talk.requests {
            Direction::Rx => (&mut self.rx, &mut self.tx),
            Direction::Tx => (&mut self.tx, &mut self.rx),
        };
        if requests.pending() > 0 || !(requests.is_lost() || responses.is_lost()) {
            // What looks like a beginning is the content of a record.
            return;
        }
        if responses.is_lost() {
            self.talk.lose(cx, at);
            self.talk.dead = self.talk.multiplexed;
            responses.resume();
        }
        requests.resume();
        cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
    }
}

impl Talk {
    fn skip(&self, cx: &mut Context<'_>, why: Skip, bytes: u64) {
        cx.skip(self.understood, why, bytes);
    }

    /// The only open request, if there never was another beside it: what moves and is not seen belongs to it.
    fn only(&mut self) -> Option<&mut Request> {
        if self.multiplexed { None } else { self.open.first_mut() }
    }

    /// The position is lost for what is open: where the responses end is out of sight.
    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        for mut request in std::mem::take(&mut self.open) {
            request.tell(cx, &mut self.calls, self.requests);
            request.lose(cx, at);
        }
    }

    fn cut(&mut self, cx: &mut Context<'_>, dir: Direction, cut: Cut<'_>) {
        let is_request = dir == self.requests;
        match cut {
            Cut::Frame(frame) if self.dead => self.skip(cx, Skip::Desync, frame.len),
            Cut::Frame(frame) => {
                let Some(record) = Record::read(frame.bytes) else {
                    self.skip(cx, Skip::Malformed, frame.len);
                    return;
                };
                if is_request {
                    self.asks(cx, &record, &frame);
                } else {
                    self.answers(cx, &record, &frame);
                }
            }
            Cut::Broken(bytes, _) => {
                if self.understood {
                    cx.tally.malformed = cx.tally.malformed.saturating_add(1);
                }
                self.skip(cx, Skip::Malformed, bytes);
            }
            Cut::Lost(bytes, gap) => {
                if bytes > 0 {
                    cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
                    self.unseen(cx, is_request, bytes, Move::from(&gap));
                }
            }
            Cut::Passed(bytes, moved) => self.unseen(cx, is_request, bytes, moved),
        }
    }

    /// Bytes of records that are not known.
    fn unseen(&mut self, cx: &mut Context<'_>, is_request: bool, bytes: u64, moved: Move) {
        let Some(request) = self.only() else {
            self.skip(cx, Skip::Desync, bytes);
            return;
        };
        if is_request {
            request.asked(bytes, moved, true);
        } else if let Some(call) = request.call() {
            call.moved(bytes, moved);
        }
        cx.tally.body(bytes);
    }

    /// A record of the web server.
    fn asks(&mut self, cx: &mut Context<'_>, record: &Record<'_>, frame: &Frame<'_>) {
        let (calls, dir) = (&mut self.calls, self.requests);
        if record.kind == record::BEGIN_REQUEST {
            self.begins(cx, record, frame);
            return;
        }
        let known = self.open.iter_mut().find(|request| request.id == record.id);
        let Some(request) = known else {
            // The rest of what was answered without it; or what the server asks of the application itself.
            if self.understood && (record.id == 0 || record.id == self.ended) {
                cx.tally.body(frame.len);
            } else {
                self.skip(cx, Skip::Desync, frame.len);
            }
            return;
        };
        match record.kind {
            record::PARAMS => {
                cx.tally.head(frame.len);
                request.pairs(record.content, record.is_cut(), frame);
                if record.length == 0 {
                    request.tell(cx, calls, dir);
                }
            }
            record::STDIN | record::DATA | record::ABORT_REQUEST => {
                cx.tally.body(frame.len);
                request.asked(frame.len, frame.last, false);
                request.tell(cx, calls, dir);
            }
            _ => self.skip(cx, Skip::Malformed, frame.len),
        }
    }

    fn begins(&mut self, cx: &mut Context<'_>, record: &Record<'_>, frame: &Frame<'_>) {
        if record.id == 0 || record.length != 8 || !record::is_begin(record.content) {
            self.skip(cx, Skip::Malformed, frame.len);
            return;
        }
        cx.understand(&mut self.understood);
        // A number is used again when its request is over (section 3.3): the end was out of sight.
        if let Some(at) = self.open.iter().position(|request| request.id == record.id) {
            let mut request = self.open.swap_remove(at);
            request.tell(cx, &mut self.calls, self.requests);
            request.lose(cx, frame.first.at);
        }
        if self.open.len() >= MAX_OPEN.min(cx.limits.outstanding) {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.skip(cx, Skip::Desync, frame.len);
            return;
        }
        cx.tally.head(frame.len);
        self.open.push(Request::new(record.id, frame));
        self.multiplexed |= self.open.len() > 1;
    }

    /// A record of the application.
    fn answers(&mut self, cx: &mut Context<'_>, record: &Record<'_>, frame: &Frame<'_>) {
        let (requests, id) = (self.requests, record.id);
        let Some(at) = self.open.iter().position(|request| request.id == id) else {
            self.skip(cx, if id == 0 { Skip::Joined } else { Skip::Unrequested }, frame.len);
            return;
        };
        let Some(request) = self.open.get_mut(at) else { return };
        request.tell(cx, &mut self.calls, requests);
        request.begin_response(frame.first, frame.seq);
        match record.kind {
            record::STDOUT | record::STDERR => {
                cx.tally.body(frame.len);
                if let Some(call) = request.call() {
                    call.moved(frame.len, frame.last);
                }
                if record.kind == record::STDOUT {
                    request.output(cx, record.content, record.is_cut());
                }
            }
            record::END_REQUEST => {
                cx.tally.head(frame.len);
                self.ended = id;
                self.open.swap_remove(at).complete(cx, Some(frame), record.content);
            }
            _ => self.skip(cx, Skip::Malformed, frame.len),
        }
    }

    /// Whether a call that passed while the position was not known ends with the only open request's END_REQUEST.
    fn ends(&mut self, cx: &mut Context<'_>, data: &[u8]) -> bool {
        let Some(end) = data.last_chunk::<{ record::END }>() else { return false };
        let Some(record) = Record::read(end) else { return false };
        let fits = record.kind == record::END_REQUEST && record.length == 8 && record.padding == 0;
        let known = self.only().is_some_and(|request| request.id == record.id && request.is_answered());
        if !(fits && known && matches!(record.content, [_, _, _, _, 0..=3, 0, 0, 0])) {
            return false;
        }
        self.ended = record.id;
        let Some(request) = self.open.pop() else { return false };
        request.complete(cx, None, record.content);
        true
    }

    /// A record of the application that is not over, and will not be. False: it belongs to nothing.
    fn unfinished(&mut self, cx: &mut Context<'_>, frames: &Frames) -> bool {
        let (first, seq, last) = frames.begun();
        let Some(record) = Record::read(frames.unfinished()) else { return false };
        let (requests, calls) = (self.requests, &mut self.calls);
        let Some(request) = self.open.iter_mut().find(|request| request.id == record.id) else {
            return false;
        };
        if !matches!(record.kind, record::STDOUT | record::STDERR) {
            return false;
        }
        request.tell(cx, calls, requests);
        request.begin_response(first, seq);
        if record.kind == record::STDOUT {
            request.output(cx, record.content, record.is_cut());
        }
        if let Some(call) = request.call() {
            call.moved(frames.pending(), last.into());
        }
        cx.tally.body(frames.pending());
        true
    }
}

impl Parser for FastCgi {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        if let Piece::Bytes(bytes) = &piece
            && dir == self.talk.requests
            && record::begins(bytes.data)
        {
            self.resume(cx, bytes.stamp.at);
        }
        let frames = if dir == Direction::Rx { &mut self.rx } else { &mut self.tx };
        let (talk, was_lost) = (&mut self.talk, frames.is_lost());
        frames.feed(&Records, piece, &mut |cut| talk.cut(cx, dir, cut));
        if let Piece::Bytes(bytes) = &piece
            && was_lost
            && dir != talk.requests
            && bytes.ends_call
            && talk.ends(cx, bytes.data)
        {
            // Nothing is open, so that a record begins with the next byte.
            frames.resume();
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let bytes = self.rx.lose().saturating_add(self.tx.lose());
        self.talk.skip(cx, Skip::Desync, bytes);
        self.talk.lose(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let dir = self.talk.requests;
        for (frames, is_request) in
            [(&mut self.rx, dir == Direction::Rx), (&mut self.tx, dir == Direction::Tx)]
        {
            let lost = frames.is_lost();
            if is_request || !self.talk.unfinished(cx, frames) {
                self.talk.skip(cx, Skip::Incomplete, frames.pending());
            }
            frames.lose();
            if lost && !is_request {
                self.talk.lose(cx, at);
            }
        }
        for mut request in std::mem::take(&mut self.talk.open) {
            request.tell(cx, &mut self.talk.calls, dir);
            request.cut(cx, at, closed);
        }
    }

    fn understood(&self) -> bool {
        self.talk.understood
    }

    fn pending(&self) -> u64 {
        self.rx.pending().saturating_add(self.tx.pending())
    }

    fn interest(&self) -> Interest {
        // Applications read PARAMS in a call of its own, behind others.
        if self.talk.dead { Interest::Nothing } else { Interest::Everything }
    }

    fn is_busy(&self) -> bool {
        !self.talk.open.is_empty()
    }
}
