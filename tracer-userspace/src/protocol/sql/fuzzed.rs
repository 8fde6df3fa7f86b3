//! Statements of any bytes, and statements whose literals are known: nothing of these may be shown, wherever they are cut off.

use super::{Backslash, Dialect, Family, normalise};
use crate::fuzzed::Input;

/// Stands in every literal that is made up here, and nowhere else.
const MARK: &str = "SeCrEt";
/// The same for numbers.
const NUMBER: &str = "90817";

/// The first byte says how the others are read.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let family = input.of(&[Family::PostgreSql, Family::MySql]);
    let backslash = input.of(&[Backslash::Escapes, Backslash::Plain, Backslash::Unknown]);
    let dialect = Dialect { family, backslash };
    if input.byte() & 1 == 0 {
        let limit = usize::from(input.byte()) * 4;
        bounds(dialect, input.rest(), limit);
    } else {
        let statement = made(dialect, &mut input);
        for cut in 0..=statement.len() {
            let (part, truncated) = (statement.get(..cut).unwrap_or_default(), cut < statement.len());
            shows_nothing(dialect, part, truncated);
        }
    }
}

/// What holds of any bytes.
fn bounds(dialect: Dialect, bytes: &[u8], limit: usize) {
    for truncated in [false, true] {
        let told = normalise(dialect, bytes, truncated, limit);
        assert!(told.text.len() <= limit, "{told:?}");
        assert!(!told.text.contains(char::is_control), "{told:?}");
        assert!(!truncated || told.truncated, "{told:?}");
        assert!(told.verb.bytes().all(|byte| byte.is_ascii_uppercase()), "{told:?}");
        if let Some(table) = &told.table {
            assert!(!table.is_empty() && !told.verb.is_empty(), "{told:?}");
        }
    }
}

/// What holds of a statement that was made up here, or the beginning of one.
pub(super) fn shows_nothing(dialect: Dialect, statement: &[u8], truncated: bool) {
    let told = normalise(dialect, statement, truncated, 4096);
    let all = format!("{}{}", told.text, told.table.as_deref().unwrap_or_default());
    for hidden in [MARK, &MARK[..3], &MARK[3..], NUMBER, &NUMBER[..3], &NUMBER[2..]] {
        let sent = String::from_utf8_lossy(statement);
        assert!(!all.contains(hidden), "{hidden} of {sent} in {told:?} ({dialect:?})");
    }
}

/// A statement with literals of every kind.
pub(super) fn made(dialect: Dialect, input: &mut Input<'_>) -> Vec<u8> {
    let words: &[&str] = &[
        "SELECT ",
        "insert into t (a, b) values ",
        "FROM users ",
        " WHERE x=",
        ",",
        "(",
        ")",
        "IN (",
        " and ",
        " - ",
        " + ",
        "/* it's */",
        "-- it's \"\n",
        "a.b",
        "\"na me\" ",
        " \n",
        "ARRAY[",
        "]",
        ";",
        " E ",
        "x ",
        "::text ",
        "Ü ",
        "$1 ",
        "/**/",
    ];
    let own: &[&str] = match dialect.family {
        Family::PostgreSql => &["/* a /* ' */ ' */", "a$b ", " ->> ", " # "],
        Family::MySql => &["# it's\n", "`na''me` ", "/*!40101 SET */", "-- \n", "@a:="],
    };
    let mut out = Vec::new();
    for _ in 0..input.byte() % 12 {
        let choice = usize::from(input.byte());
        match (words.get(choice % 64), own.get((choice % 64).saturating_sub(words.len()))) {
            (Some(word), _) | (None, Some(word))
                if *word != "\"na me\" " || dialect.family == Family::PostgreSql =>
            {
                out.extend_from_slice(word.as_bytes());
            }
            _ => {
                // Where one follows another directly they may be one literal: never without white space.
                out.push(b' ');
                literal(dialect, input, &mut out);
                out.push(b' ');
            }
        }
    }
    out
}

fn literal(dialect: Dialect, input: &mut Input<'_>, out: &mut Vec<u8>) {
    let mysql = dialect.family == Family::MySql;
    let kind = input.byte() % 10;
    match kind {
        0 => out.extend_from_slice(NUMBER.as_bytes()),
        1 => out.extend_from_slice(format!("{NUMBER}.{NUMBER}e-{NUMBER}").as_bytes()),
        2 => out.extend_from_slice(format!("0x{NUMBER}aF").as_bytes()),
        3 => out.extend_from_slice(format!(".{NUMBER}").as_bytes()),
        4 if !mysql => {
            let tag = input.of(&["$$", "$tag$", "$_1$"]);
            let body = input.of(&["", "'", "$", "$ta", "\"", "\\", "$other$", "--", "/*"]);
            out.extend_from_slice(format!("{tag}{MARK}{body} {MARK}{tag}").as_bytes());
        }
        5 if mysql => string(Backslash::Escapes == dialect.backslash, b'"', input, out),
        6 => {
            let prefix: &str = if mysql {
                input.of(&["_utf8mb4", "N", "x", "_latin1 "])
            } else {
                input.of(&["U&", "B", "X", "n"])
            };
            out.extend_from_slice(prefix.as_bytes());
            string(mysql && dialect.backslash == Backslash::Escapes, b'\'', input, out);
        }
        7 if !mysql => {
            out.push(input.of(b"eE"));
            string(true, b'\'', input, out);
            // It goes on on the next line, by the same rules.
            if input.byte() & 1 == 0 {
                out.extend_from_slice(b"\n  ");
                string(true, b'\'', input, out);
            }
        }
        _ => string(dialect.backslash == Backslash::Escapes, b'\'', input, out),
    }
}

/// `escapes`: a backslash is one; else there are none, or they stand for themselves.
fn string(escapes: bool, quote: u8, input: &mut Input<'_>, out: &mut Vec<u8>) {
    out.push(quote);
    for _ in 0..input.byte() % 6 {
        out.extend_from_slice(MARK.as_bytes());
        let doubled = [quote, quote];
        let escaped: &[u8] = match (input.byte() % 8, escapes) {
            (0, _) => &doubled,
            (1, true) => &[b'\\', quote],
            (2, true) => b"\\\\",
            (3, _) => b" -- ",
            (4, _) => b"/*",
            (5, _) => b"\n$$",
            (6, true) => b"\\n",
            (7, _) => "ü".as_bytes(),
            (1, false) => b"\\",
            _ => b";",
        };
        out.extend_from_slice(escaped);
    }
    out.extend_from_slice(MARK.as_bytes());
    out.push(quote);
}
