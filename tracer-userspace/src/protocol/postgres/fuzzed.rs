//! Conversations of which parts are hidden: what is told of each request must be its own; and any bytes at all.

use super::Postgres;
use crate::event::{Direction, Mover, Stamp};
use crate::exchange::{Outcome, Step};
use crate::fuzzed::Input;
use crate::protocol::names::Names;
use crate::protocol::tally::Tally;
use crate::protocol::{Bytes, Context, Gap, Limits, Parser, Piece};
use crate::time::Nanos;
use tracer_common::abi::ConnId;

/// A parser, and what it has told.
pub(super) struct Bench {
    pub parser: Postgres,
    pub steps: Vec<Step>,
    pub tally: Tally,
    names: Names,
    limits: Limits,
    unclaimed: u64,
    fed: u64,
    seq: [u32; 2],
    pub clock: u64,
    /// Bytes of a call that are captured.
    pub captured: usize,
    /// Whether the last bytes of a call can be read.
    pub tails: bool,
}

impl Bench {
    /// `whole`: from the connection's beginning. The client is the other end.
    pub fn new(whole: bool) -> Bench {
        let limits = Limits { outstanding: 64, ..Limits::default() };
        Bench {
            parser: Postgres::new(Direction::Rx, whole, None),
            steps: Vec::new(),
            tally: Tally::default(),
            names: Names::new(64),
            limits,
            unclaimed: 0,
            fed: 0,
            seq: [u32::MAX - 50, 9],
            clock: 0,
            captured: usize::MAX,
            tails: true,
        }
    }

    fn with(&mut self, run: impl FnOnce(&mut Postgres, &mut Context<'_>)) {
        let mut cx = Context {
            conn: ConnId { sk: 1, born: 1 },
            out: &mut self.steps,
            tally: &mut self.tally,
            names: &mut self.names,
            limits: &self.limits,
            unclaimed: &mut self.unclaimed,
        };
        run(&mut self.parser, &mut cx);
    }

    /// A call, of which as much is captured as is set.
    pub fn call(&mut self, dir: Direction, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.clock += 1;
        let captured = bytes.get(..self.captured).unwrap_or(bytes);
        let index = usize::from(dir == Direction::Tx);
        let Some(seq) = self.seq.get_mut(index) else { return };
        let first = *seq;
        *seq = seq.wrapping_add(bytes.len() as u32);
        let at = Nanos(self.clock);
        let stamp = Stamp { at, tid: 7, ..Stamp::default() };
        let rest = (bytes.len() - captured.len()) as u64;
        if !captured.is_empty() {
            let piece = Bytes {
                data: captured,
                starts: false,
                ends_call: rest == 0,
                call_len: bytes.len() as u64,
                seq: first,
                stamp,
            };
            self.piece(dir, Piece::Bytes(piece));
        }
        if rest > 0 {
            let mut gap = Gap { len: rest, last: at, by: Mover { tid: 7, turn: 0 }, tail: None };
            self.piece(dir, Piece::Gap(gap));
            if self.tails {
                let mut tail = [0; 8];
                for (to, from) in tail.iter_mut().rev().zip(bytes.iter().rev()) {
                    *to = *from;
                }
                (gap.len, gap.tail) = (0, Some(tail));
                self.piece(dir, Piece::Gap(gap));
            }
        }
    }

    fn piece(&mut self, dir: Direction, piece: Piece<'_>) {
        self.fed += match &piece {
            Piece::Bytes(bytes) => bytes.data.len() as u64,
            Piece::Gap(gap) => gap.len,
        };
        self.with(|parser, cx| parser.feed(cx, dir, piece));
        let counted =
            self.tally.parsed() + self.tally.skipped_total() + self.parser.pending() + self.unclaimed;
        assert_eq!(counted, self.fed, "every byte is counted once");
    }

    /// Calls were missed.
    pub fn lose(&mut self) {
        let at = Nanos(self.clock);
        self.with(|parser, cx| parser.lose(cx, at));
    }

    pub fn end(&mut self, closed: bool) {
        let at = Nanos(self.clock);
        self.with(|parser, cx| parser.end(cx, at, closed));
        let counted = self.tally.parsed() + self.tally.skipped_total() + self.unclaimed;
        assert_eq!((counted, self.parser.pending()), (self.fed, 0));
    }

    /// What was told of each exchange, in the order of the requests.
    pub fn told(&self) -> Vec<Told> {
        let mut all: Vec<Told> = Vec::new();
        for step in &self.steps {
            match step {
                Step::Request { id, head, first, stamp, seq, .. } => {
                    assert_eq!(id.number as usize, all.len());
                    assert!(*first <= stamp.at);
                    let table = head.attributes().first().map(|one| format!("{:?}", one.value));
                    all.push(Told {
                        method: head.method.to_string(),
                        target: head.target.to_string(),
                        host: head.host.as_deref().map(str::to_owned),
                        attribute: table,
                        seq: *seq,
                        first: first.0,
                        truncated: head.truncated,
                        ..Told::default()
                    });
                }
                Step::Response { id, stamp, head, .. } => {
                    let Some(told) = all.get_mut(id.number as usize) else { panic!("{step:?}") };
                    assert!(told.answered.is_none() && told.outcome.is_none(), "{step:?}");
                    told.answered = Some(stamp.at.0);
                    told.error = head.error.as_deref().map(str::to_owned);
                }
                Step::End { id, end, outcome, trailer, .. } => {
                    let Some(told) = all.get_mut(id.number as usize) else { panic!("{step:?}") };
                    assert!(told.outcome.is_none(), "{step:?}");
                    assert!(
                        *outcome != Outcome::Complete || told.answered.is_some_and(|from| from <= end.0),
                        "{step:?}"
                    );
                    (told.outcome, told.end) = (Some(*outcome), end.0);
                    told.error = told.error.take().or_else(|| trailer.error.as_deref().map(str::to_owned));
                }
            }
        }
        all
    }
}

/// An exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub method: String,
    pub target: String,
    pub host: Option<String>,
    pub attribute: Option<String>,
    pub error: Option<String>,
    pub seq: u32,
    pub first: u64,
    pub answered: Option<u64>,
    pub end: u64,
    pub outcome: Option<Outcome>,
    pub truncated: bool,
}

/// A message with its type and length.
pub(super) fn typed(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind], &(content.len() as u32 + 4).to_be_bytes()[..], content].concat()
}

/// A text and its zero byte.
pub(super) fn zero(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

pub(super) fn query(sql: &str) -> Vec<u8> {
    typed(b'Q', &zero(sql))
}

pub(super) fn parse(name: &str, sql: &str) -> Vec<u8> {
    typed(b'P', &[zero(name), zero(sql), vec![0, 0]].concat())
}

pub(super) fn bind(portal: &str, statement: &str, value: &[u8]) -> Vec<u8> {
    let len = (value.len() as u32).to_be_bytes();
    typed(
        b'B',
        &[zero(portal), zero(statement), vec![0, 0, 0, 1], len.to_vec(), value.to_vec(), vec![0, 0]].concat(),
    )
}

pub(super) fn describe(kind: u8, name: &str) -> Vec<u8> {
    typed(b'D', &[vec![kind], zero(name)].concat())
}

pub(super) fn execute(portal: &str) -> Vec<u8> {
    typed(b'E', &[zero(portal), vec![0; 4]].concat())
}

pub(super) fn sync() -> Vec<u8> {
    typed(b'S', b"")
}

pub(super) fn ready() -> Vec<u8> {
    typed(b'Z', b"I")
}

pub(super) fn complete(tag: &str) -> Vec<u8> {
    typed(b'C', &zero(tag))
}

pub(super) fn failure(code: &str) -> Vec<u8> {
    typed(
        b'E',
        &[zero("SERROR"), zero("VERROR"), zero(&format!("C{code}")), zero("Mmessage with a value"), vec![0]]
            .concat(),
    )
}

pub(super) fn row(len: usize) -> Vec<u8> {
    typed(b'D', &[vec![0, 1], (len as u32).to_be_bytes().to_vec(), vec![b'x'; len]].concat())
}

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 {
        any(&mut input);
    } else {
        conversation(&mut input);
    }
}

/// Any calls.
fn any(input: &mut Input<'_>) {
    let mut bench = Bench::new(input.byte() & 1 == 0);
    while !input.is_empty() {
        let dir = input.of(&[Direction::Rx, Direction::Tx]);
        bench.captured = usize::from(input.byte());
        bench.tails = input.byte() & 1 == 0;
        let mut bytes = input.bytes().to_vec();
        match input.byte() % 8 {
            0 => bytes = typed(input.byte(), &bytes),
            1 => bytes = [query("SELECT 1"), bytes].concat(),
            2 => bytes = [bytes, ready()].concat(),
            3 => bench.lose(),
            _ => {}
        }
        bench.call(dir, &bytes);
    }
    bench.end(true);
    bench.told();
}

/// Requests whose answers carry their numbers.
fn conversation(input: &mut Input<'_>) {
    let whole = input.byte() & 1 == 0;
    let mut bench = Bench::new(whole);
    let gaps = input.byte() & 1 == 0;
    // Hidden requests among those that wait are out of reach: see the module's assumptions.
    let pipelines = whole && input.byte() & 3 == 0;
    let (mut asked, mut waiting) = (0u32, Vec::new());
    while !input.is_empty() && asked < 40 {
        let captured = match (gaps, input.byte() % 4) {
            (true, 0) => 64,
            (true, 1) => usize::from(input.byte()),
            _ => usize::MAX,
        };
        bench.captured = if pipelines { usize::MAX } else { captured };
        bench.tails = input.byte() & 7 != 0;
        let (request, answer) = cycle(input, asked);
        asked += 1;
        bench.call(Direction::Rx, &request);
        bench.captured = captured;
        waiting.extend_from_slice(&answer);
        if !pipelines || input.byte() & 1 == 0 {
            let limit = 1 + usize::from(input.word());
            for call in std::mem::take(&mut waiting).chunks(limit) {
                bench.call(Direction::Tx, call);
            }
        }
    }
    bench.call(Direction::Tx, &waiting);
    bench.end(false);
    let told = bench.told();
    if !gaps && whole {
        assert_eq!(told.len(), asked as usize, "{told:?}");
    }
    for one in &told {
        let own =
            one.attribute.as_deref().and_then(|table| table.strip_prefix("Text(\"t")?.strip_suffix("\")"));
        let own: Option<u32> = own.and_then(|own| own.parse().ok());
        match (one.error.as_deref(), own) {
            (Some(code), Some(own)) if code != super::talk::UNKNOWN => {
                assert_eq!(code.parse(), Ok(own), "the error of another: {one:?}");
            }
            // Every third one has no error.
            (None, Some(own)) if one.outcome == Some(Outcome::Complete) => assert_eq!(own % 3, 0, "{one:?}"),
            _ => {}
        }
        if !gaps {
            assert_eq!(one.outcome, Some(Outcome::Complete), "{one:?}");
        }
    }
}

/// A request of the table of its number, and its answer: rows, or an error of that number.
fn cycle(input: &mut Input<'_>, number: u32) -> (Vec<u8>, Vec<u8>) {
    let sql = format!("SELECT a FROM t{number} WHERE b = 'x'");
    let rows = row(usize::from(input.byte()) * 8).repeat(usize::from(input.byte() % 16));
    let end = if number.is_multiple_of(3) { complete("SELECT 5") } else { failure(&format!("{number:05}")) };
    let large = usize::from(input.byte()) * 40;
    let [one, two, three, none] = [b'1', b'2', b'3', b'n'].map(|kind| typed(kind, b""));
    match input.byte() % 5 {
        0 => (query(&sql), [rows, end, ready()].concat()),
        1 => {
            let request =
                [parse("", &sql), bind("", "", &vec![7; large]), describe(b'P', ""), execute(""), sync()];
            (request.concat(), [one, two, none, rows, end, ready()].concat())
        }
        2 => {
            let request = [parse("s", &sql), describe(b'S', "s"), sync()];
            let end = if number.is_multiple_of(3) { none } else { end };
            (request.concat(), [one, typed(b't', &[0, 0]), end, ready()].concat())
        }
        3 => {
            let request =
                [typed(b'C', b"Ss\0"), parse("s", &sql), bind("p", "s", b"1"), execute("p"), sync()];
            (request.concat(), [three, one, two, rows, end, ready()].concat())
        }
        _ => {
            let notice = typed(b'N', b"SNOTICE\0\0");
            (query(&sql), [notice.clone(), typed(b'T', &[0, 0]), rows, notice, end, ready()].concat())
        }
    }
}
