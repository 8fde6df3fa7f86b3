//! When bytes moved, how many, and who moved the last of them.

use super::Gap;
use crate::event::{Mover, Stamp};
use crate::time::Nanos;

/// When bytes moved, and who moved the last of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// When.
    pub at: Nanos,
    /// Who.
    pub by: Mover,
}

impl From<Stamp> for Move {
    fn from(stamp: Stamp) -> Self {
        Self { at: stamp.at, by: Mover::from(&stamp) }
    }
}

impl From<&Gap> for Move {
    fn from(gap: &Gap) -> Self {
        Self { at: gap.last, by: gap.by }
    }
}

/// Bytes of one message so far, and when the last of them moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Half {
    /// How many.
    pub bytes: u64,
    /// When the last of them moved.
    pub last: Nanos,
    /// Who moved it.
    pub by: Mover,
}

impl Half {
    /// Adds bytes.
    pub fn add(&mut self, bytes: u64, moved: Move) {
        self.bytes = self.bytes.saturating_add(bytes);
        if moved.at >= self.last {
            self.last = moved.at;
            self.by = moved.by;
        }
    }
}
