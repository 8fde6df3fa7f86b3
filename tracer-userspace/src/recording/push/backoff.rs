//! When to try again. Time and chance are handed in.

use std::time::Duration;

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// A batch that was tried for so long is given up: what comes after it is younger, and the queue does not grow.
pub const GIVE_UP: Duration = Duration::from_secs(60);
/// What a collector asks for is done, within bounds.
const ASKED_LONGEST: Duration = Duration::from_secs(60);
/// Once nothing more is to come it is tried this often at least: time is short.
const CLOSING_LONGEST: Duration = Duration::from_secs(1);

/// The attempts for one batch.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    attempts: u32,
    give_up: Duration,
}

impl Backoff {
    /// For something that is given up after that time.
    pub fn new(give_up: Duration) -> Self {
        Self { attempts: 0, give_up }
    }

    /// How long to stay away when a collector asks for it.
    pub fn asked(asked: Duration) -> Duration {
        asked.min(ASKED_LONGEST)
    }

    /// How long to wait after another attempt that failed, `since` the first one began; `None` to give it up.
    ///
    /// `asked` is what the collector asked for, `chance` from 0 to 1: many tracers must not come back at the same moment.
    pub fn after_failure(
        &mut self,
        since: Duration,
        asked: Option<Duration>,
        closing: bool,
        chance: f64,
    ) -> Option<Duration> {
        if since >= self.give_up {
            return None;
        }
        let wait = FIRST.saturating_mul(1 << self.attempts.min(10)).min(LONGEST);
        self.attempts += 1;
        let own = wait.mul_f64(0.5 + chance.clamp(0.0, 1.0));
        Some(match asked {
            // Not before; that is the collector's word, also at the end.
            Some(asked) => Self::asked(asked),
            None if closing => own.min(CLOSING_LONGEST),
            None => own,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_a_limit_and_then_it_is_given_up() {
        let mut backoff = Backoff::new(GIVE_UP);
        let mut since = Duration::ZERO;
        let mut waits = Vec::new();
        while let Some(wait) = backoff.after_failure(since, None, false, 0.5) {
            waits.push(wait.as_millis());
            since += wait;
        }
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    }

    #[test]
    fn chance_spreads_the_waits() {
        let wait = |chance| Backoff::new(GIVE_UP).after_failure(Duration::ZERO, None, false, chance);
        assert_eq!(wait(0.0), Some(SECOND / 4));
        assert_eq!(wait(1.0), Some(SECOND * 3 / 4));
    }

    #[test]
    fn a_collector_says_when_to_come_back() {
        let mut backoff = Backoff::new(GIVE_UP);
        let ask = |backoff: &mut Backoff, asked, closing| {
            backoff.after_failure(Duration::ZERO, Some(asked), closing, 0.5)
        };
        assert_eq!(ask(&mut backoff, 7 * SECOND, false), Some(7 * SECOND));
        assert_eq!(ask(&mut backoff, 7 * SECOND, true), Some(7 * SECOND));
        assert_eq!(ask(&mut backoff, 10_000 * SECOND, false), Some(ASKED_LONGEST));
    }

    #[test]
    fn at_the_end_it_is_tried_more_often() {
        let mut backoff = Backoff { attempts: 5, give_up: GIVE_UP };
        assert_eq!(backoff.after_failure(Duration::ZERO, None, true, 0.5), Some(SECOND));
    }
}
