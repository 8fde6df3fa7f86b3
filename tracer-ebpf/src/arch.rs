//! The saved user registers of a task in a system call, by architecture.

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs};

use crate::kernel::{hidden, read_kernel};
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
    /// Fourth argument: flags of recvfrom, sendto and recvmmsg.
    pub fourth: u64,
}

impl Call {
    /// No call, or none that is about the bytes in hand. Not an `Option`: the compiler leaves the fields of `None`
    /// unset and moves them all the same, which the verifier of Linux 5.10 refuses.
    pub const NONE: Self = Self { number: u64::MAX, fd: 0, second: 0, third: 0, fourth: 0 };

    /// A call of a 32-bit program.
    pub const FOREIGN: Self = Self { number: u64::MAX - 1, ..Self::NONE };

    /// The same, without what the verifier has learnt of it: it would walk what follows once for each system call.
    #[inline(always)]
    pub fn hidden(self) -> Self {
        Self { number: hidden(self.number), third: hidden(self.third), ..self }
    }
}

/// x86-64 `struct pt_regs` (arch/x86/include/asm/ptrace.h), as indexes of 8-byte words.
#[cfg(bpf_target_arch = "x86_64")]
mod layout {
    /// The code segment of the caller: `__USER32_CS` for 32-bit programs (arch/x86/include/asm/segment.h).
    pub const MODE: usize = 17; // cs
    pub const MODE_MASK: u64 = 0xffff;
    pub const MODE_32: u64 = 0x23;
    pub const NUMBER: usize = 15; // orig_ax
    pub const FIRST: usize = 14; // di
    pub const SECOND: usize = 13; // si
    pub const THIRD: usize = 12; // dx
    pub const FOURTH: usize = 7; // r10
    pub const FIFTH: usize = 9; // r8
}

/// arm64 `struct pt_regs` (arch/arm64/include/asm/ptrace.h): x0 holds the result at exit, orig_x0 the argument.
#[cfg(bpf_target_arch = "aarch64")]
mod layout {
    /// The caller's processor state: PSR_MODE32_BIT (arch/arm64/include/uapi/asm/ptrace.h).
    pub const MODE: usize = 33; // pstate
    pub const MODE_MASK: u64 = 0x10;
    pub const MODE_32: u64 = 0x10;
    pub const NUMBER: usize = 35; // syscallno, an s32: the verifier refuses to load more of it
    pub const FIRST: usize = 34; // orig_x0
    pub const SECOND: usize = 1;
    pub const THIRD: usize = 2;
    pub const FOURTH: usize = 3;
    pub const FIFTH: usize = 4;
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
    pub const RECVMMSG: u64 = 299;
    pub const SENDMMSG: u64 = 307;
    pub const SPLICE: u64 = 275;
    pub const FUTEX: u64 = 202;

    /// The call moves several messages.
    #[inline(always)]
    pub fn many(n: u64) -> bool {
        n == SENDMMSG || n == RECVMMSG
    }

    /// The call waits for descriptors.
    #[inline(always)]
    pub fn waits(n: u64) -> bool {
        // poll, select; epoll_wait, pselect6, ppoll, epoll_pwait, io_uring_enter, epoll_pwait2.
        n == 7 || n == 23 || n == 232 || n == 270 || n == 271 || n == 281 || n == 426 || n == 441
    }
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
    pub const RECVMMSG: u64 = 243;
    pub const SENDMMSG: u64 = 269;
    pub const SPLICE: u64 = 76;
    pub const FUTEX: u64 = 98;

    /// The call moves several messages.
    #[inline(always)]
    pub fn many(n: u64) -> bool {
        n == SENDMMSG || n == RECVMMSG
    }

    /// The call waits for descriptors.
    #[inline(always)]
    pub fn waits(n: u64) -> bool {
        // epoll_pwait, pselect6, ppoll, io_uring_enter, epoll_pwait2.
        n == 22 || n == 72 || n == 73 || n == 426 || n == 441
    }
}

/// The system call's number as a register holds it.
#[cfg(bpf_target_arch = "x86_64")]
type Number = u64;
#[cfg(bpf_target_arch = "aarch64")]
type Number = u32;

/// A 32-bit program has other system call numbers and other structures in memory, which we do not know: what its calls
/// moved is not read.
#[inline(always)]
fn native(call: Call, mode: u64) -> Call {
    if mode & layout::MODE_MASK == layout::MODE_32 { Call::FOREIGN } else { call }
}

/// The system call that the current task is in, or [`Call::NONE`].
#[inline(always)]
pub fn current_call() -> Call {
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: both helpers return pointers that the verifier knows the types of; the loads go through them.
        unsafe {
            let regs = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64;
            let call = Call {
                number: u64::from(regs.add(layout::NUMBER).cast::<Number>().read_volatile()),
                fd: regs.add(layout::FIRST).read_volatile(),
                second: regs.add(layout::SECOND).read_volatile(),
                third: regs.add(layout::THIRD).read_volatile(),
                fourth: regs.add(layout::FOURTH).read_volatile(),
            };
            return native(call, regs.add(layout::MODE).read_volatile());
        }
    }
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    call_of(task)
}

/// The number of the system call that the current task leaves, whose saved registers lie at `regs`: of a 32-bit program in
/// its own table.
#[inline(always)]
pub fn number_at_exit(regs: u64) -> u64 {
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: as in `current_call`.
        return unsafe {
            let regs = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64;
            u64::from(regs.add(layout::NUMBER).cast::<Number>().read_volatile())
        };
    }
    read_kernel::<Number>(regs + 8 * layout::NUMBER as u64).map_or(u64::MAX, u64::from)
}

/// The system call that a task is in, or was in last; [`Call::NONE`] where it cannot be read.
#[inline(always)]
pub fn call_of(task: u64) -> Call {
    match read_kernel::<u64>(task + offset!(task_stack)) {
        Some(stack) => call_at(stack + config!(pt_regs_offset) as u64),
        None => Call::NONE,
    }
}

/// The system call whose saved registers lie at a kernel address, or [`Call::NONE`].
#[inline(always)]
pub fn call_at(regs: u64) -> Call {
    read_call(regs).unwrap_or(Call::NONE)
}

#[inline(always)]
fn read_call(regs: u64) -> Option<Call> {
    #[cfg(bpf_target_arch = "x86_64")]
    {
        // From dx to cs: most of what is needed lies side by side.
        let words = read_kernel::<[u64; 6]>(regs + 8 * layout::THIRD as u64)?;
        let fourth = read_kernel::<u64>(regs + 8 * layout::FOURTH as u64)?;
        let call = Call {
            number: words[layout::NUMBER - layout::THIRD],
            fd: words[layout::FIRST - layout::THIRD],
            second: words[layout::SECOND - layout::THIRD],
            third: words[0],
            fourth,
        };
        Some(native(call, words[layout::MODE - layout::THIRD]))
    }
    #[cfg(bpf_target_arch = "aarch64")]
    {
        let low = read_kernel::<[u64; 4]>(regs)?;
        // pstate, orig_x0, syscallno.
        let high = read_kernel::<[u64; 3]>(regs + 8 * layout::MODE as u64)?;
        let call = Call {
            number: u64::from(high[layout::NUMBER - layout::MODE] as Number),
            fd: high[layout::FIRST - layout::MODE],
            second: low[layout::SECOND],
            third: low[layout::THIRD],
            fourth: low[layout::FOURTH],
        };
        Some(native(call, high[0]))
    }
}

/// The fifth argument of the system call that the current task is in: the address that sendto names. Not a field of [`Call`]: few
/// calls have it, and the verifier of Linux 5.10 refuses the kprobes where one more register is carried along.
#[inline(always)]
pub fn fifth_argument() -> Option<u64> {
    saved_register(layout::FIFTH)
}

/// A register of the user's, of the system call that the current task is in.
#[inline(always)]
pub fn saved_register(index: usize) -> Option<u64> {
    if config!(has_task_pt_regs) != 0 {
        // SAFETY: as for `current_call`.
        return Some(unsafe {
            (bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u64).add(index).read_volatile()
        });
    }
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    let stack = read_kernel::<u64>(task + offset!(task_stack))?;
    read_kernel::<u64>(stack + config!(pt_regs_offset) as u64 + 8 * index as u64)
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
