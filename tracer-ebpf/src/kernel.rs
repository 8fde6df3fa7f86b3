//! Reading kernel and user memory.

use core::ffi::c_void;
use core::mem::MaybeUninit;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};

/// Reads a value at a kernel address. `None` if the address is not mapped.
#[inline(always)]
pub fn read_kernel<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the helper writes exactly `size_of::<T>()` bytes to `value` or fails; `T` is an integer or an array of
    // integers everywhere in this crate, so any bytes are valid.
    unsafe {
        let status =
            bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void);
        if status == 0 { Some(value.assume_init()) } else { None }
    }
}

/// Reads a value at a user address of the current process. `None` if the page is not present.
#[inline(always)]
pub fn read_user<T: Copy>(address: u64) -> Option<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as for `read_kernel`.
    unsafe {
        let status =
            bpf_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void);
        if status == 0 { Some(value.assume_init()) } else { None }
    }
}

/// The first `len` (at most 8) bytes at a user address, the first byte lowest, the rest zero.
#[inline(always)]
pub fn read_user_word(address: u64, len: u32) -> Option<u64> {
    if len >= 8 {
        return read_user::<u64>(address);
    }
    let mut value = 0u64;
    // SAFETY: `len` is below 8, so the helper writes inside `value`.
    let status = unsafe {
        bpf_probe_read_user(
            (&raw mut value).cast(),
            (hidden(len as u64) & 7) as u32,
            address as *const c_void,
        )
    };
    if status == 0 { Some(value) } else { None }
}

/// The same value in a register about which LLVM knows nothing, so that the mask after it stays where it is and the
/// verifier sees the bound on the very register that is used.
#[inline(always)]
pub fn hidden(value: u64) -> u64 {
    let out: u64;
    // SAFETY: a register move.
    unsafe { core::arch::asm!("{0} = {1}", out(reg) out, in(reg) value, options(pure, nomem, nostack)) };
    out
}
