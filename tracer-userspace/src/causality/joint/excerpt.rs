//! Of a batch in which nearly every call is certain, what lies near those that are not.
//!
//! Rules decide most calls of many processes and leave a few open. These are weighed against what was going on at their
//! time; to search all the rest again and again would find what is known already. It only teaches.

use super::batch::{Batch, Given};

/// A batch is cut where fewer than one in so many calls is to be found. Asynchronous programs, where it is nearly all, are
/// searched whole.
const FEW: usize = 10;

/// A part of a batch.
#[derive(Debug)]
pub struct Excerpt {
    /// Its requests and calls, in the same order.
    pub batch: Batch,
    /// The calls, by their index in the whole.
    pub calls: Vec<u32>,
    /// The requests that are left out, by their index in the whole.
    pub left_out: Vec<u32>,
}

/// The requests that were open at the time of a call that is to be found, and their calls. None if that is not much less than
/// the whole. `sought`: which calls are.
pub fn excerpt(batch: &Batch, sought: impl Fn(u32) -> bool) -> Option<Excerpt> {
    let calls = || (0u32..).zip(&batch.calls);
    if calls().filter(|(index, _)| sought(*index)).count() * FEW >= batch.calls.len() {
        return None;
    }
    // Calls are in the order of their beginnings.
    let mut times: Vec<(u64, u64)> = Vec::new();
    for (_, call) in calls().filter(|(index, _)| sought(*index)) {
        match times.last_mut() {
            Some((_, end)) if call.start <= *end => *end = call.end.max(*end),
            _ => times.push((call.start, call.end)),
        }
    }
    let is_near = |start: u64, end: u64| {
        let next = times.partition_point(|(_, until)| *until < start);
        times.get(next).is_some_and(|(from, _)| *from <= end)
    };
    let mut part = Excerpt { batch: Batch::default(), calls: Vec::new(), left_out: Vec::new() };
    let mut places: Vec<Option<u32>> = Vec::with_capacity(batch.requests.len());
    for (index, request) in (0u32..).zip(&batch.requests) {
        let near = is_near(request.start, request.end);
        places.push(near.then_some(part.batch.requests.len() as u32));
        if near {
            part.batch.requests.push(*request);
        } else {
            part.left_out.push(index);
        }
    }
    for (index, call) in calls() {
        let given = match call.given {
            Given::Open if sought(index) => Given::Open,
            Given::Open => continue,
            Given::Fixed(request) => match places.get(request as usize) {
                Some(Some(place)) => Given::Fixed(*place),
                _ => continue,
            },
        };
        part.calls.push(index);
        part.batch.calls.push(super::batch::Call { given, ..*call });
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;
    use crate::causality::joint::batch::{Call, Mark, Request};

    /// A request every 100 ns for 150 ns, each with a call from its 10th to its 140th ns that is its own. `open`: those that are to be
    /// found.
    fn batch(requests: u32, open: &[u32]) -> Batch {
        let mut arena = Arena::<()>::default();
        let mut batch = Batch::default();
        for index in 0..requests {
            let start = u64::from(index) * 100;
            batch.requests.push(Request {
                span: arena.insert(()),
                op: 0,
                read: Mark { at: start, nth: index + 1, ..Mark::default() },
                fed: None,
                answer: None,
                start,
                end: start + 150,
            });
            batch.calls.push(Call {
                span: arena.insert(()),
                op: 0,
                wrote: Mark::default(),
                got: Mark::default(),
                start: start + 10,
                end: start + 140,
                birth: None,
                given: if open.contains(&index) { Given::Open } else { Given::Fixed(index) },
            });
        }
        batch
    }

    #[test]
    fn what_was_open_at_the_time_of_an_open_call_stays_with_its_calls() {
        let whole = batch(100, &[40, 41, 90]);
        let part = excerpt(&whole, |call| [40, 41, 90].contains(&call)).unwrap();
        let near = [39, 40, 41, 42, 89, 90, 91];
        let nth: Vec<u32> = part.batch.requests.iter().map(|request| request.read.nth - 1).collect();
        assert_eq!(nth, near, "and what was counted over the whole still counts");
        assert_eq!(part.calls, near);
        let given: Vec<Given> = part.batch.calls.iter().map(|call| call.given).collect();
        let fixed = |place: u32| Given::Fixed(place);
        assert_eq!(given, [fixed(0), Given::Open, Given::Open, fixed(3), fixed(4), Given::Open, fixed(6)]);
        assert_eq!(part.left_out.len(), 93);
        assert!(part.left_out.iter().all(|left| !near.contains(left)));
    }

    #[test]
    fn calls_that_were_just_given_to_somebody_stay_because_they_are_sought() {
        let part = excerpt(&batch(100, &[]), |call| call == 50).unwrap();
        assert_eq!(part.calls, [49, 50, 51]);
        assert_eq!(part.batch.calls[1].given, Given::Fixed(1));
    }

    #[test]
    fn a_batch_of_which_much_is_open_is_searched_whole() {
        let open: Vec<u32> = (0..10).collect();
        assert!(excerpt(&batch(100, &open), |call| call < 10).is_none());
        assert!(excerpt(&batch(101, &open), |call| call < 10).is_some());
        assert!(excerpt(&Batch::default(), |_| false).is_none());
    }
}
