//! What the engine learns of services, and what it is told that was learned elsewhere
//! ([`crate::causality::joint::learned`]).

use std::sync::Arc;

use super::engine::Engine;
use super::record::{Peer, Record};
use crate::causality::CallKind;
use crate::causality::joint::Operation;
use crate::causality::joint::learned::Learned;
use crate::exchange::Side;

impl Engine {
    /// The same, helped by what was learned elsewhere.
    #[must_use]
    pub fn taught(mut self, learned: Arc<Learned>) -> Engine {
        self.joint.teach(learned);
        self
    }

    /// What was learned until now. `last`: nothing more will come.
    pub fn learned(&mut self, last: bool) -> Learned {
        self.joint.learned(last)
    }
}

impl Record {
    /// What it is called in every process and every run: what [`CallKind`] tells kinds apart by, in words.
    pub(super) fn operation(&self) -> Option<Operation> {
        let to = match self.peer {
            _ if self.side == Side::Server => Box::default(),
            Peer::Inet(ip, port) | Peer::Datagram(Some((ip, port))) => {
                std::net::SocketAddr::new(ip, port).to_string().into()
            }
            Peer::Unix => "unix".into(),
            Peer::Unknown | Peer::Datagram(None) => Box::default(),
        };
        Some(Operation { words: CallKind::words(&self.head)?, to })
    }
}
