//! Which process holds which socket: `/proc/PID/fd` (proc_pid_fd(5)).

use std::time::Instant;

use rustc_hash::FxHashMap;

use super::super::procfs::{ProcFs, reason_of};
use super::{Incomplete, Limits};

/// Who holds which socket.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    by_inode: FxHashMap<u64, Vec<u32>>,
    /// Processes whose descriptors could not be read, without those that ended meanwhile.
    pub unread: usize,
    /// Why the map is not all; what is in it is right.
    pub incomplete: Option<Incomplete>,
}

impl Owners {
    /// The processes that hold a socket, ascending. Several, when it was inherited: a prefork server's listener.
    pub fn of(&self, inode: u64) -> &[u32] {
        self.by_inode.get(&inode).map_or(&[], Vec::as_slice)
    }

    /// How many sockets have an owner.
    pub fn sockets(&self) -> usize {
        self.by_inode.len()
    }

    /// All pairs of socket and process, in no order.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.by_inode.iter().flat_map(|(inode, pids)| pids.iter().map(|pid| (*inode, *pid)))
    }
}

/// Looks through the descriptors of `pids`. Threads that have a table of their own (`unshare(CLONE_FILES)`) are not
/// looked at.
pub fn owners(proc: &ProcFs, pids: &[u32], limits: &Limits) -> Owners {
    let deadline = Instant::now() + limits.time;
    let mut owners = Owners::default();
    let mut looked = 0usize;
    for pid in pids {
        let entries = match std::fs::read_dir(proc.root().join(pid.to_string()).join("fd")) {
            Ok(entries) => entries,
            Err(error) => {
                let reason = reason_of(&error);
                if reason != crate::service::Reason::Gone {
                    owners.unread += 1;
                    owners.incomplete.get_or_insert(Incomplete::Unread(reason));
                }
                continue;
            }
        };
        if Instant::now() >= deadline {
            owners.incomplete = Some(Incomplete::Time);
            return owners;
        }
        for entry in entries.flatten() {
            looked += 1;
            if looked > limits.descriptors {
                owners.incomplete = Some(Incomplete::Limit);
                return owners;
            }
            // One process can hold a million descriptors.
            if looked.is_multiple_of(1024) && Instant::now() >= deadline {
                owners.incomplete = Some(Incomplete::Time);
                return owners;
            }
            if let Some(inode) =
                std::fs::read_link(entry.path()).ok().and_then(|link| socket_inode(link.as_os_str()))
            {
                let holders = owners.by_inode.entry(inode).or_default();
                // Processes come one after the other: a second descriptor for the same socket follows the first.
                if holders.last() != Some(pid) {
                    holders.push(*pid);
                }
            }
        }
    }
    for holders in owners.by_inode.values_mut() {
        holders.sort_unstable();
        holders.dedup();
    }
    owners
}

/// The number in `socket:[N]`.
fn socket_inode(link: &std::ffi::OsStr) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::procfs::tests::TempTree;
    use super::*;
    use crate::service::Reason;

    #[test]
    fn sockets_and_their_holders() {
        let tree = TempTree::new();
        for (path, to) in [
            ("10/fd/0", "/dev/null"),
            ("10/fd/3", "socket:[100]"),
            ("10/fd/4", "socket:[100]"),
            ("10/fd/5", "pipe:[7]"),
            ("11/fd/3", "socket:[100]"),
            ("11/fd/4", "socket:[101]"),
            ("11/fd/5", "socket:[x]"),
        ] {
            tree.link(path, to);
        }
        let proc = ProcFs::at(tree.path(), tree.path());
        let found = owners(&proc, &[11, 10, 12], &Limits::default());
        assert_eq!(found.of(100), [10, 11]);
        assert_eq!(found.of(101), [11]);
        assert_eq!(found.of(7), [0u32; 0]);
        assert_eq!((found.sockets(), found.unread, found.incomplete), (2, 0, None));
        let few = owners(&proc, &[10, 11], &Limits { descriptors: 2, ..Limits::default() });
        assert_eq!(few.incomplete, Some(Incomplete::Limit));
        let hurried = owners(&proc, &[10, 11], &Limits { time: Duration::ZERO, ..Limits::default() });
        assert_eq!(hurried.incomplete, Some(Incomplete::Time));
    }

    #[test]
    fn descriptors_that_cannot_be_read_are_counted() {
        let tree = TempTree::new();
        tree.file("10/fd", b"not a directory");
        let proc = ProcFs::at(tree.path(), tree.path());
        let found = owners(&proc, &[10], &Limits::default());
        assert_eq!(found.unread, 1);
        assert_eq!(found.incomplete, Some(Incomplete::Unread(Reason::Errno(libc::ENOTDIR))));
    }
}
