//! UDP: messages without a connection, of which nothing is remembered from one to the next. What may be DNS travels to userspace
//! whole (or its beginning, which has the question); all else is counted.
//!
//! Of a socket that is not connected the other end is known of what is sent, because the caller says it. Of what is received it is
//! not: the kernel writes the sender's address to the caller's memory when the probes have run.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_user};
use tracer_common::abi::{DATAGRAM_BYTES, counter, dir, flag, mode, select};
use tracer_common::datagram::may_be_dns;

use crate::arch::{Call, current_call, fifth_argument, nr};
use crate::buffer;
use crate::conn::{AF_INET, AF_INET6, stream_family};
use crate::flow::Moved;
use crate::kernel::{hidden, read_kernel, read_user};
use crate::maps::{MANY, Many, acquire_scratch, count, forgotten, release_scratch};
use crate::record;
use crate::select::{is_marked, mode_now, port_wanted, selected};
use crate::settings::{config, offset};
use crate::thread;

const SOCK_DGRAM: u16 = 2;
/// include/uapi/asm-generic/errno.h
pub const ECONNREFUSED: i64 = 111;
/// Length of `struct mmsghdr` (include/linux/socket.h), a `struct user_msghdr` and the length of what was moved.
const MMSGHDR: u64 = 64;
const MSG_LEN: u64 = 56;
/// So many of several messages are looked at where all are seen at once: resolvers ask for two types of address.
const AT_ONCE: u64 = 2;

/// The family of a UDP socket (or of its like, UDP-Lite and ping); `None` for anything else.
#[inline(always)]
fn family(sk: u64) -> Option<u16> {
    let kind = read_kernel::<u16>(sk + offset!(sk_type))?;
    let family = read_kernel::<u16>(sk + offset!(sk_family))?;
    let is_inet = family == AF_INET || family == AF_INET6;
    if kind == SOCK_DGRAM && is_inet { Some(family) } else { None }
}

/// Handles a call on a socket that is no stream.
#[inline(always)]
pub fn moved(m: &Moved) {
    match family(m.sk) {
        Some(family) => {
            let index = if nr::many(m.call.number) { index(&m.call) } else { 0 };
            if message(m, family, index).is_some() {
                return;
            }
        }
        // A stream for which there is no room.
        None if stream_family(m.sk).is_some() => return,
        None => {}
    }
    count(counter::OTHER_BYTES, m.len as u64);
}

/// Handles a call that moved several messages and has returned (`sys_exit`): the first few of them.
#[inline(always)]
pub fn many(m: &Moved) {
    let Some(family) = family(m.sk) else { return };
    let mut at = 0;
    while at < AT_ONCE && at < m.len as u64 {
        // Unknown to the verifier, so that each turn looks like the one before.
        let index = hidden(at);
        let len = read_user::<u32>(m.call.second + MMSGHDR * index + MSG_LEN).unwrap_or(0);
        if message(&Moved { len, ..*m }, family, index).is_none() {
            count(counter::OTHER_BYTES, len as u64);
        }
        at += 1;
    }
}

/// A send or receive failed. If it was one of several messages it was the last one.
#[inline(always)]
pub fn failed(sk: u64, error: i32, which: u8) {
    if which == dir::RX && i64::from(error) == -ECONNREFUSED {
        refused(sk);
    }
    if nr::many(current_call().number) {
        let _ = MANY.remove(&thread());
    }
}

/// A receive says that nobody takes what was sent.
#[inline(always)]
pub fn refused(sk: u64) {
    if sk == 0 {
        return;
    }
    let Some(who) = selected() else { return };
    let Some(family) = family(sk) else { return };
    let m = Moved { sk, dir: dir::RX, len: 0, who, call: Call::NONE, fd_known: true };
    let _ = capture(&m, family, Part { data: 0, len: 0, name: 0, response: 0 }, flag::REFUSED);
}

#[inline(always)]
fn thread() -> u64 {
    // SAFETY: no arguments, no conditions.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Which of its messages a call is at that moves several.
#[inline(always)]
fn index(call: &Call) -> u64 {
    let thread = thread();
    let mut index = 0;
    if let Some(many) = MANY.get_ptr(&thread) {
        // SAFETY: an element of the table, which only this thread writes.
        let Many { vector, next } = unsafe { *many };
        if vector == call.second {
            index = next;
        }
    }
    if index + 1 < call.third & 0xffff_ffff {
        let _ = MANY.insert(&thread, &Many { vector: call.second, next: index + 1 }, 0);
    } else {
        let _ = MANY.remove(&thread);
    }
    index
}

/// Where a message lies, as far as it is in one piece, and the address it goes to.
struct Part {
    data: u64,
    len: u64,
    /// A `struct sockaddr` in the caller's memory; 0: none is given.
    name: u64,
    /// Not zero: a response.
    response: u32,
}

/// The message of a call, or the one of that index.
#[inline(always)]
fn locate(call: &Call, index: u64) -> Option<Part> {
    let n = hidden(call.number);
    if n == nr::SENDMSG || n == nr::RECVMSG || nr::many(n) {
        // struct user_msghdr (include/linux/socket.h): msg_name, msg_namelen, msg_iov, msg_iovlen.
        let header = read_user::<[u64; 4]>(call.second + MMSGHDR * index)?;
        let vector = read_user::<[u64; 2]>(header[2])?;
        return Some(Part { data: vector[0], len: vector[1], name: header[0], response: 0 });
    }
    if n == nr::READV || n == nr::WRITEV {
        let vector = read_user::<[u64; 2]>(call.second)?;
        return Some(Part { data: vector[0], len: vector[1], name: 0, response: 0 });
    }
    let name = if n == nr::SENDTO { fifth_argument().unwrap_or(0) } else { 0 };
    Some(Part { data: call.second, len: call.third, name, response: 0 })
}

/// Sends a message to userspace if it may be DNS. `None` if it is not.
#[inline(always)]
fn message(m: &Moved, family: u16, index: u64) -> Option<()> {
    if m.call.number == Call::NONE.number {
        return None;
    }
    let part = locate(&m.call, index)?;
    let head = read_user::<[u32; 3]>(part.data)?;
    if !may_be_dns(head, m.len) {
        return None;
    }
    // The kernel itself may use a socket inside an unrelated call.
    if !m.fd_known && buffer::sock_of_fd(m.call.fd) != m.sk {
        return None;
    }
    let part = Part { response: head[0] >> 16 & 0x80, ..part };
    capture(m, family, part, 0)
}

/// Everything that is found out goes into the record at once and is not held: the verifier would walk what follows once for each thing that it
/// can tell of it.
#[inline(always)]
fn capture(m: &Moved, family: u16, part: Part, flags: u8) -> Option<()> {
    let Moved { sk, who, .. } = *m;
    // SAFETY: no arguments, no conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let scene = thread::moves(who, now);
    let Some(scratch) = acquire_scratch() else {
        count(counter::READ_FAULT, 1);
        return None;
    };
    let most = if part.len < m.len as u64 { part.len } else { m.len as u64 };
    let most = if most < DATAGRAM_BYTES as u64 { most } else { DATAGRAM_BYTES as u64 };
    let name = if m.dir == dir::TX { part.name } else { 0 };
    let [most, data, name, rest] = forgotten(
        scratch,
        [most, part.data, name, family as u64 | (flags as u64) << 16 | (part.response as u64) << 32],
    );
    let (family, flags, is_response) = (rest as u16, (rest >> 16) as u8, rest >> 32 != 0);
    let cap = record::datagram_length(most);
    // SAFETY: at most 1023 bytes into an area of 24576.
    let status =
        unsafe { bpf_probe_read_user((&raw mut (*scratch).data).cast(), cap as u32, data as *const c_void) };
    if status != 0 && flags == 0 {
        count(counter::READ_FAULT, 1);
    } else {
        let header = record::datagram_header(m.dir, who, now, flags, family, cap as u32);
        let (local_port, remote_port) = record::datagram(scratch, header, sk, name, m.len, scene, m.call.fd);
        let is_wanted = config!(select) != select::PORTS
            || mode_now() != mode::ON
            || port_wanted(local_port, remote_port)
            || is_marked(who.tgid);
        if is_wanted {
            record::submit_datagram(scratch, cap);
        }
    }
    release_scratch(scratch);
    if m.dir == dir::RX {
        thread::reads(who, now, flags == 0 && !is_response);
    } else if is_response {
        thread::answers(who);
    }
    Some(())
}
