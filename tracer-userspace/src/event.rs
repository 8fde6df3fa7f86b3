//! What the capture hands on: the kernel's records, decoded, in userspace types.
//!
//! Payload is borrowed from the ring buffer, so an event lives only as long as it is being handled.

use std::net::IpAddr;

use tracer_common::abi::{ConnId, PEEK_BYTES, Progress};

use crate::time::Nanos;

/// Which way bytes moved, seen from the process that owns the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received.
    Rx,
    /// Sent.
    Tx,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Rx => Direction::Tx,
            Direction::Tx => Direction::Rx,
        }
    }
}

/// Who made a call, and when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Kernel clock.
    pub at: Nanos,
    /// Process id; 0 where nobody's (interrupt context).
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// What the thread was doing.
    pub scene: Scene,
}

/// What a thread was doing when it moved bytes, as far as that helps to say whose work it was. Zero: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// How often the thread had come back from waiting for descriptors (epoll_wait, poll, select, io_uring_enter).
    pub turn: u32,
    /// Thread of the same process that last handed it something by waking it (futex, eventfd, pipe, socketpair) or created
    /// it.
    pub waker: u32,
    /// When that was.
    pub woken: Nanos,
    /// [`Scene::turn`] of that thread then.
    pub waker_turn: u32,
    /// The runtime's own task for which the bytes were moved (a goroutine's id).
    pub task: u64,
    /// The task that created it.
    pub parent_task: u64,
}

/// Who moved the last byte of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mover {
    /// Thread id; 0: not known.
    pub tid: u32,
    /// [`Scene::turn`] of that thread; 0: not known.
    pub turn: u32,
}

impl From<&Stamp> for Mover {
    fn from(stamp: &Stamp) -> Self {
        Self { tid: stamp.tid, turn: stamp.scene.turn }
    }
}

/// The two ends of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoints {
    /// TCP.
    Inet {
        /// This end's address.
        local: IpAddr,
        /// This end's port.
        local_port: u16,
        /// The other end's address.
        remote: IpAddr,
        /// The other end's port.
        remote_port: u16,
    },
    /// UDP, of which there are no connections: one stands for what goes to the same other end.
    Datagram {
        /// This end's address; zeros: any.
        local: IpAddr,
        /// This end's port.
        local_port: u16,
        /// The other end's address; zeros: not known.
        remote: IpAddr,
        /// The other end's port; 0: not known.
        remote_port: u16,
    },
    /// A unix stream socket: the kernel's addresses of both `struct sock`s.
    Unix {
        /// The other end, 0 when it is gone.
        peer: u64,
    },
}

/// Which end of the connection this is, where the life cycle showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It called connect.
    Active,
    /// It was accepted.
    Passive,
    /// It was open before the tracer came.
    Unseen,
}

/// A connection is seen for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its name from now on.
    pub conn: ConnId,
    /// Who used it first.
    pub stamp: Stamp,
    /// Addresses.
    pub endpoints: Endpoints,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Socket inode.
    pub inode: u64,
    /// Which end.
    pub role: Role,
    /// Who called connect and when; `None` when that was not seen.
    pub birth: Option<Stamp>,
    /// First bytes.
    pub peek: [u8; PEEK_BYTES],
    /// How many of them are valid.
    pub peek_len: u8,
}

/// Part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Whose.
    pub conn: ConnId,
    /// Who moved it; the time is the end of the call.
    pub stamp: Stamp,
    /// Which way.
    pub dir: Direction,
    /// Received before this call.
    pub rx: Progress,
    /// Sent before this call.
    pub tx: Progress,
    /// TCP sequence number of the first byte (stream offset for unix sockets).
    pub seq: u32,
    /// Bytes of the call.
    pub len: u32,
    /// The first of them.
    pub data: &'a [u8],
    /// The bytes look like the beginning of a message.
    pub starts: bool,
    /// A record of this connection was lost before this one.
    pub lost_before: bool,
}

/// A message of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The kernel's address of the socket.
    pub sk: u64,
    /// Socket inode.
    pub inode: u64,
    /// Who moved it; the time is the end of the call.
    pub stamp: Stamp,
    /// Which way.
    pub dir: Direction,
    /// This end's address and port; zeros: any.
    pub local: (IpAddr, u16),
    /// The other end's; `None`: not known.
    pub remote: Option<(IpAddr, u16)>,
    /// Network namespace (inode number).
    pub netns: u32,
    /// Bytes of the message.
    pub len: u32,
    /// The first of them.
    pub data: &'a [u8],
    /// It is none, but the word that nobody takes what was sent (ECONNREFUSED).
    pub refused: bool,
}

/// The counts of a connection, at its end or when it has been quiet for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Whose.
    pub conn: ConnId,
    /// When the counts were true.
    pub at: Nanos,
    /// Received so far.
    pub rx: Progress,
    /// Sent so far.
    pub tx: Progress,
    /// The connection is over.
    pub closed: bool,
    /// One of `tracer_common::abi::proto`.
    pub proto: u8,
}

/// A process began, changed its program, or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessChange {
    /// A new process.
    Fork {
        /// Who forked.
        parent: u32,
    },
    /// A new program.
    Exec,
    /// The last thread ended.
    Exit,
}

/// Everything the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A connection is new.
    Open(Box<Open>),
    /// Bytes of a message.
    Segment(Segment<'a>),
    /// A message without a connection.
    Datagram(Datagram<'a>),
    /// Counts of a connection.
    Counts(Counts),
    /// A process changed.
    Process {
        /// Whom it is about, and when.
        stamp: Stamp,
        /// What happened.
        change: ProcessChange,
        /// Command name, NUL-padded.
        comm: [u8; 16],
    },
    /// Socket calls may have been missed between the events before and those after; whose is not known. Connections whose
    /// bytes the kernel numbers tell by themselves.
    Missed {
        /// When that was noticed.
        at: Nanos,
    },
}

impl Event<'_> {
    /// When it happened.
    pub fn at(&self) -> Nanos {
        match self {
            Event::Open(open) => open.stamp.at,
            Event::Segment(segment) => segment.stamp.at,
            Event::Datagram(datagram) => datagram.stamp.at,
            Event::Counts(counts) => counts.at,
            Event::Process { stamp, .. } => stamp.at,
            Event::Missed { at } => *at,
        }
    }
}
