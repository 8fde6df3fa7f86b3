//! Writes a statement's tokens down: each literal as `?`, lists and rows of values as one of them.

use super::lexer::{Kind, Token};
use super::verb::is_one;

/// Brackets within each other of which the lists are folded.
const MAX_DEPTH: usize = 32;

/// Rows of values, as behind VALUES: where the last one stands that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// None are expected.
    No,
    /// The next bracket is the first row.
    Expected,
    /// A row is open that begins there; the one kept before it, if any.
    Open(usize, Option<Row>),
    /// A row is over.
    Done(Row),
    /// A comma behind it.
    Comma(Row),
}

/// A row that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    begin: usize,
    end: usize,
    /// It has nothing but values.
    plain: bool,
}

/// Between two brackets.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// What stands in it are values of one list: IN (...), ARRAY[...].
    is_list: bool,
    /// Behind a value: the length of the text then, and whether a comma came since.
    value: Option<(usize, bool)>,
    rows: Rows,
    /// Nothing but values so far.
    plain: bool,
}

impl Level {
    fn new(is_list: bool) -> Level {
        let rows = if is_list { Rows::Expected } else { Rows::No };
        Level { is_list, value: None, rows, plain: true }
    }
}

/// The text so far.
pub(super) struct Writer {
    out: Vec<u8>,
    limit: usize,
    /// White space came since the last token.
    space: bool,
    /// Outside of all brackets. Most statements have none, and need no memory for them.
    ground: Level,
    levels: Vec<Level>,
    /// Brackets that are too deep to have a level.
    deeper: usize,
    last: Kind,
    /// The last word was IN or ARRAY, and nothing came since.
    list: bool,
    /// A sign came that may belong to a number: the text's length before it, and whether white space came then.
    sign: Option<(usize, bool)>,
    dropped: bool,
}

impl Writer {
    /// For a text of at most `limit` bytes, from a statement of `len`.
    pub fn new(limit: usize, len: usize) -> Self {
        Self {
            out: Vec::with_capacity(len.min(limit)),
            limit,
            space: false,
            ground: Level::new(false),
            levels: Vec::new(),
            deeper: 0,
            last: Kind::Space,
            list: false,
            sign: None,
            dropped: false,
        }
    }

    /// Whether there is more than what can be shown. A row may still be folded, so some more is taken.
    pub fn is_full(&self) -> bool {
        self.out.len() > self.limit.saturating_mul(2)
    }

    /// The next token.
    pub fn token(&mut self, token: &Token<'_>) {
        let sign = self.sign.take();
        match token.kind {
            Kind::Space => {
                self.space = true;
                self.sign = sign;
                return;
            }
            Kind::Unsure => self.value(),
            Kind::Text if self.last == Kind::Text => {}
            Kind::Name if token.open => self.dropped = true,
            Kind::Text | Kind::Number | Kind::Mark => {
                if let Some((len, space)) = sign {
                    self.out.truncate(len);
                    self.space = space;
                }
                self.value();
            }
            Kind::Word => self.word(token.bytes),
            Kind::Name => {
                self.other();
                self.put(token.bytes);
            }
            Kind::Symbol => self.symbol(token.bytes),
        }
        self.space = false;
        self.last = token.kind;
        let is_list = token.kind == Kind::Word && is_one(token.bytes, &["IN", "ARRAY"]);
        self.list = is_list;
    }

    /// The text, and whether it is not all. `cut`: the statement went on.
    pub fn finish(mut self, cut: bool) -> (Box<str>, bool) {
        while matches!(self.out.last(), Some(b';' | b' ')) && !cut {
            self.out.pop();
        }
        let cut = cut || self.dropped || self.out.len() > self.limit;
        if cut {
            let mut room = self.limit.saturating_sub(3).min(self.out.len());
            // Not in the middle of a character.
            while self.out.get(room).is_some_and(|byte| byte & 0xc0 == 0x80) && room > 0 {
                room -= 1;
            }
            self.out.truncate(room);
            self.out.extend_from_slice(b"...");
            self.out.truncate(self.limit);
        }
        let text = String::from_utf8(self.out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let text = if text.chars().any(char::is_control) {
            text.replace(char::is_control, "\u{fffd}")
        } else {
            text
        };
        (bounded(text, self.limit), cut)
    }

    fn level(&mut self) -> Option<&mut Level> {
        if self.deeper > 0 { None } else { Some(self.levels.last_mut().unwrap_or(&mut self.ground)) }
    }

    /// Writes, with white space before it where some was.
    fn put(&mut self, bytes: &[u8]) {
        let joined = matches!(self.out.last(), None | Some(b'(' | b'[' | b' '));
        if self.space && !joined {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(bytes);
    }

    /// What is no value.
    fn other(&mut self) {
        if let Some(level) = self.level() {
            level.value = None;
            level.plain = false;
            level.rows = Rows::No;
        }
    }

    fn value(&mut self) {
        if let Some(Level { is_list: true, value: Some((len, true)), .. }) = self.level() {
            let len = *len;
            self.out.truncate(len);
            if let Some(level) = self.level() {
                level.value = Some((len, false));
            }
            return;
        }
        self.put(b"?");
        let len = self.out.len();
        if let Some(level) = self.level() {
            level.rows = Rows::No;
            level.value = Some((len, false));
        }
    }

    fn word(&mut self, word: &[u8]) {
        let is_value = is_one(word, &["NULL", "DEFAULT", "TRUE", "FALSE"]);
        // MySQL writes VALUES ROW(1, 2), ROW(3, 4).
        let is_row = is_one(word, &["ROW"]);
        let begins_rows = is_one(word, &["VALUES", "VALUE"]);
        if let Some(level) = self.level() {
            level.value = None;
            level.plain &= is_value;
            if begins_rows {
                level.rows = Rows::Expected;
            } else if !is_row {
                level.rows = Rows::No;
            }
        }
        self.put(word);
    }

    fn symbol(&mut self, symbol: &[u8]) {
        match symbol {
            b"(" | b"[" => {
                self.put(symbol);
                self.open();
            }
            b")" | b"]" => {
                self.space = false;
                self.put(symbol);
                self.close();
            }
            b"," => {
                self.space = false;
                if let Some(level) = self.level() {
                    level.value = level.value.map(|(len, _)| (len, true));
                    level.rows = match level.rows {
                        Rows::Done(row) => Rows::Comma(row),
                        _ => Rows::No,
                    };
                }
                self.put(b", ");
            }
            b";" => {
                self.space = false;
                self.other();
                self.put(b";");
            }
            b"-" | b"+" if self.is_before_operand() => {
                self.sign = Some((self.out.len(), self.space));
                self.put(symbol);
            }
            _ => {
                self.other();
                self.put(symbol);
            }
        }
    }

    /// Whether what comes next is an operand, so that a sign is its own.
    fn is_before_operand(&self) -> bool {
        let last = self.out.iter().rev().find(|byte| **byte != b' ');
        self.last == Kind::Symbol
            && last.is_some_and(|last| matches!(last, b'(' | b'[' | b',' | b'=' | b'<' | b'>'))
    }

    fn open(&mut self) {
        let begin = self.out.len().saturating_sub(1);
        let is_list = self.list;
        if let Some(level) = self.level() {
            level.value = None;
            level.rows = match level.rows {
                Rows::Expected => Rows::Open(begin, None),
                Rows::Comma(row) => Rows::Open(begin, Some(row)),
                _ => Rows::No,
            };
        }
        if self.deeper > 0 || self.levels.len() + 1 >= MAX_DEPTH {
            self.deeper += 1;
        } else {
            self.levels.push(Level::new(is_list));
        }
    }

    fn close(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        if self.levels.is_empty() {
            return;
        }
        let Some(closed) = self.levels.pop() else { return };
        let end = self.out.len();
        let level = self.levels.last_mut().unwrap_or(&mut self.ground);
        if let Rows::Open(begin, before) = level.rows {
            let row = Row { begin, end, plain: closed.plain };
            let same = before.filter(|before| {
                (before.plain && row.plain)
                    || self.out.get(before.begin..before.end) == self.out.get(begin..end)
            });
            if let Some(before) = same {
                self.out.truncate(before.end);
            }
            level.rows = Rows::Done(same.unwrap_or(row));
            level.plain &= row.plain;
        } else {
            level.plain = false;
        }
    }
}

/// Replacing what is not UTF-8 makes a text longer.
fn bounded(mut text: String, limit: usize) -> Box<str> {
    if text.len() > limit {
        let mut room = limit.saturating_sub(3);
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        text.truncate(room);
        text.push_str("...");
        text.truncate(limit);
    }
    text.into_boxed_str()
}
