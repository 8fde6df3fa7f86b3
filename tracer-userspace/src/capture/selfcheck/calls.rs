//! Every system call by which a process may send or receive: a probe that does not see one of them would lose
//! messages without a sign.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `read` or `write`.
    Plain,
    /// `readv` or `writev`, from two buffers.
    Vector,
    /// `recvfrom` or `sendto`.
    Address,
    /// `recvmsg` or `sendmsg`, from two buffers.
    Message,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Vector, Self::Address, Self::Message];

    /// The call that comes `steps` later in turn.
    pub fn turn(round: usize, steps: usize) -> Self {
        *Self::ALL.iter().cycle().nth((round + steps) % Self::ALL.len()).unwrap_or(&Self::Plain)
    }

    /// Name of the system call that sends.
    pub fn sends(self) -> &'static str {
        match self {
            Self::Plain => "write",
            Self::Vector => "writev",
            Self::Address => "sendto",
            Self::Message => "sendmsg",
        }
    }

    /// Name of the system call that receives.
    pub fn receives(self) -> &'static str {
        match self {
            Self::Plain => "read",
            Self::Vector => "readv",
            Self::Address => "recvfrom",
            Self::Message => "recvmsg",
        }
    }

    /// Sends all bytes in one call.
    pub fn send(self, to: RawFd, bytes: &[u8]) -> io::Result<()> {
        let (first, rest) = bytes.split_at(bytes.len().min(9));
        let mut parts = [part(first.as_ptr(), first.len()), part(rest.as_ptr(), rest.len())];
        let header = message(&mut parts);
        let start = bytes.as_ptr().cast();
        // SAFETY: all pointers lead to memory that outlives the call, with its length; the calls only read it.
        let sent = unsafe {
            match self {
                Self::Plain => libc::write(to, start, bytes.len()),
                Self::Vector => libc::writev(to, parts.as_ptr(), 2),
                Self::Address => {
                    libc::sendto(to, start, bytes.len(), libc::MSG_NOSIGNAL, std::ptr::null(), 0)
                }
                Self::Message => libc::sendmsg(to, &raw const header, libc::MSG_NOSIGNAL),
            }
        };
        whole(sent, bytes.len(), self.sends())
    }

    /// Receives exactly so many bytes in one call; the peer has sent them in one.
    pub fn receive(self, from: RawFd, len: usize) -> io::Result<()> {
        let mut buffer = vec![0u8; len];
        let start = buffer.as_mut_ptr();
        let (first, rest) = buffer.split_at_mut(len.min(5));
        let mut parts = [part(first.as_ptr(), first.len()), part(rest.as_ptr(), rest.len())];
        let mut header = message(&mut parts);
        // SAFETY: all pointers lead to parts of the buffer, with their lengths, or to locals; all outlive the call.
        let received = unsafe {
            match self {
                Self::Plain => libc::read(from, start.cast(), len),
                Self::Vector => libc::readv(from, parts.as_ptr(), 2),
                Self::Address => {
                    libc::recvfrom(from, start.cast(), len, 0, std::ptr::null_mut(), std::ptr::null_mut())
                }
                Self::Message => libc::recvmsg(from, &raw mut header, 0),
            }
        };
        whole(received, len, self.receives())
    }
}

/// Sends so many bytes with `sendfile`, from memory that no process has mapped.
pub fn send_file(to: RawFd, len: usize) -> io::Result<()> {
    // SAFETY: the name is a constant that ends with a zero.
    let fd = unsafe { libc::memfd_create(c"tracer-self-check".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    let file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(len as u64)?;
    // SAFETY: no offset pointer; both descriptors are open.
    let sent = unsafe { libc::sendfile(to, file.as_raw_fd(), std::ptr::null_mut(), len) };
    whole(sent, len, "sendfile")
}

fn part(start: *const u8, len: usize) -> libc::iovec {
    libc::iovec { iov_base: start.cast_mut().cast(), iov_len: len }
}

fn message(parts: &mut [libc::iovec; 2]) -> libc::msghdr {
    // SAFETY: zeros are a valid header without address and control data.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = parts.as_mut_ptr();
    header.msg_iovlen = 2;
    header
}

fn whole(moved: isize, len: usize, call: &str) -> io::Result<()> {
    match usize::try_from(moved) {
        Err(_) => Err(io::Error::last_os_error()),
        Ok(moved) if moved == len => Ok(()),
        Ok(moved) => Err(io::Error::other(format!("{call} moved {moved} bytes of {len}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn every_call_moves_the_bytes() {
        let (a, mut b) = UnixStream::pair().unwrap();
        for call in Call::ALL {
            call.send(a.as_raw_fd(), b"a message of some bytes").unwrap();
            let mut got = [0; 23];
            b.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"a message of some bytes", "{}", call.sends());
            call.send(a.as_raw_fd(), &got).unwrap();
            call.receive(b.as_raw_fd(), got.len()).unwrap();
        }
        send_file(a.as_raw_fd(), 77).unwrap();
        Call::Plain.receive(b.as_raw_fd(), 77).unwrap();
    }

    #[test]
    fn all_calls_get_their_turn_on_both_ends() {
        for steps in 0..4 {
            let all: Vec<_> = (0..4).map(|round| Call::turn(round, steps)).collect();
            assert!(Call::ALL.iter().all(|call| all.contains(call)));
        }
    }
}
