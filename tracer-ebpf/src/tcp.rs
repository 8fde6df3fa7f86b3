//! `sock:inet_sock_set_state` (Linux 4.16): a TCP connection begins (in the thread that called connect) and ends.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
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
    let to = ctx.arg::<u64>(2) & 0xff;
    if to == TCP_SYN_SENT {
        began(ctx.arg(0));
    } else if to == TCP_CLOSE && mode_now() != mode::OFF {
        ended(ctx.arg(0));
    }
    0
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
