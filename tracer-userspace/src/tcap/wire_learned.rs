//! The messages of what was learned of services; part of `wire`.

use prost::{Enumeration, Message};

/// What was learned.
#[derive(Clone, PartialEq, Message)]
pub struct Learned {
    /// Which division into bins the counts are of.
    #[prost(uint32, tag = "1")]
    pub division: u32,
    /// Kinds of evidence.
    #[prost(string, repeated, tag = "2")]
    pub evidence: Vec<String>,
    /// Services, by name.
    #[prost(message, repeated, tag = "3")]
    pub services: Vec<Service>,
}

/// What was learned of one service.
#[derive(Clone, PartialEq, Message)]
pub struct Service {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Kinds of requests.
    #[prost(message, repeated, tag = "2")]
    pub requests: Vec<Operation>,
    /// Kinds of calls.
    #[prost(message, repeated, tag = "3")]
    pub calls: Vec<Operation>,
    /// Steps.
    #[prost(message, repeated, tag = "4")]
    pub steps: Vec<Counted>,
    /// Pairs at random.
    #[prost(message, repeated, tag = "5")]
    pub random: Vec<Counted>,
}

/// A kind of request or call.
#[derive(Clone, PartialEq, Message)]
pub struct Operation {
    /// Method and path.
    #[prost(string, tag = "1")]
    pub words: String,
    /// Whom a call goes to.
    #[prost(string, tag = "2")]
    pub to: String,
}

/// How a step follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum Way {
    /// Every earlier call was over.
    After = 0,
    /// Beside the call before.
    Beside = 1,
    /// While another call was outstanding.
    Among = 2,
    /// A connection had to be opened.
    Dialled = 3,
}

/// What was counted of a kind of step.
#[derive(Clone, PartialEq, Message)]
pub struct Counted {
    /// At the beginning of this kind of request.
    #[prost(uint32, tag = "1")]
    pub request: u32,
    /// After this call plus one; 0: at the beginning.
    #[prost(uint32, tag = "2")]
    pub after: u32,
    /// And so many of its kind before.
    #[prost(uint32, tag = "3")]
    pub nth: u32,
    /// This call plus one; 0: the answer.
    #[prost(uint32, tag = "4")]
    pub next: u32,
    /// How.
    #[prost(enumeration = "Way", tag = "5")]
    pub way: i32,
    /// How many.
    #[prost(uint32, tag = "6")]
    pub steps: u32,
    /// Bins of the delay.
    #[prost(uint32, repeated, tag = "7")]
    pub gap_bins: Vec<u32>,
    /// Counts of these.
    #[prost(uint32, repeated, tag = "8")]
    pub gap_counts: Vec<u32>,
    /// Bins of the evidence.
    #[prost(uint32, repeated, tag = "9")]
    pub evidence_bins: Vec<u32>,
    /// Counts of these.
    #[prost(uint32, repeated, tag = "10")]
    pub evidence_counts: Vec<u32>,
    /// Pairs side by side.
    #[prost(uint32, tag = "11")]
    pub pairs: u32,
    /// Of them, those that overtook each other.
    #[prost(uint32, tag = "12")]
    pub crossed: u32,
}
