//! One socket call that moved bytes: the heart of the probes.
//!
//! A message is known by its beginning. A call whose first bytes look like one is captured, and so are the next calls
//! in the same direction until the head's budget is used up (a head may come in any split). All other bytes are only
//! counted, per connection and direction; the counts travel with the next record.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::abi::{Conn, counter, dir, flag, mode, proto, select, state};
use tracer_common::classify::{Class, classify};

use crate::arch::{Call, uses_io_uring};
use crate::buffer::{self, Buffer};
use crate::conn;
use crate::kernel::hidden;
use crate::maps::{Scratch, acquire_scratch, count, release_scratch};
use crate::record;
use crate::select::{Who, is_marked, mode_now, port_wanted};
use crate::settings::config;
use crate::thread::{self, Scene};

/// A call that moved bytes.
pub struct Moved {
    /// The socket.
    pub sk: u64,
    /// One of `abi::dir`.
    pub dir: u8,
    /// How many bytes.
    pub len: u32,
    /// Who made it.
    pub who: Who,
    /// The system call it came from, where its arguments can be trusted to be about this direction; else
    /// [`Call::NONE`].
    pub call: Call,
    /// The system call's descriptor is known to lead to this socket.
    pub fd_known: bool,
}

/// Handles a call.
#[inline(always)]
pub fn moved(m: &Moved) {
    let Some(conn) = conn::entry(m.sk, m.len) else { return };
    // SAFETY: an element of the table: memory of this layout for as long as the program runs, even if the element is
    // deleted meanwhile. Two processors may write it at once; the fields are independent counters and hints.
    let c = unsafe { &mut *conn };
    // SAFETY: no arguments, no conditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if c.proto == proto::IGNORED {
        return advance(c, m, now, 0, 0);
    }
    let scene = thread::moves(m.who, now);
    let turn = scene.turn;
    let buffer = trusted_buffer(c, m).map(Buffer::hidden);
    if c.state & state::ANNOUNCED == 0 && !announce(c, m, &buffer, now) {
        return advance(c, m, now, 0, turn);
    }

    let flipped = c.dir != m.dir;
    let want = if m.dir == dir::RX { c.rx_want } else { c.tx_want };
    let goes_on = !flipped && want > 0;
    let Some(buffer) = buffer else {
        if goes_on || (flipped && c.proto == proto::HTTP1) {
            count(counter::NO_BUFFER, 1);
        }
        return advance(c, m, now, 0, turn);
    };
    if c.proto == proto::TLS || c.proto == proto::HTTP2 {
        return advance(c, m, now, 0, turn);
    }
    let (mut want, mut flags, mut exact) = (want, 0, 0);
    if !goes_on {
        // Whatever an unknown protocol sends in one go is looked at once; a known one may send several messages.
        if !flipped && c.proto == proto::UNKNOWN && c.dir != 0 {
            return advance(c, m, now, 0, turn);
        }
        let Some((first, len)) = buffer::peek(&buffer, m.len) else {
            count(counter::READ_FAULT, 1);
            return advance(c, m, now, 0, turn);
        };
        want = config!(head_bytes);
        flags = flag::STARTS;
        match classify(first, len) {
            Class::Http1Request => {
                c.proto = proto::HTTP1;
                exact = 1;
            }
            Class::Http1Response => c.proto = proto::HTTP1,
            Class::Prefix => exact = 1,
            class => return uncaptured(c, m, &buffer, now, class, turn),
        }
    }
    // The verifier would walk the rest once for each way that leads here.
    let flags = hidden(flags as u64) as u8;
    capture(
        c,
        m,
        &buffer,
        &Head { now, want: hidden(want as u64) as u32, flags, exact: hidden(exact) != 0, scene },
    );
}

/// A call that begins no message that is captured.
#[inline(always)]
fn uncaptured(c: &mut Conn, m: &Moved, buffer: &Buffer, now: u64, class: Class, turn: u32) {
    match class {
        Class::Http2 if c.proto == proto::UNKNOWN => {
            c.proto = proto::HTTP2;
            advance(c, m, now, 0, turn);
        }
        Class::Tls if c.proto == proto::UNKNOWN => {
            c.proto = proto::TLS;
            advance(c, m, now, 0, turn);
        }
        _ => {
            let before = u64::from_ne_bytes(if m.dir == dir::RX { c.rx.tail } else { c.tx.tail });
            let tail = if c.proto == proto::HTTP1 { buffer::tail(buffer, m.len, before) } else { 0 };
            advance(c, m, now, tail, turn);
        }
    }
}

/// The user's buffer, if it is certain that it holds this call's bytes.
#[inline(always)]
fn trusted_buffer(c: &mut Conn, m: &Moved) -> Option<Buffer> {
    if m.call.number == Call::NONE.number {
        return None;
    }
    if !m.fd_known {
        // The kernel itself may use a socket inside an unrelated call (network file systems, io_uring completions).
        // One check of the descriptor is enough, unless the task uses io_uring.
        let checked = c.state & state::FD_CHECKED != 0;
        if !checked || uses_io_uring() {
            if buffer::sock_of_fd(m.call.fd) != m.sk {
                return None;
            }
            c.state |= state::FD_CHECKED;
        }
    }
    buffer::of(&m.call, m.len)
}

/// Tells userspace of the connection. False if nothing of it is to be captured now.
#[inline(always)]
fn announce(c: &mut Conn, m: &Moved, buffer: &Option<Buffer>, now: u64) -> bool {
    let Some(family) = conn::stream_family(m.sk) else { return false };
    if config!(select) == select::PORTS && mode_now() == mode::ON {
        let (local, remote) = if family == conn::AF_UNIX { (0, 0) } else { record::ports(m.sk) };
        if !port_wanted(local, remote) && !is_marked(m.who.tgid) {
            c.proto = proto::IGNORED;
            return false;
        }
    }
    let peek = match buffer {
        Some(buffer) => buffer::peek(buffer, m.len).unwrap_or((0, 0)),
        None => (0, 0),
    };
    record::open(c, m.sk, family, m.who, now, peek)
}

/// A head, or part of one, that is captured.
struct Head {
    /// When.
    now: u64,
    /// So many bytes at most.
    want: u32,
    /// Of `abi::flag`.
    flags: u8,
    /// It is, or may be, the beginning of a request.
    exact: bool,
    /// What the thread was doing.
    scene: Scene,
}

/// Sends the beginning of the call to userspace.
#[inline(always)]
fn capture(c: &mut Conn, m: &Moved, buffer: &Buffer, head: &Head) {
    let Head { now, want, flags, exact, scene } = *head;
    let turn = scene.turn;
    let Some(scratch) = acquire_scratch() else {
        count(counter::READ_FAULT, 1);
        return advance(c, m, now, 0, turn);
    };
    let copied = buffer::copy(buffer, m.len, want, scratch);
    let (cap, fault) = match copied {
        Some(cap) => (cap, 0),
        None => {
            count(counter::READ_FAULT, 1);
            (0, flag::UNREADABLE)
        }
    };
    let seq = conn::sequence(c, m.sk, m.dir, m.len, exact || config!(may_miss) != 0);
    let lost = c.flags & flag::LOST_BEFORE;
    let header = record::segment_header(m.dir, m.who, now, flags | fault | lost, cap);
    record::segment(scratch, c, m.sk, header, (seq, m.len), scene, m.call.fd);
    let left = if cap < want && !ends_head(scratch, cap, m.len) { want - cap } else { 0 };
    release_scratch(scratch);
    // Here and not earlier: the verifier would walk the copying once for a thread that is known and once for one that is not.
    if m.dir == dir::RX {
        c.rx_want = left;
        thread::reads(m.who, now, exact);
    } else {
        c.tx_want = left;
        if flags & flag::STARTS != 0 && !exact {
            thread::answers(m.who);
        }
    }
    let tail = if cap < m.len { buffer::tail(buffer, m.len, 0) } else { 0 };
    advance(c, m, now, tail, turn);
}

/// Whether the call was captured whole and ends with the empty line that ends a head: what follows is a body, or
/// another message.
#[inline(always)]
fn ends_head(scratch: *mut Scratch, cap: u32, len: u32) -> bool {
    if cap != len || cap < 4 {
        return false;
    }
    let at = buffer::bounded(cap as u64 - 4);
    // SAFETY: an offset below 8192 in an area of 12288.
    let last =
        unsafe { (&raw const (*scratch).data).cast::<u8>().add(at as usize).cast::<u32>().read_unaligned() };
    last == u32::from_le_bytes(*b"\r\n\r\n")
}

/// Adds the call to the counts.
#[inline(always)]
fn advance(c: &mut Conn, m: &Moved, now: u64, tail: u64, turn: u32) {
    let progress = if m.dir == dir::RX { &mut c.rx } else { &mut c.tx };
    progress.bytes += m.len as u64;
    progress.last = now;
    progress.tail = tail.to_ne_bytes();
    progress.tid = m.who.tid;
    progress.turn = turn;
    c.dir = m.dir;
    c.tgid = m.who.tgid;
}
