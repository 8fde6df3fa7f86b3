//! The exits of the socket functions (fexit, Linux 5.5 with BTF): the same events as `socket` where its tracepoints do
//! not exist. Unrelated system calls pay nothing.
//!
//! The functions are those that sockets name in their `struct proto_ops` (net/ipv4/af_inet.c, net/unix/af_unix.c):
//! every way into a socket leads through them, and because they are called through pointers no compiler can have
//! inlined them away, as may be the case with `sock_sendmsg`. A fexit program belongs to one function, hence one
//! program for each.
//!
//! The first argument is `struct socket *`, the return value stands behind the last one.

use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;

use crate::returned::{received, sent, sent_from_kernel, sock_of};

/// `(struct socket *, struct msghdr *, size_t)`
#[inline(always)]
fn send(ctx: &FExitContext) -> i32 {
    sent(sock_of(ctx.arg::<u64>(0)), ctx.arg::<u64>(3) as i32)
}

/// `(struct socket *, struct msghdr *, size_t, int flags)`
#[inline(always)]
fn receive(ctx: &FExitContext) -> i32 {
    received(sock_of(ctx.arg::<u64>(0)), ctx.arg::<u64>(4) as i32, ctx.arg::<u64>(3))
}

/// `(struct socket *, struct page *, int offset, size_t, int flags)`: sendfile and splice, until Linux 6.4.
#[inline(always)]
fn page(ctx: &FExitContext) -> i32 {
    sent_from_kernel(sock_of(ctx.arg::<u64>(0)), ctx.arg::<u64>(5) as i32)
}

/// IPv4.
#[fexit(function = "inet_sendmsg")]
#[inline(always)]
pub fn inet_send(ctx: FExitContext) -> i32 {
    send(&ctx)
}

/// IPv6.
#[fexit(function = "inet6_sendmsg")]
#[inline(always)]
pub fn inet6_send(ctx: FExitContext) -> i32 {
    send(&ctx)
}

/// Unix stream sockets.
#[fexit(function = "unix_stream_sendmsg")]
#[inline(always)]
pub fn unix_send(ctx: FExitContext) -> i32 {
    send(&ctx)
}

/// IPv4.
#[fexit(function = "inet_recvmsg")]
#[inline(always)]
pub fn inet_recv(ctx: FExitContext) -> i32 {
    receive(&ctx)
}

/// IPv6.
#[fexit(function = "inet6_recvmsg")]
#[inline(always)]
pub fn inet6_recv(ctx: FExitContext) -> i32 {
    receive(&ctx)
}

/// Unix stream sockets.
#[fexit(function = "unix_stream_recvmsg")]
#[inline(always)]
pub fn unix_recv(ctx: FExitContext) -> i32 {
    receive(&ctx)
}

/// IPv4 and IPv6.
#[fexit(function = "inet_sendpage")]
#[inline(always)]
pub fn inet_page(ctx: FExitContext) -> i32 {
    page(&ctx)
}

/// Unix stream sockets.
#[fexit(function = "unix_stream_sendpage")]
#[inline(always)]
pub fn unix_page(ctx: FExitContext) -> i32 {
    page(&ctx)
}
