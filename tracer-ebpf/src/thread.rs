//! What a thread was doing when it moved bytes: how often it had gone waiting for descriptors, and who had last handed it
//! something. Kept here, by thread, and read at the socket calls: no record of its own crosses the ring for it.

use tracer_common::abi::counter;

use crate::kernel::hidden;
use crate::maps::{THREADS, Thread, count};
use crate::select::Who;
use crate::settings::config;

/// A thread of which nothing is known.
const NOBODY: Thread = Thread {
    turn: 0,
    waker: 0,
    waker_turn: 0,
    open: 0,
    woken: 0,
    place: 0,
    moved: 0,
    fed: 0,
    asked: 0,
    weak: 0,
};

/// What the records say of a thread.
#[derive(Clone, Copy)]
pub struct Scene {
    /// How often it had gone waiting.
    pub turn: u32,
    /// Who handed it something last.
    pub waker: u32,
    /// How often that one had gone waiting then.
    pub waker_turn: u32,
    /// When.
    pub woken: u64,
}

/// What is known of a thread.
#[inline(always)]
pub fn known(tid: u32) -> Option<*mut Thread> {
    THREADS.get_ptr_mut(&tid)
}

/// What is known of a thread, which is nothing if it is new here.
#[inline(always)]
pub fn entry(tid: u32) -> Option<*mut Thread> {
    if let Some(thread) = known(tid) {
        return Some(thread);
    }
    if THREADS.insert(&tid, &NOBODY, 0).is_err() {
        count(counter::THREADS_FULL, 1);
        return None;
    }
    known(tid)
}

/// How often a thread went waiting.
#[inline(always)]
pub fn turn(who: Who) -> u32 {
    if config!(evidence) == 0 {
        return 0;
    }
    match known(who.tid) {
        // SAFETY: a field of a map value.
        Some(thread) => unsafe { (*thread).turn },
        None => 0,
    }
}

/// The current thread moves bytes of a connection.
#[inline(always)]
pub fn moves(who: Who, now: u64) -> Scene {
    let (mut turn, mut waker, mut waker_turn, mut woken) = (0, 0, 0, 0);
    if config!(evidence) != 0
        && let Some(thread) = known(who.tid)
    {
        // SAFETY: fields of a map value. Other threads may write the wake meanwhile; both its halves may then be of
        // different ones, as if one of them had come a moment later.
        unsafe {
            turn = (*thread).turn;
            waker = (*thread).waker;
            waker_turn = (*thread).waker_turn;
            woken = (*thread).woken;
            (*thread).moved = now;
        }
    }
    // The verifier would walk what follows once for a known thread and once for an unknown one.
    Scene {
        turn: hidden(turn as u64) as u32,
        waker: hidden(waker as u64) as u32,
        waker_turn: hidden(waker_turn as u64) as u32,
        woken: hidden(woken),
    }
}

/// The current thread has read a head, or part of it; `asked`: the beginning of a request's.
#[inline(always)]
pub fn reads(who: Who, now: u64, asked: bool) {
    if config!(evidence) == 0 {
        return;
    }
    let Some(thread) = entry(who.tid) else { return };
    // SAFETY: fields of a map value that only this thread writes.
    unsafe {
        (*thread).moved = now;
        (*thread).fed = now;
        if asked {
            (*thread).asked = now;
            (*thread).open = (*thread).open.wrapping_add(1);
        }
    }
}

/// The current thread begins to answer a request.
#[inline(always)]
pub fn answers(who: Who) {
    if config!(evidence) == 0 {
        return;
    }
    let Some(thread) = known(who.tid) else { return };
    // SAFETY: a field of a map value that only this thread writes.
    unsafe {
        if (*thread).open > 0 {
            (*thread).open -= 1;
        }
    }
}

/// The current thread goes waiting, or has come back: once for each time.
#[inline(always)]
pub fn turns(who: Who) {
    let Some(thread) = entry(who.tid) else { return };
    // SAFETY: a field of a map value that only this thread writes.
    unsafe { (*thread).turn = (*thread).turn.wrapping_add(1) };
}

/// The current thread ends.
#[inline(always)]
pub fn ends(who: Who) {
    if config!(evidence) != 0 {
        let _ = THREADS.remove(&who.tid);
    }
}
