//! The sockets that were open before the tracer came: who listens where, and which connections stand.
//!
//! The tracer's own network namespace is asked through netlink (sock_diag(7)), which is exact and fast; where that is
//! refused, and for other namespaces, `/proc/PID/net/tcp` says the same in text. Nothing enters a namespace:
//! a thread that did would be in the wrong one for everything else it does.

#[cfg(any(test, feature = "test-support"))]
pub(super) mod fuzzed;
mod netlink;
mod owners;
mod tables;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::procfs::ProcFs;
use crate::service::Reason;

pub use owners::{Owners, owners};

/// Where a snapshot of sockets was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// NETLINK_SOCK_DIAG.
    SockDiag,
    /// `/proc/PID/net`.
    ProcNet,
}

/// Why a snapshot is not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// There is more than the tracer holds.
    Limit,
    /// It took longer than it may.
    Time,
    /// The tables changed while they were read, so that an entry may be missing (`NLM_F_DUMP_INTR`).
    Changed,
    /// Something could not be read.
    Unread(Reason),
}

/// State of a TCP socket that can still carry bytes (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcpState {
    /// Both ways open.
    Established,
    /// This end has closed its direction, and may still receive.
    FinWait,
    /// The other end has closed its direction; this end may still send.
    CloseWait,
}

/// A TCP socket that accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Address and port; IPv4 addresses mapped into IPv6 are given as IPv4.
    pub address: SocketAddr,
    /// The socket's inode, as in `/proc/PID/fd`.
    pub inode: u64,
    /// Who made it.
    pub uid: u32,
}

/// A TCP connection's end on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This end; IPv4 addresses mapped into IPv6 are given as IPv4.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// The socket's inode; 0 while nobody has accepted it.
    pub inode: u64,
    /// Who made it.
    pub uid: u32,
    /// How far it is closed.
    pub state: TcpState,
}

/// A unix stream socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// The socket's inode.
    pub inode: u64,
    /// The other end's inode; `None` for listeners, and where the source does not tell it.
    pub peer: Option<u64>,
    /// Its name, abstract ones with a leading `@`. Accepted sockets have their listener's.
    pub name: Option<String>,
    /// It accepts connections.
    pub listens: bool,
}

/// The TCP sockets of one network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpTable {
    /// Those that accept.
    pub listeners: Vec<Listener>,
    /// Those that carry bytes.
    pub connections: Vec<Connection>,
    /// Where it was read.
    pub source: Source,
    /// Why it is not all.
    pub incomplete: Option<Incomplete>,
}

/// The unix stream sockets of the tracer's network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixTable {
    /// Listening and connected ones.
    pub sockets: Vec<UnixSocket>,
    /// Where it was read.
    pub source: Source,
    /// Why it is not all.
    pub incomplete: Option<Incomplete>,
}

/// What a snapshot may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sockets of one namespace.
    pub sockets: usize,
    /// Descriptors looked at for the owners.
    pub descriptors: usize,
    /// Network namespaces besides the tracer's own.
    pub namespaces: usize,
    /// Time for each step: a table, the owners.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sockets: 1 << 18, descriptors: 1 << 20, namespaces: 256, time: Duration::from_millis(500) }
    }
}

/// All sockets of interest on this host at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Per network namespace (inode number); the tracer's own is among them.
    pub tcp: BTreeMap<u64, TcpTable>,
    /// Unix stream sockets.
    pub unix: UnixTable,
    /// Who holds which socket.
    pub owners: Owners,
    /// Namespaces that were left out because there were too many.
    pub namespaces_left_out: usize,
}

impl Snapshot {
    /// Reads the sockets that the processes `pids` may hold. Needs up to the limit's time for each namespace and for
    /// the owners; on ordinary hosts a few milliseconds.
    pub fn read(proc: &ProcFs, pids: &[u32], limits: &Limits) -> Snapshot {
        let own = proc.netns(std::process::id()).or_else(|_| own_netns()).unwrap_or(0);
        let mut tcp = BTreeMap::new();
        tcp.insert(own, tcp_own(proc, limits));
        let mut others: BTreeMap<u64, u32> = BTreeMap::new();
        for pid in pids {
            if let Ok(netns) = proc.netns(*pid) {
                others.entry(netns).or_insert(*pid);
            }
        }
        others.remove(&own);
        let namespaces_left_out = others.len().saturating_sub(limits.namespaces);
        for (netns, pid) in others.into_iter().take(limits.namespaces) {
            tcp.insert(netns, tcp_of(proc, pid, limits));
        }
        let owners = owners(proc, pids, limits);
        Snapshot { tcp, unix: unix(proc, limits), owners, namespaces_left_out }
    }

    /// The ports each process listens on, ascending.
    pub fn listening_ports(&self) -> FxHashMap<u32, Vec<u16>> {
        let mut ports: FxHashMap<u32, Vec<u16>> = FxHashMap::default();
        for listener in self.tcp.values().flat_map(|table| &table.listeners) {
            for pid in self.owners.of(listener.inode) {
                ports.entry(*pid).or_default().push(listener.address.port());
            }
        }
        for ports in ports.values_mut() {
            ports.sort_unstable();
            ports.dedup();
        }
        ports
    }
}

fn own_netns() -> Result<u64, Reason> {
    ProcFs::default().netns(std::process::id())
}

/// The tracer's own network namespace.
pub fn tcp_own(proc: &ProcFs, limits: &Limits) -> TcpTable {
    let deadline = Instant::now() + limits.time;
    netlink::tcp(limits.sockets, deadline).unwrap_or_else(|_| tcp_of(proc, std::process::id(), limits))
}

/// The network namespace of a process, through `/proc`.
pub fn tcp_of(proc: &ProcFs, pid: u32, limits: &Limits) -> TcpTable {
    tables::tcp(&proc.root().join(pid.to_string()).join("net"), limits.sockets, Instant::now() + limits.time)
}

/// The unix stream sockets of the tracer's network namespace.
pub fn unix(proc: &ProcFs, limits: &Limits) -> UnixTable {
    let deadline = Instant::now() + limits.time;
    netlink::unix(limits.sockets, deadline).unwrap_or_else(|_| {
        tables::unix(&proc.root().join(std::process::id().to_string()).join("net"), limits.sockets, deadline)
    })
}

impl TcpTable {
    fn empty(source: Source) -> Self {
        Self { listeners: Vec::new(), connections: Vec::new(), source, incomplete: None }
    }

    /// Adds a socket by the kernel's number of its state; those that carry nothing any more are left out. False when
    /// the limit is reached.
    fn add(&mut self, limit: usize, state: u8, socket: Connection) -> bool {
        if self.listeners.len() + self.connections.len() >= limit {
            self.incomplete = Some(Incomplete::Limit);
            return false;
        }
        let Connection { local, inode, uid, .. } = socket;
        let state = match state {
            tcp_state::ESTABLISHED => TcpState::Established,
            tcp_state::FIN_WAIT1 | tcp_state::FIN_WAIT2 => TcpState::FinWait,
            tcp_state::CLOSE_WAIT => TcpState::CloseWait,
            tcp_state::LISTEN => {
                self.listeners.push(Listener { address: local, inode, uid });
                return true;
            }
            _ => return true,
        };
        self.connections.push(Connection { state, ..socket });
        true
    }
}

/// Numbers of include/net/tcp_states.h.
mod tcp_state {
    pub const ESTABLISHED: u8 = 1;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LISTEN: u8 = 10;
}

/// The longest name of a unix socket that is kept.
const MAX_UNIX_NAME: usize = 128;

/// A unix socket's name as people write it: abstract ones begin with NUL, shown as `@`.
fn unix_name(name: &[u8]) -> Option<String> {
    let name = name.get(..MAX_UNIX_NAME).unwrap_or(name);
    let (mark, rest) = match name.split_first() {
        None => return None,
        Some((0, rest)) => ("@", rest),
        Some(_) => ("", name),
    };
    let rest = rest.strip_suffix(b"\0").unwrap_or(rest);
    Some(format!("{mark}{}", String::from_utf8_lossy(rest).replace('\0', "@")))
}

#[cfg(test)]
#[path = "sockets/tests.rs"]
mod tests;
