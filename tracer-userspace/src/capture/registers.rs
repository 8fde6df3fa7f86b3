//! Where a task's saved user registers lie on its kernel stack, for kernels before Linux 5.15, which have no
//! `bpf_task_pt_regs`: at the end of the stack, whose size is the architecture's (`THREAD_SIZE`, without KASAN).
//!
//! The self-check refuses to trace where this does not hold: it would read no payload.

/// Bytes from the beginning of the stack to `struct pt_regs`.
pub fn pt_regs_offset() -> u32 {
    if cfg!(target_arch = "aarch64") { arm64(page_size()) } else { X86_64 }
}

/// arch/x86/include/asm/page_64_types.h; 21 words of registers.
const X86_64: u32 = 16_384 - 168;

/// arch/arm64/include/asm/memory.h: 16 KiB, but never less than a page, of which arm64 has three sizes. The registers
/// (arch/arm64/include/asm/ptrace.h, 42 words) are the same from Linux 5.10 to 5.14.
fn arm64(page: u32) -> u32 {
    page.max(16_384) - 336
}

fn page_size() -> u32 {
    // SAFETY: sysconf takes and returns integers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u32::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_of_arm64_is_no_smaller_than_a_page() {
        assert_eq!(arm64(4096), arm64(16_384));
        assert_eq!(arm64(65_536), 65_536 - 336);
        assert!(page_size().is_power_of_two());
    }
}
