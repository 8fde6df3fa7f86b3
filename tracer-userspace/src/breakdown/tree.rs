//! Who is whose child, and how much of a span its children cover.

use std::cmp::Reverse;

use super::Node;

/// The spans of one trace, with the children of each.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    /// All children, those of one parent side by side: by their end, the last first; of equal ends the one that began
    /// first (it explains most), then the one that stands first.
    children: Vec<usize>,
    /// Where the children of each span begin in `children`, and one more.
    places: Vec<usize>,
}

impl Tree {
    /// From spans in any order.
    pub fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut nodes: Vec<Node> = nodes.into_iter().collect();
        let len = nodes.len();
        for (at, node) in nodes.iter_mut().enumerate() {
            node.parent = node.parent.filter(|parent| *parent < len && *parent != at);
        }
        open_circles(&mut nodes);
        let parent = |at: usize| nodes.get(at).and_then(|node: &Node| node.parent);
        let mut children: Vec<usize> = (0..len).filter(|at| parent(*at).is_some()).collect();
        children.sort_unstable_by_key(|at| {
            let (start, end) = nodes.get(*at).map(|node| (node.start, node.end())).unwrap_or_default();
            (parent(*at), Reverse(end), start, *at)
        });
        let mut places = vec![0; len + 1];
        for at in &children {
            if let Some(count) = parent(*at).and_then(|parent| places.get_mut(parent + 1)) {
                *count += 1;
            }
        }
        let mut before = 0;
        for place in &mut places {
            before += *place;
            *place = before;
        }
        Tree { nodes, children, places }
    }

    /// The spans. Parents that were no parents are none.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One span.
    pub fn node(&self, at: usize) -> Option<&Node> {
        self.nodes.get(at)
    }

    /// All children of a span, the last to end first.
    pub fn children(&self, of: usize) -> &[usize] {
        let (Some(from), Some(to)) = (self.places.get(of), self.places.get(of + 1)) else { return &[] };
        self.children.get(*from..*to).unwrap_or(&[])
    }

    /// The children whose time is their parent's, the last to end first.
    pub fn awaited(&self, of: usize) -> impl DoubleEndedIterator<Item = (usize, &Node)> {
        let known = |at: &usize| self.node(*at).map(|node| (*at, node));
        self.children(of).iter().filter_map(known).filter(|(_, node)| !node.detached)
    }

    /// The spans without a known parent, in the order of the input.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, node)| node.parent.is_none()).map(|(at, _)| at)
    }

    /// Where time begins to be counted: the roots, and the spans whose time is not their parent's.
    pub fn beginnings(&self) -> impl Iterator<Item = usize> {
        let begins = |(_, node): &(usize, &Node)| node.parent.is_none() || node.detached;
        self.nodes.iter().enumerate().filter(begins).map(|(at, _)| at)
    }

    /// The root that lasted longest; of several the one that began first, then the one that stands first.
    pub fn longest_root(&self) -> Option<usize> {
        let order = |at: &usize| self.node(*at).map(|node| (Reverse(length(node)), node.start));
        self.roots().min_by_key(order)
    }

    /// A span and all below it whose time is its parent's: parents before their children.
    pub fn awaited_below(&self, root: usize) -> Vec<usize> {
        let mut found: Vec<usize> = self.node(root).map(|_| root).into_iter().collect();
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            found.extend(self.awaited(at).map(|(child, _)| child));
            next += 1;
        }
        found
    }

    /// Of each span the time in nanoseconds that none of its children covers: children are cut to their parent's time,
    /// children at the same time count once, detached ones do not count.
    pub fn self_times(&self) -> Vec<u64> {
        let own = |(at, node): (usize, &Node)| {
            length(node).saturating_sub(self.covered(at, node.start, node.end()))
        };
        self.nodes.iter().enumerate().map(own).collect()
    }

    /// How much of the time between two points the children of a span cover, in nanoseconds.
    pub fn covered(&self, of: usize, from: i64, to: i64) -> u64 {
        let mut covered: u64 = 0;
        let mut at = to;
        // From the end backwards. Of what lies after `at`, no child can cover more: the one that began there ended no
        // earlier than those that come now.
        for (_, child) in self.awaited(of) {
            let (start, end) = (child.start.max(from), child.end().min(at));
            if start < end {
                covered = covered.saturating_add(end.abs_diff(start));
                at = start;
            }
        }
        covered
    }
}

/// How long a span lasts, in nanoseconds; less than it says where its end saturates.
pub(super) fn length(node: &Node) -> u64 {
    node.end().abs_diff(node.start)
}

/// Takes its parent from one span of each circle: the one that begins first, then the one that stands first.
fn open_circles(nodes: &mut [Node]) {
    // Walks from each span upwards until somebody has been there. A circle is found when that was on the same walk.
    let mut walks = vec![0; nodes.len()];
    for first in 0..nodes.len() {
        let walk = first + 1;
        let mut at = Some(first);
        while let Some(here) = at {
            match walks.get_mut(here) {
                Some(seen) if *seen == 0 => *seen = walk,
                Some(seen) if *seen == walk => {
                    open_circle(nodes, here);
                    break;
                }
                _ => break,
            }
            at = nodes.get(here).and_then(|node| node.parent);
        }
    }
}

fn open_circle(nodes: &mut [Node], on_it: usize) {
    let key = |nodes: &[Node], at: usize| nodes.get(at).map(|node| (node.start, at));
    let mut first = key(nodes, on_it);
    let mut at = nodes.get(on_it).and_then(|node| node.parent);
    while let Some(here) = at.filter(|here| *here != on_it) {
        first = first.min(key(nodes, here));
        at = nodes.get(here).and_then(|node| node.parent);
    }
    if let Some(node) = first.and_then(|(_, at)| nodes.get_mut(at)) {
        node.parent = None;
    }
}
