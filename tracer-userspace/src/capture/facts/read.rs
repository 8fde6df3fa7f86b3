//! Reads the facts of this host, each from its file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{
    BpfCall, Btf, ByteLimit, Capabilities, CgroupVersion, Fact, HostFacts, KernelVersion, Lockdown, Roots,
    Unknown,
};

/// Longest file that is read here; `mounts` of a host with many containers is the longest.
const MAX_FILE: u64 = 4 << 20;
/// Inode numbers of the initial namespaces (include/linux/proc_ns.h, `PROC_PID_INIT_INO`, `PROC_USER_INIT_INO`).
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;
const INITIAL_USER_NS: u64 = 0xEFFF_FFFD;

impl HostFacts {
    /// Reads them all; takes well below a millisecond.
    pub fn read(roots: &Roots) -> HostFacts {
        let proc = |name: &str| roots.proc.join(name);
        let sys = |name: &str| roots.sys.join(name);
        let number = |name: &str| number(&proc(name));
        let release = text(&proc("sys/kernel/osrelease")).or_else(|_| uname(|name| &name.release));
        let status = text(&proc("self/status"));
        let mounts = text(&proc("self/mounts"));
        HostFacts {
            version: release.clone().and_then(|release| version(&release)),
            release,
            architecture: text(&proc("sys/kernel/arch")).or_else(|_| uname(|name| &name.machine)),
            btf: btf(&sys("kernel/btf/vmlinux")),
            lockdown: lockdown(&sys("kernel/security/lockdown"), &proc("cmdline")),
            capabilities: status.clone().and_then(|status| capabilities(&status)),
            uid: status.clone().and_then(|status| uid(&status)),
            seccomp: status.and_then(|status| seccomp(&status)),
            bpf_call: bpf_call(),
            unprivileged_bpf_disabled: number("sys/kernel/unprivileged_bpf_disabled"),
            bpf_jit: number("sys/net/core/bpf_jit_enable"),
            perf_event_paranoid: number("sys/kernel/perf_event_paranoid"),
            memlock: text(&proc("self/limits")).and_then(|limits| memlock(&limits)),
            initial_pid_ns: namespace(&proc("self/ns/pid")).map(|inode| inode == INITIAL_PID_NS),
            initial_user_ns: namespace(&proc("self/ns/user")).map(|inode| inode == INITIAL_USER_NS),
            in_container: [".dockerenv", "run/.containerenv"]
                .iter()
                .any(|mark| roots.root.join(mark).exists()),
            pid_max: number("sys/kernel/pid_max").and_then(|value| {
                u32::try_from(value).map_err(|_| Unknown(format!("kernel.pid_max is {value}")))
            }),
            cpus_possible: cpus(&sys("devices/system/cpu/possible")),
            cpus_online: cpus(&sys("devices/system/cpu/online")),
            tracefs: mounts.clone().map(|mounts| tracefs(&mounts)),
            hidepid: mounts.clone().and_then(|mounts| hidepid(&mounts)),
            cgroups: mounts.and_then(|mounts| cgroups(&mounts)),
        }
    }
}

fn why(path: &Path, error: &io::Error) -> Unknown {
    Unknown(match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
        io::ErrorKind::PermissionDenied => format!("no permission to read {}", path.display()),
        _ => format!("{}: {error}", path.display()),
    })
}

fn malformed(path: &Path, text: &str) -> Unknown {
    let start: String = text.trim().chars().take(40).filter(|c| !c.is_control()).collect();
    Unknown(format!("{} says \"{start}\", which is not in the expected form", path.display()))
}

fn text(path: &Path) -> Fact<String> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| why(path, &error))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| why(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
}

fn number(path: &Path) -> Fact<i64> {
    let text = text(path)?;
    text.trim().parse().map_err(|_| malformed(path, &text))
}

/// `6.18.44-fc-v657` → 6.18.44; `5.10-rc1` → 5.10.0.
fn version(release: &str) -> Fact<KernelVersion> {
    let unknown = || Unknown(format!("the kernel calls itself \"{release}\""));
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or("").split('.');
    let mut next = || numbers.next().and_then(|number| number.parse().ok());
    let (major, minor) = (next().ok_or_else(unknown)?, next().ok_or_else(unknown)?);
    Ok(KernelVersion(major, minor, next().unwrap_or(0)))
}

/// uname(2): `/proc/sys/kernel/arch` came with Linux 6.1, and `/proc` may not be mounted.
fn uname(field: impl FnOnce(&libc::utsname) -> &[libc::c_char]) -> Fact<String> {
    // SAFETY: `utsname` is arrays of bytes, for which zeros are a value.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `utsname`, which uname fills.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return Err(Unknown(format!("uname failed: {}", io::Error::last_os_error())));
    }
    let bytes: Vec<u8> =
        field(&name).iter().map(|c| c.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Asks bpf(2) for a command that no kernel has: with the right to use it the answer is EINVAL, whatever the kernel.
fn bpf_call() -> Fact<BpfCall> {
    const NO_SUCH_COMMAND: libc::c_long = 0x7fff_ffff;
    // SAFETY: no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_bpf, NO_SUCH_COMMAND, 0usize, 0usize) };
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::E2BIG) if result < 0 => Ok(BpfCall::Answered),
        Some(libc::ENOSYS) if result < 0 => Ok(BpfCall::Absent),
        Some(libc::EPERM | libc::EACCES) if result < 0 => Ok(BpfCall::Refused),
        _ => Err(Unknown(format!("bpf(2) answers {result} ({error}) to a command that does not exist"))),
    }
}

/// 0 none, 1 strict, 2 filter.
fn seccomp(status: &str) -> Fact<bool> {
    status_field(status, "Seccomp").map(|mode| mode != "0")
}

fn btf(path: &Path) -> Fact<Btf> {
    match File::open(path).and_then(|file| file.metadata()) {
        Ok(meta) => Ok(Btf::Readable { size: meta.len() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Btf::Absent),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Btf::Denied),
        Err(error) => Err(why(path, &error)),
    }
}

/// `none [integrity] confidentiality`; without securityfs what the boot command line asked for.
fn lockdown(path: &Path, cmdline: &Path) -> Fact<Lockdown> {
    let level = |name: &str| match name {
        "none" => Some(Lockdown::None),
        "integrity" => Some(Lockdown::Integrity),
        "confidentiality" => Some(Lockdown::Confidentiality),
        _ => None,
    };
    match text(path) {
        Ok(text) => {
            let chosen =
                text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(chosen, _)| chosen);
            chosen.and_then(level).ok_or_else(|| malformed(path, &text))
        }
        Err(unknown) => {
            let asked = self::text(cmdline).ok();
            let asked = asked.iter().flat_map(|line| line.split_whitespace());
            // The kernel may have raised it since, and never lowers it: only the highest level is certain.
            let asked = asked.filter_map(|word| word.strip_prefix("lockdown=").and_then(level)).next_back();
            match asked {
                Some(Lockdown::Confidentiality) => Ok(Lockdown::Confidentiality),
                _ => Err(Unknown(format!("{} (is securityfs mounted?)", unknown.0))),
            }
        }
    }
}

fn status_field<'a>(status: &'a str, name: &str) -> Fact<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(str::trim).ok_or_else(|| Unknown(format!("/proc/self/status has no line {name}")))
}

fn capabilities(status: &str) -> Fact<Capabilities> {
    let value = status_field(status, "CapEff")?;
    u64::from_str_radix(value, 16).map(Capabilities).map_err(|_| Unknown(format!("CapEff is \"{value}\"")))
}

/// Real, effective, saved, file system: the second.
fn uid(status: &str) -> Fact<u32> {
    let value = status_field(status, "Uid")?;
    let effective = value.split_whitespace().nth(1).and_then(|uid| uid.parse().ok());
    effective.ok_or_else(|| Unknown(format!("Uid is \"{value}\"")))
}

fn memlock(limits: &str) -> Fact<ByteLimit> {
    let unknown = || Unknown("/proc/self/limits has no limit of locked memory".to_owned());
    let line = limits.lines().find_map(|line| line.strip_prefix("Max locked memory")).ok_or_else(unknown)?;
    match line.split_whitespace().next().ok_or_else(unknown)? {
        "unlimited" => Ok(ByteLimit::Unlimited),
        bytes => bytes.parse().map(ByteLimit::Bytes).map_err(|_| unknown()),
    }
}

/// The number in `pid:[4026531836]`.
fn namespace(path: &Path) -> Fact<u64> {
    let link = std::fs::read_link(path).map_err(|error| why(path, &error))?;
    let link = link.to_string_lossy();
    let inode = link.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')?.parse().ok());
    inode.ok_or_else(|| malformed(path, &link))
}

/// `0-3,8-11`: how many.
fn cpus(path: &Path) -> Fact<u32> {
    let text = text(path)?;
    let count = |range: &str| -> Option<u32> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<u32>().ok()?.checked_sub(first.parse().ok()?)?.checked_add(1)
    };
    let total = text.trim().split(',').map(count).try_fold(0u32, |sum, range| sum.checked_add(range?));
    total.ok_or_else(|| malformed(path, &text))
}

/// Mount points with their types: `device point type options …` (fstab(5)).
fn mount_points(mounts: &str) -> impl Iterator<Item = (&str, &str)> {
    mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    })
}

/// `hidepid` of `/proc`: a number, since Linux 5.8 a word (off, noaccess, invisible, ptraceable). Absent means off.
fn hidepid(mounts: &str) -> Fact<bool> {
    let line = mounts.lines().rev().find(|line| {
        let mut fields = line.split(' ').skip(1);
        fields.next() == Some("/proc") && fields.next() == Some("proc")
    });
    let line = line.ok_or_else(|| Unknown("/proc is not among the mounted file systems".to_owned()))?;
    let options = line.split(' ').nth(3).unwrap_or_default();
    let value = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
    Ok(!matches!(value, None | Some("0" | "off")))
}

fn tracefs(mounts: &str) -> Option<PathBuf> {
    let points: Vec<&str> =
        mount_points(mounts).filter(|(_, kind)| *kind == "tracefs").map(|(at, _)| at).collect();
    // Its own place rather than the old one below debugfs.
    let own = points.iter().find(|at| **at == "/sys/kernel/tracing").or(points.first());
    own.map(PathBuf::from)
}

fn cgroups(mounts: &str) -> Fact<CgroupVersion> {
    let kinds: Vec<&str> = mount_points(mounts).map(|(_, kind)| kind).collect();
    match (kinds.contains(&"cgroup"), kinds.contains(&"cgroup2")) {
        (true, true) => Ok(CgroupVersion::Hybrid),
        (true, false) => Ok(CgroupVersion::V1),
        (false, true) => Ok(CgroupVersion::V2),
        (false, false) => Err(Unknown("no control groups are mounted".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::procfs::tests::TempTree;
    use super::*;

    fn roots(tree: &TempTree) -> Roots {
        Roots { proc: tree.path().join("proc"), sys: tree.path().join("sys"), root: tree.path().to_owned() }
    }

    #[test]
    fn a_host_with_everything() {
        let tree = TempTree::new();
        for (path, text) in [
            ("proc/sys/kernel/osrelease", "6.1.0-28-amd64\n"),
            ("proc/sys/kernel/arch", "x86_64\n"),
            ("proc/sys/kernel/unprivileged_bpf_disabled", "2\n"),
            ("proc/sys/kernel/perf_event_paranoid", "-1\n"),
            ("proc/sys/kernel/pid_max", "4194304\n"),
            ("proc/sys/net/core/bpf_jit_enable", "1\n"),
            (
                "proc/self/status",
                "Name:\tx\nUid:\t1000\t0\t0\t0\nCapInh:\t0\nCapEff:\t000001ffffffffff\nSeccomp:\t2\n",
            ),
            (
                "proc/self/limits",
                "Limit  Soft  Hard  Units\nMax locked memory         8388608    unlimited    bytes\n",
            ),
            (
                "proc/self/mounts",
                "proc /proc proc rw,relatime,hidepid=invisible 0 0\ntracefs /sys/kernel/debug/tracing tracefs rw 0 0\ntracefs /sys/kernel/tracing tracefs rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n",
            ),
            ("sys/kernel/btf/vmlinux", "12345"),
            ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
            ("sys/devices/system/cpu/possible", "0-7\n"),
            ("sys/devices/system/cpu/online", "0-2,5,7\n"),
            (".dockerenv", ""),
        ] {
            tree.file(path, text.as_bytes());
        }
        tree.link("proc/self/ns/pid", "pid:[4026531836]");
        tree.link("proc/self/ns/user", "user:[4026532000]");
        let want = HostFacts {
            release: Ok("6.1.0-28-amd64".into()),
            version: Ok(KernelVersion(6, 1, 0)),
            architecture: Ok("x86_64".into()),
            btf: Ok(Btf::Readable { size: 5 }),
            lockdown: Ok(Lockdown::Integrity),
            capabilities: Ok(Capabilities(0x1ff_ffff_ffff)),
            uid: Ok(0),
            unprivileged_bpf_disabled: Ok(2),
            bpf_jit: Ok(1),
            perf_event_paranoid: Ok(-1),
            memlock: Ok(ByteLimit::Bytes(8_388_608)),
            initial_pid_ns: Ok(true),
            initial_user_ns: Ok(false),
            in_container: true,
            pid_max: Ok(4_194_304),
            cpus_possible: Ok(8),
            cpus_online: Ok(5),
            tracefs: Ok(Some("/sys/kernel/tracing".into())),
            hidepid: Ok(true),
            bpf_call: bpf_call(),
            seccomp: Ok(true),
            cgroups: Ok(CgroupVersion::V2),
        };
        assert_eq!(HostFacts::read(&roots(&tree)), want);
    }

    #[test]
    fn a_host_that_tells_nothing_has_a_reason_for_each() {
        let tree = TempTree::new();
        let facts = HostFacts::read(&roots(&tree));
        assert_eq!(facts.btf, Ok(Btf::Absent));
        assert!(facts.architecture.is_ok());
        // Without /proc, uname(2) tells.
        assert_eq!(facts.release, HostFacts::read(&Roots::default()).release);
        let reason = facts.pid_max.unwrap_err().to_string();
        assert!(reason.starts_with("unknown: ") && reason.ends_with("pid_max does not exist"), "{reason}");
        assert!(facts.lockdown.unwrap_err().0.ends_with("lockdown does not exist (is securityfs mounted?)"));
        assert!(facts.capabilities.is_err() && facts.uid.is_err() && facts.memlock.is_err());
        assert!(facts.initial_pid_ns.is_err() && facts.cpus_possible.is_err() && facts.cgroups.is_err());
    }

    #[test]
    fn versions() {
        for (release, want) in [
            ("6.18.44-fc-v657", Some(KernelVersion(6, 18, 44))),
            ("5.10.0", Some(KernelVersion(5, 10, 0))),
            ("5.15.153.1-microsoft-standard-WSL2", Some(KernelVersion(5, 15, 153))),
            ("6.6-rc1", Some(KernelVersion(6, 6, 0))),
            ("4.18.0-553.el8_10.x86_64", Some(KernelVersion(4, 18, 0))),
            ("7", None),
            ("", None),
            ("x.y", None),
            ("99999999999999.1", None),
        ] {
            assert_eq!(version(release).ok(), want, "{release}");
        }
        assert!(KernelVersion(5, 9, 99) < KernelVersion(5, 10, 0));
    }

    #[test]
    fn lockdown_without_securityfs_is_known_only_when_it_is_complete() {
        let tree = TempTree::new();
        let nowhere = tree.path().join("nowhere");
        let cmdline = tree.path().join("cmdline");
        for (line, want) in [
            ("quiet lockdown=confidentiality ro", Some(Lockdown::Confidentiality)),
            ("quiet lockdown=integrity", None),
            ("quiet", None),
        ] {
            tree.file("cmdline", line.as_bytes());
            assert_eq!(lockdown(&nowhere, &cmdline).ok(), want, "{line}");
        }
        tree.file("lockdown", b"[none] integrity confidentiality\n");
        assert_eq!(lockdown(&tree.path().join("lockdown"), &cmdline), Ok(Lockdown::None));
        tree.file("lockdown", b"none integrity\n");
        assert!(lockdown(&tree.path().join("lockdown"), &cmdline).is_err());
    }

    #[test]
    fn odd_files_are_unknown_and_not_zero() {
        let tree = TempTree::new();
        for odd in ["", "x", "3-1", "0-", "0-4294967295", "1,,2"] {
            tree.file("odd", odd.as_bytes());
            assert!(cpus(&tree.path().join("odd")).is_err(), "{odd}");
        }
        tree.file("odd", b"not a number");
        assert!(number(&tree.path().join("odd")).unwrap_err().0.contains("not a number"));
        assert!(capabilities("CapEff:\tzz").is_err());
        assert!(uid("Uid:\t0").is_err());
        assert_eq!(memlock("Max locked memory unlimited unlimited bytes"), Ok(ByteLimit::Unlimited));
        assert_eq!(tracefs("none / ext4"), None);
        assert_eq!(cgroups("a b cgroup\nc d cgroup2"), Ok(CgroupVersion::Hybrid));
        assert_eq!(cgroups("a b cgroup\nc d cgroup"), Ok(CgroupVersion::V1));
    }

    #[test]
    fn processes_are_hidden_by_number_or_word_and_by_the_last_mount() {
        for (mounts, hidden) in [
            ("proc /proc proc rw,nosuid 0 0", Some(false)),
            ("proc /proc proc rw,hidepid=0 0 0", Some(false)),
            ("proc /proc proc rw,hidepid=off 0 0", Some(false)),
            ("proc /proc proc rw,hidepid=2,gid=4 0 0", Some(true)),
            ("proc /proc proc rw 0 0\nproc /proc proc rw,hidepid=ptraceable 0 0", Some(true)),
            ("proc /proc proc rw,hidepid=1 0 0\nproc /srv/proc proc rw 0 0", Some(true)),
            ("proc /srv/proc proc rw,hidepid=1 0 0", None),
            ("", None),
        ] {
            assert_eq!(hidepid(mounts).ok(), hidden, "{mounts}");
        }
    }

    #[test]
    fn this_host_answers() {
        let facts = HostFacts::read(&Roots::default());
        assert!(facts.version.unwrap() > KernelVersion(3, 0, 0));
        // SAFETY: no arguments, cannot fail.
        assert_eq!(facts.uid, Ok(unsafe { libc::geteuid() }));
        assert!(facts.cpus_online.unwrap() <= facts.cpus_possible.unwrap());
        assert!(facts.initial_pid_ns.is_ok() && facts.memlock.is_ok() && facts.pid_max.unwrap() >= 301);
        assert!(facts.bpf_call.is_ok() && facts.hidepid.is_ok() && facts.seccomp.is_ok());
    }
}
