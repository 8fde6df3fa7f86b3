//! Reads what `/proc` tells of processes.
//!
//! Processes end while they are being read, belong to other users, and write what they like into their own
//! descriptions. So nothing here fails: what could not be read is absent from the facts, with a reason beside it.
//! Everything is read up to a limit.

mod container_name;
#[cfg(any(test, feature = "test-support"))]
pub(super) mod fuzzed;
mod go_binary;
mod stat;

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashMap;

use crate::service::{Missing, Part, ProcessFacts, Reason, Runtime, cgroup, environ};

use container_name::Deployed;

/// Bytes read of an environment. The variables that count may stand anywhere in it.
const MAX_ENVIRON: u64 = 256 << 10;
/// Bytes read of a command line, and what is kept of it: Java's class paths alone reach 100 KiB.
const MAX_CMDLINE: u64 = 256 << 10;
const MAX_ARGS: usize = 512;
const MAX_ARG_BYTES: usize = 512;
const MAX_ARGS_BYTES: usize = 16 << 10;
/// Bytes read of the other files.
const MAX_SMALL: u64 = 64 << 10;
/// Programs and containers that are remembered, so that a thousand workers cost one look each.
const MAX_REMEMBERED: usize = 4096;
/// How often a process is read again that changed while it was being read.
const ATTEMPTS: usize = 3;

/// The processes of a host, through its `/proc`.
#[derive(Debug)]
pub struct ProcFs {
    root: PathBuf,
    host_root: PathBuf,
    hostname: Option<String>,
    runtimes: FxHashMap<FileId, Result<Runtime, Reason>>,
    containers: FxHashMap<String, Deployed>,
}

/// A file that did not change since: device, inode, size, modification time.
type FileId = (u64, u64, u64, i64);

/// The processes that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pids {
    /// Process ids, ascending.
    pub pids: Vec<u32>,
    /// Why the list is not complete, if it is not.
    pub incomplete: Option<Reason>,
}

impl Default for ProcFs {
    fn default() -> Self {
        Self::at("/proc", "/")
    }
}

impl ProcFs {
    /// Reads `root` as `/proc`, and the files of container runtimes below `host_root`.
    pub fn at(root: impl Into<PathBuf>, host_root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let hostname = read_bounded(&root.join("sys/kernel/hostname"), 256)
            .ok()
            .map(|(bytes, _)| String::from_utf8_lossy(&bytes).trim().to_owned());
        Self {
            root,
            host_root: host_root.into(),
            hostname,
            runtimes: FxHashMap::default(),
            containers: FxHashMap::default(),
        }
    }

    /// Where it reads.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All processes.
    pub fn pids(&self) -> Pids {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) => return Pids { pids: Vec::new(), incomplete: Some(reason_of(&error)) },
        };
        let mut found = Pids::default();
        for entry in entries {
            match entry {
                Ok(entry) => {
                    found.pids.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()))
                }
                Err(error) => found.incomplete = Some(reason_of(&error)),
            }
        }
        found.pids.sort_unstable();
        found
    }

    /// All processes with their parents, as `target::with_children` wants them. Those that ended meanwhile are left
    /// out.
    pub fn parents(&self) -> Vec<(u32, u32)> {
        let pids = self.pids().pids;
        pids.into_iter().filter_map(|pid| Some((pid, self.stat(pid).ok()?.ppid))).collect()
    }

    /// The process that an id belongs to. Ids of threads are found in `/proc` too, though it does not list them.
    pub fn process_of(&self, id: u32) -> Result<u32, Reason> {
        let (status, _) = self.read(id, "status", MAX_SMALL)?;
        let status = String::from_utf8_lossy(&status);
        let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        tgid.and_then(|tgid| tgid.trim().parse().ok()).ok_or(Reason::Malformed)
    }

    /// Reads one process.
    pub fn facts(&mut self, pid: u32) -> ProcessFacts {
        let mut facts = self.read_once(pid);
        for _ in 1..ATTEMPTS {
            // A new program, or another process under the same id, between the first file and the last.
            let same_program = self.exe(pid).map(|(exe, _)| Some(exe)).unwrap_or(None) == facts.exe;
            let unchanged = match self.stat(pid) {
                Ok(stat) => stat.start_ticks == facts.start_ticks && (same_program || facts.kernel_thread),
                Err(_) => true,
            };
            if unchanged {
                break;
            }
            facts = self.read_once(pid);
        }
        facts
    }

    fn read_once(&mut self, pid: u32) -> ProcessFacts {
        let mut facts = ProcessFacts { pid, ..ProcessFacts::default() };
        let mut missing = Vec::new();
        let mut miss = |part: Part, reason: Reason| missing.push(Missing { part, reason });
        match self.stat(pid) {
            Ok(stat) => {
                facts.ppid = stat.ppid;
                facts.start_ticks = stat.start_ticks;
                facts.kernel_thread = stat.kernel_thread;
                facts.comm = stat.comm;
            }
            Err(reason) => miss(Part::Stat, reason),
        }
        // Kernel threads have none of these, which is no gap.
        if !facts.kernel_thread {
            match self.exe(pid) {
                Ok((exe, deleted)) => {
                    facts.exe = Some(exe);
                    facts.exe_deleted = deleted;
                }
                Err(reason) => miss(Part::Exe, reason),
            }
            match self.read(pid, "cmdline", MAX_CMDLINE) {
                Ok((bytes, cut)) => {
                    let (args, shortened) = split_args(&bytes);
                    facts.args = args;
                    if cut || shortened {
                        miss(Part::Cmdline, Reason::Cut);
                    }
                }
                Err(reason) => miss(Part::Cmdline, reason),
            }
            match self.read(pid, "environ", MAX_ENVIRON) {
                Ok((bytes, cut)) => {
                    facts.env = environ::parse(&bytes);
                    if cut {
                        miss(Part::Environ, Reason::Cut);
                    }
                }
                Err(reason) => miss(Part::Environ, reason),
            }
            match self.runtime(pid) {
                Ok(runtime) => facts.runtime = Some(runtime),
                Err(reason) => miss(Part::Runtime, reason),
            }
        }
        match self.read(pid, "cgroup", MAX_SMALL) {
            Ok((bytes, _)) => {
                let groups = cgroup::parse(&String::from_utf8_lossy(&bytes));
                facts.cgroups = groups.paths;
                facts.container = groups.container;
                facts.unit = groups.unit;
                facts.in_pod = groups.in_pod;
            }
            Err(reason) => miss(Part::Cgroup, reason),
        }
        match self.netns(pid) {
            Ok(inode) => facts.netns = Some(inode),
            Err(reason) => miss(Part::NetNs, reason),
        }
        facts.missing = missing;
        self.name_deployment(&mut facts);
        facts
    }

    /// Inode number of a process's network namespace.
    pub fn netns(&self, pid: u32) -> Result<u64, Reason> {
        let link = std::fs::read_link(self.path(pid, "ns/net")).map_err(|error| reason_of(&error))?;
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).ok_or(Reason::Malformed)
    }

    fn name_deployment(&mut self, facts: &mut ProcessFacts) {
        facts.in_pod |= facts.env.kubernetes;
        let Some(container) = &mut facts.container else {
            // Without a container the variable may be inherited from anywhere.
            facts.in_pod = false;
            return;
        };
        if !container.runtime.is_whole_system() {
            let known = self.containers.get(&container.id).cloned();
            let deployed = known.unwrap_or_else(|| {
                let found = container_name::find(&self.host_root, &container.id);
                if self.containers.len() < MAX_REMEMBERED {
                    self.containers.insert(container.id.clone(), found.clone());
                }
                found
            });
            container.name = deployed.container;
            facts.pod_name = deployed.pod;
        }
        // In a pod HOSTNAME is the pod's name, unless the pod uses the host's network and name.
        if facts.in_pod && facts.pod_name.is_none() {
            facts.pod_name = facts.env.hostname.clone().filter(|name| self.hostname.as_ref() != Some(name));
        }
    }

    fn stat(&self, pid: u32) -> Result<stat::Stat, Reason> {
        let (bytes, _) = self.read(pid, "stat", MAX_SMALL)?;
        stat::parse(&bytes).ok_or(Reason::Malformed)
    }

    /// The program's path, and whether its file was deleted.
    fn exe(&self, pid: u32) -> Result<(String, bool), Reason> {
        let path = std::fs::read_link(self.path(pid, "exe")).map_err(|error| reason_of(&error))?;
        let path = path.to_string_lossy();
        Ok(match path.strip_suffix(" (deleted)") {
            Some(path) => (path.to_owned(), true),
            None => (path.into_owned(), false),
        })
    }

    /// The runtime of a process's program; read once per file. The link leads to the file itself, in whatever mount
    /// namespace it lies, and when it was deleted.
    fn runtime(&mut self, pid: u32) -> Result<Runtime, Reason> {
        let path = self.path(pid, "exe");
        let meta = std::fs::metadata(&path).map_err(|error| reason_of(&error))?;
        // Opening anything else (a pipe in a test tree) might block.
        if !meta.is_file() {
            return Err(Reason::Malformed);
        }
        let id = (meta.dev(), meta.ino(), meta.size(), meta.mtime());
        if let Some(known) = self.runtimes.get(&id) {
            return *known;
        }
        let found = File::open(&path)
            .map_err(|error| reason_of(&error))
            .and_then(|file| go_binary::runtime_of(&file).map_err(|error| reason_of(&error)));
        let lasting = !matches!(found, Err(Reason::Gone));
        if lasting && self.runtimes.len() < MAX_REMEMBERED {
            self.runtimes.insert(id, found);
        }
        found
    }

    fn path(&self, pid: u32, name: &str) -> PathBuf {
        self.root.join(pid.to_string()).join(name)
    }

    fn read(&self, pid: u32, name: &str, limit: u64) -> Result<(Vec<u8>, bool), Reason> {
        read_bounded(&self.path(pid, name), limit)
    }
}

/// Why an access failed, in the terms of [`Reason`].
pub(super) fn reason_of(error: &std::io::Error) -> Reason {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => Reason::Gone,
        Some(libc::EACCES | libc::EPERM) => Reason::Denied,
        Some(errno) => Reason::Errno(errno),
        None => Reason::Malformed,
    }
}

/// The first `limit` bytes of a file, and whether there were more.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<(Vec<u8>, bool), Reason> {
    let file = File::open(path).map_err(|error| reason_of(&error))?;
    let mut bytes = Vec::new();
    let got = file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| reason_of(&error))?;
    let cut = got as u64 > limit;
    bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok((bytes, cut))
}

/// The arguments in `/proc/PID/cmdline`, each ended by NUL, and whether some are missing. Long ones are cut: no name
/// is made from them.
fn split_args(bytes: &[u8]) -> (Vec<String>, bool) {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return (Vec::new(), false);
    }
    let mut args = Vec::new();
    let mut total = 0;
    for arg in bytes.split(|byte| *byte == 0) {
        let arg = String::from_utf8_lossy(arg.get(..MAX_ARG_BYTES).unwrap_or(arg)).into_owned();
        total += arg.len();
        if args.len() == MAX_ARGS || total > MAX_ARGS_BYTES {
            return (args, true);
        }
        args.push(arg);
    }
    (args, false)
}

#[cfg(test)]
#[path = "procfs/tests.rs"]
pub(crate) mod tests;
