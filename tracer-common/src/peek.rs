//! What the program `peek` answers to userspace: see `tracer-ebpf/src/peek.rs`.

/// The most that one run reads, bytes.
pub const MAX_BYTES: usize = 4096;

/// The element of its map.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Answer {
    /// Address of the `struct task_struct` that ran it.
    pub task: u64,
    /// Process id (upper half) and thread id, in the initial pid namespace.
    pub pid_tgid: u64,
    /// An address on that task's kernel stack.
    pub frame: u64,
    /// 0 if the memory was read, else a negative error number.
    pub status: i64,
    /// What was read; only the bytes that were asked for are valid.
    pub bytes: [u8; MAX_BYTES],
}
