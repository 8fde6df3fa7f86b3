use super::super::batch::{Given, Mark, Request};
use super::*;
use crate::arena::{Arena, Key};

const READER: u32 = 1;

/// Work that is put together in any order; a call or request stands in the batch in the order of its beginning.
struct Work {
    arena: Arena<()>,
    requests: Vec<Request>,
    calls: Vec<(u64, Call, usize)>,
}

impl Work {
    fn new() -> Work {
        Work { arena: Arena::default(), requests: Vec::new(), calls: Vec::new() }
    }

    fn span(&mut self) -> Key {
        self.arena.insert(())
    }

    fn request(&mut self, reader: u32, read: u64, writer: u32, answered: u64) -> usize {
        let mark = |tid: u32, at: u64| Mark { at, tid, ..Mark::default() };
        let request = Request {
            span: self.span(),
            op: 0,
            read: mark(reader, read),
            fed: None,
            answer: Some(mark(writer, answered)),
            start: read,
            end: answered + 1,
        };
        self.requests.push(request);
        self.requests.len() - 1
    }

    fn call(&mut self, op: u8, (wrote, start): (Mark, u64), end: u64, of: usize) {
        let wrote = Mark { at: start, ..wrote };
        let got = Mark { at: end, tid: wrote.tid, ..Mark::default() };
        let span = self.span();
        let call = Call { span, op, wrote, got, start, end, birth: None, given: Given::Open };
        self.calls.push((start, call, of));
    }

    /// The batch, and for each of its calls whose it is in truth.
    fn batch(mut self) -> (Batch, Vec<u32>) {
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        order.sort_by_key(|at| self.requests[*at].start);
        self.calls.sort_by_key(|(start, ..)| *start);
        let place = |of: usize| order.iter().position(|at| *at == of).unwrap() as u32;
        let truth = self.calls.iter().map(|(_, _, of)| place(*of)).collect();
        let requests = order.iter().map(|at| self.requests[*at]).collect();
        (Batch { requests, calls: self.calls.into_iter().map(|(_, call, _)| call).collect() }, truth)
    }
}

fn by(tid: u32) -> Mark {
    Mark { tid, ..Mark::default() }
}

/// A reactor reads 60 requests, one each 100; three threads serve them, each with two calls.
fn pool() -> Work {
    let mut work = Work::new();
    for number in 0..60u64 {
        let (tid, from) = (2 + (number % 3) as u32, 1_000 + number * 100);
        let of = work.request(READER, from, tid, from + 290);
        work.call(0, (by(tid), from + 20), from + 100, of);
        work.call(1, (by(tid), from + 120), from + 280, of);
    }
    work
}

fn parents(found: &[Tenure]) -> Vec<Option<u32>> {
    let parent = |tenure: &Tenure| match tenure {
        Tenure::Of(request, _) => Some(*request),
        Tenure::Unknown | Tenure::Doubtful => None,
    };
    found.iter().map(parent).collect()
}

fn all(truth: &[u32]) -> Vec<Option<u32>> {
    truth.iter().copied().map(Some).collect()
}

#[test]
fn who_answers_was_at_work_on_it_whoever_had_read_it() {
    let (batch, truth) = pool().batch();
    let found = find(&batch, &mut Shown::default(), |_| true);
    assert_eq!(parents(&found), all(&truth));
    assert!(found.iter().all(|one| *one != Tenure::Unknown));
    // What only one request could have made shows nothing.
    let found = find(&batch, &mut Shown::default(), |_| false);
    assert!(found.iter().all(|one| *one == Tenure::Unknown));
}

#[test]
fn what_was_shown_once_holds_for_the_next_few_calls() {
    let mut shown = Shown::default();
    find(&pool().batch().0, &mut shown, |_| true);
    let mut work = Work::new();
    let of = work.request(READER, 100_000, 2, 101_000);
    work.call(0, (by(2), 100_100), 100_900, of);
    // Nothing was answered since.
    work.call(0, (by(2), 101_100), 101_900, of);
    let (batch, _) = work.batch();
    assert_eq!(parents(&find(&batch, &mut shown, |_| true)), [Some(0), None]);
    assert_eq!(parents(&find(&batch, &mut Shown::default(), |_| true)), [None, None]);
}

#[test]
fn of_a_thread_that_does_something_else_meanwhile_nothing_is_said() {
    let mut work = Work::new();
    for number in 0..60u64 {
        let from = 1_000 + number * 100;
        let of = work.request(READER, from, READER, from + 290);
        work.call(0, (by(READER), from + 20), from + 100, of);
        work.call(1, (by(READER), from + 120), from + 280, of);
    }
    let (batch, _) = work.batch();
    let mut shown = Shown::default();
    assert!(find(&batch, &mut shown, |_| true).iter().all(|one| *one == Tenure::Unknown));
    assert!(!shown.is_in_turn() && !shown.own_calls(), "{shown:?}");
}

/// Two jobs for each request, one with each call, the second of which answers, on whichever thread is free.
#[test]
fn of_jobs_that_any_thread_takes_nothing_is_said() {
    let mut work = Work::new();
    let mut random = crate::random::Random::new(7);
    // All requests were there before; each time slot, each of three threads takes a job.
    let requests: Vec<usize> = (0..60).map(|number| work.request(READER, number, 0, 1_000_000)).collect();
    let mut jobs: Vec<(usize, bool)> = requests.iter().map(|of| (*of, false)).collect();
    let mut at = 1_000;
    while !jobs.is_empty() {
        for tid in 2..5 {
            if jobs.is_empty() {
                break;
            }
            let (of, second) = jobs.remove(random.below(jobs.len()));
            work.call(u8::from(second), (by(tid), at + 10), at + 80, of);
            if second {
                let request = &mut work.requests[of];
                request.answer = Some(Mark { at: at + 90, tid, ..Mark::default() });
                request.end = at + 95;
            } else {
                jobs.push((of, true));
            }
        }
        at += 100;
    }
    let (batch, _) = work.batch();
    let mut shown = Shown::default();
    let found = find(&batch, &mut shown, |_| true);
    assert_eq!(shown.own.good, shown.own.all, "each answer was of a request that was there: {shown:?}");
    assert!(found.iter().all(|one| *one == Tenure::Unknown), "{shown:?}");
}

/// Each of 60 requests is served by a thread that wakes two others for its calls.
fn fan(stray: impl Fn(u64, u8) -> Option<u64>) -> Work {
    let mut work = Work::new();
    for number in 0..60u64 {
        let (tid, from) = (2 + (number % 3) as u32, 1_000 + number * 100);
        let of = work.request(tid, from, tid, from + 290);
        for op in 0..2u8 {
            let (waker, woken) = match stray(number, op) {
                Some(other) => (2 + (other % 3) as u32, 1_000 + other * 100 + 12),
                None => (tid, from + 10 + u64::from(op)),
            };
            let wrote = Mark { waker, woken, ..by(100 + 2 * number as u32 + u32::from(op)) };
            work.call(op, (wrote, from + 20 + u64::from(op)), from + 120, of);
        }
    }
    work
}

#[test]
fn who_had_it_made_is_who_answers_next() {
    let (batch, truth) = fan(|_, _| None).batch();
    let found = find(&batch, &mut Shown::default(), |_| true);
    assert_eq!(parents(&found), all(&truth));
    let wake = EvidenceSet::from(Evidence::Wake).with(Evidence::Answer);
    assert!(found.iter().all(|one| matches!(one, Tenure::Of(_, evidence) if *evidence == wake)));
}

#[test]
fn of_two_calls_of_a_kind_where_there_should_be_one_none_is_told() {
    // The first call of the request before was woken by this one's thread.
    let (batch, truth) = fan(|number, op| (number == 30 && op == 0).then_some(31)).batch();
    let found = find(&batch, &mut Shown::default(), |_| true);
    let doubtful: Vec<usize> = (0..found.len()).filter(|at| found[*at] == Tenure::Doubtful).collect();
    assert_eq!(
        doubtful.iter().map(|at| (truth[*at], batch.calls[*at].op)).collect::<Vec<_>>(),
        [(30, 0), (31, 0)]
    );
    let rest = found.iter().zip(&truth).filter(|(one, _)| **one != Tenure::Doubtful);
    assert!(
        rest.clone().count() == 118
            && rest.clone().all(|(one, of)| matches!(one, Tenure::Of(is, _) if is == of))
    );
}

#[test]
fn what_had_connected_before_it_was_woken_was_at_work_already() {
    let (mut batch, _) = fan(|_, _| None).batch();
    let call = &mut batch.calls[40];
    call.birth = Some(Mark { at: call.wrote.woken - 1, ..by(call.wrote.tid) });
    let later = &mut batch.calls[50];
    later.birth = Some(Mark { at: later.wrote.woken + 1, ..by(later.wrote.tid) });
    let found = find(&batch, &mut Shown::default(), |_| true);
    assert_eq!(found[40], Tenure::Unknown);
    assert_ne!(found[50], Tenure::Unknown);
}

#[test]
fn where_wakes_often_mislead_they_are_not_believed() {
    let (batch, _) = fan(|number, op| (number % 4 == 1 && op == 0 && number > 8).then(|| number - 8)).batch();
    let mut shown = Shown::default();
    let found = find(&batch, &mut shown, |_| true);
    assert!(found.iter().all(|one| *one == Tenure::Unknown), "{shown:?}");
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut shown = Shown::default();
    let (batch, _) = pool().batch();
    (0..2_000).for_each(|_| drop(find(&batch, &mut shown, |_| true)));
    assert!(shown.own.all <= MEMORY && shown.own_evenness.mean <= 2.0 * MEMORY, "{shown:?}");
    assert!(shown.own_calls());
}
