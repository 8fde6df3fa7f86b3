//! How the tracer connects to a collector: from an address that it has noted before, so that it knows the collector's end.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;
use tower_service::Service;

use crate::recording::own_calls::OwnCalls;

/// For each of a name's addresses.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connects.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Where the addresses are noted.
    pub calls: OwnCalls,
    /// The collector, without the brackets of IPv6.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Connector {
    /// To the collector; the first of its addresses that answers.
    pub async fn connect(self) -> io::Result<TcpStream> {
        let addresses = timeout(PATIENCE, self.addresses())
            .await
            .map_err(|_| io::Error::new(ErrorKind::TimedOut, "its name was not resolved in time"))??;
        let mut failed = io::Error::new(ErrorKind::NotFound, "its name has no address");
        for address in addresses {
            match timeout(PATIENCE, self.connect_to(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = ErrorKind::TimedOut.into(),
            }
        }
        Err(failed)
    }

    /// What the name stands for: an address, or by the host's own file of names and its name servers.
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<IpAddr> = match (self.host.parse(), &*self.host) {
            (Ok(address), _) => vec![address],
            // RFC 6761, section 6.3: never anything else, whether or not a file says so.
            (Err(_), "localhost") => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            // The C library would look for shared libraries of its own version, which a static program does not bring.
            (Err(_), name) => {
                let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
                let found = resolver.map_err(io::Error::other)?.lookup_ip(name).await;
                found.map_err(unresolved)?.iter().collect()
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, self.port)).collect())
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        // Which of this host's addresses leads there, the kernel tells without sending anything.
        let unspecified: SocketAddr = match address {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let route = UdpSocket::bind(unspecified).await?;
        route.connect(address).await?;
        let mut from = route.local_addr()?;
        from.set_port(0);
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(from)?;
        self.calls.add(socket.local_addr()?);
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A name that nobody knows is the user's mistake, more often than not; what servers answer besides is for experts.
fn unresolved(error: NetError) -> io::Error {
    if error.is_no_records_found() {
        return io::Error::new(
            ErrorKind::NotFound,
            "its name has no address: this host's name servers do not know it",
        );
    }
    io::Error::other(format!("its name cannot be looked up: {error}"))
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}
