//! The lines of a waterfall: parents before their children, and calls of the same thing over and over as one line. In the terminal and in the report.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::waterfall::Details;
use crate::spans::Row;

/// So many of the same below one parent become one line.
const FOLD_FROM: usize = 4;

/// One line: a span, or several of the same kind below the same parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Positions in the trace, by start; never empty.
    pub spans: Vec<usize>,
    /// Levels below the root.
    pub depth: usize,
    /// Spans below each of them that have no lines of their own, because they are folded too.
    pub below: usize,
}

/// What makes spans the same, but for their times, identifiers in paths (`GET /users/17`), and what is below them. Links that are less sure than others, and failures, are told one by
/// one.
pub(super) fn likeness(row: &Row, details: &Details) -> u64 {
    let mut hasher = FxHasher::default();
    let said = (row.is_error, row.is_incomplete, row.is_torn, row.confidence.to_bits());
    (row.service, row.group, row.peer, row.kind, row.status, said, details).hash(&mut hasher);
    hasher.finish()
}

/// The lines of a trace whose spans come by start, the longer first: by their parents, and by what they are like.
pub(super) fn lines(parents: &[Option<usize>], likeness: &[u64]) -> Vec<Line> {
    let forest = Forest::of(parents, likeness);
    let mut lines = Vec::with_capacity(parents.len());
    let mut open: Vec<Line> = forest.grouped(&forest.roots, 0);
    while let Some(line) = open.pop() {
        if let ([_], Some(own)) =
            (&line.spans[..], line.spans.first().and_then(|at| forest.children.get(*at)))
        {
            open.extend(forest.grouped(own, line.depth + 1));
        }
        lines.push(line);
    }
    lines
}

/// Of the same spans those that become one line, each group by start: below any parent, also within other groups.
pub(super) fn groups(parents: &[Option<usize>], likeness: &[u64]) -> Vec<Vec<usize>> {
    let forest = Forest::of(parents, likeness);
    let siblings = std::iter::once(&forest.roots).chain(&forest.children);
    siblings
        .filter(|siblings| siblings.len() >= FOLD_FROM)
        .flat_map(|siblings| forest.grouped(siblings, 0))
        .filter(|line| line.spans.len() > 1)
        .map(|line| line.spans)
        .collect()
}

/// What a span and all below it look like, times left out.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    hash: u64,
    /// With the span itself.
    spans: usize,
}

struct Forest {
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    shapes: Vec<Shape>,
}

impl Forest {
    fn of(parents: &[Option<usize>], likeness: &[u64]) -> Self {
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
        let mut roots = Vec::new();
        for (at, parent) in parents.iter().enumerate() {
            match parent.and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(at),
                None => roots.push(at),
            }
        }
        let shapes = shapes(likeness, &children, &roots);
        Self { children, roots, shapes }
    }

    /// The lines of siblings, the last first.
    fn grouped(&self, siblings: &[usize], depth: usize) -> Vec<Line> {
        let mut places: FxHashMap<u64, usize> = FxHashMap::default();
        let mut lines: Vec<Line> = Vec::new();
        for at in siblings {
            let Shape { hash, spans } = self.shapes.get(*at).copied().unwrap_or_default();
            let place = *places.entry(hash).or_insert(lines.len());
            match lines.get_mut(place) {
                Some(line) => line.spans.push(*at),
                None => lines.push(Line { spans: vec![*at], depth, below: spans.saturating_sub(1) }),
            }
        }
        let mut all: Vec<Line> = Vec::with_capacity(lines.len());
        for line in lines {
            if line.spans.len() >= FOLD_FROM {
                all.push(line);
            } else {
                all.extend(line.spans.iter().map(|at| Line { spans: vec![*at], ..line.clone() }));
            }
        }
        // Spans come by start, so positions are in that order.
        all.sort_by_key(|line| std::cmp::Reverse(line.spans.first().copied()));
        all
    }
}

fn shapes(likeness: &[u64], children: &[Vec<usize>], roots: &[usize]) -> Vec<Shape> {
    let mut order = Vec::with_capacity(likeness.len());
    let mut open = roots.to_vec();
    while let Some(at) = open.pop() {
        order.push(at);
        open.extend(children.get(at).into_iter().flatten());
    }
    let mut shapes = vec![Shape::default(); likeness.len()];
    for at in order.into_iter().rev() {
        let below = children.get(at).into_iter().flatten().filter_map(|child| shapes.get(*child));
        let mut hashes: Vec<u64> = below.clone().map(|shape| shape.hash).collect();
        hashes.sort_unstable();
        let mut hasher = FxHasher::default();
        (likeness.get(at), hashes).hash(&mut hasher);
        let shape = Shape { hash: hasher.finish(), spans: 1 + below.map(|shape| shape.spans).sum::<usize>() };
        if let Some(place) = shapes.get_mut(at) {
            *place = shape;
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_below_any_parent_is_one_group_also_within_others() {
        // 0 has four calls 1, 4, 7, 10 of two different below each; and 13 has five of the same.
        let mut parents = vec![None];
        let mut likeness = vec![0];
        for _ in 0..4 {
            let call = parents.len();
            parents.extend([Some(0), Some(call), Some(call)]);
            likeness.extend([1, 2, 3]);
        }
        parents.push(Some(0));
        likeness.push(4);
        for _ in 0..5 {
            parents.push(Some(13));
            likeness.push(5);
        }
        assert_eq!(groups(&parents, &likeness), [vec![1, 4, 7, 10], (14..19).collect()]);
        let drawn: Vec<(usize, usize, usize)> = lines(&parents, &likeness)
            .iter()
            .map(|line| (line.spans[0], line.spans.len(), line.below))
            .collect();
        assert_eq!(drawn, [(0, 1, 18), (1, 4, 2), (13, 1, 5), (14, 5, 0)]);
        // One that is not like the others has a line of its own, and three are too few.
        likeness[5] = 9;
        assert_eq!(groups(&parents, &likeness), [(14..19).collect::<Vec<_>>()]);
    }
}
