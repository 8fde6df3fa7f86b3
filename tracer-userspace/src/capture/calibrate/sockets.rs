//! Sockets of our own to look at: of every family and type, with addresses, ports and states that are known, and
//! other ones in each round.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::joint::SOCK_COMMON;
use super::memory::KernelMemory;
use super::sample::{Evidence, Sample, Want};
use super::stream;

/// Bytes of a `struct sock` in which its fields lie, and of the larger structures that begin with one.
const SOCK: usize = 1024;
/// As above.
const UNIX_SOCK: usize = 2048;
/// Waiting for loopback to deliver; only a broken one takes so long.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// States of include/net/tcp_states.h.
mod state {
    pub const ESTABLISHED: u8 = 1;
    pub const CLOSE: u8 = 7;
    pub const LISTEN: u8 = 10;
}

/// Finds the structures behind descriptors.
pub struct Lens<'a> {
    memory: &'a dyn KernelMemory,
    locate: &'a dyn Fn(RawFd) -> Option<u64>,
    /// What was found, by the socket's inode number: the way to a structure is eight steps.
    found: RefCell<HashMap<u64, u64>>,
}

impl<'a> Lens<'a> {
    /// `locate` gives the `struct sock` of a descriptor.
    pub fn new(memory: &'a dyn KernelMemory, locate: &'a dyn Fn(RawFd) -> Option<u64>) -> Self {
        Self { memory, locate, found: RefCell::default() }
    }

    /// Address of a socket's `struct sock`.
    pub fn address(&self, socket: &Socket) -> io::Result<u64> {
        let inode = inode_number(socket.as_raw_fd())?;
        if let Some(known) = self.found.borrow().get(&inode) {
            return Ok(*known);
        }
        let address = (self.locate)(socket.as_raw_fd())
            .ok_or_else(|| io::Error::other("the structure of a socket of the tracer's own was not found"))?;
        self.found.borrow_mut().insert(inode, address);
        Ok(address)
    }

    /// What is in it now.
    pub fn look(&self, socket: &Socket, len: usize) -> io::Result<Rc<[u8]>> {
        let bytes = self.memory.read(self.address(socket)?, len);
        Ok(bytes.ok_or_else(|| io::Error::other("the structure of a socket cannot be read"))?.into())
    }
}

/// Makes the sockets of one round and adds what they show. What cannot be made is said, and hinders nothing else.
pub fn round(lens: &Lens<'_>, number: u8, evidence: &mut Evidence) {
    let tried = |fields: &[&'static str], result: io::Result<()>, evidence: &mut Evidence| {
        if let Err(error) = result {
            evidence.missing(fields, &error.to_string());
        }
    };
    let v4 = tcp_v4(lens, number, evidence);
    tried(
        &["sk_daddr", "sk_saddr", "sk_dport", "sk_num", "write_seq", "copied_seq", "rcv_nxt"],
        v4,
        evidence,
    );
    const V6: &[&str] = &["sk_daddr6", "sk_saddr6"];
    match tcp_v6(lens, number, evidence) {
        // Switched off for the whole kernel: there are no such sockets to read from.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            evidence.unneeded(V6, "this kernel runs without IPv6");
        }
        other => tried(V6, other, evidence),
    }
    let kinds = kinds(lens, evidence);
    tried(&["sk_family", "sk_type", "sk_protocol", "sk_state"], kinds, evidence);
    let unix = unix_pairs(lens, evidence);
    tried(&["unix_peer", "sk_shutdown"], unix, evidence);
}

/// A connection between two addresses of the loopback network, different ones in each round.
fn tcp_v4(lens: &Lens<'_>, number: u8, evidence: &mut Evidence) -> io::Result<()> {
    let near = Ipv4Addr::new(127, 91 + number, 3 + 7 * number, 11 + number);
    let far = Ipv4Addr::new(127, 44, 5 + 3 * number, 201 - number);
    let listener = listen(SocketAddr::from((far, 0)), Domain::IPV4)?;
    let at = local(&listener)?;
    let client = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    client.bind(&SocketAddr::from((near, 0)).into())?;
    client.connect_timeout(&at.into(), PATIENCE)?;
    let (server, _) = listener.accept()?;
    let from = local(&client)?;

    for (socket, own, peer) in [(&client, from, Some(at)), (&server, at, Some(from)), (&listener, at, None)] {
        let bytes = lens.look(socket, SOCK_COMMON)?;
        let mut add = |name, want| evidence.add(name, &[Sample { bytes: Rc::clone(&bytes), want }]);
        add("sk_saddr", Want::V4(octets(own)));
        add("sk_daddr", Want::V4(peer.map_or([0; 4], octets)));
        add("sk_num", Want::U16(own.port()));
        add("sk_dport", Want::Bytes(peer.map_or(0, |peer| peer.port()).to_be_bytes().to_vec()));
        let state = if peer.is_some() { state::ESTABLISHED } else { state::LISTEN };
        add("sk_state", Want::U8(state));
        add("sk_family", Want::U16(libc::AF_INET as u16));
    }
    stream::talk(lens, &client, &server, 3 + u32::from(number), evidence)?;
    stream::talk(lens, &server, &client, 23 + u32::from(number), evidence)?;
    stream::end(lens, &client, &server, evidence)
}

/// A listening socket of `::1`, and a connection of IPv6 sockets that is IPv4 beneath, whose ends have different
/// addresses; `::1` is the only loopback address of IPv6.
fn tcp_v6(lens: &Lens<'_>, number: u8, evidence: &mut Evidence) -> io::Result<()> {
    let near = Ipv4Addr::new(127, 17 + number, 9, 33 + number).to_ipv6_mapped();
    let far = Ipv4Addr::new(127, 61, 100 + number, 2).to_ipv6_mapped();
    let listener = listen(SocketAddr::from((far, 0)), Domain::IPV6)?;
    let at = local(&listener)?;
    let client = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP))?;
    client.set_only_v6(false)?;
    client.bind(&SocketAddr::from((near, 0)).into())?;
    client.connect_timeout(&at.into(), PATIENCE)?;
    let (server, _) = listener.accept()?;
    // Where the address does not exist (IPv6 switched off for the interface), the connection must do.
    let plain = listen(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)), Domain::IPV6).ok();

    let ends = [(&client, near, far), (&server, far, near)];
    let listening = plain.iter().map(|socket| (socket, Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED));
    for (socket, own, peer) in ends.into_iter().chain(listening) {
        let bytes = lens.look(socket, SOCK_COMMON)?;
        let mut add = |name, want| evidence.add(name, &[Sample { bytes: Rc::clone(&bytes), want }]);
        add("sk_saddr6", Want::Bytes(own.octets().to_vec()));
        add("sk_daddr6", Want::Bytes(peer.octets().to_vec()));
        add("sk_family", Want::U16(libc::AF_INET6 as u16));
    }
    Ok(())
}

/// One socket of each kind.
fn kinds(lens: &Lens<'_>, evidence: &mut Evidence) -> io::Result<()> {
    let udp = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    let connected = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    connected.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, 9)).into())?;
    let (tcp, inet, unix) = (Protocol::TCP, libc::AF_INET, libc::AF_UNIX);
    let mut all = vec![
        (Socket::new(Domain::IPV4, Type::STREAM, Some(tcp))?, inet, libc::SOCK_STREAM, 6, state::CLOSE),
        (udp, inet, libc::SOCK_DGRAM, 17, state::CLOSE),
        (connected, inet, libc::SOCK_DGRAM, 17, state::ESTABLISHED),
        (Socket::new(Domain::UNIX, Type::STREAM, None)?, unix, libc::SOCK_STREAM, 0, state::CLOSE),
        (Socket::new(Domain::UNIX, Type::DGRAM, None)?, unix, libc::SOCK_DGRAM, 0, state::CLOSE),
        (Socket::new(Domain::UNIX, Type::SEQPACKET, None)?, unix, libc::SOCK_SEQPACKET, 0, state::CLOSE),
    ];
    // NETLINK_GENERIC is 16; a sandbox may forbid the family, and the others do without it.
    let netlink = Socket::new(Domain::from(libc::AF_NETLINK), Type::from(libc::SOCK_RAW), Some(16.into()));
    all.extend(netlink.ok().map(|socket| (socket, libc::AF_NETLINK, libc::SOCK_RAW, 16, state::CLOSE)));
    for (socket, family, kind, protocol, state) in &all {
        let bytes = lens.look(socket, SOCK)?;
        let common: Rc<[u8]> = bytes.iter().copied().take(SOCK_COMMON).collect();
        evidence.add("sk_type", &[Sample { bytes: Rc::clone(&bytes), want: Want::U16(*kind as u16) }]);
        evidence.add("sk_protocol", &[Sample { bytes, want: Want::U16(*protocol) }]);
        evidence.add("sk_family", &[Sample { bytes: Rc::clone(&common), want: Want::U16(*family as u16) }]);
        // Netlink does not keep a state there.
        if *family != libc::AF_NETLINK {
            evidence.add("sk_state", &[Sample { bytes: common, want: Want::U8(*state) }]);
        }
    }
    Ok(())
}

/// Pairs that know each other, and are shut down in every way.
fn unix_pairs(lens: &Lens<'_>, evidence: &mut Evidence) -> io::Result<()> {
    let single = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    evidence.add("unix_peer", &[Sample { bytes: lens.look(&single, UNIX_SOCK)?, want: Want::U64(0) }]);
    // Bit 0: receiving is over, bit 1: sending is (include/net/sock.h).
    for (how, own, peer) in [(Shutdown::Read, 1, 2), (Shutdown::Write, 2, 1), (Shutdown::Both, 3, 3)] {
        let (a, b) = Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        for (one, other) in [(&a, &b), (&b, &a)] {
            let want = Want::U64(lens.address(other)?);
            evidence.add("unix_peer", &[Sample { bytes: lens.look(one, UNIX_SOCK)?, want }]);
            evidence.add("sk_shutdown", &[Sample { bytes: lens.look(one, SOCK)?, want: Want::U8(0) }]);
        }
        a.shutdown(how)?;
        evidence.add("sk_shutdown", &[Sample { bytes: lens.look(&a, SOCK)?, want: Want::U8(own) }]);
        evidence.add("sk_shutdown", &[Sample { bytes: lens.look(&b, SOCK)?, want: Want::U8(peer) }]);
    }
    Ok(())
}

/// A listening socket, for IPv4 below IPv6 too.
pub fn listen(at: SocketAddr, domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.bind(&at.into())?;
    socket.listen(1)?;
    Ok(socket)
}

fn local(socket: &Socket) -> io::Result<SocketAddr> {
    socket.local_addr()?.as_socket().ok_or_else(|| io::Error::other("a socket without an address"))
}

fn octets(address: SocketAddr) -> [u8; 4] {
    match address {
        SocketAddr::V4(v4) => v4.ip().octets(),
        SocketAddr::V6(_) => [0; 4],
    }
}

/// A descriptor's inode number.
pub fn inode_number(fd: RawFd) -> io::Result<u64> {
    // SAFETY: all-zero bytes are a valid `struct stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills the structure that the pointer leads to.
    let result = unsafe { libc::fstat(fd, &raw mut stat) };
    if result == 0 { Ok(stat.st_ino) } else { Err(io::Error::last_os_error()) }
}
