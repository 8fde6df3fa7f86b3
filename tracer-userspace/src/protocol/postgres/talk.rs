//! What is being said on a connection: the exchanges that wait, in the order in which they will be answered.

use std::collections::VecDeque;
use std::sync::Arc;

use super::message::Ending;
use super::statements::{Statements, What};
use crate::event::{Direction, Stamp};
use crate::exchange::{Outcome, RequestHead, ResponseHead, Trailer};
use crate::protocol::Context;
use crate::protocol::calls::{Begun, Call, Calls};
use crate::protocol::moved::Move;
use crate::protocol::sql::Dialect;
use crate::protocol::tally::Skip;
use crate::time::Nanos;

/// Orderly requests (nothing else waiting) after which it is forgotten that one was sent while another waited.
pub(super) const CALM: u8 = 16;

/// Why a request has failed that the server skipped: libpq's `PGRES_PIPELINE_ABORTED`.
pub(super) const ABORTED: &str = "PIPELINE_ABORTED";
/// An error of which the code was not captured.
pub(super) const UNKNOWN: &str = "unknown";

/// Bytes behind a Bind in which there is no more than its Describe (7), its Execute (10) and a Sync (5), so that no name can have
/// been given to another statement.
const NO_PARSE: u64 = 22;

/// How far the agreement on encryption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// There is none.
    None,
    /// The client has asked for it.
    Asked,
    /// All that follows is encrypted.
    On,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// ParseComplete, and then a description if that was asked for too.
    Prepared {
        /// A description as well.
        described: bool,
        /// The ParseComplete has come.
        parsed: bool,
    },
    /// What ends an Execute.
    Executed,
    /// What a Query or FunctionCall is answered with, up to ReadyForQuery.
    Cycle,
    /// ReadyForQuery.
    Sync,
}

/// An exchange that waits, or a Sync.
#[derive(Debug)]
pub(super) struct Item {
    pub awaits: Awaits,
    /// None for a Sync.
    pub call: Option<Call>,
    /// The first bytes that answer it, which do not yet say how it went.
    pub first: Option<(Stamp, u32)>,
    /// An error that came after the answer had begun.
    pub error: Option<Arc<str>>,
}

/// A Parse of which it is not known yet whether a Bind follows.
#[derive(Debug)]
pub(super) struct Parsed {
    pub name: Box<[u8]>,
    pub what: What,
    pub begun: Begun,
    pub stamp: Stamp,
    pub bytes: u64,
    pub described: bool,
}

/// What is being said.
#[derive(Debug)]
pub(super) struct Talk {
    /// In which direction the requests go.
    pub dir: Direction,
    pub calls: Calls,
    pub items: VecDeque<Item>,
    pub statements: Statements,
    pub parsed: Option<Parsed>,
    /// The last message of the client's was a Bind that was cut off, and who moved it.
    pub cut_bind: Option<Stamp>,
    pub database: Option<Arc<str>>,
    pub dialect: Dialect,
    pub encryption: Encryption,
    /// Every byte has been framed since a certain point, or what was not cannot matter.
    pub paired: bool,
    /// Requests were hidden since the last certain point.
    pub holed: bool,
    /// The position in what the client sends is not known.
    pub front_lost: bool,
    /// The position in what the server sends is not known.
    pub back_lost: bool,
    /// An ErrorResponse came: nothing more does until ReadyForQuery.
    pub failed: bool,
    /// Logging in.
    pub starting: bool,
    /// The server waits for the data of a COPY.
    pub copying: bool,
    /// Answers that came before their requests.
    pub ahead: u32,
    /// Orderly requests until staggering is forgotten; 0: none was seen.
    pub staggered: u8,
    /// A call of the client's has begun, and no request in it yet.
    pub fresh_call: bool,
    /// Before that call it was the server that sent something.
    pub turned: bool,
    pub moved: Option<Direction>,
    pub understood: bool,
}

impl Talk {
    pub fn new(dir: Direction, whole: bool, moved: Option<Direction>) -> Talk {
        Talk {
            dir,
            calls: Calls::default(),
            items: VecDeque::new(),
            statements: Statements::default(),
            parsed: None,
            cut_bind: None,
            database: None,
            dialect: Dialect::POSTGRESQL,
            encryption: Encryption::None,
            paired: whole,
            holed: false,
            front_lost: !whole,
            back_lost: !whole,
            failed: false,
            starting: whole,
            copying: false,
            ahead: 0,
            staggered: 0,
            fresh_call: false,
            turned: false,
            moved,
            understood: false,
        }
    }

    pub fn skip(&self, cx: &mut Context<'_>, why: Skip, bytes: u64) {
        cx.skip(self.understood, why, bytes);
    }

    /// It is certain that this is PostgreSQL: what was skipped before is accounted for.
    pub fn understand(&mut self, cx: &mut Context<'_>) {
        cx.understand(&mut self.understood);
    }

    /// Nothing is owed, and a request begins.
    pub fn certain(&mut self, cx: &mut Context<'_>) {
        if self.understood {
            cx.tally.resyncs = cx.tally.resyncs.saturating_add(1);
        }
        self.understand(cx);
        (self.paired, self.holed, self.front_lost) = (true, false, false);
        (self.failed, self.starting, self.copying) = (false, false, false);
        self.ahead = 0;
    }

    /// A call of the client's begins.
    pub fn call_begins(&mut self) {
        self.fresh_call = true;
        self.turned = self.moved != Some(self.dir);
    }

    /// Whether the data of a COPY are on their way.
    pub fn is_copying(&self) -> bool {
        self.copying
    }

    pub fn is_busy(&self) -> bool {
        !self.items.is_empty()
    }

    /// How many ReadyForQuery are owed.
    pub fn owed(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.awaits, Awaits::Cycle | Awaits::Sync)).count()
    }

    /// The exchange that is being answered, if it is the next.
    pub fn current(&mut self) -> Option<&mut Call> {
        self.items.front_mut()?.call.as_mut()
    }

    /// Tells a request. If there is no room for it, all is given up.
    pub fn ask(
        &mut self,
        cx: &mut Context<'_>,
        awaits: Awaits,
        begun: Begun,
        stamp: Stamp,
        bytes: u64,
        head: RequestHead,
    ) {
        if self.items.len() >= cx.limits.outstanding {
            cx.tally.overflow = cx.tally.overflow.saturating_add(1);
            self.lose(cx, stamp.at);
            return;
        }
        let call = self.calls.ask(cx, self.dir, begun, stamp, bytes, head);
        self.items.push_back(Item { awaits, call: Some(call), first: None, error: None });
    }

    /// What was going on is given up.
    pub fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        self.give_up(cx, at);
        if self.paired {
            cx.tally.desyncs = cx.tally.desyncs.saturating_add(1);
        }
        self.paired = false;
    }

    /// Ends what waits, of which nobody knows how it was answered.
    pub fn give_up(&mut self, cx: &mut Context<'_>, at: Nanos) {
        for call in std::mem::take(&mut self.items).into_iter().filter_map(|item| item.call) {
            lose(cx, call, at);
        }
        self.parsed = None;
        self.cut_bind = None;
        self.copying = false;
    }

    /// The connection or the capture is over.
    pub fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        for call in std::mem::take(&mut self.items).into_iter().filter_map(|item| item.call) {
            if !call.is_answered() && call.response_end() > Nanos(0) {
                call.lose(cx, at);
            } else {
                call.cut(cx, at, closed);
            }
        }
    }

    /// What stands here is no message.
    pub fn broken(&mut self, cx: &mut Context<'_>, bytes: u64, at: Nanos) {
        if self.understood {
            cx.tally.malformed = cx.tally.malformed.saturating_add(1);
        }
        self.skip(cx, Skip::Malformed, bytes);
        self.lose(cx, at);
    }

    /// Bytes of messages of the client's that are not known.
    pub fn request_hidden(&mut self, cx: &mut Context<'_>, bytes: u64, moved: Move) {
        if bytes == 0 {
            return;
        }
        if self.fresh_call && self.turned && !self.copying && !self.items.is_empty() {
            // It may be a new request: then what comes next is not the answer to what waits.
            self.lose(cx, moved.at);
        }
        self.holed = true;
        self.parsed = None;
        if self.copying && self.paired {
            cx.tally.body(bytes);
            if let Some(call) = self.current() {
                call.asked(bytes, moved);
            }
            return;
        }
        let bind = self.cut_bind.take();
        if let Some(stamp) = bind
            && self.paired
        {
            self.execute_hidden(cx, stamp);
        }
        if bind.is_none() || bytes > NO_PARSE {
            self.statements.forget();
        }
        self.skip(cx, Skip::Desync, bytes);
    }

    /// A call of hidden messages ended with a Sync.
    pub fn sync_hidden(&mut self, cx: &mut Context<'_>, at: Nanos) {
        if self.items.len() >= cx.limits.outstanding {
            self.lose(cx, at);
            return;
        }
        self.items.push_back(Item { awaits: Awaits::Sync, call: None, first: None, error: None });
    }

    /// Bytes of messages of the server's that are not known.
    pub fn answer_hidden(&mut self, cx: &mut Context<'_>, bytes: u64, moved: Move) {
        if bytes == 0 {
            return;
        }
        if !self.paired {
            self.skip(cx, Skip::Desync, bytes);
            return;
        }
        if self.owed() > 1 || self.items.is_empty() {
            // Several may have been answered, or something that is not known of.
            self.skip(cx, Skip::Desync, bytes);
            self.lose(cx, moved.at);
            return;
        }
        if let Some(call) = self.current() {
            call.moved(bytes, moved);
            cx.tally.body(bytes);
        } else {
            self.skip(cx, Skip::Desync, bytes);
        }
    }

    /// A call of hidden messages ended with a ReadyForQuery: the one that is owed.
    pub fn ready_hidden(&mut self, cx: &mut Context<'_>, ending: Ending, moved: Move) {
        if !self.paired {
            return;
        }
        let calls = self.items.iter().filter(|item| item.call.is_some()).count();
        for item in std::mem::take(&mut self.items) {
            let Some(call) = item.call else { continue };
            let error = match ending {
                Ending::Failed => Some(item.error.unwrap_or_else(|| cx.names.method(UNKNOWN.as_bytes()))),
                Ending::Complete | Ending::Unclear => item.error,
            };
            // Of several it is not known which were answered when.
            if calls == 1 && call.is_answered() && ending != Ending::Unclear {
                call.end(cx, Outcome::Complete, moved.at, Trailer { status: None, error });
            } else {
                lose(cx, call, moved.at);
            }
        }
        self.cycle_over();
    }

    /// A ReadyForQuery came.
    pub fn cycle_over(&mut self) {
        (self.failed, self.starting, self.copying) = (false, false, false);
        if self.items.is_empty() {
            self.staggered = self.staggered.saturating_sub(1);
        }
    }
}

/// Ends a call of which the rest of the answer, or all of it, was not seen: at its last byte that was.
pub(super) fn lose(cx: &mut Context<'_>, call: Call, at: Nanos) {
    let last = call.response_end();
    call.lose(cx, if last == Nanos(0) { at } else { last });
}

impl Item {
    /// The first bytes that answer it.
    pub fn note(&mut self, stamp: Stamp, seq: u32) {
        self.first.get_or_insert((stamp, seq));
    }

    /// It is answered.
    pub fn told(&mut self, cx: &mut Context<'_>, error: Option<&Arc<str>>) {
        if let (Some(call), Some((stamp, seq))) = (&mut self.call, self.first) {
            call.answer(cx, stamp, seq, ResponseHead { status: 0, error: error.cloned(), truncated: false });
        }
    }

    /// Its answer is over.
    pub fn complete(self, cx: &mut Context<'_>, at: Nanos) {
        if let Some(call) = self.call {
            call.end(cx, Outcome::Complete, at, Trailer { status: None, error: self.error });
        }
    }
}
