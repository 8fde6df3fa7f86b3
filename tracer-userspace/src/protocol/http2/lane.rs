//! One direction of a connection: its frames, its table, and the header block that is not complete yet.

use super::hpack::Table;
use super::wire::{HEADER, MAX_FRAME, Stage};
use crate::event::Stamp;
use crate::protocol::frames::Frames;
use crate::protocol::moved::Move;
use crate::protocol::tally::Skip;
use crate::time::Nanos;

/// Bytes of a header block that are kept until it is complete.
pub(super) const MAX_BLOCK: usize = 64 << 10;

/// A header block, from its first frame on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub stream: u32,
    /// Nothing follows on the stream in this direction.
    pub ends_stream: bool,
    /// It is a promise of the server's (PUSH_PROMISE).
    pub is_promise: bool,
    /// Where its first frame begins.
    pub seq: u32,
    /// Who moved its first byte.
    pub first: Stamp,
    /// Who moved the last known part of it, and when it was complete.
    pub stamp: Stamp,
    pub last: Move,
    /// Bytes of its frames.
    pub bytes: u64,
    /// A part of it is missing at the end of what is known.
    pub cut: bool,
}

/// One direction.
#[derive(Debug)]
pub(super) struct Lane {
    pub frames: Frames,
    pub stage: Stage,
    pub table: Table,
    /// The block whose end has not come yet; `buffer` holds what there is of it.
    pub block: Option<Block>,
    pub buffer: Vec<u8>,
    /// Why bytes are skipped while nobody knows where a frame begins.
    pub why: Skip,
    /// Its first byte was seen.
    pub whole: bool,
    /// Frames have been followed since where they begin was last not known.
    pub followed: bool,
    /// When frames that must not be there were seen last, in the piece that is being looked at.
    pub broken: Option<Nanos>,
}

impl Lane {
    /// `stage`: how far it is; `None`: where a frame begins is not known.
    pub fn new(stage: Option<Stage>) -> Lane {
        Lane {
            frames: Frames::new(HEADER + MAX_FRAME as usize, stage.is_some()),
            stage: stage.unwrap_or(Stage::Open),
            table: Table::new(matches!(stage, Some(Stage::Start))),
            block: None,
            buffer: Vec::new(),
            why: Skip::Joined,
            whole: matches!(stage, Some(Stage::Start)),
            followed: false,
            broken: None,
        }
    }

    /// Bytes held back.
    pub fn pending(&self) -> u64 {
        self.frames.pending() + self.block.map_or(0, |block| block.bytes)
    }

    /// Adds to the block that is not complete.
    pub fn keep(&mut self, fragment: &[u8], cut: bool) {
        let Some(block) = &mut self.block else { return };
        if !block.cut {
            let room = MAX_BLOCK.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(fragment.get(..room).unwrap_or(fragment));
            block.cut = cut || fragment.len() > room;
        }
    }
}
