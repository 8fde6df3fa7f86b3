//! The messages of [`super::wire`] that tell of processes: what became of them, and what was read of them.

use prost::{Enumeration, Message};

use super::wire::Stamp;

/// What happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum What {
    /// It began.
    Fork = 0,
    /// It changed its program.
    Exec = 1,
    /// It ended.
    Exit = 2,
}

/// A process began, changed its program, or ended.
#[derive(Clone, PartialEq, Message)]
pub struct Change {
    /// Which, and when.
    #[prost(message, required, tag = "1")]
    pub stamp: Stamp,
    /// What.
    #[prost(enumeration = "What", tag = "2")]
    pub what: i32,
    /// Who forked.
    #[prost(uint32, tag = "3")]
    pub parent: u32,
    /// Command name: at most 16 bytes, as the kernel has it.
    #[prost(bytes = "vec", tag = "4")]
    pub comm: Vec<u8>,
}

/// A process, as it was read.
#[derive(Clone, PartialEq, Message)]
pub struct Process {
    /// Reading began.
    #[prost(sint64, tag = "1")]
    pub begin: i64,
    /// Reading ended.
    #[prost(sint64, tag = "2")]
    pub end: i64,
    /// Its threads prove nothing.
    #[prost(bool, tag = "3")]
    pub moves_work: bool,
    /// Process id.
    #[prost(uint32, tag = "4")]
    pub pid: u32,
    /// The parent's.
    #[prost(uint32, tag = "5")]
    pub ppid: u32,
    /// Start, clock ticks since boot.
    #[prost(uint64, tag = "6")]
    pub start_ticks: u64,
    /// A kernel thread.
    #[prost(bool, tag = "7")]
    pub kernel_thread: bool,
    /// Program.
    #[prost(string, optional, tag = "8")]
    pub exe: Option<String>,
    /// Its file was deleted or replaced.
    #[prost(bool, tag = "9")]
    pub exe_deleted: bool,
    /// Command name.
    #[prost(string, tag = "10")]
    pub comm: String,
    /// Command line, masked.
    #[prost(string, repeated, tag = "11")]
    pub args: Vec<String>,
    /// OTEL_SERVICE_NAME.
    #[prost(string, optional, tag = "12")]
    pub otel_service_name: Option<String>,
    /// service.name in OTEL_RESOURCE_ATTRIBUTES.
    #[prost(string, optional, tag = "13")]
    pub otel_resource_service_name: Option<String>,
    /// HOSTNAME.
    #[prost(string, optional, tag = "14")]
    pub hostname: Option<String>,
    /// KUBERNETES_SERVICE_HOST is set.
    #[prost(bool, tag = "15")]
    pub kubernetes: bool,
    /// Control groups.
    #[prost(string, repeated, tag = "16")]
    pub cgroups: Vec<String>,
    /// Container: id.
    #[prost(string, optional, tag = "17")]
    pub container: Option<String>,
    /// Container: who made it (docker, podman, containerd, cri-o, lxc, nspawn, other).
    #[prost(string, tag = "18")]
    pub container_runtime: String,
    /// Container: name.
    #[prost(string, optional, tag = "19")]
    pub container_name: Option<String>,
    /// In a Kubernetes pod.
    #[prost(bool, tag = "20")]
    pub in_pod: bool,
    /// The pod's name.
    #[prost(string, optional, tag = "21")]
    pub pod_name: Option<String>,
    /// systemd unit.
    #[prost(string, optional, tag = "22")]
    pub unit: Option<String>,
    /// TCP ports it listens on.
    #[prost(uint32, repeated, tag = "23")]
    pub listening: Vec<u32>,
    /// Network namespace (inode number).
    #[prost(uint64, optional, tag = "24")]
    pub netns: Option<u64>,
    /// Language runtime: "go", "other", or empty where it could not be read.
    #[prost(string, tag = "25")]
    pub runtime: String,
    /// What could not be read, and why, in words.
    #[prost(string, repeated, tag = "26")]
    pub missing: Vec<String>,
}
