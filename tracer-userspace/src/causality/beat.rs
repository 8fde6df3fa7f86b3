//! What a timer makes: calls at even intervals, while requests come as they please.
//!
//! Under load some request is always open, so that what belongs to none is never seen to be made while none is
//! ([`super::background`]). But requests of many callers come irregularly, and so do the calls that they make; a timer's
//! do not. The measure is the coefficient of variation of the intervals (standard deviation by mean): 1 where arrivals
//! are independent of each other, 0 for a perfect clock. Measured at 32 in flight (docs/accuracy.md): timers of 7 ms 0.11
//! (Node) to 0.5 (Ruby), requests and their calls 0.98 to 1.7.

use rustc_hash::FxHashMap;

use crate::time::Nanos;

/// A kind of call is a timer's up to this variation,
const EVEN: f64 = 0.5;
/// once it was made so often,
const FEW: u32 = 16;
/// if requests vary at least so much: else nothing can be told from it.
const UNEVEN: f64 = 0.8;
/// A kind of request that varies less may be what makes the calls: somebody else's timer.
const DOUBTFUL: f64 = 0.65;
/// Intervals that count; older ones are forgotten by and by.
const MEMORY: u32 = 64;
/// Requests of a process before their kinds are told apart: of many processes no more is ever seen, and they cost no memory.
const FIRST: u32 = 4;
/// Kinds that are kept, of requests and of calls. A process with more of them is not understood by its paths.
const MAX_KINDS: usize = 1024;

/// How evenly something happens.
#[derive(Clone, Copy, Debug, Default)]
struct Beat {
    count: u32,
    last: Nanos,
    /// Of the intervals, ns, and of their squares.
    mean: f64,
    square: f64,
}

impl Beat {
    fn add(&mut self, at: Nanos) {
        if self.count > 0 {
            let interval = at.since(self.last) as f64;
            let weight = 1.0 / f64::from(self.count.min(MEMORY));
            self.mean += (interval - self.mean) * weight;
            self.square += (interval * interval - self.square) * weight;
        }
        self.last = self.last.max(at);
        self.count = self.count.saturating_add(1);
    }

    /// The coefficient of variation; infinite while there is nothing to tell.
    fn variation(&self) -> f64 {
        if self.mean <= 0.0 {
            return f64::INFINITY;
        }
        (self.square - self.mean * self.mean).max(0.0).sqrt() / self.mean
    }
}

/// The beats of one process.
#[derive(Debug, Default)]
pub(super) struct Beats {
    requests: Beat,
    kinds: Option<Box<Kinds>>,
}

/// The beats of each kind.
#[derive(Debug, Default)]
struct Kinds {
    requests: FxHashMap<u64, Beat>,
    calls: FxHashMap<u64, Beat>,
}

impl Beats {
    /// A request of this kind was read.
    pub fn request(&mut self, kind: u64, at: Nanos) {
        self.requests.add(at);
        if let Some(kinds) = self.kinds() {
            add(&mut kinds.requests, kind, at);
        }
    }

    /// A call of this kind was made.
    pub fn call(&mut self, kind: u64, at: Nanos) {
        if let Some(kinds) = self.kinds() {
            add(&mut kinds.calls, kind, at);
        }
    }

    fn kinds(&mut self) -> Option<&mut Kinds> {
        (self.requests.count > FIRST).then(|| &mut **self.kinds.get_or_insert_default())
    }

    /// Whether calls of this kind come by the clock, and no requests do; `open`: requests that are not answered.
    pub fn is_timed(&self, kind: u64, open: u32) -> bool {
        let Some(kinds) = self.kinds.as_deref() else { return false };
        let Some(calls) = kinds.calls.get(&kind) else { return false };
        // What each request does goes at the pace of the loop, or of whatever the process waits for (a pool of connections), which may
        // be even. Those that are open may not have come to it yet.
        let half = self.requests.count.saturating_sub(open) / 2;
        if calls.count < FEW || calls.count > half || calls.variation() > EVEN {
            return false;
        }
        let may_make = |request: &Beat| request.count >= calls.count / 4 && request.variation() < DOUBTFUL;
        self.requests.variation() >= UNEVEN && !kinds.requests.values().any(may_make)
    }
}

fn add(beats: &mut FxHashMap<u64, Beat>, kind: u64, at: Nanos) {
    if let Some(beat) = beats.get_mut(&kind) {
        beat.add(at);
    } else if beats.len() < MAX_KINDS {
        let mut beat = Beat::default();
        beat.add(at);
        beats.insert(kind, beat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const MS: u64 = 1_000_000;

    /// Intervals as of independent arrivals, with this mean.
    fn arrivals(mean: u64, count: u64) -> impl Iterator<Item = Nanos> {
        let (mut at, mut random) = (0, Random::new(7));
        (0..count).map(move |_| {
            at += (-(1.0 - random.share()).ln() * mean as f32) as u64;
            Nanos(at)
        })
    }

    fn beats(requests: &[Nanos], calls: &[Nanos]) -> Beats {
        let mut beats = Beats::default();
        requests.iter().for_each(|at| beats.request(1, *at));
        calls.iter().for_each(|at| beats.call(2, *at));
        beats
    }

    #[test]
    fn a_timer_among_irregular_requests_is_one() {
        let requests: Vec<_> = arrivals(MS, 600).collect();
        // Late by up to three tenths of its interval, as on a busy loop.
        let ticks: Vec<_> = (0..80).map(|at| Nanos(at * 7 * MS + at * 31 % 7 * MS * 3 / 10)).collect();
        assert!(beats(&requests, &ticks).is_timed(2, 32));
        assert!(!beats(&requests, &ticks[..10]).is_timed(2, 32), "too few to tell");
    }

    #[test]
    fn calls_of_some_requests_are_none() {
        let requests: Vec<_> = arrivals(MS, 2000).collect();
        for every in [2, 3] {
            let calls: Vec<_> = requests.iter().copied().step_by(every).collect();
            assert!(!beats(&requests, &calls).is_timed(2, 32), "every {every}");
        }
        assert!(!beats(&requests, &requests).is_timed(2, 32));
    }

    #[test]
    fn where_requests_are_even_nothing_is_told() {
        let even = |every: u64, count: u64| (0..count).map(|at| Nanos(at * every * MS)).collect::<Vec<_>>();
        assert!(!beats(&even(1, 700), &even(7, 100)).is_timed(2, 32));
        // Somebody's health check, and what it calls.
        let mut beats = beats(&arrivals(MS, 700).collect::<Vec<_>>(), &even(7, 100));
        assert!(beats.is_timed(2, 32));
        even(7, 100).into_iter().for_each(|at| beats.request(3, at));
        assert!(!beats.is_timed(2, 32));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut beats = Beats::default();
        (0..5000).for_each(|kind| {
            beats.request(kind, Nanos(kind));
            beats.call(kind, Nanos(kind));
        });
        let kinds = beats.kinds.unwrap_or_default();
        assert_eq!((kinds.requests.len(), kinds.calls.len()), (MAX_KINDS, MAX_KINDS));
    }
}
