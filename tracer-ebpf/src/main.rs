//! The probes.
//!
//! A probe sees a socket call after it moved bytes, and does three things: it keeps the connection's byte counts, it
//! looks whether a message of a known protocol begins there, and if so it sends the message's head to userspace.
//! Everything else dies here. One file a hook family; what they share is `flow`.
//!
//! | file | hooks |
//! |---|---|
//! | `socket` | `sock_send_length`, `sock_recv_length` (raw tracepoints, Linux 6.3) |
//! | `fexit` | the exits of the socket functions: the same events where the former do not exist (Linux 5.5 with BTF) |
//! | `kprobe` | the same functions through kprobes, where they cannot be hooked that way |
//! | `syscall` | `sys_exit` (raw tracepoint): the same events on any kernel |
//! | `tcp` | `inet_sock_set_state` (raw tracepoint, Linux 4.16): connect and close |
//! | `golang` | two functions of Go's `net/http` (uprobes): for whom a goroutine writes |
//! | `datagram` | none of its own: messages of UDP sockets, from the same hooks |
//! | `process` | `sched_process_fork`, `_exec`, `_exit` (raw tracepoints) |
//! | `turn` | system calls that wait for descriptors: entries (fentry, kprobe) or exits (trace events, `sys_exit`) |
//! | `wake` | `sched_waking` (raw tracepoint): which thread woke which |
#![no_std]
#![no_main]
// Inline assembly for BPF is not stable yet; the probes are built with RUSTC_BOOTSTRAP anyway, for build-std.
#![feature(asm_experimental_arch)]

mod arch;
mod buffer;
mod conn;
mod datagram;
mod fexit;
mod flow;
mod golang;
mod interest;
mod kernel;
mod kprobe;
mod maps;
mod process;
mod record;
mod returned;
mod select;
mod settings;
mod socket;
mod syscall;
mod task;
mod tcp;
mod thread;
mod turn;
mod wake;

/// Never reached: `xtask build-ebpf` refuses an object that contains a panic path, because the verifier would.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Helpers such as `bpf_probe_read_kernel` are offered to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
