//! A conversation on a connection of our own, step by step, to see which numbers move: sequence numbers, and the sign
//! that an end came.

use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::sample::{Evidence, Sample, Want};
use super::sockets::{Lens, PATIENCE};

/// Bytes in which the fields of a `struct tcp_sock` lie.
const TCP_SOCK: usize = 4096;
/// As above, of a `struct sock`.
const SOCK: usize = 1024;

/// Sends in two steps, receives in two steps.
pub fn talk(
    lens: &Lens<'_>,
    from: &Socket,
    to: &Socket,
    size: u32,
    evidence: &mut Evidence,
) -> io::Result<()> {
    let (more, rest, first) = (size, 2 * size + 1, size + 2);
    let all = more + rest;
    acknowledge_late(to);
    let look = |socket| lens.look(socket, TCP_SOCK);
    let (from_0, to_0) = (look(from)?, look(to)?);
    // Held back for the bytes that follow: only what was handed over is more.
    send(from, more, libc::MSG_MORE)?;
    let from_1 = look(from)?;
    send(from, rest, 0)?;
    wait_for(to, all)?;
    let (from_2, to_2) = (look(from)?, look(to)?);
    receive(to, first)?;
    let (from_3, to_3) = (look(from)?, look(to)?);
    receive(to, all - first)?;
    let (from_4, to_4) = (look(from)?, look(to)?);

    let moved = |before: &Rc<[u8]>, after: &Rc<[u8]>, by: u32| Sample {
        bytes: Rc::clone(after),
        want: Want::Moved(Rc::clone(before), by),
    };
    let handed = [moved(&from_0, &from_1, more), moved(&from_1, &from_2, rest), moved(&from_2, &from_4, 0)];
    let taken = [
        moved(&to_0, &to_2, 0),
        moved(&to_2, &to_3, first),
        moved(&to_3, &to_4, all - first),
        moved(&from_0, &from_4, 0),
    ];
    let arrived = [moved(&to_0, &to_2, all), moved(&to_2, &to_4, 0), moved(&from_0, &from_3, 0)];
    evidence.add("write_seq", &handed);
    evidence.add("copied_seq", &taken);
    evidence.add("rcv_nxt", &arrived);
    // Nothing is under way: the two ends agree.
    evidence.add_equal(("write_seq", &from_4), ("copied_seq", &to_4));
    evidence.add_equal(("write_seq", &from_4), ("rcv_nxt", &to_4));
    Ok(())
}

/// One end says that it sends no more.
pub fn end(lens: &Lens<'_>, from: &Socket, to: &Socket, evidence: &mut Evidence) -> io::Result<()> {
    let mut see = |socket, value| -> io::Result<()> {
        evidence.add("sk_shutdown", &[Sample { bytes: lens.look(socket, SOCK)?, want: Want::U8(value) }]);
        Ok(())
    };
    see(from, 0)?;
    see(to, 0)?;
    from.shutdown(Shutdown::Write)?;
    see(from, 2)?;
    to.set_read_timeout(Some(PATIENCE))?;
    if to.recv(&mut [MaybeUninit::uninit(); 8])? != 0 {
        return Err(io::Error::other("a connection of the tracer's own did not end"));
    }
    see(to, 1)
}

/// Asks for late acknowledgements: an early one sets another number to the same value as `rcv_nxt`.
fn acknowledge_late(socket: &Socket) {
    // A refusal only makes for more candidates.
    let _ = socket.set_tcp_quickack(false);
}

fn send(socket: &Socket, len: u32, flags: libc::c_int) -> io::Result<()> {
    let sent = socket.send_with_flags(&vec![b'.'; len as usize], flags)?;
    if sent == len as usize { Ok(()) } else { Err(io::Error::other("a short write")) }
}

fn receive(socket: &Socket, len: u32) -> io::Result<()> {
    let received = socket.recv(&mut vec![MaybeUninit::uninit(); len as usize])?;
    if received == len as usize { Ok(()) } else { Err(io::Error::other("a short read")) }
}

/// Waits until that many bytes can be read.
fn wait_for(socket: &Socket, len: u32) -> io::Result<()> {
    let begun = Instant::now();
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![MaybeUninit::uninit(); len as usize];
    while socket.peek(&mut buffer)? < len as usize {
        if begun.elapsed() > PATIENCE {
            return Err(io::Error::other("bytes did not arrive on a connection of the tracer's own"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
