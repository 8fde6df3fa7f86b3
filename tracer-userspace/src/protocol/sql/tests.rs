//! What statements become.

use proptest::prelude::*;

use super::fuzzed::{made, run, shows_nothing};
use super::{Backslash, Dialect, Family, Statement, normalise};
use crate::fuzzed::Input;

const PG: Dialect = Dialect { family: Family::PostgreSql, backslash: Backslash::Plain };
const MY: Dialect = Dialect::MYSQL;

fn whole(dialect: Dialect, statement: &str) -> Statement {
    normalise(dialect, statement.as_bytes(), false, 2048)
}

fn text(dialect: Dialect, statement: &str) -> String {
    let told = whole(dialect, statement);
    assert!(!told.truncated, "{told:?}");
    told.text.into_string()
}

fn cut(dialect: Dialect, statement: &str) -> String {
    let told = normalise(dialect, statement.as_bytes(), true, 2048);
    assert!(told.truncated);
    told.text.into_string()
}

#[test]
fn literals_become_question_marks() {
    for (dialect, statement, expected) in [
        (
            PG,
            "INSERT INTO users (name, email) VALUES ('a', 'b')",
            "INSERT INTO users (name, email) VALUES (?, ?)",
        ),
        (
            PG,
            "SELECT 'it''s', E'it\\'s', e'\\\\', U&'\\0041', X'1F', B'01', N'n'",
            "SELECT ?, ?, ?, ?, ?, ?, ?",
        ),
        (PG, "SELECT $$it's$$, $a$ $$ ' $a$, $1, $23", "SELECT ?, ?, ?, ?"),
        (PG, "SELECT 'C:\\' AS a, 'b'", "SELECT ? AS a, ?"),
        (PG, "SELECT E'a'\n  'b\\'c' AS x", "SELECT ? AS x"),
        (PG, "SELECT 'a'\n'b'", "SELECT ?"),
        (PG, "SELECT 1, -2, 1.5e-3, .5, 0xFF, 1_000, x-1, a.b", "SELECT ?, ?, ?, ?, ?, ?, x-?, a.b"),
        (
            PG,
            "SELECT a::int4, b->>'k', c #> '{a}', d[1:2] FROM t",
            "SELECT a::int4, b->>?, c #> ?, d[?:?] FROM t",
        ),
        (PG, "SELECT /* a /* nested ' */ */ 1 -- it's\n, \"it's\"", "SELECT ?, \"it's\""),
        (PG, "SELECT a\n\t FROM  t ; ", "SELECT a FROM t"),
        (PG, "SELECT :name, %s, %(name)s, a %s", "SELECT ?, ?, ?, a ?"),
        (PG, "SELECT DATE '2020-01-01', true, NULL", "SELECT DATE ?, true, NULL"),
        (PG, "BEGIN; SELECT 1; COMMIT;", "BEGIN; SELECT ?; COMMIT"),
        (PG, "SELECT 'ä', ä, \"ö\"", "SELECT ?, ä, \"ö\""),
        (PG, "SELECT 1$a$x$a$", "SELECT ??"),
        (MY, "SELECT \"it's\", 'it\\'s', 'a\"b', _utf8mb4'x', 0x1F, `a``b`", "SELECT ?, ?, ?, ?, ?, `a``b`"),
        (MY, "SELECT 1 # it's\n, 2 -- it's\n, 5--3", "SELECT ?, ?, ?--?"),
        (MY, "/*!40101 SET NAMES utf8 */", "SET NAMES utf8"),
        (MY, "SELECT a FROM t /* c */ WHERE b = ? LIMIT 10", "SELECT a FROM t WHERE b = ? LIMIT ?"),
        (MY, "SELECT $a, @b := 1, @@c, user@'host'", "SELECT $a, @b := ?, @@c, user@?"),
    ] {
        assert_eq!(text(dialect, statement), expected, "{statement}");
    }
}

#[test]
fn lists_and_rows_of_values_are_as_long_as_one() {
    for (statement, expected) in [
        (
            "SELECT * FROM t WHERE a IN (1, 2,3 , -4) AND b IN('x','y')",
            "SELECT * FROM t WHERE a IN (?) AND b IN(?)",
        ),
        ("SELECT a IN (1, b, 2, 3)", "SELECT a IN (?, b, ?)"),
        ("SELECT (a, b) IN ((1, 2), (3, 4))", "SELECT (a, b) IN ((?, ?))"),
        ("SELECT ARRAY[1, 2, 3]", "SELECT ARRAY[?]"),
        (
            "INSERT INTO t VALUES (1, 2), (3, NULL),(5,DEFAULT) RETURNING id",
            "INSERT INTO t VALUES (?, ?) RETURNING id",
        ),
        ("INSERT INTO t VALUES (1, now()), (3, now())", "INSERT INTO t VALUES (?, now())"),
        ("INSERT INTO t VALUES (1, now()), (3, 4)", "INSERT INTO t VALUES (?, now()), (?, ?)"),
        ("SELECT f(1, 2), (3, 4)", "SELECT f(?, ?), (?, ?)"),
        ("VALUES ROW(1, 2), ROW(3, 4)", "VALUES ROW(?, ?)"),
        (
            "x ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
            "x ON DUPLICATE KEY UPDATE a = VALUES(a), b = VALUES(b)",
        ),
    ] {
        assert_eq!(text(PG, statement), expected, "{statement}");
        assert_eq!(text(MY, statement), expected, "{statement}");
    }
    let many = format!("INSERT INTO t (a, b) VALUES {}", vec!["(1, 'x')"; 5000].join(", "));
    assert_eq!(text(PG, &many), "INSERT INTO t (a, b) VALUES (?, ?)");
}

#[test]
fn what_is_cut_off_is_said_to_be() {
    for (statement, expected) in [
        ("SELECT * FROM t WHERE a = 'secr", "SELECT * FROM t WHERE a = ?..."),
        ("SELECT E'a\\", "SELECT ?..."),
        ("SELECT $ta", "SELECT ?..."),
        ("SELECT $t$ab$", "SELECT ?..."),
        ("SELECT 12", "SELECT ?..."),
        ("SELECT /* it's", "SELECT..."),
        ("SELECT \"na", "SELECT..."),
    ] {
        assert_eq!(cut(PG, statement), expected, "{statement}");
    }
    // Nobody said that it was cut off.
    let open = whole(PG, "SELECT 'abc");
    assert_eq!((&*open.text, open.truncated), ("SELECT ?...", true));
    let long = format!("SELECT {}", "ä, ".repeat(100));
    let told = normalise(PG, long.as_bytes(), false, 50);
    assert!(told.truncated && told.text.len() <= 50 && told.text.ends_with("..."), "{told:?}");
}

#[test]
fn where_settings_decide_nothing_more_is_read() {
    let told = normalise(Dialect::POSTGRESQL, b"SELECT 'a\\' , secret , 'b'", false, 2048);
    assert_eq!((&*told.text, told.truncated), ("SELECT ?...", true));
    let told = normalise(Dialect::POSTGRESQL, b"SELECT 'a\\\\', 'a\\n', E'\\'' FROM t", false, 2048);
    assert_eq!((&*told.text, told.truncated), ("SELECT ?, ?, ? FROM t", false));
    // GBK: the backslash is the second half of a letter.
    let told = normalise(MY, b"SELECT '\xbf\\' , secret , '", false, 2048);
    assert_eq!(&*told.text, "SELECT ?...");
    // An optional comment ends in the literal, or does not.
    let told = normalise(MY, b"SELECT /*!99999 '*/' , secret , '", false, 2048);
    assert_eq!(&*told.text, "SELECT ?...");
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let told = normalise(PG, b"SELECT a\xff, \"b\x01\" FROM t", false, 2048);
    assert_eq!(&*told.text, "SELECT a\u{fffd}, \"b\u{fffd}\" FROM t");
}

#[test]
fn the_verb_is_a_known_command() {
    for (statement, verb) in [
        ("select 1", "SELECT"),
        ("  /* x */ ((SELECT 1) UNION SELECT 2)", "SELECT"),
        ("WITH a AS (SELECT 1), b(x) AS (SELECT 2) INSERT INTO t SELECT * FROM a", "INSERT"),
        ("WITH insert AS (SELECT 1) SELECT * FROM insert", "SELECT"),
        ("WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY x SET y SELECT 2", "WITH"),
        ("BEGIN", "BEGIN"),
        ("frobnicate", ""),
        ("'x'", ""),
        ("", ""),
        ("-- nothing", ""),
        ("; COMMIT", "COMMIT"),
    ] {
        assert_eq!(whole(PG, statement).verb, verb, "{statement}");
    }
    assert_eq!(normalise(PG, b"SELECT", true, 99).verb, "", "it may have gone on");
}

#[test]
fn the_table_is_certain_or_absent() {
    for (statement, table) in [
        ("SELECT * FROM users", Some("users")),
        ("SELECT a, (SELECT b FROM x) FROM app.users u JOIN y ON true", Some("app.users")),
        ("SELECT * FROM \"Us\"\"ers\", b", Some("Us\"ers")),
        ("SELECT * FROM ONLY users", Some("users")),
        ("SELECT a IS DISTINCT FROM b FROM t", Some("t")),
        ("SELECT extract(year FROM x) FROM t", Some("t")),
        ("SELECT * FROM generate_series(1, 2)", None),
        ("SELECT * FROM (SELECT * FROM t) x", None),
        ("SELECT * FROM LATERAL (SELECT 1) x", None),
        ("SELECT * FROM ROWS FROM (f(1))", None),
        ("SELECT 1 UNION SELECT a FROM t", None),
        ("SELECT 1; SELECT * FROM t", None),
        ("(SELECT * FROM t) UNION (SELECT * FROM u)", Some("t")),
        ("WITH x AS (SELECT 1) SELECT * FROM x", None),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", Some("t")),
        ("INSERT INTO users (a) VALUES (1)", Some("users")),
        ("UPDATE users SET a = 1", Some("users")),
        ("UPDATE temp t SET a = 1", Some("temp")),
        ("DELETE FROM users WHERE a = 1", Some("users")),
        ("COPY users (a) FROM STDIN", Some("users")),
        ("COPY (SELECT 1) TO STDOUT", None),
        ("CREATE TEMP TABLE IF NOT EXISTS x (a int)", Some("x")),
        ("CREATE INDEX x ON t (a)", None),
        ("TRUNCATE users", Some("users")),
        ("TRUNCATE TABLE users", Some("users")),
        ("EXPLAIN SELECT * FROM users", None),
        ("SET x = 1", None),
    ] {
        assert_eq!(whole(PG, statement).table.as_deref(), table, "{statement}");
    }
    for (statement, table) in [
        ("INSERT users VALUES (1)", Some("users")),
        ("INSERT IGNORE INTO `a`.`b c` VALUES (1)", Some("a.b c")),
        ("REPLACE INTO t VALUES (1)", Some("t")),
        ("UPDATE LOW_PRIORITY t SET a = 1", Some("t")),
        ("DELETE t FROM t JOIN u", None),
        ("SELECT 1 FROM DUAL", None),
        ("SELECT * FROM \"t\"", None),
    ] {
        assert_eq!(whole(MY, statement).table.as_deref(), table, "{statement}");
    }
    for statement in ["SELECT * FROM use", "SELECT * FROM use ", "SELECT * FROM app.", "INSERT INTO us"] {
        assert_eq!(normalise(PG, statement.as_bytes(), true, 2048).table, None, "{statement}");
    }
    assert_eq!(normalise(PG, b"SELECT * FROM users WHERE", true, 2048).table.as_deref(), Some("users"));
}

#[test]
fn a_statement_of_hostile_depth_is_read() {
    let deep = format!("SELECT {}{}", "(".repeat(5000), "'x',".repeat(100));
    let told = normalise(PG, deep.as_bytes(), true, 2048);
    assert!(told.text.len() <= 2048);
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let family = prop_oneof![Just(Family::PostgreSql), Just(Family::MySql)];
    let backslash = prop_oneof![Just(Backslash::Escapes), Just(Backslash::Plain), Just(Backslash::Unknown)];
    (family, backslash).prop_map(|(family, backslash)| Dialect { family, backslash })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Wherever a statement is cut off, and whatever its literals contain.
    #[test]
    fn nothing_of_a_literal_is_shown(dialect in dialects(), choices in prop::collection::vec(any::<u8>(), 0..120)) {
        let statement = made(dialect, &mut Input::new(&choices));
        for end in 0..=statement.len() {
            shows_nothing(dialect, &statement[..end], end < statement.len());
        }
    }

    /// It reads anything.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        run(&bytes);
    }

    /// What was made shorter once stays as it is, as far as it was all there.
    #[test]
    fn twice_is_once(dialect in dialects(), choices in prop::collection::vec(any::<u8>(), 0..120)) {
        let statement = made(dialect, &mut Input::new(&choices));
        let once = normalise(dialect, &statement, false, 4096);
        if !once.truncated && dialect.family == Family::MySql {
            let twice = normalise(dialect, once.text.as_bytes(), false, 4096);
            prop_assert_eq!(&twice.text, &once.text);
        }
    }
}
