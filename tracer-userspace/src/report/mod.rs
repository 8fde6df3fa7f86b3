//! What a person reads: operations and waterfalls of a file of traces, and the summary of a run. Pure formatting; the caller prints.

pub mod account;
pub mod compare;
#[cfg(test)]
mod compare_tests;
pub mod comparison;
pub mod filter;
mod fold;
pub mod html;
pub mod latency;
pub mod listing;
pub mod operations;
pub mod paint;
pub mod summary;
pub mod tree;
pub mod waterfall;
