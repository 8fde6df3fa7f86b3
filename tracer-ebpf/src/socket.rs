//! `sock:sock_send_length` and `sock:sock_recv_length` (Linux 6.3, commit 6e6eda44b939): every call that moved bytes
//! through a socket, by whatever system call, with the socket in hand and after the copy. Unrelated system calls pay
//! nothing. The user's buffer is found through the task's saved registers, which still hold the call's arguments.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::abi::dir;

use crate::arch::current_call;
use crate::buffer::{self, Kind};
use crate::flow::{Moved, moved};
use crate::select::selected;

const MSG_PEEK: u64 = 0x2;

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_send_length")]
pub fn sock_send(ctx: RawTracePointContext) -> i32 {
    let ret: i32 = ctx.arg(1);
    if ret <= 0 {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let call = current_call().filter(|call| buffer::kind(call) == Kind::Send);
    moved(&Moved { sk: ctx.arg(0), dir: dir::TX, len: ret as u32, who, call, fd_known: false, slot: 0 });
    0
}

/// Arguments: `struct sock *sk, int ret, int flags`.
#[raw_tracepoint(tracepoint = "sock_recv_length")]
pub fn sock_recv(ctx: RawTracePointContext) -> i32 {
    let ret: i32 = ctx.arg(1);
    if ret <= 0 || ctx.arg::<u64>(2) & MSG_PEEK != 0 {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let call =
        current_call().filter(|call| buffer::kind(call) == Kind::Receive && !buffer::only_peeked(call));
    moved(&Moved { sk: ctx.arg(0), dir: dir::RX, len: ret as u32, who, call, fd_known: false, slot: 1 });
    0
}
