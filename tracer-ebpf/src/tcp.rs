//! A TCP connection begins and ends.
//!
//! `sock:inet_sock_set_state` (Linux 4.16) tells of the beginning, in the thread that called connect, and that TCP is done with it.
//! A process may read after that what had arrived before: it had shut down its own side first, and the peer has answered
//! and closed; or the peer has reset the connection. Then it ends for us when the socket goes (`tcp:tcp_destroy_sock`, Linux 4.16).

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{raw_tracepoint, tracepoint};
use aya_ebpf::programs::{RawTracePointContext, TracePointContext};
use tracer_common::abi::{flag, mode, state};

use crate::conn::{create, finish, has_unread, now, stream_family};
use crate::maps::CONNS;
use crate::select::{mode_now, selected};

/// States of include/net/tcp_states.h.
const TCP_SYN_SENT: u64 = 2;
const TCP_SYN_RECV: u64 = 3;
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

/// Arguments: `struct sock *sk`. What is lost where it is left out is the room of one connection, until its memory is used again.
#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
pub fn tcp_destroy(ctx: RawTracePointContext) -> i32 {
    if mode_now() != mode::OFF {
        gone(ctx.arg(0));
    }
    0
}

#[inline(always)]
fn becomes(sk: u64, to: u64) {
    if to == TCP_SYN_SENT {
        began(sk);
    } else if to == TCP_SYN_RECV {
        // What lingers here is of another connection, whose end was missed.
        if has_lingered(sk) {
            gone(sk);
        }
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
    if has_unread(sk) {
        // SAFETY: an element of the table.
        unsafe { (*conn).state |= state::LINGERS };
        return;
    }
    finish(conn, sk);
}

#[inline(always)]
fn has_lingered(sk: u64) -> bool {
    // SAFETY: an element of the table.
    CONNS.get_ptr_mut(&sk).is_some_and(|conn| unsafe { (*conn).state } & state::LINGERS != 0)
}

#[inline(always)]
fn gone(sk: u64) {
    if let Some(conn) = CONNS.get_ptr_mut(&sk) {
        finish(conn, sk);
    }
}
