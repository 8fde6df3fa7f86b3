//! What became of what was to be pushed.

use std::collections::BTreeMap;

/// So many reasons are told apart: a collector may give another one each time.
const REASONS: usize = 8;

/// Spans, or data points of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// All of them.
    pub given: u64,
    /// Those that the collector confirmed.
    pub delivered: u64,
    /// Those that it did not, by reason.
    pub undelivered: BTreeMap<String, u64>,
}

impl Fates {
    /// So many were not delivered, and why.
    pub fn lose(&mut self, count: u64, why: &str) {
        if count == 0 {
            return;
        }
        let is_new = !self.undelivered.contains_key(why);
        let why = if is_new && self.undelivered.len() >= REASONS { "for other reasons" } else { why };
        *self.undelivered.entry(why.to_owned()).or_default() += count;
    }

    /// All that were not delivered.
    pub fn lost(&self) -> u64 {
        self.undelivered.values().sum()
    }

    /// Those of which nothing was heard were not delivered, and why.
    pub fn lose_rest(&mut self, why: &str) {
        self.lose(self.given.saturating_sub(self.delivered + self.lost()), why);
    }
}

/// The account of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Where it went, host and port.
    pub to: String,
    /// Spans.
    pub spans: Fates,
    /// Data points of metrics, where metrics were to be pushed. Each push of them says all that those before it said, up to its time.
    pub points: Option<Fates>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_up_to_a_number() {
        let mut fates = Fates::default();
        fates.lose(0, "nothing");
        for number in 0..100 {
            fates.lose(2, &format!("reason {number}"));
        }
        fates.lose(1, "reason 3");
        assert_eq!(fates.lost(), 201);
        assert_eq!(fates.undelivered.len(), REASONS + 1);
        assert_eq!(fates.undelivered["reason 3"], 3);
    }

    #[test]
    fn what_nothing_was_heard_of_was_not_delivered() {
        let mut fates = Fates { given: 10, delivered: 5, ..Fates::default() };
        fates.lose(2, "full");
        fates.lose_rest("late");
        assert_eq!((fates.lost(), fates.undelivered["late"]), (5, 3));
    }
}
