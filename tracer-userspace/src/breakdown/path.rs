//! The critical path: what the time of a span consists of.

use super::{Node, Tree};

/// A piece of the time of a root that is due to one span itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The span, as an index.
    pub span: usize,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds since 1970, after `start`.
    pub end: i64,
}

impl Segment {
    /// Nanoseconds.
    pub fn length(&self) -> u64 {
        self.end.abs_diff(self.start)
    }
}

/// A span on the path, and between which points of time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub span: usize,
    /// Nanoseconds since 1970.
    pub from: i64,
    /// Nanoseconds since 1970, after `from`.
    pub to: i64,
}

/// The critical path with the spans that it leads through.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// In the order of time.
    pub segments: Vec<Segment>,
    /// Each span once, parents before their children; also those that have no segment of their own.
    pub visits: Vec<Visit>,
}

/// A span on the path, of which the part between `from` and `at` is still to be explained.
struct Open {
    span: usize,
    from: i64,
    at: i64,
    /// How many of its children have been looked at.
    seen: usize,
}

impl Tree {
    /// What the time of `root` consists of: segments that tile it exactly, in the order of time. None if there is no
    /// such span, or if it has no length.
    ///
    /// Walks back from the end of the span. On the path is the child that ended last before the point that is reached;
    /// the time between is the span's own; the walk goes on at that child's beginning. A child that was still under
    /// way when its parent ended is on the path from the last end of another child on: until then it may have been waited
    /// for. Detached children and those without length are on no path.
    pub fn critical_path(&self, root: usize) -> Vec<Segment> {
        self.walk(root).segments
    }

    pub(super) fn walk(&self, root: usize) -> Walk {
        // The segments from the last to the first, as they are met.
        let mut walk = Walk::default();
        let mut open: Vec<Open> = Vec::new();
        if let Some(node) = self.node(root) {
            let all = Visit { span: root, from: node.start, to: node.end() };
            self.enter(all, &mut open, &mut walk.visits);
        }
        while let Some(span) = open.last_mut() {
            let next = self.next_ended(span);
            let own_from = next.map_or(span.from, |child| child.to);
            if own_from < span.at {
                walk.segments.push(Segment { span: span.span, start: own_from, end: span.at });
            }
            match next {
                Some(child) => {
                    span.at = child.from;
                    self.enter(child, &mut open, &mut walk.visits);
                }
                None => {
                    open.pop();
                }
            }
        }
        walk.segments.reverse();
        walk
    }

    /// A span is on the path between two points. Child after child, what was still under way at its end comes first.
    fn enter(&self, visit: Visit, open: &mut Vec<Open>, visits: &mut Vec<Visit>) {
        let mut next = Some(visit).filter(|visit| visit.from < visit.to);
        while let Some(visit) = next {
            let late = self.still_under_way(visit);
            let at = late.map_or(visit.to, |child| child.from);
            open.push(Open { span: visit.span, from: visit.from, at, seen: 0 });
            visits.push(visit);
            next = late;
        }
    }

    /// The child that was still under way at the end, from the end of the last one that was not. Of several the one that
    /// began first (it explains most), then the one that ended last, then the one that stands first.
    fn still_under_way(&self, Visit { span, from, to }: Visit) -> Option<Visit> {
        let late = self.awaited(span).take_while(|(_, child)| child.end() > to);
        let (start, child) = late.map(|(at, child)| (child.start, at)).min_by_key(|(start, _)| *start)?;
        let ended = |child: &&Node| child.end() <= to && child.start < child.end();
        let last_end = self.awaited(span).map(|(_, child)| child).find(ended).map_or(from, Node::end);
        let from = start.max(last_end).max(from);
        (from < to).then_some(Visit { span: child, from, to })
    }

    /// The child that ended last before the point that is reached, and between which points it is on the path.
    fn next_ended(&self, open: &mut Open) -> Option<Visit> {
        for child in self.children(open.span).get(open.seen..)? {
            open.seen += 1;
            let Some(node) = self.node(*child) else { continue };
            let (from, to) = (node.start.max(open.from), node.end());
            if !node.detached && to <= open.at && from < to {
                return Some(Visit { span: *child, from, to });
            }
        }
        None
    }
}
