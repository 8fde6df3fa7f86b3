//! How far one direction has been handed on, compared with how far it has come.
//!
//! The probes report cumulative counts, so whatever was not captured, or was captured and lost on the way here, is the
//! difference between two numbers: a gap. Reading the same counts twice gives nothing the second time.

use tracer_common::abi::Progress;

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
        Some(Gap { len, last: Nanos(progress.last), tail })
    }

    /// A captured part of a call was handed on.
    pub(super) fn captured(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.tail_due = false;
    }

    /// The rest of a call is handed on as a gap.
    pub(super) fn rest(&mut self, len: u64, last: Nanos) -> Option<Gap> {
        if len == 0 {
            return None;
        }
        self.bytes = self.bytes.saturating_add(len);
        self.tail_due = true;
        Some(Gap { len, last, tail: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u64, tail: &[u8; 8]) -> Progress {
        Progress { bytes, last: bytes, tail: *tail }
    }

    #[test]
    fn the_difference_is_a_gap_once() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.advance(&at(0, &[0; 8])), None);
        let gap = Gap { len: 10, last: Nanos(10), tail: Some(*b"abcdefgh") };
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), Some(gap));
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), None);
        assert_eq!(cursor.advance(&at(7, b"abcdefgh")), None);
    }

    #[test]
    fn the_tail_of_a_cut_call_follows_it() {
        let mut cursor = Cursor::default();
        cursor.captured(4);
        assert_eq!(cursor.rest(6, Nanos(5)), Some(Gap { len: 6, last: Nanos(5), tail: None }));
        let gap = Gap { len: 0, last: Nanos(10), tail: Some(*b"abcdefgh") };
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), Some(gap));
        assert_eq!(cursor.advance(&at(10, b"abcdefgh")), None);
    }
}
