//! Calls and changes that the kernel did not show: how many, and between which records.
//!
//! The kernel leaves a program out that interrupted itself on a processor (Linux 5.12, commit 9ed9e9ba2337), and keeps
//! count of it in the descriptor's information. On which connection the call was is not known. TCP's own numbers tell
//! later; unix sockets have none, so what was going on there must not be believed.

use std::fs::read_to_string;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use tracer_common::abi::counter;

use super::drain::kernel_now;
use super::maps::Maps;
use super::object::Programs;
use super::probes::{Probe, Provider, Watches};
use crate::time::Nanos;

/// Runs of programs that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// Of those that see socket calls.
    pub calls: u64,
    /// Of those that see processes and connections come and go.
    pub changes: u64,
}

/// Where the counts are, and what was known of them.
pub(super) struct Misses {
    calls: Vec<RawFd>,
    changes: Vec<RawFd>,
    /// The last word, once the programs are gone.
    last: Option<Missed>,
    /// Calls can be missed at all.
    possible: bool,
    /// Returns can be missed.
    counts_returns: bool,
    /// Calls missed, whatever the reason, until `until`.
    known: u64,
    until: Nanos,
}

impl Misses {
    /// For the attached programs.
    pub fn of<'a>(
        object: &Programs,
        probes: impl Iterator<Item = &'a Probe>,
        provider: Provider,
        possible: bool,
    ) -> Self {
        let mut misses = Self {
            calls: Vec::new(),
            changes: Vec::new(),
            last: None,
            possible,
            counts_returns: provider == Provider::Kprobes,
            known: 0,
            until: Nanos(0),
        };
        for probe in probes {
            let Some(fd) = object.program(probe.program).and_then(|program| program.fd().ok()) else {
                continue;
            };
            match probe.watches(provider) {
                Watches::Calls => misses.calls.push(fd.as_fd().as_raw_fd()),
                Watches::Changes => misses.changes.push(fd.as_fd().as_raw_fd()),
                Watches::Twice => {}
            }
        }
        misses
    }

    /// Until now.
    pub fn count(&self) -> Missed {
        self.last.unwrap_or_else(|| Missed { calls: sum(&self.calls), changes: sum(&self.changes) })
    }

    /// The programs are about to go: nothing can be read afterwards.
    pub fn close(&mut self) {
        self.last = Some(self.count());
    }

    /// Whether calls may have been missed before a record of that time and after what was known so far. What was read after a record was made covers the record: so the counts are
    /// read once per handful of records.
    pub fn before(&mut self, record: Nanos, maps: &Maps) -> bool {
        if !self.possible || record < self.until {
            return false;
        }
        self.until = kernel_now();
        let calls = self.all(maps);
        let rose = calls > self.known;
        self.known = calls;
        rose
    }

    /// What was missed until now was of the tracer's own connections.
    pub fn forget(&mut self, maps: &Maps) {
        self.known = self.all(maps);
    }

    /// With the returns that the probes know that they missed.
    fn all(&self, maps: &Maps) -> u64 {
        // Calls whose return the probes know that they missed.
        let returns = if self.counts_returns { maps.counter(counter::MISSED_RETURNS) } else { 0 };
        let calls = self.last.map_or_else(|| sum(&self.calls), |last| last.calls);
        calls.saturating_add(returns)
    }
}

/// How often the kernel left programs with these descriptors out.
fn sum(fds: &[RawFd]) -> u64 {
    fds.iter().filter_map(|fd| left_out(*fd)).sum()
}

/// How often the kernel left the program with that descriptor out.
fn left_out(fd: RawFd) -> Option<u64> {
    let text = read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    value.trim().parse().ok()
}
