//! NETLINK_SOCK_DIAG: the kernel's socket tables, in binary (sock_diag(7); include/uapi/linux/inet_diag.h,
//! unix_diag.h).
//!
//! The messages are put together and taken apart by hand: there are four of them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use super::{
    Connection, Incomplete, Source, TcpState, TcpTable, UnixSocket, UnixTable, tcp_state, unix_name,
};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH`: a dump.
const DUMP: u16 = 0x1 | 0x100 | 0x200;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// `struct inet_diag_msg` and `struct unix_diag_msg`, without attributes.
const INET_MSG_BYTES: usize = 72;
const UNIX_MSG_BYTES: usize = 16;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UDIAG_SHOW_NAME: u32 = 1;
const UDIAG_SHOW_PEER: u32 = 4;
/// The kernel fills at most 32 KiB per datagram of a dump (net/netlink/af_netlink.c, `netlink_dump`).
const BUFFER_BYTES: usize = 64 << 10;

/// The TCP sockets of this network namespace, IPv4 and IPv6.
pub(super) fn tcp(limit: usize, deadline: Instant) -> io::Result<TcpTable> {
    let mut table = TcpTable::empty(Source::SockDiag);
    for family in [libc::AF_INET, libc::AF_INET6] {
        let states = [
            tcp_state::ESTABLISHED,
            tcp_state::FIN_WAIT1,
            tcp_state::FIN_WAIT2,
            tcp_state::CLOSE_WAIT,
            tcp_state::LISTEN,
        ];
        let states = states.iter().fold(0u32, |set, state| set | 1 << state);
        let mut request = vec![0u8; 56];
        put(&mut request, 0, &[family_byte(family), family_byte(libc::IPPROTO_TCP)]);
        put(&mut request, 4, &states.to_ne_bytes());
        let end = dump(&request, deadline, |message| match inet(message) {
            Some((state, socket)) => table.add(limit, state, socket),
            None => true,
        });
        match end {
            Ok(changed) => table.incomplete = table.incomplete.or(changed),
            // A kernel without IPv6 has no sockets of it either.
            Err(error) if family == libc::AF_INET6 && no_such_family(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(table)
}

/// The unix stream sockets of this network namespace.
pub(super) fn unix(limit: usize, deadline: Instant) -> io::Result<UnixTable> {
    let mut sockets = Vec::new();
    let mut full = false;
    let mut request = vec![0u8; 24];
    put(&mut request, 0, &[family_byte(libc::AF_UNIX)]);
    let states = 1u32 << tcp_state::ESTABLISHED | 1 << tcp_state::LISTEN;
    put(&mut request, 4, &states.to_ne_bytes());
    put(&mut request, 12, &(UDIAG_SHOW_NAME | UDIAG_SHOW_PEER).to_ne_bytes());
    let changed = dump(&request, deadline, |message| {
        full = sockets.len() >= limit;
        if !full {
            sockets.extend(unix_socket(message));
        }
        !full
    })?;
    let incomplete = if full { Some(Incomplete::Limit) } else { changed };
    Ok(UnixTable { sockets, source: Source::SockDiag, incomplete })
}

fn family_byte(number: i32) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

fn no_such_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

/// Asks, and hands each message's payload to `each` until that returns false. Says whether the dump is to be doubted.
fn dump(
    request: &[u8],
    deadline: Instant,
    mut each: impl FnMut(&[u8]) -> bool,
) -> io::Result<Option<Incomplete>> {
    let socket = open()?;
    send(&socket, request)?;
    let mut buffer = vec![0u8; BUFFER_BYTES];
    let mut doubt = None;
    loop {
        if Instant::now() >= deadline {
            return Ok(Some(Incomplete::Time));
        }
        let got = match receive(&socket, &mut buffer) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The timeout of the socket: whether time is up is decided above.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // The socket's buffer overflowed: messages are lost.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                doubt = Some(Incomplete::Changed);
                continue;
            }
            Err(error) => return Err(error),
        };
        let datagram = buffer.get(..got).unwrap_or_default();
        if let Some(end) = take_datagram(datagram, &mut doubt, &mut each) {
            return end.map(|()| doubt);
        }
    }
}

/// Hands on the messages of one datagram. `None`: the dump goes on. Otherwise it is over: said to be complete, refused, or
/// `each` wants no more.
pub(super) fn take_datagram(
    mut rest: &[u8],
    doubt: &mut Option<Incomplete>,
    each: &mut impl FnMut(&[u8]) -> bool,
) -> Option<io::Result<()>> {
    while let Some(message) = Message::first(rest) {
        if message.flags & NLM_F_DUMP_INTR != 0 {
            *doubt = Some(Incomplete::Changed);
        }
        match message.kind {
            NLMSG_DONE => return Some(Ok(())),
            NLMSG_ERROR => return Some(error_of(message.payload).map_or(Ok(()), Err)),
            SOCK_DIAG_BY_FAMILY if !each(message.payload) => return Some(Ok(())),
            _ => {}
        }
        rest = rest.get(message.step..).unwrap_or_default();
    }
    None
}

/// One netlink message within a datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    payload: &'a [u8],
    /// Bytes to the next one.
    step: usize,
}

impl<'a> Message<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let len = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let payload = bytes.get(HEADER_BYTES..len)?;
        Some(Self {
            kind: u16_at(bytes, 4)?,
            flags: u16_at(bytes, 6)?,
            payload,
            step: len.next_multiple_of(4),
        })
    }
}

/// The error in an NLMSG_ERROR; `None` for an acknowledgement.
fn error_of(payload: &[u8]) -> Option<io::Error> {
    let errno = i32::from_ne_bytes(array(payload, 0)?);
    (errno != 0).then(|| io::Error::from_raw_os_error(errno.saturating_neg()))
}

/// `struct inet_diag_msg`: state and socket.
pub(super) fn inet(message: &[u8]) -> Option<(u8, Connection)> {
    if message.len() < INET_MSG_BYTES {
        return None;
    }
    let (family, state) = (*message.first()?, *message.get(1)?);
    let address = |port_at: usize, at: usize| -> Option<SocketAddr> {
        let port = u16::from_be_bytes(array(message, port_at)?);
        let ip = match i32::from(family) {
            libc::AF_INET => IpAddr::V4(Ipv4Addr::from(array::<4>(message, at)?)),
            libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(array::<16>(message, at)?)).to_canonical(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    };
    let socket = Connection {
        local: address(4, 8)?,
        remote: address(6, 24)?,
        uid: u32_at(message, 64)?,
        inode: u64::from(u32_at(message, 68)?),
        state: TcpState::Established,
    };
    Some((state, socket))
}

/// `struct unix_diag_msg` and its attributes. Only stream sockets.
pub(super) fn unix_socket(message: &[u8]) -> Option<UnixSocket> {
    let (kind, state) = (*message.get(1)?, *message.get(2)?);
    if i32::from(kind) != libc::SOCK_STREAM {
        return None;
    }
    let mut socket = UnixSocket {
        inode: u64::from(u32_at(message, 4)?),
        peer: None,
        name: None,
        listens: state == tcp_state::LISTEN,
    };
    let mut rest = message.get(UNIX_MSG_BYTES..)?;
    // struct rtattr: length with these four bytes, type.
    while let (Some(len), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let len = usize::from(len);
        let Some(value) = rest.get(4..len) else { break };
        match kind {
            UNIX_DIAG_NAME => socket.name = unix_name(value),
            UNIX_DIAG_PEER => socket.peer = u32_at(value, 0).map(u64::from).filter(|peer| *peer != 0),
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(socket)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_ne_bytes)
}

fn open() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked below.
    let fd = unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor, and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let wait = Duration::from_millis(100);
    let timeout = libc::timeval { tv_sec: 0, tv_usec: libc::suseconds_t::from(wait.subsec_micros()) };
    let len = libc::socklen_t::try_from(size_of::<libc::timeval>()).unwrap_or(0);
    // SAFETY: `timeout` is a live `timeval`, and `len` is its size.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const timeout).cast(),
            len,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

fn send(socket: &OwnedFd, request: &[u8]) -> io::Result<()> {
    let len = HEADER_BYTES + request.len();
    let mut message = vec![0u8; len];
    put(&mut message, 0, &u32::try_from(len).unwrap_or(0).to_ne_bytes());
    put(&mut message, 4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(&mut message, 6, &DUMP.to_ne_bytes());
    put(&mut message, HEADER_BYTES, request);
    // SAFETY: the pointer and length are those of a live slice; without an address the message goes to the kernel.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of a live, writable slice.
    let got = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_messages_are_passed_over() {
        assert!(Message::first(&[]).is_none());
        // A length below the header's, and one past the datagram's end.
        for len in [0u32, 15, 4096] {
            let mut bytes = [0u8; 32];
            put(&mut bytes, 0, &len.to_ne_bytes());
            assert!(Message::first(&bytes).is_none(), "{len}");
        }
        for len in 0..INET_MSG_BYTES {
            assert_eq!(inet(&vec![2; len]), None, "{len}");
        }
        assert_eq!(inet(&[99; 128]), None);
        assert_eq!(error_of(&[]).map(|error| error.kind()), None);
        assert_eq!(error_of(&i32::MIN.to_ne_bytes()).map(|_| ()), Some(()));
        assert!(error_of(&0i32.to_ne_bytes()).is_none());
        assert_eq!(error_of(&(-libc::EPERM).to_ne_bytes()).unwrap().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn attributes_of_unix_sockets_are_read_to_their_end() {
        let mut message = vec![1u8, 1, 1, 0];
        message.extend(77u32.to_ne_bytes());
        message.extend([0; 8]);
        // A name of three bytes, padded, then a peer, then rubbish.
        message.extend(7u16.to_ne_bytes());
        message.extend(UNIX_DIAG_NAME.to_ne_bytes());
        message.extend(b"\0ab\0");
        message.extend(8u16.to_ne_bytes());
        message.extend(UNIX_DIAG_PEER.to_ne_bytes());
        message.extend(78u32.to_ne_bytes());
        let want = UnixSocket { inode: 77, peer: Some(78), name: Some("@ab".into()), listens: false };
        assert_eq!(unix_socket(&message), Some(want.clone()));
        for rubbish in [[0u8, 0, 0, 0], [3, 0, 0, 0], [200, 0, 0, 0]] {
            let broken = [message.as_slice(), &rubbish].concat();
            assert_eq!(unix_socket(&broken), Some(want.clone()));
        }
        for cut in 0..16 {
            unix_socket(&message[..cut]);
        }
    }
}
