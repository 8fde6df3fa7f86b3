//! What is known of one process: the values that names and targets are decided from.
//!
//! Read by `capture::procfs`, or inherited in `process`; here they are only values. What could not be read is absent,
//! and [`ProcessFacts::missing`] says why, because "not in a container" and "nobody could look" are different answers.

use std::fmt;

/// Which part of a process's description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// `/proc/PID/stat`: parent, start time.
    Stat,
    /// `/proc/PID/exe`: the program's file.
    Exe,
    /// `/proc/PID/cmdline`.
    Cmdline,
    /// `/proc/PID/environ`.
    Environ,
    /// `/proc/PID/cgroup`.
    Cgroup,
    /// `/proc/PID/ns/net`.
    NetNs,
    /// The beginning of the program's file: which runtime it was made for.
    Runtime,
}

impl Part {
    /// How a person would call it.
    pub fn label(self) -> &'static str {
        match self {
            Part::Stat => "status",
            Part::Exe => "executable",
            Part::Cmdline => "command line",
            Part::Environ => "environment",
            Part::Cgroup => "control group",
            Part::NetNs => "network namespace",
            Part::Runtime => "language runtime",
        }
    }
}

/// Why a part is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The process ended before (or while) it was read.
    Gone,
    /// The kernel refused.
    Denied,
    /// It was there, and not in the expected form.
    Malformed,
    /// It was cut off at the limit; what stands before the limit was used.
    Cut,
    /// Another error of the system (errno).
    Errno(i32),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Gone => f.write_str("the process ended first"),
            Reason::Denied => f.write_str("permission denied"),
            Reason::Malformed => f.write_str("not in the expected form"),
            Reason::Cut => f.write_str("longer than the tracer reads"),
            Reason::Errno(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

/// A part that is not known, or not in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Missing {
    /// What.
    pub part: Part,
    /// Why.
    pub reason: Reason,
}

/// Who made the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerRuntime {
    /// Docker.
    Docker,
    /// Podman (libpod).
    Podman,
    /// containerd: through the Kubernetes interface, or nerdctl.
    Containerd,
    /// CRI-O.
    Crio,
    /// LXC, LXD, Incus. A whole system, not one service.
    Lxc,
    /// systemd-nspawn. A whole system, not one service.
    Nspawn,
    /// A container by the form of its control group; nobody knows whose.
    Other,
}

impl ContainerRuntime {
    /// The container holds a system with services of its own, so that its name is a host's and not a service's.
    pub fn is_whole_system(self) -> bool {
        matches!(self, ContainerRuntime::Lxc | ContainerRuntime::Nspawn)
    }
}

/// The container that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The id, 64 hexadecimal digits (`container.id`); for LXC and nspawn the name.
    pub id: String,
    /// Who made it.
    pub runtime: ContainerRuntime,
    /// The name (`container.name`), where the runtime left it in a file.
    pub name: Option<String>,
}

/// What is kept of a process's environment: these four, and nothing else is ever stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvFacts {
    /// `OTEL_SERVICE_NAME`.
    pub otel_service_name: Option<String>,
    /// `service.name` within `OTEL_RESOURCE_ATTRIBUTES`.
    pub otel_resource_service_name: Option<String>,
    /// `HOSTNAME`.
    pub hostname: Option<String>,
    /// `KUBERNETES_SERVICE_HOST` is set: the kubelet started it.
    pub kubernetes: bool,
}

/// How the program runs its tasks on threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// Go: goroutines move between threads, so a thread says nothing about a request.
    Go,
    /// No sign of Go in the program's file.
    Other,
}

/// What is known of one process (one program in one process: `execve` begins a new one).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Process id as `/proc` shows it.
    pub pid: u32,
    /// The parent's process id; 0 when there is none, or it is not known.
    pub ppid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat` field 22): tells two users of one pid apart.
    pub start_ticks: u64,
    /// A kernel thread: no program, no command line.
    pub kernel_thread: bool,
    /// Path of the program's file in its own mount namespace, without the kernel's mark for deleted files.
    pub exe: Option<String>,
    /// The file was deleted or replaced since the process started.
    pub exe_deleted: bool,
    /// Command name: at most 15 bytes, set by `execve` and by the program itself.
    pub comm: String,
    /// Command line, invalid UTF-8 replaced, cut to a bounded size. May hold secrets: never print it.
    pub args: Vec<String>,
    /// What is kept of the environment.
    pub env: EnvFacts,
    /// Control group paths, the unified hierarchy's first.
    pub cgroups: Vec<String>,
    /// The container.
    pub container: Option<Container>,
    /// A Kubernetes pod (by its control group or its environment).
    pub in_pod: bool,
    /// The pod's name (`k8s.pod.name`), where it is known.
    pub pod_name: Option<String>,
    /// The systemd unit of the control group, with its suffix (`nginx.service`).
    pub unit: Option<String>,
    /// TCP ports the process listens on, filled in from the socket tables. Sorted, without repetition.
    pub listening: Vec<u16>,
    /// Inode number of the network namespace.
    pub netns: Option<u64>,
    /// How it runs its tasks; `None` when its file could not be read.
    pub runtime: Option<Runtime>,
    /// What could not be read, and why.
    pub missing: Vec<Missing>,
}

impl ProcessFacts {
    /// The last component of the program's path.
    pub fn exe_base(&self) -> Option<&str> {
        self.exe.as_deref().map(super::text::base)
    }

    /// Why a part is missing; `None` if it is not.
    pub fn why_missing(&self, part: Part) -> Option<Reason> {
        self.missing.iter().find(|missing| missing.part == part).map(|missing| missing.reason)
    }

    /// Bytes that the strings take; what a table of processes is bounded by.
    pub fn weight(&self) -> usize {
        let strings = self.args.iter().chain(&self.cgroups).map(|text| text.len() + size_of::<String>());
        size_of::<Self>()
            + strings.sum::<usize>()
            + self.exe.as_ref().map_or(0, String::len)
            + self.comm.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_part_keeps_its_reason() {
        let facts = ProcessFacts {
            missing: vec![Missing { part: Part::Exe, reason: Reason::Denied }],
            ..ProcessFacts::default()
        };
        assert_eq!(facts.why_missing(Part::Exe), Some(Reason::Denied));
        assert_eq!(facts.why_missing(Part::Cgroup), None);
        assert_eq!(Reason::Denied.to_string(), "permission denied");
    }

    #[test]
    fn weight_grows_with_the_command_line() {
        let small = ProcessFacts::default();
        let large = ProcessFacts { args: vec!["x".repeat(1000)], ..ProcessFacts::default() };
        assert!(large.weight() >= small.weight() + 1000);
    }
}
