//! `sock:inet_sock_set_state` (Linux 4.16): a TCP connection begins (in the thread that called connect) and ends.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{raw_tracepoint, tracepoint};
use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use tracer_common::abi::{flag, mode, state};

use crate::conn::{create, now, stream_family};
use crate::maps::CONNS;
use crate::record;
use crate::select::{mode_now, selected};

/// States of include/net/tcp_states.h.
const TCP_SYN_SENT: u64 = 2;
const TCP_CLOSE: u64 = 7;

/// Arguments: `const struct sock *sk, const int oldstate, const int newstate`.
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn tcp_state(ctx: RawTracePointContext) -> i32 {
    becomes(ctx.arg(0), ctx.arg::<u64>(2) & 0xff);
    0
}

/// The trace event's record, as far as it is used (include/trace/events/sock.h). Userspace compares it with the kernel's
/// description before the program is used.
#[repr(C)]
struct SetState {
    /// Not for programs.
    common: u64,
    sk: u64,
    old: i32,
    new: i32,
}

/// The same on the trace event, beside `tcp_state`, where that can be interrupted by another task. Both may run for one
/// change, one right after the other: the second finds nothing left to do.
#[tracepoint(category = "sock", name = "inet_sock_set_state")]
pub fn event_state(ctx: TracePointContext) -> u32 {
    // SAFETY: the kernel hands such a record to a program on this event.
    let (sk, to) = unsafe {
        let record = ctx.as_ptr().cast::<SetState>();
        ((*record).sk, (*record).new)
    };
    becomes(sk, to as u64);
    0
}

#[inline(always)]
fn becomes(sk: u64, to: u64) {
    if to == TCP_SYN_SENT {
        began(sk);
    } else if to == TCP_CLOSE && mode_now() != mode::OFF {
        ended(sk);
    }
}

/// The caller of connect is the current task: SYN_SENT is set inside the system call.
#[inline(always)]
fn began(sk: u64) {
    let Some(who) = selected() else { return };
    let Some(family) = stream_family(sk) else { return };
    let _ = create(sk, family, flag::BORN_HERE | flag::ACTIVE, who, now(), 0);
}

#[inline(always)]
fn ended(sk: u64) {
    let Some(conn) = CONNS.get_ptr_mut(&sk) else { return };
    // SAFETY: an element of the table.
    if unsafe { (*conn).state } & state::ANNOUNCED != 0 {
        record::close(conn, sk);
    }
    let _ = CONNS.remove(&sk);
}
