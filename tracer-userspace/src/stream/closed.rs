//! Remembers connections that ended recently. A record made on another CPU can come after that of the close, and a
//! process may read what was received before it: such bytes must neither be counted twice nor open a new connection.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tracer_common::abi::{ConnId, Progress};

/// How many are remembered.
const ROOM: usize = 1024;

/// Connections that ended, and how far they had come.
#[derive(Debug, Default)]
pub(super) struct Closed {
    positions: FxHashMap<ConnId, (u64, u64)>,
    order: VecDeque<ConnId>,
}

impl Closed {
    /// Remembers one.
    pub(super) fn add(&mut self, conn: ConnId, positions: (u64, u64)) {
        if self.positions.insert(conn, positions).is_none() {
            self.order.push_back(conn);
        }
        if self.order.len() > ROOM
            && let Some(oldest) = self.order.pop_front()
        {
            self.positions.remove(&oldest);
        }
    }

    /// If the connection has ended: how many of the bytes up to these counts are new.
    pub(super) fn late(
        &mut self,
        conn: &ConnId,
        rx: &Progress,
        tx: &Progress,
        call: (u64, u64),
    ) -> Option<u64> {
        let known = self.positions.get_mut(conn)?;
        let now = (rx.bytes.saturating_add(call.0), tx.bytes.saturating_add(call.1));
        let new = now.0.saturating_sub(known.0).saturating_add(now.1.saturating_sub(known.1));
        *known = (known.0.max(now.0), known.1.max(now.1));
        Some(new)
    }

    /// Whether the connection has ended.
    pub(super) fn contains(&self, conn: &ConnId) -> bool {
        self.positions.contains_key(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sk: u64) -> ConnId {
        ConnId { sk, born: 1 }
    }

    #[test]
    fn late_bytes_are_counted_once() {
        let mut closed = Closed::default();
        closed.add(id(1), (10, 20));
        let at = |bytes| Progress { bytes, ..Progress::default() };
        assert_eq!(closed.late(&id(1), &at(10), &at(20), (5, 0)), Some(5));
        assert_eq!(closed.late(&id(1), &at(10), &at(20), (5, 0)), Some(0));
        assert_eq!(closed.late(&id(2), &at(10), &at(20), (5, 0)), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut closed = Closed::default();
        for sk in 0..2 * ROOM as u64 {
            closed.add(id(sk), (0, 0));
        }
        assert!(!closed.contains(&id(0)) && closed.contains(&id(2 * ROOM as u64 - 1)));
        assert_eq!(closed.positions.len(), ROOM);
    }
}
