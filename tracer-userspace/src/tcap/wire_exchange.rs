//! The messages of [`super::wire`] that tell of exchanges: requests, responses, and how they ended.

use prost::{Enumeration, Message};

use super::carried::{Context, Kept};
use super::wire::Stamp;

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
