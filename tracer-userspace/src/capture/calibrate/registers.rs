//! Where a task's saved user registers lie on its kernel stack: known by the arguments of the bpf(2) call in whose
//! course the stack is read.

use super::super::peek::MARKS;
use super::memory::word;

/// Indexes of 8-byte words in `struct pt_regs`.
#[cfg(target_arch = "x86_64")]
mod layout {
    /// r10, r8, r9: the fourth, fifth and sixth argument (arch/x86/include/asm/ptrace.h).
    pub const MARKS: [usize; 3] = [7, 9, 8];
    /// orig_ax.
    pub const NUMBER: usize = 15;
    /// Of the structure.
    pub const WORDS: usize = 21;
}

/// Indexes of 8-byte words in `struct pt_regs`.
#[cfg(target_arch = "aarch64")]
mod layout {
    /// x3, x4, x5 (arch/arm64/include/asm/ptrace.h).
    pub const MARKS: [usize; 3] = [3, 4, 5];
    /// syscallno (s32).
    pub const NUMBER: usize = 35;
    /// As far as it is read.
    pub const WORDS: usize = 36;
}

/// Distances into `stack` at which the saved registers of the tracer's own bpf(2) call stand.
pub fn search(stack: &[u8]) -> Vec<usize> {
    (0..stack.len()).step_by(8).filter(|at| is_ours(stack, *at)).collect()
}

fn is_ours(stack: &[u8], at: usize) -> bool {
    let register = |index: usize| word(stack, at.checked_add(8 * index)?);
    let marked = layout::MARKS.iter().zip(MARKS).all(|(index, mark)| register(*index) == Some(mark));
    let number = register(layout::NUMBER).map(|raw| raw & 0xffff_ffff);
    marked && number == u64::try_from(libc::SYS_bpf).ok() && register(layout::WORDS - 1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_registers_of_this_call_are_found() {
        let mut stack = vec![0u8; 4096];
        let mut put = |word: usize, value: u64| {
            stack[8 * word..8 * word + 8].copy_from_slice(&value.to_ne_bytes());
        };
        let top = 512 - layout::WORDS;
        for base in [100, top] {
            for (index, mark) in layout::MARKS.iter().zip(MARKS) {
                put(base + index, mark);
            }
        }
        put(top + layout::NUMBER, libc::SYS_bpf as u64);
        assert_eq!(search(&stack), [8 * top], "a copy without the call's number is not it");
    }
}
