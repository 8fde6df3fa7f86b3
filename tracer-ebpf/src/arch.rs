//! The saved user registers of a task in a system call, by architecture.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs};

use crate::kernel::read_kernel;
use crate::settings::{config, offset};

/// A system call's number and arguments. Those of `sys_exit` are still what the caller passed.
#[derive(Clone, Copy)]
pub struct Call {
    /// Number in the native table.
    pub number: u64,
    /// First argument: the descriptor.
    pub fd: u64,
    /// Second argument: a buffer, vector or message header.
    pub second: u64,
    /// Third argument: a length, count or flags.
    pub third: u64,
    /// Fourth argument: flags of recvfrom and sendto.
    pub fourth: u64,
}

/// x86-64 `struct pt_regs` (arch/x86/include/asm/ptrace.h), as indexes of 8-byte words.
#[cfg(bpf_target_arch = "x86_64")]
mod layout {
    pub const NUMBER: usize = 15; // orig_ax
    pub const FIRST: usize = 14; // di
    pub const SECOND: usize = 13; // si
    pub const THIRD: usize = 12; // dx
    pub const FOURTH: usize = 7; // r10
}

/// arm64 `struct pt_regs` (arch/arm64/include/asm/ptrace.h): x0 holds the result at exit, orig_x0 the argument.
#[cfg(bpf_target_arch = "aarch64")]
mod layout {
    pub const NUMBER: usize = 35; // syscallno (s32)
    pub const FIRST: usize = 34; // orig_x0
    pub const SECOND: usize = 1;
    pub const THIRD: usize = 2;
    pub const FOURTH: usize = 3;
}

/// System call numbers that move bytes through sockets, or reuse a descriptor.
#[cfg(bpf_target_arch = "x86_64")]
pub mod nr {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const READV: u64 = 19;
    pub const WRITEV: u64 = 20;
    pub const SENDFILE: u64 = 40;
    pub const SENDTO: u64 = 44;
    pub const RECVFROM: u64 = 45;
    pub const SENDMSG: u64 = 46;
    pub const RECVMSG: u64 = 47;
    pub const SPLICE: u64 = 275;
}

/// System call numbers of the generic table (include/uapi/asm-generic/unistd.h).
#[cfg(bpf_target_arch = "aarch64")]
pub mod nr {
    pub const READ: u64 = 63;
    pub const WRITE: u64 = 64;
    pub const READV: u64 = 65;
    pub const WRITEV: u64 = 66;
    pub const SENDFILE: u64 = 71;
    pub const SENDTO: u64 = 206;
    pub const RECVFROM: u64 = 207;
    pub const SENDMSG: u64 = 211;
    pub const RECVMSG: u64 = 212;
    pub const SPLICE: u64 = 76;
}

#[inline(always)]
fn number(raw: u64) -> u64 {
    if cfg!(bpf_target_arch = "aarch64") { raw & 0xffff_ffff } else { raw }
}

/// The system call that the current task is in.
#[inline(always)]
pub fn current_call() -> Option<Call> {
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: both helpers return pointers that the verifier knows the types of; the loads go through them.
        unsafe {
            let regs = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64;
            return Some(Call {
                number: number(regs.add(layout::NUMBER).read_volatile()),
                fd: regs.add(layout::FIRST).read_volatile(),
                second: regs.add(layout::SECOND).read_volatile(),
                third: regs.add(layout::THIRD).read_volatile(),
                fourth: regs.add(layout::FOURTH).read_volatile(),
            });
        }
    }
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    let stack = read_kernel::<u64>(task + offset!(task_stack))?;
    call_at(stack + config!(pt_regs_offset) as u64)
}

/// The system call whose saved registers lie at a kernel address.
#[inline(always)]
pub fn call_at(regs: u64) -> Option<Call> {
    let words = read_kernel::<[u64; 4]>(regs + 8 * layout_low())?;
    #[cfg(bpf_target_arch = "x86_64")]
    {
        Some(Call {
            number: words[3],
            fd: words[2],
            second: words[1],
            third: words[0],
            fourth: read_kernel::<u64>(regs + 8 * layout::FOURTH as u64)?,
        })
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        Some(Call {
            number: number(read_kernel::<u64>(regs + 8 * layout::NUMBER as u64)?),
            fd: read_kernel::<u64>(regs + 8 * layout::FIRST as u64)?,
            second: words[1],
            third: words[2],
            fourth: words[3],
        })
    }
}

/// The first of four neighbouring words that hold most of what is needed.
#[inline(always)]
const fn layout_low() -> u64 {
    if cfg!(bpf_target_arch = "aarch64") { 0 } else { 12 }
}

/// Whether the current task may have used io_uring: then a completion may run inside an unrelated system call, whose
/// registers say nothing about this socket. Where that cannot be told, it may have.
#[inline(always)]
pub fn uses_io_uring() -> bool {
    let at = offset!(task_io_uring);
    if at == tracer_common::offsets::ABSENT as u64 {
        return true;
    }
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: a load through the task pointer that the verifier tracks, at an offset it knows.
        return unsafe {
            (bpf_get_current_task_btf() as *const u8).add(at as usize).cast::<u64>().read_volatile() != 0
        };
    }
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    read_kernel::<u64>(task + at).unwrap_or(1) != 0
}
