//! The service map: who calls whom, how often, how fast, and with what success.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::operations::sample;
use super::tally::{Sample, Tally, tallies};
use crate::spans::{Kind, NO_ROW, Table};

/// More services are left out of the drawing, with their edges.
const MAX_NODES: usize = 60;

/// Somebody who calls or is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    /// A service with spans of its own, by its name.
    Service(u32),
    /// Somebody of whom only the name is known that callers have for him.
    Peer(u32),
    /// Callers that were not seen.
    Outside,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Node {
    /// 0 a service, 1 a peer, 2 outside.
    pub kind: u8,
    pub name: u32,
    /// What it was asked: of a service the spans it answered with.
    #[serde(flatten)]
    pub tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Edge {
    /// Indices of nodes.
    pub from: usize,
    pub to: usize,
    /// Calls, as the caller saw them where it was seen.
    #[serde(flatten)]
    pub tally: Tally,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Map {
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Services that there was no room for.
    pub left_out: usize,
}

/// Gives numbers to things in the order in which they come.
struct Numbers<K> {
    numbers: FxHashMap<K, u32>,
    keys: Vec<K>,
}

impl<K: std::hash::Hash + Eq + Copy> Numbers<K> {
    fn new() -> Self {
        Self { numbers: FxHashMap::default(), keys: Vec::new() }
    }

    fn number(&mut self, key: K) -> u32 {
        *self.numbers.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.keys.len() as u32 - 1
        })
    }
}

impl Map {
    pub fn of(table: &Table) -> Self {
        let answered_by = answers(table);
        let mut nodes = Numbers::new();
        let mut edges = Numbers::new();
        let (mut answered, mut called): (Vec<Sample>, Vec<Sample>) = (Vec::new(), Vec::new());
        for (row, answer) in table.rows.iter().zip(&answered_by) {
            let service = Who::Service(row.service);
            let own = nodes.number(service);
            let parent = table.row(row.parent);
            let is_answer = matches!(row.kind, Kind::Server | Kind::Consumer);
            let edge = match row.kind {
                Kind::Client | Kind::Producer => Some(match table.row(*answer) {
                    Some(answer) => (service, Who::Service(answer.service)),
                    None => (service, Who::Peer(row.peer)),
                }),
                Kind::Server | Kind::Consumer | Kind::Internal => match parent {
                    // Counted with the caller's span.
                    Some(parent) if matches!(parent.kind, Kind::Client | Kind::Producer) => None,
                    Some(parent) if is_answer || parent.service != row.service => {
                        Some((Who::Service(parent.service), service))
                    }
                    None if row.kind == Kind::Consumer
                        && row.peer != 0
                        && !table.name(row.peer).is_empty() =>
                    {
                        Some((Who::Peer(row.peer), service))
                    }
                    None if is_answer => Some((Who::Outside, service)),
                    _ => None,
                },
            };
            if is_answer {
                answered.push(sample(row, own, 0));
            }
            if let Some((from, to)) = edge {
                let (from, to) = (nodes.number(from), nodes.number(to));
                called.push(sample(row, edges.number((from, to)), 0));
            }
        }
        draw(&nodes.keys, tallies(answered, nodes.keys.len()), &edges.keys, tallies(called, edges.keys.len()))
    }
}

/// Of each row the first of its children that answered it, or [`NO_ROW`].
fn answers(table: &Table) -> Vec<u32> {
    let mut answers = vec![NO_ROW; table.rows.len()];
    for (number, row) in (0..).zip(&table.rows) {
        if !matches!(row.kind, Kind::Server | Kind::Consumer) {
            continue;
        }
        if let Some(answer) = answers.get_mut(row.parent as usize).filter(|answer| **answer == NO_ROW) {
            *answer = number;
        }
    }
    answers
}

/// Those with the most calls.
fn draw(nodes: &[Who], answered: Vec<Tally>, edges: &[(u32, u32)], called: Vec<Tally>) -> Map {
    let mut weights: Vec<u64> = answered.iter().map(|tally| tally.count).collect();
    for ((from, to), tally) in edges.iter().zip(&called) {
        for end in [*from, *to] {
            if let Some(weight) = weights.get_mut(end as usize) {
                *weight += tally.count;
            }
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|at| (u64::MAX - weights.get(*at).copied().unwrap_or_default(), *at));
    let left_out = order.len().saturating_sub(MAX_NODES);
    order.truncate(MAX_NODES);
    let drawn: FxHashMap<usize, usize> = order.iter().enumerate().map(|(to, from)| (*from, to)).collect();
    let node = |at: &usize| {
        let (kind, name) = match nodes.get(*at)? {
            Who::Service(name) => (0, *name),
            Who::Peer(name) => (1, *name),
            Who::Outside => (2, 0),
        };
        Some(Node { kind, name, tally: answered.get(*at).cloned().unwrap_or_default() })
    };
    let place = |end: u32| drawn.get(&(end as usize)).copied();
    Map {
        nodes: order.iter().filter_map(node).collect(),
        edges: edges
            .iter()
            .zip(called)
            .filter_map(|((from, to), tally)| Some(Edge { from: place(*from)?, to: place(*to)?, tally }))
            .collect(),
        left_out,
    }
}
