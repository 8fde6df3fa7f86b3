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

/// The buffer.
#[derive(Debug, Default)]
pub(super) struct Reorder {
    items: Vec<(Order, Item)>,
}

impl Reorder {
    /// Something happened at a time.
    pub fn push(&mut self, at: Nanos, item: Item) {
        self.items.push((item.order(at), item));
    }

    /// Everything up to the watermark, in order.
    pub fn take(&mut self, watermark: Nanos) -> Vec<(Nanos, Item)> {
        // Nearly sorted: the stable sort finds the runs and only merges them.
        self.items.sort_by_key(|(order, _)| *order);
        let ripe = self.items.partition_point(|(order, _)| order.0 <= watermark);
        self.items.drain(..ripe).map(|(order, item)| (order.0, item)).collect()
    }
}
