//! `/proc/PID/net/tcp`, `tcp6` and `unix` (proc_pid_net(5)): the socket tables as text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use super::super::procfs::reason_of;
use super::{Connection, Incomplete, Source, TcpState, TcpTable, UnixSocket, UnixTable, unix_name};
use crate::service::Reason;

/// Longest line that is read; they have about 150 bytes, with a path at most 108 more.
const MAX_LINE: u64 = 1024;
/// After so many lines the clock is looked at.
const LINES_PER_LOOK: usize = 256;

/// The TCP sockets of the namespace whose `net` directory this is.
pub(super) fn tcp(net: &Path, limit: usize, deadline: Instant) -> TcpTable {
    let mut table = TcpTable::empty(Source::ProcNet);
    for (name, optional) in [("tcp", false), ("tcp6", true)] {
        let end = lines(&net.join(name), deadline, |line| match inet(line) {
            Some((state, socket)) => table.add(limit, state, socket),
            None => true,
        });
        match end {
            // A kernel without IPv6 has no such file.
            Some(Incomplete::Unread(Reason::Gone)) if optional => {}
            end => table.incomplete = table.incomplete.or(end),
        }
    }
    table
}

/// The unix stream sockets of that namespace. The file does not tell who is connected to whom.
pub(super) fn unix(net: &Path, limit: usize, deadline: Instant) -> UnixTable {
    let mut sockets = Vec::new();
    let mut full = false;
    let end = lines(&net.join("unix"), deadline, |line| {
        full = sockets.len() >= limit;
        if !full {
            sockets.extend(unix_socket(line));
        }
        !full
    });
    UnixTable {
        sockets,
        source: Source::ProcNet,
        incomplete: if full { Some(Incomplete::Limit) } else { end },
    }
}

/// Hands over each line after the first, until `each` returns false.
fn lines(path: &Path, deadline: Instant, mut each: impl FnMut(&[u8]) -> bool) -> Option<Incomplete> {
    let mut file = match File::open(path) {
        Ok(file) => BufReader::with_capacity(64 << 10, file),
        Err(error) => return Some(Incomplete::Unread(reason_of(&error))),
    };
    let mut line = Vec::new();
    for number in 0usize.. {
        line.clear();
        match file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Some(Incomplete::Unread(reason_of(&error))),
        }
        if number > 0 && !each(&line) {
            break;
        }
        if number.is_multiple_of(LINES_PER_LOOK) && Instant::now() >= deadline {
            return Some(Incomplete::Time);
        }
    }
    None
}

/// `sl local remote state tx:rx timer:when retransmits uid timeout inode …`
pub(super) fn inet(line: &[u8]) -> Option<(u8, Connection)> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = u8::from_str_radix(fields.next()?, 16).ok()?;
    let uid = fields.nth(3)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some((state, Connection { local, remote, inode, uid, state: TcpState::Established }))
}

/// `0100007F:1F90`: the address as words of this machine's byte order, the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0u8; 16];
            for (to, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                to.copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// `address: refcount protocol flags type state inode [path]`
pub(super) fn unix_socket(line: &[u8]) -> Option<UnixSocket> {
    /// `__SO_ACCEPTCON` (include/linux/net.h).
    const LISTENS: u32 = 1 << 16;
    /// `SS_CONNECTED`.
    const CONNECTED: u32 = 3;
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let mut number = |skip: usize, radix: u32| {
        let field = std::str::from_utf8(fields.nth(skip)?).ok()?;
        u64::from_str_radix(field, radix).ok()
    };
    let flags = u32::try_from(number(3, 16)?).ok()?;
    let kind = number(0, 16)?;
    let state = u32::try_from(number(0, 16)?).ok()?;
    let inode = number(0, 10)?;
    let listens = flags & LISTENS != 0;
    let stream = i32::try_from(kind) == Ok(libc::SOCK_STREAM);
    (stream && (listens || state == CONNECTED)).then(|| UnixSocket {
        inode,
        peer: None,
        name: fields.next().and_then(unix_name),
        listens,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::procfs::tests::TempTree;
    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn tables_of_both_families() {
        // As a little-endian machine writes them.
        if cfg!(target_endian = "big") {
            return;
        }
        let tree = TempTree::new();
        let four = format!(
            "{HEAD}   0: 0100007F:1F90 00000000:0000 {} 00000000:00000000 00:00000000 00000000   33        0 4711 1 0 100\n   \
             1: 0A00000A:D431 0B00000A:0050 {} 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0\n   \
             2: 0100007F:0001 0100007F:0002 06 00000000:00000000 00:00000000 00000000  1000        0 0 1 0\n\
             rubbish\n",
            "0A", "01",
        );
        let six = format!(
            "{HEAD}   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1 1\n   \
             1: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000100007F:9000 08 0:0 00:0 0 0 0 2 1\n   \
             2: B80D0120000000000000000001000000:0050 B80D0120000000000000000002000000:9000 05 0:0 00:0 0 0 0 3 1\n"
        );
        tree.file("tcp", four.as_bytes());
        tree.file("tcp6", six.as_bytes());
        let table = tcp(tree.path(), 100, soon());
        let listeners: Vec<String> =
            table.listeners.iter().map(|l| format!("{} {} {}", l.address, l.inode, l.uid)).collect();
        assert_eq!(listeners, ["127.0.0.1:8080 4711 33", "[::]:80 1 0"]);
        let connections: Vec<String> = table
            .connections
            .iter()
            .map(|c| format!("{} {} {} {:?}", c.local, c.remote, c.inode, c.state))
            .collect();
        let want = [
            "10.0.0.10:54321 10.0.0.11:80 4712 Established",
            "127.0.0.1:80 127.0.0.1:36864 2 CloseWait",
            "[2001:db8::1]:80 [2001:db8::2]:36864 3 FinWait",
        ];
        assert_eq!(connections, want);
        assert_eq!(table.incomplete, None);
        assert_eq!(tcp(tree.path(), 2, soon()).incomplete, Some(Incomplete::Limit));
        assert_eq!(tcp(tree.path(), 100, Instant::now()).incomplete, Some(Incomplete::Time));
    }

    #[test]
    fn a_missing_table_has_a_reason() {
        let tree = TempTree::new();
        assert_eq!(tcp(tree.path(), 100, soon()).incomplete, Some(Incomplete::Unread(Reason::Gone)));
        tree.file("tcp", HEAD.as_bytes());
        assert_eq!(tcp(tree.path(), 100, soon()).incomplete, None);
    }

    #[test]
    fn unix_sockets() {
        let tree = TempTree::new();
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
                    ffff8880: 00000002 00000000 00010000 0001 01 1001 /run/app.sock\n\
                    ffff8880: 00000003 00000000 00000000 0001 03  1002 @abstract\n\
                    ffff8880: 00000003 00000000 00000000 0001 03  1003\n\
                    ffff8880: 00000002 00000000 00000000 0002 01  1004 /dev/log\n\
                    ffff8880: 00000002 00000000 00000000 0001 01  1005\n\
                    short\n";
        tree.file("unix", text.as_bytes());
        let table = unix(tree.path(), 100, soon());
        let socket = |inode, name: Option<&str>, listens| UnixSocket {
            inode,
            peer: None,
            name: name.map(str::to_owned),
            listens,
        };
        let want = [
            socket(1001, Some("/run/app.sock"), true),
            socket(1002, Some("@abstract"), false),
            socket(1003, None, false),
        ];
        assert_eq!(table.sockets, want);
        assert_eq!(unix(tree.path(), 1, soon()).incomplete, Some(Incomplete::Limit));
    }

    #[test]
    fn long_lines_are_bounded() {
        let tree = TempTree::new();
        tree.file("tcp", &vec![b'x'; 100_000]);
        let table = tcp(tree.path(), 100, soon());
        assert!(table.listeners.is_empty() && table.connections.is_empty());
    }
}
