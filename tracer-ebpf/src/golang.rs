//! Go's `net/http` hands a request from the goroutine that asks for it to another one, which belongs to the connection
//! and writes it. Two probes at the entries of functions tell who asked; never at a return, because Go moves its stacks.
//!
//! `(*persistConn).roundTrip` runs in the goroutine that asks, `(*persistConn).writeLoop` in the one that writes. What
//! they say is kept here until the write is seen: `task` looks it up.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::macros::{map, uprobe};
use aya_ebpf::maps::{HashMap, LruHashMap};
use aya_ebpf::programs::ProbeContext;
use tracer_common::golang::{CONN, GoProcess, NETFD_CONNECTED, NETFD_DESCRIPTOR, NETFD_FAMILY, NETFD_TYPE};

use crate::kernel::read_user;
use crate::select::selected;
use crate::task::of_goroutine;

/// Processes of Go programs, by process id.
#[map]
pub static GO: HashMap<u32, GoProcess> = HashMap::with_max_entries(4096, 0);

/// Connections with room for what is known of them. The least recently used go first, and then nothing is said of
/// their next request.
const CONNECTIONS: u32 = 16_384;

/// Who asked for the request that a connection has: by the process (`GoProcess::serial`) and the address of `net/http.persistConn`.
#[map]
static GO_CALLS: LruHashMap<[u64; 2], GoCall> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// The connection that a goroutine writes for: by the process and the goroutine's id, which is never used again.
#[map]
static GO_WRITERS: LruHashMap<[u64; 2], u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// The same by the process and descriptor, for connections whose writing goroutine began before the probes.
#[map]
static GO_FDS: LruHashMap<[u64; 2], u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// What is known of a connection. Its first request is asked for in one thread while the goroutine that will write it
/// begins in another: each has words of its own, which it writes as a whole, so that neither undoes what the other has just said.
#[repr(C)]
#[derive(Clone, Copy)]
struct GoCall {
    /// The goroutine that asked last; 0 if none was seen.
    task: u64,
    /// The one that created it; 0 if that is not known.
    parent: u64,
    /// The request has begun to be written: the next one is another goroutine's. Set to 0 by who asks, to 1 when it is written, which is after.
    written: u32,
    /// The beginning of the goroutine that writes was seen. Only that goroutine sets it.
    has_writer: u32,
}

/// Address families and types of sockets that requests go over (include/linux/socket.h, include/linux/net.h).
const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const SOCK_STREAM: u64 = 1;

/// The receiver and the goroutine, where Go's calling convention has them (abi-internal.md in cmd/compile).
#[inline(always)]
fn receiver_and_goroutine(ctx: &ProbeContext) -> (u64, u64) {
    // SAFETY: the kernel hands the interrupted thread's registers to a program on a uprobe.
    unsafe {
        #[cfg(bpf_target_arch = "x86_64")]
        return ((*ctx.regs).rax, (*ctx.regs).r14);
        #[cfg(bpf_target_arch = "aarch64")]
        return ((*ctx.regs).regs[0], (*ctx.regs).regs[28]);
    }
}

/// The process that the current task belongs to, if it is traced and known to be Go.
#[inline(always)]
fn process() -> Option<&'static GoProcess> {
    let who = selected()?;
    // SAFETY: userspace only adds and removes elements; one that is removed meanwhile stays readable.
    unsafe { GO.get(&who.tgid) }
}

/// `func (pc *persistConn) roundTrip(req *transportRequest) (resp *Response, err error)`
#[uprobe]
pub fn go_round_trip(ctx: ProbeContext) -> u32 {
    let Some(process) = process() else { return 0 };
    let (conn, goroutine) = receiver_and_goroutine(&ctx);
    let (task, parent) = of_goroutine(process, goroutine);
    let Some(call) = call_on(process, conn) else { return 0 };
    // SAFETY: an element of the table. The connection has one request at a time, and this is what begins it.
    let has_writer = unsafe {
        (*call).task = task;
        (*call).parent = parent;
        (*call).written = 0;
        (*call).has_writer
    };
    if has_writer != 0 {
        return 0;
    }
    if let Some(fd) = descriptor(conn) {
        let _ = GO_FDS.insert(&[process.serial, fd], &conn, 0);
    }
    0
}

/// `func (pc *persistConn) writeLoop()`
#[uprobe]
pub fn go_write_loop(ctx: ProbeContext) -> u32 {
    let Some(process) = process() else { return 0 };
    let (conn, goroutine) = receiver_and_goroutine(&ctx);
    let (task, _) = of_goroutine(process, goroutine);
    if task == 0 {
        return 0;
    }
    if GO_WRITERS.insert(&[process.serial, task], &conn, 0).is_err() {
        return 0;
    }
    // The first request may have been asked for before this goroutine ran, or be asked for at this moment.
    if let Some(call) = call_on(process, conn) {
        // SAFETY: an element of the table, and a word that nobody else writes.
        unsafe { (*call).has_writer = 1 };
    }
    0
}

/// What is known of a connection, to be added to. Whoever comes first makes the element; one that is there already is never
/// replaced, because another thread may just have said in it who asks.
#[inline(always)]
fn call_on(process: &GoProcess, conn: u64) -> Option<*mut GoCall> {
    let key = [process.serial, conn];
    if let Some(call) = GO_CALLS.get_ptr_mut(&key) {
        return Some(call);
    }
    let nothing = GoCall { task: 0, parent: 0, written: 0, has_writer: 0 };
    // It fails where the other one has made it meanwhile.
    let _ = GO_CALLS.insert(&key, &nothing, u64::from(BPF_NOEXIST));
    GO_CALLS.get_ptr_mut(&key)
}

/// The descriptor of a connection, if what it has is certainly a socket of package `net`: everything that such a
/// structure says of itself must be so. TLS and wrapped connections have other structures there.
#[inline(always)]
fn descriptor(conn: u64) -> Option<u64> {
    let value = read_user::<[u64; 2]>(conn + CONN)?;
    let netfd = read_user::<u64>(value[1])?;
    let words = read_user::<[u64; 10]>(netfd)?;
    let family = words[NETFD_FAMILY];
    let is_family = family == AF_UNIX || family == AF_INET || family == AF_INET6;
    if !is_family || words[NETFD_TYPE] != SOCK_STREAM || words[NETFD_CONNECTED] & 0xff != 1 {
        return None;
    }
    Some(words[NETFD_DESCRIPTOR])
}

/// The goroutine, and its parent, for which one that writes for connections begins (or goes on) to write a message to
/// a descriptor; `None` if it is no such goroutine. Zeros if it is one and it is not known who asked.
#[inline(always)]
pub fn asked_by(serial: u64, writer: u64, fd: u64, is_writer: bool, starts: bool) -> Option<(u64, u64)> {
    // SAFETY: a word that is written once.
    let conn = match unsafe { GO_WRITERS.get(&[serial, writer]) } {
        Some(conn) => *conn,
        None if !is_writer => return None,
        // SAFETY: a word; it is replaced as a whole.
        None => match unsafe { GO_FDS.get(&[serial, fd & 0xffff_ffff]) } {
            Some(conn) => *conn,
            None => return Some((0, 0)),
        },
    };
    let Some(call) = GO_CALLS.get_ptr_mut(&[serial, conn]) else { return Some((0, 0)) };
    // SAFETY: an element of the table. Who asked has handed the request over and does not write here until it is answered.
    unsafe {
        if starts {
            // A second message without a second question: one was missed, and nobody knows who asked.
            if (*call).written != 0 {
                (*call).task = 0;
                (*call).parent = 0;
            }
            (*call).written = 1;
        }
        Some(((*call).task, (*call).parent))
    }
}

/// A process has ended, or become another program.
#[inline(always)]
pub fn forget(tgid: u32) {
    let _ = GO.remove(&tgid);
}
