//! From exchanges to the observations that a capture would have given: processes and threads get numbers, connections get ends,
//! and everything is told in the order of time. What analyses them does not know where they come from.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tracer_common::abi::ConnId;

use super::{Exchange, Exchanges, pairs};
use crate::analysis::{Observation, Seen};
use crate::event::{Endpoints, Mover, Open, Role, Stamp};
use crate::exchange::{ExchangeId, Extra, Outcome, RequestHead, ResponseHead, Side, Step, Trailer};
use crate::process::Window;
use crate::service::{EnvFacts, ProcessFacts};
use crate::time::Nanos;

/// Steps between two watermarks.
const EACH: usize = 1024;

/// A number for each key, in the order in which they come, from 1.
#[derive(Debug)]
struct Numbers<K>(FxHashMap<K, u32>);

impl<K: std::hash::Hash + Eq> Numbers<K> {
    fn new() -> Self {
        Self(FxHashMap::default())
    }

    /// The key's number, and whether it is new.
    fn of(&mut self, key: K) -> (u32, bool) {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(1);
        let number = *self.0.entry(key).or_insert(next);
        (number, number == next)
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    side: Side,
    process: u32,
    /// The connection; or, where none was named, an exchange that has one for itself.
    line: Result<u32, usize>,
    /// The process at the other end, if it is known.
    other: Option<u32>,
}

impl End {
    fn of(at: usize, exchange: &Exchange, partner: Option<&Exchange>) -> End {
        let line = exchange.connection.ok_or(at);
        End {
            side: exchange.side,
            process: exchange.process,
            line,
            other: partner.map(|other| other.process),
        }
    }

    /// The end of the partner.
    fn other_end(self) -> Option<End> {
        let side = if self.side == Side::Client { Side::Server } else { Side::Client };
        self.other.map(|process| End { side, process, other: Some(self.process), ..self })
    }
}

/// When the steps of an exchange are told. Where several things happen in one nanosecond (most sources have microseconds), the
/// order is that of causes: a request is read, an answer to a call is read, a call is written, the request is answered. Spans are
/// told in whole microseconds: these nanoseconds are not seen in them.
fn times(exchange: &Exchange) -> (Nanos, Nanos) {
    let later = |time: u64, by: u64| if time % 1_000 < 1_000 - by { time + by } else { time };
    let (start, end) = match exchange.side {
        Side::Server => (exchange.start, later(exchange.end, 2)),
        Side::Client => (later(exchange.start, 1), exchange.end),
    };
    (Nanos(start), Nanos(end.max(start)))
}

/// Tells them.
pub(super) fn tell(exchanges: Exchanges, out: &mut impl FnMut(Observation)) {
    let Exchanges { mut all, processes, threads, operations, connections } = exchanges;
    let key = |exchange: &Exchange| {
        (
            (exchange.start, exchange.end, exchange.side == Side::Client),
            processes.get(exchange.process),
            exchange.thread.map(|thread| threads.get(thread)),
            operations.get(exchange.operation),
            exchange.connection.map(|connection| connections.get(connection)),
        )
    };
    // The same whatever the order of the lines was.
    all.sort_by(|one, other| key(one).cmp(&key(other)).then_with(|| one.id.cmp(&other.id)));
    let partners = pairs::find(&all);

    let threadless: FxHashSet<u32> =
        all.iter().filter(|exchange| exchange.thread.is_none()).map(|exchange| exchange.process).collect();
    let (mut pids, mut tids) = (Numbers::new(), Numbers::new());
    let mut movers = Vec::with_capacity(all.len());
    for exchange in &all {
        let (tgid, is_new) = pids.of(exchange.process);
        if is_new {
            let moves_work = threadless.contains(&exchange.process);
            out(process(tgid, processes.get(exchange.process), moves_work));
        }
        // 0: not known. Where not all threads are told none is: nobody can find anything in some of them.
        let thread = exchange.thread.filter(|_| !threadless.contains(&exchange.process));
        movers.push((tgid, thread.map_or(0, |thread| tids.of((exchange.process, thread)).0)));
    }
    let (mut ends, mut places) = (Numbers::new(), Vec::with_capacity(all.len()));
    let mut used: FxHashMap<u32, u32> = FxHashMap::default();
    for (at, exchange) in all.iter().enumerate() {
        let partner = partners.get(at).copied().flatten();
        let end = End::of(at, exchange, partner.and_then(|partner| all.get(partner)));
        let number = ends.of(end).0;
        if let (false, Some((tgid, tid))) = (used.contains_key(&number), movers.get(at).copied()) {
            let peer = end.other_end().map_or(0, |end| u64::from(ends.of(end).0));
            let stamp = Stamp { at: times(exchange).0, tgid, tid, ..Stamp::default() };
            out(open(number, peer, exchange.side, stamp));
        }
        // From 1: whether it is a connection's first call is not known.
        let running = used.entry(number).or_insert(0);
        *running += 1;
        places.push((conn(number), *running));
    }
    steps(all, &operations, &partners, &movers, &places, out);
}

fn conn(number: u32) -> ConnId {
    ConnId { sk: number.into(), born: 0 }
}

fn process(pid: u32, name: &str, moves_work: bool) -> Observation {
    let env = EnvFacts { otel_service_name: Some(name.to_owned()), ..EnvFacts::default() };
    Observation::Process(Box::new(Seen {
        facts: ProcessFacts { pid, env, comm: name.to_owned(), ..ProcessFacts::default() },
        window: Window { begin: Nanos(0), end: Nanos(0) },
        moves_work,
    }))
}

fn open(number: u32, peer: u64, side: Side, stamp: Stamp) -> Observation {
    Observation::Open(Box::new(Open {
        conn: conn(number),
        stamp,
        endpoints: Endpoints::Unix { peer },
        netns: 0,
        inode: 0,
        // As if it had been seen from its beginning; who opened it is not known.
        role: if side == Side::Client { Role::Active } else { Role::Passive },
        birth: None,
        peek: [0; _],
        peek_len: 0,
    }))
}

/// Tells the steps of all exchanges in the order of time.
fn steps(
    mut all: Vec<Exchange>,
    operations: &super::Texts,
    partners: &[Option<usize>],
    movers: &[(u32, u32)],
    places: &[(ConnId, u32)],
    out: &mut impl FnMut(Observation),
) {
    let mut order: Vec<(Nanos, bool, usize)> = Vec::with_capacity(2 * all.len());
    for (at, exchange) in all.iter().enumerate() {
        let (start, end) = times(exchange);
        order.extend([(start, false, at), (end, true, at)]);
    }
    order.sort_unstable();
    let texts: Vec<Arc<str>> = operations.list.iter().map(|text| Arc::from(&**text)).collect();
    let none: Arc<str> = Arc::from("");
    for (count, (time, is_end, at)) in order.into_iter().enumerate() {
        if count % EACH == EACH - 1 {
            out(Observation::Watermark(time));
        }
        let (Some(exchange), Some((tgid, tid)), Some((conn, number))) =
            (all.get_mut(at), movers.get(at).copied(), places.get(at).copied())
        else {
            continue;
        };
        let id = ExchangeId { conn, number };
        let stamp = Stamp { at: time, tgid, tid, ..Stamp::default() };
        // The position in the stream: the same number for both views of a call, and for no other.
        let pair = partners.get(at).copied().flatten().map_or(at, |partner| partner.min(at));
        let seq = pair as u32;
        if is_end {
            // It is not told apart when an answer begins and when it ends.
            let head = ResponseHead { status: 0, truncated: false, error: None };
            out(Observation::Step(Step::Response { id, stamp, seq, head }));
            out(Observation::Step(Step::End {
                trailer: Trailer::default(),
                id,
                request_end: time,
                request_by: Mover::default(),
                end: time,
                by: Mover { tid, turn: 0 },
                request_bytes: 0,
                response_bytes: 0,
                outcome: Outcome::Complete,
            }));
        } else {
            let extra = Extra { id: Some(std::mem::take(&mut exchange.id)), ..Extra::default() };
            let operation = texts.get(exchange.operation as usize).unwrap_or(&none);
            let head = RequestHead {
                target: Box::from(&**operation),
                extra: Some(Box::new(extra)),
                ..RequestHead::default()
            };
            out(Observation::Step(Step::Request { id, side: exchange.side, first: time, stamp, seq, head }));
        }
    }
}
