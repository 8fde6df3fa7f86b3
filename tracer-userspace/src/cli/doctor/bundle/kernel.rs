//! Which kernel this is: version, the part of its configuration that probes depend on, type information.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::capture::btf::Btf;
use crate::capture::facts::Roots;

/// Longest text read here: a configuration has some 300 KiB.
const MAX_TEXT: u64 = 4 << 20;
/// Longest type information taken in: distributions' kernels have 4 to 9 MiB.
const MAX_TYPES: u64 = 64 << 20;

/// Options that matter, by the beginning of their names without `CONFIG_`.
const OPTIONS: &[&str] = &[
    "64BIT",
    "ARCH_HAS_SYSCALL_WRAPPER",
    "BPF",
    "CC_VERSION_TEXT",
    "CFI",
    "CGROUP",
    "COMPAT",
    "DEBUG_FS",
    "DEBUG_INFO",
    "DEBUG_LOCK_ALLOC",
    "DYNAMIC_FTRACE",
    "EVENT_TRACING",
    "FPROBE",
    "FTRACE",
    "FUNCTION_",
    "GCC_PLUGIN",
    "HAVE_DYNAMIC_FTRACE",
    "HAVE_EBPF_JIT",
    "HAVE_KRETPROBES",
    "HAVE_RETHOOK",
    "HAVE_SYSCALL_TRACEPOINTS",
    "HZ",
    "IA32_EMULATION",
    "INET",
    "IO_URING",
    "IPV6",
    "KALLSYMS",
    "KASAN",
    "KPROBE",
    "KRETPROBE",
    "LOCKDEP",
    "LOCK_DOWN",
    "LSM",
    "LTO",
    "MPTCP",
    "NAMESPACES",
    "NET_NS",
    "NET_SOCK_MSG",
    "NR_CPUS",
    "PAHOLE",
    "PERF_EVENTS",
    "PID_NS",
    "PREEMPT",
    "PROVE_LOCKING",
    "RANDSTRUCT",
    "RETHOOK",
    "SECCOMP",
    "SECURITY_LOCKDOWN",
    "SMP",
    "THREAD_INFO_IN_TASK",
    "TLS",
    "TRACEFS",
    "TRACEPOINTS",
    "TRACING",
    "UNIX",
    "UPROBE",
    "USER_NS",
    "VMAP_STACK",
    "X86_KERNEL_IBT",
];

/// Release, build and distribution. Not `/proc/version`, which names who built the kernel, and where.
pub fn version(roots: &Roots) -> String {
    let mut text = String::new();
    for (name, path) in [
        ("release", "sys/kernel/osrelease"),
        ("build", "sys/kernel/version"),
        ("architecture", "sys/kernel/arch"),
        ("tainted", "sys/kernel/tainted"),
    ] {
        let value = read_text(&roots.proc.join(path)).unwrap_or_else(|reason| format!("unknown ({reason})"));
        text.push_str(&format!("{name} = {}\n", value.trim()));
    }
    let wanted = ["ID=", "VERSION_ID=", "PRETTY_NAME="];
    match read_text(&roots.root.join("etc/os-release")) {
        Ok(release) => {
            for line in release.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name))) {
                text.push_str(&format!("distribution {line}\n"));
            }
        }
        Err(reason) => text.push_str(&format!("distribution unknown ({reason})\n")),
    }
    text
}

/// The lines of the kernel's configuration that matter.
pub fn config(roots: &Roots) -> String {
    let release = read_text(&roots.proc.join("sys/kernel/osrelease")).unwrap_or_default();
    let built_in = roots.proc.join("config.gz");
    let in_boot = roots.root.join("boot").join(format!("config-{}", release.trim()));
    let from_proc = open(&built_in).and_then(|file| {
        let mut text = String::new();
        let read = flate2::read::GzDecoder::new(file).take(MAX_TEXT).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| format!("{}: {error}", built_in.display()))
    });
    let found = from_proc.or_else(|first| read_text(&in_boot).map_err(|second| format!("{first}; {second}")));
    match found {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().filter(|line| matters(line)).collect();
            lines.join("\n") + "\n"
        }
        Err(reason) => format!("unknown ({reason})\n"),
    }
}

/// `CONFIG_BPF=y` and `# CONFIG_BPF is not set`.
fn matters(line: &str) -> bool {
    let name = line.strip_prefix("# ").unwrap_or(line).strip_prefix("CONFIG_");
    name.is_some_and(|name| OPTIONS.iter().any(|option| name.starts_with(option)))
}

/// The running kernel's type information, or why there is none.
pub fn types(roots: &Roots) -> Result<Vec<u8>, String> {
    let path = roots.sys.join("kernel/btf/vmlinux");
    let mut bytes = Vec::new();
    open(&path)?
        .take(MAX_TYPES)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes)
}

/// What was given with `--btf`, if it is type information: a mistyped path must not put a stranger's file in here.
pub fn given_types(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path).ok()?.take(MAX_TYPES).read_to_end(&mut bytes).ok()?;
    Btf::parse(&bytes).is_ok().then_some(bytes)
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A text, or why it could not be read.
pub fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    open(path)?
        .take(MAX_TEXT)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::procfs::tests::TempTree;
    use std::io::Write as _;

    fn roots(tree: &TempTree) -> Roots {
        Roots { proc: tree.path().join("proc"), sys: tree.path().join("sys"), root: tree.path().to_owned() }
    }

    const CONFIG: &str = "#\n# General\n#\nCONFIG_BPF_SYSCALL=y\n# CONFIG_BPF_LSM is not set\nCONFIG_DEFAULT_HOSTNAME=\"db7\"\n\
                          CONFIG_CMDLINE=\"root=/dev/sda1\"\nCONFIG_PREEMPT_RT=y\nCONFIG_SYSTEM_TRUSTED_KEYS=\"k.pem\"\n";

    #[test]
    fn only_the_options_that_matter_are_taken_wherever_they_lie() {
        let want = "CONFIG_BPF_SYSCALL=y\n# CONFIG_BPF_LSM is not set\nCONFIG_PREEMPT_RT=y\n";
        let tree = TempTree::new();
        tree.file("proc/sys/kernel/osrelease", b"6.1.0-28-amd64\n");
        assert!(config(&roots(&tree)).starts_with("unknown ("));
        tree.file("boot/config-6.1.0-28-amd64", CONFIG.as_bytes());
        assert_eq!(config(&roots(&tree)), want);
        let tree = TempTree::new();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(CONFIG.as_bytes()).unwrap();
        tree.file("proc/config.gz", &packed.finish().unwrap());
        assert_eq!(config(&roots(&tree)), want);
    }

    #[test]
    fn the_version_does_not_say_who_built_it() {
        let tree = TempTree::new();
        tree.file("proc/version", b"Linux version 6.1.0 (alice@build7) (gcc 12) #1 SMP\n");
        tree.file("proc/sys/kernel/osrelease", b"6.1.0\n");
        tree.file("proc/sys/kernel/version", b"#1 SMP PREEMPT_DYNAMIC\n");
        tree.file("etc/os-release", b"PRETTY_NAME=\"Debian 12\"\nHOME_URL=\"x\"\nID=debian\n");
        let text = version(&roots(&tree));
        assert!(
            text.contains("release = 6.1.0\n") && text.contains("build = #1 SMP PREEMPT_DYNAMIC\n"),
            "{text}"
        );
        assert!(text.contains("distribution ID=debian\n") && !text.contains("HOME_URL"), "{text}");
        assert!(!text.contains("alice") && !text.contains("build7"), "{text}");
    }

    #[test]
    fn a_given_file_that_is_no_type_information_stays_out() {
        let tree = TempTree::new();
        tree.file("passwords", b"root:x:0:0");
        assert_eq!(given_types(&tree.path().join("passwords")), None);
        assert_eq!(given_types(&tree.path().join("absent")), None);
    }
}
