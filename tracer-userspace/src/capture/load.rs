//! Loads the probes, attaches them, and detaches them. With `selfcheck`, `drain` and `sweep` the only code that knows aya.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap, MapData, PerCpuArray, RingBuf};
use aya::programs::{ProgramError, RawTracePoint};
use aya::{Ebpf, EbpfLoader};
use thiserror::Error;
use tracer_common::abi::{Config, Conn, DEFAULT_HEAD_BYTES, MAX_HEAD_BYTES, counter, mode, select};
use tracer_common::offsets::Offsets;

use super::offsets::{self, FieldSource, OffsetError};
use super::probes::{Probe, Provider, for_provider};

/// The probes, built by `cargo xtask build-ebpf`.
#[cfg(target_arch = "x86_64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/tracer.x86_64.o"));
#[cfg(target_arch = "aarch64")]
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/tracer.aarch64.o"));

/// `THREAD_SIZE - sizeof(struct pt_regs)` of x86-64 without KASAN, for kernels without `bpf_task_pt_regs`.
const PT_REGS_OFFSET: u32 = 16_384 - 168;

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
    /// Size of the ring buffer, bytes; rounded up to a power of two.
    pub ring_bytes: u32,
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
            ring_bytes: 8 << 20,
            provider: None,
            btf: None,
            pid_max: 4 << 20,
            kernel: (0, 0),
        }
    }
}

/// Why the probes could not be put in place.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Type information.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// The kernel refused a program or map for lack of rights.
    #[error(
        "the kernel does not allow loading the probe `{program}` ({reason}). \
         Run as root (or with CAP_BPF and CAP_PERFMON); if it is root already, the kernel may be locked down: \
         `tracer doctor` says more"
    )]
    NotPermitted {
        /// Which.
        program: String,
        /// The kernel's words.
        reason: String,
    },
    /// Something else failed.
    #[error(
        "cannot load the probe `{program}`: {reason}. Please report this with the output of `tracer doctor`"
    )]
    Failed {
        /// Which.
        program: String,
        /// The kernel's words.
        reason: String,
    },
    /// No provider.
    #[error("this kernel offers no way to see socket calls: {0}")]
    NoProvider(String),
    /// The self-check failed.
    #[error(
        "the check of this kernel's structures failed, so nothing read from them could be believed: {0}. \
         Please report this with the output of `tracer doctor`"
    )]
    SelfCheck(String),
}

/// The attached probes.
pub struct Probes {
    ebpf: Ebpf,
    /// Records.
    pub(super) ring: RingBuf<MapData>,
    /// Connections.
    pub(super) conns: HashMap<MapData, u64, Conn>,
    mode: Array<MapData, u32>,
    processes: Array<MapData, [u8; 8]>,
    counters: PerCpuArray<MapData, u64>,
    /// Which provider is in use.
    pub provider: Provider,
    /// The offsets in use, and where they came from.
    pub fields: Vec<FieldSource>,
    /// What is missing because an optional probe could not be attached.
    pub missing: Vec<&'static str>,
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
}

impl Probes {
    /// Loads and attaches; nothing is recorded yet.
    pub fn attach(options: &Options) -> Result<Self, LoadError> {
        raise_memlock();
        let located = offsets::find(options.btf.as_deref())?;
        let provider = options.provider.unwrap_or(if options.kernel >= (6, 3) {
            Provider::SocketTracepoints
        } else {
            Provider::SyscallExit
        });
        let mut ebpf = load_object(options, &located.offsets, located.pt_regs_offset)?;
        let mut missing = Vec::new();
        for probe in for_provider(provider) {
            match (attach_one(&mut ebpf, probe), probe.without) {
                (Ok(()), _) => {}
                (Err(error), None) => return Err(error),
                (Err(error), Some(without)) => {
                    log::warn!("{error}");
                    missing.push(without);
                }
            }
        }
        let mut probes = Self {
            ring: RingBuf::try_from(take(&mut ebpf, "EVENTS")?).map_err(map_failed("EVENTS"))?,
            conns: HashMap::try_from(take(&mut ebpf, "CONNS")?).map_err(map_failed("CONNS"))?,
            mode: Array::try_from(take(&mut ebpf, "MODE")?).map_err(map_failed("MODE"))?,
            processes: Array::try_from(take(&mut ebpf, "PROCESSES")?).map_err(map_failed("PROCESSES"))?,
            counters: PerCpuArray::try_from(take(&mut ebpf, "COUNTERS")?).map_err(map_failed("COUNTERS"))?,
            ebpf,
            provider,
            fields: located.fields,
            missing,
        };
        for pid in &options.pids {
            probes.mark(*pid, true)?;
        }
        Ok(probes)
    }

    /// Chooses a process, or drops it.
    pub fn mark(&mut self, pid: u32, wanted: bool) -> Result<(), LoadError> {
        let index = pid >> 3;
        let mut bytes = self.processes.get(&index, 0).map_err(map_failed("PROCESSES"))?;
        if let Some(byte) = bytes.get_mut((pid & 7) as usize) {
            *byte = u8::from(wanted);
        }
        self.processes.set(index, bytes, 0).map_err(map_failed("PROCESSES"))
    }

    /// Sets one of `tracer_common::abi::mode`.
    pub fn set_mode(&mut self, mode: u32) -> Result<(), LoadError> {
        self.mode.set(0, mode, 0).map_err(map_failed("MODE"))
    }

    /// Reads the kernel side's counters.
    pub fn counters(&self) -> KernelCounters {
        let read = |index: u32| -> u64 {
            self.counters.get(&index, 0).map(|values| values.iter().sum()).unwrap_or_default()
        };
        KernelCounters {
            lost_ring_full: read(counter::LOST_RING_FULL),
            lost_map_full: read(counter::LOST_MAP_FULL),
            read_fault: read(counter::READ_FAULT),
            no_buffer: read(counter::NO_BUFFER),
            other_bytes: read(counter::OTHER_BYTES),
            untracked_bytes: read(counter::UNTRACKED_BYTES),
        }
    }

    /// Takes the probes out of the kernel; what they left in the maps can still be read. Says how long it took.
    pub fn detach(&mut self) -> Duration {
        let begun = Instant::now();
        // Even if this fails the probes go with the program below.
        let _ = self.set_mode(mode::OFF);
        for probe in for_provider(self.provider) {
            if let Some(program) = self.ebpf.program_mut(probe.program)
                && let Ok(program) = <&mut RawTracePoint>::try_from(program)
            {
                let _ = program.unload();
            }
        }
        begun.elapsed()
    }

    /// Name, verified instructions and translated size of each loaded program, for `tracer doctor`.
    pub fn programs(&self) -> Vec<(&'static str, Option<u32>)> {
        for_provider(self.provider)
            .filter_map(|probe| {
                let program = <&RawTracePoint>::try_from(self.ebpf.program(probe.program)?).ok()?;
                Some((probe.program, program.info().ok()?.verified_instruction_count()))
            })
            .collect()
    }
}

fn load_object(options: &Options, offsets: &Offsets, pt_regs: Option<u32>) -> Result<Ebpf, LoadError> {
    let mut ports = [0u16; 16];
    for (to, from) in ports.iter_mut().zip(&options.ports) {
        *to = *from;
    }
    let config = Config {
        self_tgid: std::process::id(),
        select: options.select,
        head_bytes: options.head_bytes.clamp(64, MAX_HEAD_BYTES as u32),
        ports,
        has_task_pt_regs: u32::from(options.kernel >= (5, 15)),
        adopt_exec: u32::from(options.adopt_exec),
        adopt_fork: 1,
        pt_regs_offset: pt_regs.unwrap_or(PT_REGS_OFFSET),
    };
    EbpfLoader::new()
        .override_global("CONFIG", &config, true)
        .override_global("OFFSETS", offsets, true)
        .map_max_entries("EVENTS", options.ring_bytes.max(4096).next_power_of_two())
        .map_max_entries("PROCESSES", options.pid_max / 8 + 1)
        .load(OBJECT)
        .map_err(|error| classify_error("maps", &error))
}

fn attach_one(ebpf: &mut Ebpf, probe: &Probe) -> Result<(), LoadError> {
    let program: &mut RawTracePoint = ebpf
        .program_mut(probe.program)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| LoadError::Failed {
            program: probe.program.to_owned(),
            reason: "it is not in the object".to_owned(),
        })?;
    program.load().map_err(|error| load_error(probe.program, &error))?;
    match program.attach(probe.tracepoint) {
        Ok(_) => Ok(()),
        Err(ProgramError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => {
            Err(LoadError::NoProvider(format!(
                "it has no tracepoint {} (Linux {}.{} and later have)",
                probe.tracepoint, probe.since.0, probe.since.1
            )))
        }
        Err(error) => Err(classify_error(probe.program, &error)),
    }
}

/// A refusal by the verifier is a defect of ours (or a kernel that we do not know), not a lack of rights, though the
/// kernel reports both as EACCES. Its log goes to the debug log; its last words to the user.
fn load_error(program: &str, error: &ProgramError) -> LoadError {
    let ProgramError::LoadError { verifier_log, .. } = error else { return classify_error(program, error) };
    let log = verifier_log.to_string();
    let reason = log.lines().rev().filter(|line| !line.starts_with("processed ") && !line.is_empty());
    let words: Vec<&str> = reason.take(4).collect();
    if words.is_empty() {
        return classify_error(program, error);
    }
    log::debug!("verifier log of {program}:\n{log}");
    let reason = format!("the kernel's verifier refused it ({})", words.join("; "));
    LoadError::Failed { program: program.to_owned(), reason }
}

/// Sorts an error into "not permitted" and the rest, by the operating system's error in its chain.
fn classify_error(program: &str, error: &(dyn std::error::Error + 'static)) -> LoadError {
    let mut reason = error.to_string();
    let mut permitted = true;
    let mut source = Some(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            permitted &= !matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES));
            reason = format!("{reason}: {io}");
        }
        source = inner.source();
    }
    let program = program.to_owned();
    if permitted {
        LoadError::Failed { program, reason }
    } else {
        LoadError::NotPermitted { program, reason }
    }
}

fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<aya::maps::Map, LoadError> {
    ebpf.take_map(name).ok_or_else(|| LoadError::Failed {
        program: name.to_owned(),
        reason: "the map is not in the object".to_owned(),
    })
}

fn map_failed<E: std::error::Error + 'static>(name: &'static str) -> impl Fn(E) -> LoadError {
    move |error| classify_error(name, &error)
}

/// Kernels before 5.11 count maps against the locked-memory limit.
fn raise_memlock() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call with a pointer to a local. Failing is no error: newer kernels do not need it.
    let _ = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
}
