//! What a control group path says: which container, which systemd unit.
//!
//! `/proc/PID/cgroup` has a line per hierarchy, `id:controllers:path` (cgroups(7)). Runtimes and systemd name their
//! groups in their own ways; the forms below are those seen in use. A path may be nested (Docker in Docker, Kubernetes
//! in Docker), and the innermost container is the one that a person means.

use super::facts::{Container, ContainerRuntime};

/// What the control groups of a process say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupFacts {
    /// Distinct paths: the unified hierarchy's first, then systemd's own, then the others.
    pub paths: Vec<String>,
    /// The innermost container.
    pub container: Option<Container>,
    /// The innermost unit within that container (or on the host), with its suffix, escapes undone.
    pub unit: Option<String>,
    /// Within a Kubernetes pod.
    pub in_pod: bool,
}

/// Paths kept of one process, and the longest that is kept.
const MAX_PATHS: usize = 4;
const MAX_PATH_BYTES: usize = 1024;

/// Reads `/proc/PID/cgroup`.
pub fn parse(text: &str) -> CgroupFacts {
    let mut lines: Vec<(u8, &str)> = Vec::new();
    for line in text.lines().take(64) {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let rank = match (id, controllers) {
            ("0", "") => 0,
            (_, "name=systemd") => 1,
            _ => 2,
        };
        if path.len() <= MAX_PATH_BYTES && !lines.iter().any(|(_, known)| *known == path) {
            lines.push((rank, path));
        }
    }
    lines.sort_by_key(|(rank, _)| *rank);
    let mut facts = CgroupFacts::default();
    for (_, path) in &lines {
        facts.in_pod |= path.contains("kubepods");
        let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
        let container = container_in(&components);
        let inside = container.as_ref().map_or(0, |(at, _)| at + 1);
        if facts.container.is_none() {
            // A container seen in this hierarchy puts units of outer paths, read before, outside of it.
            if container.is_some() {
                facts.unit = None;
            }
            facts.container = container.map(|(_, container)| container);
        }
        if facts.unit.is_none() && (facts.container.is_none() || inside > 0) {
            facts.unit = components.get(inside..).and_then(unit_in);
        }
        if facts.paths.len() < MAX_PATHS {
            facts.paths.push((*path).to_owned());
        }
    }
    facts
}

/// The innermost container of a path, and the component that names it.
fn container_in(components: &[&str]) -> Option<(usize, Container)> {
    let at_index = |at: usize| components.get(at).copied();
    for (at, component) in components.iter().enumerate().rev() {
        let outer = at.checked_sub(1).and_then(at_index);
        // The monitor of a container runs beside it, not in it.
        if component.contains("conmon-") || component.starts_with("lxc.monitor") {
            return None;
        }
        let stem = component.strip_suffix(".scope").unwrap_or(component);
        let (prefix, id) = stem.rsplit_once([':', '-']).unwrap_or(("", stem));
        if is_container_id(id) {
            let runtime = match prefix.rsplit(':').next().unwrap_or(prefix) {
                "" => runtime_by_surroundings(components.get(..at).unwrap_or_default()),
                prefix => runtime_by_prefix(prefix),
            };
            return Some((at, Container { id: id.to_owned(), runtime, name: None }));
        }
        let system = |name: &str, runtime| {
            let name = unescape(name);
            Some((at, Container { id: name.clone(), runtime, name: Some(name) }))
        };
        if let Some(name) = component.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
            return system(name, ContainerRuntime::Lxc);
        }
        if outer == Some("lxc") || outer == Some("lxc.payload") {
            return system(component, ContainerRuntime::Lxc);
        }
        if let Some(name) =
            component.strip_prefix("systemd-nspawn@").and_then(|name| name.strip_suffix(".service"))
        {
            // systemd-nspawn's own process stands in the group `supervisor`.
            if at_index(at + 1) == Some("supervisor") {
                return None;
            }
            return system(name, ContainerRuntime::Nspawn);
        }
        if let Some(name) = stem.strip_prefix("machine-") {
            // libvirt registers virtual machines in the same place.
            let virtual_machine = unescape(name).starts_with("qemu-") || unescape(name).starts_with("lxc-");
            if component.ends_with(".scope") && !virtual_machine && at_index(at + 1) != Some("supervisor") {
                return system(name, ContainerRuntime::Nspawn);
            }
        }
    }
    None
}

fn is_container_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn runtime_by_prefix(prefix: &str) -> ContainerRuntime {
    match prefix {
        "docker" => ContainerRuntime::Docker,
        "libpod" => ContainerRuntime::Podman,
        "crio" => ContainerRuntime::Crio,
        "cri-containerd" | "containerd" | "nerdctl" => ContainerRuntime::Containerd,
        _ => ContainerRuntime::Other,
    }
}

fn runtime_by_surroundings(outer: &[&str]) -> ContainerRuntime {
    match outer.last() {
        Some(&"docker" | &"actions_job") => ContainerRuntime::Docker,
        Some(&"libpod_parent") => ContainerRuntime::Podman,
        _ => ContainerRuntime::Other,
    }
}

/// The innermost service of a path. `None` for sessions (scopes) and for a user's own manager.
fn unit_in(components: &[&str]) -> Option<String> {
    let unit = components.iter().rev().find(|component| component.ends_with(".service"))?;
    let unit = unescape(unit);
    let manager = unit.starts_with("user@") || unit.starts_with("systemd-nspawn@");
    (!manager && unit.len() <= 256).then_some(unit)
}

/// The groups of a path that lie outside of any container, from the outermost, escapes undone.
pub fn groups_around(path: &str) -> impl Iterator<Item = String> {
    let components: Vec<&str> = path.split('/').filter(|component| !component.is_empty()).collect();
    let outermost = (0..components.len())
        .find(|at| container_in(components.get(..=*at).unwrap_or_default()).is_some())
        .unwrap_or(components.len());
    components.into_iter().take(outermost).map(unescape)
}

/// Undoes systemd's escapes (`\x2d` for `-`; systemd-escape(1)).
fn unescape(name: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        if let (Some(byte), Some(next)) = (code, after.get(2..)) {
            out.push(byte);
            rest = next;
        } else {
            out.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// Units that start many different programs, so that their name says nothing about any of them.
const SUPERVISORS: &[&str] = &[
    "anacron",
    "atd",
    "buildkite-agent",
    "circus",
    "circusd",
    "cloud-final",
    "cloud-init",
    "containerd",
    "cron",
    "crond",
    "docker",
    "forever",
    "getty",
    "gitlab-runner",
    "gitlab-runsvdir",
    "god",
    "immortaldir",
    "init",
    "jenkins",
    "k3s",
    "k3s-agent",
    "kubelet",
    "lxc",
    "lxd",
    "incus",
    "monit",
    "nomad",
    "process-compose",
    "rc-local",
    "rc.local",
    "runit",
    "runsvdir",
    "s6",
    "s6-svscan",
    "serial-getty",
    "ssh",
    "sshd",
    "supervisor",
    "supervisord",
    "svscan",
    "systemd-user-sessions",
    "tmux",
    "screen",
    "ttyd",
    "vscode-server",
    "code-server",
    "xinetd",
    "inetd",
    "podman",
    "crio",
    "cri-o",
    "snap.docker.dockerd",
    "webmin",
];

/// The service that a unit is the name of: `nginx.service` → `nginx`. `None` for units that start many programs.
pub fn service_of_unit(unit: &str) -> Option<&str> {
    let name = unit.strip_suffix(".service")?;
    let stem = name.split_once('@').map_or(name, |(stem, _)| stem);
    let supervisor = SUPERVISORS.contains(&stem)
        || ["pm2-", "actions.runner", "session-", "user-runtime-dir", "user@", "run-u", "run-r", "run-p"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
    (!supervisor && !name.is_empty()).then_some(name)
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
