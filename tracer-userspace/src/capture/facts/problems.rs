//! What stands in the way on this host, in sentences: what is the matter, and what to do.
//!
//! Pure: from the facts alone. What is unknown is no problem; loading the probes will tell.

use std::fmt;

use super::{BpfCall, Btf, ByteLimit, Capabilities, Capability, HostFacts, KernelVersion, Lockdown};

/// The oldest kernel that the probes are made for and tested on.
pub const OLDEST_KERNEL: KernelVersion = KernelVersion(5, 10, 0);

/// From here on the memory of probes is no longer counted against the limit of locked memory (Linux 5.11, "bpf:
/// Eliminate rlimit-based memory accounting").
const NO_MEMLOCK: KernelVersion = KernelVersion(5, 11, 0);

/// Locked memory that the probes' tables need on older kernels, bytes.
const MEMLOCK_NEEDED: u64 = 64 << 20;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing can be traced.
    Blocks,
    /// Something will be missing, or cost more.
    Limits,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter: a clause without a full stop.
    pub what: String,
    /// What to do: a clause likewise.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.remedy)
    }
}

fn blocks(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem { severity: Severity::Blocks, what: what.into(), remedy: remedy.into() }
}

fn limits(what: impl Into<String>, remedy: impl Into<String>) -> Problem {
    Problem { severity: Severity::Limits, what: what.into(), remedy: remedy.into() }
}

impl HostFacts {
    /// Everything that stands in the way, what blocks first. Empty on a host where all is well.
    pub fn problems(&self) -> Vec<Problem> {
        let checks: [fn(&HostFacts) -> Option<Problem>; 11] = [
            Self::old_kernel,
            Self::locked_down,
            Self::missing_types,
            Self::foreign_user_ns,
            Self::missing_power,
            Self::filtered,
            Self::foreign_pid_ns,
            Self::blind_to_processes,
            Self::blind_to_files,
            Self::little_memory,
            Self::interpreted,
        ];
        let mut problems: Vec<Problem> = checks.iter().filter_map(|check| check(self)).collect();
        problems.sort_by_key(|problem| problem.severity);
        problems
    }

    fn old_kernel(&self) -> Option<Problem> {
        let (Ok(version), Ok(release)) = (&self.version, &self.release) else { return None };
        (*version < OLDEST_KERNEL).then(|| {
            blocks(
                format!(
                    "this kernel ({release}) is older than Linux {}.{}, the oldest that the probes run on",
                    OLDEST_KERNEL.0, OLDEST_KERNEL.1
                ),
                "trace on a host with a newer kernel",
            )
        })
    }

    fn locked_down(&self) -> Option<Problem> {
        (self.lockdown == Ok(Lockdown::Confidentiality)).then(|| {
            blocks(
                "the kernel is locked down (lockdown=confidentiality), and probes can read nothing in it",
                "boot without lockdown=confidentiality; lockdown=integrity is no obstacle",
            )
        })
    }

    fn missing_types(&self) -> Option<Problem> {
        let what = match self.btf {
            Ok(Btf::Absent) => "this kernel gives no type information (there is no /sys/kernel/btf/vmlinux)",
            Ok(Btf::Denied) => "the kernel's type information, /sys/kernel/btf/vmlinux, cannot be read",
            Ok(Btf::Readable { .. }) | Err(_) => return None,
        };
        Some(limits(
            format!(
                "{what}: unless a file given with --btf has it, where its structures' members lie is found by \
                 calibration, on connections and tasks of the tracer's own, and the provider fexit cannot be used"
            ),
            "nothing has to be done; a kernel built with CONFIG_DEBUG_INFO_BTF=y has it",
        ))
    }

    fn foreign_user_ns(&self) -> Option<Problem> {
        (self.initial_user_ns == Ok(false)).then(|| {
            blocks(
                "the tracer runs in a user namespace of its own (a rootless container, or unshare), where being root \
                 gives no right to load probes",
                "run it as root on the host",
            )
        })
    }

    fn missing_power(&self) -> Option<Problem> {
        let have = self.capabilities.as_ref().ok()?;
        if has_probe_power(*have) {
            return None;
        }
        let missing: Vec<&str> = [Capability::BPF, Capability::PERFMON]
            .iter()
            .filter(|need| !have.has(**need))
            .map(|need| need.name)
            .collect();
        let missing = missing.join(" and ");
        Some(match self.uid {
            Ok(0) if self.in_container || self.initial_pid_ns == Ok(false) => blocks(
                format!("the container that the tracer runs in has no {missing}, which loading probes needs"),
                "run it on the host, or start the container with --privileged --pid=host",
            ),
            Ok(0) => blocks(
                format!("the tracer runs as root without {missing}, which loading probes needs"),
                format!("give it {missing}, or CAP_SYS_ADMIN"),
            ),
            _ => blocks(
                format!("the tracer does not run as root and has no {missing}, which loading probes needs"),
                "run it with sudo",
            ),
        })
    }

    /// Something between the tracer and the kernel: only to be told from a lack of rights where there is none.
    fn filtered(&self) -> Option<Problem> {
        let what = match self.bpf_call {
            Ok(BpfCall::Absent) => "the system call bpf does not exist for the tracer",
            Ok(BpfCall::Refused) if self.has_probe_power() => {
                "the system call bpf is refused, although the tracer has the right to it"
            }
            _ => return None,
        };
        let by = match self.seccomp {
            Ok(true) => {
                "a seccomp filter is in force, which containers and units with SystemCallFilter= have"
            }
            Ok(false) => {
                "no seccomp filter is in force, so that it is the kernel itself: it was built without \
                          CONFIG_BPF_SYSCALL, or a security module forbids it"
            }
            Err(_) => "a seccomp filter may be in force",
        };
        Some(blocks(
            format!("{what} ({by})"),
            "run it on the host, outside of the container or unit, or with a filter that allows bpf",
        ))
    }

    fn foreign_pid_ns(&self) -> Option<Problem> {
        (self.initial_pid_ns == Ok(false)).then(|| {
            blocks(
                "the tracer runs in a pid namespace of its own (a container), where /proc numbers processes otherwise \
                 than the kernel does in its events, so that every service would get a wrong name",
                "run it on the host, or in a container started with --pid=host",
            )
        })
    }

    /// Whether loading probes is allowed, as far as capabilities go.
    fn has_probe_power(&self) -> bool {
        self.capabilities.as_ref().is_ok_and(|have| has_probe_power(*have))
    }

    /// Lacks a capability that probes do not need.
    fn lacks(&self, capability: Capability) -> bool {
        self.capabilities.as_ref().is_ok_and(|have| has_probe_power(*have) && !have.has(capability))
    }

    fn blind_to_processes(&self) -> Option<Problem> {
        let need = Capability::SYS_PTRACE;
        self.lacks(need).then(|| {
            let hidden = if self.hidepid == Ok(true) {
                "; and because /proc is mounted with hidepid, not even which there are: services of other users that run \
                 already are called `unknown`"
            } else {
                ""
            };
            limits(
                format!("without {} the tracer cannot read {}{hidden}", need.name, need.lost),
                "run it with sudo, or add the capability",
            )
        })
    }

    fn blind_to_files(&self) -> Option<Problem> {
        let need = Capability::DAC_READ_SEARCH;
        self.lacks(need).then(|| {
            limits(
                format!("without {} the tracer cannot read {}", need.name, need.lost),
                "run it with sudo, or add the capability",
            )
        })
    }

    fn little_memory(&self) -> Option<Problem> {
        let (Ok(version), Ok(ByteLimit::Bytes(bytes)), Ok(have)) =
            (&self.version, &self.memlock, &self.capabilities)
        else {
            return None;
        };
        let can_raise = have.has(Capability::SYS_RESOURCE);
        (*version < NO_MEMLOCK && *bytes < MEMLOCK_NEEDED && !can_raise && has_probe_power(*have)).then(|| {
            blocks(
                format!(
                    "this kernel counts the probes' memory as locked memory, of which the tracer may have {bytes} bytes, \
                     and without CAP_SYS_RESOURCE it cannot raise the limit"
                ),
                "run `ulimit -l unlimited` before it, or run it as root",
            )
        })
    }

    fn interpreted(&self) -> Option<Problem> {
        (self.bpf_jit == Ok(0)).then(|| {
            limits(
                "the kernel interprets probes instead of compiling them, which costs the traced services several times \
                 as much",
                "switch the compiler on with `sysctl net.core.bpf_jit_enable=1`",
            )
        })
    }
}

/// The right to load and attach probes: the two capabilities made for it, or the old one for everything.
fn has_probe_power(have: Capabilities) -> bool {
    have.has(Capability::SYS_ADMIN) || (have.has(Capability::BPF) && have.has(Capability::PERFMON))
}

#[cfg(test)]
mod tests {
    use super::super::{CgroupVersion, Unknown};
    use super::*;

    /// A host where all is well.
    fn good() -> HostFacts {
        HostFacts {
            release: Ok("6.1.0".into()),
            version: Ok(KernelVersion(6, 1, 0)),
            architecture: Ok("x86_64".into()),
            btf: Ok(Btf::Readable { size: 5 << 20 }),
            lockdown: Ok(Lockdown::Integrity),
            capabilities: Ok(Capabilities(0x1ff_ffff_ffff)),
            uid: Ok(0),
            unprivileged_bpf_disabled: Ok(2),
            bpf_jit: Ok(1),
            perf_event_paranoid: Ok(3),
            memlock: Ok(ByteLimit::Bytes(64 << 10)),
            initial_pid_ns: Ok(true),
            initial_user_ns: Ok(true),
            in_container: false,
            pid_max: Ok(32768),
            cpus_possible: Ok(2),
            cpus_online: Ok(2),
            tracefs: Ok(None),
            hidepid: Ok(false),
            bpf_call: Ok(BpfCall::Answered),
            seccomp: Ok(false),
            cgroups: Ok(CgroupVersion::V2),
        }
    }

    fn only(facts: &HostFacts) -> Problem {
        let mut problems = facts.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    fn caps(capabilities: &[Capability]) -> Capabilities {
        Capabilities(capabilities.iter().fold(0, |set, capability| set | 1 << capability.bit))
    }

    #[test]
    fn a_good_host_has_no_problem() {
        assert_eq!(good().problems(), []);
    }

    #[test]
    fn each_obstacle_says_what_and_what_to_do() {
        for (facts, what, remedy) in [
            (
                HostFacts {
                    version: Ok(KernelVersion(4, 18, 0)),
                    release: Ok("4.18.0-553.el8".into()),
                    ..good()
                },
                "4.18.0-553.el8",
                "newer kernel",
            ),
            (HostFacts { lockdown: Ok(Lockdown::Confidentiality), ..good() }, "locked down", "boot without"),
            (HostFacts { initial_user_ns: Ok(false), ..good() }, "user namespace", "on the host"),
            (HostFacts { initial_pid_ns: Ok(false), ..good() }, "pid namespace", "--pid=host"),
            (
                HostFacts { uid: Ok(1000), capabilities: Ok(Capabilities(0)), ..good() },
                "not run as root",
                "sudo",
            ),
            (
                HostFacts { capabilities: Ok(Capabilities(0)), in_container: true, ..good() },
                "CAP_BPF and CAP_PERFMON",
                "--privileged",
            ),
            (
                HostFacts { capabilities: Ok(caps(&[Capability::BPF, Capability::SYS_PTRACE])), ..good() },
                "without CAP_PERFMON",
                "CAP_SYS_ADMIN",
            ),
            (
                HostFacts { bpf_call: Ok(BpfCall::Refused), seccomp: Ok(true), ..good() },
                "seccomp filter is in force",
                "filter that allows bpf",
            ),
            (
                HostFacts { bpf_call: Ok(BpfCall::Absent), seccomp: Ok(false), ..good() },
                "CONFIG_BPF_SYSCALL",
                "on the host",
            ),
        ] {
            let problem = only(&facts);
            assert_eq!(problem.severity, Severity::Blocks);
            assert!(problem.what.contains(what), "{problem}");
            assert!(problem.remedy.contains(remedy), "{problem}");
            assert!(!problem.to_string().contains("  "), "{problem}");
        }
    }

    #[test]
    fn what_limits_does_not_block() {
        let interpreted = only(&HostFacts { bpf_jit: Ok(0), ..good() });
        assert_eq!(interpreted.severity, Severity::Limits);
        for btf in [Btf::Absent, Btf::Denied] {
            let types = only(&HostFacts { btf: Ok(btf), ..good() });
            assert_eq!(types.severity, Severity::Limits);
            assert!(types.what.contains("calibration") && types.what.contains("--btf"), "{types}");
        }
    }

    #[test]
    fn each_capability_that_is_missing_says_what_is_lost() {
        let with = |few: &[Capability]| HostFacts { capabilities: Ok(caps(few)), ..good() };
        assert_eq!(with(&Capability::MINIMUM).problems(), []);
        let [bpf, perfmon, ptrace, dac] = Capability::MINIMUM;
        let problem = only(&with(&[bpf, perfmon, dac]));
        assert_eq!(problem.severity, Severity::Limits);
        assert!(problem.what.contains("CAP_SYS_PTRACE") && !problem.what.contains("hidepid"), "{problem}");
        let hidden = only(&HostFacts { hidepid: Ok(true), ..with(&[bpf, perfmon, dac]) });
        assert!(hidden.what.contains("hidepid"), "{hidden}");
        let problem = only(&with(&[bpf, perfmon, ptrace]));
        assert_eq!(problem.severity, Severity::Limits);
        assert!(problem.what.contains("CAP_DAC_READ_SEARCH"), "{problem}");
        // The old capability for everything does not open other users' processes.
        let old = with(&[Capability::SYS_ADMIN]).problems();
        assert_eq!(old.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Limits; 2]);
    }

    /// Without the right to it the call is refused too; then the capability is what to speak of.
    #[test]
    fn a_refused_call_is_no_filter_where_the_right_is_missing() {
        let problem = only(&HostFacts {
            uid: Ok(1000),
            capabilities: Ok(Capabilities(0)),
            bpf_call: Ok(BpfCall::Refused),
            ..good()
        });
        assert!(problem.what.contains("CAP_BPF"), "{problem}");
    }

    #[test]
    fn locked_memory_matters_only_on_old_kernels_and_without_the_right_to_raise_it() {
        let old = KernelVersion(5, 10, 0);
        assert_eq!(HostFacts { version: Ok(old), ..good() }.problems(), []);
        let few = caps(&[
            Capability::BPF,
            Capability::PERFMON,
            Capability::SYS_PTRACE,
            Capability::DAC_READ_SEARCH,
        ]);
        let problem = only(&HostFacts { version: Ok(old), capabilities: Ok(few), ..good() });
        assert!(problem.remedy.contains("ulimit -l"));
        assert_eq!(HostFacts { capabilities: Ok(few), ..good() }.problems(), []);
    }

    #[test]
    fn nothing_is_concluded_from_what_is_unknown() {
        let unknown = || Unknown("x".into());
        let facts = HostFacts {
            version: Err(unknown()),
            btf: Err(unknown()),
            lockdown: Err(unknown()),
            capabilities: Err(unknown()),
            uid: Err(unknown()),
            initial_pid_ns: Err(unknown()),
            initial_user_ns: Err(unknown()),
            bpf_jit: Err(unknown()),
            memlock: Err(unknown()),
            hidepid: Err(unknown()),
            bpf_call: Err(unknown()),
            seccomp: Err(unknown()),
            ..good()
        };
        assert_eq!(facts.problems(), []);
    }

    #[test]
    fn what_blocks_comes_first() {
        let facts = HostFacts { bpf_jit: Ok(0), initial_pid_ns: Ok(false), ..good() };
        let severities: Vec<Severity> = facts.problems().iter().map(|problem| problem.severity).collect();
        assert_eq!(severities, [Severity::Blocks, Severity::Limits]);
    }
}
