//! Which sockets were open before the tracer came: a connection that is first seen in the middle of its life must not
//! be taken for a new one.

use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::capture::procfs::ProcFs;
use crate::capture::sockets::{Limits, Snapshot};
use crate::event::{Open, Role};

/// Inode numbers of the sockets that were open.
#[derive(Debug, Default)]
pub struct Before {
    inodes: FxHashSet<u64>,
    /// TCP connections among them.
    pub tcp: u64,
    /// Of them, those that spoke during the capture.
    pub spoke: u64,
}

impl Before {
    /// Asks the kernel. `pids` are those whose network namespaces matter.
    pub fn read(proc: &ProcFs, pids: &[u32]) -> Self {
        let snapshot =
            Snapshot::read(proc, pids, &Limits { time: Duration::from_millis(300), ..Limits::default() });
        let mut inodes = FxHashSet::default();
        let mut tcp = 0;
        for connection in snapshot.tcp.values().flat_map(|table| &table.connections) {
            tcp += 1;
            inodes.insert(connection.inode);
        }
        inodes.extend(snapshot.unix.sockets.iter().map(|socket| socket.inode));
        Self { inodes, tcp, spoke: 0 }
    }

    /// Corrects the role of a connection: one that nobody connected and that was not there before has been accepted.
    pub fn settle(&mut self, open: &mut Open) {
        if open.role != Role::Unseen {
            return;
        }
        if self.inodes.contains(&open.inode) {
            self.spoke += 1;
        } else {
            open.role = Role::Passive;
        }
    }
}
