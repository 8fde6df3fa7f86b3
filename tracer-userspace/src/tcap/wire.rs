//! The messages in the frames, in Protocol Buffers' encoding: fields that a reader does not know are passed over.
//!
//! `docs/capture.proto` says the same for other languages, and there it is said in full what the fields mean;
//! `schema_tests` hold the two together. Times (`sint64`) count nanoseconds from the batch's `base`, connections and texts
//! are numbers in the batch's own lists: each batch can be read by itself. `required` says only that a message is
//! always written; one that is missing is read as if it were empty.

use prost::{Enumeration, Message, Oneof};

pub use super::carried::{Context, Format, Kept};

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

/// A request's head is complete.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// Connection.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// Running number of the exchange on it.
    #[prost(uint32, tag = "2")]
    pub number: u32,
    /// The observed process sent it (else: received).
    #[prost(bool, tag = "3")]
    pub client: bool,
    /// First byte.
    #[prost(sint64, tag = "4")]
    pub first: i64,
    /// Who moved the last part of the head.
    #[prost(message, required, tag = "5")]
    pub stamp: Stamp,
    /// TCP sequence number of the first byte.
    #[prost(fixed32, tag = "6")]
    pub seq: u32,
    /// Text: method.
    #[prost(uint32, tag = "7")]
    pub method: u32,
    /// Target, masked.
    #[prost(string, tag = "8")]
    pub target: String,
    /// Text: Host field, counted from 1; 0: none.
    #[prost(uint32, tag = "9")]
    pub host: u32,
    /// Minor version of HTTP/1.
    #[prost(uint32, tag = "10")]
    pub minor: u32,
    /// traceparent: trace-id (16 bytes, big-endian) and parent-id (8 bytes).
    #[prost(bytes = "vec", tag = "11")]
    pub traceparent: Vec<u8>,
    /// The head was cut off.
    #[prost(bool, tag = "12")]
    pub truncated: bool,
    /// Headers that were asked for.
    #[prost(message, repeated, tag = "13")]
    pub kept: Vec<Kept>,
    /// Trace contexts other than traceparent.
    #[prost(message, repeated, tag = "14")]
    pub contexts: Vec<Context>,
    /// Hashes of values that look drawn at random.
    #[prost(fixed64, repeated, tag = "15")]
    pub tokens: Vec<u64>,
    /// Where each of them stood.
    #[prost(fixed32, repeated, tag = "16")]
    pub token_sources: Vec<u32>,
    /// In which protocol.
    #[prost(enumeration = "Protocol", tag = "17")]
    pub protocol: i32,
    /// Nobody answers it.
    #[prost(bool, tag = "18")]
    pub message: bool,
    /// What else the protocol says.
    #[prost(message, repeated, tag = "19")]
    pub attributes: Vec<Attribute>,
    /// So many messages are handed over; 0: none is known.
    #[prost(uint32, tag = "20")]
    pub handed: u32,
    /// Out of a broker, not into it.
    #[prost(bool, tag = "21")]
    pub taken: bool,
    /// Keyed hashes of what names them.
    #[prost(fixed64, repeated, tag = "22")]
    pub message_keys: Vec<u64>,
}

/// In which protocol a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Protocol {
    /// HTTP/1.x.
    Http1 = 0,
    /// HTTP/2.
    Http2 = 1,
    /// gRPC.
    Grpc = 2,
    /// FastCGI.
    Fastcgi = 3,
    /// PostgreSQL.
    Postgresql = 4,
    /// MySQL.
    Mysql = 5,
    /// Redis.
    Redis = 6,
    /// memcached.
    Memcached = 7,
    /// MongoDB.
    Mongodb = 8,
    /// DNS.
    Dns = 9,
    /// AMQP 0-9-1.
    Amqp = 10,
    /// Kafka.
    Kafka = 11,
}

/// Something that a request's protocol says of it.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Text: its name.
    #[prost(uint32, tag = "1")]
    pub key: u32,
    /// Its value, if it is a text.
    #[prost(string, optional, tag = "2")]
    pub text: Option<String>,
    /// Its value, if it is a number.
    #[prost(sint64, tag = "3")]
    pub number: i64,
}

/// The final response began.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Response {
    /// Connection.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// Exchange.
    #[prost(uint32, tag = "2")]
    pub number: u32,
    /// First byte.
    #[prost(message, required, tag = "3")]
    pub stamp: Stamp,
    /// TCP sequence number of the first byte.
    #[prost(fixed32, tag = "4")]
    pub seq: u32,
    /// Status code.
    #[prost(uint32, tag = "5")]
    pub status: u32,
    /// The head was cut off.
    #[prost(bool, tag = "6")]
    pub truncated: bool,
    /// Text: code of an error, counted from 1; 0: none.
    #[prost(uint32, tag = "7")]
    pub error: u32,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Outcome {
    /// The response's last byte was seen.
    Complete = 0,
    /// The response's end was not visible.
    EndUnframed = 1,
    /// The connection closed in the middle of the response.
    Aborted = 2,
    /// The connection closed without a response.
    Unanswered = 3,
    /// No response when the capture ended.
    Pending = 4,
    /// The response was not over when the capture ended.
    Streaming = 5,
    /// The response's beginning was not captured.
    ResponseUnseen = 6,
    /// The connection changed its protocol.
    Upgraded = 7,
}

/// The end of an exchange.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct End {
    /// Connection.
    #[prost(uint32, tag = "1")]
    pub conn: u32,
    /// Exchange.
    #[prost(uint32, tag = "2")]
    pub number: u32,
    /// Last byte of the request.
    #[prost(sint64, tag = "3")]
    pub request_end: i64,
    /// Last byte of the response.
    #[prost(sint64, tag = "4")]
    pub end: i64,
    /// Bytes of the request.
    #[prost(uint64, tag = "5")]
    pub request_bytes: u64,
    /// Bytes of the response.
    #[prost(uint64, tag = "6")]
    pub response_bytes: u64,
    /// How.
    #[prost(enumeration = "Outcome", tag = "7")]
    pub outcome: i32,
    /// Thread that moved the last byte of the response.
    #[prost(uint32, tag = "8")]
    pub by_tid: u32,
    /// Its `Stamp.turn` then.
    #[prost(uint32, tag = "9")]
    pub by_turn: u32,
    /// Status code that only the end said.
    #[prost(uint32, optional, tag = "10")]
    pub status: Option<u32>,
    /// Text: code of an error that only the end said, counted from 1; 0: none.
    #[prost(uint32, tag = "11")]
    pub error: u32,
    /// Thread that moved the last byte of the request.
    #[prost(uint32, tag = "12")]
    pub request_tid: u32,
    /// Its `Stamp.turn` then.
    #[prost(uint32, tag = "13")]
    pub request_turn: u32,
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

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum What {
    /// It began.
    Fork = 0,
    /// It changed its program.
    Exec = 1,
    /// It ended.
    Exit = 2,
}

/// A process began, changed its program, or ended.
#[derive(Clone, PartialEq, Message)]
pub struct Change {
    /// Which, and when.
    #[prost(message, required, tag = "1")]
    pub stamp: Stamp,
    /// What.
    #[prost(enumeration = "What", tag = "2")]
    pub what: i32,
    /// Who forked.
    #[prost(uint32, tag = "3")]
    pub parent: u32,
    /// Command name: at most 16 bytes, as the kernel has it.
    #[prost(bytes = "vec", tag = "4")]
    pub comm: Vec<u8>,
}

/// A process, as it was read.
#[derive(Clone, PartialEq, Message)]
pub struct Process {
    /// Reading began.
    #[prost(sint64, tag = "1")]
    pub begin: i64,
    /// Reading ended.
    #[prost(sint64, tag = "2")]
    pub end: i64,
    /// Its threads prove nothing.
    #[prost(bool, tag = "3")]
    pub moves_work: bool,
    /// Process id.
    #[prost(uint32, tag = "4")]
    pub pid: u32,
    /// The parent's.
    #[prost(uint32, tag = "5")]
    pub ppid: u32,
    /// Start, clock ticks since boot.
    #[prost(uint64, tag = "6")]
    pub start_ticks: u64,
    /// A kernel thread.
    #[prost(bool, tag = "7")]
    pub kernel_thread: bool,
    /// Program.
    #[prost(string, optional, tag = "8")]
    pub exe: Option<String>,
    /// Its file was deleted or replaced.
    #[prost(bool, tag = "9")]
    pub exe_deleted: bool,
    /// Command name.
    #[prost(string, tag = "10")]
    pub comm: String,
    /// Command line, masked.
    #[prost(string, repeated, tag = "11")]
    pub args: Vec<String>,
    /// OTEL_SERVICE_NAME.
    #[prost(string, optional, tag = "12")]
    pub otel_service_name: Option<String>,
    /// service.name in OTEL_RESOURCE_ATTRIBUTES.
    #[prost(string, optional, tag = "13")]
    pub otel_resource_service_name: Option<String>,
    /// HOSTNAME.
    #[prost(string, optional, tag = "14")]
    pub hostname: Option<String>,
    /// KUBERNETES_SERVICE_HOST is set.
    #[prost(bool, tag = "15")]
    pub kubernetes: bool,
    /// Control groups.
    #[prost(string, repeated, tag = "16")]
    pub cgroups: Vec<String>,
    /// Container: id.
    #[prost(string, optional, tag = "17")]
    pub container: Option<String>,
    /// Container: who made it (docker, podman, containerd, cri-o, lxc, nspawn, other).
    #[prost(string, tag = "18")]
    pub container_runtime: String,
    /// Container: name.
    #[prost(string, optional, tag = "19")]
    pub container_name: Option<String>,
    /// In a Kubernetes pod.
    #[prost(bool, tag = "20")]
    pub in_pod: bool,
    /// The pod's name.
    #[prost(string, optional, tag = "21")]
    pub pod_name: Option<String>,
    /// systemd unit.
    #[prost(string, optional, tag = "22")]
    pub unit: Option<String>,
    /// TCP ports it listens on.
    #[prost(uint32, repeated, tag = "23")]
    pub listening: Vec<u32>,
    /// Network namespace (inode number).
    #[prost(uint64, optional, tag = "24")]
    pub netns: Option<u64>,
    /// Language runtime: "go", "other", or empty where it could not be read.
    #[prost(string, tag = "25")]
    pub runtime: String,
    /// What could not be read, and why, in words.
    #[prost(string, repeated, tag = "26")]
    pub missing: Vec<String>,
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
