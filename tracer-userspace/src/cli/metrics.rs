//! `--metrics`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Result, anyhow};

use crate::capture::procfs::ProcFs;
use crate::recording::metrics_server::Bound;
use crate::recording::own_endpoint::OwnEndpoint;

/// Where metrics are served, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsArg {
    /// In OpenMetrics, to whoever asks.
    Prometheus(SocketAddr),
}

impl MetricsArg {
    /// `prometheus:9464`, `prometheus:10.0.0.1:9464`, `prometheus:[::]:9464`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write prometheus:PORT (this host only) or prometheus:ADDRESS:PORT, as in prometheus:9464";
        let place = text.strip_prefix("prometheus:").ok_or(form)?;
        let address = match place.parse::<u16>() {
            Ok(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            Err(_) => place.parse().map_err(|_| form)?,
        };
        Ok(Self::Prometheus(address))
    }

    /// Takes the port.
    pub fn bind(self) -> Result<Bound> {
        let Self::Prometheus(address) = self;
        Bound::new(address).map_err(|error| {
            let port = address.port();
            match error.kind() {
                ErrorKind::AddrInUse => anyhow!(
                    "cannot serve metrics on {address}: another program listens there; choose another port (--metrics \
                     prometheus:PORT), or find that program by `ss -ltnp 'sport = :{port}'`"
                ),
                ErrorKind::AddrNotAvailable => anyhow!(
                    "cannot serve metrics on {address}: this host has no such address; `ip address` lists those it has"
                ),
                _ => anyhow!(
                    "cannot serve metrics on {address}: {error}; choose another address or port (--metrics \
                     prometheus:ADDRESS:PORT)"
                ),
            }
        })
    }
}

/// How whoever calls it is known.
pub fn endpoint(bound: &Bound) -> OwnEndpoint {
    let netns = ProcFs::default().netns(std::process::id()).unwrap_or_default();
    OwnEndpoint { address: bound.address(), netns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_hosts_only() {
        for (text, address) in [
            ("prometheus:9464", "127.0.0.1:9464"),
            ("prometheus:0", "127.0.0.1:0"),
            ("prometheus:0.0.0.0:9464", "0.0.0.0:9464"),
            ("prometheus:[::1]:9464", "[::1]:9464"),
        ] {
            assert_eq!(MetricsArg::parse(text), Ok(MetricsArg::Prometheus(address.parse().unwrap())));
        }
        for bad in
            ["", "9464", "prometheus", "prometheus:", "prometheus:70000", "prometheus:host:1", "statsd:1"]
        {
            let said = MetricsArg::parse(bad).unwrap_err();
            assert!(said.contains("prometheus:9464"), "{said}");
        }
    }

    #[test]
    fn a_port_that_is_taken_is_told_with_what_to_do() {
        let first = MetricsArg::parse("prometheus:0").unwrap().bind().unwrap();
        let said = MetricsArg::Prometheus(first.address()).bind().err().unwrap().to_string();
        assert!(said.contains(&first.address().to_string()) && said.contains("another port"), "{said}");
        let said = MetricsArg::parse("prometheus:192.0.2.1:0").unwrap().bind().err().unwrap().to_string();
        assert!(said.contains("no such address"), "{said}");
    }
}
