//! `sock:sock_send_length` and `sock:sock_recv_length` (Linux 6.3, commit 6e6eda44b939): every call that moved bytes
//! through a socket, by whatever system call, with the socket in hand and after the copy. Unrelated system calls pay
//! nothing. The user's buffer is found through the task's saved registers, which still hold the call's arguments.
//!
//! There are two ways to be called. A raw tracepoint costs less. But since Linux 7.0 tasks can be switched inside of it,
//! and the kernel leaves a program out that it has interrupted on the same processor: calls would be missed. A program
//! on the trace event of the same name cannot be interrupted that way (commit 16718274ee75: perf's callbacks, which run
//! it, disable preemption), so there it is used instead.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{raw_tracepoint, tracepoint};
use aya_ebpf::programs::{RawTracePointContext, TracePointContext};

use crate::returned::{received, sent};

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_send_length")]
#[inline(always)]
pub fn sock_send(ctx: RawTracePointContext) -> i32 {
    sent(ctx.arg(0), ctx.arg(1))
}

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
#[inline(always)]
pub fn sock_recv(ctx: RawTracePointContext) -> i32 {
    received(ctx.arg(0), ctx.arg(1), ctx.arg(2))
}

/// The trace event's record (include/trace/events/sock.h, class `sock_msg_length`). Userspace compares it with the
/// kernel's description before the program is used.
#[repr(C)]
struct SockMsgLength {
    /// Not for programs.
    common: u64,
    sk: u64,
    family: u16,
    protocol: u16,
    ret: i32,
    flags: i32,
}

/// As `sock_send`, on the trace event.
#[tracepoint(category = "sock", name = "sock_send_length")]
#[inline(always)]
pub fn event_send(ctx: TracePointContext) -> u32 {
    // SAFETY: the kernel hands such a record to a program on this event.
    let (sk, ret) = unsafe {
        let record = ctx.as_ptr().cast::<SockMsgLength>();
        ((*record).sk, (*record).ret)
    };
    sent(sk, ret) as u32
}

/// As `sock_recv`, on the trace event.
#[tracepoint(category = "sock", name = "sock_recv_length")]
#[inline(always)]
pub fn event_recv(ctx: TracePointContext) -> u32 {
    // SAFETY: as for `event_send`.
    let (sk, ret, flags) = unsafe {
        let record = ctx.as_ptr().cast::<SockMsgLength>();
        ((*record).sk, (*record).ret, (*record).flags)
    };
    received(sk, ret, flags as u64) as u32
}
