//! The messages in the frames, in Protocol Buffers' encoding: fields that a reader does not know are passed over.
//!
//! `docs/capture.proto` says the same for other languages, and there it is said in full what the fields mean;
//! `schema_tests` hold the two together. Times (`sint64`) count nanoseconds from the batch's `base`, connections and texts
//! are numbers in the batch's own lists: each batch can be read by itself. `required` says only that a message is
//! always written; one that is missing is read as if it were empty.

use prost::{Enumeration, Message, Oneof};

pub use super::carried::{Context, Format, Kept};
pub use super::wire_exchange::{Attribute, End, Outcome, Protocol, Request, Response};
pub use super::wire_process::{Change, Process, What};

/// What the file is of: the payload of its first frame.
#[derive(Clone, PartialEq, Message)]
pub struct Description {
    /// Program and version.
    #[prost(string, tag = "1")]
    pub writer: String,
    /// Both clocks, when the capture began.
    #[prost(message, required, tag = "2")]
    pub clock: Clock,
    /// The kernel's release.
    #[prost(string, tag = "3")]
    pub kernel: String,
    /// The processor, as Rust names it.
    #[prost(string, tag = "4")]
    pub architecture: String,
    /// How socket calls were seen.
    #[prost(string, tag = "5")]
    pub provider: String,
    /// What this kernel did not show.
    #[prost(string, repeated, tag = "6")]
    pub missing: Vec<String>,
    /// Secrets were not masked.
    #[prost(bool, tag = "7")]
    pub unmasked: bool,
    /// Raw payload was kept.
    #[prost(bool, tag = "8")]
    pub raw: bool,
    /// What of the kernel was used.
    #[prost(string, repeated, tag = "9")]
    pub features: Vec<String>,
}

/// One reading of both clocks.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Clock {
    /// CLOCK_MONOTONIC, ns.
    #[prost(fixed64, tag = "1")]
    pub monotonic: u64,
    /// CLOCK_REALTIME at the same moment, ns since 1970.
    #[prost(fixed64, tag = "2")]
    pub unix: u64,
}

/// Observations in their order.
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// CLOCK_MONOTONIC, ns: times are relative to it.
    #[prost(fixed64, tag = "1")]
    pub base: u64,
    /// Connections.
    #[prost(message, repeated, tag = "2")]
    pub conns: Vec<Conn>,
    /// Texts.
    #[prost(string, repeated, tag = "3")]
    pub texts: Vec<String>,
    /// Observations.
    #[prost(message, repeated, tag = "4")]
    pub items: Vec<Item>,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Conn {
    /// Its name in this capture.
    #[prost(fixed64, tag = "1")]
    pub name: u64,
    /// When it was first seen, CLOCK_MONOTONIC, ns.
    #[prost(fixed64, tag = "2")]
    pub born: u64,
}

/// One observation.
#[derive(Clone, PartialEq, Message)]
pub struct Item {
    /// Which.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub kind: Option<Kind>,
}

/// One observation.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// A connection is new.
    #[prost(message, tag = "1")]
    Open(Open),
    /// A request's head.
    #[prost(message, tag = "2")]
    Request(Request),
    /// A response's head.
    #[prost(message, tag = "3")]
    Response(Response),
    /// The end of an exchange.
    #[prost(message, tag = "4")]
    End(End),
    /// A connection ended.
    #[prost(message, tag = "5")]
    Close(Close),
    /// A process began, changed its program, or ended.
    #[prost(message, tag = "6")]
    Change(Change),
    /// A process was read.
    #[prost(message, tag = "7")]
    Process(Box<Process>),
    /// Nothing older comes any more.
    #[prost(sint64, tag = "8")]
    Watermark(i64),
}

/// Who moved bytes, and when.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Stamp {
    /// When.
    #[prost(sint64, tag = "1")]
    pub at: i64,
    /// Process.
    #[prost(uint32, tag = "2")]
    pub tgid: u32,
    /// Thread.
    #[prost(uint32, tag = "3")]
    pub tid: u32,
    /// How often the thread had come back from waiting for descriptors.
    #[prost(uint32, tag = "4")]
    pub turn: u32,
    /// Thread that handed it something last.
    #[prost(uint32, tag = "5")]
    pub waker: u32,
    /// When that was; meaningless without it.
    #[prost(sint64, tag = "6")]
    pub woken: i64,
    /// The runtime's own task.
    #[prost(uint64, tag = "7")]
    pub task: u64,
    /// The task that created it.
    #[prost(uint64, tag = "8")]
    pub parent_task: u64,
    /// `turn` of the waker then.
    #[prost(uint32, tag = "9")]
    pub waker_turn: u32,
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Role {
    /// It was open before.
    Unseen = 0,
    /// It called connect.
    Active = 1,
    /// It was accepted.
    Passive = 2,
}

/// A connection is new.
#[derive(Clone, PartialEq, Message)]
pub struct Open {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// Who used it first.
    #[prost(message, required, tag = "2")]
    pub stamp: Stamp,
    /// This end's address, 4 or 16 bytes; none on unix sockets.
    #[prost(bytes = "vec", tag = "3")]
    pub local: Vec<u8>,
    /// Its port.
    #[prost(uint32, tag = "4")]
    pub local_port: u32,
    /// The other end's address.
    #[prost(bytes = "vec", tag = "5")]
    pub remote: Vec<u8>,
    /// Its port.
    #[prost(uint32, tag = "6")]
    pub remote_port: u32,
    /// On unix sockets: the other end's name in this capture.
    #[prost(fixed64, tag = "7")]
    pub peer: u64,
    /// Network namespace (inode number).
    #[prost(uint32, tag = "8")]
    pub netns: u32,
    /// Socket (inode number).
    #[prost(uint64, tag = "9")]
    pub inode: u64,
    /// Which end.
    #[prost(enumeration = "Role", tag = "10")]
    pub role: i32,
    /// Who called connect, and when.
    #[prost(message, optional, tag = "11")]
    pub birth: Option<Stamp>,
    /// UDP; else TCP, or a unix socket.
    #[prost(bool, tag = "12")]
    pub datagram: bool,
}

/// A connection ended.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Close {
    /// Which.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// When.
    #[prost(sint64, tag = "2")]
    pub at: i64,
}

/// Raw payload.
#[derive(Clone, PartialEq, Message)]
pub struct Raw {
    /// CLOCK_MONOTONIC, ns: times are relative to it.
    #[prost(fixed64, tag = "1")]
    pub base: u64,
    /// Connections.
    #[prost(message, repeated, tag = "2")]
    pub conns: Vec<Conn>,
    /// What was captured of them.
    #[prost(message, repeated, tag = "3")]
    pub pieces: Vec<Piece>,
}

/// What was captured of one call.
#[derive(Clone, PartialEq, Message)]
pub struct Piece {
    /// Connection.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// Who moved it, and when.
    #[prost(message, required, tag = "2")]
    pub stamp: Stamp,
    /// It was received (else: sent).
    #[prost(bool, tag = "3")]
    pub received: bool,
    /// Bytes of that direction before it.
    #[prost(uint64, tag = "4")]
    pub position: u64,
    /// TCP sequence number of the first byte.
    #[prost(fixed32, tag = "5")]
    pub seq: u32,
    /// Bytes of the call.
    #[prost(uint32, tag = "6")]
    pub length: u32,
    /// The first of them.
    #[prost(bytes = "vec", tag = "7")]
    pub data: Vec<u8>,
}
