//! Any conversation on two channels, in any split, joined anywhere and with parts out of sight, at the client's end and the broker's:
//! what is told is right or absent.

use std::collections::VecDeque;

use super::{content, frame, method, text};
use crate::event::Direction::{self, Rx, Tx};
use crate::event::Role;
use crate::protocol::amqp::PATIENCE;
use crate::protocol::amqp::frame::GREETING;
use crate::protocol::scripted::{Line, Part, Script, Told};

/// What a call is answered with.
type Answer = (u32, u16, Vec<u8>);

/// A channel, as both sides know it.
#[derive(Default)]
struct Channel {
    /// Calls that are not answered.
    waiting: VecDeque<Answer>,
    /// Messages that are not confirmed, or not acknowledged, and their numbers.
    published: VecDeque<(u32, u64)>,
    delivered: VecDeque<(u32, u64)>,
    tags: u64,
    confirms: Option<u64>,
    /// The last queue that was declared so that no answer comes, if that may fail still.
    hasty: Option<u32>,
}

struct Talk {
    script: Script,
    client: Direction,
    next: u32,
    channels: [Channel; 2],
}

impl Talk {
    fn server(&self) -> Direction {
        self.client.opposite()
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn below(&mut self, most: u64) -> u64 {
        self.script.dice.below(most)
    }

    /// A call on a channel.
    fn call(&mut self, channel: u16, name: &str, ids: (u16, u16), arguments: &[u8], answer: (u16, Vec<u8>)) {
        let number = self.number();
        let line = Line::new([Part::Asks(number, name.to_owned())], method(channel, ids.0, ids.1, arguments));
        let client = self.client;
        self.script.say(client, &[line]);
        let bytes = method(channel, ids.0, answer.0, &answer.1);
        match channel.checked_sub(1).and_then(|at| self.channels.get_mut(usize::from(at))) {
            Some(known) => known.waiting.push_back((number, ids.0, bytes)),
            None => {
                let server = self.server();
                self.script.say(server, &[Line::new([Part::Answers(number, None)], bytes)]);
            }
        }
    }

    /// Some of what waits on a channel is answered.
    fn answer(&mut self, channel: usize, most: usize) {
        let count = self.channels[channel].waiting.len().min(most);
        let waiting: Vec<Answer> = self.channels[channel].waiting.drain(..count).collect();
        self.channels[channel].hasty.take_if(|hasty| waiting.iter().any(|(number, ..)| *number > *hasty));
        let line = |(number, _, bytes): Answer| Line::new([Part::Answers(number, None)], bytes);
        let lines: Vec<Line> = waiting.into_iter().map(line).collect();
        let server = self.server();
        self.script.say(server, &lines);
    }

    fn open(&mut self, channel: usize) {
        let id = channel as u16 + 1;
        self.channels[channel] = Channel::default();
        self.call(id, "channel.open ", (20, 10), &[0], (11, vec![0; 4]));
        if self.below(2) == 0 {
            self.answer(channel, 9);
        }
        if channel == 1 {
            self.confirm(channel);
        }
        let consume = [&[0, 0][..], &text("q"), &text("ctag"), &[0], &[0; 4]].concat();
        self.call(id, "basic.consume q", (60, 20), &consume, (21, text("ctag")));
        self.answer(channel, 9);
    }

    fn confirm(&mut self, channel: usize) {
        self.call(channel as u16 + 1, "confirm.select ", (85, 10), &[0], (11, Vec::new()));
        self.channels[channel].confirms.get_or_insert(1);
    }

    fn ask(&mut self, channel: usize) {
        let (id, number) = (channel as u16 + 1, self.next);
        match self.below(5) {
            0 => self.call(id, "basic.qos ", (60, 10), &[0; 7], (11, Vec::new())),
            1 => {
                let get = [&[0, 0][..], &text("none"), &[0]].concat();
                self.call(id, "basic.get none", (60, 70), &get, (72, text("")));
            }
            2 => {
                // Nobody answers.
                let number = self.number();
                self.channels[channel].hasty = Some(number);
                let queue = format!("n{number}");
                let declare = [&[0, 0][..], &text(&queue), &[0x10], &[0; 4]].concat();
                let part = Part::Says(number, format!("queue.declare {queue}"));
                let client = self.client;
                self.script.say(client, &[Line::new([part], method(id, 50, 10, &declare))]);
            }
            _ => {
                let queue = format!("q{number}");
                let declare = [&[0, 0][..], &text(&queue), &[0], &[0; 4]].concat();
                let answer = (11, [&text(&queue)[..], &[0; 8]].concat());
                self.call(id, &format!("queue.declare {queue}"), (50, 10), &declare, answer);
            }
        }
    }

    /// The frames of a message, and what its first says of it.
    fn message(&mut self, first: Vec<u8>, channel: usize, part: Part) -> VecDeque<Line> {
        let (Part::Asks(number, _) | Part::Says(number, _)) = part else { panic!("a message asks") };
        let body = vec![0xce; self.below(250) as usize];
        let mut rest = &content(channel as u16 + 1, &[], ["", "", ""], &body)[..];
        let mut lines = VecDeque::from([Line::new([part], first)]);
        while !rest.is_empty() {
            let size = u32::from_be_bytes(rest[3..7].try_into().unwrap()) as usize + 8;
            lines.push_back(Line::new([Part::AsksOn(number)], &rest[..size]));
            rest = &rest[size..];
        }
        lines
    }

    /// A message on each of these channels, frame by frame in turn.
    fn publish(&mut self, channels: &[usize]) {
        let mut all = Vec::new();
        for &channel in channels {
            let number = self.number();
            let key = format!("k{number}");
            let first =
                method(channel as u16 + 1, 60, 40, &[&[0, 0][..], &text("x"), &text(&key), &[0]].concat());
            let waits = self.channels[channel].confirms;
            let of = if waits.is_some() { Part::Asks } else { Part::Says };
            all.push(self.message(first, channel, of(number, format!("publish x/{key}"))));
            if let Some(next) = waits {
                self.channels[channel].published.push_back((number, next));
                self.channels[channel].confirms = Some(next + 1);
            }
        }
        self.in_turn(self.client, all);
    }

    fn in_turn(&mut self, dir: Direction, mut all: Vec<VecDeque<Line>>) {
        let mut lines = Vec::new();
        while all.iter().any(|one| !one.is_empty()) {
            let at = self.below(all.len() as u64) as usize;
            lines.extend(all[at].pop_front());
        }
        self.script.say(dir, &lines);
    }

    fn deliver(&mut self, channels: &[usize]) {
        let mut all = Vec::new();
        for &channel in channels {
            let number = self.number();
            let known = &mut self.channels[channel];
            known.tags += 1;
            let tag = known.tags;
            let key = format!("d{number}");
            let arguments = [&text("ctag")[..], &tag.to_be_bytes(), &[0], &text("x"), &text(&key)].concat();
            let first = method(channel as u16 + 1, 60, 60, &arguments);
            known.delivered.push_back((number, tag));
            let mut lines = self.message(first, channel, Part::Asks(number, format!("receive x/{key}")));
            if self.client == Rx {
                // The broker's end tells nothing of it.
                lines.iter_mut().for_each(|line| line.of.clear());
            }
            all.push(lines);
        }
        self.in_turn(self.server(), all);
    }

    /// One of the two sides has done something with messages: one of them, or all up to one.
    fn settle(&mut self, channel: usize, is_confirm: bool) {
        let (multiple, refuse) = (self.below(3) == 0, self.below(4) == 0);
        let known = &mut self.channels[channel];
        let waiting = if is_confirm { &mut known.published } else { &mut known.delivered };
        if waiting.is_empty() {
            return;
        }
        let at = self.script.dice.below(waiting.len() as u64) as usize;
        let tag = waiting[at].1;
        let settled: Vec<(u32, u64)> =
            if multiple { waiting.drain(..=at).collect() } else { waiting.remove(at).into_iter().collect() };
        let (id, error) = if refuse { (120, Some("nack".to_owned())) } else { (80, None) };
        let parts = settled.into_iter().map(|(number, _)| Part::Ends(number, error.clone()));
        let bytes =
            method(channel as u16 + 1, 60, id, &[&tag.to_be_bytes()[..], &[u8::from(multiple)]].concat());
        let dir = if is_confirm { self.server() } else { self.client };
        self.script.say(dir, &[Line::new(parts, bytes)]);
    }

    /// The server closes a channel, because a call failed or something else did.
    fn fail(&mut self, channel: usize) {
        let id = channel as u16 + 1;
        let failed = self.channels[channel].waiting.front().cloned().filter(|(_, class, _)| *class == 50);
        let (parts, ids) = match failed {
            // It need not be one that waits.
            Some(_) if self.channels[channel].hasty.is_some() => (Vec::new(), [50, 10]),
            Some((number, ..)) => (vec![Part::Answers(number, Some("404".to_owned()))], [50u16, 10]),
            None => (Vec::new(), [60, 40]),
        };
        let arguments =
            [&404u16.to_be_bytes()[..], &text("no"), &ids[0].to_be_bytes(), &ids[1].to_be_bytes()].concat();
        let (client, server) = (self.client, self.server());
        self.script.say(server, &[Line::new(parts, method(id, 20, 40, &arguments))]);
        self.script.say(client, &[Line::new([], method(id, 20, 41, &[]))]);
        self.open(channel);
    }

    fn close(&mut self, channel: usize) {
        self.call(channel as u16 + 1, "channel.close ", (20, 40), &[0, 200, 0, 0, 0, 0, 0], (41, Vec::new()));
        self.answer(channel, usize::MAX);
        self.open(channel);
    }

    fn begin(&mut self) {
        let (client, server) = (self.client, self.server());
        for (dir, bytes) in [
            (client, GREETING.to_vec()),
            (server, method(0, 10, 10, &[0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            (client, method(0, 10, 11, &[0; 16])),
            (server, method(0, 10, 30, &[0; 8])),
            (client, method(0, 10, 31, &[0; 8])),
        ] {
            self.script.say(dir, &[Line::new([], bytes)]);
        }
        self.call(0, "connection.open ", (10, 40), &[1, b'/', 0, 0], (41, vec![0]));
    }

    fn go_on(&mut self) {
        let channel = self.below(2) as usize;
        match self.below(20) {
            0..5 => self.ask(channel),
            5..8 => self.answer(channel, 2),
            8 | 9 => self.publish(&[channel]),
            10 => self.publish(&[0, 1]),
            11 | 12 => self.deliver(&[channel]),
            13 => self.deliver(&[0, 1]),
            14..16 => self.settle(channel, channel == 1),
            16 => self.settle(channel, false),
            17 if channel == 1 => self.confirm(channel),
            17 => {
                let beat = Line::new([], frame(8, 0, &[]));
                let client = self.client;
                self.script.say(client, &[beat]);
            }
            18 => {
                // What may have been missed has been answered.
                self.answer(0, usize::MAX);
                self.answer(1, usize::MAX);
                self.script.stage.now += PATIENCE + 1_000;
                self.channels.iter_mut().for_each(|channel| channel.hasty = None);
            }
            _ if self.below(2) == 0 => self.fail(channel),
            _ => self.close(channel),
        }
    }
}

#[test]
fn conversations_are_told_right_or_not_at_all() {
    let mut found = Told::default();
    for seed in 0..150 {
        let (role, client) = if seed % 2 == 0 { (Role::Active, Tx) } else { (Role::Passive, Rx) };
        let script = Script::new(seed, role);
        let mut talk = Talk { script, client, next: 0, channels: Default::default() };
        talk.begin();
        talk.open(0);
        talk.open(1);
        for _ in 0..60 {
            talk.go_on();
        }
        found += talk.script.check();
    }
    assert!(found.told * 3 > found.asked && found.complete * 4 > found.asked, "{found:?}");
}
