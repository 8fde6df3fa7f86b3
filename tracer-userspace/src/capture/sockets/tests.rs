//! Sockets that the tests open themselves, found by both ways and compared with what the sockets say.

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn inode(fd: &impl AsRawFd) -> u64 {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap();
    link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

/// Other tests of this machine open sockets too; a generous time keeps them from failing these.
fn limits() -> Limits {
    Limits { time: Duration::from_secs(20), ..Limits::default() }
}

fn both_ways() -> [TcpTable; 2] {
    let proc = ProcFs::default();
    let own = tcp_own(&proc, &limits());
    assert_eq!(own.source, Source::SockDiag);
    [own, tcp_of(&proc, std::process::id(), &limits())]
}

fn pair(address: &str) -> (TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind(address).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

fn v6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn listeners_and_connections_are_what_the_sockets_say() {
    let addresses = if v6() { vec!["127.0.0.1:0", "[::1]:0"] } else { vec!["127.0.0.1:0"] };
    for address in addresses {
        let (listener, client, server) = pair(address);
        for table in both_ways() {
            let found = table.listeners.iter().find(|found| found.inode == inode(&listener)).unwrap();
            assert_eq!(found.address, listener.local_addr().unwrap(), "{:?}", table.source);
            for end in [&client, &server] {
                let found = table.connections.iter().find(|found| found.inode == inode(end)).unwrap();
                assert_eq!(found.local, end.local_addr().unwrap(), "{:?}", table.source);
                assert_eq!(found.remote, end.peer_addr().unwrap());
                assert_eq!(found.state, TcpState::Established);
            }
        }
    }
}

#[test]
fn a_dual_stack_listeners_ipv4_connection_is_ipv4() {
    if !v6() {
        return;
    }
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (server, _) = listener.accept().unwrap();
    for table in both_ways() {
        let found = table.connections.iter().find(|found| found.inode == inode(&server)).unwrap();
        assert_eq!(found.local, client.peer_addr().unwrap(), "{:?}", table.source);
        assert_eq!(found.remote, client.local_addr().unwrap());
    }
}

#[test]
fn half_closed_connections_are_still_there() {
    let (_listener, client, mut server) = pair("127.0.0.1:0");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.read(&mut [0; 8]).unwrap(), 0);
    for table in both_ways() {
        let state = |end: &TcpStream| {
            table.connections.iter().find(|found| found.inode == inode(end)).map(|c| c.state)
        };
        assert_eq!(state(&client), Some(TcpState::FinWait), "{:?}", table.source);
        assert_eq!(state(&server), Some(TcpState::CloseWait), "{:?}", table.source);
    }
}

#[test]
fn a_connection_that_nobody_accepted_has_no_inode() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for table in both_ways() {
        let found =
            table.connections.iter().find(|found| found.remote == client.local_addr().unwrap()).unwrap();
        assert_eq!((found.local, found.inode), (listener.local_addr().unwrap(), 0), "{:?}", table.source);
    }
}

#[test]
fn unix_sockets_are_joined_with_their_peers() {
    let (left, right) = UnixStream::pair().unwrap();
    let path = std::env::temp_dir().join(format!("tracer-test-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let table = unix(&ProcFs::default(), &limits());
    let text = tables::unix(std::path::Path::new("/proc/self/net"), 1 << 18, Instant::now() + limits().time);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(table.source, Source::SockDiag);
    let find =
        |table: &UnixTable, inode| table.sockets.iter().find(|found| found.inode == inode).cloned().unwrap();
    assert_eq!(find(&table, inode(&left)).peer, Some(inode(&right)));
    assert_eq!(find(&table, inode(&right)).peer, Some(inode(&left)));
    for table in [&table, &text] {
        let found = find(table, inode(&listener));
        assert_eq!((found.name.as_deref(), found.listens), (path.to_str(), true), "{:?}", table.source);
        assert!(!find(table, inode(&left)).listens);
    }
}

#[test]
fn a_snapshot_knows_who_listens() {
    let (listener, client, _server) = pair("127.0.0.1:0");
    let mut proc = ProcFs::default();
    let me = std::process::id();
    let snapshot = Snapshot::read(&proc, &[me], &limits());
    assert_eq!(snapshot.owners.of(inode(&client)), [me]);
    assert_eq!(snapshot.owners.incomplete, None);
    assert!(snapshot.tcp.contains_key(&proc.facts(me).netns.unwrap()));
    let port = listener.local_addr().unwrap().port();
    assert!(snapshot.listening_ports()[&me].contains(&port));
    assert_eq!(snapshot.namespaces_left_out, 0);
}

#[test]
fn limits_are_kept_and_told() {
    let _pair = pair("127.0.0.1:0");
    let proc = ProcFs::default();
    let table = tcp_own(&proc, &Limits { sockets: 1, ..limits() });
    assert_eq!(
        (table.listeners.len() + table.connections.len(), table.incomplete),
        (1, Some(Incomplete::Limit))
    );
    let table = tcp_own(&proc, &Limits { time: Duration::ZERO, ..limits() });
    assert_eq!(table.incomplete, Some(Incomplete::Time));
}

#[test]
fn names_of_unix_sockets() {
    assert_eq!(unix_name(b"/run/x.sock\0"), Some("/run/x.sock".into()));
    assert_eq!(unix_name(b"\0dbus"), Some("@dbus".into()));
    assert_eq!(unix_name(b""), None);
    assert_eq!(unix_name(&[b'a'; 4096]).unwrap().len(), MAX_UNIX_NAME);
}
