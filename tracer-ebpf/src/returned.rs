//! A call on a socket has returned: what `socket`, `fexit` and `kprobe` have in common.

use tracer_common::abi::{counter, dir};

use crate::arch::{Call, current_call};
use crate::buffer::{self, Kind, MSG_PEEK};
use crate::datagram;
use crate::flow::{Moved, moved};
use crate::kernel::read_kernel;
use crate::maps::count;
use crate::select::selected;
use crate::settings::offset;

/// The `struct sock` of a `struct socket`, 0 if it has none (any more).
#[inline(always)]
pub fn sock_of(socket: u64) -> u64 {
    read_kernel::<u64>(socket + offset!(socket_sk)).unwrap_or(0)
}

/// `ret` bytes, or an error, from a send function.
#[inline(always)]
pub fn sent(sk: u64, ret: i32) -> i32 {
    if ret < 0 && sk != 0 {
        datagram::failed(sk, ret, dir::TX);
    }
    if ret <= 0 || sk == 0 {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let mut call = own_call();
    if buffer::kind(&call) != Kind::Send {
        call = Call::NONE;
    }
    moved(&Moved { sk, dir: dir::TX, len: ret as u32, who, call, fd_known: false });
    0
}

/// `ret` bytes, or an error, from a send function whose bytes never were in user memory: nothing can be read, so a program
/// that calls this is small.
#[inline(always)]
pub fn sent_from_kernel(sk: u64, ret: i32) -> i32 {
    if ret <= 0 || sk == 0 {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let call = Call::NONE;
    moved(&Moved { sk, dir: dir::TX, len: ret as u32, who, call, fd_known: false });
    0
}

/// `ret` bytes, or an error, from a receive function.
#[inline(always)]
pub fn received(sk: u64, ret: i32, flags: u64) -> i32 {
    if ret < 0 && sk != 0 {
        datagram::failed(sk, ret, dir::RX);
    }
    if ret <= 0 || sk == 0 || flags & MSG_PEEK != 0 {
        return 0;
    }
    let Some(who) = selected() else { return 0 };
    let mut call = own_call();
    if buffer::kind(&call) != Kind::Receive || buffer::only_peeked(&call) {
        call = Call::NONE;
    }
    call = call.hidden();
    moved(&Moved { sk, dir: dir::RX, len: ret as u32, who, call, fd_known: false });
    0
}

/// The system call in progress. Those of 32-bit programs are counted, because what they moved cannot be read.
#[inline(always)]
fn own_call() -> Call {
    let call = current_call();
    if call.number == Call::FOREIGN.number {
        count(counter::CALLS_32_BIT, 1);
    }
    call
}
