use super::*;
use crate::arena::Arena;
use crate::exchange::{Extra, Format};

const MS: u64 = 1_000_000;
const PROCESS: u32 = 7;

/// Requests and calls of one process, in the order of time.
#[derive(Default)]
struct Told {
    contexts: Contexts,
    owners: Arena<()>,
    now: u64,
}

impl Told {
    fn tick(&mut self) -> Nanos {
        self.now += MS;
        Nanos(self.now)
    }

    fn request(&mut self, head: &RequestHead) -> Owner {
        let owner = Owner(self.owners.insert(()));
        let at = self.tick();
        self.contexts.request(PROCESS, owner, at, head);
        owner
    }

    fn end(&mut self, owner: Owner) {
        let at = self.tick();
        self.contexts.request_ended(PROCESS, owner, at);
        self.owners.remove(owner.0);
    }

    fn call(&mut self, head: &RequestHead) -> Option<Carried> {
        let at = self.tick();
        self.contexts.call(PROCESS, at, head)
    }

    /// Whose it is, and by which evidence.
    fn whose(&mut self, head: &RequestHead) -> Option<(Owner, Vec<&'static str>, bool)> {
        let carried = self.call(head)?;
        Some((carried.owner, carried.evidence.iter().map(Evidence::name).collect(), carried.is_exact))
    }
}

fn head(contexts: &[TraceContext], tokens: &[u64]) -> RequestHead {
    let tokens = tokens.iter().map(|value| Token { value: *value, from: 0 }).collect();
    let extra = Extra { contexts: contexts.to_vec(), tokens, ..Extra::default() };
    RequestHead { extra: Some(Box::new(extra)), ..RequestHead::default() }
}

fn traced(trace: u128, span: u64) -> RequestHead {
    head(&[TraceContext::w3c(trace, span)], &[])
}

fn b3(trace: u128, span: u64, parent: u64) -> RequestHead {
    head(&[TraceContext { format: Format::B3, trace_id: trace, span_id: span, parent_id: parent }], &[])
}

const LONG: u128 = 0xabc << 64;

#[test]
fn a_trace_id_names_the_only_request_of_its_trace() {
    let mut told = Told::default();
    let (one, _) = (told.request(&traced(LONG | 1, 10)), told.request(&traced(LONG | 2, 20)));
    assert_eq!(told.whose(&traced(LONG | 1, 99)), Some((one, vec!["context"], false)));
    assert_eq!(told.whose(&traced(LONG | 3, 99)), None);
    assert_eq!(told.whose(&RequestHead::default()), None);
    // Of another process nothing is known.
    assert_eq!(told.contexts.call(PROCESS + 1, Nanos(told.now), &traced(LONG | 1, 99)), None);
    // The same trace in the form of 64 bits, but not another trace with the same lower half.
    assert_eq!(told.whose(&b3(1, 99, 98)).map(|found| found.0), Some(one));
    assert_eq!(told.whose(&traced(LONG << 1 | 1, 99)), None);
}

#[test]
fn several_requests_of_one_trace_are_told_apart_by_their_spans_or_not_at_all() {
    let mut told = Told::default();
    let (one, two) = (told.request(&traced(LONG | 1, 10)), told.request(&traced(LONG | 1, 20)));
    assert_eq!(told.whose(&traced(LONG | 1, 99)), None);
    assert_eq!(told.whose(&traced(LONG | 1, 20)), Some((two, vec!["context"], true)), "handed on as it is");
    assert_eq!(told.whose(&b3(1, 99, 10)), None, "span ids of another format are other ids");
    told.end(one);
    told.now += GRACE;
    assert_eq!(told.whose(&traced(LONG | 1, 99)).map(|found| found.0), Some(two));

    let (_, four) = (told.request(&b3(5, 30, 0)), told.request(&b3(5, 40, 0)));
    assert_eq!(
        told.whose(&b3(5, 99, 40)),
        Some((four, vec!["context"], true)),
        "its parent is the request's span"
    );
    // Two with the same span.
    told.request(&b3(5, 40, 0));
    assert_eq!(told.whose(&b3(5, 99, 40)), None);
}

#[test]
fn a_token_names_the_only_request_that_came_with_it() {
    let mut told = Told::default();
    let (one, two) = (told.request(&head(&[], &[1, 9])), told.request(&head(&[], &[2, 9])));
    assert_eq!(told.whose(&head(&[], &[1])), Some((one, vec!["token"], false)));
    assert_eq!(told.whose(&head(&[], &[2, 77])), Some((two, vec!["token"], false)));
    assert_eq!(told.whose(&head(&[], &[9])), None, "two have it");
    assert_eq!(told.whose(&head(&[], &[1, 2])), None, "they contradict each other");
    let three = told.request(&head(&[TraceContext::w3c(LONG | 3, 1)], &[3]));
    let both = head(&[TraceContext::w3c(LONG | 3, 5)], &[3]);
    assert_eq!(told.whose(&both), Some((three, vec!["context", "token"], false)));
    let contrary = head(&[TraceContext::w3c(LONG | 3, 5)], &[1]);
    assert_eq!(told.whose(&contrary), None);
}

#[test]
fn a_token_that_many_requests_have_had_is_no_evidence() {
    let mut told = Told::default();
    for round in 0..10 {
        let request = told.request(&head(&[], &[5, 100 + round]));
        let expected = (round < u64::from(FEW)).then_some(request);
        assert_eq!(told.call(&head(&[], &[5])).map(|carried| carried.owner), expected, "round {round}");
        assert_eq!(told.call(&head(&[], &[100 + round])).map(|carried| carried.owner), Some(request));
        told.end(request);
        told.now += GRACE;
    }
}

#[test]
fn a_token_that_goes_out_by_itself_is_no_evidence() {
    let mut told = Told::default();
    told.request(&head(&[], &[1]));
    assert_eq!(told.call(&head(&[], &[8])), None);
    told.request(&head(&[], &[8]));
    assert_eq!(told.call(&head(&[], &[8])), None);
}

#[test]
fn what_a_request_left_behind_is_still_its_own_for_a_while() {
    let mut told = Told::default();
    let request = told.request(&head(&[TraceContext::w3c(LONG | 1, 1)], &[1]));
    told.end(request);
    let late = told.call(&traced(LONG | 1, 2)).unwrap();
    assert_eq!((late.owner, late.is_over), (request, true));
    // Nobody can tell its late work from the next request's.
    let again = told.request(&head(&[TraceContext::w3c(LONG | 1, 1)], &[1]));
    assert_eq!(told.call(&traced(LONG | 1, 2)), None);
    told.now += GRACE;
    let now = told.call(&traced(LONG | 1, 2)).unwrap();
    assert_eq!((now.owner, now.is_over), (again, false));
    told.end(again);
    told.now += GRACE;
    assert_eq!(told.call(&traced(LONG | 1, 2)), None);
    told.contexts.process_exit(PROCESS);
    assert_eq!(told.contexts.held(), 0);
}

#[test]
fn too_many_open_requests_are_silence_until_they_are_gone() {
    let mut told = Told::default();
    let all: Vec<Owner> = (0..MAX_OPEN as u128).map(|n| told.request(&traced(LONG | n, 1))).collect();
    assert!(told.call(&traced(LONG | 5, 2)).is_some() && !told.contexts.is_overfull());
    let beyond = told.request(&traced(LONG | 5, 1));
    assert!(told.call(&traced(LONG | 5, 2)).is_none() && told.contexts.is_overfull());
    assert!(told.call(&traced(LONG | 6, 2)).is_none());
    for owner in all {
        told.end(owner);
    }
    told.end(beyond);
    told.now += GRACE;
    let fresh = told.request(&traced(LONG | 5, 1));
    assert_eq!(told.call(&traced(LONG | 5, 2)).map(|carried| carried.owner), Some(fresh));
}

#[test]
fn memory_is_bounded() {
    let mut told = Told::default();
    for n in 0..50_000u64 {
        let request = told.request(&head(&[TraceContext::w3c(LONG | u128::from(n), n)], &[n, n << 32]));
        assert!(told.call(&head(&[], &[n << 16 | 1])).is_none());
        told.end(request);
        // A thousand are within the grace.
        told.now += GRACE / 1_000;
    }
    assert!(told.contexts.held() < 2_100 + 2 * MAX_USES, "{}", told.contexts.held());
    for tgid in 0..2 * MAX_PROCESSES as u32 {
        let owner = Owner(told.owners.insert(()));
        told.contexts.request(tgid, owner, Nanos(told.now), &traced(1, 1));
    }
    assert_eq!(told.contexts.processes.len(), MAX_PROCESSES);
    assert!(told.contexts.is_overfull());
}
