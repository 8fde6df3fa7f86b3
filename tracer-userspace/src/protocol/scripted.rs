//! Conversations of which it is known who answered whom, with parts out of sight by chance: what is told of them must be right or absent.
//!
//! An exchange is known again by the position of its request's first byte, so that not even one that looks the same can stand for it.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Direction, Role};
use crate::exchange::{Outcome, Side};

use super::rehearse::{Act, Dice, Stage};

/// A message of a script.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it is to the exchanges that are told.
    pub of: Vec<Part>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Line {
    /// A message.
    pub fn new(of: impl IntoIterator<Item = Part>, bytes: impl Into<Vec<u8>>) -> Line {
        Line { of: of.into_iter().collect(), bytes: bytes.into() }
    }

    /// Whether an exchange begins with it.
    fn begins(&self) -> bool {
        self.of.iter().any(|part| matches!(part, Part::Asks(..) | Part::Says(..)))
    }

    /// Its first bytes, and the rest.
    fn split(mut self, at: usize) -> (Line, Line) {
        let bytes = self.bytes.split_off(at);
        let on = |part: &Part| match part {
            Part::Asks(number, _) | Part::Says(number, _) | Part::AsksOn(number) => {
                Some(Part::AsksOn(*number))
            }
            Part::Answers(..) => Some(part.clone()),
            Part::Ends(..) => None,
        };
        let of = self.of.iter().filter_map(on).collect();
        (self, Line { of, bytes })
    }
}

/// What a client sends, and what the server says when it has read that, if anything.
pub(crate) type Turn = (Line, Option<Line>);

/// How a client and a server go about a conversation in which answers come in the order of what was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How many exchanges there are.
    pub exchanges: u32,
    /// How many of them the client sends together, on average.
    pub ahead: u64,
    /// Neither waits for the other: some of what is asked is answered, to the middle of an answer, before the client goes on, in the
    /// middle of what it asks. Otherwise all is asked, and then all is answered.
    pub holds: bool,
}

/// What a message is to its exchange.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// It asks: the exchange's number, and what is told of it ([`Act::asked`]).
    Asks(u32, String),
    /// It asks, and waits for no answer.
    Says(u32, String),
    /// More of what asks.
    AsksOn(u32),
    /// It answers that number, or is more of the answer, perhaps with an error.
    Answers(u32, Option<String>),
    /// It ends what is a message, perhaps with an error: its bytes are nobody's.
    Ends(u32, Option<String>),
}

/// An exchange as it was.
#[derive(Clone, Debug, Default)]
struct Truth {
    asked: String,
    waits: bool,
    /// When its first and last byte moved.
    request: (u64, u64),
    response: Option<(u64, u64)>,
    error: Option<String>,
    bytes: (u64, u64),
}

/// How much of a conversation was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Exchanges that there were.
    pub asked: usize,
    /// Those that were told.
    pub told: usize,
    /// Those of which all was told.
    pub complete: usize,
}

impl std::ops::AddAssign for Told {
    fn add_assign(&mut self, other: Told) {
        self.asked += other.asked;
        self.told += other.told;
        self.complete += other.complete;
    }
}

/// A conversation.
pub(crate) struct Script {
    pub stage: Stage,
    pub dice: Dice,
    is_gentle: bool,
    is_joined: bool,
    /// Bytes that move before the tracer comes.
    hidden: u64,
    is_first: bool,
    /// By the position of the first byte.
    truths: BTreeMap<u32, Truth>,
    places: BTreeMap<u32, u32>,
}

impl Script {
    /// Another one for each number. A third of them lose nothing, and of those that may, half are joined, mostly within a message.
    pub fn new(seed: u64, whole: Role) -> Script {
        let mut dice = Dice::new(seed);
        let is_gentle = seed.is_multiple_of(3);
        let is_joined = !is_gentle && dice.below(2) == 0;
        Script {
            stage: Stage::new(if is_joined { Role::Unseen } else { whole }),
            hidden: if is_joined { dice.below(1500) } else { 0 },
            is_gentle,
            is_joined,
            is_first: true,
            dice,
            truths: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }

    /// Whether the tracer has not come yet.
    pub fn is_hidden(&self) -> bool {
        self.hidden > 0
    }

    /// Whether the tracer came later than the connection began.
    pub fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// What is played so is in sight.
    pub fn in_sight(&mut self, play: impl FnOnce(&mut Script)) {
        let is_gentle = std::mem::replace(&mut self.is_gentle, true);
        play(self);
        self.is_gentle = is_gentle;
    }

    /// Messages that are sent one behind the other, in calls that begin and end anywhere. The first call of all shows which protocol it is,
    /// if nothing may be lost.
    pub fn say(&mut self, dir: Direction, lines: &[Line]) {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| line.bytes.iter().copied()).collect();
        let mut calls = if std::mem::take(&mut self.is_first) && self.is_gentle {
            vec![&bytes[..]]
        } else {
            self.dice.split(&bytes)
        };
        let joined = usize::try_from(self.hidden).unwrap_or(0).min(bytes.len());
        self.hidden -= joined as u64;
        if joined > 0 {
            // What was begun before goes on with a call of its own.
            calls = self.dice.split(&bytes[joined..]);
        }
        let (mut at, from) = (joined, self.stage.seq(dir).wrapping_sub(joined as u32));
        // Where each call ends, and when it was.
        let mut ends = Vec::new();
        for call in calls {
            if !self.is_gentle && self.dice.below(400) == 0 {
                self.stage.missed();
            }
            at += call.len();
            ends.push((at, self.stage.now));
            self.stage.play(&mut self.dice, self.is_gentle, dir, call);
        }
        let when = |byte: usize| ends.iter().find(|(end, _)| byte < *end).map_or(0, |(_, now)| *now);
        let mut begin = 0;
        for line in lines {
            let end = begin + line.bytes.len();
            let (moved, len) = ((when(begin), when(end - 1)), line.bytes.len() as u64);
            for part in &line.of {
                self.learn(part, from.wrapping_add(begin as u32), moved, len);
            }
            begin = end;
        }
    }

    /// A conversation with a server that answers in order. `exchange` makes the one of a number.
    pub fn converse(
        &mut self,
        client: Direction,
        pace: Pace,
        mut exchange: impl FnMut(&mut Script, u32) -> Vec<Turn>,
    ) {
        let (mut asks, mut answers) = (VecDeque::new(), VecDeque::new());
        for number in 0..pace.exchanges {
            asks.extend(exchange(self, number));
            if self.dice.below(pace.ahead) == 0 {
                self.go_on(client, pace.holds, (&mut asks, &mut answers));
            }
        }
        self.go_on(client, false, (&mut asks, &mut answers));
    }

    /// The client asks, and the server answers, some or all of what there is.
    fn go_on(
        &mut self,
        client: Direction,
        holds: bool,
        (asks, answers): (&mut VecDeque<Turn>, &mut VecDeque<Line>),
    ) {
        let some = |script: &mut Script, of: usize| {
            if holds { script.dice.below(of as u64 + 1) as usize } else { of }
        };
        let count = some(self, asks.len());
        let (mut lines, replies): (Vec<Line>, Vec<Option<Line>>) = asks.drain(..count).unzip();
        // Within its first message: of one that begins with a call, nobody could tell that it is not the first.
        if holds
            && asks.front().is_some_and(|(line, _)| line.begins() && line.bytes.len() > 9)
            && self.dice.below(4) == 0
            && let Some((line, answer)) = asks.pop_front()
        {
            let (begun, rest) = line.split(1 + self.dice.below(9) as usize);
            lines.push(begun);
            asks.push_front((rest, answer));
        }
        self.say(client, &lines);
        answers.extend(replies.into_iter().flatten());
        let count = some(self, answers.len());
        let mut lines: Vec<Line> = answers.drain(..count).collect();
        if holds
            && answers.front().is_some_and(|line| line.bytes.len() > 1)
            && self.dice.below(4) == 0
            && let Some(line) = answers.pop_front()
        {
            let at = 1 + self.dice.below(line.bytes.len() as u64 - 1) as usize;
            let (begun, rest) = line.split(at);
            lines.push(begun);
            answers.push_front(rest);
        }
        self.say(client.opposite(), &lines);
    }

    fn learn(&mut self, part: &Part, seq: u32, moved: (u64, u64), len: u64) {
        if let Part::Asks(number, asked) | Part::Says(number, asked) = part {
            let waits = matches!(part, Part::Asks(..));
            let truth =
                Truth { asked: asked.clone(), waits, request: moved, bytes: (len, 0), ..Truth::default() };
            self.truths.insert(seq, truth);
            self.places.insert(*number, seq);
            return;
        }
        let (Part::AsksOn(number) | Part::Answers(number, _) | Part::Ends(number, _)) = part else { return };
        let Some(truth) = self.places.get(number).and_then(|place| self.truths.get_mut(place)) else {
            return;
        };
        match part {
            Part::Answers(_, error) | Part::Ends(_, error) => {
                truth.response = Some((truth.response.map_or(moved.0, |(first, _)| first), moved.1));
                truth.error = truth.error.take().or(error.clone());
                truth.bytes.1 += if matches!(part, Part::Ends(..)) { 0 } else { len };
            }
            _ => {
                truth.request.1 = moved.1;
                truth.bytes.0 += len;
            }
        }
    }

    /// What was told, compared with what was.
    ///
    /// # Panics
    ///
    /// If something was told that was not so; or not everything, though nothing was lost.
    pub fn check(&mut self) -> Told {
        let all = self.stage.told();
        let (mut seen, mut found) = (Vec::new(), Told { asked: self.truths.len(), ..Told::default() });
        for act in &all {
            let Some(truth) = self.truths.get(&act.seq) else { panic!("nobody asked this: {act:?}") };
            assert!(!seen.contains(&act.seq), "told twice: {act:?}");
            seen.push(act.seq);
            found.told += 1;
            let is_over = !truth.waits || truth.response.is_some();
            let is_whole = compare(act, truth, self.is_gentle);
            found.complete += usize::from(is_whole);
            assert!(!self.is_gentle || is_whole == is_over, "nothing was lost: {act:?}: {truth:?}");
        }
        assert!(!self.is_gentle || found.told == found.asked, "nothing was lost: {all:?}");
        found
    }
}

/// Whether all of an exchange was told.
fn compare(act: &Act, truth: &Truth, is_gentle: bool) -> bool {
    let what = || format!("{act:?}, in truth {truth:?}");
    assert_eq!(act.asked(), truth.asked, "{}", what());
    let within = |at: u64, (first, last): (u64, u64)| (first..=last).contains(&at);
    // Of what is only counted it is known that it moved no later than the last of all that was.
    let since = |at: u64, (first, last): (u64, u64)| at >= first && (!is_gentle || at <= last);
    let is_taken = act.head.is_message && act.side == Side::Server;
    let begins =
        if is_taken { since(act.first.0, truth.request) } else { within(act.first.0, truth.request) };
    assert!(begins, "it began otherwise: {}", what());
    if let Some((head, at)) = &act.response {
        assert!(
            truth.response.is_some_and(|response| within(at.0, response)),
            "another's answer: {}",
            what()
        );
        assert!(head.error.is_none() || head.error.as_deref() == truth.error.as_deref(), "{}", what());
    }
    let Some(end) = act.end.as_ref().filter(|end| end.outcome == Outcome::Complete) else { return false };
    let Some(last) = truth.response else {
        // A message may be over for all that is known.
        assert!(!truth.waits || act.head.is_message, "nobody answered: {}", what());
        assert!(since(end.at.0, truth.request), "it ended otherwise: {}", what());
        assert_eq!(end.bytes, truth.bytes, "{}", what());
        return !truth.waits;
    };
    if act.head.is_message && act.response.is_none() && end.at == end.asked {
        return false;
    }
    assert_eq!(act.error(), truth.error.as_deref(), "{}", what());
    assert_eq!(end.bytes, truth.bytes, "{}", what());
    assert!(since(end.at.0, last), "it ended otherwise: {}", what());
    assert!(!is_gentle || act.response.is_none() || end.at.0 == last.1, "it ended otherwise: {}", what());
    true
}
