//! SQL statements as they may be shown: their shape without their values, what they do, and to which table.
//!
//! Statements carry values that must not be stored or shown, and differ in them where they are the same work. So every literal and
//! placeholder becomes `?`, white space is folded, comments go, and lists of values become as short as one of them. The
//! values are not kept under `--unmask` either: what a client sends apart from its statement is never shown, so half of the
//! values would be, depending on the client's library.
//!
//! # Nothing of a literal is ever shown
//!
//! Where literals end depends on the dialect, and in both dialects on settings that need not be known ([`Backslash`]). A statement is
//! read only as far as every possible setting agrees; from there on it counts as cut off. What is cut off in the middle of a
//! literal shows `?` for it.
//!
//! Sources: PostgreSQL's manual, "Lexical Structure", and its `scan.l`; MySQL's manual, "Language Structure".

mod lexer;
mod subject;
mod verb;
mod writer;

#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
#[cfg(test)]
mod tests;

use lexer::{Kind, Lexer};
use subject::Subject;
use writer::Writer;

/// Whose rules of quoting hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// PostgreSQL and what speaks its protocol.
    PostgreSql,
    /// MySQL and MariaDB.
    MySql,
}

/// Whether a backslash escapes the next byte in an ordinary string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backslash {
    /// It does: MySQL unless NO_BACKSLASH_ESCAPES, PostgreSQL if `standard_conforming_strings` is off.
    Escapes,
    /// It does not.
    Plain,
    /// Not known: a statement is read up to the first string in which it matters.
    Unknown,
}

/// How a statement is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whose rules.
    pub family: Family,
    /// In ordinary strings.
    pub backslash: Backslash,
}

impl Dialect {
    /// PostgreSQL whose settings are not known.
    pub const POSTGRESQL: Dialect = Dialect { family: Family::PostgreSql, backslash: Backslash::Unknown };
    /// MySQL as it is by default. Its server tells of NO_BACKSLASH_ESCAPES in the status flags of every answer.
    pub const MYSQL: Dialect = Dialect { family: Family::MySql, backslash: Backslash::Escapes };
}

/// A statement, or several that were sent as one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// It without its values, of at most as many bytes as were allowed; ends in `...` if that is not all of it.
    pub text: Box<str>,
    /// What the first statement does, in capitals (`SELECT`), of a `WITH` what its main statement does; empty if that is no
    /// command that is known.
    pub verb: &'static str,
    /// The table that the first statement is about, as written but without quotes (`app.users`); of several the first. `None` when
    /// that is not certain.
    pub table: Option<Box<str>>,
    /// It is not all here: it was cut off, is too long, or where its literals end is not certain.
    pub truncated: bool,
}

/// Reads a statement. `truncated`: bytes are missing at its end; `limit`: bytes of the text that are wanted.
pub fn normalise(dialect: Dialect, bytes: &[u8], truncated: bool, limit: usize) -> Statement {
    let mut lexer = Lexer::new(dialect, bytes);
    let mut writer = Writer::new(limit, bytes.len());
    let mut subject = Subject::new(dialect.family);
    let mut cut = truncated;
    while let Some(token) = lexer.next() {
        cut |= token.open || token.kind == Kind::Unsure;
        let is_last = cut && lexer.is_empty();
        // The last word may be cut off in its middle, and a word that may be another says nothing.
        if is_last {
            subject.cut(&token);
        } else {
            subject.token(&token);
        }
        writer.token(&token);
        if token.kind == Kind::Unsure || writer.is_full() {
            cut = true;
            break;
        }
    }
    let (verb, table) = subject.finish(cut);
    let (text, truncated) = writer.finish(cut);
    Statement { text, verb, table, truncated }
}
