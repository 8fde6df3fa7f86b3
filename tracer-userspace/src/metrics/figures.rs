//! The run in a few numbers.

use std::time::Duration;

/// Figures of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that observed processes have received.
    pub received: u64,
    /// Requests that observed processes have sent. Where both ends of a call are observed it is counted in both.
    pub sent: u64,
    /// Spans given out; `None` where nothing is analysed.
    pub spans: Option<u64>,
    /// Records taken from the kernel.
    pub records: u64,
    /// Events that were lost, whatever the reason.
    pub lost: u64,
    /// How long the probes ran while that was measured, all processors together, ns.
    pub probes_ran: u64,
    /// For how long it was measured, ns.
    pub probes_measured: u64,
    /// The tracer's memory that is resident, bytes; 0 where /proc does not tell.
    pub memory: u64,
    /// The tracer's processor time, all its threads.
    pub cpu: Duration,
}

impl Figures {
    /// The probes' share of one processor; `None` before anything was measured.
    pub fn probes_share(&self) -> Option<f64> {
        (self.probes_measured > 0).then(|| self.probes_ran as f64 / self.probes_measured as f64)
    }
}
