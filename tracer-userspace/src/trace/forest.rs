//! The spans that are not given out yet, as trees, and the one question that matters: is a tree finished?
//!
//! Whatever can still change a span *holds* it: its end, a partner that may come, a parent that is not decided. A
//! tree counts its holds at its root; at zero it is ready.

use super::record::Record;
use crate::arena::{Arena, Key};

/// Longest chain of parents. No real trace comes near it; it bounds the walk to the root.
const MAX_DEPTH: usize = 1024;

/// A record's place in its tree.
#[derive(Debug, Default)]
pub(super) struct Node {
    parent: Option<Key>,
    first_child: Option<Key>,
    next_sibling: Option<Key>,
    /// At a root: holds of all records of the tree.
    tree_holds: u32,
}

impl Node {
    /// The parent.
    pub fn parent(&self) -> Option<Key> {
        self.parent
    }
}

/// A record taken out of the forest with its place in the tree.
#[derive(Debug)]
pub(super) struct Leaf {
    /// The record.
    pub record: Box<Record>,
    /// Position of the parent in the list; `None` for the root.
    pub parent: Option<usize>,
    /// Steps from the root.
    pub depth: u32,
}

/// A link was refused: it would have closed a circle, or made a chain beyond all measure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// All trees.
#[derive(Debug, Default)]
pub(super) struct Forest {
    /// Boxed: a record is moved often and is large, and most slots are empty after a burst.
    records: Arena<Box<Record>>,
    ready: Vec<Key>,
}

impl Forest {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// A record.
    pub fn get(&self, key: Key) -> Option<&Record> {
        self.records.get(key).map(|record| &**record)
    }

    /// A record, to change it.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Record> {
        self.records.get_mut(key).map(|record| &mut **record)
    }

    /// Plants a record as a tree of its own, with one hold: its end.
    pub fn plant(&mut self, mut record: Box<Record>) -> Key {
        record.node = Node { tree_holds: 1, ..Node::default() };
        self.records.insert(record)
    }

    /// The root of a record's tree.
    pub fn root(&self, key: Key) -> Option<Key> {
        let mut at = key;
        for _ in 0..=MAX_DEPTH {
            match self.records.get(at)?.node.parent {
                Some(parent) => at = parent,
                None => return Some(at),
            }
        }
        None
    }

    /// Adds a hold.
    pub fn hold(&mut self, key: Key) {
        if let Some(root) = self.root(key)
            && let Some(record) = self.records.get_mut(root)
        {
            record.node.tree_holds += 1;
        }
    }

    /// Takes a hold away.
    pub fn release(&mut self, key: Key) {
        if let Some(root) = self.root(key)
            && let Some(record) = self.records.get_mut(root)
        {
            record.node.tree_holds = record.node.tree_holds.saturating_sub(1);
            if record.node.tree_holds == 0 {
                self.ready.push(root);
            }
        }
    }

    /// Makes a root the child of a record.
    pub fn attach(&mut self, child: Key, parent: Key) -> Result<(), Refused> {
        let root = self.root(parent).ok_or(Refused)?;
        let depth = self.depth(parent).ok_or(Refused)? + self.height_bound(child);
        let holds = match self.records.get(child) {
            Some(record) if record.node.parent.is_none() && root != child && depth < MAX_DEPTH => {
                record.node.tree_holds
            }
            _ => return Err(Refused),
        };
        let sibling = self.records.get_mut(parent).and_then(|record| record.node.first_child.replace(child));
        if let Some(record) = self.records.get_mut(child) {
            record.node.parent = Some(parent);
            record.node.next_sibling = sibling;
        }
        if let Some(record) = self.records.get_mut(root) {
            record.node.tree_holds += holds;
        }
        Ok(())
    }

    fn depth(&self, key: Key) -> Option<usize> {
        let (mut at, mut depth) = (key, 0);
        while let Some(parent) = self.records.get(at)?.node.parent {
            at = parent;
            depth += 1;
            if depth > MAX_DEPTH {
                return None;
            }
        }
        Some(depth)
    }

    /// How deep the tree below is along first children, cut at the bound: almost always one or two steps.
    fn height_bound(&self, key: Key) -> usize {
        let (mut at, mut height) = (key, 1);
        while let Some(child) = self.records.get(at).and_then(|record| record.node.first_child) {
            at = child;
            height += 1;
            if height > MAX_DEPTH {
                break;
            }
        }
        height
    }

    /// A root whose tree has become ready.
    pub fn next_ready(&mut self) -> Option<Key> {
        while let Some(key) = self.ready.pop() {
            if self.records.get(key).is_some_and(|r| r.node.parent.is_none() && r.node.tree_holds == 0) {
                return Some(key);
            }
        }
        None
    }

    /// Takes a tree out: parents before their children.
    pub fn take(&mut self, root: Key) -> Vec<Leaf> {
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut open = vec![(root, None, 0)];
        while let Some((key, parent, depth)) = open.pop() {
            let Some(record) = self.records.remove(key) else { continue };
            let here = leaves.len();
            let mut child = record.node.first_child;
            while let Some(next) = child {
                open.push((next, Some(here), depth + 1));
                child = self.records.get(next).and_then(|record| record.node.next_sibling);
            }
            leaves.push(Leaf { record, parent, depth });
        }
        leaves
    }
}
