//! Commands that are answered only if they have something to say, and what is answered before the command comes that ends them.

use std::collections::VecDeque;

use super::header::{self, Header};
use crate::event::Stamp;
use crate::protocol::calls::Begun;
use crate::protocol::frames::Frame;
use crate::protocol::moved::Move;

/// So many of a batch are known by their numbers.
const MANY: usize = 256;

/// Quiet commands whose end has not come.
pub(super) struct Quiet {
    pub name: &'static str,
    pub begun: Begun,
    pub bytes: u64,
    pub keys: usize,
    pub asked: Asked,
    /// Who moved the last of them before the server said something.
    pub stamp: Stamp,
    pub early: Option<Early>,
    /// Answers to them may have been out of sight.
    pub holed: bool,
}

/// What the server has said to quiet commands of which the end has not come: it does not wait for that.
pub(super) struct Early {
    /// Who moved the first byte, and its sequence number.
    pub first: Stamp,
    pub seq: u32,
    pub bytes: u64,
    pub last: Move,
    /// The error of the first answer.
    pub begins: Option<&'static str>,
    /// The first error of all.
    pub error: Option<&'static str>,
}

impl Quiet {
    /// None yet.
    pub fn new(name: &'static str, begun: Begun, stamp: Stamp) -> Quiet {
        let asked = Asked::default();
        Quiet { name, begun, bytes: 0, keys: 0, asked, stamp, early: None, holed: false }
    }

    /// One of them has been answered.
    pub fn answered(&mut self, frame: &Frame<'_>, error: Option<&'static str>) {
        let fresh = || Early {
            first: frame.first,
            seq: frame.seq,
            bytes: 0,
            last: frame.last,
            begins: error,
            error: None,
        };
        let early = self.early.get_or_insert_with(fresh);
        early.bytes = early.bytes.saturating_add(frame.len);
        early.last = frame.last;
        early.error = early.error.or(error);
    }
}

/// Quiet commands that may still be answered: what their answers repeat, in their order.
#[derive(Default)]
pub(super) struct Asked {
    marks: VecDeque<(u8, u32)>,
    /// There are some that are not kept one by one.
    more: bool,
}

impl Asked {
    /// One more.
    pub fn push(&mut self, header: &Header) {
        self.more |= self.marks.len() >= MANY;
        if !self.more {
            self.marks.push_back((header.opcode, header.opaque));
        }
    }

    /// Whether one of them is answered so. Then those before it have nothing to say.
    pub fn answered(&mut self, header: &Header) -> bool {
        match self.marks.iter().position(|mark| *mark == (header.opcode, header.opaque)) {
            Some(at) => {
                self.marks.drain(..=at);
                true
            }
            None => self.more && header::command(header.opcode).is_some_and(|command| command.quiet),
        }
    }
}
