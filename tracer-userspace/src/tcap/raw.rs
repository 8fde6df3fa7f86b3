//! Raw payload, kept with `--raw` only: the pieces of messages as they were captured, in frames of their own that the analysis
//! does not need.

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

use super::wire::{Conn, Piece, Raw, Stamp};
use crate::event::{Direction, Segment};
use crate::time::Nanos;

/// Collects pieces for a frame.
#[derive(Debug, Default)]
pub(super) struct RawEncoder {
    raw: Raw,
    conns: FxHashMap<ConnId, u32>,
    weight: usize,
}

impl RawEncoder {
    /// Adds what was captured of a call; `conn` is the name that the connection has in the capture.
    pub fn add(&mut self, conn: ConnId, segment: &Segment<'_>, now: Nanos) {
        if self.raw.pieces.is_empty() {
            self.raw.base = now.0;
        }
        let next = u32::try_from(self.raw.conns.len()).unwrap_or(u32::MAX);
        let number = *self.conns.entry(conn).or_insert(next);
        if number == next {
            self.raw.conns.push(Conn { name: conn.sk, born: conn.born });
        }
        let received = segment.dir == Direction::Rx;
        self.weight += segment.data.len() + 64;
        self.raw.pieces.push(Piece {
            conn: number,
            stamp: Stamp {
                at: segment.stamp.at.0.wrapping_sub(self.raw.base) as i64,
                tgid: segment.stamp.tgid,
                tid: segment.stamp.tid,
                ..Stamp::default()
            },
            received,
            position: if received { segment.rx.bytes } else { segment.tx.bytes },
            seq: segment.seq,
            length: segment.len,
            data: segment.data.to_vec(),
        });
    }

    /// About so many bytes will it be.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// What was collected; the next frame begins. `None` if that is nothing.
    pub fn take(&mut self) -> Option<Raw> {
        self.conns.clear();
        self.weight = 0;
        let raw = std::mem::take(&mut self.raw);
        (!raw.pieces.is_empty()).then_some(raw)
    }
}
