//! The critical path's time by what it was spent on: both ends of a call together, as its caller sees it.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::path::Walk;
use super::statement::{Kind, Named};
use super::tree::length;
use super::{Node, Tree};

/// What time was spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key<'a> {
    /// The root's own work, or that of a span within a process.
    Itself {
        /// Who worked.
        service: &'a str,
        /// On what.
        operation: &'a str,
    },
    /// The way between the root, which is a call, and who answered it.
    Between {
        /// Who called.
        caller: &'a str,
        /// Who answered.
        callee: &'a str,
    },
    /// Calls of one kind: the way, and the work of who was called without the calls that were made in turn.
    Call {
        /// Who called.
        caller: &'a str,
        /// What for, in the caller's words.
        operation: &'a str,
        /// Who was called: the service that answered, or what the caller knows of it.
        callee: Option<&'a str>,
    },
}

/// What of a root's time was spent on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share<'a> {
    /// On what.
    pub key: Key<'a>,
    /// Nanoseconds in whoever worked, with no call that explains them.
    pub itself: u64,
    /// Of these the nanoseconds in which calls of it were under way that ended too late to be what it waited for.
    pub beside_calls: u64,
    /// Nanoseconds between both ends of calls: network, and waiting in a socket to be read.
    pub between: u64,
    /// Nanoseconds of calls of which the other end was not seen.
    pub unseen: u64,
    /// The spans on the path that it consists of; parents before their children.
    pub spans: Vec<usize>,
}

impl Share<'_> {
    /// All of it, nanoseconds.
    pub fn total(&self) -> u64 {
        self.itself.saturating_add(self.between).saturating_add(self.unseen)
    }
}

/// A trace as seen from one of its spans: from its longest root, until it is told otherwise.
#[derive(Clone, Debug)]
pub struct View<'a> {
    pub(super) tree: Tree,
    pub(super) spans: &'a [Named<'a>],
    pub(super) root: usize,
    /// Of each call the span that answered it.
    answers: Vec<Option<usize>>,
}

impl<'a> View<'a> {
    /// Of a trace that has at least one span.
    pub fn new(spans: &'a [Named<'a>]) -> Option<Self> {
        let tree = Tree::new(spans.iter().map(|span| span.node));
        let root = tree.longest_root()?;
        let kind = |at: usize| spans.get(at).map(|span| span.kind);
        let answer = |call: usize| {
            let mut children = tree.awaited(call).map(|(child, _)| child);
            children.find(|child| kind(*child) == Some(Kind::Server))
        };
        let calls = (0..spans.len()).map(|at| Some(at).filter(|at| kind(*at) == Some(Kind::Client)));
        let answers = calls.map(|call| call.and_then(answer)).collect();
        Some(View { tree, spans, root, answers })
    }

    /// Looks from another span: at what is below it, and at its time.
    pub fn look_from(&mut self, root: usize) {
        self.root = root;
    }

    /// The tree of the spans.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn span(&self, at: usize) -> Option<&'a Named<'a>> {
        self.spans.get(at)
    }

    pub(super) fn kind(&self, at: usize) -> Kind {
        self.span(at).map_or(Kind::Other, |span| span.kind)
    }

    /// The parent that waited for it, within the root.
    pub(super) fn caller(&self, at: usize) -> Option<usize> {
        let known = |node: &&Node| at != self.root && !node.detached;
        self.tree.node(at).filter(known).and_then(|node| node.parent)
    }

    /// Who answered a call.
    pub(super) fn answer(&self, call: usize) -> Option<&'a Named<'a>> {
        self.answers.get(call).copied().flatten().and_then(|answer| self.span(answer))
    }

    /// Whether it stands for a call as a whole: its client's end, or the server's where nothing else was seen.
    pub(super) fn is_call(&self, at: usize) -> bool {
        let caller_kind = self.caller(at).map(|caller| self.kind(caller));
        match self.kind(at) {
            Kind::Client => true,
            Kind::Server => caller_kind.is_some_and(|kind| kind != Kind::Client),
            Kind::Other => false,
        }
    }

    /// What the time of a span is counted under.
    pub(super) fn key(&self, at: usize) -> Option<Key<'a>> {
        let span = self.span(at)?;
        let itself = Key::Itself { service: span.service, operation: span.operation };
        let call = |client: &'a Named<'a>, answer: Option<&'a Named<'a>>| Key::Call {
            caller: client.service,
            operation: client.operation,
            callee: answer.map(|answer| answer.service).or(client.peer),
        };
        let caller = self.caller(at).and_then(|caller| Some((caller, self.span(caller)?)));
        Some(match (span.kind, caller) {
            (Kind::Other, _) | (Kind::Server, None) => itself,
            (Kind::Client, _) => match self.answer(at) {
                Some(answer) if at == self.root => {
                    Key::Between { caller: span.service, callee: answer.service }
                }
                answer => call(span, answer),
            },
            (Kind::Server, Some((caller, client))) if client.kind == Kind::Client => {
                if caller == self.root {
                    itself
                } else {
                    call(client, self.answer(caller))
                }
            }
            (Kind::Server, Some((_, other))) => {
                Key::Call { caller: other.service, operation: span.operation, callee: Some(span.service) }
            }
        })
    }

    /// The root's time by what it was spent on, the largest share first.
    pub fn shares(&self) -> Vec<Share<'a>> {
        self.shares_of(&self.tree.walk(self.root))
    }

    pub(super) fn shares_of(&self, walk: &Walk) -> Vec<Share<'a>> {
        let mut own: FxHashMap<usize, u64> = FxHashMap::default();
        for segment in &walk.segments {
            *own.entry(segment.span).or_default() += segment.length();
        }
        let mut places: FxHashMap<Key<'a>, usize> = FxHashMap::default();
        let mut shares: Vec<Share<'a>> = Vec::new();
        for visit in &walk.visits {
            let Some(key) = self.key(visit.span) else { continue };
            let place = *places.entry(key).or_insert(shares.len());
            if place == shares.len() {
                shares.push(Share {
                    key,
                    itself: 0,
                    beside_calls: 0,
                    between: 0,
                    unseen: 0,
                    spans: Vec::new(),
                });
            }
            let Some(share) = shares.get_mut(place) else { continue };
            share.spans.push(visit.span);
            let own = own.get(&visit.span).copied().unwrap_or(0);
            if self.kind(visit.span) != Kind::Client {
                share.itself += own;
                // What no child covers is the span's own on the path too. What of its own is more than that, they cover.
                let window = visit.to.abs_diff(visit.from);
                let bare = window.saturating_sub(self.tree.covered(visit.span, visit.from, visit.to));
                share.beside_calls += own.saturating_sub(bare);
            } else if self.answer(visit.span).is_some() {
                share.between += own;
            } else {
                share.unseen += own;
            }
        }
        shares.retain(|share| share.total() > 0);
        shares.sort_by_key(|share| (Reverse(share.total()), share.key));
        shares
    }

    /// How long the root lasts, nanoseconds.
    pub fn total(&self) -> u64 {
        self.tree.node(self.root).map_or(0, length)
    }
}
