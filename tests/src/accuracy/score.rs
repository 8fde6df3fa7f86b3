//! What the tracer said of each call, compared with the truth.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::known::{Call, Known};
use crate::span::Span;

/// Links with a confidence of at least these are looked at on their own.
pub const LEVELS: [f64; 3] = [0.9, 0.95, 0.99];
/// Lower ends of the reliability table's bins; the last is of exact evidence, which has no other confidence.
pub const BINS: [f64; 9] = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0];

/// Of how many, how many were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that were right.
    pub right: usize,
    /// All.
    pub of: usize,
}

impl Share {
    /// Counts one.
    pub fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.right += other.right;
        self.of += other.of;
    }

    /// In percent; nothing of nothing.
    pub fn percent(self) -> Option<f64> {
        (self.of > 0).then(|| self.right as f64 * 100.0 / self.of as f64)
    }
}

/// How a recording compares with the truth.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Calls that were made for a request.
    pub calls: usize,
    /// Those with the right parent.
    pub right: usize,
    /// Those with another parent.
    pub wrong: usize,
    /// Those without a parent.
    pub open: usize,
    /// Calls that belong to nobody.
    pub nobodys: usize,
    /// Those that were given a parent: wrong, too.
    pub squeezed: usize,
    /// Calls that the tracer did not see, or not whole. In none of the counts above.
    pub unseen: usize,
    /// Requests all of whose calls are linked to them, and no others.
    pub whole: Share,
    /// Calls that at least two requests could have made.
    pub ambiguous: Share,
    /// Links with at least the confidence of [`LEVELS`].
    pub levels: [Share; LEVELS.len()],
    /// Links and best candidates by their confidence, see [`BINS`].
    pub reliability: [Share; BINS.len()],
    /// Links by what they rest on.
    pub evidence: BTreeMap<String, Share>,
    /// Why calls were left open.
    pub reasons: BTreeMap<String, usize>,
    /// How many requests could have made a call, on average.
    pub candidates: f64,
}

impl Score {
    /// Right links, in percent of the calls made for requests.
    pub fn right_percent(&self) -> f64 {
        percent(self.right, self.calls)
    }

    /// Wrong links, in percent of all calls.
    pub fn wrong_percent(&self) -> f64 {
        percent(self.wrong + self.squeezed, self.calls + self.nobodys)
    }

    /// Calls without a parent, in percent of the calls made for requests.
    pub fn open_percent(&self) -> f64 {
        percent(self.open, self.calls)
    }
}

fn percent(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 * 100.0 / of as f64 }
}

/// Compares.
pub fn score(known: &Known) -> Score {
    let mut score = Score { unseen: known.unseen, ..Score::default() };
    // Of each request: calls that are its own, calls linked to it that are, calls linked to it that are not.
    let mut requests: HashMap<&str, (usize, usize, usize)> = HashMap::new();
    let mut candidates = 0;
    for call in &known.calls {
        let parent = call.span.parent.as_deref();
        let right = parent.is_some() && parent == cause_id(call);
        if let Some(cause) = cause_id(call) {
            requests.entry(cause).or_default().0 += 1;
        }
        if let Some(parent) = parent {
            let (_, own, foreign) = requests.entry(parent).or_default();
            *if right { own } else { foreign } += 1;
        }
        judge(&mut score, call, right);
        if call.cause.is_some() {
            candidates += call.candidates.len();
        }
    }
    for request in &known.requests {
        let (calls, own, foreign) = requests.get(request.span_id.as_str()).copied().unwrap_or_default();
        score.whole.count(calls == own && foreign == 0);
    }
    score.candidates = if score.calls == 0 { 0.0 } else { candidates as f64 / score.calls as f64 };
    score
}

fn judge(score: &mut Score, call: &Call, right: bool) {
    let linked = call.span.parent.is_some();
    match call.cause {
        None => {
            score.nobodys += 1;
            score.squeezed += usize::from(linked);
        }
        Some(_) => {
            score.calls += 1;
            *match (linked, right) {
                (false, _) => &mut score.open,
                (true, true) => &mut score.right,
                (true, false) => &mut score.wrong,
            } += 1;
            if call.candidates.len() > 1 {
                score.ambiguous.count(right);
            }
        }
    }
    if linked {
        let confidence = confidence(call.span);
        for (level, share) in LEVELS.iter().zip(&mut score.levels) {
            if confidence >= *level {
                share.count(right);
            }
        }
        bin(score, confidence, right);
        let evidence = call.span.evidence().unwrap_or_else(|| "not named".to_owned());
        score.evidence.entry(evidence).or_default().count(right);
    } else {
        *score.reasons.entry(reason(call.span)).or_default() += 1;
        if let Some((candidate, confidence)) = best_candidate(call.span) {
            bin(score, confidence, Some(candidate) == cause_id(call));
        }
    }
}

fn bin(score: &mut Score, confidence: f64, right: bool) {
    let bin = BINS.partition_point(|from| *from <= confidence).saturating_sub(1);
    if let Some(share) = score.reliability.get_mut(bin) {
        share.count(right);
    }
}

fn cause_id<'a>(call: &Call<'a>) -> Option<&'a str> {
    call.cause.map(|cause| cause.span_id.as_str())
}

/// How sure the tracer is of a link; exact evidence has no number.
pub fn confidence(span: &Span) -> f64 {
    span.tags.get("tracer.link.confidence").and_then(number).unwrap_or(1.0)
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// The best of the candidates that stand in a span without a parent, and how sure the tracer is of it:
/// `[{"spanId": ID, "confidence": NUMBER}, ...]`.
fn best_candidate(span: &Span) -> Option<(&str, f64)> {
    let list = span.tags.get("tracer.link.candidates")?.as_array()?;
    list.iter()
        .filter_map(|one| Some((one.get("spanId")?.as_str()?, one.get("confidence").and_then(number)?)))
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Why there is no parent, without its numbers.
fn reason(span: &Span) -> String {
    let text = span.tag("tracer.link.reason").unwrap_or("not said");
    let words = text.split(' ').map(|word| if word.bytes().all(|b| b.is_ascii_digit()) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::accuracy::known::tests::{pair, span, truth};
    use crate::span::tests::trace;

    fn scored(parents: [Option<u64>; 3]) -> Score {
        score(&Known::new(&pair(parents), &truth()))
    }

    #[test]
    fn all_right() {
        let score = scored([Some(1), Some(2), None]);
        assert_eq!((score.calls, score.right, score.wrong, score.open), (2, 2, 0, 0));
        assert_eq!((score.nobodys, score.squeezed), (1, 0));
        assert_eq!(score.whole, Share { right: 2, of: 2 });
        assert_eq!(score.ambiguous, Share { right: 1, of: 1 });
        assert_eq!(score.levels[2], Share { right: 2, of: 2 });
        assert_eq!((score.right_percent(), score.wrong_percent(), score.candidates), (100.0, 0.0, 1.5));
    }

    #[test]
    fn a_foreign_parent_is_wrong_and_spoils_two_requests() {
        let score = scored([Some(1), Some(1), None]);
        assert_eq!((score.right, score.wrong), (1, 1));
        assert_eq!(score.whole, Share { right: 0, of: 2 });
        assert_eq!(score.ambiguous, Share { right: 0, of: 1 });
    }

    #[test]
    fn what_belongs_to_nobody_must_have_no_parent() {
        let score = scored([Some(1), Some(2), Some(2)]);
        assert_eq!((score.right, score.wrong, score.squeezed), (2, 0, 1));
        assert_eq!(score.whole, Share { right: 1, of: 2 });
        assert!((score.wrong_percent() - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_call_without_a_parent_is_open_and_its_best_candidate_counts_in_the_bins() {
        let mut call = span(3, "client", "o1", None, 150, 400);
        call["tags"]["tracer.link.candidates"] = json!([
            { "spanId": "0000000000000002", "confidence": 0.2 },
            { "spanId": "0000000000000001", "confidence": 0.6 },
        ]);
        call["tags"]["tracer.link.reason"] = json!("2 requests could have made this call");
        let trace = trace(vec![span(1, "server", "i1", None, 100, 900), call]);
        let score = score(&Known::new(&trace, &truth()));
        assert_eq!((score.open, score.unseen), (1, 1));
        assert_eq!(score.reliability[2], Share { right: 1, of: 1 });
        assert_eq!(score.reasons.get("N requests could have made this call"), Some(&1));
    }

    #[test]
    fn confidence_sorts_links_into_levels() {
        let mut call = span(3, "client", "o1", Some(1), 150, 400);
        call["tags"]["tracer.link.confidence"] = json!(0.96);
        let trace = trace(vec![span(1, "server", "i1", None, 100, 900), call]);
        let score = score(&Known::new(&trace, &truth()));
        assert_eq!(score.levels.map(|share| share.of), [1, 1, 0]);
        assert_eq!(score.reliability[6], Share { right: 1, of: 1 });
    }
}
