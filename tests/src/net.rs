//! Free ports, and waiting until somebody listens.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pace;
use crate::process::Process;

/// How long a server may take to start. A JVM on a busy two-core machine takes seconds.
const READY: Duration = Duration::from_secs(30);

/// A TCP port on 127.0.0.1 that nobody listens on at this moment.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot find a free port on 127.0.0.1")?;
    Ok(listener.local_addr().context("cannot read the address of a fresh socket")?.port())
}

/// The loopback address with a port.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Waits until `port` on 127.0.0.1 accepts connections; fails at once if the server ends first.
pub fn wait_for_port(port: u16, server: &mut Process) -> Result<()> {
    wait(&format!("port {port}"), server, || TcpStream::connect(local(port)).is_ok())
}

/// Waits until the unix socket at `path` accepts connections.
pub fn wait_for_unix(path: &Path, server: &mut Process) -> Result<()> {
    wait(&path.display().to_string(), server, || UnixStream::connect(path).is_ok())
}

/// Waits until `ready` says so.
pub fn wait(what: &str, server: &mut Process, ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + pace::limit(READY);
    loop {
        if ready() {
            return Ok(());
        }
        if let Some(status) = server.ended()? {
            bail!(
                "{} ended with {status} before it was ready on {what}:\n{}",
                server.name(),
                server.output()
            );
        }
        if Instant::now() > deadline {
            bail!("{} is not ready on {what} after {READY:?}:\n{}", server.name(), server.output());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
