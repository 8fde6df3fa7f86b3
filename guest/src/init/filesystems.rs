//! Mounts: what process 1 needs, the root that jobs see, and what that root is expected to have.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use tracer_guest::plan::{BUSYBOX, Cgroup, JOB, Root};

use crate::{devices, report};

/// What process 1 itself needs.
pub fn basic() -> Result<()> {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys")] {
        at(kind, Path::new(place), "")?;
    }
    // Some kernels mount it by themselves.
    if !Path::new("/dev/kmsg").exists() {
        at("devtmpfs", Path::new("/dev"), "")?;
    }
    Ok(())
}

/// Makes the root of the jobs and returns where it is.
pub fn root(root: Root) -> Result<PathBuf> {
    match root {
        Root::Busybox => busybox(),
        Root::Image => image(),
    }
}

/// The initramfs itself, with busybox under the names of its commands.
fn busybox() -> Result<PathBuf> {
    let installed = Command::new(BUSYBOX).args(["--install", "-s", "/bin"]).status();
    let installed = installed.context("cannot start busybox")?;
    if !installed.success() {
        bail!("busybox could not install its commands: {installed}");
    }
    Ok(PathBuf::from("/"))
}

/// The image, read-only, and a tmpfs over it that takes all changes.
fn image() -> Result<PathBuf> {
    let disk = devices::root_disk()?;
    let lower = Path::new("/lower");
    make(lower)?;
    mount(Some(&disk), lower, Some("ext4"), MsFlags::MS_RDONLY, None::<&str>)
        .with_context(|| format!("cannot mount {}", disk.display()))?;
    let over = Path::new("/over");
    at("tmpfs", over, "mode=755")?;
    make(&over.join("upper"))?;
    make(&over.join("work"))?;
    let root = PathBuf::from("/root-of-jobs");
    at("overlay", &root, "lowerdir=/lower,upperdir=/over/upper,workdir=/over/work")?;
    for (kind, place) in [("proc", "proc"), ("sysfs", "sys"), ("devtmpfs", "dev")] {
        at(kind, &root.join(place), "")?;
    }
    let job = root.join(JOB.trim_start_matches('/'));
    make(&job)?;
    mount(Some(JOB), &job, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context("cannot show the jobs' files in their root")?;
    Ok(root)
}

/// What a machine has beside its disk.
pub fn inside(root: &Path, cgroup: Cgroup) -> Result<()> {
    at("tmpfs", &root.join("run"), "mode=755")?;
    at("tmpfs", &root.join("tmp"), "mode=1777")?;
    at("devpts", &root.join("dev/pts"), "")?;
    at("tmpfs", &root.join("dev/shm"), "mode=1777")?;
    make(&root.join("root"))?;
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = root.join("dev").join(name);
        if !link.exists() {
            symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
    }
    // A root shell's scratch: everyone may write, as the services of the tests run as several users.
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).context("cannot open /tmp")?;
    for (kind, place) in [
        ("tracefs", "sys/kernel/tracing"),
        ("debugfs", "sys/kernel/debug"),
        ("bpf", "sys/fs/bpf"),
        ("securityfs", "sys/kernel/security"),
    ] {
        let place = root.join(place);
        // A kernel without it, or one that is locked down: production looks the same then.
        if place.exists()
            && let Err(error) = at(kind, &place, "")
        {
            report::console(&format!("guest-init: {error:#}"));
        }
    }
    control_groups(&root.join("sys/fs/cgroup"), cgroup)
}

fn control_groups(place: &Path, version: Cgroup) -> Result<()> {
    match version {
        Cgroup::V2 => at("cgroup2", place, ""),
        Cgroup::V1 => {
            at("tmpfs", place, "mode=755")?;
            for (directory, options) in [
                ("cpu,cpuacct", "cpu,cpuacct"),
                ("memory", "memory"),
                ("pids", "pids"),
                ("systemd", "none,name=systemd"),
            ] {
                let hierarchy = place.join(directory);
                // Kernels of today may be built without a controller's version 1; one hierarchy must be there.
                if let Err(error) = at("cgroup", &hierarchy, options) {
                    if directory == "systemd" {
                        return Err(error);
                    }
                    report::console(&format!("guest-init: {error:#}"));
                }
            }
            Ok(())
        }
    }
}

/// Mounts a file system that is on no disk, making its directory.
fn at(kind: &str, place: &Path, options: &str) -> Result<()> {
    // In a read-only /sys it is there already, or cannot be made.
    let made = make(place);
    let source = if kind == "cgroup" || kind == "cgroup2" { "cgroup" } else { kind };
    mount(Some(source), place, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} at {} ({made:?})", place.display()))
}

fn make(place: &Path) -> Result<()> {
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))
}
