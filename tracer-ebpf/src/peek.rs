//! A program that is never attached: userspace runs it (BPF_PROG_TEST_RUN, raw tracepoints since Linux 5.10) to read
//! kernel memory at an address of its choice, while it looks where this kernel keeps the fields that the probes read.
//!
//! An object of its own, because all maps of an object are created when it is loaded, and this one is gone before the
//! probes record anything.
#![no_std]
#![no_main]
// Inline assembly for BPF is not stable yet; the probes are built with RUSTC_BOOTSTRAP anyway, for build-std.
#![feature(asm_experimental_arch)]

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel};
use aya_ebpf::macros::{map, raw_tracepoint};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::peek::{Answer, MAX_BYTES};

/// What the last run found: one element.
#[map]
static ANSWER: Array<Answer> = Array::with_max_entries(1, 0);

mod program {
    use super::*;

    /// Arguments: an address, a length.
    #[raw_tracepoint(tracepoint = "sys_exit")]
    pub fn peek(ctx: RawTracePointContext) -> i32 {
        let Some(answer) = ANSWER.get_ptr_mut(0) else { return 0 };
        let address: u64 = ctx.arg(0);
        let len: u64 = ctx.arg(1);
        let frame: u64;
        // SAFETY: a copy of the frame pointer, which lies on the task's kernel stack.
        unsafe { core::arch::asm!("{0} = r10", out(reg) frame, options(pure, nomem, nostack)) };
        let bounded: u64;
        // The mask must stay on the register that the verifier sees used.
        // SAFETY: a register move.
        unsafe {
            core::arch::asm!("{0} = {1}", out(reg) bounded, in(reg) len, options(pure, nomem, nostack))
        };
        let len = bounded & (2 * MAX_BYTES as u64 - 1);
        let len = if len > MAX_BYTES as u64 { MAX_BYTES as u64 } else { len };
        // SAFETY: an element of the map, written by one run at a time (userspace holds a lock); the length is bounded
        // by the array's.
        unsafe {
            (*answer).task = bpf_get_current_task();
            (*answer).pid_tgid = bpf_get_current_pid_tgid();
            (*answer).frame = frame;
            let to = (&raw mut (*answer).bytes).cast::<c_void>();
            (*answer).status = bpf_probe_read_kernel(to, len as u32, address as *const c_void) as i64;
        }
        0
    }
}

/// Never reached: `xtask build-ebpf` refuses an object that contains a panic path, because the verifier would.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Helpers such as `bpf_probe_read_kernel` are offered to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
