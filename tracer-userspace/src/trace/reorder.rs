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

/// Among items of one time: connection, number of the exchange, kind.
type Order = (ConnId, u32, u8);

impl Item {
    fn order(&self) -> Order {
        match self {
            Item::Open(open) => (open.conn, 0, 0),
            Item::Step(step) => {
                let kind = match step {
                    Step::Request { .. } => 1,
                    Step::Response { .. } => 2,
                    Step::End { .. } => 3,
                };
                (step.id().conn, step.id().number, kind)
            }
            Item::Close(conn) => (*conn, u32::MAX, 4),
            Item::Exit(tgid) => (ConnId { sk: u64::MAX, born: u64::from(*tgid) }, u32::MAX, 5),
        }
    }
}

/// The buffer. Items stay where they were put, and only their small keys are sorted: items come nearly in the order of
/// time, so that taking them in that order goes through memory nearly in one direction.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    /// In the order in which they came; those that were taken are gone.
    items: Vec<Option<Item>>,
    /// What is not ordered yet: when, and its place in `items`.
    fresh: Vec<(Nanos, usize)>,
    /// Latest first, so that the earliest is taken off the end.
    ripe: Vec<(Nanos, usize)>,
    /// Kept for its memory.
    spare: Vec<Option<Item>>,
}

impl Reorder {
    /// Something happened at a time.
    pub fn push(&mut self, at: Nanos, item: Item) {
        self.fresh.push((at, self.items.len()));
        self.items.push(Some(item));
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.ripe.len()
    }

    /// A time that half of them lie before.
    pub fn middle(&mut self) -> Option<Nanos> {
        self.fresh.sort_unstable();
        self.fresh.get(self.fresh.len() / 2).map(|(at, _)| *at)
    }

    /// Makes everything up to the watermark ripe to be [taken](Reorder::next).
    pub fn ripen(&mut self, watermark: Nanos) {
        if self.ripe.is_empty() {
            self.close_gaps();
        }
        self.fresh.sort_unstable();
        let items = &self.items;
        for equal in self.fresh.chunk_by_mut(|(one, _), (other, _)| one == other) {
            if equal.len() > 1 {
                equal.sort_by_key(|(_, place)| items.get(*place).and_then(Option::as_ref).map(Item::order));
            }
        }
        let count = self.fresh.partition_point(|(at, _)| *at <= watermark);
        self.ripe.extend(self.fresh.drain(..count).rev());
    }

    /// The earliest ripe item.
    pub fn next(&mut self) -> Option<(Nanos, Item)> {
        let (at, place) = self.ripe.pop()?;
        Some((at, self.items.get_mut(place)?.take()?))
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
