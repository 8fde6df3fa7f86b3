//! The socket tables, as bytes of a fuzzer's.

use super::{netlink, tables};

/// A datagram of a dump: every message lies within it, and what is taken for a socket is one.
pub(crate) fn datagram(data: &[u8]) {
    let (mut doubt, mut messages, mut bytes) = (None, 0usize, 0usize);
    let end = netlink::take_datagram(data, &mut doubt, &mut |message| {
        messages += 1;
        bytes += message.len();
        if let Some((_, socket)) = netlink::inet(message) {
            assert_eq!(socket.local.is_ipv4(), socket.local.ip().to_canonical().is_ipv4());
        }
        if let Some(socket) = netlink::unix_socket(message) {
            assert_ne!(socket.peer, Some(0));
        }
        true
    });
    assert!(bytes + 16 * messages <= data.len());
    if let Some(Err(error)) = end {
        assert!(error.raw_os_error().is_some());
    }
}

/// Lines of `/proc/net/tcp` and `/proc/net/unix`.
pub(crate) fn lines(data: &[u8]) {
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let _ = tables::inet(line);
        if let Some(socket) = tables::unix_socket(line) {
            assert!(socket.peer.is_none());
        }
    }
}
