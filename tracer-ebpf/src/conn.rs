//! A connection's identity, read from `struct sock` the first time it is seen.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::abi::{Conn, Progress, counter, dir, flag, look, proto, state};

use crate::kernel::read_kernel;
use crate::maps::{CONNS, count};
use crate::select::Who;
use crate::settings::offset;

/// Address families (include/linux/socket.h).
pub const AF_UNIX: u16 = 1;
/// IPv4.
pub const AF_INET: u16 = 2;
/// IPv6.
pub const AF_INET6: u16 = 10;
const SOCK_STREAM: u16 = 1;
const IPPROTO_TCP: u16 = 6;
/// include/net/tcp_states.h.
const TCP_CLOSE: u8 = 7;

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments, no conditions.
    unsafe { bpf_ktime_get_ns() }
}

/// The family of a stream socket; `None` for anything else (UDP, netlink, datagrams).
#[inline(always)]
pub fn stream_family(sk: u64) -> Option<u16> {
    let family = read_kernel::<u16>(sk + offset!(sk_family))?;
    let kind = read_kernel::<u16>(sk + offset!(sk_type))?;
    if kind != SOCK_STREAM {
        return None;
    }
    if family == AF_UNIX {
        return Some(family);
    }
    if family != AF_INET && family != AF_INET6 {
        return None;
    }
    let protocol = read_kernel::<u16>(sk + offset!(sk_protocol))?;
    if protocol == IPPROTO_TCP { Some(family) } else { None }
}

/// Inode number of the socket's file, as in `/proc/PID/fd`; 0 if it has none.
#[inline(always)]
pub fn inode(sk: u64) -> u64 {
    // `struct socket_alloc` (include/net/sock.h) is the socket and, behind it, its inode.
    match read_kernel::<u64>(sk + offset!(sk_socket)) {
        Some(socket) if socket != 0 => {
            read_kernel::<u64>(socket + offset!(socket_inode) + offset!(inode_ino)).unwrap_or(0)
        }
        _ => 0,
    }
}

/// The table entry of a socket, made if it is new. `None` if it is no stream socket or the table is full.
#[inline(always)]
pub fn entry(sk: u64, len: u32) -> Option<*mut Conn> {
    if let Some(conn) = CONNS.get_ptr_mut(&sk) {
        // SAFETY: an element of the table; it stays valid memory while this program runs.
        let is_unix = unsafe { (*conn).state } & state::UNIX != 0;
        // SAFETY: as above.
        if !is_unix || unsafe { (*conn).inode } == inode(sk) {
            return Some(conn);
        }
        // A closed unix socket's memory, used again for another one. Only now is it known that the other is closed.
        // SAFETY: as above.
        if unsafe { (*conn).state } & state::ANNOUNCED != 0 {
            crate::record::close(conn, sk);
        }
        return create(sk, AF_UNIX, 0, Who { tgid: 0, tid: 0 }, 0, len);
    }
    let family = stream_family(sk)?;
    // What had arrived before a reset can still be read. The end of a connection that was closed before anything of it was seen is not waited for.
    if family != AF_UNIX && read_kernel::<u8>(sk + offset!(sk_state)) == Some(TCP_CLOSE) {
        count(counter::UNTRACKED_BYTES, len as u64);
        return None;
    }
    create(sk, family, 0, Who { tgid: 0, tid: 0 }, 0, len)
}

/// The end of a connection: it is told, and its entry is removed.
#[inline(always)]
pub fn finish(conn: *const Conn, sk: u64) {
    // SAFETY: an element of the table.
    if unsafe { (*conn).state } & state::ANNOUNCED != 0 {
        crate::record::close(conn, sk);
    }
    let _ = CONNS.remove(&sk);
}

/// Makes (or remakes) the entry of a socket.
#[inline(always)]
pub fn create(sk: u64, family: u16, flags: u8, by: Who, birth: u64, len: u32) -> Option<*mut Conn> {
    const NOTHING: Progress = Progress { bytes: 0, last: 0, tail: [0; 8], tid: 0, turn: 0 };
    let fresh = Conn {
        born: now(),
        rx: NOTHING,
        tx: NOTHING,
        birth,
        inode: if family == AF_UNIX { inode(sk) } else { 0 },
        birth_tid: by.tid,
        birth_tgid: by.tgid,
        rx_want: 0,
        tx_want: 0,
        tgid: 0,
        rx_base: 0,
        dir: 0,
        proto: proto::UNKNOWN,
        flags,
        state: if family == AF_UNIX { state::UNIX } else { 0 },
        tx_base: 0,
        birth_turn: if by.tid == 0 { 0 } else { crate::thread::turn(by) },
        looks: look::FIRST,
        granted: 0,
    };
    if CONNS.insert(&sk, &fresh, 0).is_err() {
        count(counter::LOST_MAP_FULL, 1);
        count(counter::UNTRACKED_BYTES, len as u64);
        return None;
    }
    CONNS.get_ptr_mut(&sk)
}

/// TCP sequence number of the first byte of a call that moved `len` bytes and is over.
///
/// Requests are read exactly, because the two ends of a call are joined by the request's number. A response's number
/// is counted on from there: it is wrong only if bytes of the connection moved unseen, and serves only as a second sign.
///
/// What TCP has counted and we have not moved unseen (a splice from the socket, a call whose probe was missed): it is
/// added to the counts, so that whatever follows stands at its true place.
#[inline(always)]
pub fn sequence(conn: &mut Conn, sk: u64, which: u8, len: u32, exact: bool) -> u32 {
    let (moved, base, known) = if which == dir::TX {
        (conn.tx.bytes as u32, conn.tx_base, state::TX_BASE)
    } else {
        (conn.rx.bytes as u32, conn.rx_base, state::RX_BASE)
    };
    if conn.state & state::UNIX != 0 {
        return moved;
    }
    let expected = base.wrapping_add(moved);
    let is_known = conn.state & known != 0;
    if !exact && is_known {
        return expected;
    }
    conn.state |= known;
    let start = if which == dir::TX {
        read_kernel::<u32>(sk + offset!(write_seq)).unwrap_or(0).wrapping_sub(len)
    } else {
        let start = read_kernel::<u32>(sk + offset!(copied_seq)).unwrap_or(0).wrapping_sub(len);
        // A receive that meets the FIN behind its bytes counts it as one more (tcp_recvmsg_locked, found_fin_ok).
        if start != expected && read_fin(sk) { start.wrapping_sub(1) } else { start }
    };
    let unseen = start.wrapping_sub(expected);
    if is_known && unseen != 0 && unseen < 1 << 31 {
        count(counter::UNSEEN_BYTES, unseen as u64);
        if which == dir::TX {
            conn.tx.bytes += unseen as u64;
        } else {
            conn.rx.bytes += unseen as u64;
        }
        return start;
    }
    if which == dir::TX {
        conn.tx_base = start.wrapping_sub(moved);
    } else {
        conn.rx_base = start.wrapping_sub(moved);
    }
    start
}

/// The peer will send no more.
#[inline(always)]
fn has_fin(sk: u64) -> bool {
    const RCV_SHUTDOWN: u8 = 1;
    read_kernel::<u8>(sk + offset!(sk_shutdown)).unwrap_or(0) & RCV_SHUTDOWN != 0
}

/// How far what has arrived is ahead of what was read. A FIN counts as a byte.
#[inline(always)]
fn unread(sk: u64) -> u32 {
    let copied = read_kernel::<u32>(sk + offset!(copied_seq)).unwrap_or(0);
    read_kernel::<u32>(sk + offset!(rcv_nxt)).unwrap_or(0).wrapping_sub(copied)
}

/// Whether the peer's FIN has been received and consumed.
#[inline(always)]
fn read_fin(sk: u64) -> bool {
    has_fin(sk) && unread(sk) == 0
}

/// Whether bytes have arrived that were not read.
#[inline(always)]
pub fn has_unread(sk: u64) -> bool {
    let bytes = unread(sk).wrapping_sub(has_fin(sk) as u32);
    bytes != 0 && bytes < 1 << 31
}

/// Flags of an entry that go into records.
#[inline(always)]
pub fn public_flags(conn: *const Conn) -> u8 {
    // SAFETY: an element of the table.
    unsafe { (*conn).flags & (flag::BORN_HERE | flag::ACTIVE | flag::PASSIVE) }
}
