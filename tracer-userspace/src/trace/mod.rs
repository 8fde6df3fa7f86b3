//! From exchanges to traces: the two views of a call are joined, calls get the request that caused them as parent,
//! and a trace is given out as soon as nothing in it can change.
//!
//! [`Engine`] is the whole of it for a caller: push what the protocol stage says, [`Engine::advance`] the watermark,
//! receive [`Span`]s. `reorder` puts steps into the order of time, `conn` and `join` find the two ends of a call,
//! [`crate::causality`] finds parents within a process, `forest` knows when a tree is finished, `assemble` makes its
//! spans.

mod assemble;
mod conn;
mod engine;
mod forest;
mod id;
mod join;
mod learning;
mod limits;
mod links;
mod messages;
mod record;
mod reorder;
mod repeats;
mod settings;
mod span;
mod stats;
mod taken;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::time::Nanos;

pub use engine::Engine;
pub use id::{SpanId, TraceId};
pub use limits::Limits;
pub use record::Peer;
pub(crate) use repeats::MANY as MANY_REPEATS;
pub use settings::Settings;
pub use span::{NPlusOne, Span, Tags};
pub use stats::Stats;

/// Who a process is.
pub trait Services {
    /// Name of the service the process belonged to at a time.
    fn name(&self, tgid: u32, at: Nanos) -> Arc<str>;

    /// The database that a process serves on all its connections, if it says so.
    fn database(&self, _tgid: u32) -> Option<Arc<str>> {
        None
    }

    /// Whether its runtime moves work between threads at will (Go), so that threads prove nothing.
    fn is_mn_runtime(&self, tgid: u32) -> bool;
}
