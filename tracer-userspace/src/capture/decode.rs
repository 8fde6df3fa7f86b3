//! Records of the ring buffer, as bytes, to [`Event`]s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_common::abi::{
    CloseRecord, Conn, ConnId, DatagramRecord, Header, OpenRecord, ProcessRecord, SegmentRecord, dir, flag,
    kind,
};
use zerocopy::FromBytes;

use crate::event::{
    Counts, Datagram, Direction, Endpoints, Event, Open, ProcessChange, Role, Scene, Segment, Stamp,
};
use crate::time::Nanos;

/// `AF_UNIX` and `AF_INET` (include/linux/socket.h).
const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;

/// Decodes one record. `None` for a record that this version does not know or that is too short.
pub fn event(bytes: &[u8]) -> Option<Event<'_>> {
    let (header, _) = Header::read_from_prefix(bytes).ok()?;
    let stamp = stamp(&header);
    Some(match header.kind {
        kind::SEGMENT => {
            let (record, data) = SegmentRecord::read_from_prefix(bytes).ok()?;
            Event::Segment(Segment {
                conn: record.conn,
                stamp: Stamp { scene: scene(&record), ..stamp },
                dir: if header.dir == dir::TX { Direction::Tx } else { Direction::Rx },
                rx: record.rx,
                tx: record.tx,
                seq: record.seq,
                len: record.len,
                data: data.get(..header.cap as usize)?,
                starts: header.flags & flag::STARTS != 0,
                lost_before: header.flags & flag::LOST_BEFORE != 0,
            })
        }
        kind::OPEN => {
            let (record, _) = OpenRecord::read_from_prefix(bytes).ok()?;
            Event::Open(Box::new(open(&record, stamp)))
        }
        kind::DATAGRAM => {
            let (record, data) = DatagramRecord::read_from_prefix(bytes).ok()?;
            Event::Datagram(datagram(&record, stamp, data)?)
        }
        kind::CLOSE => {
            let (record, _) = CloseRecord::read_from_prefix(bytes).ok()?;
            Event::Counts(Counts {
                conn: record.conn,
                at: stamp.at,
                rx: record.rx,
                tx: record.tx,
                closed: true,
                proto: record.proto,
            })
        }
        kind::FORK | kind::EXEC | kind::EXIT => {
            let (record, _) = ProcessRecord::read_from_prefix(bytes).ok()?;
            let change = match header.kind {
                kind::FORK => ProcessChange::Fork { parent: record.parent },
                kind::EXEC => ProcessChange::Exec,
                _ => ProcessChange::Exit,
            };
            Event::Process { stamp, change, comm: record.comm }
        }
        _ => return None,
    })
}

/// The counts of a table entry, as of `at`.
pub fn counts(sk: u64, conn: &Conn, at: Nanos) -> Counts {
    Counts {
        conn: ConnId { sk, born: conn.born },
        at,
        rx: conn.rx,
        tx: conn.tx,
        closed: false,
        proto: conn.proto,
    }
}

fn stamp(header: &Header) -> Stamp {
    Stamp { at: Nanos(header.ts), tgid: header.tgid, tid: header.tid, ..Stamp::default() }
}

fn scene(record: &SegmentRecord) -> Scene {
    Scene {
        turn: record.turn,
        waker: record.waker,
        woken: Nanos(record.woken),
        waker_turn: record.waker_turn,
        task: record.task,
        parent_task: record.parent_task,
    }
}

fn datagram<'a>(record: &DatagramRecord, stamp: Stamp, data: &'a [u8]) -> Option<Datagram<'a>> {
    let DatagramRecord { header, turn, waker, woken, waker_turn, task, parent_task, .. } = *record;
    let scene = Scene { turn, waker, woken: Nanos(woken), waker_turn, task, parent_task };
    let remote = (address(header.family, record.remote), record.remote_port);
    Some(Datagram {
        sk: record.sk,
        inode: record.inode,
        stamp: Stamp { scene, ..stamp },
        dir: if header.dir == dir::TX { Direction::Tx } else { Direction::Rx },
        local: (address(header.family, record.local), record.local_port),
        remote: (record.remote_port != 0).then_some(remote),
        netns: record.netns,
        len: record.len,
        data: data.get(..header.cap as usize)?,
        refused: header.flags & flag::REFUSED != 0,
    })
}

fn open(record: &OpenRecord, stamp: Stamp) -> Open {
    let flags = record.header.flags;
    let endpoints = match record.header.family {
        AF_UNIX => Endpoints::Unix { peer: record.peer },
        family => Endpoints::Inet {
            local: address(family, record.local),
            local_port: record.local_port,
            remote: address(family, record.remote),
            remote_port: record.remote_port,
        },
    };
    Open {
        conn: record.conn,
        stamp,
        endpoints,
        netns: record.netns,
        inode: record.inode,
        role: if flags & flag::ACTIVE != 0 {
            Role::Active
        } else if flags & flag::PASSIVE != 0 {
            Role::Passive
        } else {
            Role::Unseen
        },
        birth: (record.birth != 0).then_some(Stamp {
            at: Nanos(record.birth),
            tgid: record.birth_tgid,
            tid: record.birth_tid,
            scene: Scene { turn: record.birth_turn, ..Scene::default() },
        }),
        peek: record.peek,
        peek_len: record.peek_len,
    }
}

/// An address; one of IPv4 in IPv6 form (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) becomes plain IPv4.
fn address(family: u8, bytes: [u8; 16]) -> IpAddr {
    if family == AF_INET {
        let [a, b, c, d, ..] = bytes;
        return IpAddr::V4(Ipv4Addr::new(a, b, c, d));
    }
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_common::abi::Progress;
    use zerocopy::IntoBytes;

    fn header(kind: u8) -> Header {
        Header { kind, flags: 0, dir: dir::TX, family: 0, cap: 0, ts: 7, tgid: 10, tid: 11 }
    }

    #[test]
    fn a_segment_carries_its_payload_and_no_more() {
        let progress = Progress { bytes: 5, last: 6, tail: *b"12345678", tid: 7, turn: 8 };
        let record = SegmentRecord {
            header: Header { cap: 3, flags: flag::STARTS, ..header(kind::SEGMENT) },
            conn: ConnId { sk: 1, born: 2 },
            rx: progress,
            tx: Progress::default(),
            seq: 9,
            len: 100,
            turn: 1,
            waker: 2,
            woken: 3,
            waker_turn: 6,
            pad: 0,
            task: 4,
            parent_task: 5,
        };
        let mut bytes = record.as_bytes().to_vec();
        bytes.extend(b"GETslack");
        let Some(Event::Segment(segment)) = event(&bytes) else { panic!("no segment") };
        assert_eq!(segment.data, b"GET");
        assert_eq!((segment.dir, segment.starts, segment.len, segment.seq), (Direction::Tx, true, 100, 9));
        assert_eq!(segment.rx, progress);
        let scene = Scene { turn: 1, waker: 2, woken: Nanos(3), waker_turn: 6, task: 4, parent_task: 5 };
        assert_eq!(segment.stamp, Stamp { at: Nanos(7), tgid: 10, tid: 11, scene });
    }

    #[test]
    fn cut_off_and_unknown_records_are_none() {
        let record = SegmentRecord {
            header: Header { cap: 3, ..header(kind::SEGMENT) },
            conn: ConnId { sk: 1, born: 2 },
            rx: Progress::default(),
            tx: Progress::default(),
            seq: 9,
            len: 100,
            turn: 0,
            waker: 0,
            woken: 0,
            waker_turn: 0,
            pad: 0,
            task: 0,
            parent_task: 0,
        };
        let bytes = record.as_bytes();
        for len in 0..=bytes.len() {
            assert!(event(&bytes[..len]).is_none(), "{len}: the payload is missing in any case");
        }
        assert!(event(header(99).as_bytes()).is_none());
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let mut bytes = [0u8; 16];
        bytes[10..].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
        assert_eq!(address(10, bytes), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}
