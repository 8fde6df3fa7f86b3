//! Puts what arrives nearly in time order into time order.
//!
//! Records come from several CPUs' rings and calls end in another order than they began. What is older than the
//! watermark is final and is handed on in an order that depends on the values alone: time, then exchange, then step.

use tracer_common::abi::ConnId;

use crate::arena::{Arena, Key};
use crate::event::Open;
use crate::exchange::Step;
use crate::time::Nanos;

/// What the engine works on.
#[derive(Debug)]
pub(super) enum Item {
    /// A connection is new.
    Open(Box<Open>),
    /// A step of an exchange.
    Step(Step),
    /// A connection ended.
    Close(ConnId),
    /// A process ended.
    Exit(u32),
}

/// Time, connection, number of the exchange, kind.
type Order = (Nanos, ConnId, u32, u8);

impl Item {
    fn order(&self, at: Nanos) -> Order {
        match self {
            Item::Open(open) => (at, open.conn, 0, 0),
            Item::Step(step) => {
                let kind = match step {
                    Step::Request { .. } => 1,
                    Step::Response { .. } => 2,
                    Step::End { .. } => 3,
                };
                (at, step.id().conn, step.id().number, kind)
            }
            Item::Close(conn) => (at, *conn, u32::MAX, 4),
            Item::Exit(tgid) => (at, ConnId { sk: u64::MAX, born: u64::from(*tgid) }, u32::MAX, 5),
        }
    }
}

/// The buffer. Items stay where they were put; only their small keys are sorted.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    items: Arena<Item>,
    /// What is not ordered yet.
    fresh: Vec<(Order, Key)>,
    /// Latest first, so that the earliest is taken off the end.
    ripe: Vec<(Order, Key)>,
}

impl Reorder {
    /// Something happened at a time.
    pub fn push(&mut self, at: Nanos, item: Item) {
        let order = item.order(at);
        self.fresh.push((order, self.items.insert(item)));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// A time that half of them lie before.
    pub fn middle(&mut self) -> Option<Nanos> {
        self.fresh.sort_by_key(|(order, _)| *order);
        self.fresh.get(self.fresh.len() / 2).map(|(order, _)| order.0)
    }

    /// Makes everything up to the watermark ripe to be [taken](Reorder::next).
    pub fn ripen(&mut self, watermark: Nanos) {
        // Nearly sorted: the stable sort finds the runs and only merges them.
        self.fresh.sort_by_key(|(order, _)| *order);
        let count = self.fresh.partition_point(|(order, _)| order.0 <= watermark);
        self.ripe.extend(self.fresh.drain(..count).rev());
    }

    /// The earliest ripe item.
    pub fn next(&mut self) -> Option<(Nanos, Item)> {
        let (order, key) = self.ripe.pop()?;
        Some((order.0, self.items.remove(key)?))
    }
}
