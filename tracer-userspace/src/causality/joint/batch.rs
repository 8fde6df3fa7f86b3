//! What the joint assignment works on: the requests and calls of one process over a stretch of time.
//!
//! A call or an answer is an *action*: something made a thread write it. What made it is an *activation*: a request that
//! was read, or the response to a call. Whose work an action is follows from which activation led to it, so both carry
//! a [`Mark`]: when, on which thread, in which turn of its loop.

use crate::arena::Key;
use crate::event::{Mover, Stamp};
use crate::time::Nanos;

/// Where and when a thread did something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: u64,
    /// Thread; 0: not known.
    pub tid: u32,
    /// Turn of the thread's loop; 0: not known.
    pub turn: u32,
    /// Thread that had handed something to this one; 0: none, or not known.
    pub waker: u32,
    /// Activations on the thread until now (counted within the batch).
    pub nth: u32,
    /// Requests among them.
    pub reads: u32,
    /// When it was handed over.
    pub woken: u64,
    /// Requests that the waker had read until then (counted within the batch); 0: none, or nothing is to be seen from it.
    pub woken_reads: u32,
    /// The thread has acted since: what was handed over is done, and this is something else.
    pub stale: bool,
    /// In which turn of the waker's loop; 0: not known.
    pub waker_turn: u32,
    /// The thread reads no requests, while others do: a worker. What it does next is whatever job it is given next.
    pub worker: bool,
}

impl Mark {
    /// Of a message that a thread moved.
    pub fn of(stamp: Stamp) -> Mark {
        let scene = stamp.scene;
        Mark {
            at: stamp.at.0,
            tid: stamp.tid,
            turn: scene.turn,
            waker: scene.waker,
            woken: scene.woken.0,
            waker_turn: scene.waker_turn,
            nth: 0,
            reads: 0,
            woken_reads: 0,
            stale: false,
            worker: false,
        }
    }

    /// Of the last byte of a message.
    pub fn end(at: Nanos, by: Mover) -> Mark {
        Mark { at: at.0, tid: by.tid, turn: by.turn, ..Mark::default() }
    }
}

/// A request that the process served.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its span.
    pub span: Key,
    /// What kind of request ([`super::symbols`]).
    pub op: u8,
    /// Its head was read.
    pub read: Mark,
    /// The last of its body was, by a later call: most servers begin their work then.
    pub fed: Option<Mark>,
    /// Its response began.
    pub answer: Option<Mark>,
    /// First byte of the request, ns.
    pub start: u64,
    /// Last byte of the response, ns; `u64::MAX` while it is open.
    pub end: u64,
}

impl Request {
    /// What its work begins with.
    pub fn begun(&self) -> &Mark {
        self.fed.as_ref().unwrap_or(&self.read)
    }
}

/// Whose a call is, before the assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// This request's: index into [`Batch::requests`].
    Fixed(u32),
    /// To be found.
    Open,
}

/// A call that the process made.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its span.
    pub span: Key,
    /// What kind of call.
    pub op: u8,
    /// Its head was written.
    pub wrote: Mark,
    /// Its response was read to the end.
    pub got: Mark,
    /// First byte of the request, ns.
    pub start: u64,
    /// Last byte of the response, ns.
    pub end: u64,
    /// It is the first on its connection, which was opened then.
    pub birth: Option<Mark>,
    /// Whose.
    pub given: Given,
}

/// A stretch of one process's work. Both lists are in the order of `start`.
#[derive(Debug, Default)]
pub struct Batch {
    /// What it served.
    pub requests: Vec<Request>,
    /// What it called.
    pub calls: Vec<Call>,
}

impl Batch {
    /// Numbers the activations of each thread, so that it can be told how many lie between an activation and an action.
    pub fn number(&mut self) {
        /// Requests that were read, responses that were, actions, and hand-overs to them.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        enum At {
            Read(usize),
            Fed(usize),
            Got(usize),
            Answer(usize),
            Wrote(usize),
            Birth(usize),
            WokenToAnswer(usize),
            WokenToWrite(usize),
        }
        let mut all: Vec<(u64, At)> = Vec::with_capacity(3 * self.requests.len() + 3 * self.calls.len());
        for (i, request) in self.requests.iter().enumerate() {
            all.push((request.read.at, At::Read(i)));
            all.extend(request.fed.map(|fed| (fed.at, At::Fed(i))));
            if let Some(answer) = request.answer {
                all.push((answer.at, At::Answer(i)));
                all.extend((answer.waker != 0).then_some((answer.woken, At::WokenToAnswer(i))));
            }
        }
        for (i, call) in self.calls.iter().enumerate() {
            if call.end != u64::MAX {
                all.push((call.got.at, At::Got(i)));
            }
            all.push((call.wrote.at, At::Wrote(i)));
            all.extend((call.wrote.waker != 0).then_some((call.wrote.woken, At::WokenToWrite(i))));
            all.extend(call.birth.map(|birth| (birth.at, At::Birth(i))));
        }
        // Of things at one time, activations first.
        all.sort_unstable();
        let readers: rustc_hash::FxHashSet<u32> =
            self.requests.iter().map(|request| request.read.tid).collect();
        // By thread: activations, and requests among them.
        let mut counts: rustc_hash::FxHashMap<u32, (u32, u32)> = rustc_hash::FxHashMap::default();
        // By thread: when it acted last.
        let mut acted: rustc_hash::FxHashMap<u32, u64> = rustc_hash::FxHashMap::default();
        for (_, place) in all {
            let mark = match place {
                At::Read(i) => self.requests.get_mut(i).map(|request| &mut request.read),
                At::Fed(i) => self.requests.get_mut(i).and_then(|request| request.fed.as_mut()),
                At::Answer(i) | At::WokenToAnswer(i) => {
                    self.requests.get_mut(i).and_then(|request| request.answer.as_mut())
                }
                At::Got(i) => self.calls.get_mut(i).map(|call| &mut call.got),
                At::Wrote(i) | At::WokenToWrite(i) => self.calls.get_mut(i).map(|call| &mut call.wrote),
                At::Birth(i) => self.calls.get_mut(i).and_then(|call| call.birth.as_mut()),
            };
            let Some(mark) = mark else { continue };
            if matches!(place, At::WokenToAnswer(_) | At::WokenToWrite(_)) {
                // Where one thread reads all requests, who asked says nothing.
                mark.woken_reads = match counts.get(&mark.waker) {
                    Some((_, reads)) if readers.len() > 1 => *reads,
                    _ => 0,
                };
                continue;
            }
            let (nth, reads) = counts.entry(mark.tid).or_default();
            *nth += u32::from(matches!(place, At::Read(_) | At::Fed(_) | At::Got(_)));
            *reads += u32::from(matches!(place, At::Read(_)));
            (mark.nth, mark.reads) = (*nth, *reads);
            mark.worker = !readers.contains(&mark.tid);
            if matches!(place, At::Wrote(_) | At::Answer(_)) {
                mark.stale = acted.insert(mark.tid, mark.at).is_some_and(|at| at > mark.woken);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::Arena;

    fn mark(at: u64, turn: u32) -> Mark {
        Mark { at, tid: 1, turn, ..Mark::default() }
    }

    /// Two requests read in one turn, whose bodies come in later ones, the second one's first.
    #[test]
    fn a_body_that_comes_later_is_an_activation_and_no_request() {
        let mut arena = Arena::<()>::default();
        let mut request = |read: u64, fed: Option<Mark>| Request {
            span: arena.insert(()),
            op: 0,
            read: mark(read, 7),
            fed,
            answer: None,
            start: read,
            end: 100,
        };
        let requests =
            vec![request(10, Some(mark(40, 9))), request(11, Some(mark(30, 8))), request(50, None)];
        let mut batch = Batch { requests, calls: Vec::new() };
        batch.number();
        let [one, two, three] = &batch.requests[..] else { panic!() };
        assert_eq!([one.begun(), two.begun(), three.begun()].map(|mark| mark.at), [40, 30, 50]);
        assert_eq!([one.begun(), two.begun(), three.begun()].map(|mark| mark.nth), [4, 3, 5]);
        assert_eq!([one.read.reads, two.read.reads, three.read.reads], [1, 2, 3]);
    }

    #[test]
    fn a_call_follows_the_body_if_that_was_there_by_then() {
        let mut arena = Arena::<()>::default();
        let (read, fed) = (mark(10, 7), mark(40, 9));
        let span = arena.insert(());
        let request = Request { span, op: 0, read, fed: Some(fed), answer: None, start: 10, end: 100 };
        let mut call = |start: u64| Call {
            span: arena.insert(()),
            op: 0,
            wrote: mark(start, 9),
            got: mark(90, 12),
            start,
            end: 90,
            birth: None,
            given: Given::Open,
        };
        let batch = Batch { requests: vec![request], calls: vec![call(20), call(41)] };
        use crate::causality::joint::chain::{Walk, Way};
        let walk = Walk::new(&batch, &batch.requests[0]);
        let from = |kid: u32| walk.to_call(&[], kid).map(|step| (step.from.at, step.gap, step.way));
        assert_eq!(from(0), Some((10, 10, Way::Among)), "passed on while the body came");
        assert_eq!(from(1), Some((40, 1, Way::After)));
    }
}
