//! The object with the probes: built in, loaded with what is chosen and where the kernel's fields lie.

#![expect(
    clippy::disallowed_types,
    reason = "what is loaded is taken apart here: its maps, and its programs"
)]

use aya::programs::{Program, ProgramType};
use aya::sys::{BpfHelper, is_helper_supported};
use aya::{Ebpf, EbpfLoader};
use tracer_common::abi::{Config, MAX_HEAD_BYTES};

use super::error::{LoadError, failed};
use super::load::Options;
use super::maps::{Maps, Ring};
use super::offsets::Located;
use super::probes::Provider;
use super::registers::pt_regs_offset;

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

/// The programs of the loaded object. Its maps cannot be reached through it (see [`super::maps`]).
pub(super) struct Programs(Ebpf);

impl Programs {
    /// The program of that name, if there is one.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.0.program(name)
    }

    /// The same, to be loaded, attached or taken out.
    pub fn program_mut(&mut self, name: &str) -> Option<&mut Program> {
        self.0.program_mut(name)
    }
}

/// Loads it: its programs, which are not in the kernel yet, its maps, and its ring of records.
pub(super) fn load(
    options: &Options,
    located: &Located,
    provider: Provider,
) -> Result<(Programs, Maps, Ring), LoadError> {
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
    let mut ebpf = EbpfLoader::new()
        // Nothing in the object is to be relocated; parsing the kernel's types for it would take 50 ms.
        .btf(None)
        .override_global("CONFIG", &config, true)
        .override_global("OFFSETS", &located.offsets, true)
        .map_max_entries("EVENTS", ring_bytes(options))
        .map_max_entries("PROCESSES", options.pid_max / 8 + 1)
        .map_max_entries("IN_CALL", in_call)
        .map_max_entries("THREADS", threads)
        .load(OBJECT)
        .map_err(|error| failed("maps", &error))?;
    let (maps, ring) = Maps::take(&mut ebpf)?;
    Ok((Programs(ebpf), maps, ring))
}

/// The size of the ring: a power of two, and not less than a page.
pub(super) fn ring_bytes(options: &Options) -> u32 {
    options.ring_bytes.max(4096).next_power_of_two()
}

/// Whether `bpf_task_pt_regs` is there (Linux 5.15, and vendor kernels that took it over).
fn has_task_pt_regs() -> bool {
    is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_task_pt_regs).unwrap_or(false)
}
