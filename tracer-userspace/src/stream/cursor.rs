//! How far one direction has been handed on, compared with how far it has come.
//!
//! The probes report cumulative counts, so whatever was not captured, or was captured and lost on the way here, is the
//! difference between two numbers: a gap. Reading the same counts twice gives nothing the second time.

use tracer_common::abi::Progress;

use crate::event::{Mover, Stamp};
use crate::protocol::Gap;
use crate::time::Nanos;

/// Position in one direction of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Bytes handed on since the connection was first seen.
    pub bytes: u64,
    /// The last of them were the cut-off rest of a call, whose tail comes with the next counts.
    tail_due: bool,
}

impl Cursor {
    /// What moved up to `progress` and was not handed on. Counts that are behind (they were read before, and came
    /// after, others) say nothing new.
    pub(super) fn advance(&mut self, progress: &Progress) -> Option<Gap> {
        let len = progress.bytes.checked_sub(self.bytes)?;
        if len == 0 && !self.tail_due {
            return None;
        }
        self.bytes = progress.bytes;
        self.tail_due = false;
        let tail = (progress.tail != [0; 8]).then_some(progress.tail);
        let by = Mover { tid: progress.tid, turn: progress.turn };
        Some(Gap { len, last: Nanos(progress.last), by, tail })
    }

    /// A captured part of a call was handed on.
    pub(super) fn captured(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.tail_due = false;
    }

    /// The rest of a call is handed on as a gap.
    pub(super) fn rest(&mut self, len: u64, stamp: &Stamp) -> Option<Gap> {
        if len == 0 {
            return None;
        }
        self.bytes = self.bytes.saturating_add(len);
        self.tail_due = true;
        Some(Gap { len, last: stamp.at, by: Mover::from(stamp), tail: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Scene;

    fn at(bytes: u64, tail: &[u8; 8]) -> Progress {
        Progress { bytes, last: bytes, tail: *tail, tid: 3, turn: 4 }
    }

    const BY: Mover = Mover { tid: 3, turn: 4 };

    #[test]
    fn the_difference_is_a_gap_once() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.advance(&at(0, &[0; 8])), None);
        let gap = Gap { len: 10, last: Nanos(10), by: BY, tail: Some(*b"abcdefgh") };
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), Some(gap));
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), None);
        assert_eq!(cursor.advance(&at(7, b"abcdefgh")), None);
    }

    #[test]
    fn the_tail_of_a_cut_call_follows_it() {
        let mut cursor = Cursor::default();
        cursor.captured(4);
        let scene = Scene { turn: 2, ..Scene::default() };
        let stamp = Stamp { at: Nanos(5), tgid: 1, tid: 1, scene };
        let by = Mover { tid: 1, turn: 2 };
        assert_eq!(cursor.rest(6, &stamp), Some(Gap { len: 6, last: Nanos(5), by, tail: None }));
        let gap = Gap { len: 0, last: Nanos(10), by: BY, tail: Some(*b"abcdefgh") };
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), Some(gap));
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), None);
    }
}
