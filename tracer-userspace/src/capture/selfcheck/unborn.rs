//! Connections that were there before the probes: what is read from a living one is recorded, and what is read from
//! one that the peer has reset is not, since its end will never be told (sock_common.skc_state).

use std::io::{Error, Read, Result as IoResult, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tracer_common::abi::mode;

use super::super::load::Probes;
use super::{Endpoints, Records, collect, response};

/// Reads from one of each.
pub fn check(probes: &mut Probes) -> Result<(), String> {
    let io = |error: Error| format!("a connection of the tracer's own failed: {error}");
    let broken = |error: super::LoadError| error.to_string();
    probes.set_mode(mode::OFF).map_err(broken)?;
    let (mut living, _peer) = connect().map_err(io)?;
    let (mut reset, peer) = connect().map_err(io)?;
    close_hard(peer).map_err(io)?;
    wait_for_reset(&reset).map_err(io)?;
    probes.set_mode(mode::SELF_CHECK).map_err(broken)?;
    let mut buffer = [0u8; 256];
    reset.read(&mut buffer).map_err(io)?;
    living.read(&mut buffer).map_err(io)?;
    let records = collect(probes, 1, 1);
    if !seen(&records, &living).map_err(io)? {
        return Err(
            "a connection that was open before was taken for one that is closed (sock_common.skc_state)"
                .to_owned(),
        );
    }
    if seen(&records, &reset).map_err(io)? {
        return Err(
            "a connection that the peer had reset was taken for one that lives (sock_common.skc_state)"
                .to_owned(),
        );
    }
    Ok(())
}

/// A connection on which a message has arrived.
fn connect() -> IoResult<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    server.write_all(&response(0))?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    client.peek(&mut [0u8; 1])?;
    Ok((client, server))
}

/// Closes with a reset.
fn close_hard(socket: TcpStream) -> IoResult<()> {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO))
}

/// Waits until the peer's reset has come.
fn wait_for_reset(socket: &TcpStream) -> IoResult<()> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one element, which outlives the call.
        if unsafe { libc::poll(&raw mut poll, 1, 100) } > 0 && poll.revents & libc::POLLHUP != 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Error::other("a reset did not arrive"))
}

fn seen(records: &Records, socket: &TcpStream) -> IoResult<bool> {
    // A reset socket has no peer to ask for; its own address is enough.
    let local: SocketAddr = socket.local_addr()?;
    Ok(records.opens.iter().any(|open| {
        matches!(open.endpoints, Endpoints::Inet { local: ip, local_port, .. }
            if ip == local.ip() && local_port == local.port())
    }))
}
