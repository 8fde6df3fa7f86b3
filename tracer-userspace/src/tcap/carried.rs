//! What requests carry beyond what every request is asked for; part of `wire`.

use prost::{Enumeration, Message};

/// A header that was asked for.
#[derive(Clone, PartialEq, Message)]
pub struct Kept {
    /// Text: name.
    #[prost(uint32, tag = "1")]
    pub name: u32,
    /// Value, masked.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// How a trace context was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Format {
    /// traceparent.
    W3c = 0,
    /// b3.
    B3 = 1,
    /// uber-trace-id.
    Jaeger = 2,
    /// x-datadog.
    Datadog = 3,
    /// X-Amzn-Trace-Id.
    Aws = 4,
    /// sw8.
    SkyWalking = 5,
}

/// A trace context.
#[derive(Clone, PartialEq, Message)]
pub struct Context {
    /// How it was written.
    #[prost(enumeration = "Format", tag = "1")]
    pub format: i32,
    /// The trace's id, 16 bytes, big-endian.
    #[prost(bytes = "vec", tag = "2")]
    pub trace: Vec<u8>,
    /// The caller's span.
    #[prost(fixed64, tag = "3")]
    pub span: u64,
    /// The span that it is part of.
    #[prost(fixed64, tag = "4")]
    pub parent: u64,
}
