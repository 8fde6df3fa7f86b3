//! The probes in the kernel: loads the object, attaches one provider's programs, reads and writes their maps, detaches.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aya::Btf;
use tracer_common::abi::{ConnId, DEFAULT_CALL_BYTES, DEFAULT_HEAD_BYTES, counter, mode, select};
use tracer_common::offsets::ABSENT;

use super::attach::{Attached, attach, detach, gather};
use super::drain::kernel_now;
use super::error::LoadError;
use super::events::Events;
use super::golang::attached::Goroutines;
use super::interest::Teller;
use super::maps::{Counters, Maps, Ring};
use super::misses::{Missed, Misses};
use super::object::{self, Programs};
use super::offsets::{FieldSource, Located};
use super::probes::{Probe, Provider, for_provider};
use super::run_time::{self, Measured, RunTime};
use crate::protocol::Interest;
use crate::time::Nanos;

/// What to capture.
#[derive(Clone, Debug)]
pub struct Options {
    /// One of `tracer_common::abi::select`.
    pub select: u32,
    /// Processes chosen by id.
    pub pids: Vec<u32>,
    /// Ports, at most 16.
    pub ports: Vec<u16>,
    /// Record newly executed programs until they are looked at.
    pub adopt_exec: bool,
    /// Bytes of a message's head that are captured.
    pub head_bytes: u32,
    /// Bytes of a call that are captured where the protocol is not HTTP/1.
    pub call_bytes: u32,
    /// Size of the ring buffer, bytes; rounded up to a power of two.
    pub ring_bytes: u32,
    /// Gather evidence of causes beside the bytes: turns of event loops, and wakes.
    pub evidence: bool,
    /// Use this provider and no other.
    pub provider: Option<Provider>,
    /// Type information to use instead of the kernel's own.
    pub btf: Option<PathBuf>,
    /// Largest process id (`kernel.pid_max`).
    pub pid_max: u32,
    /// Kernel version.
    pub kernel: (u32, u32),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            select: select::ALL,
            pids: Vec::new(),
            ports: Vec::new(),
            adopt_exec: false,
            head_bytes: DEFAULT_HEAD_BYTES,
            call_bytes: DEFAULT_CALL_BYTES,
            ring_bytes: 8 << 20,
            evidence: true,
            provider: None,
            btf: None,
            pid_max: 4 << 20,
            kernel: (0, 0),
        }
    }
}

/// The attached probes.
pub struct Probes {
    object: Programs,
    teller: Teller,
    /// Records.
    pub(super) ring: Ring,
    /// Its size.
    pub(super) ring_bytes: usize,
    /// All that the programs keep.
    pub(super) maps: Maps,
    /// Which provider is in use.
    pub provider: Provider,
    /// The offsets in use, and where they came from.
    pub fields: Vec<FieldSource>,
    /// What is missing because an optional probe could not be attached, or because of the provider.
    pub missing: Vec<&'static str>,
    /// The programs in place, and where.
    programs: Vec<(&'static Probe, Vec<&'static str>)>,
    /// What holds programs on trace events.
    events: Events,
    /// Processes of Go programs.
    goroutines: Goroutines,
    /// What had been counted when recording began: the self-check's doings are nobody's.
    baseline: Counted,
    /// What the kernel did not show.
    pub(super) misses: Misses,
    run_time: RunTime,
}

/// A program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Its name.
    pub name: &'static str,
    /// The tracepoint or functions that it is hooked to.
    pub attached_to: Vec<&'static str>,
    /// Instructions that the verifier walked through (Linux 5.16 and later tell).
    pub verified_instructions: Option<u32>,
}

/// The kernel side's own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Records that did not fit into the ring.
    pub lost_ring_full: u64,
    /// Connections that did not fit into the table.
    pub lost_map_full: u64,
    /// Message heads on pages that were not present.
    pub read_fault: u64,
    /// Message heads that never were in user memory.
    pub no_buffer: u64,
    /// Bytes of datagram and other sockets.
    pub other_bytes: u64,
    /// Bytes of connections without room in the table.
    pub untracked_bytes: u64,
    /// Calls of socket functions that the kernel had no room to watch to their end.
    pub missed_returns: u64,
    /// Socket calls for which the kernel left the program out, because it was interrupted by itself.
    pub missed_runs: u64,
    /// The same for starts and ends of processes and connections.
    pub missed_changes: u64,
    /// Bytes that TCP counted and no probe saw.
    pub unseen_bytes: u64,
    /// Socket calls of 32-bit programs, whose buffers are not read; with `sys_exit` they are not even seen.
    pub calls_32_bit: u64,
    /// Attempts to keep evidence of a thread for which the table had no room.
    pub threads_full: u64,
}

impl KernelCounters {
    /// Events that were lost, whatever the reason.
    pub fn lost(&self) -> u64 {
        self.lost_ring_full
            + self.lost_map_full
            + self.missed_returns
            + self.missed_runs
            + self.missed_changes
    }
}

impl Probes {
    /// Loads and attaches one provider's programs; nothing is recorded yet.
    pub(super) fn attach(
        options: &Options,
        located: &Located,
        provider: Provider,
        btf: Option<&Btf>,
    ) -> Result<Self, LoadError> {
        let (mut object, maps, ring) = object::load(options, located, provider)?;
        let mut missing: Vec<&'static str> = provider.blind_to().into_iter().collect();
        let mut programs = Vec::new();
        let mut events = Events::default();
        for probe in for_provider(provider) {
            match attach(&mut object, probe, btf, &mut events)? {
                Attached::At(hooks) => programs.push((probe, hooks)),
                Attached::Missing(what) => missing.push(what),
                Attached::Unneeded => {}
            }
        }
        let attached = programs.iter().map(|(probe, _)| *probe);
        let misses = Misses::of(&object, attached, provider, provider.may_miss(options.kernel));
        if options.evidence {
            let gathered = gather(&mut object, provider, btf, &mut events);
            programs.extend(gathered.programs);
            missing.extend(gathered.missing);
        }
        let teller = Teller::load(&mut object)?;
        let mut probes = Self {
            teller,
            ring_bytes: object::ring_bytes(options) as usize,
            ring,
            maps,
            goroutines: Goroutines::new(
                cfg!(target_arch = "aarch64") || located.offsets.thread_fsbase != ABSENT,
            ),
            object,
            provider,
            fields: located.fields.clone(),
            missing,
            programs,
            events,
            misses,
            run_time: RunTime::default(),
            baseline: Counted::default(),
        };
        for pid in &options.pids {
            probes.mark(*pid, true)?;
        }
        Ok(probes)
    }

    /// Chooses a process, or drops it.
    pub fn mark(&mut self, pid: u32, wanted: bool) -> Result<(), LoadError> {
        self.maps.mark(pid, wanted)
    }

    /// What is captured of a connection from now on.
    pub fn tell(&self, conn: ConnId, interest: Interest) {
        if let Err(error) = self.teller.tell(conn, interest) {
            log::debug!("telling the probes of a connection's protocol: {error}");
        }
    }

    /// A process of a Go program: its goroutines are told from now on. Returns what cannot be told of it, once a program.
    pub fn add_go(&mut self, pid: u32) -> Vec<String> {
        self.goroutines.add(&mut self.object, &mut self.maps, pid)
    }

    /// What this kernel will not show of Go programs: ends of sentences.
    pub fn go_troubles(&mut self) -> Vec<String> {
        self.goroutines.troubles(&mut self.object)
    }

    /// Sets one of `tracer_common::abi::mode`.
    pub fn set_mode(&mut self, mode: u32) -> Result<(), LoadError> {
        self.maps.set_mode(mode)
    }

    /// What the kernel side counted since [`Probes::begin_counting`].
    pub fn counters(&self) -> KernelCounters {
        let Counted { values, missed } = self.counted();
        let since = |index: u32| -> u64 {
            let at = |values: &Counters| values.get(index as usize).copied().unwrap_or_default();
            at(&values).saturating_sub(at(&self.baseline.values))
        };
        KernelCounters {
            lost_ring_full: since(counter::LOST_RING_FULL),
            lost_map_full: since(counter::LOST_MAP_FULL),
            read_fault: since(counter::READ_FAULT),
            no_buffer: since(counter::NO_BUFFER),
            other_bytes: since(counter::OTHER_BYTES),
            untracked_bytes: since(counter::UNTRACKED_BYTES),
            missed_returns: since(counter::MISSED_RETURNS),
            missed_runs: missed.calls.saturating_sub(self.baseline.missed.calls),
            missed_changes: missed.changes.saturating_sub(self.baseline.missed.changes),
            unseen_bytes: since(counter::UNSEEN_BYTES),
            calls_32_bit: since(counter::CALLS_32_BIT),
            threads_full: since(counter::THREADS_FULL),
        }
    }

    /// What was counted until now was of the tracer's own connections.
    pub(super) fn begin_counting(&mut self) {
        self.baseline = self.counted();
        self.misses.forget(&self.maps);
    }

    /// Records that did not fit into the ring since the start: to be asked often.
    pub fn lost_ring_full(&self) -> u64 {
        self.maps.counter(counter::LOST_RING_FULL)
    }

    fn counted(&self) -> Counted {
        Counted { values: self.maps.counters(), missed: self.misses.count() }
    }

    /// Measures for how long the probes run, now and then.
    pub fn measure(&mut self, now: Nanos) {
        let Self { object, programs, run_time, .. } = self;
        run_time.tick(now, || run_time::so_far(object, programs.iter().map(|(probe, _)| probe.program)));
    }

    /// For how long the probes ran while that was measured; complete once they are detached.
    pub fn run_time(&self) -> Measured {
        self.run_time.measured()
    }

    /// Takes the probes out of the kernel; what they left in the maps can still be read. Says how long it took.
    pub fn detach(&mut self) -> Duration {
        let begun = Instant::now();
        self.misses.close();
        let Self { object, programs, run_time, .. } = self;
        run_time.close(kernel_now(), || {
            run_time::so_far(object, programs.iter().map(|(probe, _)| probe.program))
        });
        // Even if this fails the probes go with the program below.
        let _ = self.set_mode(mode::OFF);
        for (probe, _) in &self.programs {
            detach(&mut self.object, probe);
        }
        self.goroutines.detach(&mut self.object);
        self.events.detach();
        begun.elapsed()
    }

    /// What of the kernel is used, a line each: programs and what they are hooked to, and where the offsets came from.
    pub fn features(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .programs
            .iter()
            .map(|(probe, hooks)| format!("program {} on {}", probe.program, hooks.join(", ")))
            .collect();
        let found = self.fields.iter().filter(|field| field.bytes.is_some());
        let mut sources: Vec<String> = found.map(|field| format!("offsets: {}", field.source)).collect();
        sources.sort();
        sources.dedup();
        lines.extend(sources);
        lines
    }

    /// The programs in place, for `tracer doctor`.
    pub fn programs(&self) -> Vec<ProgramFacts> {
        let facts = |(probe, hooks): &(&'static Probe, Vec<&'static str>)| {
            let info = self.object.program(probe.program).and_then(|program| program.info().ok());
            ProgramFacts {
                name: probe.program,
                attached_to: hooks.clone(),
                verified_instructions: info.and_then(|info| info.verified_instruction_count()),
            }
        };
        self.programs.iter().map(facts).collect()
    }
}

/// The counters' values, and runs left out.
#[derive(Clone, Copy, Default)]
struct Counted {
    values: Counters,
    missed: Missed,
}

/// Kernels before 5.11 count maps against the locked-memory limit.
pub(super) fn raise_memlock() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call with a pointer to a local. Failing is no error: newer kernels do not need it.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
