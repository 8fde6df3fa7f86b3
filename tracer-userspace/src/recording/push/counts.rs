//! What became of the spans that were to be pushed.

use std::collections::BTreeMap;

/// So many reasons are told apart: a collector may give another one each time.
const REASONS: usize = 8;

/// The account of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Where they went, host and port.
    pub to: String,
    /// Spans that the collector confirmed.
    pub delivered: u64,
    /// Those that it did not, by reason.
    pub undelivered: BTreeMap<String, u64>,
}

impl Delivery {
    /// To there.
    pub fn new(to: String) -> Self {
        Self { to, ..Self::default() }
    }

    /// Spans that were not delivered, and why.
    pub fn lose(&mut self, spans: u64, why: &str) {
        if spans == 0 {
            return;
        }
        let is_new = !self.undelivered.contains_key(why);
        let why = if is_new && self.undelivered.len() >= REASONS { "for other reasons" } else { why };
        *self.undelivered.entry(why.to_owned()).or_default() += spans;
    }

    /// All that were not delivered.
    pub fn lost(&self) -> u64 {
        self.undelivered.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_up_to_a_number() {
        let mut delivery = Delivery::default();
        delivery.lose(0, "nothing");
        for number in 0..100 {
            delivery.lose(2, &format!("reason {number}"));
        }
        delivery.lose(1, "reason 3");
        assert_eq!(delivery.lost(), 201);
        assert_eq!(delivery.undelivered.len(), REASONS + 1);
        assert_eq!(delivery.undelivered["reason 3"], 3);
    }
}
