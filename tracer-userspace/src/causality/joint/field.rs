//! Who could have made each call, and which actions compete with each other: what stays the same during a search.

use super::batch::{Batch, Given};
use super::chain::{ANSWER, LONGEST, NEXTS};

/// More candidates than this, and a call is left open.
pub const MOST_CANDIDATES: usize = 512;

/// No request.
pub const NOBODY: u32 = u32::MAX;

/// The field of a search.
#[derive(Debug, Default)]
pub struct Field {
    /// Calls to be decided: those that have more than no candidate.
    pub open: Vec<u32>,
    /// Calls that so many could have made that it is not tried to find who did.
    pub crowded: Vec<u32>,
    /// By call: where its candidates begin in `candidates`.
    first: Vec<u32>,
    candidates: Vec<u32>,
    /// By next: all such actions in the order of time.
    pub lines: Vec<Vec<u32>>,
    /// By action: its place in its line.
    pub place: Vec<u32>,
    /// By action: when it was.
    pub at: Vec<u64>,
    /// By action: its next.
    pub next: Vec<u8>,
    /// The most requests open at one time.
    pub in_flight: usize,
}

impl Field {
    /// Looks at a batch.
    pub fn new(batch: &Batch) -> Field {
        let mut field = Field { lines: vec![Vec::new(); NEXTS], ..Field::default() };
        field.find_candidates(batch);
        let calls = batch.calls.iter().map(|call| (call.start, call.op));
        let answers =
            batch.requests.iter().map(|request| (request.answer.map_or(u64::MAX, |mark| mark.at), ANSWER));
        for (at, next) in calls.chain(answers) {
            field.at.push(at);
            field.next.push(next);
        }
        let mut order: Vec<u32> = (0..field.at.len() as u32).collect();
        order.sort_unstable_by_key(|action| (field.at.get(*action as usize).copied(), *action));
        field.place = vec![0; order.len()];
        for action in order {
            let next = field.next.get(action as usize).copied().unwrap_or_default();
            if let Some(line) = field.lines.get_mut(usize::from(next)) {
                if let Some(place) = field.place.get_mut(action as usize) {
                    *place = line.len() as u32;
                }
                line.push(action);
            }
        }
        field
    }

    fn find_candidates(&mut self, batch: &Batch) {
        // Requests that are open as time goes on.
        let (mut open, mut next) = (Vec::<u32>::new(), 0);
        for (index, call) in batch.calls.iter().enumerate() {
            self.first.push(self.candidates.len() as u32);
            while batch.requests.get(next).is_some_and(|request| request.start <= call.start) {
                open.push(next as u32);
                next += 1;
            }
            open.retain(|at| {
                batch.requests.get(*at as usize).is_some_and(|request| request.end > call.start)
            });
            self.in_flight = self.in_flight.max(open.len());
            if call.given != Given::Open {
                continue;
            }
            let before = self.candidates.len();
            self.candidates.extend(open.iter().filter(|at| {
                batch
                    .requests
                    .get(**at as usize)
                    .is_some_and(|request| request.read.at <= call.start && call.end <= request.end)
            }));
            if self.candidates.len() - before > MOST_CANDIDATES {
                self.candidates.truncate(before);
                self.crowded.push(index as u32);
            } else if self.candidates.len() > before {
                self.open.push(index as u32);
            }
        }
        self.first.push(self.candidates.len() as u32);
    }

    /// Requests that could have made a call, in the order of their beginnings.
    pub fn candidates(&self, call: u32) -> &[u32] {
        let at = |place: usize| self.first.get(place).copied().unwrap_or(0) as usize;
        self.candidates.get(at(call as usize)..at(call as usize + 1)).unwrap_or_default()
    }

    /// Whether a request could have made a call.
    pub fn may(&self, call: u32, request: u32) -> bool {
        self.candidates(call).binary_search(&request).is_ok()
    }
}

/// Puts a call into a chain. False if that is full.
pub fn insert(batch: &Batch, kids: &mut Vec<u32>, call: u32) -> bool {
    if kids.len() >= LONGEST {
        return false;
    }
    let start = |call: u32| batch.calls.get(call as usize).map(|call| call.start);
    let place = kids.partition_point(|kid| (start(*kid), *kid) < (start(call), call));
    kids.insert(place, call);
    true
}
