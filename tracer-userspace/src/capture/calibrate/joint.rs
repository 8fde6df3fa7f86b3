//! Offsets that can only be found together: each is known by what the pointers lead to.
//!
//! A search begins at one specimen and gives all tuples of offsets that fit it; the others then rule out tuples. Where
//! type information gave all offsets of a tuple, it is tried first, and the search is made only if it does not fit.

use std::collections::BTreeSet;

use super::memory::{KernelMemory, half, pointers, word, words};
use super::sample::Evidence;

/// Bytes of a structure that are looked at. The fields lie at the beginning of these structures in all versions.
const FILES: usize = 256;
const FDTABLE: usize = 64;
const FILE: usize = 512;
const SOCKET: usize = 256;
const SOCK: usize = 1024;
const INODE: usize = 1024;
const NET: usize = 4096;
/// `struct sock_common` is smaller, and stands at the beginning of every `struct sock`.
pub const SOCK_COMMON: usize = 256;

/// The fields of a tuple.
pub const FILES_FIELDS: [&str; 4] = ["task_files", "files_fdt", "fdt_fd", "fdt_max"];
/// As above.
pub const SOCKET_FIELDS: [&str; 4] = ["file_private", "socket_file", "socket_sk", "sk_socket"];
/// As above.
pub const INODE_FIELDS: [&str; 2] = ["socket_inode", "inode_ino"];
/// As above.
pub const NET_FIELDS: [&str; 2] = ["sk_net", "net_inum"];

/// A set of tuples that fit all specimens so far.
#[derive(Debug)]
pub struct Joint<const N: usize> {
    fields: [&'static str; N],
    left: Option<BTreeSet<[u32; N]>>,
}

impl<const N: usize> Joint<N> {
    /// Nothing known yet.
    pub fn new(fields: [&'static str; N]) -> Self {
        Self { fields, left: None }
    }

    /// The only tuple left.
    pub fn only(&self) -> Option<[u32; N]> {
        let left = self.left.as_ref()?;
        if left.len() == 1 { left.first().copied() } else { None }
    }

    /// One more specimen: `fits` tests a tuple, `search` finds all that fit.
    pub fn narrow(
        &mut self,
        given: Option<[u32; N]>,
        fits: impl Fn(&[u32; N]) -> bool,
        search: impl Fn() -> BTreeSet<[u32; N]>,
    ) {
        self.left = Some(match self.left.take() {
            Some(mut left) => {
                left.retain(|tuple| fits(tuple));
                left
            }
            None => match given.filter(|given| fits(given)) {
                Some(given) => BTreeSet::from([given]),
                None => search(),
            },
        });
    }

    /// Passes what is left on, field by field.
    pub fn tell(&self, evidence: &mut Evidence) {
        let Some(left) = &self.left else { return };
        for (index, field) in self.fields.iter().enumerate() {
            let fits = left.iter().filter_map(|tuple| tuple.get(index).copied()).collect();
            evidence.intersect(field, &fits);
        }
    }
}

/// A task's descriptor table, of which much is known.
#[derive(Clone, Debug)]
pub struct Table {
    /// The task's structure.
    pub task: Vec<u8>,
    /// Length of the table (`FDSize` in /proc/PID/status).
    pub len: u32,
    /// Two descriptors of one file.
    pub same: (u32, u32),
    /// A descriptor of another.
    pub other: u32,
    /// A number below the length that is not open.
    pub closed: u32,
}

impl Table {
    fn array_fits(&self, memory: &dyn KernelMemory, array: u64) -> bool {
        let slot = |fd: u32| word(&memory.read(array.checked_add(8 * u64::from(fd))?, 8)?, 0);
        let file = |fd: u32| slot(fd).filter(|file| memory.follows(*file));
        let (Some(one), Some(two), Some(other)) = (file(self.same.0), file(self.same.1), file(self.other))
        else {
            return false;
        };
        one == two && one != other && slot(self.closed) == Some(0)
    }

    /// Whether the offsets lead to this table.
    pub fn fits(&self, memory: &dyn KernelMemory, offsets: &[u32; 4]) -> bool {
        let lead = || {
            let [task_files, files_fdt, fdt_fd, fdt_max] = offsets.map(u64::from);
            let files = word(&self.task, task_files as usize).filter(|files| memory.follows(*files))?;
            let table = memory.pointer(files.checked_add(files_fdt)?)?;
            let len = half(&memory.read(table.checked_add(fdt_max)?, 4)?, 0)?;
            let array = memory.pointer(table.checked_add(fdt_fd)?)?;
            Some(len == self.len && self.array_fits(memory, array))
        };
        lead().unwrap_or(false)
    }

    /// All offsets that lead to this table.
    pub fn search(&self, memory: &dyn KernelMemory) -> BTreeSet<[u32; 4]> {
        let mut found = BTreeSet::new();
        for (task_files, files) in pointers(memory, &self.task) {
            let Some(files) = memory.read(files, FILES) else { continue };
            for (files_fdt, table) in pointers(memory, &files) {
                let Some(table) = memory.read(table, FDTABLE) else { continue };
                let lens: Vec<u32> = (0..table.len() as u32)
                    .step_by(4)
                    .filter(|at| half(&table, *at as usize) == Some(self.len))
                    .collect();
                if lens.is_empty() {
                    continue;
                }
                for (fdt_fd, array) in pointers(memory, &table) {
                    if self.array_fits(memory, array) {
                        found.extend(lens.iter().map(|fdt_max| [task_files, files_fdt, fdt_fd, *fdt_max]));
                    }
                }
            }
        }
        found
    }
}

/// The file at a descriptor of the task whose structure begins at `task`.
pub fn file_of(memory: &dyn KernelMemory, task: u64, fd: u32, offsets: &[u32; 4]) -> Option<u64> {
    let [task_files, files_fdt, fdt_fd, _] = offsets.map(u64::from);
    let files = memory.pointer(task.checked_add(task_files)?)?;
    let table = memory.pointer(files.checked_add(files_fdt)?)?;
    let array = memory.pointer(table.checked_add(fdt_fd)?)?;
    memory.pointer(array.checked_add(8 * u64::from(fd))?)
}

/// From a file to its `struct socket` and `struct sock`, if the offsets fit both ways.
pub fn socket_of(memory: &dyn KernelMemory, file: u64, offsets: &[u32; 4]) -> Option<(u64, u64)> {
    let [file_private, socket_file, socket_sk, sk_socket] = offsets.map(u64::from);
    let socket = memory.pointer(file.checked_add(file_private)?)?;
    let back = memory.pointer(socket.checked_add(socket_file)?)?;
    let sk = memory.pointer(socket.checked_add(socket_sk)?)?;
    let owner = memory.pointer(sk.checked_add(sk_socket)?)?;
    // A file leads to its socket and back like a sock; it is not one.
    (back == file && owner == socket && sk != file).then_some((socket, sk))
}

/// All offsets that lead from a socket's file to its `struct sock` and back.
pub fn search_socket(memory: &dyn KernelMemory, file: u64) -> BTreeSet<[u32; 4]> {
    let mut found = BTreeSet::new();
    let Some(bytes) = memory.read(file, FILE) else { return found };
    for (file_private, socket) in pointers(memory, &bytes) {
        let Some(bytes) = memory.read(socket, SOCKET) else { continue };
        let backs: Vec<u32> = words(&bytes).filter(|(_, value)| *value == file).map(|(at, _)| at).collect();
        if backs.is_empty() {
            continue;
        }
        for (socket_sk, sk) in pointers(memory, &bytes).filter(|(_, sk)| *sk != file) {
            let Some(bytes) = memory.read(sk, SOCK) else { continue };
            for (sk_socket, _) in words(&bytes).filter(|(_, value)| *value == socket) {
                found.extend(backs.iter().map(|back| [file_private, *back, socket_sk, sk_socket]));
            }
        }
    }
    found
}

/// A socket's file, and a file that is none, with their inode numbers (`st_ino`).
#[derive(Clone, Copy, Debug)]
pub struct Inodes {
    /// The socket's file.
    pub file: u64,
    /// Its `struct socket`.
    pub socket: u64,
    /// Its inode number.
    pub number: u64,
    /// The other file.
    pub plain: u64,
    /// Its inode number.
    pub plain_number: u64,
}

impl Inodes {
    fn number_at(memory: &dyn KernelMemory, address: Option<u64>) -> Option<u64> {
        word(&memory.read(address?, 8)?, 0)
    }

    /// Whether the number stands behind the socket at the sum of the two offsets.
    pub fn fits(&self, memory: &dyn KernelMemory, [socket_inode, inode_ino]: &[u32; 2]) -> bool {
        let at = self.socket.checked_add(u64::from(*socket_inode) + u64::from(*inode_ino));
        Self::number_at(memory, at) == Some(self.number)
    }

    /// All pairs that fit. Both files point to their inodes at the same offset (`file.f_inode`), and the socket's lies
    /// behind the `struct socket`.
    pub fn search(&self, memory: &dyn KernelMemory) -> BTreeSet<[u32; 2]> {
        let mut found = BTreeSet::new();
        let (Some(file), Some(plain)) = (memory.read(self.file, FILE), memory.read(self.plain, FILE)) else {
            return found;
        };
        for ((_, inode), (_, plain_inode)) in words(&file).zip(words(&plain)) {
            let behind = inode.wrapping_sub(self.socket);
            if behind >= INODE as u64 || !memory.follows(inode) || !memory.follows(plain_inode) {
                continue;
            }
            let Some(bytes) = memory.read(plain_inode, INODE) else { continue };
            for (inode_ino, _) in words(&bytes).filter(|(_, value)| *value == self.plain_number) {
                let pair = [behind as u32, inode_ino];
                if self.fits(memory, &pair) {
                    found.insert(pair);
                }
            }
        }
        found
    }

    /// All distances from the socket at which its inode number stands: enough for the probes, who use the sum only.
    pub fn sums(&self, memory: &dyn KernelMemory) -> BTreeSet<[u32; 2]> {
        let Some(bytes) = memory.read(self.socket, 2 * INODE) else { return BTreeSet::new() };
        words(&bytes).filter(|(_, value)| *value == self.number).map(|(at, _)| [at, 0]).collect()
    }
}

/// Whether the offsets lead from a socket to its network namespace's number.
pub fn net_fits(memory: &dyn KernelMemory, sk: u64, number: u32, [sk_net, net_inum]: &[u32; 2]) -> bool {
    let lead = || {
        let net = memory.pointer(sk.checked_add(u64::from(*sk_net))?)?;
        half(&memory.read(net.checked_add(u64::from(*net_inum))?, 4)?, 0)
    };
    lead() == Some(number)
}

/// All offsets that lead from a socket to its network namespace's number.
pub fn search_net(memory: &dyn KernelMemory, sk: u64, number: u32) -> BTreeSet<[u32; 2]> {
    let mut found = BTreeSet::new();
    let Some(bytes) = memory.read(sk, SOCK_COMMON) else { return found };
    for (sk_net, net) in pointers(memory, &bytes) {
        let Some(bytes) = memory.read(net, NET) else { continue };
        let numbers = (0..bytes.len()).step_by(4).filter(|at| half(&bytes, *at) == Some(number));
        found.extend(numbers.map(|at| [sk_net, at as u32]));
    }
    found
}

#[cfg(test)]
#[path = "joint_tests.rs"]
mod tests;
