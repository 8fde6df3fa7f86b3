//! Puts what arrives nearly in time order into time order.
//!
//! Records come from several CPUs' rings and calls end in another order than they began. What is older than the
//! watermark is final and is handed on in an order that depends on the values alone: time, then exchange, then step.

use tracer_common::abi::ConnId;

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

/// The buffer. Items stay where they were put, and only their small keys are sorted: items come nearly in the order of
/// time, so that taking them in that order goes through memory nearly in one direction.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// In the order in which they came; those that were taken are gone.
    items: Vec<Option<Item>>,
    /// What is not ordered yet, and its place in `items`.
    fresh: Vec<(Order, usize)>,
    /// Latest first, so that the earliest is taken off the end.
    ripe: Vec<(Order, usize)>,
    /// Kept for its memory.
    spare: Vec<Option<Item>>,
}

impl Reorder {
    /// Something happened at a time.
    pub fn push(&mut self, at: Nanos, item: Item) {
        self.fresh.push((item.order(at), self.items.len()));
        self.items.push(Some(item));
    }

    /// Makes everything up to the watermark ripe to be [taken](Reorder::next).
    pub fn ripen(&mut self, watermark: Nanos) {
        if self.ripe.is_empty() {
            self.close_gaps();
        }
        // Nearly sorted: the stable sort finds the runs and only merges them.
        self.fresh.sort_by_key(|(order, _)| *order);
        let count = self.fresh.partition_point(|(order, _)| order.0 <= watermark);
        self.ripe.extend(self.fresh.drain(..count).rev());
    }

    /// The earliest ripe item.
    pub fn next(&mut self) -> Option<(Nanos, Item)> {
        let (order, place) = self.ripe.pop()?;
        Some((order.0, self.items.get_mut(place)?.take()?))
    }

    /// How many items wait, or leave a gap.
    pub fn held(&self) -> usize {
        self.items.len()
    }

    /// Moves what has not been taken together. Everything ripe has been taken.
    fn close_gaps(&mut self) {
        if self.items.len() == self.fresh.len() {
            return;
        }
        for (_, place) in &mut self.fresh {
            let item = self.items.get_mut(*place).and_then(Option::take);
            *place = self.spare.len();
            self.spare.push(item);
        }
        self.items.clear();
        std::mem::swap(&mut self.items, &mut self.spare);
    }
}
