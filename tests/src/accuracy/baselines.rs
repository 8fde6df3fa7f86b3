//! What simple rules make of the same spans: whatever the tracer does must be worth more than these.

use std::collections::HashMap;

use crate::span::Span;

use super::known::{Call, Known};

/// Of how many calls each rule names the right cause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Baselines {
    /// Any of the candidates, drawn by lot: what is to be expected.
    pub random: f64,
    /// Of the candidates, the one that was given the fewest calls to the same operation so far; of these the oldest.
    pub fifo: usize,
    /// The candidate that began last.
    pub latest: usize,
    /// The request that the call's thread read last, if it is still open.
    pub thread: usize,
}

/// Applies the rules to the calls that have a cause.
pub fn apply(known: &Known) -> Baselines {
    let mut result = Baselines::default();
    let mut given: HashMap<(&str, &str), usize> = HashMap::new();
    let mut on_thread: HashMap<u64, Vec<&Span>> = HashMap::new();
    for request in &known.requests {
        on_thread.entry(thread(request)).or_default().push(request);
    }
    for call in &known.calls {
        let path = call.span.target().split('?').next().unwrap_or_default();
        let oldest = call.candidates.iter().min_by_key(|candidate| {
            (given.get(&(candidate.span_id.as_str(), path)).copied().unwrap_or(0), candidate.start_ns)
        });
        if let Some(oldest) = oldest {
            *given.entry((oldest.span_id.as_str(), path)).or_default() += 1;
        }
        if call.cause.is_none() {
            continue;
        }
        if call.candidates.iter().any(|candidate| is_cause(call, candidate)) {
            result.random += 1.0 / call.candidates.len() as f64;
        }
        result.fifo += usize::from(oldest.is_some_and(|oldest| is_cause(call, oldest)));
        result.latest += usize::from(call.candidates.last().is_some_and(|latest| is_cause(call, latest)));
        let read = on_thread.get(&thread(call.span)).map(Vec::as_slice).unwrap_or_default();
        let last = read.partition_point(|request| request.start_ns <= call.span.start_ns).checked_sub(1);
        let last = last.and_then(|last| read.get(last)).filter(|last| last.end_ns() >= call.span.start_ns);
        result.thread += usize::from(last.is_some_and(|last| is_cause(call, last)));
    }
    result
}

fn is_cause(call: &Call, candidate: &Span) -> bool {
    call.cause.is_some_and(|cause| cause.span_id == candidate.span_id)
}

fn thread(span: &Span) -> u64 {
    span.tags.get("thread.id").and_then(serde_json::Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::known::tests::{pair, truth};

    #[test]
    fn each_rule_is_what_it_says() {
        let trace = pair([None; 3]);
        let baselines = apply(&Known::new(&trace, &truth()));
        // Call o1 has one candidate; o2 has two: the second request began last and got no call yet. Thread 1 read request 1
        // and made o1; thread 0 read request 2 and made o2.
        assert_eq!(baselines, Baselines { random: 1.5, fifo: 2, latest: 2, thread: 2 });
    }
}
