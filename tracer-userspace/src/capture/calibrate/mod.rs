//! Finds the offsets that the probes read at without type information, and checks those that type information gave:
//! on sockets and tasks of our own, whose fields have known values.
//!
//! | file | job |
//! |---|---|
//! | `memory` | reads kernel memory, and says how far pointers may be followed |
//! | `tasks`, `sockets`, `stream` | make specimens, and say what must stand in their structures |
//! | `sample` | which offsets agree with all of that |
//! | `joint` | offsets that only lead to known values together |
//! | `registers` | the saved user registers on the kernel stack |
//!
//! Each round makes new specimens with other values. An offset counts as found when it is the only one left and new
//! specimens agree with it; it is never chosen from several.

mod joint;
mod memory;
mod registers;
mod sample;
mod sockets;
mod stream;
mod tasks;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::fs::MetadataExt;
use std::time::Instant;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tracer_common::offsets::{ABSENT, Offsets};

use self::joint::{
    FILES_FIELDS, INODE_FIELDS, Inodes, Joint, NET_FIELDS, SOCKET_FIELDS, file_of, net_fits, search_net,
    search_socket, socket_of,
};
use self::memory::{KernelMemory, Live};
use self::sample::Evidence;
pub use self::sample::Finding;
use self::sockets::{Lens, inode_number};
use self::tasks::{Known, Tasks};
use super::peek::{Peek, PeekError};

/// Where the saved registers lie above the base of the kernel stack: not an offset of a structure, but found likewise.
pub const PT_REGS: &str = "pt_regs";
/// Two are needed to find and find again; more help where chance left several candidates.
const MAX_ROUNDS: u8 = 5;

/// Why calibration could not even begin.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// Kernel memory cannot be read.
    #[error(transparent)]
    Peek(#[from] PeekError),
    /// The specimens could not be made.
    #[error("cannot look at sockets and threads of the tracer's own: {0}")]
    Specimens(#[from] io::Error),
}

/// What was found.
pub struct Calibration {
    evidence: Evidence,
    given: Offsets,
}

impl Calibration {
    /// What became of a field of [`Offsets`], or of [`PT_REGS`].
    pub fn finding(&self, field: &str) -> Finding {
        self.evidence.finding(field, given(&self.given, field))
    }
}

fn given(offsets: &Offsets, field: &str) -> Option<u32> {
    offsets.get(field).filter(|offset| *offset != ABSENT)
}

/// Checks the offsets that are given, and looks for those that are not (`ABSENT`).
pub fn calibrate(given: &Offsets) -> Result<Calibration, CalibrateError> {
    let begun = Instant::now();
    let peek = Peek::load()?;
    let memory = Live::new(&peek)?;
    let mut search = Search::new(*given);
    for number in 0..MAX_ROUNDS {
        std::thread::scope(|scope| search.round(scope, &peek, &memory, number))?;
        search.evidence.end_round();
        let settled = |field: &&str| search.settled(field);
        if number > 0 && Offsets::PATHS.iter().map(|(field, ..)| field).chain([&PT_REGS]).all(settled) {
            break;
        }
    }
    log::info!("offsets looked at on specimens in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    Ok(Calibration { evidence: search.evidence, given: *given })
}

/// Files of the tracer's own that are looked at in one round.
struct Files {
    sockets: [Socket; 3],
    copy: OwnedFd,
    plain: File,
}

impl Files {
    fn new() -> io::Result<Self> {
        let tcp = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        let unix = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let copy = OwnedFd::from(unix.try_clone()?);
        let udp = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        Ok(Self { sockets: [unix, tcp, udp], copy, plain: File::open("/proc/self/status")? })
    }

    fn known(&self) -> Known {
        let [unix, tcp, _] = &self.sockets;
        Known { same: (unix.as_raw_fd(), self.copy.as_raw_fd()), other: tcp.as_raw_fd() }
    }
}

struct Search {
    given: Offsets,
    evidence: Evidence,
    files: Joint<4>,
    socket: Joint<4>,
    inode: Joint<2>,
    net: Joint<2>,
}

impl Search {
    fn new(given: Offsets) -> Self {
        Self {
            given,
            evidence: Evidence::default(),
            files: Joint::new(FILES_FIELDS),
            socket: Joint::new(SOCKET_FIELDS),
            inode: Joint::new(INODE_FIELDS),
            net: Joint::new(NET_FIELDS),
        }
    }

    fn settled(&self, field: &str) -> bool {
        let confirmed =
            matches!(self.evidence.finding(field, given(&self.given, field)), Finding::Confirmed(_));
        confirmed || self.evidence.settled(field)
    }

    /// The tuple that was given, if it was given whole.
    fn given<const N: usize>(&self, fields: [&str; N]) -> Option<[u32; N]> {
        let offsets = fields.map(|field| given(&self.given, field).unwrap_or(ABSENT));
        offsets.iter().all(|offset| *offset != ABSENT).then_some(offsets)
    }

    /// One round of specimens.
    fn round<'s>(
        &mut self,
        scope: &'s std::thread::Scope<'s, '_>,
        peek: &'s Peek,
        memory: &dyn KernelMemory,
        number: u8,
    ) -> io::Result<()> {
        let files = Files::new()?;
        let tasks = tasks::round(scope, peek, memory, files.known(), &mut self.evidence)?;
        let Some(descriptors) = self.find_files(memory, &tasks) else {
            let rest = SOCKET_FIELDS.iter().chain(&INODE_FIELDS).chain(&NET_FIELDS);
            let rest: Vec<_> = rest.copied().collect();
            self.evidence.missing(&rest, "the task's descriptors were not found");
            self.evidence.missing(SOCK_FIELDS, "the task's descriptors were not found");
            return Ok(());
        };
        let file = |fd: RawFd| {
            file_of(memory, tasks.current.task, u32::try_from(fd).ok()?, &descriptors)
                .ok_or_else(|| io::Error::other("the file of a descriptor was not found"))
                .ok()
        };
        let Some(walk) = self.find_socket(memory, &files, &file) else {
            self.evidence.missing(SOCK_FIELDS, "the way from a file to its socket was not found");
            return Ok(());
        };
        let locate = |fd: RawFd| Some(socket_of(memory, file(fd)?, &walk)?.1);
        self.find_inode(memory, &files, &file, &walk);
        self.find_net(memory, &files, &locate);
        sockets::round(&Lens::new(memory, &locate), number, &mut self.evidence);
        Ok(())
    }

    fn find_files(&mut self, memory: &dyn KernelMemory, tasks: &Tasks) -> Option<[u32; 4]> {
        let given = self.given(FILES_FIELDS);
        for table in &tasks.tables {
            self.files.narrow(given, |offsets| table.fits(memory, offsets), || table.search(memory));
        }
        self.files.tell(&mut self.evidence);
        self.files.only()
    }

    fn find_socket(
        &mut self,
        memory: &dyn KernelMemory,
        files: &Files,
        file: &dyn Fn(RawFd) -> Option<u64>,
    ) -> Option<[u32; 4]> {
        let given = self.given(SOCKET_FIELDS);
        for socket in &files.sockets {
            let Some(file) = file(socket.as_raw_fd()) else { continue };
            self.socket.narrow(
                given,
                |offsets| socket_of(memory, file, offsets).is_some(),
                || search_socket(memory, file),
            );
        }
        self.socket.tell(&mut self.evidence);
        self.socket.only()
    }

    fn find_inode(
        &mut self,
        memory: &dyn KernelMemory,
        files: &Files,
        file: &dyn Fn(RawFd) -> Option<u64>,
        walk: &[u32; 4],
    ) {
        let given = self.given(INODE_FIELDS);
        for one in &files.sockets {
            let facts = || {
                let file_at = file(one.as_raw_fd())?;
                Some(Inodes {
                    file: file_at,
                    socket: socket_of(memory, file_at, walk)?.0,
                    number: inode_number(one.as_raw_fd()).ok()?,
                    plain: file(files.plain.as_raw_fd())?,
                    plain_number: files.plain.metadata().ok()?.st_ino(),
                })
            };
            let Some(facts) = facts() else {
                self.evidence.missing(&INODE_FIELDS, "a socket's inode number could not be read");
                continue;
            };
            self.inode.narrow(
                given,
                |offsets| facts.fits(memory, offsets),
                || {
                    let pairs = facts.search(memory);
                    if pairs.is_empty() { facts.sums(memory) } else { pairs }
                },
            );
        }
        self.inode.tell(&mut self.evidence);
    }

    fn find_net(&mut self, memory: &dyn KernelMemory, files: &Files, locate: &dyn Fn(RawFd) -> Option<u64>) {
        let given = self.given(NET_FIELDS);
        let own = std::fs::metadata("/proc/self/ns/net").map(|meta| meta.st_ino());
        // Another namespace only where one has to be found: making one is work for the whole host.
        let other = if given.is_none() { in_another_namespace().ok() } else { None };
        let own = own.ok().into_iter().flat_map(|number| files.sockets.iter().map(move |one| (one, number)));
        for (socket, number) in own.chain(other.iter().map(|(socket, number)| (socket, *number))) {
            let (Some(sk), Ok(number)) = (locate(socket.as_raw_fd()), u32::try_from(number)) else {
                continue;
            };
            self.net.narrow(
                given,
                |offsets| net_fits(memory, sk, number, offsets),
                || search_net(memory, sk, number),
            );
        }
        self.net.tell(&mut self.evidence);
        self.evidence.missing(&NET_FIELDS, "no socket's network namespace could be told");
    }
}

/// Fields whose specimens are sockets.
const SOCK_FIELDS: &[&str] = &[
    "sk_daddr",
    "sk_saddr",
    "sk_dport",
    "sk_num",
    "sk_family",
    "sk_state",
    "sk_daddr6",
    "sk_saddr6",
    "sk_type",
    "sk_protocol",
    "write_seq",
    "copied_seq",
    "rcv_nxt",
    "sk_shutdown",
    "unix_peer",
];

/// A socket of a network namespace that exists for it alone, and the namespace's number.
fn in_another_namespace() -> io::Result<(Socket, u64)> {
    let made = std::thread::Builder::new().name("calibrate-net".to_owned()).spawn(|| {
        // SAFETY: no pointers; only this thread, which ends, goes to the new namespace.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        Ok((socket, std::fs::metadata("/proc/thread-self/ns/net")?.st_ino()))
    })?;
    made.join().unwrap_or_else(|_| Err(io::Error::other("a thread ended early")))
}
