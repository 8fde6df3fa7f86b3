//! The runtime's own task that moves bytes: in Go programs the goroutine, which is found from the thread without any probe
//! in the program.
//!
//! Go keeps a pointer to the goroutine that a thread runs (`runtime.g`) in the thread's local storage on x86-64, just
//! below the thread pointer (runtime/sys_linux_amd64.s, `settls`), and in register 28 on arm64.

use tracer_common::abi::dir;
use tracer_common::golang::GoProcess;

use crate::golang::{GO, asked_by};
use crate::kernel::read_user;

/// The task for which the current one moves bytes, and the task that created it, for a call in a direction that begins
/// (or continues) a message; `fd` is its descriptor. Zeros where that is not known.
#[inline(always)]
pub fn current(tgid: u32, which: u8, fd: u64, starts: bool) -> (u64, u64) {
    // SAFETY: userspace only adds and removes elements; one that is removed meanwhile stays readable.
    let Some(process) = (unsafe { GO.get(&tgid) }) else { return (0, 0) };
    let Some(goroutine) = goroutine(process) else { return (0, 0) };
    let own = of_goroutine(process, goroutine);
    if which != dir::TX || own.0 == 0 {
        return own;
    }
    let mut is_writer = false;
    if process.writer != 0 {
        is_writer = read_user::<u64>(goroutine + u64::from(process.start)) == Some(process.writer);
        if !is_writer {
            return own;
        }
    }
    asked_by(process.serial, own.0, fd, is_writer, starts).unwrap_or(own)
}

/// The id of a goroutine and that of its parent. On the stack of the scheduler (`g0`) the id is 0, and then nobody's
/// work is done.
#[inline(always)]
pub fn of_goroutine(process: &GoProcess, goroutine: u64) -> (u64, u64) {
    let Some(id) = read_user::<u64>(goroutine + u64::from(process.goid)) else { return (0, 0) };
    if process.parent == 0 || id == 0 {
        return (id, 0);
    }
    (id, read_user::<u64>(goroutine + u64::from(process.parent)).unwrap_or(0))
}

/// The address of the current `runtime.g`.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn goroutine(process: &GoProcess) -> Option<u64> {
    use aya_ebpf::helpers::generated::bpf_get_current_task;

    use crate::kernel::read_kernel;
    use crate::settings::offset;

    let at = offset!(thread_fsbase);
    if at == tracer_common::offsets::ABSENT as u64 {
        return None;
    }
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    let base = read_kernel::<u64>(task + at)?;
    read_user::<u64>(base.wrapping_add(i64::from(process.slot) as u64)).filter(|goroutine| *goroutine != 0)
}

/// The same, from the registers that the system call saved.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn goroutine(_process: &GoProcess) -> Option<u64> {
    crate::arch::saved_register(28).filter(|goroutine| *goroutine != 0)
}
