//! The tracer's library: from the kernel's records to traces.
//!
//! One direction of flow, one job a module:
//! `capture` → [`event`] → `stream` → `protocol` → [`exchange`] → `causality` → `trace` → `export` and `report`.
//! Between `capture` and the sinks nothing reads a clock, starts a thread, or does I/O.

pub mod analysis;
pub mod arena;
pub mod breakdown;
pub mod capture;
pub mod causality;
pub mod cli;
pub mod event;
pub mod exchange;
pub mod exchanges;
pub mod export;
#[cfg(any(test, feature = "test-support"))]
pub mod fuzzed;
pub mod measure;
pub mod metrics;
pub mod process;
pub mod protocol;
mod random;
pub mod recording;
pub mod report;
pub mod secret;
pub mod service;
pub mod spans;
pub mod stream;
pub mod target;
pub mod tcap;
pub mod text;
pub mod time;
pub mod trace;
