//! How often the calls of one kind were made below a root, and how they lay in time.

use super::shares::{Key, View};

/// The calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    /// How many.
    pub count: usize,
    /// How many of them failed.
    pub failed: usize,
    /// How many were under way at once, at most. Calls that lasted no time are under way with nobody.
    pub at_once: usize,
    /// Some were made within others of their kind, so that how many were under way at once says nothing.
    pub nested: bool,
}

impl Calls {
    /// Counts the calls of a kind that the root waited for, whether they are on the critical path or not.
    pub fn of(view: &View, key: Key) -> Self {
        let mut calls = Calls::default();
        let mut within = vec![false; view.spans.len()];
        let mut turns: Vec<(i64, i8)> = Vec::new();
        for at in view.tree.awaited_below(view.root) {
            let is_within = view.caller(at).and_then(|caller| within.get(caller)).copied().unwrap_or(false);
            let (Some(span), Some(node)) = (view.span(at), view.tree.node(at)) else { continue };
            let counts = view.is_call(at) && view.key(at) == Some(key);
            if let Some(within) = within.get_mut(at) {
                *within = is_within || counts;
            }
            if !counts {
                continue;
            }
            calls.count += 1;
            calls.failed += usize::from(span.error);
            calls.nested |= is_within;
            if node.start < node.end() {
                turns.extend([(node.start, 1), (node.end(), -1)]);
            }
        }
        // At the same time the ends come first: a call that begins where another one ends is not at once with it.
        turns.sort_unstable();
        let mut under_way: usize = 0;
        for (_, turn) in turns {
            under_way = under_way.saturating_add_signed(turn.into());
            calls.at_once = calls.at_once.max(under_way);
        }
        calls
    }
}
