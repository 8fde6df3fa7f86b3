//! `raw_syscalls:sys_exit`: the same events where the socket tracepoints do not exist (before Linux 6.3). The saved
//! registers still hold the arguments at exit, so no state is kept from entry. Costs every system call of the host a
//! little, which is why it is the fallback.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::abi::dir;

use crate::arch::{Call, call_at, nr};
use crate::buffer::{self, Kind};
use crate::datagram;
use crate::flow::{Moved, moved};
use crate::select::selected;
use crate::settings::config;
use crate::thread;

/// Arguments: `struct pt_regs *regs, long ret`.
#[raw_tracepoint(tracepoint = "sys_exit")]
#[inline(always)]
pub fn sys_exit(ctx: RawTracePointContext) -> i32 {
    let ret: i64 = ctx.arg(1);
    let counts_turns = config!(turns_at_exit) != 0;
    if ret == -datagram::ECONNREFUSED {
        refused(&call_at(ctx.arg(0)));
    }
    if ret <= 0 && !counts_turns {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let mut call = call_at(ctx.arg(0));
    if counts_turns && nr::waits(call.number) {
        thread::turns(who);
        return 0;
    }
    if ret <= 0 {
        return 0;
    }
    let kind = buffer::kind(&call);
    let which = match kind {
        Kind::Send | Kind::SendNoBuffer => dir::TX,
        Kind::Receive => dir::RX,
        Kind::Other => return 0,
    };
    if kind == Kind::Receive && buffer::only_peeked(&call) {
        return 0;
    }
    // splice names the descriptor it writes to third; the tracepoint arguments stop short of it being certain
    // which end is the socket, so both are tried.
    let mut sk = buffer::sock_of_fd(call.fd);
    if sk == 0 && kind == Kind::SendNoBuffer {
        sk = buffer::sock_of_fd(call.third);
    }
    if sk == 0 {
        return 0;
    }
    if nr::many(call.number) {
        // What it returns is their number. Streams are moved so by nobody.
        datagram::many(&Moved { sk, dir: which, len: ret as u32, who, call, fd_known: true });
        return 0;
    }
    if kind == Kind::SendNoBuffer {
        call = Call::NONE;
    }
    moved(&Moved { sk, dir: which, len: ret as u32, who, call, fd_known: true });
    0
}

/// A call failed because nobody takes what was sent before.
#[inline(always)]
fn refused(call: &Call) {
    if buffer::kind(call) == Kind::Receive {
        datagram::refused(buffer::sock_of_fd(call.fd));
    }
}
