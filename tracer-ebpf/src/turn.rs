//! System calls that wait for descriptors: the beats of an event loop. What a loop does between two of them is one turn.
//!
//! They are counted on their way in where that can be hooked, and on their way out elsewhere. To the thread there is no difference: it
//! does nothing else between the two, so whatever it does afterwards finds the same number. On the way in nothing is kept
//! from being removed: a program at a function's entry is over before the function sleeps. A call that waits for nothing and
//! one that brings nothing count as well, because a loop passes on either.
//!
//! There is one program for each function, because a program on a function's entry belongs to that one. Which of these
//! programs are used is decided in userspace (`capture/evidence.rs`).

use aya_ebpf::macros::{fentry, kprobe, raw_tracepoint, tracepoint};
use aya_ebpf::programs::{FEntryContext, ProbeContext, RawTracePointContext, TracePointContext};

use crate::arch::{call_at, nr, number_at_exit};
use crate::select::selected;
use crate::thread;

#[inline(always)]
fn turned() {
    if let Some(who) = selected() {
        thread::turns(who);
    }
}

macro_rules! entry {
    ($name:ident, $function:literal) => {
        #[doc = concat!("The entry of ", $function, ".")]
        #[fentry(function = $function)]
        pub fn $name(_ctx: FEntryContext) -> i32 {
            turned();
            0
        }
    };
}

entry!(turn_epwait, "sys_epoll_wait");
entry!(turn_eppwait, "sys_epoll_pwait");
entry!(turn_eppwait2, "sys_epoll_pwait2");
entry!(turn_poll, "sys_poll");
entry!(turn_ppoll, "sys_ppoll");
entry!(turn_select, "sys_select");
entry!(turn_pselect, "sys_pselect6");
entry!(turn_uring, "sys_io_uring_enter");

/// The entries of all of them.
#[kprobe]
pub fn turn_call(_ctx: ProbeContext) -> u32 {
    turned();
    0
}

/// The trace events of their exits, which carry nothing that is needed.
#[tracepoint(category = "syscalls", name = "sys_exit_epoll_pwait")]
pub fn turn_event(_ctx: TracePointContext) -> u32 {
    turned();
    0
}

/// The exit of any system call: `struct pt_regs *regs, long ret`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn turn_exit(ctx: RawTracePointContext) -> i32 {
    let regs = ctx.arg(0);
    // The number first: it is cheap to read, and seldom one of these.
    if nr::waits(number_at_exit(regs)) && nr::waits(call_at(regs).number) {
        turned();
    }
    0
}
