//! The records that cross the ring buffer, and the map values that userspace reads.
//!
//! Every struct is `repr(C)`, has only integer fields, names its padding, and is asserted to be free of implicit
//! padding, because a ring slot is uninitialised kernel memory and what is not written would leak.
//!
//! All times are `bpf_ktime_get_ns`: CLOCK_MONOTONIC, in nanoseconds.

/// Bytes of an HTTP message's head that travel to userspace unless the user asks for another number.
pub const DEFAULT_HEAD_BYTES: u32 = 4096;
/// Bytes of a call of other protocols (a statement's text) that travel to userspace, likewise.
pub const DEFAULT_CALL_BYTES: u32 = 8192;
/// The largest number of bytes that one record can carry. A power of two: the verifier bounds offsets by masking.
pub const MAX_HEAD_BYTES: usize = 8192;
/// Bytes of a call's beginning that classification looks at.
pub const PEEK_BYTES: usize = 16;
/// How many I/O vectors of one call are looked at; what lies in later ones is counted, not captured.
pub const MAX_IOVECS: u32 = 64;

/// What a record is. Stored in [`Header::kind`].
pub mod kind {
    /// [`super::OpenRecord`]: a connection is seen for the first time.
    pub const OPEN: u8 = 1;
    /// [`super::SegmentRecord`] and its payload: the beginning (or a further part) of a message.
    pub const SEGMENT: u8 = 2;
    /// [`super::CloseRecord`]: the connection ended; carries its final counts.
    pub const CLOSE: u8 = 3;
    /// [`super::ProcessRecord`]: a process forked.
    pub const FORK: u8 = 4;
    /// [`super::ProcessRecord`]: a process replaced its program.
    pub const EXEC: u8 = 5;
    /// [`super::ProcessRecord`]: a process (its last thread) ended.
    pub const EXIT: u8 = 6;
    /// [`super::DatagramRecord`] and its payload: a message of a socket that has no connection.
    pub const DATAGRAM: u8 = 7;
}

/// Direction of a byte as seen by the process that owns the socket.
pub mod dir {
    /// Received by the process.
    pub const RX: u8 = 1;
    /// Sent by the process.
    pub const TX: u8 = 2;
}

/// [`Header::flags`] bits.
pub mod flag {
    /// An earlier record of this connection did not fit into the ring; its bytes are in the counts.
    pub const LOST_BEFORE: u8 = 1 << 0;
    /// The bytes of this segment begin like a message of a known protocol (else: they continue a head).
    pub const STARTS: u8 = 1 << 1;
    /// The user buffer could not be read (paged out, or the data never was in user memory).
    pub const UNREADABLE: u8 = 1 << 2;
    /// The connection was established (or created) while the tracer watched.
    pub const BORN_HERE: u8 = 1 << 3;
    /// This end called `connect`.
    pub const ACTIVE: u8 = 1 << 4;
    /// This end was accepted.
    pub const PASSIVE: u8 = 1 << 5;
    /// No message, but the word that nobody takes what was sent (ECONNREFUSED, from an ICMP message).
    pub const REFUSED: u8 = 1 << 6;
}

/// Protocol of a connection as the kernel side knows it. Stored in [`Conn::proto`] and [`CloseRecord::proto`].
pub mod proto {
    /// Nothing recognised yet: the first calls travel to userspace, which may recognise it, and later ones now and then.
    pub const UNKNOWN: u8 = 0;
    /// HTTP/1.x seen in at least one direction.
    pub const HTTP1: u8 = 1;
    /// HTTP/2 connection preface: the beginning of every call is captured.
    pub const HTTP2: u8 = 2;
    /// TLS record layer: encrypted.
    pub const TLS: u8 = 3;
    /// Userspace knows the protocol and needs the beginning of calls: short ones whole, of a long transfer a few bytes of each.
    pub const CALLS: u8 = 4;
    /// The same, and of each call as much as fits into a record.
    pub const EVERYTHING: u8 = 5;
    /// Userspace can make no use of its bytes: only counted.
    pub const OPAQUE: u8 = 6;
    /// Not wanted (port filter): nothing is recorded but the counts.
    pub const IGNORED: u8 = 255;
}

/// First bytes of every record.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u8,
    /// [`flag`] bits.
    pub flags: u8,
    /// One of [`dir`], or 0.
    pub dir: u8,
    /// `AF_INET`, `AF_INET6` or `AF_UNIX`, or 0.
    pub family: u8,
    /// Payload bytes that follow the fixed part of the record.
    pub cap: u32,
    /// When it happened, ns.
    pub ts: u64,
    /// Process id (thread group) in the initial pid namespace; 0 when it happened in interrupt context.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
}

/// Names one end of one connection: the kernel's `struct sock` and when it was first seen. The address alone would
/// not do, since the kernel reuses the memory of closed sockets.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    /// Address of `struct sock`.
    pub sk: u64,
    /// When the probes first saw it, ns.
    pub born: u64,
}

/// How far one direction of a connection has come. Counts are cumulative since the connection was first seen, so
/// that reading them twice does no harm and losing a record loses no byte.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes moved.
    pub bytes: u64,
    /// When the last of them moved, ns.
    pub last: u64,
    /// The last eight bytes of the last call, in memory order, or zeros when they were not readable.
    pub tail: [u8; 8],
    /// Thread that moved the last of them; 0: none has, or it is not known.
    pub tid: u32,
    /// [`SegmentRecord::turn`] of that thread then.
    pub turn: u32,
}

/// Part of a message: the record's payload is the beginning of this call's data.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRecord {
    /// Common part. `ts` is the end of the call, `tgid`/`tid` who made it.
    pub header: Header,
    /// Whose.
    pub conn: ConnId,
    /// Received so far, without this call.
    pub rx: Progress,
    /// Sent so far, without this call.
    pub tx: Progress,
    /// TCP sequence number of the first byte of this call (stream offset modulo 2^32 for unix sockets).
    pub seq: u32,
    /// Bytes that this call moved; `header.cap` of them follow.
    pub len: u32,
    /// How often the thread had gone waiting for descriptors (epoll_wait, poll, select, io_uring_enter) since it was first
    /// looked at; modulo 2^32, 0: never, or it is not known.
    pub turn: u32,
    /// Thread of the same process that last handed it something by waking or creating it; 0: none, or it is not known.
    pub waker: u32,
    /// When that was, ns.
    pub woken: u64,
    /// [`SegmentRecord::turn`] of the waker then.
    pub waker_turn: u32,
    /// Padding.
    pub pad: u32,
    /// The runtime's own task for which the bytes were moved (a goroutine's id); 0: not known.
    pub task: u64,
    /// The task that created it; 0: not known.
    pub parent_task: u64,
}

/// A message of a UDP socket: the record's payload is its beginning. The fixed part is as long as that of a [`SegmentRecord`]:
/// both are put together in the same place.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramRecord {
    /// Common part. `ts` is the end of the call, `tgid`/`tid` who made it.
    pub header: Header,
    /// Address of `struct sock`.
    pub sk: u64,
    /// Inode number of the socket: the kernel uses the memory of closed sockets again.
    pub inode: u64,
    /// Local address, network byte order; IPv4 in the first four bytes. Zeros: any.
    pub local: [u8; 16],
    /// The other end's address, likewise. Of a socket that is not connected it is known of what is sent only.
    pub remote: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order; 0: not known.
    pub remote_port: u16,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Padding.
    pub pad: [u64; 3],
    /// Padding.
    pub pad2: u32,
    /// Bytes of the message; `header.cap` of them follow.
    pub len: u32,
    /// As in [`SegmentRecord`].
    pub turn: u32,
    /// As in [`SegmentRecord`].
    pub waker: u32,
    /// As in [`SegmentRecord`].
    pub woken: u64,
    /// As in [`SegmentRecord`].
    pub waker_turn: u32,
    /// Padding.
    pub pad3: u32,
    /// As in [`SegmentRecord`].
    pub task: u64,
    /// As in [`SegmentRecord`].
    pub parent_task: u64,
}

/// A connection is seen for the first time.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRecord {
    /// Common part: who moved the first bytes.
    pub header: Header,
    /// Whose.
    pub conn: ConnId,
    /// Local address, network byte order; IPv4 in the first four bytes.
    pub local: [u8; 16],
    /// Remote address, likewise.
    pub remote: [u8; 16],
    /// Local port, host byte order.
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Inode number of the socket, as in `/proc/PID/fd` (`socket:[N]`); 0 when it has no file.
    pub inode: u64,
    /// `struct sock` of the peer (unix sockets only), else 0.
    pub peer: u64,
    /// Thread that called `connect`, when that was seen (flag ACTIVE), else 0.
    pub birth_tid: u32,
    /// Its process.
    pub birth_tgid: u32,
    /// When `connect` was called, or the connection was established, ns; 0 when it was not seen.
    pub birth: u64,
    /// First bytes of the first call, for naming what is not understood.
    pub peek: [u8; PEEK_BYTES],
    /// How many of them are valid.
    pub peek_len: u8,
    /// Padding.
    pub pad: [u8; 3],
    /// [`SegmentRecord::turn`] of the thread that called `connect`, at that time.
    pub birth_turn: u32,
}

/// A connection ended.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseRecord {
    /// Common part; `tgid` is 0 when the peer or a timer ended it.
    pub header: Header,
    /// Whose.
    pub conn: ConnId,
    /// Received in all.
    pub rx: Progress,
    /// Sent in all.
    pub tx: Progress,
    /// One of [`proto`].
    pub proto: u8,
    /// Padding.
    pub pad: [u8; 7],
}

/// A process began, changed or ended.
#[repr(C)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Common part: `tgid` is the process it is about.
    pub header: Header,
    /// The parent's process id (fork), else 0.
    pub parent: u32,
    /// Padding.
    pub pad: u32,
    /// Command name (`task_struct.comm`), NUL-padded.
    pub comm: [u8; 16],
}

/// What the kernel side remembers of one connection; userspace reads it for connections that have gone quiet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conn {
    /// When first seen, ns: the second half of its [`ConnId`].
    pub born: u64,
    /// Received.
    pub rx: Progress,
    /// Sent.
    pub tx: Progress,
    /// When `connect` was called or the connection established, ns; 0 if that was before the tracer.
    pub birth: u64,
    /// Socket inode when first seen: tells a reused `struct sock` (unix sockets close without a sign).
    pub inode: u64,
    /// Thread that called `connect`.
    pub birth_tid: u32,
    /// Its process.
    pub birth_tgid: u32,
    /// Bytes of the current received message's head that may still be captured.
    pub rx_want: u32,
    /// The same for sent.
    pub tx_want: u32,
    /// Process that used it last.
    pub tgid: u32,
    /// TCP sequence number of the first byte ever received, as far as known ([`state::RX_BASE`]).
    pub rx_base: u32,
    /// Direction of the last call, one of [`dir`].
    pub dir: u8,
    /// One of [`proto`].
    pub proto: u8,
    /// [`flag`] bits.
    pub flags: u8,
    /// [`state`] bits.
    pub state: u8,
    /// The same for the first byte ever sent ([`state::TX_BASE`]).
    pub tx_base: u32,
    /// [`SegmentRecord::turn`] of the thread that called `connect`, at that time.
    pub birth_turn: u32,
    /// How much is still looked at while the protocol is not known ([`look`]).
    pub looks: u32,
    /// When a little was last granted again: seconds of 2^30 ns.
    pub granted: u32,
}

/// What looking at a call of a connection costs whose protocol is not known. It begins with [`look::FIRST`]; once a second, where the
/// direction turns, [`look::AGAIN`] are granted.
pub mod look {
    /// At first: 2048 calls that look like messages, which a busy client makes before userspace has recognised it, or 16 that do not.
    pub const FIRST: u32 = 2048;
    /// Later.
    pub const AGAIN: u32 = 256;
    /// A call that looks like a message: captured as far as any.
    pub const LIKELY: u32 = 1;
    /// One that may go on with what one before it began.
    pub const BODY: u32 = 8;
    /// One that does not look like a message.
    pub const UNLIKELY: u32 = 128;
    /// Bytes that are captured of the latter two.
    pub const UNLIKELY_BYTES: u32 = 256;
}

/// Bytes of a datagram that travel to userspace at most: a DNS message's question is within the first 271.
pub const DATAGRAM_BYTES: u32 = 512;
/// Calls of at most so many bytes are captured whole where the protocol is not HTTP/1.
pub const SHORT_CALL: u32 = 1024;
/// Bytes that are captured of each further call of a long transfer.
pub const PASSING_BYTES: u32 = 64;

/// [`Conn::state`] bits.
pub mod state {
    /// The OPEN record has been delivered.
    pub const ANNOUNCED: u8 = 1 << 0;
    /// The system call's descriptor was checked to lead to this socket, so its buffer may be trusted.
    pub const FD_CHECKED: u8 = 1 << 1;
    /// A unix socket: its memory may be reused without a sign, so its inode is compared.
    pub const UNIX: u8 = 1 << 2;
    /// [`super::Conn::rx_base`] is known.
    pub const RX_BASE: u8 = 1 << 3;
    /// [`super::Conn::tx_base`] is known.
    pub const TX_BASE: u8 = 1 << 4;
    /// The last call that was looked at was so short that it may have been a message's length or header, read on its own.
    pub const SHORT: u8 = 1 << 5;
    /// Since the direction changed something was looked at that may be the beginning of what follows.
    pub const BODY: u8 = 1 << 6;
    /// TCP has closed the connection, and its process has not read yet what had arrived before.
    pub const LINGERS: u8 = 1 << 7;
}

/// Index into the per-CPU counters.
pub mod counter {
    /// Records that did not fit into the ring.
    pub const LOST_RING_FULL: u32 = 0;
    /// Connections for which the connection table had no room.
    pub const LOST_MAP_FULL: u32 = 1;
    /// Messages whose bytes could not be read from the user's buffer.
    pub const READ_FAULT: u32 = 2;
    /// Calls without a user buffer where a message head was expected.
    pub const NO_BUFFER: u32 = 3;
    /// Bytes of sockets that are neither TCP nor unix streams, but for UDP messages that may be DNS.
    pub const OTHER_BYTES: u32 = 4;
    /// Bytes of connections that had no room in the table.
    pub const UNTRACKED_BYTES: u32 = 5;
    /// Returns of socket functions that the kernel had no room to watch (kprobes only).
    pub const MISSED_RETURNS: u32 = 6;
    /// Bytes that TCP counted and no probe saw.
    pub const UNSEEN_BYTES: u32 = 7;
    /// Socket calls of 32-bit programs, whose buffers are not read.
    pub const CALLS_32_BIT: u32 = 8;
    /// Threads for whose evidence the table had no room.
    pub const THREADS_FULL: u32 = 9;
    /// How many there are.
    pub const COUNT: u32 = 10;
}

/// Value of the one-element MODE map.
pub mod mode {
    /// Every probe returns at once.
    pub const OFF: u32 = 0;
    /// Only the tracer's own process is recorded: the check at start.
    pub const SELF_CHECK: u32 = 1;
    /// Everything that is selected, except the tracer itself.
    pub const ON: u32 = 2;
}

/// Which processes are recorded. Stored in [`Config::select`].
pub mod select {
    /// All but the tracer.
    pub const ALL: u32 = 0;
    /// Those whose bit is set in the process table.
    pub const PROCESSES: u32 = 1;
    /// Any process, but only connections with one of the ports, or of a process whose bit is set.
    pub const PORTS: u32 = 2;
}

/// Set once before load; the verifier sees constants and removes what is switched off.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The tracer's own process id.
    pub self_tgid: u32,
    /// One of [`select`].
    pub select: u32,
    /// Bytes of a message head that are captured, at most [`MAX_HEAD_BYTES`].
    pub head_bytes: u32,
    /// Ports (host byte order) for [`select::PORTS`]; unused entries are 0.
    pub ports: [u16; 16],
    /// 1 if `bpf_task_pt_regs` and `bpf_get_current_task_btf` exist (Linux 5.15).
    pub has_task_pt_regs: u32,
    /// 1 if a program newly executed is recorded until userspace decides (name, container and unit filters).
    pub adopt_exec: u32,
    /// 1 if children of recorded processes are recorded.
    pub adopt_fork: u32,
    /// Where a task's saved user registers lie above the base of its kernel stack; used where
    /// `bpf_task_pt_regs` does not exist.
    pub pt_regs_offset: u32,
    /// 1 if calls may be missed without a sign, so that TCP's own numbers are compared at each message.
    pub may_miss: u32,
    /// 1 if evidence of causes is gathered beside the bytes: what threads waited for, and who woke them.
    pub evidence: u32,
    /// 1 if the program on `sys_exit` that sees socket calls counts turns as well.
    pub turns_at_exit: u32,
    /// Bytes of a call that are captured where the protocol is not HTTP/1, at most [`MAX_HEAD_BYTES`].
    pub call_bytes: u32,
}

const _: () = {
    assert!(size_of::<Header>() == 24);
    assert!(size_of::<Progress>() == 32);
    assert!(size_of::<SegmentRecord>() == 24 + 16 + 64 + 16 + 32);
    assert!(size_of::<DatagramRecord>() == size_of::<SegmentRecord>());
    assert!(size_of::<OpenRecord>() == 24 + 16 + 32 + 8 + 16 + 16 + 24);
    assert!(size_of::<CloseRecord>() == 24 + 16 + 64 + 8);
    assert!(size_of::<ProcessRecord>() == 24 + 8 + 16);
    assert!(size_of::<Conn>() == 8 + 64 + 16 + 8 + 8 + 32);
    assert!(size_of::<Config>() == 12 + 32 + 32);
};

#[cfg(feature = "user")]
mod pod {
    // SAFETY: `repr(C)`, integers only, without padding (asserted above): any bytes are a valid value.
    unsafe impl aya::Pod for super::Conn {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Config {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::offsets::Offsets {}
    // SAFETY: as above; the length of `bytes` is a multiple of eight.
    unsafe impl aya::Pod for crate::peek::Answer {}
}
