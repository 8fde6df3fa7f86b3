//! The probes in the kernel: loads the object, attaches one provider's programs, reads and writes their maps, detaches.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Btf, Ebpf, EbpfLoader};
use tracer_common::abi::{
    Config, Conn, ConnId, DEFAULT_CALL_BYTES, DEFAULT_HEAD_BYTES, MAX_HEAD_BYTES, counter, mode, select,
};
use tracer_common::offsets::ABSENT;

use super::attach::{Attached, attach, detach, gather};
use super::drain::kernel_now;
use super::error::{LoadError, failed};
use super::events::Events;
use super::golang::attached::Goroutines;
use super::interest::Teller;
use super::misses::{Missed, Misses};
use super::offsets::{FieldSource, Located};
use super::probes::{Hook, Probe, Provider, for_provider};
use super::registers::pt_regs_offset;
use super::run_time::{self, Measured, RunTime};
use super::undisturbed::Undisturbed;
use crate::protocol::Interest;
use crate::time::Nanos;

/// The probes, built by `cargo xtask build-ebpf`.
#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/tracer.x86_64.o"));
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/tracer.aarch64.o"));

/// Threads that can be inside a socket function at once while kprobes watch them; each costs about 80 bytes.
const IN_CALL_ENTRIES: u32 = 32_768;

/// Threads of which something is known; each costs about 120 bytes.
const THREAD_ENTRIES: u32 = 65_536;

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
    ebpf: Ebpf,
    teller: Teller,
    /// Records.
    pub(super) ring: RingBuf<MapData>,
    /// Its size.
    pub(super) ring_bytes: usize,
    /// Connections.
    pub(super) conns: HashMap<MapData, u64, Conn>,
    mode: Array<MapData, u32>,
    processes: Array<MapData, [u8; 8]>,
    pub(super) counters: PerCpuArray<MapData, u64>,
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
        let mut ebpf = load_object(options, located, provider)?;
        let mut missing: Vec<&'static str> = provider.blind_to().into_iter().collect();
        let mut programs = Vec::new();
        let mut events = Events::default();
        for probe in for_provider(provider) {
            match attach(&mut ebpf, probe, btf, &mut events)? {
                Attached::At(hooks) => programs.push((probe, hooks)),
                Attached::Missing(what) => missing.push(what),
                Attached::Unneeded => {}
            }
        }
        let attached = programs.iter().map(|(probe, _)| *probe);
        let misses = Misses::of(&ebpf, attached, provider, provider.may_miss(options.kernel));
        if options.evidence {
            let gathered = gather(&mut ebpf, provider, btf, &mut events);
            programs.extend(gathered.programs);
            missing.extend(gathered.missing);
        }
        let teller = Teller::load(&mut ebpf)?;
        let mut probes = Self {
            teller,
            ring_bytes: ring_bytes(options) as usize,
            ring: RingBuf::try_from(take(&mut ebpf, "EVENTS")?).map_err(map_failed("EVENTS"))?,
            conns: HashMap::try_from(take(&mut ebpf, "CONNS")?).map_err(map_failed("CONNS"))?,
            mode: Array::try_from(take(&mut ebpf, "MODE")?).map_err(map_failed("MODE"))?,
            processes: Array::try_from(take(&mut ebpf, "PROCESSES")?).map_err(map_failed("PROCESSES"))?,
            counters: PerCpuArray::try_from(take(&mut ebpf, "COUNTERS")?).map_err(map_failed("COUNTERS"))?,
            goroutines: Goroutines::new(
                HashMap::try_from(take(&mut ebpf, "GO")?).map_err(map_failed("GO"))?,
                cfg!(target_arch = "aarch64") || located.offsets.thread_fsbase != ABSENT,
            ),
            ebpf,
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
        let index = pid >> 3;
        let _undisturbed = self.undisturbed();
        let mut bytes = self.processes.get(&index, 0).map_err(map_failed("PROCESSES"))?;
        if let Some(byte) = bytes.get_mut((pid & 7) as usize) {
            *byte = u8::from(wanted);
        }
        self.processes.set(index, bytes, 0).map_err(map_failed("PROCESSES"))
    }

    /// What is captured of a connection from now on.
    pub fn tell(&self, conn: ConnId, interest: Interest) {
        if let Err(error) = self.teller.tell(conn, interest) {
            log::debug!("telling the probes of a connection's protocol: {error}");
        }
    }

    /// A process of a Go program: its goroutines are told from now on. Returns what cannot be told of it, once a program.
    pub fn add_go(&mut self, pid: u32) -> Vec<String> {
        self.goroutines.add(&mut self.ebpf, pid)
    }

    /// What this kernel will not show of Go programs: ends of sentences.
    pub fn go_troubles(&mut self) -> Vec<String> {
        self.goroutines.troubles(&mut self.ebpf)
    }

    /// For the moment of a map's use, where that would make others' calls be missed.
    pub(super) fn undisturbed(&self) -> Option<Undisturbed> {
        let by_perf = |probe: &Probe| {
            matches!(probe.hook, Hook::SocketEvent(_) | Hook::SyscallEvents(_) | Hook::Kprobe(_))
        };
        self.programs.iter().any(|(probe, _)| by_perf(probe)).then(Undisturbed::begin)
    }

    /// Sets one of `tracer_common::abi::mode`.
    pub fn set_mode(&mut self, mode: u32) -> Result<(), LoadError> {
        let _undisturbed = self.undisturbed();
        self.mode.set(0, mode, 0).map_err(map_failed("MODE"))
    }

    /// What the kernel side counted since [`Probes::begin_counting`].
    pub fn counters(&self) -> KernelCounters {
        let Counted { values, missed } = self.counted();
        let since = |index: u32| -> u64 {
            let at = |values: &[u64]| values.get(index as usize).copied().unwrap_or_default();
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
        self.misses.forget(&self.counters);
    }

    /// Records that did not fit into the ring since the start: to be asked often.
    pub fn lost_ring_full(&self) -> u64 {
        let _undisturbed = self.undisturbed();
        sum(&self.counters, counter::LOST_RING_FULL)
    }

    fn counted(&self) -> Counted {
        let mut values = [0; counter::COUNT as usize];
        let undisturbed = self.undisturbed();
        for (index, value) in (0..).zip(&mut values) {
            *value = sum(&self.counters, index);
        }
        drop(undisturbed);
        Counted { values, missed: self.misses.count() }
    }

    /// Measures for how long the probes run, now and then.
    pub fn measure(&mut self, now: Nanos) {
        let Self { ebpf, programs, run_time, .. } = self;
        run_time.tick(now, || run_time::so_far(ebpf, programs.iter().map(|(probe, _)| probe.program)));
    }

    /// For how long the probes ran while that was measured; complete once they are detached.
    pub fn run_time(&self) -> Measured {
        self.run_time.measured()
    }

    /// Takes the probes out of the kernel; what they left in the maps can still be read. Says how long it took.
    pub fn detach(&mut self) -> Duration {
        let begun = Instant::now();
        self.misses.close();
        let Self { ebpf, programs, run_time, .. } = self;
        run_time
            .close(kernel_now(), || run_time::so_far(ebpf, programs.iter().map(|(probe, _)| probe.program)));
        // Even if this fails the probes go with the program below.
        let _ = self.set_mode(mode::OFF);
        for (probe, _) in &self.programs {
            detach(&mut self.ebpf, probe);
        }
        self.goroutines.detach(&mut self.ebpf);
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
            let info = self.ebpf.program(probe.program).and_then(|program| program.info().ok());
            ProgramFacts {
                name: probe.program,
                attached_to: hooks.clone(),
                verified_instructions: info.and_then(|info| info.verified_instruction_count()),
            }
        };
        self.programs.iter().map(facts).collect()
    }
}

/// Calls whose return the probes know that they missed.
pub(super) fn missed_returns(counters: &PerCpuArray<MapData, u64>) -> u64 {
    sum(counters, counter::MISSED_RETURNS)
}

/// One counter, over all processors.
fn sum(counters: &PerCpuArray<MapData, u64>, index: u32) -> u64 {
    counters.get(&index, 0).map(|each| each.iter().sum()).unwrap_or_default()
}

/// The counters' values, and runs left out.
#[derive(Clone, Copy, Default)]
struct Counted {
    values: [u64; counter::COUNT as usize],
    missed: Missed,
}

fn load_object(options: &Options, located: &Located, provider: Provider) -> Result<Ebpf, LoadError> {
    let mut ports = [0u16; 16];
    for (to, from) in ports.iter_mut().zip(&options.ports) {
        *to = *from;
    }
    let config = Config {
        self_tgid: std::process::id(),
        select: options.select,
        head_bytes: options.head_bytes.clamp(64, MAX_HEAD_BYTES as u32),
        ports,
        has_task_pt_regs: u32::from(has_task_pt_regs()),
        adopt_exec: u32::from(options.adopt_exec),
        adopt_fork: 1,
        pt_regs_offset: located.pt_regs_offset.unwrap_or_else(pt_regs_offset),
        may_miss: u32::from(provider.may_miss(options.kernel)),
        evidence: u32::from(options.evidence),
        turns_at_exit: u32::from(options.evidence && provider == Provider::SyscallExit),
        call_bytes: options.call_bytes.clamp(64, MAX_HEAD_BYTES as u32),
    };
    let threads = if options.evidence { THREAD_ENTRIES } else { 1 };
    let in_call = if provider == Provider::Kprobes { IN_CALL_ENTRIES } else { 1 };
    EbpfLoader::new()
        // Nothing in the object is to be relocated; parsing the kernel's types for it would take 50 ms.
        .btf(None)
        .override_global("CONFIG", &config, true)
        .override_global("OFFSETS", &located.offsets, true)
        .map_max_entries("EVENTS", ring_bytes(options))
        .map_max_entries("PROCESSES", options.pid_max / 8 + 1)
        .map_max_entries("IN_CALL", in_call)
        .map_max_entries("THREADS", threads)
        .load(OBJECT)
        .map_err(|error| failed("maps", &error))
}

/// The size of the ring: a power of two, and not less than a page.
fn ring_bytes(options: &Options) -> u32 {
    options.ring_bytes.max(4096).next_power_of_two()
}

/// Whether `bpf_task_pt_regs` is there (Linux 5.15, and vendor kernels that took it over).
fn has_task_pt_regs() -> bool {
    is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_task_pt_regs).unwrap_or(false)
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| LoadError::Failed {
        program: name.to_owned(),
        reason: "the map is not in the object".to_owned(),
    })
}

fn map_failed<E: std::error::Error + 'static>(name: &'static str) -> impl Fn(E) -> LoadError {
    move |error| failed(name, &error)
}

/// Kernels before 5.11 count maps against the locked-memory limit.
pub(super) fn raise_memlock() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call with a pointer to a local. Failing is no error: newer kernels do not need it.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
