//! What this host allows: the facts that `tracer doctor` shows, and that decide whether tracing can work at all.
//!
//! Each fact is read from the file the kernel gives it in. A fact that cannot be read is unknown, with the reason: it
//! is shown so, and nothing is concluded from it. What the facts mean stands in [`problems`].

mod problems;
mod read;

use std::fmt;
use std::path::PathBuf;

pub use problems::{OLDEST_KERNEL, Problem, Severity};

/// A fact, or why it is not known.
pub type Fact<T> = Result<T, Unknown>;

/// Why a fact is not known: a sentence's end, such as `/sys/kernel/security/lockdown does not exist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown: {}", self.0)
    }
}

/// Where the facts are read.
#[derive(Clone, Debug)]
pub struct Roots {
    /// `/proc`
    pub proc: PathBuf,
    /// `/sys`
    pub sys: PathBuf,
    /// `/`, for the marks of containers.
    pub root: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), root: "/".into() }
    }
}

/// A kernel's version: the first two or three numbers of its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KernelVersion(pub u32, pub u32, pub u32);

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// How far the kernel is closed to root (kernel_lockdown(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lockdown {
    /// Open.
    None,
    /// The kernel cannot be changed; it can be read.
    Integrity,
    /// It cannot be read either.
    Confidentiality,
}

/// What the kernel tells of its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Btf {
    /// `/sys/kernel/btf/vmlinux` is there and can be read.
    Readable {
        /// Bytes.
        size: u64,
    },
    /// The kernel was built without it.
    Absent,
    /// It is there and cannot be read.
    Denied,
}

/// A set of capabilities (capabilities(7)), as the bits of `/proc/self/status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(pub u64);

/// A capability that matters here: its bit (include/uapi/linux/capability.h) and what is lost without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The kernel's name.
    pub name: &'static str,
    /// The bit.
    pub bit: u32,
    /// What is lost without it.
    pub lost: &'static str,
}

impl Capability {
    /// Reading files that belong to other users. `/proc/PID/environ` needs [`Capability::SYS_PTRACE`] besides
    /// (on kernels of 2025 and later [`Capability::PERFMON`] will do: `may_access_mm` in kernel/fork.c).
    pub const DAC_READ_SEARCH: Self = Self {
        name: "CAP_DAC_READ_SEARCH",
        bit: 2,
        lost: "the environment of other users' processes and the files of container runtimes: services lose the names \
               that OTEL_SERVICE_NAME, a pod or a container gives them, and several may share one name",
    };
    /// Looking into other users' processes (`PTRACE_MODE_READ`): `/proc/PID/exe`, `ns/net`, and with hidepid anything.
    pub const SYS_PTRACE: Self = Self {
        name: "CAP_SYS_PTRACE",
        bit: 19,
        lost: "the executables and network namespaces of other users' processes: --exe does not find them, their names \
               rest on their command lines, and calls that a thread's order alone would explain get no parent, because \
               Go programs cannot be told from others",
    };
    /// All that [`Capability::BPF`] and [`Capability::PERFMON`] allow, and more.
    pub const SYS_ADMIN: Self = Self {
        name: "CAP_SYS_ADMIN",
        bit: 21,
        lost: "nothing, except where kernel.perf_event_paranoid is 3 or more (Debian): kprobes",
    };
    /// Raising the limit of locked memory.
    pub const SYS_RESOURCE: Self = Self {
        name: "CAP_SYS_RESOURCE",
        bit: 24,
        lost: "before Linux 5.11 the memory for the probes' tables, unless `ulimit -l` allows it",
    };
    /// Reading kernel memory and attaching to tracepoints (Linux 5.8).
    pub const PERFMON: Self = Self { name: "CAP_PERFMON", bit: 38, lost: "everything" };
    /// Loading programs and making maps (Linux 5.8).
    pub const BPF: Self = Self { name: "CAP_BPF", bit: 39, lost: "everything" };

    /// All of these.
    pub const ALL: [Self; 6] = [
        Self::BPF,
        Self::PERFMON,
        Self::SYS_PTRACE,
        Self::DAC_READ_SEARCH,
        Self::SYS_ADMIN,
        Self::SYS_RESOURCE,
    ];

    /// With these, and no other right, traces are complete on Linux 5.11 and later.
    pub const MINIMUM: [Self; 4] = [Self::BPF, Self::PERFMON, Self::SYS_PTRACE, Self::DAC_READ_SEARCH];
}

impl Capabilities {
    /// Whether a capability is in the set.
    pub fn has(self, capability: Capability) -> bool {
        self.0 >> capability.bit & 1 == 1
    }
}

/// A limit in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteLimit {
    /// None.
    Unlimited,
    /// So many.
    Bytes(u64),
}

/// What the kernel answers to bpf(2), asked for something that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BpfCall {
    /// The call reaches the kernel's code.
    Answered,
    /// It does not exist: a kernel without CONFIG_BPF_SYSCALL, or a filter that says so.
    Absent,
    /// It is refused, for lack of rights or by a filter.
    Refused,
}

/// Which control groups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// Only the old hierarchies.
    V1,
    /// The old ones, and the unified one beside them.
    Hybrid,
    /// Only the unified one.
    V2,
}

/// What is known of this host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostFacts {
    /// `uname -r`.
    pub release: Fact<String>,
    /// Its numbers.
    pub version: Fact<KernelVersion>,
    /// `uname -m`.
    pub architecture: Fact<String>,
    /// Type information.
    pub btf: Fact<Btf>,
    /// Lockdown.
    pub lockdown: Fact<Lockdown>,
    /// The tracer's effective capabilities.
    pub capabilities: Fact<Capabilities>,
    /// The tracer's effective user id.
    pub uid: Fact<u32>,
    /// `kernel.unprivileged_bpf_disabled`: 0 no, 1 yes until reboot, 2 yes.
    pub unprivileged_bpf_disabled: Fact<i64>,
    /// `net.core.bpf_jit_enable`: 0 interpreted, 1 compiled, 2 compiled with debug output.
    pub bpf_jit: Fact<i64>,
    /// `kernel.perf_event_paranoid`: −1 (all) to 3 or 4 (nothing without privilege).
    pub perf_event_paranoid: Fact<i64>,
    /// Limit of locked memory (soft).
    pub memlock: Fact<ByteLimit>,
    /// The tracer is in the initial pid namespace, whose process ids the kernel reports.
    pub initial_pid_ns: Fact<bool>,
    /// The tracer is in the initial user namespace, the only one whose capabilities count for probes.
    pub initial_user_ns: Fact<bool>,
    /// The tracer runs in a container, by the marks that Docker and Podman leave.
    pub in_container: bool,
    /// `kernel.pid_max`.
    pub pid_max: Fact<u32>,
    /// CPUs the kernel has prepared for: what per-CPU tables are sized by.
    pub cpus_possible: Fact<u32>,
    /// CPUs that run.
    pub cpus_online: Fact<u32>,
    /// Where tracefs is mounted.
    pub tracefs: Fact<Option<PathBuf>>,
    /// Other users' processes are hidden from those who may not look into them (`hidepid`, proc(5)).
    pub hidepid: Fact<bool>,
    /// Whether bpf(2) can be called at all.
    pub bpf_call: Fact<BpfCall>,
    /// The tracer runs under a seccomp filter (seccomp(2)).
    pub seccomp: Fact<bool>,
    /// Control groups.
    pub cgroups: Fact<CgroupVersion>,
}
