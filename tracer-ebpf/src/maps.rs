//! The maps. Names are at most 15 characters, which is what the kernel keeps of them.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
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
    /// The fixed part.
    pub record: SegmentRecord,
    /// The head.
    pub data: [u8; MAX_HEAD_BYTES * 3],
}

/// One for each program that can interrupt another on a processor: 0 send, 1 receive, 2 system call exit.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(3, 0);

/// Adds to a per-processor counter.
#[inline(always)]
pub fn count(index: u32, by: u64) {
    if let Some(value) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: a per-processor element; nobody else writes it while this program runs.
        unsafe { *value += by };
    }
}
