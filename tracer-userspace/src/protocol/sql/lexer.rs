//! Cuts a statement into tokens, by the rules of a dialect. Every byte is in exactly one token.

use super::{Backslash, Dialect, Family};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// White space, control characters, comments.
    Space,
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in quotes.
    Name,
    /// A string of any kind, its prefix among it.
    Text,
    /// A number.
    Number,
    /// A placeholder.
    Mark,
    /// Any other byte.
    Symbol,
    /// What stands here depends on what is not known. Nothing follows that could be read.
    Unsure,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The statement ends before the token does.
    pub open: bool,
}

/// Goes through a statement.
pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    dialect: Dialect,
    /// The byte before.
    before: u8,
    /// The token before was a string with escapes, which goes on in the next string (PostgreSQL).
    escaped: bool,
    /// Within `/*! ... */`, of which it is not known whether the server takes it for a comment.
    optional: bool,
}

/// How long a token is, and what.
struct Found(Kind, usize, bool);

impl<'a> Lexer<'a> {
    pub fn new(dialect: Dialect, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, dialect, before: b' ', escaped: false, optional: false }
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next token.
    pub fn next(&mut self) -> Option<Token<'a>> {
        let first = *self.rest.first()?;
        let Found(kind, len, open) = self.find(first);
        let (bytes, rest) = self.rest.split_at_checked(len.max(1)).unwrap_or((self.rest, b""));
        self.rest = rest;
        self.before = bytes.last().copied().unwrap_or(b' ');
        if !matches!(kind, Kind::Space | Kind::Text) {
            self.escaped = false;
        }
        let ends_option = bytes == b"*/";
        if ends_option {
            self.optional = false;
        }
        // As a comment it would end here, as a part of the statement it goes on.
        let unsure = self.optional && !ends_option && contains(bytes, b"*/");
        Some(Token { kind: if unsure { Kind::Unsure } else { kind }, bytes, open })
    }

    fn is(&self, family: Family) -> bool {
        self.dialect.family == family
    }

    fn find(&mut self, first: u8) -> Found {
        let rest = self.rest;
        match first {
            b'\'' => self.string(0, b'\''),
            b'"' if self.is(Family::MySql) => self.string(0, b'"'),
            b'"' => name(rest, 0, b'"'),
            b'`' if self.is(Family::MySql) => name(rest, 0, b'`'),
            b'-' if rest.starts_with(b"--") && self.is_line_comment() => line(rest),
            b'#' if self.is(Family::MySql) => line(rest),
            b'/' if rest.starts_with(b"/*") => self.comment(),
            b'*' if self.optional && rest.starts_with(b"*/") => Found(Kind::Space, 2, false),
            b'0'..=b'9' => Found(Kind::Number, self.number(), false),
            b'.' if rest.get(1).is_some_and(u8::is_ascii_digit) && !ends_operand(self.before) => {
                Found(Kind::Number, self.number(), false)
            }
            b'$' if self.is(Family::PostgreSql) => dollar(rest),
            b':' if !ends_operand(self.before) && self.before != b':' => match rest.get(1) {
                Some(next) if is_word(*next) => Found(Kind::Mark, 1 + word(rest.get(1..)), false),
                _ => Found(Kind::Symbol, 1, false),
            },
            b'%' if !ends_operand(self.before) => Found::format(rest),
            b'?' if self.is(Family::MySql) => Found(Kind::Mark, 1, false),
            _ if is_word(first) => self.word(),
            _ if first.is_ascii_whitespace() || first.is_ascii_control() => {
                let len = rest.iter().take_while(|b| b.is_ascii_whitespace() || b.is_ascii_control()).count();
                Found(Kind::Space, len, false)
            }
            _ => Found(Kind::Symbol, 1, false),
        }
    }

    /// MySQL wants white space behind `--`.
    fn is_line_comment(&self) -> bool {
        self.is(Family::PostgreSql)
            || self.rest.get(2).is_none_or(|next| next.is_ascii_whitespace() || next.is_ascii_control())
    }

    fn word(&mut self) -> Found {
        let len = word(Some(self.rest));
        let (prefix, after) = self.rest.split_at_checked(len).unwrap_or((self.rest, b""));
        let is = |text: &[u8]| prefix.eq_ignore_ascii_case(text);
        match after {
            [b'\'', ..] if is(b"e") && self.is(Family::PostgreSql) => {
                self.escaped = true;
                self.string(len, b'\'')
            }
            [b'\'', ..] if [&b"b"[..], b"x", b"n"].into_iter().any(is) => self.string(len, b'\''),
            [quote @ (b'\'' | b'"'), ..] if prefix.starts_with(b"_") && self.is(Family::MySql) => {
                self.string(len, *quote)
            }
            [b'&', b'\'', ..] if is(b"u") && self.is(Family::PostgreSql) => {
                string(self.rest, len + 1, b'\'', Backslash::Plain)
            }
            [b'&', b'"', ..] if is(b"u") && self.is(Family::PostgreSql) => name(self.rest, len + 1, b'"'),
            _ => Found(Kind::Word, len, false),
        }
    }

    /// A number, and whatever is joined to it: `0x1f`, `1e-5`, `1_000`, and what is no number in any dialect.
    fn number(&self) -> usize {
        let is_hex = self.rest.starts_with(b"0x") || self.rest.starts_with(b"0X");
        let quotes_dollars = self.is(Family::PostgreSql);
        let mut before = b'0';
        let goes_on = |byte: &&u8| {
            let is_sign = matches!(**byte, b'+' | b'-') && matches!(before, b'e' | b'E') && !is_hex;
            before = **byte;
            **byte == b'.' || is_sign || (is_word(**byte) && !(quotes_dollars && **byte == b'$'))
        };
        self.rest.iter().take_while(goes_on).count()
    }

    /// A string whose opening quote stands at `at`.
    fn string(&self, at: usize, quote: u8) -> Found {
        let backslash = if self.escaped { Backslash::Escapes } else { self.dialect.backslash };
        string(self.rest, at, quote, backslash)
    }

    fn comment(&mut self) -> Found {
        let rest = self.rest;
        if self.is(Family::MySql) {
            let start = if rest.starts_with(b"/*M!") { 4 } else { 3 };
            if start == 4 || rest.starts_with(b"/*!") {
                self.optional = true;
                let version =
                    rest.iter().skip(start).take(6).take_while(|byte| byte.is_ascii_digit()).count();
                return Found(Kind::Space, start + version, false);
            }
        }
        let (mut at, mut depth) = (2, 1usize);
        while depth > 0 {
            match rest.get(at..) {
                Some([b'*', b'/', ..]) => (at, depth) = (at + 2, depth - 1),
                Some([b'/', b'*', ..]) if self.is(Family::PostgreSql) => (at, depth) = (at + 2, depth + 1),
                Some([_, ..]) => at += 1,
                _ => return Found(Kind::Space, rest.len(), true),
            }
        }
        Found(Kind::Space, at, false)
    }
}

impl Found {
    /// `%s` and `%(name)s`, which some libraries replace before they send.
    fn format(rest: &[u8]) -> Found {
        let start = match rest.get(1) {
            Some(b'(') => {
                let name = word(rest.get(2..));
                if name > 0 && rest.get(2 + name) == Some(&b')') { name + 3 } else { 0 }
            }
            _ => 1,
        };
        let is_mark = start > 0 && rest.get(start) == Some(&b's') && word(rest.get(start..)) == 1;
        if is_mark { Found(Kind::Mark, start + 1, false) } else { Found(Kind::Symbol, 1, false) }
    }
}

/// Whether an identifier may consist of it. Bytes beyond ASCII are letters in both dialects.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// Whether an operand ends with it: then no other begins without an operator or white space between.
fn ends_operand(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b')' | b']' | b'"' | b'`' | b'\'')
}

fn word(rest: Option<&[u8]>) -> usize {
    rest.unwrap_or_default().iter().take_while(|byte| is_word(**byte)).count()
}

/// To the end of the line.
fn line(rest: &[u8]) -> Found {
    match memchr::memchr2(b'\n', b'\r', rest) {
        Some(end) => Found(Kind::Space, end, false),
        None => Found(Kind::Space, rest.len(), false),
    }
}

/// An identifier whose opening quote stands at `at`; a doubled quote is one of its characters.
fn name(rest: &[u8], at: usize, quote: u8) -> Found {
    match string(rest, at, quote, Backslash::Plain) {
        Found(_, len, open) => Found(Kind::Name, len, open),
    }
}

/// A string whose opening quote stands at `at`.
fn string(rest: &[u8], at: usize, quote: u8, backslash: Backslash) -> Found {
    let mut at = at + 1;
    let mut read = at;
    loop {
        let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) else {
            return Found(Kind::Text, rest.len(), true);
        };
        at += found;
        if rest.get(at) == Some(&quote) {
            if rest.get(at + 1) != Some(&quote) {
                return Found(Kind::Text, at + 1, false);
            }
            at += 2;
            continue;
        }
        if backslash == Backslash::Plain {
            at += 1;
            continue;
        }
        // In some encodings of East Asia a backslash is the second byte of a letter, and escapes nothing.
        let is_foreign = is_foreign(rest.get(read..at).unwrap_or_default());
        let decides = backslash == Backslash::Unknown && rest.get(at + 1) == Some(&quote);
        if is_foreign || decides {
            return Found(Kind::Unsure, rest.len(), true);
        }
        at += 2;
        read = at;
    }
}

/// Whether a text, of which the last byte is no ASCII, is in another encoding than UTF-8.
fn is_foreign(text: &[u8]) -> bool {
    text.last().is_some_and(|byte| !byte.is_ascii()) && std::str::from_utf8(text).is_err()
}

/// `$1`, `$tag$ ... $tag$`, or a lonely `$`.
fn dollar(rest: &[u8]) -> Found {
    let after = rest.get(1..).unwrap_or_default();
    let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return Found(Kind::Mark, 1 + digits, false);
    }
    let tag = after.iter().take_while(|byte| is_word(**byte) && **byte != b'$').count();
    let opening = rest.get(..tag + 2).filter(|opening| opening.ends_with(b"$"));
    match opening {
        Some(opening) => {
            let body = rest.get(opening.len()..).unwrap_or_default();
            match memchr::memmem::find(body, opening) {
                Some(end) => Found(Kind::Text, end + 2 * opening.len(), false),
                None => Found(Kind::Text, rest.len(), true),
            }
        }
        None if after.len() == tag => Found(Kind::Text, rest.len(), true),
        None => Found(Kind::Symbol, 1, false),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.len() >= part.len() && memchr::memmem::find(bytes, part).is_some()
}
