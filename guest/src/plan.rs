//! What a guest is to do. Written by xtask as JSON to [`PATH`] in the initramfs, read by `guest-init`.

use serde::{Deserialize, Serialize};

/// Where the plan lies in the initramfs.
pub const PATH: &str = "/plan.json";
/// Where the kernel modules lie in the initramfs.
pub const MODULES: &str = "/modules";
/// Where the files of the jobs lie: in the initramfs, and in the root that the jobs see.
pub const JOB: &str = "/job";
/// The name of the virtio-serial port that the reports go to.
pub const PORT: &str = "report";
/// The serial number of the disk with the root image.
pub const DISK: &str = "root";
/// Where a static busybox lies in the initramfs.
pub const BUSYBOX: &str = "/bin/busybox";

/// A run of one guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// File names below [`MODULES`], dependencies first.
    pub modules: Vec<String>,
    /// Where the jobs run.
    pub root: Root,
    /// What is mounted at `/sys/fs/cgroup`.
    pub cgroup: Cgroup,
    /// One after the other.
    pub jobs: Vec<Job>,
}

/// The file system that jobs see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// The root image, read-only, under a tmpfs that takes what is written.
    Image,
    /// The initramfs itself: a static busybox and nothing else, no C library, no loader.
    Busybox,
}

/// The version of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cgroup {
    /// One hierarchy.
    V2,
    /// One hierarchy per controller, as systemd mounted them before 2021; cpu, memory, pids and `name=systemd` here.
    V1,
}

/// A command, run to its end; whatever it leaves running is ended with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Program and arguments. The program is looked up in the guest's `PATH`.
    pub command: Vec<String>,
    /// Added to the environment.
    pub environment: Vec<(String, String)>,
    /// Ended with exit code [`TIMED_OUT`] after so many seconds.
    pub limit_s: u64,
}

/// Exit code of a job that was ended because its time was up, as timeout(1) has it.
pub const TIMED_OUT: i32 = 124;
