//! `sock:sock_send_length` and `sock:sock_recv_length` (Linux 6.3, commit 6e6eda44b939): every call that moved bytes
//! through a socket, by whatever system call, with the socket in hand and after the copy. Unrelated system calls pay
//! nothing. The user's buffer is found through the task's saved registers, which still hold the call's arguments.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

use crate::flow::Turn;
use crate::returned::{received, sent};

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub fn sock_send(ctx: RawTracePointContext) -> i32 {
    sent(ctx.arg(0), ctx.arg(1), Turn::First)
}

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub fn sock_recv(ctx: RawTracePointContext) -> i32 {
    received(ctx.arg(0), ctx.arg(1), ctx.arg(2), Turn::First)
}

/// As `sock_send`, attached behind it where tracepoints can be interrupted.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub fn sock_send_2(ctx: RawTracePointContext) -> i32 {
    sent(ctx.arg(0), ctx.arg(1), Turn::Second)
}

/// As `sock_recv`, attached behind it where tracepoints can be interrupted.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub fn sock_recv_2(ctx: RawTracePointContext) -> i32 {
    received(ctx.arg(0), ctx.arg(1), ctx.arg(2), Turn::Second)
}
