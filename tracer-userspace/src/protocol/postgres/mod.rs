//! PostgreSQL's frontend/backend protocol 3 (PostgreSQL's manual, "Frontend/Backend Protocol") on one connection end, over TCP
//! or a unix socket.
//!
//! # What is an exchange
//!
//! * A simple Query, of however many statements, to its ReadyForQuery. Method and table are the first statement's.
//! * An Execute of the extended protocol, from the first byte of the Parse or Bind that it belongs to, to its CommandComplete (or
//!   EmptyQueryResponse, PortalSuspended, ErrorResponse). The statement is the one that was prepared under that name; one that was
//!   prepared out of sight is `EXECUTE`, with its name as `db.postgresql.statement_name`.
//! * A Parse that is not followed by a Bind of its statement before the next Sync or Flush: `PREPARE`, to its ParseComplete, or to
//!   the description of the statement if the client asks for that too.
//! * A FunctionCall: `CALL`.
//!
//! An ErrorResponse fails the first exchange that was not over; what the client sent between that and its next Sync is skipped by the
//! server, and ends with `PIPELINE_ABORTED` (libpq's word for it). Login, Describe, Close and Sync by themselves, cancellation and
//! notifications are no exchanges. After a connection has agreed on TLS or GSSAPI nothing more can be read.
//!
//! # How answers are paired
//!
//! Servers answer in order, and each Sync or Query with exactly one ReadyForQuery. Pairing is exact while every byte of both directions
//! has been framed since a *certain point*: the beginning of the connection, or a request that begins with a call right after
//! the server's turn on a connection that has not been seen to send a request while another waited.
//!
//! * A result of which the rest is not captured is followed to the ReadyForQuery that ends one of the server's calls. If more than one
//!   ReadyForQuery is owed then, nobody knows which it is: all is given up until the next certain point.
//! * Requests that are not captured: a Bind that was cut off is taken to be executed next, as all clients do; what else was hidden up to
//!   the Sync is not told. Its answers are then counted, and belong to nothing.
//! * An answer without a request was recorded before it (a client that writes in one thread and reads in another): the request is told
//!   when it comes, and its answer is `ResponseUnseen`.

mod back;
mod begins;
mod front;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod message;
mod statements;
mod talk;

#[cfg(test)]
mod tests;

use super::frames::{Cut, Frames};
use super::moved::Move;
use super::recognise::Begin;
use super::tally::Skip;
use super::{Bytes, Context, Gap, Interest, Parser, Piece};
use crate::event::{Direction, Role};
use crate::time::Nanos;
use message::{Backend, Frontend};
use talk::{Encryption, Talk};

/// Bytes of a client's message that are kept while it is not over: statements are long.
const KEPT_REQUEST: usize = 8 * 1024;
/// The same of a server's: an error's code stands near its beginning.
const KEPT_ANSWER: usize = 192;

/// PostgreSQL on one connection end.
pub struct Postgres {
    /// From the client.
    front: Frames,
    /// From the server.
    back: Frames,
    talk: Talk,
    /// The last two bytes of the server's call before, while its messages are not known.
    before: Option<[u8; 2]>,
    /// The last call of the client's is over.
    call_over: bool,
}

/// A parser for a connection that begins as clients begin, or on which a call begins with a request.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    // Only the side that connected sends requests. (Of a unix socket nobody says that it did.)
    if begin.role == Role::Active && begin.dir == Direction::Rx {
        return None;
    }
    let whole = begin.whole && begins::connection(begin.data, begin.call_len);
    let joined = begin.moved != Some(begin.dir) && begins::request(begin.data, begin.call_len, true);
    (whole || joined).then(|| Box::new(Postgres::new(begin.dir, whole, begin.moved)) as Box<dyn Parser>)
}

impl Postgres {
    /// Requests move in direction `dir`. `whole`: nothing moved before; else `moved` says in which direction bytes moved last.
    fn new(dir: Direction, whole: bool, moved: Option<Direction>) -> Postgres {
        Postgres {
            front: Frames::new(KEPT_REQUEST, whole),
            back: Frames::new(KEPT_ANSWER, whole),
            talk: Talk::new(dir, whole, moved),
            before: None,
            call_over: true,
        }
    }

    /// A call of the client's begins. Where the position of either direction is not known, it may be found here.
    fn call_begins(&mut self, cx: &mut Context<'_>, bytes: &Bytes<'_>) {
        let exact = self.talk.paired && !self.front.is_lost() && !self.back.is_lost();
        let between = self.front.is_lost() || self.front.pending() == 0;
        if exact || !between || self.talk.moved == Some(self.talk.dir) {
            return;
        }
        let strict = !self.talk.understood || self.front.is_lost();
        if !begins::request(bytes.data, bytes.call_len, strict) {
            return;
        }
        if self.talk.staggered > 0 {
            // Earlier ones may be waiting.
            return;
        }
        self.talk.give_up(cx, bytes.stamp.at);
        let begun = self.front.resume() + self.back.resume();
        self.talk.skip(cx, Skip::Desync, begun);
        self.talk.certain(cx);
    }

    fn client(&mut self, cx: &mut Context<'_>, piece: Piece<'_>) {
        match &piece {
            Piece::Bytes(bytes) => {
                self.call_begins(cx, bytes);
                self.talk.back_lost = self.back.is_lost();
                self.talk.call_begins();
                self.call_over = bytes.ends_call;
            }
            // The first gap behind a call that was cut off is its rest.
            Piece::Gap(gap) if gap.len > 0 => {
                if self.call_over {
                    self.talk.call_begins();
                }
                self.call_over = true;
            }
            Piece::Gap(_) => {}
        }
        let talk = &mut self.talk;
        self.front.feed(&Frontend, piece, &mut |cut| match cut {
            Cut::Frame(frame) => talk.asks(cx, &frame),
            Cut::Broken(bytes, at) => talk.broken(cx, bytes, at),
            Cut::Lost(bytes, gap) => talk.request_hidden(cx, bytes, Move::from(&gap)),
            Cut::Passed(bytes, moved) => talk.request_hidden(cx, bytes, moved),
        });
        talk.front_lost = self.front.is_lost();
        let ends_with = |end: &[u8]| tail(&piece).is_some_and(|tail| tail.ends_with(end));
        if self.front.is_lost() && talk.paired {
            // What follows the data of a COPY, or the parameters of a statement.
            if ends_with(&message::SYNC) {
                talk.sync_hidden(cx, moved(&piece).at);
                self.front.resume();
            } else if talk.is_copying() && ends_with(&message::COPY_DONE) {
                self.front.resume();
            }
            talk.front_lost = self.front.is_lost();
        }
    }

    fn server(&mut self, cx: &mut Context<'_>, mut piece: Piece<'_>) {
        if self.talk.encryption == Encryption::Asked
            && let Piece::Bytes(bytes) = &mut piece
            && let [answer, rest @ ..] = bytes.data
            && matches!(answer, b'S' | b'N' | b'G')
        {
            self.talk.encryption = if *answer == b'N' { Encryption::None } else { Encryption::On };
            cx.tally.head(1);
            (bytes.data, bytes.seq) = (rest, bytes.seq.wrapping_add(1));
            if self.talk.encryption == Encryption::On {
                let pending = self.front.lose();
                cx.tally.skip(Skip::Tls, rest.len() as u64 + pending);
                return;
            }
        }
        let talk = &mut self.talk;
        self.back.feed(&Backend, piece, &mut |cut| match cut {
            Cut::Frame(frame) => talk.answers(cx, &frame),
            Cut::Broken(bytes, at) => talk.broken(cx, bytes, at),
            Cut::Lost(bytes, gap) => talk.answer_hidden(cx, bytes, Move::from(&gap)),
            Cut::Passed(bytes, moved) => talk.answer_hidden(cx, bytes, moved),
        });
        if self.back.is_lost() {
            // Of a call that was captured in part it is the tail that comes with an empty gap: it has eight bytes.
            let padded = matches!(piece, Piece::Gap(Gap { len: 1.., .. }));
            let tail = tail(&piece);
            if let Some(ending) = tail.and_then(|tail| message::ending(self.before, tail, padded)) {
                talk.ready_hidden(cx, ending, moved(&piece));
                self.back.resume();
            }
            self.before = tail.filter(|_| !padded).and_then(|tail| tail.last_chunk().copied());
        }
    }
}

/// The last bytes of a call, if they are known.
fn tail<'a>(piece: &'a Piece<'_>) -> Option<&'a [u8]> {
    match piece {
        Piece::Bytes(bytes) => Some(bytes.data).filter(|_| bytes.ends_call),
        Piece::Gap(gap) => gap.tail.as_ref().map(|tail| &tail[..]),
    }
}

/// When the last of it moved.
fn moved(piece: &Piece<'_>) -> Move {
    match piece {
        Piece::Bytes(bytes) => bytes.stamp.into(),
        Piece::Gap(gap) => Move::from(gap),
    }
}

impl Parser for Postgres {
    fn feed(&mut self, cx: &mut Context<'_>, dir: Direction, piece: Piece<'_>) {
        let bytes = match &piece {
            Piece::Bytes(bytes) => bytes.data.len() as u64,
            Piece::Gap(gap) => gap.len,
        };
        if self.talk.encryption == Encryption::On {
            cx.tally.skip(Skip::Tls, bytes);
            return;
        }
        if dir == self.talk.dir {
            self.client(cx, piece);
        } else {
            self.server(cx, piece);
        }
        if bytes > 0 {
            self.talk.moved = Some(dir);
        }
    }

    fn lose(&mut self, cx: &mut Context<'_>, at: Nanos) {
        let pending = self.front.lose() + self.back.lose();
        self.talk.skip(cx, Skip::Desync, pending);
        self.talk.lose(cx, at);
    }

    fn end(&mut self, cx: &mut Context<'_>, at: Nanos, closed: bool) {
        let pending = self.front.lose() + self.back.lose();
        self.talk.skip(cx, Skip::Incomplete, pending);
        self.talk.end(cx, at, closed);
    }

    fn understood(&self) -> bool {
        self.talk.understood
    }

    fn pending(&self) -> u64 {
        self.front.pending() + self.back.pending()
    }

    fn interest(&self) -> Interest {
        match (self.talk.encryption, self.talk.staggered) {
            (Encryption::On, _) => Interest::Nothing,
            (_, 0) => Interest::Calls,
            (_, _) => Interest::Everything,
        }
    }

    fn is_busy(&self) -> bool {
        self.talk.is_busy()
    }
}
