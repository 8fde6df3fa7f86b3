//! One socket call that moved bytes: the heart of the probes.
//!
//! A message is known by its beginning. A call whose first bytes look like one is captured, and so are the next calls
//! in the same direction until the head's budget is used up (a head may come in any split). Only HTTP/1 is known here; of
//! other connections the first calls travel to userspace, which knows the other protocols and says what it needs of a
//! connection from then on (`interest.rs`). All other bytes are only counted, per connection and direction; the counts
//! travel with the next record.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use tracer_common::abi::{
    Conn, PASSING_BYTES, SHORT_CALL, counter, dir, flag, look, mode, proto, select, state,
};
use tracer_common::classify::{Class, HEADER, classify, may_be_message};

use crate::arch::{Call, nr, uses_io_uring};
use crate::buffer::{self, Buffer};
use crate::conn;
use crate::datagram;
use crate::maps::{Scratch, acquire_scratch, count, forgotten, release_scratch};
use crate::record;
use crate::select::{Who, is_marked, mode_now, port_wanted};
use crate::settings::config;
use crate::thread::{self, Scene};

/// A call that moved bytes.
#[derive(Clone, Copy)]
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
    let Some(conn) = conn::entry(m.sk, m.len) else { return datagram::moved(m) };
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
    let buffer = trusted_buffer(c, m).unwrap_or(Buffer::NONE).hidden();
    if c.state & state::ANNOUNCED == 0 && !announce(c, m, &buffer, now) {
        return advance(c, m, now, 0, turn);
    }

    let flipped = c.dir != m.dir;
    let want = if m.dir == dir::RX { c.rx_want } else { c.tx_want };
    let by_calls = c.proto == proto::CALLS || c.proto == proto::HTTP2 || c.proto == proto::EVERYTHING;
    let goes_on = !flipped && want > 0 && !by_calls;
    if buffer.is_none() {
        if goes_on || by_calls || (flipped && c.proto == proto::HTTP1) {
            count(counter::NO_BUFFER, 1);
        }
        return advance(c, m, now, 0, turn);
    }
    if c.proto == proto::TLS || c.proto == proto::OPAQUE {
        return advance(c, m, now, 0, turn);
    }
    let mut part = Part { want, flags: 0, exact: 0, left: GOES_ON };
    if by_calls {
        part = of_call(c, m, flipped, want);
    } else if !goes_on {
        // Whatever an unknown protocol sends in one go is looked at as long as looks are left; a known one may send
        // several messages.
        if !flipped && c.proto == proto::UNKNOWN && c.dir != 0 && c.looks == 0 {
            return advance(c, m, now, 0, turn);
        }
        let Some((first, len)) = buffer::peek(&buffer, m.len) else {
            count(counter::READ_FAULT, 1);
            return advance(c, m, now, 0, turn);
        };
        part = Part { want: config!(head_bytes), flags: flag::STARTS, exact: 0, left: GOES_ON };
        match classify(first, len) {
            Class::Http1Request => {
                c.proto = proto::HTTP1;
                part.exact = 1;
            }
            Class::Http1Response => c.proto = proto::HTTP1,
            Class::Prefix => part.exact = 1,
            Class::Http2 if c.proto == proto::UNKNOWN => {
                c.proto = proto::HTTP2;
                part = of_call(c, m, true, 0);
            }
            Class::Tls if c.proto == proto::UNKNOWN => {
                c.proto = proto::TLS;
                return advance(c, m, now, 0, turn);
            }
            _ if c.proto == proto::UNKNOWN => {
                let want = look_at(c, first, m.len, flipped, now);
                if want == 0 {
                    return advance(c, m, now, 0, turn);
                }
                part = Part { want, flags: 0, exact: 0, left: 0 };
            }
            _ => {
                let before = u64::from_ne_bytes(if m.dir == dir::RX { c.rx.tail } else { c.tx.tail });
                let tail = buffer::tail(&buffer, m.len, before);
                return advance(c, m, now, tail, turn);
            }
        }
    }
    capture(c, m, &buffer, &Head { now, part, scene });
}

/// How much of a call is captured, and what it is.
#[derive(Clone, Copy)]
struct Part {
    /// So many bytes at most.
    want: u32,
    /// Of `abi::flag`.
    flags: u8,
    /// 1: it is, or may be, the beginning of a request.
    exact: u32,
    /// So many bytes of the next calls in this direction may be captured; [`GOES_ON`]: what this one leaves of `want`, until
    /// the head ends.
    left: u32,
}

/// The head of an HTTP/1 message goes on in the next calls.
const GOES_ON: u32 = u32::MAX;

/// A call of a protocol that userspace has recognised (or of HTTP/2). Whoever was called reads requests and answers them.
#[inline(always)]
fn of_call(c: &Conn, m: &Moved, flipped: bool, left: u32) -> Part {
    let most = config!(call_bytes);
    let is_called = c.flags & flag::PASSIVE != 0;
    let begins = flipped && is_called;
    let exact = u32::from(begins && m.dir == dir::RX);
    let flags = if begins { flag::STARTS } else { 0 };
    if c.proto != proto::CALLS {
        return Part { want: most, flags, exact, left: most };
    }
    let left = if flipped { most } else { left };
    if m.len <= SHORT_CALL {
        return Part { want: m.len, flags, exact, left };
    }
    let want = if left > PASSING_BYTES { left } else { PASSING_BYTES };
    Part { want, flags, exact, left: left - if m.len < left { m.len } else { left } }
}

/// How much to capture of a call of which the protocol is not known: 0 if looks are used up.
#[inline(always)]
fn look_at(c: &mut Conn, first: u64, len: u32, flipped: bool, now: u64) -> u32 {
    let second = (now >> 30) as u32;
    if flipped && c.granted != second {
        c.granted = second;
        if c.looks < look::AGAIN {
            c.looks = look::AGAIN;
        }
    }
    let before = if flipped { 0 } else { c.state };
    let likely = before & state::SHORT != 0 || may_be_message(first, len);
    let is_body = before & state::BODY != 0;
    let short = if len <= HEADER { state::SHORT } else { 0 };
    let body = if likely || is_body { state::BODY } else { 0 };
    c.state = c.state & !(state::SHORT | state::BODY) | short | body;
    let cost = if likely {
        look::LIKELY
    } else if is_body {
        look::BODY
    } else {
        look::UNLIKELY
    };
    if c.looks < cost {
        c.looks = 0;
        return 0;
    }
    c.looks -= cost;
    if likely { config!(call_bytes) } else { look::UNLIKELY_BYTES }
}

/// The user's buffer, if it is certain that it holds this call's bytes.
#[inline(always)]
fn trusted_buffer(c: &mut Conn, m: &Moved) -> Option<Buffer> {
    // Of several messages a stream makes one, whose parts lie in as many places.
    if m.call.number == Call::NONE.number || nr::many(m.call.number) {
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
fn announce(c: &mut Conn, m: &Moved, buffer: &Buffer, now: u64) -> bool {
    let Some(family) = conn::stream_family(m.sk) else { return false };
    if config!(select) == select::PORTS && mode_now() == mode::ON {
        let (local, remote) = if family == conn::AF_UNIX { (0, 0) } else { record::ports(m.sk) };
        if !port_wanted(local, remote) && !is_marked(m.who.tgid) {
            c.proto = proto::IGNORED;
            return false;
        }
    }
    let peek = if buffer.is_none() { (0, 0) } else { buffer::peek(buffer, m.len).unwrap_or((0, 0)) };
    record::open(c, m.sk, family, m.who, now, peek)
}

/// A head, or part of one, that is captured.
struct Head {
    /// When.
    now: u64,
    /// How much.
    part: Part,
    /// What the thread was doing.
    scene: Scene,
}

/// Sends the beginning of the call to userspace.
#[inline(always)]
fn capture(c: &mut Conn, m: &Moved, buffer: &Buffer, head: &Head) {
    let Head { now, part: Part { want, flags, exact, left }, scene } = *head;
    let turn = scene.turn;
    let Some(scratch) = acquire_scratch() else {
        count(counter::READ_FAULT, 1);
        return advance(c, m, now, 0, turn);
    };
    let [want, flags, exact, left] =
        forgotten(scratch, [want as u64, flags as u64, exact as u64, left as u64]);
    let (want, flags, exact, left) = (want as u32, flags as u8, exact as u32 != 0, left as u32);
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
    let left = if left != GOES_ON {
        left
    } else if cap < want && !ends_head(scratch, cap, m.len) {
        want - cap
    } else {
        0
    };
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
    // SAFETY: an offset below 16384 in an area of 24576.
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
