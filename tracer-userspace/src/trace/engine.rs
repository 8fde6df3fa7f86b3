//! The streaming engine: steps in, spans out.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, VecDeque};

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

use super::conn::Conns;
use super::forest::Forest;
use super::join::{InOrder, Joins, Place};
use super::limits::Limits;
use super::messages::Messages;
use super::record::{Ended, JoinState, Record, Response};
use super::reorder::{Item, Reorder};
use super::{Services, Settings, Span, Stats, assemble};
use crate::arena::Key;
use crate::causality::joint::Joint;
use crate::causality::{Call, CallKind, CallState, Causality, EvidenceSet, Owner};
use crate::event::{Open, Role, Stamp};
use crate::exchange::{ExchangeId, Handing, Outcome, Protocol, RequestHead, Side, Step};
use crate::time::{ClockAnchor, Nanos};

/// What is left of an exchange whose span was given out before its end.
#[derive(Debug)]
enum Evicted {
    Server(Owner),
    Client(CallState),
}

/// A call that ends this much after its request overran it.
const OVERRUN: u64 = 1_000_000;
/// Exchanges of which a step came before the request, and such steps of each: a response and an end.
const MAX_EARLY: usize = 1024;
const MAX_EARLY_STEPS: usize = 2;

/// The engine.
#[derive(Debug)]
pub struct Engine {
    pub(super) limits: Limits,
    pub(super) settings: Settings,
    clock: ClockAnchor,
    reorder: Reorder,
    pub(super) conns: Conns,
    pub(super) joins: Joins,
    pub(super) in_order: InOrder,
    pub(super) messages: Messages,
    pub(super) forest: Forest,
    pub(super) causality: Causality,
    pub(super) joint: Joint,
    pub(super) stats: Stats,
    ids: FxHashMap<ExchangeId, Key>,
    /// All records in the order in which they came; some are gone.
    order: VecDeque<Key>,
    pub(super) timers: BinaryHeap<Reverse<(Nanos, Key)>>,
    evicted: FxHashMap<ExchangeId, Evicted>,
    early: FxHashMap<ExchangeId, Vec<(Nanos, Step)>>,
    watermark: Nanos,
}

impl Engine {
    /// An engine that turns kernel times into times of day by `clock`.
    pub fn new(limits: Limits, clock: ClockAnchor) -> Engine {
        Engine {
            limits,
            settings: Settings::default(),
            clock,
            reorder: Reorder::default(),
            conns: Conns::default(),
            joins: Joins::default(),
            in_order: InOrder::default(),
            messages: Messages::default(),
            forest: Forest::default(),
            causality: Causality::default(),
            joint: Joint::default(),
            stats: Stats::default(),
            ids: FxHashMap::default(),
            order: VecDeque::new(),
            timers: BinaryHeap::new(),
            evicted: FxHashMap::default(),
            early: FxHashMap::default(),
            watermark: Nanos(0),
        }
    }

    /// The same with other settings.
    #[must_use]
    pub fn with(self, settings: Settings) -> Engine {
        Engine { settings, ..self }
    }

    /// A connection is new.
    pub fn open(&mut self, open: &Open) {
        self.reorder.push(open.stamp.at, Item::Open(Box::new(open.clone())));
    }

    /// A step of an exchange.
    pub fn step(&mut self, step: Step) {
        let at = match &step {
            Step::Request { stamp, .. } | Step::Response { stamp, .. } => stamp.at,
            Step::End { end, .. } => *end,
        };
        // An end is often told later than it was: when the next message shows that the last one is over.
        self.stats.late_steps += u64::from(at < self.watermark && !matches!(step, Step::End { .. }));
        self.reorder.push(at, Item::Step(step));
    }

    /// A connection ended.
    pub fn close(&mut self, conn: ConnId, at: Nanos) {
        self.reorder.push(at, Item::Close(conn));
    }

    /// A process ended.
    pub fn process_exit(&mut self, tgid: u32, at: Nanos) {
        self.reorder.push(at, Item::Exit(tgid));
    }

    /// Whether it knows of more threads or processes than there can be, so that all must be forgotten.
    pub fn is_full(&self) -> bool {
        self.causality.is_full()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many things are remembered, of whatever kind: what grows if something is not forgotten.
    pub fn held(&self) -> usize {
        let undecided = self.forest.len() + self.ids.len() + self.order.len() + self.timers.len();
        let met = self.conns.held() + self.joins.held() + self.in_order.held() + self.causality.held();
        let met = met + self.joint.held() + self.messages.held();
        let unpaired = self.evicted.len() + self.early.values().map(Vec::len).sum::<usize>();
        undecided + met + unpaired + self.reorder.held()
    }

    /// How many spans are undecided.
    pub fn undecided(&self) -> usize {
        self.forest.len()
    }

    /// Nothing older than `watermark` will come any more (ends excepted): decides what can be decided.
    pub fn advance(&mut self, watermark: Nanos, services: &dyn Services, out: &mut impl FnMut(Span)) {
        self.reorder.ripen(watermark);
        while let Some((at, item)) = self.reorder.next() {
            self.handle(at, item, services);
            self.tick(at, out);
        }
        self.watermark = self.watermark.max(watermark);
        if watermark < Nanos(u64::MAX) {
            self.tick(watermark, out);
            self.conns.advance(watermark);
        }
    }

    /// Makes room if too much waits for a watermark that does not come.
    pub fn relieve(&mut self, services: &dyn Services, out: &mut impl FnMut(Span)) {
        if self.reorder.len() > self.limits.max_waiting
            && let Some(middle) = self.reorder.middle()
        {
            self.advance(middle, services, out);
        }
    }

    /// The capture is over: gives out everything. Exchanges that have not ended are told as far as they went.
    pub fn finish(&mut self, services: &dyn Services, out: &mut impl FnMut(Span)) {
        self.advance(Nanos(u64::MAX), services, out);
        for settled in self.causality.finish() {
            self.settle(settled);
        }
        let order = std::mem::take(&mut self.order);
        for key in &order {
            self.answer_at_last(*key);
        }
        for settled in self.causality.finish() {
            self.settle(settled);
        }
        self.decide(Nanos(u64::MAX), true);
        self.give_ready(out);
        for key in order {
            if let Some(root) = self.forest.root(key) {
                self.give(root, out);
            }
        }
    }

    /// After each item: timers, links that were settled, trees that became ready, the limit.
    fn tick(&mut self, now: Nanos, out: &mut impl FnMut(Span)) {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, key))) = self.timers.pop() {
                self.timer(key, now);
            }
        }
        for settled in self.causality.take_settled(now) {
            self.settle(settled);
        }
        self.decide(now, false);
        self.give_ready(out);
        while self.forest.len() > self.limits.max_spans {
            let Some(key) = self.order.pop_front() else { break };
            if let Some(root) = self.forest.root(key) {
                self.force(root, out);
            }
        }
        let enough = 2 * self.forest.len() + 1024;
        let forest = &self.forest;
        if self.order.len() > enough {
            self.order.retain(|key| forest.get(*key).is_some());
        }
        // A record has two timers at most.
        if self.timers.len() > 2 * enough {
            self.timers.retain(|Reverse((_, key))| forest.get(*key).is_some());
        }
    }

    fn give_ready(&mut self, out: &mut impl FnMut(Span)) {
        while let Some(root) = self.forest.next_ready() {
            self.give(root, out);
        }
    }

    fn force(&mut self, root: Key, out: &mut impl FnMut(Span)) {
        let before = self.stats.spans;
        self.give(root, out);
        self.stats.forced += self.stats.spans - before;
    }

    fn give(&mut self, root: Key, out: &mut impl FnMut(Span)) {
        let mut leaves = self.forest.take(root);
        self.stats.traces += u64::from(!leaves.is_empty());
        self.stats.spans += leaves.len() as u64;
        for leaf in &mut leaves {
            let record = &mut leaf.record;
            self.ids.remove(&record.id);
            if let Some(place) = record.place().filter(|_| !record.join.shifted) {
                self.joins.leave(place);
            }
            if let Some(flow) = record.flow.filter(|_| record.join.queued) {
                self.in_order.leave(flow, record.id);
            }
            if let (true, Some(response)) = (record.join.translated, &record.response) {
                self.joins.leave(Place::Translated { request: record.seq, response: response.seq });
            }
            if record.question.take().is_some() {
                record.reason = Some(crate::causality::Reason::Limit);
                self.stats.undecided += 1;
            }
            if record.end.is_none() {
                self.evict(record.id, record.owner, record.call);
            }
        }
        let (stats, messages) = (&mut self.stats, &mut self.messages);
        assemble::spans(leaves, &self.clock, &mut |span| {
            match span.tags.kind {
                Side::Server => stats.servers += 1,
                Side::Client => stats.clients += 1,
            }
            let given = span.tags.extra.as_ref().and_then(|extra| extra.handover.as_ref());
            for key in
                given.filter(|given| given.handing == Handing::Given).iter().flat_map(|given| &given.keys)
            {
                messages.give(*key, span.trace_id, span.span_id);
            }
            out(span);
        });
    }

    /// The span of an exchange is given out, and the exchange goes on: what it is doing still counts.
    fn evict(&mut self, id: ExchangeId, owner: Option<Owner>, call: CallState) {
        let left = owner.map_or(Evicted::Client(call), Evicted::Server);
        if self.evicted.len() < self.limits.max_spans {
            self.evicted.insert(id, left);
        } else if let Evicted::Server(owner) = left {
            self.causality.request_ended(owner, self.watermark);
        }
    }

    fn handle(&mut self, at: Nanos, item: Item, services: &dyn Services) {
        match item {
            Item::Open(open) => self.opened(&open),
            Item::Close(conn) => self.conns.close(conn, at),
            Item::Exit(tgid) => {
                self.causality.process_exit(tgid);
                self.joint.forget(tgid);
            }
            Item::Step(step) => self.handle_step(at, step, services),
        }
    }

    fn opened(&mut self, open: &Open) {
        if open.role == Role::Unseen {
            self.causality.was_before_capture(open.stamp.tgid, open.stamp.at);
        }
        let born_for = open.birth.and_then(|birth| self.causality.birth(birth));
        self.conns.open(open, born_for, self.limits.max_conns);
    }

    fn handle_step(&mut self, at: Nanos, step: Step, services: &dyn Services) {
        let id = step.id();
        match step {
            // Ids are made of it: there cannot be another.
            Step::Request { id, .. } if self.ids.contains_key(&id) || self.evicted.contains_key(&id) => {
                self.stats.stray_steps += 1;
            }
            Step::Request { id, side, first, stamp, seq, head } => {
                self.request(id, side, first, stamp, seq, head, services);
                for (at, step) in self.early.remove(&id).unwrap_or_default() {
                    self.handle_step(at, step, services);
                }
            }
            later => match self.ids.get(&id).copied() {
                Some(key) => self.later(key, later),
                None => self.later_without_record(at, id, later),
            },
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one step, and the services")]
    fn request(
        &mut self,
        id: ExchangeId,
        side: Side,
        first: Nanos,
        stamp: Stamp,
        seq: u32,
        mut head: RequestHead,
        services: &dyn Services,
    ) {
        if head.host.is_none() && side == Side::Server && head.protocol == Protocol::PostgreSql {
            head.host = services.database(stamp.tgid);
        }
        let conn = self.conns.get(id.conn).copied();
        let flow = conn.and_then(|conn| conn.flow);
        let service = services.name(stamp.tgid, stamp.at);
        let key = self.forest.plant(Box::new(Record {
            id,
            side,
            first,
            stamp,
            seq,
            head,
            service,
            peer: conn.map(|conn| conn.peer).unwrap_or_default(),
            flow,
            port: conn.and_then(|conn| conn.ports).map(|(local, remote)| match side {
                Side::Server => local,
                Side::Client => remote,
            }),
            response: None,
            end: None,
            partner: None,
            join: JoinState { shifted: conn.is_some_and(|conn| conn.shifted), ..JoinState::default() },
            owner: None,
            call: CallState::default(),
            evidence: EvidenceSet::default(),
            confidence: 1.0,
            candidates: Box::default(),
            reason: None,
            question: None,
            sender: None,
            waiters: Vec::new(),
            node: super::forest::Node::default(),
        }));
        self.stats.peak = self.stats.peak.max(self.forest.len() as u64);
        self.ids.insert(id, key);
        self.order.push_back(key);
        self.send(key);
        match side {
            Side::Server if self.is_taken(key) => self.taken(key),
            Side::Server => {
                if let Some(record) = self.forest.get_mut(key) {
                    let kind = CallKind::of(0, &record.head);
                    let owner = self.causality.request_read(key, kind, first, stamp, &record.head);
                    record.owner = Some(owner);
                    self.joint.request(stamp.tgid, key, kind, first, stamp);
                    self.joint.name(stamp.tgid, &record.service, kind, false, || record.operation());
                }
                self.meet_at_request(key);
                self.wait_for_partner(key, first);
            }
            Side::Client => {
                self.meet_at_request(key);
                let Some(record) = self.forest.get(key) else { return };
                let kind = CallKind::of(record.peer.number(), &record.head);
                let partner = record.partner;
                let made = Call {
                    span: key,
                    first,
                    stamp,
                    conn: id.conn,
                    kind,
                    birth_seen: conn.is_some_and(|conn| conn.birth.is_some()),
                    fresh: id.number == 0 && conn.is_some_and(|conn| conn.new),
                    birth: conn.and_then(|conn| conn.born_for).filter(|_| id.number == 0),
                    partner: partner.and_then(|key| self.forest.get(key)).and_then(|record| record.owner),
                    mn_runtime: services.is_mn_runtime(stamp.tgid),
                };
                let Some(record) = self.forest.get_mut(key) else { return };
                let (verdict, state) = self.causality.call_written(&made, &record.head);
                record.call = state;
                let birth = conn.and_then(|conn| conn.birth).filter(|_| id.number == 0);
                self.joint.call(stamp.tgid, key, kind, first, stamp, birth);
                self.joint.name(stamp.tgid, &record.service, kind, true, || record.operation());
                self.judge(key, verdict);
            }
        }
    }

    /// What is remembered of a call.
    pub(super) fn call_state(&self, id: ExchangeId) -> Option<CallState> {
        if let Some(key) = self.ids.get(&id) {
            return self.forest.get(*key).map(|record| record.call);
        }
        None
    }

    fn later(&mut self, key: Key, step: Step) {
        let Some(record) = self.forest.get_mut(key) else { return };
        match step {
            Step::Request { .. } => self.stats.stray_steps += 1,
            Step::Response { stamp, seq, head, id } => {
                record.response = Some(Response {
                    at: stamp.at,
                    seq,
                    status: head.status,
                    error: head.error,
                    truncated: head.truncated,
                });
                match record.owner {
                    Some(owner) => {
                        self.joint.answered(record.stamp.tgid, key, stamp);
                        self.causality.response_written(owner, stamp);
                    }
                    None => self.causality.response_read(&mut record.call, id.conn, stamp),
                }
                self.meet_at_response(key, stamp.at);
            }
            Step::End {
                id,
                request_end,
                request_by,
                end,
                by,
                request_bytes,
                response_bytes,
                outcome,
                trailer,
            } => {
                if record.end.is_some() {
                    self.stats.stray_steps += 1;
                    return;
                }
                record.end = Some(Ended { end, request_bytes, response_bytes, outcome, trailer });
                let unmet = record.partner.is_none() && record.response.is_none() && !record.head.is_taken();
                if record.owner.is_some() && request_end > record.stamp.at {
                    self.joint.fed(record.stamp.tgid, key, request_end, request_by);
                }
                let lingers = self.joint.ended(record.stamp.tgid, key, end, by, record.call.reader());
                match record.owner {
                    Some(owner) => {
                        self.causality.request_ended(owner, end);
                        let waiters = std::mem::take(&mut record.waiters);
                        self.answer_waiters(waiters);
                    }
                    None => {
                        let complete = outcome == Outcome::Complete && record.response.is_some();
                        let (mut call, parent) = (record.call, record.node.parent());
                        let overran = complete
                            && parent
                                .and_then(|parent| self.forest.get(parent)?.end.as_ref())
                                .is_some_and(|parent| end.since(parent.end) > OVERRUN);
                        self.causality.call_ended(&mut call, id.conn, end, complete, overran);
                    }
                }
                if unmet {
                    self.wait_for_late_server(key, end);
                }
                if lingers {
                    self.forest.hold(key);
                }
                self.forest.release(key);
            }
        }
    }

    /// A step whose record was given out early, or has not come yet.
    fn later_without_record(&mut self, at: Nanos, id: ExchangeId, step: Step) {
        match (self.evicted.get_mut(&id), step) {
            (Some(Evicted::Server(owner)), Step::Response { stamp, .. }) => {
                self.causality.response_written(*owner, stamp);
            }
            (Some(Evicted::Client(call)), Step::Response { stamp, .. }) => {
                self.causality.response_read(call, id.conn, stamp);
            }
            (Some(_), Step::End { end, .. }) => match self.evicted.remove(&id) {
                Some(Evicted::Server(owner)) => self.causality.request_ended(owner, end),
                Some(Evicted::Client(mut call)) => {
                    self.causality.call_ended(&mut call, id.conn, end, false, false);
                }
                None => {}
            },
            (Some(_), Step::Request { .. }) => self.stats.stray_steps += 1,
            // The send hook fires after the copy: with two threads on one connection, the response can be read
            // before the request's stamp.
            (None, step) => {
                let room = self.early.len() < MAX_EARLY;
                let steps = match self.early.entry(id) {
                    Entry::Occupied(steps) => Some(steps.into_mut()),
                    Entry::Vacant(new) => room.then(|| new.insert(Vec::new())),
                };
                match steps.filter(|steps| steps.len() < MAX_EARLY_STEPS) {
                    Some(steps) => steps.push((at, step)),
                    None => self.stats.stray_steps += 1,
                }
            }
        }
    }
}
