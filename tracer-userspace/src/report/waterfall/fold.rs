//! The lines of a waterfall: parents before their children, and calls of the same thing over and over as one line.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHasher};

use super::Drawn;

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

/// The lines of a trace whose spans come by start, the longer first.
pub(super) fn lines(spans: &[Drawn<'_>]) -> Vec<Line> {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        match span.parent.and_then(|parent| children.get_mut(parent)) {
            Some(siblings) => siblings.push(at),
            None => roots.push(at),
        }
    }
    let shapes = shapes(spans, &children, &roots);
    let shape = |at: usize| shapes.get(at).copied().unwrap_or_default();
    let mut lines = Vec::with_capacity(spans.len());
    let mut open: Vec<Line> = grouped(&roots, 0, &shape);
    while let Some(line) = open.pop() {
        if let ([at], Some(own)) = (&line.spans[..], line.spans.first().and_then(|at| children.get(*at))) {
            debug_assert!(*at < spans.len());
            open.extend(grouped(own, line.depth + 1, &shape));
        }
        lines.push(line);
    }
    lines
}

/// The lines of siblings, the last first.
fn grouped(siblings: &[usize], depth: usize, shape: &impl Fn(usize) -> Shape) -> Vec<Line> {
    let mut places: FxHashMap<u64, usize> = FxHashMap::default();
    let mut lines: Vec<Line> = Vec::new();
    for at in siblings {
        let Shape { hash, spans } = shape(*at);
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

/// What a span and all below it look like, times left out.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    hash: u64,
    /// With the span itself.
    spans: usize,
}

fn shapes(spans: &[Drawn<'_>], children: &[Vec<usize>], roots: &[usize]) -> Vec<Shape> {
    let mut order = Vec::with_capacity(spans.len());
    let mut open = roots.to_vec();
    while let Some(at) = open.pop() {
        order.push(at);
        open.extend(children.get(at).into_iter().flatten());
    }
    let mut shapes = vec![Shape::default(); spans.len()];
    for at in order.into_iter().rev() {
        let Some(span) = spans.get(at) else { continue };
        let below = children.get(at).into_iter().flatten().filter_map(|child| shapes.get(*child));
        let mut hashes: Vec<u64> = below.clone().map(|shape| shape.hash).collect();
        hashes.sort_unstable();
        let mut hasher = FxHasher::default();
        let row = &span.row;
        (
            row.service,
            row.operation,
            row.peer,
            row.kind,
            row.status,
            row.is_error,
            row.is_incomplete,
            row.is_torn,
        )
            .hash(&mut hasher);
        (&span.details, hashes).hash(&mut hasher);
        // Links that are less sure than others are told one by one.
        row.confidence.to_bits().hash(&mut hasher);
        let shape = Shape { hash: hasher.finish(), spans: 1 + below.map(|shape| shape.spans).sum::<usize>() };
        if let Some(place) = shapes.get_mut(at) {
            *place = shape;
        }
    }
    shapes
}
