//! What a person reads: the waterfall of a trace and the summary of a run. Pure formatting; the caller prints.

pub mod account;
pub mod latency;
pub mod summary;
pub mod text;
pub mod waterfall;
