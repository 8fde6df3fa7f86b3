use std::net::IpAddr;

mod random;

use super::message::read;
use crate::event::Role;
use crate::event::{Datagram, Direction, Endpoints, Open, Scene, Stamp};
use crate::exchange::{ExchangeId, Outcome, Side, Step};
use crate::protocol::Limits;
use crate::protocol::rehearse::{Act, Dice, Stage};
use crate::protocol::tally::Skip;
use crate::stream::{Apparent, Streams};
use crate::time::Nanos;
use Direction::{Rx, Tx};

const A: u16 = 1;
const AAAA: u16 = 28;
const SECOND: u64 = 1_000_000_000;

fn name(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

fn message(id: u16, flags: u16, counts: [u16; 3], host: &str, kind: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [id, flags, 1, counts[0], counts[1], counts[2]].iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(name(host));
    bytes.extend([kind.to_be_bytes(), 1u16.to_be_bytes()].concat());
    bytes
}

fn query(id: u16, host: &str, kind: u16) -> Vec<u8> {
    message(id, 0x0100, [0; 3], host, kind)
}

fn answer(id: u16, host: &str, kind: u16, code: u16) -> Vec<u8> {
    message(id, 0x8180 | code, [0; 3], host, kind)
}

const ADDRESS: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\x01\x02\x03\x04";
const EDNS: &[u8] = b"\x00\x00\x29\x05\x00\x00\x00\x00\x00\x00\x00";

/// Some sockets.
struct Host {
    streams: Streams,
    steps: Vec<Step>,
    apparent: Apparent,
    opened: Vec<Open>,
    seen: usize,
    now: u64,
    tid: u32,
}

type Told = (Side, String, Option<(u16, Option<String>)>, Outcome, u64);

impl Host {
    fn new() -> Host {
        Host {
            streams: Streams::new(Limits::default()),
            steps: Vec::new(),
            apparent: Apparent::default(),
            opened: Vec::new(),
            seen: 0,
            now: 100 * SECOND,
            tid: 1,
        }
    }

    fn send(&mut self, socket: u64, dir: Direction, remote: Option<u16>, data: &[u8], refused: bool) {
        let ip = IpAddr::from([127, 0, 0, 1]);
        self.now += 1000;
        let stamp = Stamp { at: Nanos(self.now), tgid: 1, tid: self.tid, scene: Scene::default() };
        let datagram = Datagram {
            sk: socket,
            inode: 10 + socket,
            stamp,
            dir,
            local: (ip, 4000 + socket as u16),
            remote: remote.map(|port| (ip, port)),
            netns: 1,
            len: data.len() as u32,
            data: &data[..data.len().min(512)],
            refused,
        };
        self.streams.on_datagram(&datagram, &mut self.apparent, &mut self.steps);
        self.opened.append(&mut self.apparent.opened);
        self.seen += data.len();
        assert!(self.streams.ledger().closes());
        assert_eq!(self.streams.ledger().seen, self.seen as u64);
    }

    fn tx(&mut self, socket: u64, data: &[u8]) {
        self.send(socket, Tx, Some(53), data, false);
    }

    fn rx(&mut self, socket: u64, data: &[u8]) {
        self.send(socket, Rx, None, data, false);
    }

    fn pass(&mut self, nanos: u64) {
        self.now += nanos;
        self.streams.on_time(Nanos(self.now), false, &mut self.apparent, &mut self.steps);
    }

    /// Side, operation, code and error, outcome and how long it took.
    fn told(&mut self) -> Vec<Told> {
        self.streams.finish(Nanos(self.now), &mut self.steps);
        assert!(self.streams.ledger().closes());
        assert_eq!(self.streams.open_connections(), 0);
        let mut told: Vec<(ExchangeId, u64, Told)> = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            let found = told.iter_mut().find(|(id, ..)| *id == step.id());
            match step {
                Step::Request { id, side, first, head, .. } => {
                    assert!(found.is_none());
                    told.push((id, first.0, (side, head.operation(), None, Outcome::Pending, u64::MAX)));
                }
                Step::Response { head, .. } => {
                    found.unwrap().2.2 = Some((head.status, head.error.map(|error| error.to_string())));
                }
                Step::End { end, outcome, trailer, .. } => {
                    let (_, first, told) = found.unwrap();
                    (told.3, told.4) = (outcome, end.0 - *first);
                    if let Some(error) = trailer.error {
                        told.2 = Some((0, Some(error.to_string())));
                    }
                }
            }
        }
        told.into_iter().map(|(_, _, told)| told).collect()
    }
}

fn fine(side: Side, operation: &str) -> Told {
    (side, operation.to_owned(), Some((0, None)), Outcome::Complete, 1000)
}

#[test]
fn glibc_asks_for_two_at_once_on_one_socket() {
    let mut host = Host::new();
    host.tx(1, &query(7, "db.example", A));
    host.tx(1, &query(8, "db.example", AAAA));
    host.rx(1, &[&answer(8, "db.example", AAAA, 0)[..]].concat());
    host.now -= 1000;
    let mut with_address = message(7, 0x8180, [1, 0, 1], "DB.example", A);
    with_address.extend_from_slice(ADDRESS);
    with_address.extend_from_slice(EDNS);
    host.rx(1, &with_address);
    let told = host.told();
    let first = (Side::Client, "A db.example".to_owned(), Some((0, None)), Outcome::Complete, 2000);
    assert_eq!(told, [first, fine(Side::Client, "AAAA db.example")]);
    assert_eq!(host.streams.ledger().tally.skipped_total(), 0);
}

#[test]
fn both_ends_give_a_lookup_the_same_position_and_know_the_port() {
    let mut host = Host::new();
    host.tx(1, &query(7, "db.example", A));
    host.rx(2, &query(7, "dB.eXample", A));
    host.send(2, Tx, Some(4001), &answer(7, "dB.eXample", A, 3), false);
    host.rx(1, &answer(7, "dB.eXample", A, 3));
    let seqs: Vec<u32> = host
        .steps
        .iter()
        .filter_map(|step| if let Step::Request { seq, .. } = step { Some(*seq) } else { None })
        .collect();
    assert_eq!(seqs[0], seqs[1]);
    let roles: Vec<Role> = host.opened.iter().map(|open| open.role).collect();
    assert_eq!(roles, [Role::Active, Role::Passive]);
    let ports: Vec<(u16, u16)> = host
        .opened
        .iter()
        .map(|open| match open.endpoints {
            Endpoints::Datagram { local_port, remote_port, .. } => (local_port, remote_port),
            _ => panic!("{open:?}"),
        })
        .collect();
    assert_eq!(ports, [(4001, 53), (4002, 0)]);
    let told = host.told();
    // That a name does not exist is an answer.
    assert_eq!(told[0].2, Some((3, None)));
    assert_eq!(told[1].2, Some((3, None)));
}

#[test]
fn what_is_asked_again_is_the_same_lookup_and_what_nobody_answers_is_told() {
    let mut host = Host::new();
    host.tx(1, &query(7, "slow.example", A));
    host.pass(5 * SECOND);
    host.tx(1, &query(7, "slow.example", A));
    host.tx(1, &query(9, "none.example", A));
    host.pass(4 * SECOND);
    host.rx(1, &answer(7, "slow.example", A, 2));
    host.pass(20 * SECOND);
    let told = host.told();
    assert_eq!(told[0].2, Some((2, Some("SERVFAIL".to_owned()))));
    assert_eq!(told[0].4, 9 * SECOND + 3000);
    assert_eq!((told[1].3, told[1].4), (Outcome::Unanswered, 5 * SECOND));
    assert_eq!(told.len(), 2);
}

#[test]
fn who_asks_elsewhere_does_not_wait_here_any_more() {
    let mut host = Host::new();
    host.tx(1, &query(7, "slow.example", A));
    host.pass(2 * SECOND);
    host.tx(2, &query(7, "slow.example", A));
    host.rx(2, &answer(7, "slow.example", A, 0));
    host.pass(20 * SECOND);
    let told = host.told();
    assert_eq!((told[0].3, told[0].4), (Outcome::Unanswered, 2 * SECOND + 1000));
    assert_eq!(told[1], fine(Side::Client, "A slow.example"));
    // Asked of several servers at once, and the first one answers last.
    let mut host = Host::new();
    host.tx(1, &query(7, "a.example", A));
    host.tx(2, &query(7, "a.example", A));
    host.rx(2, &answer(7, "a.example", A, 0));
    host.rx(1, &answer(7, "a.example", A, 0));
    assert!(host.told().iter().all(|told| told.3 == Outcome::Complete));
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let mut host = Host::new();
    host.tx(1, &query(7, "a.example", A));
    host.send(1, Rx, None, &[], true);
    host.send(3, Rx, None, &[], true);
    let refused = Some((0, Some("ECONNREFUSED".to_owned())));
    let expected = (Side::Client, "A a.example".to_owned(), refused, Outcome::Unanswered, 1000);
    assert_eq!(host.told(), [expected]);
}

#[test]
fn answers_of_others_are_not_taken() {
    let mut host = Host::new();
    host.tx(1, &query(7, "a.example", A));
    host.rx(1, &answer(8, "a.example", A, 0));
    host.rx(1, &answer(7, "b.example", A, 0));
    host.rx(1, &answer(7, "a.example", AAAA, 0));
    host.rx(2, &answer(7, "a.example", A, 0));
    host.tx(1, &answer(7, "a.example", A, 0));
    let tally = &host.streams.ledger().tally;
    assert_eq!(tally.unrequested, 5);
    assert!(tally.skipped(Skip::Unrequested) > 100);
    // Without a question it is known by its number, if that is of one only.
    host.tx(1, &query(7, "b.example", A));
    let header = [0, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    host.rx(1, &header);
    host.rx(1, &answer(7, "b.example", A, 0));
    host.rx(1, &header);
    let told = host.told();
    assert_eq!(told[0].2, Some((1, Some("FORMERR".to_owned()))));
    assert_eq!(told[1].2, Some((0, None)));
}

#[test]
fn lost_records_are_no_silence() {
    let mut host = Host::new();
    host.tx(1, &query(7, "a.example", A));
    host.streams.on_time(Nanos(host.now), true, &mut host.apparent, &mut host.steps);
    host.tx(1, &query(8, "a.example", A));
    host.streams.on_missed(Nanos(host.now), &mut host.steps);
    assert!(host.told().iter().all(|told| told.3 == Outcome::ResponseUnseen));
}

#[test]
fn idle_sockets_are_forgotten_and_their_memory_is_anothers() {
    let mut host = Host::new();
    for socket in 0..100 {
        host.tx(socket, &query(7, "a.example", A));
        host.rx(socket, &answer(7, "a.example", A, 0));
    }
    host.tx(500, &query(7, "a.example", A));
    host.pass(4 * SECOND);
    assert_eq!(host.streams.open_connections(), 1);
    assert_eq!(host.apparent.closed.len(), 100);
    host.tx(1, &query(7, "a.example", A));
    assert_eq!(host.opened.len(), 102);
}

#[test]
fn messages_to_everybody_and_of_others_are_no_lookups() {
    let mut host = Host::new();
    host.send(1, Tx, Some(5353), &query(0, "printer.local", A), false);
    host.send(1353, Rx, None, &query(0, "printer.local", A), false);
    host.tx(2, &message(7, 0x0110, [0; 3], "CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 32));
    host.tx(2, &message(7, 0x2800, [0; 3], "a.example", A));
    host.tx(2, b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let skipped = host.streams.ledger().tally.skipped(Skip::NotUnderstood);
    assert_eq!(skipped, host.seen as u64);
    assert!(host.told().is_empty() && host.opened.is_empty());
}

#[test]
fn every_cut_of_a_message_is_refused_and_no_more_than_its_question_is_needed() {
    let mut whole = message(7, 0x8180, [1, 0, 1], "a.b.example", A);
    let question = whole.len();
    whole.extend_from_slice(ADDRESS);
    whole.extend_from_slice(EDNS);
    for len in 0..whole.len() {
        assert!(read(&whole[..len], len).is_none(), "{len}");
        assert_eq!(read(&whole[..len], whole.len()).is_some(), len >= question, "{len}");
    }
    assert!(read(&whole, whole.len()).is_some());
    whole.push(0);
    assert!(read(&whole, whole.len()).is_none());
}

#[test]
fn hostile_names_do_no_harm() {
    let header = |rest: &[u8]| [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], rest].concat();
    let refused = |rest: &[u8]| {
        let bytes = header(rest);
        assert!(read(&bytes, bytes.len()).is_none(), "{rest:?}");
    };
    // An abbreviation that leads to itself; labels that are too long; a name that is.
    refused(b"\xc0\x0c\x00\x01\x00\x01");
    refused(&[&[64][..], &[b'a'; 64], b"\x00\x00\x01\x00\x01"].concat());
    let long: Vec<u8> = [&[63][..], &[b'a'; 63]].concat().repeat(4);
    refused(&[&long[..], b"\x00\x00\x01\x00\x01"].concat());
    let fits = [&long[..192], &[61], &[b'a'; 61], b"\x00\x00\x01\x00\x01"].concat();
    assert_eq!(read(&header(&fits), 12 + fits.len()).unwrap().question.unwrap().name.wire().len(), 255);
    // Records that claim more than there is, and abbreviations in them.
    let mut claims = message(7, 0x8180, [u16::MAX, u16::MAX, u16::MAX], "a", A);
    claims.extend_from_slice(&ADDRESS.repeat(3));
    assert!(read(&claims, claims.len()).is_none());
    let odd = header(b"\x04a.\\\x07\x02\xff \x00\x00\x01\x00\x01");
    assert_eq!(read(&odd, odd.len()).unwrap().question.unwrap().name.text(), "a\\.\\\\\\007.\\255\\032");
    let root = header(b"\x00\x00\x02\x00\x01");
    assert_eq!(read(&root, root.len()).unwrap().question.unwrap().name.text(), ".");
}

#[test]
fn the_upper_bits_of_a_code_are_in_its_edns() {
    let mut bytes = message(7, 0x8187, [0, 0, 1], "a", A);
    bytes.extend_from_slice(b"\x00\x00\x29\x05\x00\x01\x00\x00\x00\x00\x00");
    assert_eq!(read(&bytes, bytes.len()).unwrap().code, 23);
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn words(acts: &[Act]) -> Vec<(String, Option<u16>, Outcome)> {
    acts.iter()
        .map(|act| {
            (act.head.operation(), act.status(), act.end.as_ref().map_or(Outcome::Pending, |end| end.outcome))
        })
        .collect()
}

#[test]
fn over_tcp_messages_come_in_any_split_and_order() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::new(Role::Active);
        let asked = [framed(&query(1, "a.example", A)), framed(&query(2, "a.example", 252))].concat();
        stage.call(Tx, &asked);
        let mut long = message(2, 0x8180, [90, 0, 0], "a.example", 252);
        long.extend_from_slice(&ADDRESS.repeat(90));
        let answers = [framed(&long), framed(&answer(1, "a.example", A, 0))].concat();
        for call in dice.split(&answers) {
            stage.call(Rx, call);
        }
        stage.close();
        let expected = [
            ("A a.example".to_owned(), Some(0), Outcome::Complete),
            ("AXFR a.example".to_owned(), Some(0), Outcome::Complete),
        ];
        assert_eq!(words(&stage.told()), expected, "{seed}");
        assert_eq!(stage.ledger().tally.skipped_total(), 0);
    }
}

#[test]
fn over_tcp_the_length_is_often_read_by_itself() {
    let mut stage = Stage::new(Role::Passive);
    let asked = [framed(&query(1, "a.example", A)), framed(&query(2, "b.example", A))].concat();
    for call in [&asked[..1], &asked[1..2], &asked[2..29], &asked[29..30], &asked[30..31], &asked[31..]] {
        stage.call(Rx, call);
    }
    stage.call(Tx, &framed(&answer(2, "b.example", A, 0)));
    stage.call(Tx, &framed(&answer(1, "a.example", A, 0)));
    stage.close();
    let told = stage.told();
    assert_eq!(words(&told).len(), 2);
    assert!(words(&told).iter().all(|(_, code, outcome)| (*code, *outcome) == (Some(0), Outcome::Complete)));
    // As the other end numbers it: from the length on.
    assert_eq!((told[0].seq, told[1].seq), (u32::MAX - 100, u32::MAX - 100 + 29));
    assert_eq!(told[0].end.as_ref().unwrap().bytes.0, 29);
    assert_eq!(stage.ledger().tally.skipped_total(), 0);
}

#[test]
fn over_tcp_a_gap_ends_what_is_open() {
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &framed(&query(1, "a.example", A)));
    stage.lose(Tx, &framed(&answer(1, "a.example", A, 0)));
    stage.call(Rx, &framed(&query(2, "a.example", A)));
    let told = words(&stage.told());
    assert_eq!(told, [("A a.example".to_owned(), None, Outcome::ResponseUnseen)]);
}

#[test]
fn random_traffic_is_right_or_absent() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut host = Host::new();
        let mut open: Vec<(u64, u16, String, u16)> = Vec::new();
        let mut answered = 0;
        for _ in 0..60 {
            if dice.below(2) == 0 || open.is_empty() {
                let lookup = (dice.below(3), dice.below(4) as u16, format!("h{}.x", dice.below(3)), A);
                if !open.contains(&lookup) {
                    host.tx(lookup.0, &query(lookup.1, &lookup.2, lookup.3));
                    open.push(lookup);
                }
            } else {
                let (socket, id, host_name, kind) = open.swap_remove(dice.below(open.len() as u64) as usize);
                host.rx(socket, &answer(id, &host_name, kind, id));
                answered += 1;
            }
        }
        let told = host.told();
        let complete: Vec<&Told> = told.iter().filter(|told| told.3 == Outcome::Complete).collect();
        assert_eq!((complete.len(), told.len()), (answered, answered + open.len()), "{seed}");
    }
}
