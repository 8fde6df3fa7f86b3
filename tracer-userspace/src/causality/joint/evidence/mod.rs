//! What speaks for it that an activation led to an action, one module for each kind of evidence.
//!
//! A kind of evidence sorts a pair into one of a few bins and decides nothing. How much a bin speaks for a pair is
//! learned from the process itself ([`super::model`]): how often right pairs fall into it, against pairs at random. So a
//! signal that means nothing in a process (threads of a runtime that moves work about) weighs nothing there.

mod asked;
mod birth;
mod thread;
mod turns;
mod wake;

use super::batch::Mark;

/// The most bins of one kind.
pub const BINS: usize = 16;

/// An activation and an action that it may have led to.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The request whose activation it is, as it was read.
    pub root: &'a Mark,
    /// The activation.
    pub from: &'a Mark,
    /// The action.
    pub to: &'a Mark,
    /// When the action is the first call on a connection: when that was opened.
    pub birth: Option<&'a Mark>,
}

/// A kind of evidence.
pub trait Evidence: Sync {
    /// Which bin a pair falls into, below [`BINS`]; `None` if this kind has nothing to say about it.
    fn bin(&self, pair: &Pair<'_>) -> Option<u8>;
    /// The word in the output for a link that it spoke for.
    fn name(&self) -> crate::causality::Evidence;
}

/// All kinds. To add one, write its module and name it here.
pub static ALL: [&dyn Evidence; 5] =
    [&turns::Turns, &thread::Thread, &wake::Wake, &birth::Birth, &asked::Asked];

/// The places of [`wake`] and [`asked`] among them.
pub const WAKE: usize = 2;
pub const ASKED: usize = 4;

/// How many there are.
pub const COUNT: usize = ALL.len();

#[cfg(test)]
mod tests {
    use super::asked::Asked;
    use super::birth::Birth;
    use super::thread::Thread;
    use super::turns::Turns;
    use super::wake::Wake;
    use super::*;

    /// Read by thread 1, its second request; acted on by thread 2, which thread 1 had woken 50 us later.
    fn handed_over() -> (Mark, Mark) {
        let from = Mark { at: 1_000_000, tid: 1, nth: 4, reads: 2, ..Mark::default() };
        let to = Mark {
            at: 1_300_000,
            tid: 2,
            nth: 9,
            waker: 1,
            woken: 1_050_000,
            woken_reads: 2,
            ..Mark::default()
        };
        (from, to)
    }

    fn bin(kind: &dyn Evidence, from: &Mark, to: &Mark) -> Option<u8> {
        let bin = kind.bin(&Pair { root: from, from, to, birth: None });
        assert!(bin.is_none_or(|bin| usize::from(bin) < BINS));
        bin
    }

    #[test]
    fn who_asked_is_the_waker_that_had_read_this_request_last() {
        let (from, to) = handed_over();
        assert_eq!(bin(&Asked, &from, &to), Some(0));
        assert_eq!(bin(&Asked, &from, &Mark { woken_reads: 3, ..to }), Some(1), "it had read another since");
        assert_eq!(bin(&Asked, &Mark { reads: 3, ..from }, &to), Some(2), "it had not read this one yet");
        assert_eq!(bin(&Asked, &from, &Mark { waker: 7, ..to }), Some(3), "another thread");
    }

    #[test]
    fn who_asked_is_not_said_of_loops_old_wakes_and_the_thread_itself() {
        let (from, to) = handed_over();
        for silent in [
            Mark { waker: 0, ..to },
            Mark { waker_turn: 5, ..to },
            Mark { woken_reads: 0, ..to },
            Mark { stale: true, ..to },
            Mark { tid: 1, ..to },
        ] {
            assert_eq!(bin(&Asked, &from, &silent), None, "{silent:?}");
        }
        assert_eq!(bin(&Asked, &Mark { tid: 0, ..from }, &to), None);
    }

    #[test]
    fn a_wake_is_told_by_the_wakers_turns_or_else_by_the_time() {
        let (from, to) = handed_over();
        assert_eq!(bin(&Wake, &from, &to), Some(0));
        assert_eq!(bin(&Wake, &from, &Mark { woken: 2_500_000, ..to }), Some(1));
        assert_eq!(bin(&Wake, &from, &Mark { woken: 9_000_000, ..to }), Some(2));
        assert_eq!(bin(&Wake, &from, &Mark { woken: 999_999, ..to }), Some(3), "before it was read");
        assert_eq!(bin(&Wake, &from, &Mark { waker: 7, ..to }), Some(4));
        let (from, to) = (Mark { turn: 10, ..from }, Mark { waker_turn: 12, ..to });
        assert_eq!(bin(&Wake, &from, &to), Some(7));
        assert_eq!(bin(&Wake, &from, &Mark { waker_turn: 900, ..to }), Some(13));
        assert_eq!(bin(&Wake, &from, &Mark { waker_turn: 9, ..to }), Some(14));
        assert_eq!(bin(&Wake, &from, &Mark { waker: 0, ..to }), None);
    }

    #[test]
    fn turns_and_activations_are_counted_on_one_thread() {
        let from = Mark { tid: 1, turn: 7, nth: 3, ..Mark::default() };
        let to = Mark { tid: 1, turn: 9, nth: 5, ..Mark::default() };
        assert_eq!((bin(&Turns, &from, &to), bin(&Thread, &from, &to)), (Some(2), Some(2)));
        let other = Mark { tid: 2, ..to };
        assert_eq!((bin(&Turns, &from, &other), bin(&Thread, &from, &other)), (Some(15), Some(7)));
        assert_eq!(bin(&Turns, &from, &Mark { turn: 0, ..to }), None);
        assert_eq!(bin(&Thread, &Mark { worker: true, ..from }, &to), None);
    }

    #[test]
    fn a_connection_opened_before_is_somebody_elses() {
        let from = Mark { at: 100, tid: 1, turn: 7, nth: 3, ..Mark::default() };
        let birth =
            |birth: Mark| Birth.bin(&Pair { root: &from, from: &from, to: &from, birth: Some(&birth) });
        assert_eq!(birth(Mark { at: 99, ..from }), Some(8));
        assert_eq!(birth(Mark { at: 101, ..from }), Some(9));
        assert_eq!(birth(Mark { at: 101, turn: 8, nth: 4, ..from }), Some(1));
        assert_eq!(birth(Mark { at: 101, tid: 0, ..from }), None);
    }
}
