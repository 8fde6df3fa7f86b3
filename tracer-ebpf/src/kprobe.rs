//! The same functions as in `fexit`, seen by kprobes at entry and kretprobes at return: for kernels without BTF or
//! without trampolines (arm64 before Linux 6.4).
//!
//! At return the arguments are gone, so the entry keeps the socket, by thread. The kernel prepares only a few returns
//! at once for each probe (on a host with few processors as few as one), and what does not fit it lets pass in silence.
//! A thread that enters again while its last entry is still kept has shown that its return was missed; that is counted
//! and told. Such a miss cannot shift the counts of a connection: they follow TCP's own numbers (`conn::sequence`).

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{kprobe, kretprobe};
use aya_ebpf::programs::{ProbeContext, RetProbeContext};
use tracer_common::abi::counter;

use crate::maps::{IN_CALL, InCall, count};
use crate::returned::{received, sent, sock_of};
use crate::select::selected;

/// `*_sendmsg(struct socket *, ...)`, `*_sendpage(struct socket *, ...)`
#[kprobe]
pub fn call_send(ctx: ProbeContext) -> u32 {
    entered(ctx.arg::<u64>(0).unwrap_or(0), 0);
    0
}

/// `*_recvmsg(struct socket *, struct msghdr *, size_t, int flags)`
#[kprobe]
pub fn call_recv(ctx: ProbeContext) -> u32 {
    entered(ctx.arg::<u64>(0).unwrap_or(0), ctx.arg::<u64>(3).unwrap_or(0));
    0
}

/// The return of what `call_send` saw.
#[kretprobe]
#[inline(always)]
pub fn ret_send(ctx: RetProbeContext) -> u32 {
    if let Some(call) = returned() {
        sent(call.sk, ctx.ret::<u64>() as i32);
    }
    0
}

/// The return of what `call_recv` saw.
#[kretprobe]
#[inline(always)]
pub fn ret_recv(ctx: RetProbeContext) -> u32 {
    if let Some(call) = returned() {
        received(call.sk, ctx.ret::<u64>() as i32, call.flags);
    }
    0
}

#[inline(always)]
fn thread() -> u64 {
    // SAFETY: no arguments, no conditions.
    unsafe { bpf_get_current_pid_tgid() }
}

#[inline(always)]
fn entered(socket: u64, flags: u64) {
    if selected().is_none() {
        return;
    }
    let thread = thread();
    if IN_CALL.get_ptr(&thread).is_some() {
        count(counter::MISSED_RETURNS, 1);
    }
    let _ = IN_CALL.insert(&thread, &InCall { sk: sock_of(socket), flags }, 0);
}

/// What the entry kept; it is forgotten.
#[inline(always)]
fn returned() -> Option<InCall> {
    let thread = thread();
    // SAFETY: an element of the table, copied at once; only this thread writes it.
    let call = unsafe { *IN_CALL.get_ptr(&thread)? };
    let _ = IN_CALL.remove(&thread);
    Some(call)
}
