//! The maps. Names are at most 15 characters, which is what the kernel keeps of them.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use tracer_common::abi::{Conn, MAX_HEAD_BYTES, SegmentRecord, counter};

/// Records for userspace. Its size is set at load.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

/// Connections by the address of their `struct sock`.
#[map]
pub static CONNS: HashMap<u64, Conn> = HashMap::with_max_entries(65_536, 0);

/// One element: one of `abi::mode`.
#[map]
pub static MODE: Array<u32> = Array::with_max_entries(1, 0);

/// One byte a process id, eight to an element: not zero when the process is recorded. Bytes and not bits, because
/// two processors may set neighbours at once. Its size is set at load from `pid_max`.
#[map]
pub static PROCESSES: Array<[u8; 8]> = Array::with_max_entries(4096, 0);

/// `abi::counter`.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Where a segment is put together: record, head, and as much again of slack, since the verifier bounds the offset of
/// a part and its length separately.
#[repr(C)]
pub struct Scratch {
    /// How many programs hold it or try to.
    users: u64,
    /// For [`forgotten`].
    passed: [u64; 4],
    /// The fixed part.
    pub record: SegmentRecord,
    /// The head.
    pub data: [u8; MAX_HEAD_BYTES * 3],
}

/// How many scratch areas a processor has: programs that interrupt each other need one each.
const SCRATCH_AREAS: u32 = 3;

/// The scratch areas.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(SCRATCH_AREAS, 0);

/// A call of a socket function that has not returned.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct InCall {
    /// The socket.
    pub sk: u64,
    /// `MSG_*` flags of a receive.
    pub flags: u64,
}

/// Calls that have not returned, by thread (`bpf_get_current_pid_tgid`). Only kprobes need it; its size is set at load.
/// The least recently used go first, so that threads that ended in a call do not fill it.
#[map]
pub static IN_CALL: LruHashMap<u64, InCall> = LruHashMap::with_max_entries(1, 0);

/// Where a thread is that moves several messages with one call (sendmmsg, recvmmsg).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Many {
    /// The messages: the call's second argument.
    pub vector: u64,
    /// Index of the next one.
    pub next: u64,
}

/// Threads in the middle of such a call, by `bpf_get_current_pid_tgid`.
#[map]
pub static MANY: LruHashMap<u64, Many> = LruHashMap::with_max_entries(1024, 0);

/// What is known of a thread. Zero: nothing yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Thread {
    /// How often it went waiting for descriptors.
    pub turn: u32,
    /// The thread that handed it something last.
    pub waker: u32,
    /// How often that one had gone waiting then.
    pub waker_turn: u32,
    /// Requests that it has read, less responses that it has written. Others may have written them: a hint.
    pub open: u32,
    /// When that was.
    pub woken: u64,
    /// Where it waited then: a futex, or [`crate::wake::DESCRIPTORS`].
    pub place: u64,
    /// When it last moved bytes of a connection.
    pub moved: u64,
    /// When it last read (part of) the head of a request or response.
    pub fed: u64,
    /// When it last read the beginning of a request.
    pub asked: u64,
    /// 1 if neither of the two had a request to answer when the one woke the other.
    pub weak: u64,
}

/// Threads by id, as far as there is something to know of them. Not one that forgets by itself: a thread whose count of
/// turns began anew would be believed. Its size is set at load.
#[map]
pub static THREADS: HashMap<u32, Thread> = HashMap::with_max_entries(1, 0);

/// A free scratch area of this processor. `None` when all are in use. Give it back with [`release_scratch`].
///
/// Programs at function exits can be interrupted on kernels with full preemption, by another task that runs the like on
/// the same processor (they are kept from moving to another one). Whoever adds himself and then reads 1 is alone; of
/// two that overlap, at most one is.
#[inline(always)]
pub fn acquire_scratch() -> Option<*mut Scratch> {
    let mut area = 0;
    while area < SCRATCH_AREAS {
        let scratch = SCRATCH.get_ptr_mut(area)?;
        // SAFETY: a field of a map value.
        unsafe {
            let users = &raw mut (*scratch).users;
            add(users, 1);
            if users.read_volatile() == 1 {
                return Some(scratch);
            }
            add(users, u64::MAX);
        }
        area += 1;
    }
    None
}

/// Gives a scratch area back.
#[inline(always)]
pub fn release_scratch(scratch: *mut Scratch) {
    // SAFETY: a field of a map value.
    unsafe { add(&raw mut (*scratch).users, u64::MAX) };
}

/// The same values, of which the verifier knows nothing any more: it does not follow what lies in a map. It would else walk
/// all that comes after once for each thing that it can tell of them.
#[inline(always)]
pub fn forgotten(scratch: *mut Scratch, values: [u64; 4]) -> [u64; 4] {
    // SAFETY: a field of a map value, which this program alone holds.
    unsafe {
        let passed = (&raw mut (*scratch).passed).cast::<u64>();
        passed.write_volatile(values[0]);
        passed.add(1).write_volatile(values[1]);
        passed.add(2).write_volatile(values[2]);
        passed.add(3).write_volatile(values[3]);
        [
            passed.read_volatile(),
            passed.add(1).read_volatile(),
            passed.add(2).read_volatile(),
            passed.add(3).read_volatile(),
        ]
    }
}

/// Adds atomically. Its result is not known: that needs Linux 5.12.
///
/// # Safety
/// Must point to a word of a map value.
#[inline(always)]
unsafe fn add(word: *mut u64, by: u64) {
    // SAFETY: by the contract.
    unsafe {
        core::arch::asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) word, in(reg) by, options(nostack));
    }
}

/// Adds to a per-processor counter.
#[inline(always)]
pub fn count(index: u32, by: u64) {
    if let Some(value) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: a per-processor element; nobody else writes it while this program runs.
        unsafe { *value += by };
    }
}
