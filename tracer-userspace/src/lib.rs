//! The tracer's library: from the kernel's records to traces.
//!
//! One direction of flow, one job a module:
//! `capture` → [`event`] → `stream` → `protocol` → [`exchange`] → `causality` → `trace` → `export` and `report`.
//! Between `capture` and the sinks nothing reads a clock, starts a thread, or does I/O.

pub mod event;
pub mod exchange;
pub mod protocol;
pub mod stream;
pub mod time;
