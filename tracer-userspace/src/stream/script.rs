//! Conversations of which it is known what must be told of them, in any split into socket calls and with any bytes out of
//! sight. For the property tests and for fuzzing (`test-support`).

use crate::event::Direction::{self, Rx, Tx};
use crate::event::Role;
use crate::exchange::Outcome;
use crate::fuzzed::Input;
use crate::protocol::Limits;
use crate::stream::Streams;
use crate::stream::simulate::{Kernel, Told, Variation, collect};
use crate::time::Nanos;

/// What bodies consist of: all that could be mistaken for messages and chunks.
const BODY: &[u8] = b"0\r\n\r\nGET /inner HTTP/1.1\r\nHost: x\r\n\r\nHTTP/1.1 299 Inner\r\nContent-Length: 0\r\n\r\n5\r\nhello\r\n";

/// With this many bytes of padding a head is still shorter than what is looked at of one.
pub const HEAD_PADDING: u16 = 3_900;

/// Calls of a conversation that a fuzzer chose.
const MAX_CALLS: usize = 500;

/// How a body is framed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Framing {
    /// None, and nothing said of it.
    Absent,
    /// Content-Length.
    Length(u16),
    /// Chunks of these sizes, none of them 0.
    Chunks(Vec<u16>),
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// GET, POST or HEAD.
    pub method: &'static str,
    /// The request's body; not looked at with GET and HEAD.
    pub request: Framing,
    /// The response's body.
    pub response: Framing,
    /// Bytes of a field without meaning, in both heads; more than [`HEAD_PADDING`] does not fit into what is captured of one.
    pub padding: u16,
    /// An interim response comes first.
    pub interim: bool,
}

/// A conversation on one connection, and how it is seen.
#[derive(Clone, Debug)]
pub struct Script {
    /// What is said.
    pub talks: Vec<Talk>,
    /// The observed process is the client.
    pub client: bool,
    /// How many requests are asked before the first of them is answered; 1: one by one.
    pub batch: u8,
    /// Sizes of the calls, over and over; 0 counts as 1. Empty: every message is one call.
    pub cuts: Vec<u16>,
    /// Calls of which only the count is seen: the number of each in order.
    pub hidden: Vec<u8>,
    /// Records that are lost: the number of each in order.
    pub lost: Vec<u8>,
    /// Calls after which calls on other connections may have been missed.
    pub missed: Vec<u8>,
    /// Chunks hold what could be mistaken for messages and chunks. Where their framing is out of sight, the last bytes of a
    /// call, and calls that begin like a message, are all there is to go by: then nobody could tell.
    pub mimicry: bool,
    /// What the kernel side may do one way or another.
    pub variation: Variation,
}

/// What was told of one exchange, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Method.
    pub method: String,
    /// Target.
    pub target: String,
    /// Status.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Bytes of the request.
    pub request: u64,
    /// Bytes of the response, interim ones included.
    pub response: u64,
    /// Part of the request's head was out of sight.
    pub truncated: bool,
}

/// Status of the exchange of this number. Its target says the same number, so that a wrong pair shows.
fn status(number: usize) -> u16 {
    // 204 and 304 have no body, and are among them.
    200 + (number % 300) as u16
}

fn body(framing: &Framing, mimicry: bool, out: &mut Vec<u8>) {
    let content = |len: u16| {
        let text =
            if mimicry || matches!(framing, Framing::Length(_)) { BODY } else { b"\r\nnothing like it" };
        text.iter().copied().cycle().take(usize::from(len))
    };
    match framing {
        Framing::Absent => {}
        Framing::Length(len) => out.extend(content(*len)),
        Framing::Chunks(sizes) => {
            for size in sizes.iter().filter(|size| **size > 0) {
                out.extend_from_slice(format!("{size:x};a=\"b\"\r\n").as_bytes());
                out.extend(content(*size));
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

fn message(first: &str, framing: &Framing, padding: u16, bodiless: bool, mimicry: bool) -> Vec<u8> {
    let mut out = format!("{first}\r\nX-Padding: {}\r\n", "p".repeat(usize::from(padding))).into_bytes();
    match framing {
        Framing::Absent => {}
        Framing::Length(len) => out.extend_from_slice(format!("Content-Length: {len}\r\n").as_bytes()),
        Framing::Chunks(_) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    out.extend_from_slice(b"\r\n");
    if !bodiless {
        body(framing, mimicry, &mut out);
    }
    out
}

impl Talk {
    /// Request and response, in bytes.
    fn bytes(&self, number: usize, mimicry: bool) -> (Vec<u8>, Vec<u8>) {
        let status = status(number);
        let asks = if self.method == "POST" { &self.request } else { &Framing::Absent };
        let request =
            message(&format!("{} /{status} HTTP/1.1", self.method), asks, self.padding, false, mimicry);
        let mut response = if self.interim { b"HTTP/1.1 100 Continue\r\n\r\n".to_vec() } else { Vec::new() };
        let bodiless = self.method == "HEAD" || matches!(status, 204 | 304);
        // What says nothing of its body would end with the connection.
        let answers = if self.response == Framing::Absent { &Framing::Length(0) } else { &self.response };
        response.extend(message(
            &format!("HTTP/1.1 {status} Reason"),
            answers,
            self.padding,
            bodiless,
            mimicry,
        ));
        (request, response)
    }
}

impl Script {
    /// A script out of a fuzzer's choices; `gaps`: bytes may be out of sight.
    pub fn choose(input: &mut Input<'_>, gaps: bool) -> Script {
        let options = input.byte();
        let mut list = |most: u8| -> Vec<u8> {
            let len = input.byte() % most;
            input.take(usize::from(len)).to_vec()
        };
        let cuts =
            list(8).into_iter().map(|cut| u16::from(cut) * (1 + u16::from(options >> 4 & 7))).collect();
        let (hidden, lost, missed) = if gaps { (list(5), list(5), list(3)) } else { Default::default() };
        let mut talks = Vec::new();
        while !input.is_empty() && talks.len() < 12 {
            let kind = input.byte();
            let mut framing = |bits: u8| match bits & 3 {
                0 => Framing::Absent,
                1 => Framing::Length(u16::from(input.byte())),
                2 => Framing::Length(input.word() % 12_000),
                _ => Framing::Chunks((0..input.byte() % 5).map(|_| input.word() % 6_000).collect()),
            };
            let (request, response) = (framing(kind), framing(kind >> 2));
            talks.push(Talk {
                method: ["GET", "POST", "POST", "HEAD"]
                    .get(usize::from(kind >> 4 & 3))
                    .copied()
                    .unwrap_or("GET"),
                request,
                response,
                padding: if kind & 64 != 0 { input.word() % 6_000 } else { 0 },
                interim: kind & 128 != 0,
            });
        }
        let mut script = Script {
            talks,
            client: options & 1 != 0,
            batch: 1 + (options >> 1 & 7),
            cuts,
            hidden,
            lost,
            missed,
            mimicry: false,
            variation: Variation { no_tails: options & 128 != 0, ..Variation::default() },
        };
        // A fuzzer lives of speed: no more calls than that.
        let bytes: usize = script.moves().iter().map(|(_, bytes)| bytes.len()).sum();
        let least = u16::try_from(bytes / MAX_CALLS).unwrap_or(u16::MAX);
        script.cuts.iter_mut().for_each(|cut| *cut = (*cut).max(least));
        script
    }

    /// What must be told if every byte is seen.
    pub fn expected(&self) -> Vec<Summary> {
        let talks = self.talks.iter().enumerate();
        talks
            .map(|(number, talk)| {
                let (request, response) = talk.bytes(number, self.mimicry);
                Summary {
                    method: talk.method.to_owned(),
                    target: format!("/{}", status(number)),
                    status: Some(status(number)),
                    outcome: Some(Outcome::Complete),
                    request: request.len() as u64,
                    response: response.len() as u64,
                    truncated: false,
                }
            })
            .collect()
    }

    /// The messages in the order in which they move.
    fn moves(&self) -> Vec<(Direction, Vec<u8>)> {
        let (asks, answers) = if self.client { (Tx, Rx) } else { (Rx, Tx) };
        let all: Vec<_> =
            self.talks.iter().enumerate().map(|(number, talk)| talk.bytes(number, self.mimicry)).collect();
        let mut moves = Vec::new();
        for batch in all.chunks(usize::from(self.batch.max(1))) {
            moves.extend(batch.iter().map(|(request, _)| (asks, request.clone())));
            moves.extend(batch.iter().map(|(_, response)| (answers, response.clone())));
        }
        moves
    }

    /// The kernel's events. `all`: everything is captured, not only the beginnings of messages.
    pub fn kernel(&self, all: bool) -> Kernel {
        let role = if self.client { Role::Active } else { Role::Passive };
        let mut kernel = Kernel::new(1, role);
        kernel.variation = Variation { all, ..self.variation };
        let mut cuts = self.cuts.iter().map(|cut| usize::from(*cut).max(1)).cycle();
        let mut at = 10;
        let mut calls = 0usize;
        for (dir, bytes) in self.moves() {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (call, more) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
                at += 10;
                if self.hidden.iter().any(|hidden| usize::from(*hidden) == calls) {
                    kernel.sendfile(dir, call.len() as u64, at);
                } else {
                    kernel.call(dir, call, at);
                }
                if self.missed.iter().any(|missed| usize::from(*missed) == calls) {
                    kernel.missed(at);
                }
                calls += 1;
                rest = more;
            }
        }
        kernel.sweep(at + 10);
        self.lost.iter().for_each(|lost| kernel.lose(usize::from(*lost)));
        kernel
    }

    /// Runs it, and checks after every event that the account closes.
    ///
    /// # Panics
    ///
    /// If it does not, or if what is told is not in order.
    pub fn tell(&self, all: bool) -> Vec<Summary> {
        let kernel = self.kernel(all);
        let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::new());
        for event in &kernel.events {
            event.feed(&mut streams, &mut steps);
            assert!(streams.ledger().closes(), "after {event:?}: {:?}", streams.ledger());
        }
        streams.finish(Nanos(1 << 40), &mut steps);
        let ledger = streams.ledger();
        assert!(ledger.closes() && ledger.pending == 0, "{ledger:?}");
        assert_eq!(ledger.seen, kernel.bytes());
        match collect(&steps) {
            Ok(told) => told.iter().map(summary).collect(),
            Err(error) => panic!("{error}"),
        }
    }

    /// The same, with nothing lost and heads that fit into what is captured of one.
    pub fn in_sight(&self) -> Script {
        let mut seen = Script { hidden: Vec::new(), lost: Vec::new(), missed: Vec::new(), ..self.clone() };
        seen.talks.iter_mut().for_each(|talk| talk.padding = talk.padding.min(HEAD_PADDING));
        seen
    }

    /// Every byte is seen: exactly what was said is told.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn check_split(&self) {
        let seen = Script { mimicry: true, ..self.in_sight() };
        assert_eq!(seen.tell(true), seen.expected(), "{self:?}");
    }

    /// Bytes are out of sight: what is told is right, as far as it goes.
    ///
    /// # Panics
    ///
    /// If a response is paired with another's request, or a message whose framing was in sight, or that is said to be
    /// complete, has bytes of another.
    pub fn check_gaps(&self, all: bool) {
        let (told, expected) = (self.tell(all), self.expected());
        let framed = |number: usize, truncated: bool| {
            let chunked = |talk: &Talk| talk.method == "POST" && matches!(talk.request, Framing::Chunks(_));
            !truncated && !self.talks.get(number).is_some_and(chunked)
        };
        // Requests that are hidden behind one whose end was out of sight have responses nobody waits for. That a client sends
        // such a batch is the one thing that cannot be seen (documentation of `http1`).
        let all_asked = self.batch <= 1
            || (told.len() == expected.len()
                && told.iter().enumerate().all(|(number, one)| framed(number, one.truncated)));
        for told in told {
            let found = expected.iter().enumerate().find(|(_, one)| one.target == told.target);
            let Some((number, truth)) = found else { panic!("nobody asked for {told:?}: {self:?}") };
            assert_eq!(told.method, truth.method, "{self:?}");
            assert!(
                told.status.is_none() || told.status == truth.status,
                "a wrong pair: {told:?} of {self:?}"
            );
            if framed(number, told.truncated) {
                assert!(told.request <= truth.request, "bytes of another request: {told:?} of {self:?}");
            }
            if told.outcome == Some(Outcome::Complete) && all_asked {
                assert_eq!(told.response, truth.response, "complete and not right: {told:?} of {self:?}");
            }
        }
    }
}

fn summary(told: &Told) -> Summary {
    let (request, response) = told.end.map_or((0, 0), |(.., request, response)| (request, response));
    Summary {
        method: told.method.to_string(),
        target: told.target.to_string(),
        status: told.status(),
        outcome: told.outcome(),
        request,
        response,
        truncated: told.truncated,
    }
}
