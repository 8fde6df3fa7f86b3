//! Checks what the probes read, on connections of the tracer's own, before the first event of anybody else is believed.
//!
//! An offset that is wrong by a byte is accepted by the verifier and gives plausible nonsense. Here every field that is
//! read has a value known from elsewhere: getsockname, fstat, the bytes themselves, and the other end.

mod calls;
mod unborn;

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tracer_common::abi::{ConnId, mode};

use self::calls::Call;
use super::error::LoadError;
use super::load::Probes;
use crate::event::{Direction, Endpoints, Event, Open};

/// Requests and responses: one for each pair of system calls.
const ROUNDS: usize = Call::ALL.len();
/// After the request of this round, bytes are sent that never were in user memory.
const FILE_ROUND: usize = 1;
/// So many.
const FILE_BYTES: usize = 1000;
const PATIENCE: Duration = Duration::from_millis(500);

/// The request of a round; they are of one length.
fn request(round: usize) -> Vec<u8> {
    format!("GET /tracer-self-check/{round} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// The response of a round; they are of one length. Round [`ROUNDS`] is the goodbye.
fn response(round: usize) -> Vec<u8> {
    format!("HTTP/1.1 204 No Content\r\nRound: {round}\r\n\r\n").into_bytes()
}

struct Seen {
    conn: ConnId,
    dir: Direction,
    seq: u32,
    /// Bytes moved in this direction before.
    before: u64,
    data: Vec<u8>,
    tgid: u32,
    tid: u32,
}

#[derive(Default)]
struct Records {
    opens: Vec<Open>,
    segments: Vec<Seen>,
}

/// Runs all checks and leaves the probes switched off.
pub fn run(probes: &mut Probes) -> Result<(), LoadError> {
    probes.set_mode(mode::SELF_CHECK)?;
    let result = check_tcp(probes, IpAddr::V4(Ipv4Addr::LOCALHOST))
        .and_then(|()| check_ipv6(probes))
        .and_then(|()| check_unix(probes))
        .and_then(|()| unborn::check(probes));
    probes.set_mode(mode::OFF)?;
    probes.drain(|_| {});
    probes.forget_connections();
    result.map_err(LoadError::SelfCheck)
}

/// IPv6 may be switched off; then there is nothing to check and nothing to trace.
fn check_ipv6(probes: &mut Probes) -> Result<(), String> {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => check_tcp(probes, IpAddr::V6(Ipv6Addr::LOCALHOST)),
        Err(_) => Ok(()),
    }
}

fn check_tcp(probes: &mut Probes, ip: IpAddr) -> Result<(), String> {
    let io = |error: std::io::Error| format!("a connection of the tracer's own to {ip} failed: {error}");
    let listener = TcpListener::bind((ip, 0)).map_err(io)?;
    let mut client = TcpStream::connect(listener.local_addr().map_err(io)?).map_err(io)?;
    let (server, _) = listener.accept().map_err(io)?;
    converse(client.as_raw_fd(), server.as_raw_fd(), true).map_err(io)?;
    say_goodbye(&mut client, &server).map_err(io)?;
    let records = collect(probes, 2, 4 * ROUNDS + 2);

    let local = client.local_addr().map_err(io)?;
    let remote = client.peer_addr().map_err(io)?;
    let client_open = find_open(&records, local, remote)?;
    let server_open = find_open(&records, remote, local)?;
    check_inode("the client's socket", client_open, client.as_raw_fd())?;
    check_inode("the server's socket", server_open, server.as_raw_fd())?;
    check_netns(client_open)?;
    if client_open.birth.map(|b| b.tgid) != Some(std::process::id()) {
        return Err("inet_sock_set_state did not show who called connect".to_owned());
    }
    check_conversation(&records, client_open.conn, server_open.conn, true)
}

fn check_unix(probes: &mut Probes) -> Result<(), String> {
    let io = |error: std::io::Error| format!("a unix socket of the tracer's own failed: {error}");
    let (client, server) = UnixStream::pair().map_err(io)?;
    converse(client.as_raw_fd(), server.as_raw_fd(), false).map_err(io)?;
    let records = collect(probes, 2, 4 * ROUNDS);
    let by_inode = |fd| -> Result<&Open, String> {
        let inode = inode_of(fd)?;
        records.opens.iter().find(|open| open.inode == inode).ok_or_else(|| {
            "no record has the inode of the tracer's unix socket (sock.sk_socket, inode.i_ino)".to_owned()
        })
    };
    let (a, b) = (by_inode(client.as_raw_fd())?, by_inode(server.as_raw_fd())?);
    let peer = |open: &Open| match open.endpoints {
        Endpoints::Unix { peer } => peer,
        Endpoints::Inet { .. } | Endpoints::Datagram { .. } => 0,
    };
    if peer(a) != b.conn.sk || peer(b) != a.conn.sk {
        return Err("the two ends of a unix socket do not name each other (unix_sock.peer)".to_owned());
    }
    check_conversation(&records, a.conn, b.conn, false)
}

/// Requests and responses, by every system call on each end.
fn converse(client: RawFd, server: RawFd, tcp: bool) -> std::io::Result<()> {
    for round in 0..ROUNDS {
        let (request, response) = (request(round), response(round));
        Call::turn(round, 0).send(client, &request)?;
        Call::turn(round, 0).receive(server, request.len())?;
        if tcp && round == FILE_ROUND {
            calls::send_file(client, FILE_BYTES)?;
            let mut left = FILE_BYTES;
            while left > 0 {
                let part = left.min(500);
                Call::Plain.receive(server, part)?;
                left -= part;
            }
        }
        Call::turn(round, 1).send(server, &response)?;
        Call::turn(round, 2).receive(client, response.len())?;
    }
    Ok(())
}

/// A response and the end of the stream, received in one call: the FIN has a sequence number too (tcp_sock.rcv_nxt,
/// sock.sk_shutdown).
fn say_goodbye(client: &mut TcpStream, server: &TcpStream) -> std::io::Result<()> {
    Call::Plain.send(server.as_raw_fd(), &response(ROUNDS))?;
    server.shutdown(std::net::Shutdown::Write)?;
    let mut buffer = [0u8; 256];
    client.read(&mut buffer).map(|_| ())
}

/// Waits until that many records came, or patience ends.
fn collect(probes: &mut Probes, opens: usize, segments: usize) -> Records {
    let mut records = Records::default();
    let begun = Instant::now();
    loop {
        probes.drain(|event| match event {
            Event::Open(open) => records.opens.push(*open),
            Event::Segment(s) => records.segments.push(Seen {
                conn: s.conn,
                dir: s.dir,
                seq: s.seq,
                before: if s.dir == Direction::Rx { s.rx.bytes } else { s.tx.bytes },
                data: s.data.to_vec(),
                tgid: s.stamp.tgid,
                tid: s.stamp.tid,
            }),
            Event::Counts(_) | Event::Datagram(_) | Event::Process { .. } | Event::Missed { .. } => {}
        });
        let complete = records.opens.len() >= opens && records.segments.len() >= segments;
        if complete || begun.elapsed() > PATIENCE {
            return records;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn find_open(records: &Records, local: SocketAddr, remote: SocketAddr) -> Result<&Open, String> {
    let wanted = Endpoints::Inet {
        local: local.ip(),
        local_port: local.port(),
        remote: remote.ip(),
        remote_port: remote.port(),
    };
    if let Some(open) = records.opens.iter().find(|open| open.endpoints == wanted) {
        return Ok(open);
    }
    if records.opens.is_empty() {
        return Err(format!(
            "no call on a connection of the tracer's own was seen ({local} to {remote}); \
             sock_common.skc_family, sock.sk_type, sock.sk_protocol or the process id (is this a container \
             without the host's process ids?) may be to blame"
        ));
    }
    let seen: Vec<_> = records.opens.iter().map(|open| format!("{:?}", open.endpoints)).collect();
    Err(format!(
        "the connection {local} to {remote} was read as {} \
         (sock_common.skc_daddr, skc_rcv_saddr, skc_v6_daddr, skc_v6_rcv_saddr, skc_dport, skc_num)",
        seen.join(" and ")
    ))
}

fn inode_of(fd: i32) -> Result<u64, String> {
    let file = std::fs::metadata(format!("/proc/self/fd/{fd}"))
        .map_err(|error| format!("cannot look at a socket of the tracer's own in /proc/self/fd: {error}"))?;
    Ok(file.st_ino())
}

fn check_inode(what: &str, open: &Open, fd: i32) -> Result<(), String> {
    let inode = inode_of(fd)?;
    if open.inode == inode {
        return Ok(());
    }
    Err(format!(
        "{what} has inode {inode} and was read as {} (sock.sk_socket, socket_alloc.vfs_inode, inode.i_ino)",
        open.inode
    ))
}

fn check_netns(open: &Open) -> Result<(), String> {
    let inode = File::open("/proc/self/ns/net").and_then(|file| file.metadata()).map(|meta| meta.st_ino());
    match inode {
        Ok(inode) if u64::from(open.netns) != inode => Err(format!(
            "the network namespace {inode} was read as {} (sock_common.skc_net, net.ns.inum)",
            open.netns
        )),
        // Unreadable: the field only serves to tell namespaces apart.
        _ => Ok(()),
    }
}

fn check_conversation(records: &Records, client: ConnId, server: ConnId, tcp: bool) -> Result<(), String> {
    let of = |conn: ConnId, dir: Direction| -> Vec<&Seen> {
        records.segments.iter().filter(|s| s.conn == conn && s.dir == dir).collect()
    };
    let requests: Vec<_> =
        (0..ROUNDS).map(|round| (request(round), Call::turn(round, 0), Call::turn(round, 0))).collect();
    let mut responses: Vec<_> =
        (0..ROUNDS).map(|round| (response(round), Call::turn(round, 1), Call::turn(round, 2))).collect();
    if tcp {
        responses.push((response(ROUNDS), Call::Plain, Call::Address));
    }
    for (from, to, messages) in [(client, server, &requests), (server, client, &responses)] {
        let (sent, received) = (of(from, Direction::Tx), of(to, Direction::Rx));
        if sent.is_empty() && received.is_empty() {
            return Err(format!("of {} messages none was seen", messages.len()));
        }
        let mut before = 0;
        for (bytes, sends, receives) in messages {
            let a = find_message(&sent, bytes, messages.len(), "sent", sends.sends())?;
            let b = find_message(&received, bytes, messages.len(), "received", receives.receives())?;
            check_message(a, b, before)?;
            before += bytes.len() as u64;
            if tcp && from == client && *bytes == request(FILE_ROUND) {
                before += FILE_BYTES as u64;
            }
        }
        check_steps(&sent, tcp)?;
    }
    Ok(())
}

/// The record of a message.
fn find_message<'a>(
    seen: &[&'a Seen],
    bytes: &[u8],
    count: usize,
    moved: &str,
    call: &str,
) -> Result<&'a Seen, String> {
    if let Some(found) = seen.iter().find(|s| s.data == bytes) {
        return Ok(found);
    }
    if seen.len() < count {
        return Err(format!("a message {moved} with {call} was not seen"));
    }
    Err(format!(
        "the bytes of a message {moved} with {call} were not read back as they were sent (task_struct.files, \
         files_struct.fdt, fdtable.fd, file.private_data, socket.sk, or the saved registers)"
    ))
}

/// Both ends' records of one message, before which `before` bytes had gone the same way.
fn check_message(sent: &Seen, received: &Seen, before: u64) -> Result<(), String> {
    if sent.seq != received.seq {
        return Err(format!(
            "the same byte has sequence number {} at one end and {} at the other \
             (tcp_sock.write_seq, tcp_sock.copied_seq, tcp_sock.rcv_nxt, sock.sk_shutdown)",
            sent.seq, received.seq
        ));
    }
    for seen in [sent, received] {
        if seen.tgid != std::process::id() || seen.tid == 0 {
            return Err(format!("a call of process {} was seen as one of {}", std::process::id(), seen.tgid));
        }
        if seen.before != before {
            return Err(format!(
                "{before} bytes went before a message (some of them with sendfile), and {} were counted",
                seen.before
            ));
        }
    }
    Ok(())
}

/// The sequence number moves by what is sent.
fn check_steps(sent: &[&Seen], tcp: bool) -> Result<(), String> {
    let Some(first) = sent.first() else { return Ok(()) };
    for seen in sent {
        let (moved, counted) =
            (seen.seq.wrapping_sub(first.seq), seen.before.wrapping_sub(first.before) as u32);
        if moved != counted {
            let field = if tcp { "tcp_sock.write_seq" } else { "the byte count" };
            return Err(format!("{field} moved by {moved} for messages of {counted} bytes"));
        }
    }
    Ok(())
}
