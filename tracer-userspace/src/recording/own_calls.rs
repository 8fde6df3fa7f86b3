//! The tracer's own calls, to a collector: they are not to be traced. What the tracer itself sends and receives the probes leave out;
//! the collector's end of the same connections is another process's, and is known by the address that it was called from.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Endpoints;

/// Addresses remembered. A connection lives for minutes, and is heard of within a second.
const REMEMBERED: usize = 64;

/// Where the tracer calls from. Clones are of one list: who connects adds to it before the connection is made.
#[derive(Clone, Debug, Default)]
pub struct OwnCalls {
    from: Arc<Mutex<VecDeque<SocketAddr>>>,
    /// The tracer's network namespace, by inode number: a loopback address elsewhere is another host.
    netns: u64,
}

impl OwnCalls {
    /// From this network namespace.
    pub fn new(netns: u64) -> Self {
        Self { from: Arc::default(), netns }
    }

    /// A connection is about to be made from here.
    pub fn add(&self, from: SocketAddr) {
        let mut all = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.pop_front();
        }
        all.push_back(SocketAddr::new(from.ip().to_canonical(), from.port()));
    }

    /// Whether this is the other end of such a connection.
    pub fn have_made(&self, endpoints: &Endpoints, netns: u32) -> bool {
        let Endpoints::Inet { remote, remote_port, .. } = endpoints else { return false };
        let remote: IpAddr = remote.to_canonical();
        if remote.is_loopback() && u64::from(netns) != self.netns {
            return false;
        }
        let all = self.from.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(&SocketAddr::new(remote, *remote_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: u32 = 4_026_531_840;

    fn from(remote: &str) -> Endpoints {
        let remote: SocketAddr = remote.parse().unwrap();
        Endpoints::Inet {
            local: remote.ip(),
            local_port: 4318,
            remote: remote.ip(),
            remote_port: remote.port(),
        }
    }

    #[test]
    fn the_other_end_of_an_own_call_is_known_by_where_it_came_from() {
        let calls = OwnCalls::new(HERE.into());
        let clone = calls.clone();
        assert!(!calls.have_made(&from("127.0.0.1:40000"), HERE));
        clone.add("127.0.0.1:40000".parse().unwrap());
        clone.add("10.0.0.1:40001".parse().unwrap());
        assert!(calls.have_made(&from("127.0.0.1:40000"), HERE));
        assert!(calls.have_made(&from("[::ffff:127.0.0.1]:40000"), HERE));
        assert!(!calls.have_made(&from("127.0.0.1:40000"), HERE + 1), "a container's own");
        assert!(!calls.have_made(&from("127.0.0.1:40001"), HERE));
        assert!(calls.have_made(&from("10.0.0.1:40001"), HERE + 1), "a collector in a container");
        assert!(!calls.have_made(&Endpoints::Unix { peer: 1 }, HERE));
    }

    #[test]
    fn only_the_last_are_remembered() {
        let calls = OwnCalls::new(HERE.into());
        for port in 1..=REMEMBERED as u16 + 1 {
            calls.add(SocketAddr::from(([127, 0, 0, 1], port)));
        }
        assert!(!calls.have_made(&from("127.0.0.1:1"), HERE) && calls.have_made(&from("127.0.0.1:2"), HERE));
    }
}
