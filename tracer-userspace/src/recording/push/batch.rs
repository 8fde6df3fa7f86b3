//! What is sent at once. Time is handed in.

use std::time::{Duration, Instant};

/// So many spans, as with OpenTelemetry's own batch processors,
const SPANS: usize = 512;
/// or so many bytes of trace JSON: receivers take four million of their own form at once;
const BYTES: usize = 1 << 20;
/// and what is there waits no longer than this for more.
const AGE: Duration = Duration::from_secs(1);

/// Spans, each as trace JSON.
pub type Spans = Vec<Box<[u8]>>;

/// Spans that wait for more.
#[derive(Debug, Default)]
pub struct Batch {
    spans: Spans,
    bytes: usize,
    /// When the first of them came.
    since: Option<Instant>,
}

impl Batch {
    /// Adds a span. What is returned is to be sent: it has as much as goes at once.
    pub fn add(&mut self, span: Box<[u8]>, now: Instant) -> Option<Spans> {
        // What does not fit in any more goes with the next.
        let full = (!self.spans.is_empty() && self.bytes + span.len() > BYTES).then(|| self.take());
        self.since.get_or_insert(now);
        self.bytes += span.len();
        self.spans.push(span);
        match full {
            Some(full) => Some(full),
            None => (self.spans.len() >= SPANS).then(|| self.take()),
        }
    }

    /// When what is there is to be sent.
    pub fn due(&self) -> Option<Instant> {
        Some(self.since? + AGE)
    }

    /// What is there.
    pub fn take(&mut self) -> Spans {
        let spans = std::mem::take(&mut self.spans);
        *self = Self::default();
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(bytes: usize) -> Box<[u8]> {
        vec![b' '; bytes].into()
    }

    #[test]
    fn a_batch_has_so_many_spans() {
        let (mut batch, now) = (Batch::default(), Instant::now());
        for _ in 1..SPANS {
            assert!(batch.add(span(10), now).is_none());
        }
        assert_eq!(batch.add(span(10), now).unwrap().len(), SPANS);
        assert_eq!(batch.due(), None);
        assert!(batch.take().is_empty());
    }

    #[test]
    fn a_batch_has_so_many_bytes_unless_one_span_has_more() {
        let (mut batch, now) = (Batch::default(), Instant::now());
        assert!(batch.add(span(BYTES / 2), now).is_none());
        assert!(batch.add(span(BYTES / 2), now).is_none());
        assert_eq!(batch.add(span(1), now).unwrap().len(), 2);
        assert_eq!(batch.add(span(2 * BYTES), now).unwrap().len(), 1);
        assert_eq!(batch.take().len(), 1);
    }

    #[test]
    fn what_is_there_waits_for_a_time_from_its_first_span_on() {
        let (mut batch, now) = (Batch::default(), Instant::now());
        assert_eq!(batch.due(), None);
        batch.add(span(1), now);
        batch.add(span(1), now + AGE / 2);
        assert_eq!(batch.due(), Some(now + AGE));
        batch.take();
        batch.add(span(1), now + AGE);
        assert_eq!(batch.due(), Some(now + 2 * AGE));
    }
}
