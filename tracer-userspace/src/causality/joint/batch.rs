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
    /// When it was handed over.
    pub woken: u64,
    /// In which turn of the waker's loop; 0: not known.
    pub waker_turn: u32,
    /// The connection of the call that was written, or whose response was read; 0: none.
    pub conn: u64,
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
            conn: 0,
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
    /// Its response began.
    pub answer: Option<Mark>,
    /// First byte of the request, ns.
    pub start: u64,
    /// Last byte of the response, ns; `u64::MAX` while it is open.
    pub end: u64,
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
        #[derive(Clone, Copy)]
        enum At {
            Read(usize),
            Got(usize),
            Answer(usize),
            Wrote(usize),
            Birth(usize),
        }
        let mut all: Vec<(u64, u8, At)> = Vec::with_capacity(2 * self.requests.len() + 2 * self.calls.len());
        for (i, request) in self.requests.iter().enumerate() {
            all.push((request.read.at, 0, At::Read(i)));
            all.extend(request.answer.map(|answer| (answer.at, 1, At::Answer(i))));
        }
        for (i, call) in self.calls.iter().enumerate() {
            if call.end != u64::MAX {
                all.push((call.got.at, 0, At::Got(i)));
            }
            all.push((call.wrote.at, 1, At::Wrote(i)));
            all.extend(call.birth.map(|birth| (birth.at, 1, At::Birth(i))));
        }
        all.sort_unstable_by_key(|(at, order, _)| (*at, *order));
        let readers: rustc_hash::FxHashSet<u32> =
            self.requests.iter().map(|request| request.read.tid).collect();
        let mut counts: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
        for (_, activates, place) in all {
            let mark = match place {
                At::Read(i) => self.requests.get_mut(i).map(|request| &mut request.read),
                At::Answer(i) => self.requests.get_mut(i).and_then(|request| request.answer.as_mut()),
                At::Got(i) => self.calls.get_mut(i).map(|call| &mut call.got),
                At::Wrote(i) => self.calls.get_mut(i).map(|call| &mut call.wrote),
                At::Birth(i) => self.calls.get_mut(i).and_then(|call| call.birth.as_mut()),
            };
            if let Some(mark) = mark {
                let count = counts.entry(mark.tid).or_default();
                *count += u32::from(activates == 0);
                mark.nth = *count;
                mark.worker = !readers.contains(&mark.tid);
            }
        }
    }
}
