//! Where each byte and each message went. Everything that moved is counted exactly once, so that a gap in
//! understanding shows as a number with a reason.

use crate::exchange::Outcome;

/// Why bytes belong to no exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The protocol is none that is parsed.
    NotUnderstood,
    /// Encrypted (TLS).
    Tls,
    /// Compressed, by a protocol that is read where it is not.
    Compressed,
    /// It began as HTTP/2 does, and went on in a way that nobody understands.
    Http2,
    /// Excluded by the user's choice of ports.
    Ignored,
    /// The capture came in the middle of a message.
    Joined,
    /// A response whose request was not seen.
    Unrequested,
    /// What follows an upgrade (status 101, CONNECT).
    Upgraded,
    /// Bytes between a loss (or cut-off messages of unknown number) and the next certain point.
    Desync,
    /// The bytes began like a message and were none.
    Malformed,
    /// A head that was not finished when the connection or the capture ended.
    Incomplete,
    /// Moved after the connection's end was reported.
    AfterClose,
}

impl Skip {
    /// Every reason, in the order of declaration.
    pub const ALL: [Skip; 12] = [
        Skip::NotUnderstood,
        Skip::Tls,
        Skip::Compressed,
        Skip::Http2,
        Skip::Ignored,
        Skip::Joined,
        Skip::Unrequested,
        Skip::Upgraded,
        Skip::Desync,
        Skip::Malformed,
        Skip::Incomplete,
        Skip::AfterClose,
    ];

    /// The reason as a person would say it.
    pub fn phrase(self) -> &'static str {
        match self {
            Skip::NotUnderstood => "protocol not understood",
            Skip::Tls => "encrypted (TLS)",
            Skip::Compressed => "compressed",
            Skip::Http2 => "HTTP/2, not understood",
            Skip::Ignored => "excluded by port",
            Skip::Joined => "joined in the middle of a message",
            Skip::Unrequested => "response without a request",
            Skip::Upgraded => "after a protocol upgrade",
            Skip::Desync => "position in the stream lost",
            Skip::Malformed => "malformed message",
            Skip::Incomplete => "unfinished head",
            Skip::AfterClose => "after the connection's end",
        }
    }
}

/// Counts of one capture. Sums are saturating: a counter that is full stays full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes of message heads, blank lines before them included.
    pub heads: u64,
    /// Bytes of message bodies, chunk framing included.
    pub bodies: u64,
    skipped: [u64; Skip::ALL.len()],
    outcomes: [u64; 8],
    /// Requests handed on.
    pub requests: u64,
    /// Final responses handed on.
    pub responses: u64,
    /// Interim (1xx) responses.
    pub interim: u64,
    /// Responses for which no request was seen.
    pub unrequested: u64,
    /// Heads that began like a message and were none.
    pub malformed: u64,
    /// Heads that were longer than what was captured.
    pub truncated: u64,
    /// Requests beyond the limit of outstanding ones.
    pub overflow: u64,
    /// Times the position in a stream was lost.
    pub desyncs: u64,
    /// Times it was found again.
    pub resyncs: u64,
}

fn add(to: &mut u64, count: u64) {
    *to = to.saturating_add(count);
}

impl Tally {
    /// Bytes of a head.
    pub fn head(&mut self, bytes: u64) {
        add(&mut self.heads, bytes);
    }

    /// Bytes of a body.
    pub fn body(&mut self, bytes: u64) {
        add(&mut self.bodies, bytes);
    }

    /// Bytes that belong to no exchange.
    pub fn skip(&mut self, why: Skip, bytes: u64) {
        if let Some(to) = self.skipped.get_mut(why as usize) {
            add(to, bytes);
        }
    }

    /// Bytes skipped for one reason.
    pub fn skipped(&self, why: Skip) -> u64 {
        self.skipped.get(why as usize).copied().unwrap_or(0)
    }

    /// Bytes skipped in all.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Bytes that belong to messages.
    pub fn parsed(&self) -> u64 {
        self.heads.saturating_add(self.bodies)
    }

    /// An exchange ended.
    pub fn end(&mut self, outcome: Outcome) {
        if let Some(to) = self.outcomes.get_mut(outcome_index(outcome)) {
            add(to, 1);
        }
    }

    /// Exchanges that ended so.
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome_index(outcome)).copied().unwrap_or(0)
    }

    /// Exchanges that ended.
    pub fn ended_total(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}

fn outcome_index(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Complete => 0,
        Outcome::EndUnframed => 1,
        Outcome::Aborted => 2,
        Outcome::Unanswered => 3,
        Outcome::Pending => 4,
        Outcome::Streaming => 5,
        Outcome::ResponseUnseen => 6,
        Outcome::Upgraded => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter() {
        let mut tally = Tally::default();
        for (at, why) in Skip::ALL.into_iter().enumerate() {
            tally.skip(why, at as u64 + 1);
        }
        for (at, why) in Skip::ALL.into_iter().enumerate() {
            assert_eq!(tally.skipped(why), at as u64 + 1, "{why:?}");
        }
        assert_eq!(tally.skipped_total(), 78);
    }

    #[test]
    fn a_full_counter_stays_full() {
        let mut tally = Tally::default();
        tally.skip(Skip::Tls, u64::MAX);
        tally.skip(Skip::Tls, 5);
        assert_eq!(tally.skipped_total(), u64::MAX);
    }
}
