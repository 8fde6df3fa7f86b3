//! What speaks for it that an activation led to an action, one module for each kind of evidence.
//!
//! A kind of evidence sorts a pair into one of a few bins and decides nothing. How much a bin speaks for a pair is
//! learned from the process itself ([`super::model`]): how often right pairs fall into it, against pairs at random. So a
//! signal that means nothing in a process (threads of a runtime that moves work about) weighs nothing there.

mod birth;
mod thread;
mod turns;
mod wake;

use super::batch::Mark;

/// The most bins of one kind.
pub const BINS: usize = 16;

/// An activation and an action that it may have led to.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The activation.
    pub from: &'a Mark,
    /// The action.
    pub to: &'a Mark,
    /// When the action is the first call on a connection: when that was opened.
    pub birth: Option<&'a Mark>,
}

impl Pair<'_> {
    /// The call was written on the connection on which the activation's response was read. Then it may be a call that had
    /// waited for a connection to become free, whosever it is: that it follows at once says nothing.
    pub fn may_have_queued(&self) -> bool {
        self.from.conn != 0 && self.from.conn == self.to.conn
    }
}

/// A kind of evidence.
pub trait Evidence: Sync {
    /// Which bin a pair falls into, below [`BINS`]; `None` if this kind has nothing to say about it.
    fn bin(&self, pair: &Pair<'_>) -> Option<u8>;
    /// The word in the output for a link that it spoke for.
    fn name(&self) -> crate::causality::Evidence;
}

/// All kinds. To add one, write its module and name it here.
pub static ALL: [&dyn Evidence; 4] = [&turns::Turns, &thread::Thread, &wake::Wake, &birth::Birth];

/// How many there are.
pub const COUNT: usize = ALL.len();
