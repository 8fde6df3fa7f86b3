//! The tracer's own socket for metrics: who calls it is not to be traced. What the tracer itself sends and receives the probes
//! leave out; the caller's end of the same connections is another process's, and is known by the address that it calls.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::event::Endpoints;

/// Where the tracer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnEndpoint {
    /// The address, all zeros for every address of this host, and the port.
    pub address: SocketAddr,
    /// Its network namespace, by inode number: a loopback address elsewhere is another host.
    pub netns: u64,
}

impl OwnEndpoint {
    /// Whether a connection leads here.
    pub fn is_called_by(&self, endpoints: &Endpoints, netns: u32) -> bool {
        self.is_called(endpoints, netns, is_of_this_host)
    }

    fn is_called(&self, endpoints: &Endpoints, netns: u32, is_ours: impl Fn(IpAddr) -> bool) -> bool {
        let Endpoints::Inet { remote, remote_port, .. } = endpoints else { return false };
        let (called, own) = (remote.to_canonical(), self.address.ip().to_canonical());
        if *remote_port != self.address.port() || called.is_loopback() && u64::from(netns) != self.netns {
            return false;
        }
        called == own || own.is_unspecified() && (called.is_loopback() || is_ours(called))
    }
}

/// Only to an address of the host's own a socket can be bound.
fn is_of_this_host(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: u32 = 4_026_531_840;

    fn own(address: &str) -> OwnEndpoint {
        OwnEndpoint { address: address.parse().unwrap(), netns: u64::from(HERE) }
    }

    fn to(remote: &str) -> Endpoints {
        let remote: SocketAddr = remote.parse().unwrap();
        Endpoints::Inet {
            local: remote.ip(),
            local_port: 40_000,
            remote: remote.ip(),
            remote_port: remote.port(),
        }
    }

    #[test]
    fn who_calls_the_loopback_address_calls_us_unless_it_is_another_hosts() {
        let own = own("127.0.0.1:9464");
        assert!(own.is_called_by(&to("127.0.0.1:9464"), HERE));
        assert!(own.is_called_by(&to("[::ffff:127.0.0.1]:9464"), HERE));
        assert!(!own.is_called_by(&to("127.0.0.1:9464"), HERE + 1), "a container's own");
        assert!(!own.is_called_by(&to("127.0.0.1:9465"), HERE));
        assert!(!own.is_called_by(&to("10.0.0.1:9464"), HERE), "another exporter elsewhere");
        assert!(!own.is_called_by(&Endpoints::Unix { peer: 1 }, HERE));
    }

    #[test]
    fn every_address_of_the_host_is_ours_where_we_listen_on_all() {
        let ours = |address: IpAddr| address == IpAddr::from([10, 0, 0, 1]);
        for any in ["0.0.0.0:9464", "[::]:9464"] {
            let own = own(any);
            assert!(own.is_called(&to("127.0.0.1:9464"), HERE, ours));
            assert!(own.is_called(&to("10.0.0.1:9464"), HERE + 1, ours), "from a container");
            assert!(!own.is_called(&to("10.0.0.2:9464"), HERE, ours));
            assert!(!own.is_called(&to("127.0.0.1:9464"), HERE + 1, ours));
        }
        assert!(own("10.0.0.1:9464").is_called(&to("10.0.0.1:9464"), HERE + 1, |_| panic!("not asked")));
    }

    #[test]
    fn an_address_of_this_host_is_known() {
        assert!(is_of_this_host(IpAddr::from([127, 0, 0, 1])));
        // TEST-NET-1 (RFC 5737): nobody's.
        assert!(!is_of_this_host(IpAddr::from([192, 0, 2, 1])));
    }
}
