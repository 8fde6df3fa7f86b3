//! What a statement does, and to which table: only what its tokens leave no doubt about.

use super::Family;
use super::lexer::{Kind, Token};
use super::verb::{self, BEFORE_GATE, Place};

/// The longest name of a table, with its schema, in bytes.
const MAX_NAME: usize = 160;

/// Where the reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the beginning.
    Start,
    /// Behind WITH: the main statement comes behind a closing parenthesis.
    With,
    /// Before the word behind which the table stands.
    Gate { word: &'static str, needed: bool, anywhere: bool },
    /// Where the table's name begins.
    Name,
    /// Behind a part of the name: `.` goes on.
    Named,
    /// Behind the `.`.
    Dotted,
    /// All is known that will be.
    Done,
}

/// A name that is put together.
struct Name {
    bytes: [u8; MAX_NAME],
    /// All of its bytes; no more than fit are kept.
    len: usize,
}

impl Name {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }
}

/// Reads the tokens of a statement.
pub(super) struct Subject {
    family: Family,
    verb: &'static str,
    /// The table's name; only valid once it is over.
    name: Name,
    has_name: bool,
    state: State,
    /// Words before the name that are none.
    before_name: &'static [&'static str],
    /// Parentheses that are open, and how many were at the verb.
    depth: u32,
    base: u32,
    /// The token before closed a parenthesis.
    closed: bool,
    /// The word before was DISTINCT (of IS DISTINCT FROM).
    distinct: bool,
    /// The table stands behind a FROM, where functions can stand as well.
    may_call: bool,
}

impl Subject {
    pub fn new(family: Family) -> Self {
        Self {
            family,
            verb: "",
            name: Name { bytes: [0; MAX_NAME], len: 0 },
            has_name: false,
            state: State::Start,
            before_name: &[],
            depth: 0,
            base: 0,
            closed: false,
            distinct: false,
            may_call: false,
        }
    }

    /// The next token.
    pub fn token(&mut self, token: &Token<'_>) {
        if self.state == State::Done || token.kind == Kind::Space {
            return;
        }
        let word = if token.kind == Kind::Word { token.bytes } else { b"" };
        match self.state {
            State::Start => self.start(token, word),
            State::With => {
                if self.depth == self.base && self.closed && !word.is_empty() {
                    self.main(word);
                }
            }
            State::Gate { word: gate, needed, anywhere } => self.gate(token, word, gate, needed, anywhere),
            State::Name => self.name(token, word),
            State::Named => self.named(token),
            State::Dotted => self.part(token),
            State::Done => {}
        }
        self.closed = false;
        self.distinct = word.eq_ignore_ascii_case(b"distinct");
        match token.bytes {
            b"(" if token.kind == Kind::Symbol => self.depth = self.depth.saturating_add(1),
            b")" if token.kind == Kind::Symbol => {
                self.depth = self.depth.saturating_sub(1);
                self.closed = true;
                if self.depth < self.base {
                    self.done();
                }
            }
            b";" if token.kind == Kind::Symbol && self.state != State::Start => self.done(),
            _ => {}
        }
    }

    /// The last token, which may be the beginning of another: whichever, a word ends the name before it.
    pub fn cut(&mut self, token: &Token<'_>) {
        if self.state == State::Named && token.kind == Kind::Word {
            self.done();
        }
    }

    /// The verb and the table. `cut`: the statement went on.
    pub fn finish(mut self, cut: bool) -> (&'static str, Option<Box<str>>) {
        if self.state == State::Named && !cut {
            self.has_name = true;
        }
        let name = String::from_utf8_lossy(self.name.bytes.get(..self.name.len).unwrap_or_default());
        let fine = self.has_name && !name.chars().any(char::is_control);
        (self.verb, fine.then(|| Box::from(&*name)))
    }

    fn done(&mut self) {
        if self.state == State::Named {
            self.has_name = true;
        }
        self.state = State::Done;
    }

    /// There is none, or none that is certain.
    fn give_up(&mut self) {
        self.state = State::Done;
    }

    fn start(&mut self, token: &Token<'_>, word: &[u8]) {
        if matches!(token.bytes, b"(" | b";") {
            return;
        }
        self.base = self.depth;
        match verb::find(word) {
            Some(found) if found.name == "WITH" => {
                self.verb = found.name;
                self.state = State::With;
            }
            Some(_) => self.begin(word),
            None => self.give_up(),
        }
    }

    /// Behind WITH: the main statement, if the word is one.
    fn main(&mut self, word: &[u8]) {
        let names = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"];
        if verb::is_one(word, &names) {
            self.begin(word);
            if matches!(self.verb, "SELECT" | "TABLE") {
                // It may name a part of the WITH, which is no table.
                self.give_up();
            }
        }
    }

    fn begin(&mut self, word: &[u8]) {
        let Some(found) = verb::find(word) else { return };
        self.verb = found.name;
        self.before_name = found.before_name(self.family);
        self.state = match found.table.gate(self.family) {
            Some(("", _)) => State::Name,
            Some((word, needed)) => {
                State::Gate { word, needed, anywhere: matches!(found.table, Place::AnyFrom) }
            }
            None => State::Done,
        };
    }

    fn gate(&mut self, token: &Token<'_>, word: &[u8], gate: &'static str, needed: bool, anywhere: bool) {
        let is_gate = gate.as_bytes().eq_ignore_ascii_case(word) && self.depth == self.base;
        if is_gate && !(anywhere && self.distinct) {
            self.may_call = anywhere;
            self.state = State::Name;
        } else if anywhere {
            // A second SELECT, of a UNION: the first had no table.
            if verb::is_one(word, &["UNION", "INTERSECT", "EXCEPT"]) && self.depth == self.base {
                self.give_up();
            }
        } else if !needed {
            self.name(token, word);
        } else if !verb::is_one(word, BEFORE_GATE) {
            self.give_up();
        }
    }

    fn name(&mut self, token: &Token<'_>, word: &[u8]) {
        if verb::is_one(word, self.before_name) {
            return;
        }
        // What may stand there and is no table: a function that returns rows, a keyword before it, MySQL's lack of one.
        let others = ["LATERAL", "ROWS", "DUAL", "BINARY", "SELECT", "WHERE", "SET", "VALUES"];
        if verb::is_one(word, &others) {
            self.give_up();
            return;
        }
        self.part(token);
    }

    fn named(&mut self, token: &Token<'_>) {
        let is = |symbol: &[u8]| token.kind == Kind::Symbol && token.bytes == symbol;
        if is(b".") {
            self.name.push(b'.');
            self.state = State::Dotted;
        } else if is(b"(") && self.may_call {
            self.give_up();
        } else if matches!(token.kind, Kind::Number | Kind::Text | Kind::Mark | Kind::Unsure) {
            // No identifier is followed by one: the name was none.
            self.give_up();
        } else {
            self.done();
        }
    }

    /// A part of the name.
    fn part(&mut self, token: &Token<'_>) {
        let quotes: &[u8] = b"\"`";
        let inner = match (token.kind, token.bytes) {
            (Kind::Word, word) => word,
            (Kind::Name, [open, inner @ .., _]) if !token.open && quotes.contains(open) => inner,
            _ => return self.give_up(),
        };
        let quote = token.bytes.first().copied().filter(|first| quotes.contains(first));
        let mut skip = false;
        for byte in inner {
            // A doubled quote stands for one.
            if Some(*byte) == quote && !skip {
                skip = true;
                continue;
            }
            skip = false;
            self.name.push(*byte);
        }
        self.state = if self.name.len > MAX_NAME || inner.is_empty() { State::Done } else { State::Named };
    }
}
