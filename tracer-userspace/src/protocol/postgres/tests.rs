//! What is told of conversations.

use proptest::prelude::*;

use super::fuzzed::*;
use crate::event::Direction;
use crate::exchange::Outcome;

const C: Direction = Direction::Rx;
const S: Direction = Direction::Tx;

/// The beginning of a connection.
fn login(bench: &mut Bench, list: &str) {
    let content = [&[0, 3, 0, 0], list.as_bytes(), &[0]].concat();
    bench.call(C, &[&(content.len() as u32 + 4).to_be_bytes()[..], &content].concat());
    bench.call(S, &typed(b'R', &[0, 0, 0, 3]));
    bench.call(C, &typed(b'p', b"secret\0"));
    let parameter = typed(b'S', b"standard_conforming_strings\0on\0");
    bench.call(S, &[typed(b'R', &[0; 4]), parameter, typed(b'K', &[0; 8]), ready()].concat());
}

fn begun() -> Bench {
    let mut bench = Bench::new(true);
    login(&mut bench, "user\0me\0database\0shop\0");
    bench
}

fn notes(bench: &Bench) -> Vec<String> {
    bench.told().iter().map(note).collect()
}

fn note(told: &Told) -> String {
    let attribute = told.attribute.as_deref().unwrap_or("-").replace("Text(\"", "").replace("\")", "");
    let outcome = told.outcome.map_or("open".to_owned(), |outcome| format!("{outcome:?}"));
    format!(
        "{} [{}] {} {} {}",
        told.method,
        told.target,
        attribute,
        outcome,
        told.error.as_deref().unwrap_or("-")
    )
}

fn empty(kind: u8) -> Vec<u8> {
    typed(kind, b"")
}

#[test]
fn a_query_is_an_exchange() {
    let mut bench = begun();
    bench.call(C, &query("SELECT name FROM users WHERE id = 7"));
    bench.call(S, &[typed(b'T', &[0, 0]), row(5), row(5)].concat());
    bench.call(S, &[complete("SELECT 2"), ready()].concat());
    let told = bench.told();
    assert_eq!(note(&told[0]), "SELECT [SELECT name FROM users WHERE id = ?] users Complete -");
    assert_eq!(told[0].host.as_deref(), Some("shop"));
    assert_eq!((told[0].first, told[0].answered, told[0].end), (5, Some(6), 7));
}

#[test]
fn without_a_database_it_is_the_users() {
    let mut bench = Bench::new(true);
    login(&mut bench, "user\0me\0application_name\0x\0");
    bench.call(C, &query("BEGIN"));
    assert_eq!(bench.told()[0].host.as_deref(), Some("me"));
}

#[test]
fn several_statements_of_one_query_are_one_exchange() {
    let mut bench = begun();
    bench.call(C, &query("INSERT INTO a VALUES (1); SELECT * FROM b"));
    bench
        .call(S, &[complete("INSERT 0 1"), typed(b'T', &[0, 0]), row(1), failure("22012"), ready()].concat());
    assert_eq!(notes(&bench), ["INSERT [INSERT INTO a VALUES (?); SELECT * FROM b] a Complete 22012"]);
}

#[test]
fn an_error_is_its_code() {
    let mut bench = begun();
    bench.call(C, &query("SELECT * FROM nothing"));
    bench.call(S, &[failure("42P01"), ready()].concat());
    assert_eq!(notes(&bench), ["SELECT [SELECT * FROM nothing] nothing Complete 42P01"]);
}

#[test]
fn statements_are_known_by_their_names() {
    let mut bench = begun();
    bench.call(C, &[parse("s1", "SELECT a FROM t WHERE b = $1"), describe(b'S', "s1"), sync()].concat());
    bench.call(S, &[empty(b'1'), typed(b't', &[0, 0]), typed(b'T', &[0, 0]), ready()].concat());
    bench.call(C, &[bind("", "s1", b"1"), execute(""), sync()].concat());
    bench.call(S, &[empty(b'2'), row(3), complete("SELECT 1"), ready()].concat());
    bench.call(C, &[bind("", "elsewhere", b"1"), execute(""), sync()].concat());
    bench.call(S, &[empty(b'2'), complete("SELECT 0"), ready()].concat());
    assert_eq!(
        notes(&bench),
        [
            "PREPARE [SELECT a FROM t WHERE b = ?] t Complete -",
            "SELECT [SELECT a FROM t WHERE b = ?] t Complete -",
            "EXECUTE [] elsewhere Complete -",
        ]
    );
}

#[test]
fn an_exchange_begins_with_the_parse_it_belongs_to() {
    let mut bench = begun();
    bench.call(C, &parse("", "SELECT 1"));
    bench.call(C, &[bind("", "", b"1"), describe(b'P', "")].concat());
    bench.call(C, &[execute(""), sync()].concat());
    bench.call(S, &[empty(b'1'), empty(b'2'), empty(b'n'), complete("SELECT 1"), ready()].concat());
    let told = bench.told();
    assert_eq!((told.len(), told[0].first, told[0].answered, told[0].end), (1, 5, Some(8), 8));
}

#[test]
fn executes_of_one_cycle_are_answered_in_order() {
    let mut bench = begun();
    let one = |sql: &str| [parse("", sql), bind("", "", b"1"), execute("")].concat();
    bench.call(
        C,
        &[one("SELECT a FROM t1"), one("SELECT a FROM t2"), one("SELECT a FROM t3"), sync()].concat(),
    );
    let ok = [empty(b'1'), empty(b'2'), complete("SELECT 1")].concat();
    bench.call(S, &ok);
    bench.call(S, &[empty(b'1'), failure("23505"), ready()].concat());
    let told = bench.told();
    let notes: Vec<String> = told.iter().map(note).collect();
    assert_eq!(notes[0], "SELECT [SELECT a FROM t1] t1 Complete -");
    assert_eq!(notes[1], "SELECT [SELECT a FROM t2] t2 Complete 23505");
    assert_eq!(notes[2], "SELECT [SELECT a FROM t3] t3 Complete PIPELINE_ABORTED");
    assert!(told[0].end < told[1].end);
}

#[test]
fn pipelined_cycles_are_answered_in_order() {
    let mut bench = begun();
    for number in 0..3 {
        bench.call(C, &query(&format!("SELECT a FROM t{number}")));
    }
    for number in 0..3 {
        bench.call(S, &[failure(&format!("0000{number}")), ready()].concat());
    }
    let errors: Vec<_> = bench.told().into_iter().map(|told| (told.attribute, told.error)).collect();
    for (number, (table, error)) in errors.into_iter().enumerate() {
        assert_eq!(table, Some(format!("Text(\"t{number}\")")));
        assert_eq!(error, Some(format!("0000{number}")));
    }
}

#[test]
fn a_portal_is_executed_in_parts() {
    let mut bench = begun();
    bench.call(C, &[parse("", "SELECT a FROM t"), bind("p", "", b"1"), execute("p"), sync()].concat());
    bench.call(S, &[empty(b'1'), empty(b'2'), row(1), empty(b's'), ready()].concat());
    bench.call(C, &[execute("p"), sync()].concat());
    bench.call(S, &[row(1), complete("SELECT 1"), ready()].concat());
    let told = bench.told();
    assert_eq!((told.len(), told[1].first), (2, 7));
    assert!(told.iter().all(|told| note(told) == "SELECT [SELECT a FROM t] t Complete -"), "{told:?}");
}

#[test]
fn what_stands_between_answers_is_none() {
    let mut bench = begun();
    bench.call(S, &typed(b'A', b"\0\0\0\x01channel\0payload\0"));
    bench.call(C, &query("SELECT 1"));
    bench.call(S, &typed(b'N', b"SNOTICE\0\0"));
    bench.call(S, &[typed(b'S', b"TimeZone\0UTC\0"), complete("SELECT 1"), ready()].concat());
    let told = bench.told();
    assert_eq!((told.len(), told[0].answered), (1, Some(8)));
}

#[test]
fn the_data_of_a_copy_belong_to_its_request() {
    for (captured, tails) in [(usize::MAX, true), (64, true)] {
        let mut bench = begun();
        bench.call(C, &query("COPY t (a) FROM STDIN"));
        bench.call(S, &typed(b'G', &[0, 0, 1, 0, 0]));
        (bench.captured, bench.tails) = (captured, tails);
        bench.call(C, &typed(b'd', &[b'x'; 3000]).repeat(3));
        bench.call(C, &[typed(b'd', &[b'x'; 3000]), empty(b'c')].concat());
        bench.captured = usize::MAX;
        bench.call(S, &[complete("COPY 4"), ready()].concat());
        bench.call(C, &query("SELECT 1"));
        bench.call(S, &[complete("SELECT 1"), ready()].concat());
        let told = bench.told();
        assert_eq!(note(&told[0]), "COPY [COPY t (a) FROM STDIN] t Complete -");
        assert_eq!((told[0].first, told[0].answered, told.len()), (5, Some(9), 2));
    }
}

#[test]
fn a_result_that_is_cut_off_ends_where_the_server_is_ready() {
    for (tails, end, outcome, error) in [
        (true, complete("SELECT 900"), Outcome::Complete, None),
        (true, failure("22012"), Outcome::Complete, Some("unknown")),
        (false, complete("SELECT 900"), Outcome::EndUnframed, None),
    ] {
        let mut bench = begun();
        bench.call(C, &query("SELECT a FROM t"));
        (bench.captured, bench.tails) = (64, tails);
        bench.call(S, &[typed(b'T', &[0, 0]), row(100), row(100).repeat(70)].concat());
        bench.call(S, &row(100).repeat(70));
        bench.call(S, &[row(100).repeat(7), end, ready()].concat());
        bench.captured = usize::MAX;
        bench.call(C, &query("SELECT b FROM u"));
        bench.call(S, &[complete("SELECT 1"), ready()].concat());
        let told = bench.told();
        assert_eq!(told[0].outcome, Some(outcome), "{told:?}");
        assert_eq!((told[0].error.as_deref(), told[0].end), (error, 8));
        assert_eq!(note(&told[1]), "SELECT [SELECT b FROM u] u Complete -");
    }
}

#[test]
fn a_bind_that_is_cut_off_is_executed() {
    let mut bench = begun();
    bench.captured = 200;
    let request = [
        parse("", "INSERT INTO t VALUES ($1)"),
        bind("", "", &[7; 5000]),
        describe(b'P', ""),
        execute(""),
        sync(),
    ];
    bench.call(C, &request.concat());
    bench.call(S, &[empty(b'1'), empty(b'2'), empty(b'n'), complete("INSERT 0 1"), ready()].concat());
    bench.call(C, &query("SELECT 1"));
    bench.call(S, &[complete("SELECT 1"), ready()].concat());
    assert_eq!(
        notes(&bench),
        ["INSERT [INSERT INTO t VALUES (?)] t Complete -", "SELECT [SELECT ?] - Complete -"]
    );
}

#[test]
fn a_long_statement_is_shown_as_far_as_it_was_seen() {
    let mut bench = begun();
    bench.captured = 64;
    bench.call(C, &query(&format!("SELECT a FROM t WHERE b IN ({})", "'secret', ".repeat(500))));
    bench.call(S, &[complete("SELECT 1"), ready()].concat());
    let told = bench.told();
    assert!(told[0].truncated);
    assert_eq!(note(&told[0]), "SELECT [SELECT a FROM t WHERE b IN (?...] t Complete -");
}

#[test]
fn joined_at_a_request_it_is_followed_from_there() {
    let mut bench = Bench::new(false);
    bench.call(S, &[row(3), complete("SELECT 1"), ready()].concat());
    bench.call(C, &[bind("", "old", b"1"), describe(b'P', ""), execute(""), sync()].concat());
    bench.call(S, &[empty(b'2'), empty(b'n'), complete("UPDATE 1"), ready()].concat());
    bench.call(C, &query("COMMIT"));
    bench.call(S, &[complete("COMMIT"), ready()].concat());
    assert_eq!(notes(&bench), ["EXECUTE [] old Complete -", "COMMIT [COMMIT] - Complete -"]);
    assert_eq!(bench.told()[0].host, None);
}

#[test]
fn encrypted_is_not_read() {
    for (answer, expected) in [(b"S", 0), (b"N", 1)] {
        let mut bench = Bench::new(true);
        bench.call(C, &[0, 0, 0, 8, 4, 210, 22, 47]);
        bench.call(S, answer);
        if answer == b"S" {
            bench.call(C, &[22, 3, 1, 0, 100]);
            bench.call(S, &[22, 3, 1, 0, 100]);
        } else {
            login(&mut bench, "user\0me\0");
        }
        bench.call(C, &query("SELECT 1"));
        assert_eq!(bench.told().len(), expected);
        bench.end(true);
        assert_eq!(bench.tally.skipped(super::Skip::Tls) > 0, answer == b"S");
    }
}

#[test]
fn what_is_open_at_the_end_is_said_to_be() {
    for (closed, outcome) in [(true, Outcome::Unanswered), (false, Outcome::Pending)] {
        let mut bench = begun();
        bench.call(C, &query("SELECT pg_sleep(10)"));
        bench.end(closed);
        assert_eq!(bench.told()[0].outcome, Some(outcome));
    }
    for (closed, outcome) in [(true, Outcome::Aborted), (false, Outcome::Streaming)] {
        let mut bench = begun();
        bench.call(C, &query("SELECT a FROM t"));
        bench.call(S, &row(1));
        bench.end(closed);
        assert_eq!(bench.told()[0].outcome, Some(outcome));
    }
}

#[test]
fn after_a_loss_nothing_is_paired_with_what_was_before() {
    let mut bench = begun();
    bench.call(C, &query("SELECT a FROM t1"));
    bench.lose();
    bench.call(S, &[failure("00001"), ready()].concat());
    bench.call(C, &query("SELECT a FROM t2"));
    bench.call(S, &[failure("00002"), ready()].concat());
    assert_eq!(
        notes(&bench),
        ["SELECT [SELECT a FROM t1] t1 ResponseUnseen -", "SELECT [SELECT a FROM t2] t2 Complete 00002"]
    );
}

#[test]
fn a_request_out_of_sight_ends_what_waits() {
    let mut bench = begun();
    bench.call(C, &query("SELECT a FROM t1"));
    (bench.captured, bench.tails) = (64, false);
    bench.call(S, &[row(3000), row(3000), failure("00001"), ready()].concat());
    bench.captured = 3;
    bench.call(C, &query("SELECT a FROM t2"));
    bench.captured = usize::MAX;
    bench.call(S, &[complete("SELECT 0"), ready()].concat());
    assert_eq!(notes(&bench), ["SELECT [SELECT a FROM t1] t1 EndUnframed -"]);
}

#[test]
fn an_answer_recorded_before_its_request_is_no_other_ones() {
    let mut bench = begun();
    bench.call(S, &[failure("00001"), ready()].concat());
    bench.call(C, &query("SELECT a FROM t1"));
    bench.call(C, &query("SELECT a FROM t2"));
    bench.call(S, &[failure("00002"), ready()].concat());
    assert_eq!(
        notes(&bench),
        ["SELECT [SELECT a FROM t1] t1 ResponseUnseen -", "SELECT [SELECT a FROM t2] t2 Complete 00002"]
    );
}

#[test]
fn more_requests_than_can_wait_are_given_up() {
    let mut bench = begun();
    for _ in 0..100 {
        bench.call(C, &query("SELECT 1"));
    }
    assert!(bench.tally.overflow > 0);
    assert!(bench.parser.talk.items.len() <= 64);
    bench.end(true);
}

#[test]
fn any_split_tells_the_same() {
    let request =
        [parse("s", "SELECT a FROM t"), bind("", "s", b"1"), execute(""), sync(), query("SELECT 2")].concat();
    let answer =
        [empty(b'1'), empty(b'2'), row(9), complete("SELECT 1"), ready(), failure("42601"), ready()].concat();
    let expected = ["SELECT [SELECT a FROM t] t Complete -", "SELECT [SELECT ?] - Complete 42601"];
    for at in 0..request.len() {
        let mut bench = begun();
        bench.call(C, &request[..at]);
        bench.call(C, &request[at..]);
        let at = at % answer.len();
        bench.call(S, &answer[..at]);
        bench.call(S, &answer[at..]);
        assert_eq!(notes(&bench), expected, "{at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Right or absent.
    #[test]
    fn an_answer_is_its_requests_own(choices in prop::collection::vec(any::<u8>(), 0..200)) {
        run(&choices);
    }
}
