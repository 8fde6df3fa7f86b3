//! How long the probes run, by the kernel's own clock (BPF_ENABLE_STATS, Linux 5.8).
//!
//! Measuring it reads the clock twice for each run of every program on the host, so it is done for a tenth of every
//! second only. In between, and after the tracer, it is as it was.

use std::os::fd::OwnedFd;

use aya::sys::{Stats, enable_stats};

use super::object::Programs;
use crate::time::Nanos;

/// For so long, ns.
const WINDOW: u64 = 100_000_000;
/// And again after so long, ns.
const PERIOD: u64 = 1_000_000_000;

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Runs of the probes.
    pub runs: u64,
    /// For how long they ran, all processors together, ns.
    pub nanos: u64,
    /// For how long that was measured, ns.
    pub window: u64,
}

/// The measurement.
#[derive(Default)]
pub(super) struct RunTime {
    open: Option<Window>,
    next: Nanos,
    /// The kernel refused (it takes CAP_SYS_ADMIN).
    refused: bool,
    total: Measured,
}

struct Window {
    /// While it is open, the kernel measures.
    _stats: OwnedFd,
    begun: Nanos,
    before: Measured,
}

impl RunTime {
    /// Opens or closes the window as it is due. `so_far` reads the programs' own counts.
    pub fn tick(&mut self, now: Nanos, so_far: impl Fn() -> Measured) {
        match &self.open {
            Some(window) if now.since(window.begun) >= WINDOW => self.close(now, so_far),
            None if !self.refused && now >= self.next => match enable_stats(Stats::RunTime) {
                Ok(stats) => {
                    self.next = Nanos(now.0.saturating_add(PERIOD));
                    self.open = Some(Window { _stats: stats, begun: now, before: so_far() });
                }
                Err(_) => self.refused = true,
            },
            _ => {}
        }
    }

    /// The window ends now.
    pub fn close(&mut self, now: Nanos, so_far: impl Fn() -> Measured) {
        let Some(window) = self.open.take() else { return };
        let after = so_far();
        self.total.runs += after.runs.saturating_sub(window.before.runs);
        self.total.nanos += after.nanos.saturating_sub(window.before.nanos);
        self.total.window += now.since(window.begun);
    }

    /// Until the last window closed.
    pub fn measured(&self) -> Measured {
        self.total
    }
}

/// What the kernel counted for these programs so far.
pub(super) fn so_far<'a>(object: &Programs, programs: impl Iterator<Item = &'a str>) -> Measured {
    let mut sum = Measured::default();
    for name in programs {
        if let Some(info) = object.program(name).and_then(|program| program.info().ok()) {
            sum.runs += info.run_count();
            sum.nanos += u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX);
        }
    }
    sum
}
