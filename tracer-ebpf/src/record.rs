//! Writing records into the ring buffer. Never with a wake-up: userspace drains on a timer, because a wake-up costs
//! the traced process more than all the rest of the probe.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_current_comm, bpf_probe_read_kernel, bpf_probe_read_user};
use tracer_common::abi::{
    CloseRecord, Conn, ConnId, DATAGRAM_BYTES, DatagramRecord, Header, OpenRecord, PEEK_BYTES, ProcessRecord,
    Progress, SegmentRecord, counter, dir, flag, kind, state,
};

use crate::buffer::bounded;
use crate::conn::{AF_INET, AF_UNIX, now, public_flags};
use crate::kernel::{hidden, read_kernel, read_user};
use crate::maps::{EVENTS, Scratch, count};
use crate::select::Who;
use crate::settings::offset;
use crate::task;
use crate::thread::Scene;

/// `BPF_RB_NO_WAKEUP` (include/uapi/linux/bpf.h).
const NO_WAKEUP: u64 = 1;

#[inline(always)]
fn lost() {
    count(counter::LOST_RING_FULL, 1);
}

/// Copies word by word: an assignment becomes a call of `memmove`, which is a loop over bytes here.
///
/// # Safety
/// Both must point to a `Progress`.
#[inline(always)]
unsafe fn copy_progress(from: *const Progress, to: *mut Progress) {
    const { assert!(size_of::<Progress>() == 32) };
    let (from, to) = (from.cast::<u64>(), to.cast::<u64>());
    // SAFETY: four words each, by the contract and the assertion.
    unsafe {
        to.write_volatile(from.read_volatile());
        to.add(1).write_volatile(from.add(1).read_volatile());
        to.add(2).write_volatile(from.add(2).read_volatile());
        to.add(3).write_volatile(from.add(3).read_volatile());
    }
}

/// Announces a connection, stamped with the call that showed it. False if the ring had no room; it is then tried again at the next call.
#[inline(always)]
pub fn open(conn: *mut Conn, sk: u64, family: u16, who: Who, ts: u64, (peek, peek_len): (u64, u32)) -> bool {
    let Some(mut slot) = EVENTS.reserve::<OpenRecord>(0) else {
        lost();
        return false;
    };
    let record = slot.as_mut_ptr();
    // SAFETY: every field of the reserved slot is written, padding included; `conn` is an element of the table.
    unsafe {
        (*record).header = Header {
            kind: kind::OPEN,
            flags: public_flags(conn),
            dir: 0,
            family: family as u8,
            cap: 0,
            ts,
            tgid: who.tgid,
            tid: who.tid,
        };
        (*record).conn = ConnId { sk, born: (*conn).born };
        let local = (&raw mut (*record).local).cast::<u64>();
        let remote = (&raw mut (*record).remote).cast::<u64>();
        local.write(0);
        local.add(1).write(0);
        remote.write(0);
        remote.add(1).write(0);
        (*record).local_port = 0;
        (*record).remote_port = 0;
        (*record).peer = 0;
        if family == AF_UNIX {
            (*record).peer = read_kernel::<u64>(sk + offset!(unix_peer)).unwrap_or(0);
            (*record).inode = (*conn).inode;
        } else {
            if family == AF_INET {
                local.cast::<u32>().write(read_kernel::<u32>(sk + offset!(sk_saddr)).unwrap_or(0));
                remote.cast::<u32>().write(read_kernel::<u32>(sk + offset!(sk_daddr)).unwrap_or(0));
            } else {
                let address = read_kernel::<[u64; 2]>(sk + offset!(sk_saddr6)).unwrap_or([0; 2]);
                local.write(address[0]);
                local.add(1).write(address[1]);
                let address = read_kernel::<[u64; 2]>(sk + offset!(sk_daddr6)).unwrap_or([0; 2]);
                remote.write(address[0]);
                remote.add(1).write(address[1]);
            }
            let (local_port, remote_port) = ports(sk);
            (*record).local_port = local_port;
            (*record).remote_port = remote_port;
            (*record).inode = crate::conn::inode(sk);
        }
        let net = read_kernel::<u64>(sk + offset!(sk_net)).unwrap_or(0);
        (*record).netns = read_kernel::<u32>(net + offset!(net_inum)).unwrap_or(0);
        (*record).birth_tid = (*conn).birth_tid;
        (*record).birth_tgid = (*conn).birth_tgid;
        (*record).birth = (*conn).birth;
        let bytes = (&raw mut (*record).peek).cast::<u64>();
        bytes.write(peek);
        bytes.add(1).write(0);
        const { assert!(PEEK_BYTES == 16) };
        (*record).peek_len = if peek_len < 8 { peek_len as u8 } else { 8 };
        (*record).pad = [0; 3];
        (*record).birth_turn = (*conn).birth_turn;
        (*conn).state |= state::ANNOUNCED;
    }
    slot.submit(NO_WAKEUP);
    true
}

/// Local and remote port of a TCP socket, host byte order.
#[inline(always)]
pub fn ports(sk: u64) -> (u16, u16) {
    let local = read_kernel::<u16>(sk + offset!(sk_num)).unwrap_or(0);
    let remote = read_kernel::<u16>(sk + offset!(sk_dport)).unwrap_or(0);
    (local, u16::from_be(remote))
}

/// Part of a message, moved by a call on descriptor `fd`: `cap` bytes are in the scratch area. False if the ring had no room.
#[inline(always)]
pub fn segment(
    scratch: *mut Scratch,
    conn: *mut Conn,
    sk: u64,
    header: Header,
    (seq, len): (u32, u32),
    scene: Scene,
    fd: u64,
) -> bool {
    let cap = header.cap;
    let starts = header.flags & flag::STARTS != 0;
    let (task, parent_task) = task::current(header.tgid, header.dir, fd, starts);
    // SAFETY: the scratch area is a map value, `conn` an element of the table; every field is written.
    let record = unsafe {
        let record = &raw mut (*scratch).record;
        (*record).header = header;
        (*record).conn = ConnId { sk, born: (*conn).born };
        copy_progress(&raw const (*conn).rx, &raw mut (*record).rx);
        copy_progress(&raw const (*conn).tx, &raw mut (*record).tx);
        (*record).seq = seq;
        (*record).len = len;
        (*record).turn = scene.turn;
        (*record).waker = scene.waker;
        (*record).woken = scene.woken;
        (*record).waker_turn = scene.waker_turn;
        (*record).pad = 0;
        (*record).task = task;
        (*record).parent_task = parent_task;
        core::slice::from_raw_parts(
            record.cast::<u8>(),
            (size_of::<SegmentRecord>() as u64 + bounded(cap as u64)) as usize,
        )
    };
    if EVENTS.output::<[u8]>(record, NO_WAKEUP).is_err() {
        lost();
        // SAFETY: as above.
        unsafe { (*conn).flags |= flag::LOST_BEFORE };
        return false;
    }
    // SAFETY: as above.
    unsafe { (*conn).flags &= !flag::LOST_BEFORE };
    true
}

/// A length that the verifier sees is below 1024. It never changes the value: of a datagram at most 512 bytes are captured.
#[inline(always)]
pub fn datagram_length(len: u64) -> u64 {
    const { assert!(DATAGRAM_BYTES < 1024) };
    hidden(len) & 1023
}

/// Puts together what is said of a message of `len` bytes of a UDP socket, moved by a call on descriptor `fd` that named an address (`name`,
/// or 0). Returns both ports, the local one first.
#[inline(always)]
pub fn datagram(
    scratch: *mut Scratch,
    header: Header,
    sk: u64,
    name: u64,
    len: u32,
    scene: Scene,
    fd: u64,
) -> (u16, u16) {
    let (task, parent_task) = task::current(header.tgid, header.dir, fd, true);
    let family = header.family as u16;
    // SAFETY: the scratch area is a map value, and the record as long as the one that lies there; every field is written.
    unsafe {
        let record = (&raw mut (*scratch).record).cast::<DatagramRecord>();
        (*record).header = header;
        (*record).sk = sk;
        let (local, remote) = (&raw mut (*record).local, &raw mut (*record).remote);
        local.cast::<[u64; 2]>().write([0; 2]);
        remote.cast::<[u64; 2]>().write([0; 2]);
        (*record).netns = 0;
        (*record).pad = [0; 3];
        (*record).pad2 = 0;
        (*record).len = len;
        (*record).turn = scene.turn;
        (*record).waker = scene.waker;
        (*record).woken = scene.woken;
        (*record).waker_turn = scene.waker_turn;
        (*record).pad3 = 0;
        (*record).task = task;
        (*record).parent_task = parent_task;
        (*record).inode = crate::conn::inode(sk);
        let net = read_kernel::<u64>(sk + offset!(sk_net)).unwrap_or(0);
        copy(&raw mut (*record).netns, net + offset!(net_inum));
        let (own_port, mut port) = ports(sk);
        if family == AF_INET {
            copy(local.cast::<u32>(), sk + offset!(sk_saddr));
        } else {
            copy(local, sk + offset!(sk_saddr6));
        }
        let named = if name == 0 { 0 } else { read_user::<u64>(name).unwrap_or(0) };
        if named as u16 == family {
            // struct sockaddr_in and sockaddr_in6: family, port, address; the latter with four bytes between.
            port = u16::from_be((named >> 16) as u16);
            if family == AF_INET {
                remote.cast::<u32>().write((named >> 32) as u32);
            } else {
                bpf_probe_read_user(remote.cast(), 16, (name + 8) as *const c_void);
            }
        } else if port != 0 {
            if family == AF_INET {
                copy(remote.cast::<u32>(), sk + offset!(sk_daddr));
            } else {
                copy(remote, sk + offset!(sk_daddr6));
            }
        }
        (*record).local_port = own_port;
        (*record).remote_port = port;
        (own_port, port)
    }
}

/// Copies from a kernel address; what cannot be read is zero.
///
/// # Safety
/// `to` must be valid for writes.
#[inline(always)]
unsafe fn copy<T>(to: *mut T, from: u64) {
    // SAFETY: the helper writes as many bytes as `to` points to, by the contract.
    unsafe { bpf_probe_read_kernel(to.cast(), size_of::<T>() as u32, from as *const c_void) };
}

/// Sends the record that [`datagram`] put together, and the `cap` bytes behind it.
#[inline(always)]
pub fn submit_datagram(scratch: *mut Scratch, cap: u64) {
    // SAFETY: the scratch area is a map value; the record's fields and the bytes behind it have been written.
    let bytes = unsafe {
        core::slice::from_raw_parts(
            (&raw const (*scratch).record).cast::<u8>(),
            (size_of::<DatagramRecord>() as u64 + datagram_length(cap)) as usize,
        )
    };
    if EVENTS.output::<[u8]>(bytes, NO_WAKEUP).is_err() {
        lost();
    }
}

/// The end of a connection, with its counts.
#[inline(always)]
pub fn close(conn: *const Conn, sk: u64) {
    let Some(mut slot) = EVENTS.reserve::<CloseRecord>(0) else {
        lost();
        return;
    };
    let record = slot.as_mut_ptr();
    // SAFETY: every field of the reserved slot is written, padding included; `conn` is an element of the table.
    unsafe {
        (*record).header = Header {
            kind: kind::CLOSE,
            flags: public_flags(conn),
            dir: 0,
            family: 0,
            cap: 0,
            ts: now(),
            // Whoever is interrupted by the last packet has nothing to do with the connection.
            tgid: 0,
            tid: 0,
        };
        (*record).conn = ConnId { sk, born: (*conn).born };
        copy_progress(&raw const (*conn).rx, &raw mut (*record).rx);
        copy_progress(&raw const (*conn).tx, &raw mut (*record).tx);
        (*record).proto = (*conn).proto;
        (*record).pad = [0; 7];
    }
    slot.submit(NO_WAKEUP);
}

/// A process began, changed or ended.
#[inline(always)]
pub fn process(what: u8, who: Who, parent: u32) {
    let Some(mut slot) = EVENTS.reserve::<ProcessRecord>(0) else {
        lost();
        return;
    };
    let record = slot.as_mut_ptr();
    // SAFETY: every field of the reserved slot is written; the helper fills the 16 bytes of `comm` or zeroes them.
    unsafe {
        (*record).header = Header {
            kind: what,
            flags: 0,
            dir: 0,
            family: 0,
            cap: 0,
            ts: now(),
            tgid: who.tgid,
            tid: who.tid,
        };
        (*record).parent = parent;
        (*record).pad = 0;
        bpf_get_current_comm((&raw mut (*record).comm).cast(), 16);
    }
    slot.submit(NO_WAKEUP);
}

/// The header of a segment.
#[inline(always)]
pub fn segment_header(which: u8, who: Who, ts: u64, flags: u8, cap: u32) -> Header {
    debug_assert!(which == dir::RX || which == dir::TX);
    Header { kind: kind::SEGMENT, flags, dir: which, family: 0, cap, ts, tgid: who.tgid, tid: who.tid }
}

/// The header of a datagram.
#[inline(always)]
pub fn datagram_header(which: u8, who: Who, ts: u64, flags: u8, family: u16, cap: u32) -> Header {
    Header {
        kind: kind::DATAGRAM,
        flags,
        dir: which,
        family: family as u8,
        cap,
        ts,
        tgid: who.tgid,
        tid: who.tid,
    }
}
