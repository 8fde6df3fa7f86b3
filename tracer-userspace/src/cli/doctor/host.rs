//! The host's facts in the form of the report: a value, or null and a reason.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::capture::facts::{BpfCall, Btf, ByteLimit, Capability, CgroupVersion, Fact, HostFacts, Lockdown};

/// The facts. What could not be learnt is null, and `unknown` has the reason under the same name.
#[derive(Debug, Default, Serialize)]
pub struct HostReport {
    /// `uname -r`.
    pub kernel: Option<String>,
    /// `uname -m`.
    pub architecture: Option<String>,
    /// `readable`, `absent` or `denied`.
    pub btf: Option<&'static str>,
    /// Size of the kernel's type information.
    pub btf_bytes: Option<u64>,
    /// `none`, `integrity` or `confidentiality`.
    pub lockdown: Option<&'static str>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Capabilities that matter and that the tracer has.
    pub capabilities: Option<Vec<&'static str>>,
    /// Capabilities that matter and that it has not.
    pub capabilities_missing: Option<Vec<&'static str>>,
    /// `net.core.bpf_jit_enable`.
    pub bpf_jit: Option<i64>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Option<i64>,
    /// `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i64>,
    /// Limit of locked memory, bytes; −1 for none.
    pub memlock: Option<i64>,
    /// In the initial pid namespace.
    pub initial_pid_ns: Option<bool>,
    /// In the initial user namespace.
    pub initial_user_ns: Option<bool>,
    /// By the marks of Docker and Podman.
    pub in_container: bool,
    /// `kernel.pid_max`.
    pub pid_max: Option<u32>,
    /// CPUs that the kernel is prepared for.
    pub cpus_possible: Option<u32>,
    /// CPUs that run.
    pub cpus_online: Option<u32>,
    /// Whether tracefs is mounted somewhere.
    pub tracefs: Option<bool>,
    /// Other users' processes are hidden in `/proc`.
    pub hidepid: Option<bool>,
    /// bpf(2): `answered`, `refused` or `absent`.
    pub bpf_call: Option<&'static str>,
    /// The tracer runs under a seccomp filter.
    pub seccomp: Option<bool>,
    /// `v1`, `v2` or `hybrid`.
    pub cgroups: Option<&'static str>,
    /// Reasons for what is null, by name.
    pub unknown: BTreeMap<&'static str, String>,
}

impl HostReport {
    /// From the facts.
    pub fn new(facts: &HostFacts) -> Self {
        let mut unknown = BTreeMap::new();
        let unknown = &mut unknown;
        let btf = known(unknown, "btf", &facts.btf);
        let capabilities = known(unknown, "capabilities", &facts.capabilities);
        let having = |wanted: bool| {
            capabilities.map(|have| {
                Capability::ALL.iter().filter(|one| have.has(**one) == wanted).map(|one| one.name).collect()
            })
        };
        Self {
            kernel: known(unknown, "kernel", &facts.release),
            architecture: known(unknown, "architecture", &facts.architecture),
            btf: btf.map(|btf| match btf {
                Btf::Readable { .. } => "readable",
                Btf::Absent => "absent",
                Btf::Denied => "denied",
            }),
            btf_bytes: match btf {
                Some(Btf::Readable { size }) => Some(size),
                _ => None,
            },
            lockdown: known(unknown, "lockdown", &facts.lockdown).map(|lockdown| match lockdown {
                Lockdown::None => "none",
                Lockdown::Integrity => "integrity",
                Lockdown::Confidentiality => "confidentiality",
            }),
            uid: known(unknown, "uid", &facts.uid),
            capabilities: having(true),
            capabilities_missing: having(false),
            bpf_jit: known(unknown, "bpf_jit", &facts.bpf_jit),
            unprivileged_bpf_disabled: known(
                unknown,
                "unprivileged_bpf_disabled",
                &facts.unprivileged_bpf_disabled,
            ),
            perf_event_paranoid: known(unknown, "perf_event_paranoid", &facts.perf_event_paranoid),
            memlock: known(unknown, "memlock", &facts.memlock).map(|limit| match limit {
                ByteLimit::Unlimited => -1,
                ByteLimit::Bytes(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
            }),
            initial_pid_ns: known(unknown, "initial_pid_ns", &facts.initial_pid_ns),
            initial_user_ns: known(unknown, "initial_user_ns", &facts.initial_user_ns),
            in_container: facts.in_container,
            pid_max: known(unknown, "pid_max", &facts.pid_max),
            cpus_possible: known(unknown, "cpus_possible", &facts.cpus_possible),
            cpus_online: known(unknown, "cpus_online", &facts.cpus_online),
            tracefs: known(unknown, "tracefs", &facts.tracefs).map(|at| at.is_some()),
            hidepid: known(unknown, "hidepid", &facts.hidepid),
            bpf_call: known(unknown, "bpf_call", &facts.bpf_call).map(|answer| match answer {
                BpfCall::Answered => "answered",
                BpfCall::Refused => "refused",
                BpfCall::Absent => "absent",
            }),
            seccomp: known(unknown, "seccomp", &facts.seccomp),
            cgroups: known(unknown, "cgroups", &facts.cgroups).map(|version| match version {
                CgroupVersion::V1 => "v1",
                CgroupVersion::V2 => "v2",
                CgroupVersion::Hybrid => "hybrid",
            }),
            unknown: std::mem::take(unknown),
        }
    }

    /// Why the fact of that name is null.
    pub fn why_unknown(&self, name: &str) -> &str {
        self.unknown.get(name).map_or("not asked", String::as_str)
    }
}

fn known<T: Clone>(
    unknown: &mut BTreeMap<&'static str, String>,
    name: &'static str,
    fact: &Fact<T>,
) -> Option<T> {
    match fact {
        Ok(value) => Some(value.clone()),
        Err(reason) => {
            unknown.insert(name, reason.0.clone());
            None
        }
    }
}
