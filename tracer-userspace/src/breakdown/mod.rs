//! Where the time of a trace went: what is a span's own, what its end-to-end time consists of, and that in one sentence.
//!
//! Pure arithmetic over values: it knows nothing of files, formats or terminals. What counts as what, with cases computed
//! by hand, is written down in docs/breakdown.md. Whatever the input (parents that go round in circles or are absent, times that
//! overflow), there is an answer, in n log n steps for n spans and without recursion.

mod calls;
mod doubt;
pub mod findings;
#[cfg(test)]
mod findings_tests;
mod path;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod samples;
mod shares;
pub mod statement;
#[cfg(test)]
mod statement_tests;
#[cfg(test)]
mod tests;
mod tree;

pub use path::Segment;
pub use shares::{Key, Share, View};
pub use statement::{Kind, Named, statement};
pub use tree::Tree;

/// One span of one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Who caused it, as an index into the same slice. One that is not in the slice, or is the span itself, is none; of spans whose
    /// parents go round in a circle the one that begins first has none.
    pub parent: Option<usize>,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds. An end beyond the last nanosecond of an `i64` is taken to be that.
    pub duration: u64,
    /// Its time is not its parent's: the parent did not wait for it (fire and forget), or handed a message over (producer to consumer).
    pub detached: bool,
}

impl Node {
    /// Where it ends, nanoseconds since 1970.
    pub fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.duration)
    }
}

/// Of each span the time that its children do not cover, in nanoseconds: [`Tree::self_times`].
pub fn self_times(nodes: &[Node]) -> Vec<u64> {
    Tree::new(nodes.iter().copied()).self_times()
}

/// What the time of `root` consists of: [`Tree::critical_path`]. Who asks for more than one root of a trace makes the [`Tree`]
/// once.
pub fn critical_path(nodes: &[Node], root: usize) -> Vec<Segment> {
    Tree::new(nodes.iter().copied()).critical_path(root)
}
