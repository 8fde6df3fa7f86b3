//! How the tracer connects to a collector: from an address that it has noted before, so that it knows the collector's end.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream, UdpSocket, lookup_host};
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
        let addresses = timeout(PATIENCE, lookup_host((self.host.as_str(), self.port)))
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
