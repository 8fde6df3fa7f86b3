//! What somebody has set on this host: `/proc/sys` and the kernel's own file systems.

use std::fmt::Write as _;

use super::kernel::read_text;
use crate::capture::facts::Roots;

/// Settings that allow, forbid or slow down probes.
const SYSCTLS: &[&str] = &[
    "kernel/bpf_stats_enabled",
    "kernel/ftrace_enabled",
    "kernel/io_uring_disabled",
    "kernel/kptr_restrict",
    "kernel/modules_disabled",
    "kernel/perf_event_max_stack",
    "kernel/perf_event_paranoid",
    "kernel/pid_max",
    "kernel/threads-max",
    "kernel/unprivileged_bpf_disabled",
    "kernel/unprivileged_userns_clone",
    "kernel/yama/ptrace_scope",
    "debug/kprobes-optimization",
    "net/core/bpf_jit_enable",
    "net/core/bpf_jit_harden",
    "net/core/bpf_jit_kallsyms",
    "net/core/bpf_jit_limit",
    "user/max_user_namespaces",
    "vm/overcommit_memory",
];

/// Files of `/sys/kernel/security`.
const SECURITY: &[&str] = &["lockdown", "lsm"];

/// Types of file systems that the kernel shows itself in.
const KINDS: &[&str] = &["bpf", "cgroup", "cgroup2", "debugfs", "proc", "securityfs", "sysfs", "tracefs"];

/// Each setting with its value, or why it is not known.
pub fn sysctls(roots: &Roots) -> String {
    let mut text = String::new();
    let own = SYSCTLS.iter().map(|name| (name.replace('/', "."), roots.proc.join("sys").join(name)));
    let security = SECURITY
        .iter()
        .map(|name| (format!("securityfs {name}"), roots.sys.join("kernel/security").join(name)));
    for (name, path) in own.chain(security) {
        let value =
            read_text(&path).map_or_else(|why| format!("unknown ({why})"), |value| value.trim().to_owned());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// The kernel's own file systems: type, place and options. Where somebody mounted one in a place of their own, the
/// place is left out: it may have a name in it.
pub fn mounts(roots: &Roots) -> String {
    let mounts = match read_text(&roots.proc.join("self/mounts")) {
        Ok(mounts) => mounts,
        Err(reason) => return format!("unknown ({reason})\n"),
    };
    let mut text = String::new();
    for line in mounts.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, place, kind, options, ..] = fields.as_slice() else { continue };
        if KINDS.contains(kind) {
            let usual = *place == "/sys" || *place == "/proc" || place.starts_with("/sys/");
            let _ = writeln!(text, "{kind} {} {options}", if usual { place } else { "elsewhere" });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::procfs::tests::TempTree;

    #[test]
    fn settings_and_mounts() {
        let tree = TempTree::new();
        tree.file("proc/sys/kernel/pid_max", b"32768\n");
        tree.file(
            "proc/self/mounts",
            b"/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw,hidepid=2 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
              bpf /home/alice/bpf bpf rw 0 0\n//nas/alice /mnt cifs rw,username=alice 0 0\n",
        );
        let roots = Roots {
            proc: tree.path().join("proc"),
            sys: tree.path().join("sys"),
            root: tree.path().to_owned(),
        };
        let settings = sysctls(&roots);
        assert!(settings.contains("kernel.pid_max = 32768\n"), "{settings}");
        assert!(settings.contains("securityfs lockdown = unknown ("), "{settings}");
        assert_eq!(
            mounts(&roots),
            "proc /proc rw,hidepid=2\ncgroup /sys/fs/cgroup/cpu rw,cpu\nbpf elsewhere rw\n"
        );
    }
}
