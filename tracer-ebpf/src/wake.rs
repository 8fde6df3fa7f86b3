//! `sched:sched_waking`: one thread hands work to another by waking it.
//!
//! Most wakes hand over nothing: locks, timers, data that arrived. A wake counts here if
//!
//! * the waker is in a system call by which threads wake each other: a futex, or a write into an eventfd, a pipe or a unix
//!   socket. A write into an internet socket is none: on the same host it wakes whoever reads the other end;
//! * the thread that is woken belongs to the same process, and waits where that call could wake it: on the same futex, or in a call on
//!   descriptors. This also leaves out what an interrupt wakes in the middle of the waker's call;
//! * what it waits on is no lock. A lock looks like this: the contended state of a mutex (glibc's, 2) in a plain wait; or a
//!   wait of a few milliseconds at most, after which it would look for itself (CPython's global lock: 5 ms);
//! * the waker has something that the other one may not have: a request that it has read and not answered; a request or a
//!   response that it has read since the other one last did; or what it was itself handed and has moved no bytes for.
//!
//! In the last case it passes on who handed it that: a thread that takes a job from a queue often wakes the next one that waits
//! there, and has nothing to do with that one's job.
//!
//! A thread keeps **the first** such wake since it last moved bytes itself: on the way from getting a job to its first call it may
//! wait for more (a pooled connection, a lock that does not look like one), and who lets it go on then is a stranger to
//! the job. A later one takes its place
//!
//! * if the thread waited in the same place again: it had been woken for nothing, because another one was faster;
//! * if the waker has read a *request* after that wake: the earlier job moved no bytes at all, and this is another one;
//! * if the kept one is weak: neither waker nor woken had a request to answer.
//!
//! Once the thread has moved bytes, the next wake is a new one. What was kept stays for all calls until then, with its time:
//! it is for userspace to say what it is worth.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

use crate::arch::{Call, call_of, current_call, nr};
use crate::buffer::sock_of_fd;
use crate::conn::{AF_INET, AF_INET6, now};
use crate::kernel::{read_kernel, read_user};
use crate::maps::Thread;
use crate::select::{Who, selected};
use crate::settings::{config, offset};
use crate::thread;

/// Operations of futex(2) (include/uapi/linux/futex.h), without their flags.
const FUTEX_WAIT: u64 = 0;
const FUTEX_WAIT_BITSET: u64 = 9;
const FUTEX_COMMANDS: u64 = 0x7f;
const FUTEX_CLOCK_REALTIME: u64 = 0x100;
/// What a mutex of glibc is when others wait for it (nptl/lowlevellock.h).
const CONTENDED: u64 = 2;
/// No futex is there: the place of threads that wait in a call on descriptors, and of those that are not waiting.
pub const DESCRIPTORS: u64 = 1;
const NOWHERE: u64 = 2;
/// A wait that ends by itself so soon, in ns, is a look from time to time.
const A_LOOK: u64 = 50_000_000;

/// Arguments: `struct task_struct *p`.
#[raw_tracepoint(tracepoint = "sched_waking")]
pub fn waking(ctx: RawTracePointContext) -> i32 {
    let Some(waker) = selected() else { return 0 };
    let Some(from) = thread::known(waker.tid) else { return 0 };
    if !has_something(from) {
        return 0;
    }
    let task: u64 = ctx.arg(0);
    if read_kernel::<u32>(task + offset!(task_tgid)) != Some(waker.tgid) {
        return 0;
    }
    let call = current_call();
    if !wakes_threads(&call) {
        return 0;
    }
    let Some(tid) = read_kernel::<u32>(task + offset!(task_pid)) else { return 0 };
    if tid == waker.tid || !waits_for_work(&call, &call_of(task)) {
        return 0;
    }
    let Some(to) = thread::entry(tid) else { return 0 };
    hand_over(waker, from, tid, to, if call.number == nr::FUTEX { call.fd } else { DESCRIPTORS });
    0
}

/// A thread was created: what its creator had to do is handed to it.
#[inline(always)]
pub fn created(creator: Who, new: Who) {
    if config!(evidence) == 0 {
        return;
    }
    // Its number may have been another's, whose end was missed.
    thread::ends(new);
    let Some(from) = thread::known(creator.tid) else { return };
    if !has_something(from) {
        return;
    }
    let Some(to) = thread::entry(new.tid) else { return };
    hand_over(creator, from, new.tid, to, NOWHERE);
}

/// Most threads have never read a message, nor were they handed anything.
#[inline(always)]
fn has_something(thread: *const Thread) -> bool {
    // SAFETY: fields of a map value.
    unsafe { (*thread).fed | (*thread).woken != 0 }
}

#[inline(always)]
fn hand_over(waker: Who, from: *mut Thread, woken: u32, to: *mut Thread, place: u64) {
    // SAFETY: fields of map values. Two wakers may come at once: one of them stays.
    unsafe {
        let owes = (*from).open > 0;
        let passes_on = !owes && (*from).woken > (*from).moved;
        if !owes && !passes_on && (*from).fed <= (*to).fed {
            return;
        }
        if passes_on && (*from).waker == woken {
            return; // its own work comes back
        }
        let is_first = (*to).woken <= (*to).moved;
        let is_kept = (*to).place != place && (*to).weak == 0 && (*from).asked <= (*to).woken;
        if !is_first && is_kept {
            return;
        }
        (*to).waker = if passes_on { (*from).waker } else { waker.tid };
        (*to).waker_turn = if passes_on { (*from).waker_turn } else { (*from).turn };
        (*to).woken = now();
        (*to).place = place;
        (*to).weak = if !owes && (*to).open == 0 { 1 } else { 0 };
    }
}

/// Whether threads wake each other by this call.
#[inline(always)]
fn wakes_threads(call: &Call) -> bool {
    let n = call.number;
    if n == nr::FUTEX {
        return true;
    }
    if n != nr::WRITE && n != nr::WRITEV && n != nr::SENDTO && n != nr::SENDMSG {
        return false;
    }
    let sk = sock_of_fd(call.fd);
    if sk == 0 {
        return true; // an eventfd or a pipe
    }
    match read_kernel::<u16>(sk + offset!(sk_family)) {
        Some(family) => family != AF_INET && family != AF_INET6,
        None => false,
    }
}

/// Whether a thread in this call waits for what the waker's call brings, and not for a lock.
#[inline(always)]
fn waits_for_work(waker: &Call, waits: &Call) -> bool {
    if waker.number != nr::FUTEX {
        return waits.number != nr::FUTEX;
    }
    if waits.number != nr::FUTEX || waits.fd != waker.fd {
        return false;
    }
    let command = waits.second & FUTEX_COMMANDS;
    if command == FUTEX_WAIT && waits.third & 0xffff_ffff == CONTENDED {
        return false;
    }
    if waits.fourth == 0 {
        return true;
    }
    // Both threads have the same memory.
    let Some(limit) = read_user::<[u64; 2]>(waits.fourth) else { return true };
    let limit = limit[0].wrapping_mul(1_000_000_000).wrapping_add(limit[1]);
    if command == FUTEX_WAIT {
        return limit > A_LOOK;
    }
    // A moment, by the clock that is used here or by the time of day, which a probe cannot read.
    command != FUTEX_WAIT_BITSET
        || waits.second & FUTEX_CLOCK_REALTIME != 0
        || limit > now().wrapping_add(A_LOOK)
}
