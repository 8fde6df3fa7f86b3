//! The user's buffer of the system call in progress, and reading from it.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_task, bpf_probe_read_user};
use tracer_common::abi::{MAX_HEAD_BYTES, MAX_IOVECS};

use crate::arch::{Call, nr};
use crate::kernel::{hidden, read_kernel, read_user, read_user_word};
use crate::maps::{Scratch, forgotten};
use crate::settings::offset;

/// `recv` flags (include/linux/socket.h): the data will be reported again, or was never copied.
pub const MSG_PEEK: u64 = 0x2;
const MSG_TRUNC: u64 = 0x20;

/// Where the bytes of a call lie in the process's memory.
#[derive(Clone, Copy)]
pub struct Buffer {
    /// Address of the bytes, or of an array of `struct iovec`.
    address: u64,
    /// Number of `struct iovec`s, or 0 for a plain buffer.
    vectors: u32,
    /// Length of the first part: of the plain buffer (never more than the call moved).
    len: u32,
}

impl Buffer {
    /// Nowhere that is known. Not an `Option`, for the reason that `Call::NONE` has.
    pub const NONE: Self = Self { address: 0, vectors: 0, len: 0 };

    /// Whether it is [`Buffer::NONE`]: no call moves bytes to or from nothing.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        self.vectors == 0 && self.len == 0
    }

    /// The same, without what the verifier has learnt of it on the way here: it would walk what follows once for each
    /// system call.
    #[inline(always)]
    pub fn hidden(self) -> Self {
        Self {
            address: hidden(self.address),
            vectors: hidden(self.vectors as u64) as u32,
            len: hidden(self.len as u64) as u32,
        }
    }
}

/// What a system call number says about the direction of bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes go out, from user memory.
    Send,
    /// Bytes come in, to user memory.
    Receive,
    /// Bytes go out, and never were in user memory (sendfile, splice).
    SendNoBuffer,
    /// Not about sockets, or not readable from its arguments.
    Other,
}

/// The kind of a call.
#[inline(always)]
pub fn kind(call: &Call) -> Kind {
    let n = call.number;
    if n == nr::WRITE || n == nr::WRITEV || n == nr::SENDTO || n == nr::SENDMSG || n == nr::SENDMMSG {
        Kind::Send
    } else if n == nr::READ || n == nr::READV || n == nr::RECVFROM || n == nr::RECVMSG || n == nr::RECVMMSG {
        Kind::Receive
    } else if n == nr::SENDFILE || n == nr::SPLICE {
        Kind::SendNoBuffer
    } else {
        Kind::Other
    }
}

/// Whether a receive only looked at its bytes, or threw them away.
#[inline(always)]
pub fn only_peeked(call: &Call) -> bool {
    let flags = if call.number == nr::RECVFROM || call.number == nr::RECVMMSG {
        call.fourth
    } else if call.number == nr::RECVMSG {
        call.third
    } else {
        0
    };
    flags & (MSG_PEEK | MSG_TRUNC) != 0
}

/// The buffer of a call that moved `moved` bytes.
#[inline(always)]
pub fn of(call: &Call, moved: u32) -> Option<Buffer> {
    let n = call.number;
    if n == nr::READV || n == nr::WRITEV {
        return Some(Buffer { address: call.second, vectors: call.third as u32, len: 0 });
    }
    if n == nr::SENDMSG || n == nr::RECVMSG {
        // struct user_msghdr (include/linux/socket.h): msg_iov at 16, msg_iovlen at 24.
        let header = read_user::<[u64; 2]>(call.second + 16)?;
        return Some(Buffer { address: header[0], vectors: header[1] as u32, len: 0 });
    }
    let len = if call.third < moved as u64 { call.third as u32 } else { moved };
    Some(Buffer { address: call.second, vectors: 0, len })
}

/// The `struct sock` behind a descriptor of the current task; 0 if it is not a socket.
#[inline(always)]
pub fn sock_of_fd(fd: u64) -> u64 {
    // SAFETY: no arguments, no conditions.
    let task = unsafe { bpf_get_current_task() };
    sock_of_fd_in(task, fd).unwrap_or(0)
}

#[inline(always)]
fn sock_of_fd_in(task: u64, fd: u64) -> Option<u64> {
    let fd = fd & 0xffff_ffff;
    let files = read_kernel::<u64>(task + offset!(task_files))?;
    let table = read_kernel::<u64>(files + offset!(files_fdt))?;
    let max = read_kernel::<u32>(table + offset!(fdt_max))?;
    if fd >= max as u64 {
        return None;
    }
    let array = read_kernel::<u64>(table + offset!(fdt_fd))?;
    let file = read_kernel::<u64>(array + 8 * fd)?;
    let socket = read_kernel::<u64>(file + offset!(file_private))?;
    // Other files keep other things there; only a socket points back to its file.
    if read_kernel::<u64>(socket + offset!(socket_file))? != file {
        return None;
    }
    read_kernel::<u64>(socket + offset!(socket_sk))
}

/// The first bytes of the call, at most eight, and how many.
#[inline(always)]
pub fn peek(buffer: &Buffer, moved: u32) -> Option<(u64, u32)> {
    if buffer.vectors == 0 {
        return Some((read_user_word(buffer.address, buffer.len)?, buffer.len));
    }
    let mut vector = read_user::<[u64; 2]>(buffer.address)?;
    if vector[1] == 0 && buffer.vectors > 1 {
        vector = read_user::<[u64; 2]>(buffer.address + 16)?;
    }
    let len = if vector[1] < moved as u64 { vector[1] as u32 } else { moved };
    Some((read_user_word(vector[0], len)?, len))
}

/// The last eight bytes of the call in memory order, older bytes from `before` where it moved fewer; 0 if unknown.
#[inline(always)]
pub fn tail(buffer: &Buffer, moved: u32, before: u64) -> u64 {
    // Finding the end of a partly written vector would need all its lengths; the few bytes are not worth it.
    if buffer.vectors != 0 || buffer.len != moved {
        return 0;
    }
    if moved >= 8 {
        return read_user::<u64>(buffer.address + moved as u64 - 8).unwrap_or(0);
    }
    match read_user_word(buffer.address, moved) {
        Some(word) if moved > 0 => (before >> (8 * moved as u64)) | (word << (64 - 8 * moved as u64)),
        _ => 0,
    }
}

/// Copies up to `want` bytes of the call to the scratch area. Returns how many; `None` when a page was not present.
#[inline(always)]
pub fn copy(buffer: &Buffer, moved: u32, want: u32, scratch: *mut Scratch) -> Option<u32> {
    let limit = if want < moved { want } else { moved };
    // SAFETY: a field of a map value.
    let data = unsafe { (&raw mut (*scratch).data).cast::<u8>() };
    if buffer.vectors == 0 {
        let len = if limit < buffer.len { limit } else { buffer.len };
        let len = bounded(len as u64);
        // SAFETY: at most 16383 bytes into an area of 24576.
        let status =
            unsafe { bpf_probe_read_user(data as *mut c_void, len as u32, buffer.address as *const c_void) };
        return if status == 0 { Some(len as u32) } else { None };
    }
    let [mut address, mut vectors, mut left, mut copied] =
        forgotten(scratch, [buffer.address, buffer.vectors as u64, limit as u64, 0]);
    let mut at = 0u32;
    while at < MAX_IOVECS {
        if vectors == 0 || left == 0 || copied >= MAX_HEAD_BYTES as u64 {
            break;
        }
        let vector = read_user::<[u64; 2]>(address)?;
        let len = bounded(if vector[1] < left { vector[1] } else { left });
        let to = hidden(copied) & (MAX_HEAD_BYTES as u64 - 1);
        // SAFETY: the offset is below 8192 and the length below 16384, in an area of 24576.
        let status = unsafe {
            bpf_probe_read_user(data.add(to as usize) as *mut c_void, len as u32, vector[0] as *const c_void)
        };
        if status != 0 {
            return None;
        }
        [address, vectors, left, copied] =
            forgotten(scratch, [address + 16, vectors - 1, left - len, copied + len]);
        at += 1;
    }
    Some(if copied > MAX_HEAD_BYTES as u64 { MAX_HEAD_BYTES as u32 } else { copied as u32 })
}

/// A length that the verifier sees is below 16384. It never changes the value: no head is longer than 8192.
#[inline(always)]
pub fn bounded(len: u64) -> u64 {
    hidden(len) & (2 * MAX_HEAD_BYTES as u64 - 1)
}
