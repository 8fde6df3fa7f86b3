//! A program that is never attached: userspace runs it (BPF_PROG_TEST_RUN, raw tracepoints since Linux 5.10) to say what is to
//! be captured of a connection from now on. Writing into the table from outside would overwrite counts that the other
//! programs move meanwhile.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::abi::proto;

use crate::maps::CONNS;

/// Arguments: the address of the `struct sock`, when it was first seen, one of `abi::proto`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn interest(ctx: RawTracePointContext) -> i32 {
    let sk: u64 = ctx.arg(0);
    let born: u64 = ctx.arg(1);
    let wanted: u64 = ctx.arg(2);
    let Some(conn) = CONNS.get_ptr_mut(&sk) else { return 0 };
    // SAFETY: an element of the table: memory of this layout for as long as the program runs. The fields are hints that
    // other processors read whole.
    unsafe {
        if (*conn).born == born && (*conn).proto != proto::IGNORED {
            (*conn).proto = wanted as u8;
            (*conn).rx_want = 0;
            (*conn).tx_want = 0;
        }
    }
    0
}
