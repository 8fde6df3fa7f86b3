//! Which sockets were open before the tracer came: a connection that is first seen in the middle of its life must not
//! be taken for a new one.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::capture::procfs::ProcFs;
use crate::capture::sockets::{Limits, Snapshot};
use crate::event::{Endpoints, Open, Role};
use crate::service::{Missing, Part, ProcessFacts, Reason};

/// Inode numbers of the sockets that were open.
#[derive(Debug, Default)]
pub struct Before {
    inodes: FxHashSet<u64>,
    /// Network namespaces that were there, and whether all their connections are among them.
    namespaces: FxHashMap<u64, bool>,
    /// There may have been namespaces that could not be looked into.
    blind: bool,
    /// TCP connections among them.
    pub tcp: u64,
    /// Of them, those that spoke during the capture.
    pub spoke: u64,
}

impl Before {
    /// Asks the kernel. `processes` are those whose network namespaces matter.
    pub fn read(proc: &ProcFs, processes: &[&ProcessFacts]) -> Self {
        let pids: Vec<u32> = processes.iter().map(|facts| facts.pid).collect();
        let snapshot =
            Snapshot::read(proc, &pids, &Limits { time: Duration::from_millis(300), ..Limits::default() });
        Self::new(&snapshot, processes)
    }

    fn new(snapshot: &Snapshot, processes: &[&ProcessFacts]) -> Self {
        let hidden = |missing: &Missing| missing.part == Part::NetNs && missing.reason != Reason::Gone;
        let mut before = Self {
            // Without the ancestor of all, `/proc` hides other users' processes (hidepid).
            blind: snapshot.namespaces_left_out > 0
                || processes.iter().all(|facts| facts.pid != 1)
                || processes.iter().any(|facts| facts.missing.iter().any(hidden)),
            ..Self::default()
        };
        for (netns, table) in &snapshot.tcp {
            before.namespaces.insert(*netns, table.incomplete.is_none());
            before.tcp += table.connections.len() as u64;
            before.inodes.extend(table.connections.iter().map(|connection| connection.inode));
        }
        before.inodes.extend(snapshot.unix.sockets.iter().map(|socket| socket.inode));
        before
    }

    /// Corrects the role of a connection: one that nobody connected and that was not there before has been accepted.
    /// Where nobody could look, it stays one whose beginning was not seen.
    pub fn settle(&mut self, open: &mut Open) {
        if open.role != Role::Unseen {
            return;
        }
        if self.inodes.contains(&open.inode) {
            self.spoke += 1;
        } else if self.knows_all_of(open) {
            open.role = Role::Passive;
        }
    }

    /// A namespace that is none of those that were there has come since, and all in it is new.
    fn knows_all_of(&self, open: &Open) -> bool {
        match open.endpoints {
            Endpoints::Inet { .. } => {
                self.namespaces.get(&u64::from(open.netns)).copied().unwrap_or(!self.blind)
            }
            Endpoints::Unix { .. } | Endpoints::Datagram { .. } => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tracer_common::abi::ConnId;

    use super::*;
    use crate::capture::sockets::{Connection, Incomplete, Owners, Source, TcpState, TcpTable, UnixTable};
    use crate::event::Stamp;
    use crate::time::Nanos;

    const OWN: u32 = 1;
    const CUT: u32 = 2;
    const NEW: u32 = 3;

    fn table(inode: u64, incomplete: Option<Incomplete>) -> TcpTable {
        let address = (Ipv4Addr::LOCALHOST, 80).into();
        let connection =
            Connection { local: address, remote: address, inode, uid: 0, state: TcpState::Established };
        TcpTable { listeners: Vec::new(), connections: vec![connection], source: Source::ProcNet, incomplete }
    }

    fn before(processes: &[ProcessFacts]) -> Before {
        let init = ProcessFacts { pid: 1, ..ProcessFacts::default() };
        let processes: Vec<&ProcessFacts> = std::iter::once(&init).chain(processes).collect();
        let snapshot = Snapshot {
            tcp: [(OWN.into(), table(10, None)), (CUT.into(), table(20, Some(Incomplete::Time)))].into(),
            unix: UnixTable { sockets: Vec::new(), source: Source::SockDiag, incomplete: None },
            owners: Owners::default(),
            namespaces_left_out: 0,
        };
        Before::new(&snapshot, &processes)
    }

    fn role(before: &mut Before, netns: u32, inode: u64) -> Role {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut open = Open {
            conn: ConnId { sk: inode, born: 1 },
            stamp: Stamp { at: Nanos(1), tgid: 5, tid: 5, ..Stamp::default() },
            endpoints: Endpoints::Inet { local: ip, local_port: 80, remote: ip, remote_port: 40_000 },
            netns,
            inode,
            role: Role::Unseen,
            birth: None,
            peek: [0; _],
            peek_len: 0,
        };
        before.settle(&mut open);
        open.role
    }

    #[test]
    fn what_was_not_there_before_has_been_accepted() {
        let mut before = before(&[]);
        assert_eq!(role(&mut before, OWN, 10), Role::Unseen);
        assert_eq!(role(&mut before, OWN, 11), Role::Passive);
        assert_eq!(role(&mut before, NEW, 30), Role::Passive);
        assert_eq!((before.tcp, before.spoke), (2, 1));
    }

    /// A capture without CAP_SYS_PTRACE took connections that had stood for hours, in containers, for new ones.
    #[test]
    fn where_nobody_could_look_nothing_is_taken_for_new() {
        let missing = |part, reason| ProcessFacts {
            pid: 7,
            missing: vec![Missing { part, reason }],
            ..ProcessFacts::default()
        };
        let mut blind = before(&[missing(Part::NetNs, Reason::Denied)]);
        assert_eq!(role(&mut blind, OWN, 11), Role::Passive);
        assert_eq!(role(&mut blind, NEW, 30), Role::Unseen);
        assert_eq!(role(&mut blind, CUT, 21), Role::Unseen);
        let mut ended = before(&[missing(Part::NetNs, Reason::Gone), missing(Part::Environ, Reason::Denied)]);
        assert_eq!(role(&mut ended, NEW, 30), Role::Passive);
        assert_eq!(role(&mut ended, CUT, 21), Role::Unseen);
    }
}
