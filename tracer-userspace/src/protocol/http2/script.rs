//! Whole conversations on one connection, out of any bytes: many streams at once, in any order, with every form of header
//! blocks; how the calls are cut; what of them is captured. For the property tests and the fuzz target.

use super::hpack::encoder::Way;
use super::peer::{Form, Peer};
use super::watch::{Told, Watch, is_grpc};
use super::wire;
use crate::event::{Direction, Role};
use crate::exchange::Outcome;
use crate::fuzzed::Input;

/// Streams of one conversation, at most.
const MAX_TALKS: usize = 120;

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Cancelled,
    Refused,
    Forgotten,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
struct Talk {
    id: u32,
    method: &'static str,
    path: String,
    host: &'static str,
    grpc: bool,
    status: &'static str,
    code: &'static str,
    fate: Fate,
    uploads: u8,
    downloads: u8,
    interim: bool,
    /// How far it is: steps taken by each side.
    asked: u8,
    answered: u8,
    /// Where its first byte stands, once it was sent.
    at: Option<usize>,
    /// How many calls had been made when its response's last byte was sent.
    over: Option<usize>,
}

/// A step's bytes, in one direction.
struct Sent {
    dir: Direction,
    bytes: Vec<u8>,
}

/// How many bytes have moved in each direction.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    received: usize,
    sent: usize,
}

impl Totals {
    fn of(&mut self, dir: Direction) -> &mut usize {
        match dir {
            Direction::Rx => &mut self.received,
            Direction::Tx => &mut self.sent,
        }
    }
}

/// A conversation as the client's end sees it (`tx`: requests).
pub(crate) struct Script {
    talks: Vec<Talk>,
    sent: Vec<Sent>,
}

impl Script {
    pub fn new(input: &mut Input<'_>) -> Script {
        let (mut client, mut server) = (Peer::default(), Peer::default());
        let mut script = Script { talks: Vec::new(), sent: Vec::new() };
        client.preface();
        server.settings();
        let mut totals = Totals::default();
        script.flush(&mut client, Direction::Tx, &mut totals);
        script.flush(&mut server, Direction::Rx, &mut totals);
        while !input.is_empty() && script.talks.len() < MAX_TALKS {
            match input.byte() % 8 {
                0..3 => {
                    let talk = talk(input, script.talks.len());
                    script.talks.push(talk);
                    let last = script.talks.len() - 1;
                    script.ask(last, input, &mut client, &mut totals);
                }
                3 | 4 => {
                    let which = script.pick(input);
                    script.ask(which, input, &mut client, &mut totals);
                }
                5 | 6 => {
                    let which = script.pick(input);
                    script.answer(which, input, &mut server, &mut totals);
                }
                _ => {
                    let (peer, dir) = if input.byte() & 1 == 0 {
                        (&mut client, Direction::Tx)
                    } else {
                        (&mut server, Direction::Rx)
                    };
                    match input.byte() % 5 {
                        0 => peer.frame(6, 0, 0, &[7; 8]),
                        1 => peer.frame(8, 0, 0, &[0, 0, 1, 0]),
                        2 => peer.frame(4, 1, 0, &[]),
                        3 => peer.frame(0xb, 0xff, 0, b"an extension"),
                        _ if dir == Direction::Rx => {
                            let fields = [(":method", "GET", Way::USUAL), (":path", "/pushed", Way::USUAL)];
                            peer.promise(1, 2, fields);
                            peer.headers(
                                2,
                                Form { ends: true, ..Form::default() },
                                [(":status", "200", Way::USUAL)],
                            );
                        }
                        _ => peer.frame(2, 0, 1, &[0, 0, 0, 0, 1]),
                    }
                    script.flush(peer, dir, &mut totals);
                }
            }
        }
        // What was begun is finished, in order.
        for which in 0..script.talks.len() {
            for _ in 0..8 {
                script.ask(which, input, &mut client, &mut totals);
                script.answer(which, input, &mut server, &mut totals);
            }
        }
        script
    }

    fn pick(&self, input: &mut Input<'_>) -> usize {
        usize::from(input.byte()) % self.talks.len().max(1)
    }

    fn flush(&mut self, peer: &mut Peer, dir: Direction, totals: &mut Totals) {
        let bytes = peer.take();
        *totals.of(dir) += bytes.len();
        if !bytes.is_empty() {
            self.sent.push(Sent { dir, bytes });
        }
    }

    /// The client's next step of a stream.
    fn ask(&mut self, which: usize, input: &mut Input<'_>, client: &mut Peer, totals: &mut Totals) {
        let calls = self.sent.len();
        let Some(talk) = self.talks.get_mut(which) else { return };
        if talk.over.is_some() {
            return;
        }
        match talk.asked {
            0 => {
                talk.at = Some(totals.sent);
                let form = form(input, talk.uploads == 0);
                let mut fields = vec![
                    (":method", talk.method),
                    (":scheme", "http"),
                    (":path", &talk.path),
                    (":authority", talk.host),
                ];
                if talk.grpc {
                    fields.extend([("content-type", "application/grpc"), ("te", "trailers")]);
                } else {
                    fields.push(("user-agent", "made up"));
                }
                client.headers(talk.id, form, fields.into_iter().map(|(n, v)| (n, v, Way::of(input.byte()))));
            }
            step if step <= talk.uploads => {
                let len = usize::from(input.byte()) * 16;
                client.data(talk.id, len, step == talk.uploads);
            }
            step if step == talk.uploads + 1 && talk.fate == Fate::Cancelled && talk.answered > 0 => {
                client.reset(talk.id, 8);
                talk.over = Some(calls);
            }
            _ => return,
        }
        talk.asked += 1;
        self.flush(client, Direction::Tx, totals);
    }

    /// The server's next step of a stream.
    fn answer(&mut self, which: usize, input: &mut Input<'_>, server: &mut Peer, totals: &mut Totals) {
        let calls = self.sent.len();
        let Some(talk) = self.talks.get_mut(which) else { return };
        if talk.asked == 0 || talk.over.is_some() || talk.fate == Fate::Forgotten {
            return;
        }
        let last = talk.downloads + 1;
        match talk.answered {
            0 if talk.fate == Fate::Refused => {
                server.reset(talk.id, 7);
                talk.over = Some(calls);
            }
            0 => {
                if talk.interim {
                    server.headers(talk.id, Form::default(), [(":status", "103", Way::of(input.byte()))]);
                }
                let ends = talk.fate == Fate::Answered && !talk.grpc && talk.downloads == 0;
                let status = if talk.grpc { "200" } else { talk.status };
                let fields = [(":status", status), ("content-type", "application/grpc"), ("date", "today")];
                let form = form(input, ends);
                server.headers(talk.id, form, fields.map(|(n, v)| (n, v, Way::of(input.byte()))));
                talk.over = ends.then_some(calls);
            }
            step if step < last => {
                let ends = step + 1 == last && !talk.grpc && talk.fate == Fate::Answered;
                server.data(talk.id, usize::from(input.byte()) * 16, ends);
                talk.over = ends.then_some(calls);
            }
            step if step == last && talk.grpc && talk.fate == Fate::Answered => {
                let fields = [("grpc-status", talk.code), ("grpc-message", "secret text")];
                let form = form(input, true);
                server.headers(talk.id, form, fields.map(|(n, v)| (n, v, Way::of(input.byte()))));
                talk.over = Some(calls);
            }
            _ => return,
        }
        talk.answered += 1;
        self.flush(server, Direction::Rx, totals);
    }

    /// The calls, cut or joined with others of their direction, or as they are.
    fn calls(&self, cuts: &[u16]) -> Vec<(Direction, usize, Vec<u8>)> {
        let (mut out, mut totals) = (Vec::new(), Totals::default());
        let mut sizes = cuts.iter().cycle();
        for Sent { dir, bytes } in &self.sent {
            let mut rest: &[u8] = bytes;
            while !rest.is_empty() {
                let size = sizes.next().map_or(rest.len(), |size| usize::from(*size).max(1));
                // Three bytes of the preface alone could be any request's.
                let least = if out.is_empty() { 4 } else { 1 };
                let size = size.max(least).min(rest.len());
                let (part, after) = rest.split_at(size);
                let total = totals.of(*dir);
                out.push((*dir, *total, part.to_vec()));
                *total += size;
                rest = after;
            }
        }
        out
    }

    /// Every byte is seen, in calls of any size: everything is told as it was.
    pub fn check_whole(&self, cuts: &[u16], server: bool) {
        let mut watch = Watch::new(true, if server { Role::Passive } else { Role::Active });
        for (dir, at, bytes) in self.calls(cuts) {
            watch.call(seen_as(dir, server), at as u32, &bytes, bytes.len());
        }
        let told = watch.end(true);
        let asked: Vec<&Talk> = self.talks.iter().filter(|talk| talk.at.is_some()).collect();
        assert_eq!(told.len(), asked.len());
        for told in &told {
            let talk = self.talk_of(told);
            assert_eq!((&*told.head.method, &*told.head.target), (talk.method, &*talk.path));
            assert_eq!(told.head.host.as_deref(), Some(talk.host));
            assert_eq!((is_grpc(told), told.head.truncated), (talk.grpc, false));
            assert_eq!(told.status, talk.told_status(), "{talk:?}");
            assert_eq!((told.outcome, &told.error), (Some(talk.outcome()), &talk.error()), "{talk:?}");
        }
        assert_eq!(watch.tally.malformed, 0);
    }

    /// Of calls some are not captured, or only their beginning, and it may have begun before the tracer came: what is told is
    /// right, or absent.
    pub fn check_holes(&self, cuts: &[u16], server: bool, hidden: &[u8], joined: usize) {
        let role = match (joined, server) {
            (0, true) => Role::Passive,
            (0, false) => Role::Active,
            _ => Role::Unseen,
        };
        let mut watch = Watch::new(joined == 0, role);
        let mut ways = hidden.iter().cycle();
        for (dir, at, bytes) in self.calls(cuts).into_iter().skip(joined) {
            let captured = match ways.next().copied().unwrap_or_default() {
                0..200 => bytes.len(),
                200..220 => 0,
                part => usize::from(part) % (bytes.len() + 1),
            };
            watch.call(seen_as(dir, server), at as u32, &bytes, captured);
        }
        let told = watch.end(false);
        let mut seen = std::collections::BTreeSet::new();
        for told in &told {
            let talk = self.talk_of(told);
            assert!(seen.insert(talk.id), "{} is told twice", talk.id);
            talk.is_right(told);
        }
    }

    /// Joined between two steps, each of which is a call that is captured whole: every request that is made once its direction
    /// has been recognised is told, and how it was answered if the other one had been as well.
    pub fn check_joined(&self, joined: usize, server: bool) {
        let mut watch = Watch::new(false, if server { Role::Passive } else { Role::Active });
        let (mut requests, mut both) = (None, None);
        let mut other = false;
        let calls = self.calls(&[]);
        let joined = joined % (calls.len() + 1);
        let mut sent = 0;
        for (dir, at, bytes) in calls.into_iter().skip(joined) {
            let begins = wire::is_chain(&bytes, bytes.len() as u64) || bytes.starts_with(wire::PREFACE);
            match dir {
                Direction::Tx if begins => _ = requests.get_or_insert(at),
                Direction::Rx => other |= begins,
                Direction::Tx => {}
            }
            watch.call(seen_as(dir, server), at as u32, &bytes, bytes.len());
            sent = if dir == Direction::Tx { at + bytes.len() } else { sent.max(requests.unwrap_or(0)) };
            if other && requests.is_some() {
                both.get_or_insert(sent);
            }
        }
        let told = watch.end(true);
        for talk in &self.talks {
            let since = |from: Option<usize>| from.zip(talk.at).is_some_and(|(from, at)| at >= from);
            if !since(requests) {
                continue;
            }
            let told = told.iter().find(|told| Some(told.seq as usize) == talk.at);
            let told = told.unwrap_or_else(|| panic!("not told: {talk:?}"));
            talk.is_right(told);
            if since(both) {
                assert_eq!(told.outcome, Some(talk.outcome()), "{talk:?} {told:?}");
            }
        }
    }

    fn talk_of(&self, told: &Told) -> &Talk {
        let talk = self.talks.iter().find(|talk| talk.at == Some(told.seq as usize));
        talk.unwrap_or_else(|| panic!("nobody asked: {told:?}"))
    }

    /// How many requests there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.talks.iter().filter(|talk| talk.at.is_some()).count()
    }

    /// How many calls.
    pub fn steps(&self) -> usize {
        self.sent.len()
    }
}

impl Talk {
    fn outcome(&self) -> Outcome {
        match (self.over, self.answered) {
            (Some(_), _) if self.fate == Fate::Answered => Outcome::Complete,
            (_, 0) => Outcome::Unanswered,
            _ if self.fate == Fate::Refused => Outcome::Unanswered,
            _ => Outcome::Aborted,
        }
    }

    fn told_status(&self) -> Option<u16> {
        let is_over = self.over.is_some() && self.fate == Fate::Answered;
        match (self.grpc, self.answered > 0 && self.fate != Fate::Refused) {
            (true, _) => is_over.then(|| self.code.parse().unwrap_or_default()),
            (false, true) => self.status.parse().ok(),
            (false, false) => None,
        }
    }

    fn error(&self) -> Option<String> {
        let error = match self.fate {
            Fate::Cancelled if self.over.is_some() => "CANCEL",
            Fate::Refused if self.over.is_some() => "REFUSED_STREAM",
            _ => return None,
        };
        Some(error.to_owned())
    }

    /// What is told is so, or is not told.
    fn is_right(&self, told: &Told) {
        let head = &told.head;
        assert!(head.method.is_empty() || *head.method == *self.method, "{self:?} {told:?}");
        assert!(head.target.is_empty() || *head.target == *self.path, "{self:?} {told:?}");
        assert!(head.host.as_deref().is_none_or(|host| host == self.host), "{self:?} {told:?}");
        let is_known = !head.method.is_empty() && !head.target.is_empty() && is_grpc(told) == self.grpc;
        assert!(is_known || head.truncated, "{self:?} {told:?}");
        assert!(!is_grpc(told) || self.grpc, "{self:?} {told:?}");
        let status = if self.grpc && !is_grpc(told) { Some(200) } else { self.told_status() };
        assert!(told.status.is_none() || told.status == status, "{self:?} {told:?}");
        if told.outcome == Some(Outcome::Complete) {
            assert_eq!(self.outcome(), Outcome::Complete, "{self:?} {told:?}");
        }
    }
}

fn seen_as(dir: Direction, server: bool) -> Direction {
    match (dir, server) {
        (Direction::Rx, true) => Direction::Tx,
        (Direction::Tx, true) => Direction::Rx,
        (dir, false) => dir,
    }
}

fn talk(input: &mut Input<'_>, number: usize) -> Talk {
    let grpc = input.byte() & 1 == 1;
    Talk {
        id: number as u32 * 2 + 1,
        method: if grpc { "POST" } else { input.of(&["GET", "PUT", "DELETE"]) },
        path: format!("/made.Up/Call{}", input.byte() % 4),
        host: input.of(&["one.example", "two.example:81"]),
        grpc,
        status: input.of(&["200", "404", "302", "503"]),
        code: input.of(&["0", "14", "4", "5"]),
        fate: input.of(&[
            Fate::Answered,
            Fate::Answered,
            Fate::Answered,
            Fate::Cancelled,
            Fate::Refused,
            Fate::Forgotten,
        ]),
        uploads: input.byte() % 3,
        downloads: input.byte() % 3,
        interim: input.byte() & 7 == 7,
        asked: 0,
        answered: 0,
        at: None,
        over: None,
    }
}

fn form(input: &mut Input<'_>, ends: bool) -> Form {
    let bits = input.byte();
    Form {
        ends,
        padding: (bits & 0x30 == 0x30).then(|| input.byte() % 20),
        priority: bits & 0xc0 == 0xc0,
        split: if bits & 0xc == 0xc { usize::from(input.byte() % 9) } else { 0 },
    }
}
