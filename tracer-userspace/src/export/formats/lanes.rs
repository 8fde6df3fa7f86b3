//! Lanes for viewers that draw what lies within the time of another as done by that other.
//!
//! A span lies on its parent's lane if it is of the same service, lies within the parent's time, and nothing else is going on there. All others
//! have a lane to themselves while they last: the first of their service that is free.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::spans::{NO_ROW, Row, Table};

/// A lane. They are numbered through, service by service.
pub type Lane = u32;

/// Where each span lies.
#[derive(Debug, Default)]
pub struct Lanes {
    /// By row.
    of_rows: Vec<Lane>,
    /// By lane, its service, a name of the table.
    services: Vec<u32>,
}

impl Lanes {
    /// For the spans of a table.
    pub fn of(table: &Table) -> Self {
        let rows = &table.rows;
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        // Services in the order in which they first come; in each, what began first, and of that what lasts longest.
        let mut first = FxHashMap::default();
        for row in rows {
            let next = first.len() as u32;
            first.entry(row.service).or_insert(next);
        }
        let key = |row: &u32| {
            let at = rows.get(*row as usize);
            at.map(|at| (first.get(&at.service).copied(), at.start, Reverse(at.duration), *row))
        };
        order.sort_unstable_by_key(key);
        let mut lanes = Lanes { of_rows: vec![NO_ROW; rows.len()], services: Vec::new() };
        let mut placing = Placing::default();
        for number in order {
            let Some(row) = rows.get(number as usize) else { continue };
            let lane = placing.place(&mut lanes, table, number, row);
            if let Some(place) = lanes.of_rows.get_mut(number as usize) {
                *place = lane;
            }
        }
        lanes
    }

    /// The lane of a row.
    pub fn of_row(&self, row: u32) -> Lane {
        self.of_rows.get(row as usize).copied().unwrap_or_default()
    }

    /// Every lane with its service.
    pub fn services(&self) -> impl Iterator<Item = (Lane, u32)> {
        (0..).zip(self.services.iter().copied())
    }
}

/// What is going on, on the lanes of one service.
#[derive(Debug, Default)]
struct Placing {
    service: Option<u32>,
    /// Its first lane.
    base: Lane,
    /// By lane, from that one on.
    stacks: Vec<Stack>,
    /// When lanes will be free, and those that are.
    busy: BinaryHeap<Reverse<(i64, Lane)>>,
    free: BinaryHeap<Reverse<Lane>>,
}

/// A lane.
#[derive(Debug, Default)]
struct Stack {
    /// Spans that go on, the innermost last: row and end.
    open: Vec<(u32, i64)>,
    /// Start and row of the span that came last.
    last: Option<(i64, u32)>,
}

impl Stack {
    /// Whether a viewer that takes spans by start, and those of one start by their order in the file, would find this one behind the last.
    fn takes(&self, number: u32, row: &Row) -> bool {
        self.last.is_none_or(|last| last < (row.start, number))
    }

    fn push(&mut self, number: u32, row: &Row) {
        self.open.push((number, row.end()));
        self.last = Some((row.start, number));
    }
}

impl Placing {
    fn place(&mut self, lanes: &mut Lanes, table: &Table, number: u32, row: &Row) -> Lane {
        if self.service != Some(row.service) {
            *self = Placing {
                service: Some(row.service),
                base: lanes.services.len() as Lane,
                ..Placing::default()
            };
        }
        if let Some(lane) = self.parents_lane(lanes, table, number, row) {
            return lane;
        }
        while self.busy.peek().is_some_and(|Reverse((end, _))| *end <= row.start)
            && let Some(Reverse((_, lane))) = self.busy.pop()
        {
            self.free.push(Reverse(lane));
        }
        let free = self.free.peek().map(|Reverse(lane)| *lane);
        let lane = match free.and_then(|lane| Some((lane, self.stacks.get_mut((lane - self.base) as usize)?)))
        {
            Some((lane, stack)) if stack.takes(number, row) => {
                stack.open.clear();
                stack.push(number, row);
                self.free.pop();
                lane
            }
            _ => {
                let mut stack = Stack::default();
                stack.push(number, row);
                self.stacks.push(stack);
                lanes.services.push(row.service);
                (lanes.services.len() - 1) as Lane
            }
        };
        self.busy.push(Reverse((row.end(), lane)));
        lane
    }

    /// The parent's lane, if the span can lie there.
    fn parents_lane(&mut self, lanes: &Lanes, table: &Table, number: u32, row: &Row) -> Option<Lane> {
        let parent = table.row(row.parent).filter(|parent| parent.service == row.service)?;
        let lane = lanes.of_row(row.parent);
        // A parent that was not placed yet is `NO_ROW`.
        let stack = self.stacks.get_mut(lane.checked_sub(self.base)? as usize)?;
        while stack.open.last().is_some_and(|(_, end)| *end <= row.start) {
            stack.open.pop();
        }
        let fits = stack.open.last().is_some_and(|(open, _)| *open == row.parent)
            && row.end() <= parent.end()
            && stack.takes(number, row);
        fits.then(|| {
            stack.push(number, row);
            lane
        })
    }
}
