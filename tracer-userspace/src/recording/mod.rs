//! A live run: the kernel on one side, the output on the other, and the pure pipeline in between, driven by a clock.

pub mod before;
pub mod budget;
pub mod child;
pub mod ledger;
pub mod live;
pub mod metrics_server;
pub mod own_calls;
pub mod own_endpoint;
pub mod people;
pub mod pipeline;
pub mod push;
pub mod recorder;
pub mod selection;
pub mod sinks;
pub mod spans;
