//! What makes a share of the critical path uncertain: spans whose end was not seen, links that may be wrong, calls that
//! outlived their caller.

use rustc_hash::{FxHashMap, FxHashSet};

use super::path::Walk;
use super::shares::{Key, Share, View};

/// Links that are less sure are named.
const BEYOND_DOUBT: f32 = 0.99;
/// Starts and durations are whole microseconds in files, so that an end may be wrong by two: nanoseconds.
const RESOLUTION: i64 = 2_000;

/// What is uncertain of a share.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Doubt {
    /// A span of it lasted longer than was seen.
    pub may_be_more: bool,
    /// Another span lasted longer than was seen, and what was counted here may have been waiting for it.
    pub may_be_less: bool,
    /// The children whose links the share rests on and that may be wrong.
    pub links: FxHashSet<usize>,
    /// How sure the least sure of these links is.
    pub lowest: Option<f32>,
    /// A span that the share rests on and that was still under way when its caller, the other one, was done.
    pub outlived: Option<(usize, usize)>,
}

impl Doubt {
    /// Of a share of what is looked at.
    pub fn of(view: &View, walk: &Walk, share: &Share) -> Self {
        let mut doubt = Doubt { may_be_less: may_be_less(view, walk, share.key), ..Doubt::default() };
        let mut seen: FxHashSet<usize> = FxHashSet::default();
        for span in &share.spans {
            let is_incomplete = view.span(*span).is_some_and(|span| span.incomplete);
            // That the root's end was not seen is said of the whole.
            doubt.may_be_more |= is_incomplete && *span != view.root;
            let mut next = Some(*span);
            // Up to the root, or to where another one has been on its way up.
            while let Some(at) = next.filter(|at| seen.insert(*at)) {
                next = view.caller(at);
                if let Some(caller) = next {
                    doubt.rests_on(view, at, caller);
                }
            }
        }
        doubt
    }

    fn rests_on(&mut self, view: &View, child: usize, caller: usize) {
        // What is no number says nothing.
        let confidence = view.span(child).and_then(|span| span.confidence);
        let confidence = confidence.map(|sure| if sure.is_nan() { 0.0 } else { sure });
        if let Some(confidence) = confidence.filter(|sure| *sure < BEYOND_DOUBT) {
            self.links.insert(child);
            self.lowest = Some(self.lowest.map_or(confidence, |lowest| lowest.min(confidence)));
        }
        let end = |at: usize| view.tree.node(at).map_or(0, super::Node::end);
        let is_incomplete = view.span(caller).is_some_and(|caller| caller.incomplete);
        // A call that its caller gave up goes on at the other end: that one was waited for.
        if view.is_call(child) && !is_incomplete && end(child).saturating_sub(RESOLUTION) > end(caller) {
            self.outlived = self.outlived.or(Some((child, caller)));
        }
    }

    /// What two shares rest on.
    pub fn and(self, other: Doubt) -> Self {
        Doubt {
            may_be_more: self.may_be_more || other.may_be_more,
            may_be_less: self.may_be_less || other.may_be_less,
            links: self.links.into_iter().chain(other.links).collect(),
            lowest: match (self.lowest, other.lowest) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            outlived: self.outlived.or(other.outlived),
        }
    }

    /// The words before the share.
    pub fn bound(&self) -> &'static str {
        match (self.may_be_more, self.may_be_less) {
            (false, false) => "",
            (true, false) => "at least ",
            (false, true) => "at most ",
            (true, true) => "about ",
        }
    }

    /// Whether the share is no more than an upper bound.
    pub fn is_upper_bound(&self) -> bool {
        self.may_be_less && !self.may_be_more
    }
}

/// Whether time that is counted under `key` may have gone to a span whose end was not seen: one that is counted under something
/// else, and that began, below the same span, before that time was over.
fn may_be_less(view: &View, walk: &Walk, key: Key) -> bool {
    let last_own: FxHashMap<usize, i64> =
        walk.segments.iter().map(|segment| (segment.span, segment.end)).collect();
    // From when on the time of a span on the path is doubtful because of spans beside it.
    let mut doubtful: FxHashMap<usize, i64> = FxHashMap::default();
    for visit in &walk.visits {
        let inherited = doubtful.get(&visit.span).copied().unwrap_or(i64::MAX);
        // The two that began first: each may outlast all others, but not itself.
        let mut first = [(i64::MAX, None); 2];
        for (child, node) in view.tree.awaited(visit.span) {
            let is_incomplete = view.span(child).is_some_and(|span| span.incomplete);
            if is_incomplete && view.key(child) != Some(key) {
                let [one, two] = first;
                first = match (node.start, Some(child)) {
                    new if new.0 < one.0 => [new, one],
                    new if new.0 < two.0 => [one, new],
                    _ => first,
                };
            }
        }
        let [(one, who), (two, _)] = first;
        let of_own = inherited.min(one);
        let is_of_share = view.key(visit.span) == Some(key);
        if is_of_share && last_own.get(&visit.span).is_some_and(|end| *end > of_own) {
            return true;
        }
        for (child, _) in view.tree.awaited(visit.span) {
            let others = if who == Some(child) { two } else { one };
            if inherited.min(others) < i64::MAX {
                doubtful.insert(child, inherited.min(others));
            }
        }
    }
    false
}
