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
        // Services in the order in which they first come; in each, what began first, and of that what lasts longest.
        let mut services: Vec<Vec<u32>> = Vec::new();
        let mut numbers = FxHashMap::default();
        for (number, row) in (0..).zip(rows) {
            let service = *numbers.entry(row.service).or_insert(services.len());
            match services.get_mut(service) {
                Some(own) => own.push(number),
                None => services.push(vec![number]),
            }
        }
        for own in &mut services {
            let key = |row: &u32| rows.get(*row as usize).map(|at| (at.start, Reverse(at.duration), *row));
            // Most files have them nearly so, and this way of sorting makes use of it.
            own.sort_by_key(key);
        }
        let mut lanes = Lanes { of_rows: vec![NO_ROW; rows.len()], services: Vec::new() };
        let mut placing = Placing::default();
        for number in services.into_iter().flatten() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::spans::file::read_table;

    /// Spans as (service, id, parent, start, duration).
    fn table(spans: &[(u32, u32, u32, u32, u32)]) -> Table {
        let spans: Vec<String> = spans
            .iter()
            .map(|(service, id, parent, start, duration)| {
                let parent = if *parent == 0 { "null".to_owned() } else { format!("\"{parent}\"") };
                format!(
                    "{{\"traceId\":\"t\",\"spanId\":\"{id}\",\"parentSpanId\":{parent},\"serviceName\":\"{service}\",\"operationName\":\"o\",\
                     \"startTime\":\"2023-10-27T10:00:00.{start:06}Z\",\"duration\":0.{duration:03}}}"
                )
            })
            .collect();
        read_table(format!("[{}]", spans.join(",")).as_bytes()).unwrap()
    }

    fn lanes(spans: &[(u32, u32, u32, u32, u32)]) -> Vec<Lane> {
        Lanes::of(&table(spans)).of_rows
    }

    #[test]
    fn what_is_done_by_a_span_lies_below_it_and_nothing_else() {
        // A request, a call of it, one at the same time as that, and another request meanwhile.
        assert_eq!(
            lanes(&[(1, 1, 0, 0, 100), (1, 2, 1, 10, 20), (1, 3, 1, 20, 20), (1, 4, 0, 50, 10)]),
            [0, 0, 1, 1]
        );
        // One that outlasts its parent, and one of another service.
        assert_eq!(lanes(&[(1, 1, 0, 0, 100), (1, 2, 1, 10, 200), (2, 3, 1, 20, 20)]), [0, 1, 2]);
        // One behind the other, to the microsecond.
        assert_eq!(lanes(&[(1, 1, 0, 0, 10), (1, 2, 0, 10, 10)]), [0, 0]);
        // A parent that stands behind its child, of the same start: a viewer would take them for the reverse.
        assert_eq!(lanes(&[(1, 2, 1, 0, 10), (1, 1, 0, 0, 20)]), [1, 0]);
    }

    /// As a viewer reads: by start, and in the file's order; each slice goes onto what is still open on its lane.
    #[test]
    fn whatever_happens_a_viewer_finds_only_children_below_a_span() {
        let mut random = Random::new(7);
        for _ in 0..200 {
            let mut below = |limit: u32| random.below(limit as usize) as u32;
            let spans: Vec<_> = (1..=60).map(|id| (below(3), id, below(id), below(40), below(30))).collect();
            let mut shuffled = spans;
            for at in (1..shuffled.len()).rev() {
                shuffled.swap(at, below(at as u32 + 1) as usize);
            }
            let table = table(&shuffled);
            let lanes = Lanes::of(&table);
            let mut rows: Vec<u32> = (0..table.rows.len() as u32).collect();
            rows.sort_by_key(|row| (table.rows[*row as usize].start, *row));
            let mut open: FxHashMap<Lane, Vec<u32>> = FxHashMap::default();
            for number in rows {
                let row = table.rows[number as usize];
                let stack = open.entry(lanes.of_row(number)).or_default();
                stack.retain(|below| table.rows[*below as usize].end() > row.start);
                if let Some(below) = stack.last() {
                    assert_eq!(*below, row.parent, "{shuffled:?}");
                    assert!(table.rows[*below as usize].end() >= row.end(), "{shuffled:?}");
                }
                stack.push(number);
            }
            for (lane, service) in lanes.services() {
                let own = table.rows.iter().enumerate().filter(|(row, _)| lanes.of_row(*row as u32) == lane);
                assert!(own.map(|(_, row)| row.service).all(|own| own == service));
            }
        }
    }
}
