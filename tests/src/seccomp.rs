//! A filter on system calls, as containers and units with `SystemCallFilter=` have one (seccomp(2)).

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// `struct sock_filter` of include/uapi/linux/filter.h: classic BPF.
const fn filter(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// The command, and all that it starts, cannot call bpf(2): the answer is EPERM, as Docker's filter gives it.
pub fn forbid_bpf(command: &mut Command) {
    // SAFETY: between fork and exec only prctl is called, which is async-signal-safe.
    unsafe { command.pre_exec(install) };
}

fn install() -> io::Result<()> {
    /// Load the word at offset 0 of `struct seccomp_data`: the number of the call.
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let number = u32::try_from(libc::SYS_bpf).unwrap_or(u32::MAX);
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut program = [
        filter(LOAD_NUMBER, 0, 0, 0),
        filter(JUMP_IF_EQUAL, 0, 1, number),
        filter(RETURN, 0, 0, refused),
        filter(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives through the call. The caller is root, so that no_new_privs
    // is not needed.
    let result =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
