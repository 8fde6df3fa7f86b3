//! What is in sight.

use super::*;
use crate::exchange::Side;
use crate::protocol::Interest;
use crate::protocol::tally::Skip;

#[test]
fn an_exchange_has_its_times_sizes_and_schema() {
    let mut stage = server(Some("shop"));
    let start = stage.now;
    let (ask, answer) = (query("SELECT name FROM users WHERE id = 7"), rows(true, &[b"secret"]));
    stage.call(Rx, &ask[..4]);
    stage.call(Rx, &ask[4..]);
    stage.call(Tx, &answer[..20]);
    stage.call(Tx, &answer[20..]);
    let told = stage.told();
    assert_eq!(short(&told), fine(&["SELECT SELECT name FROM users WHERE id = ?"]));
    let (act, end) = (&told[0], told[0].end.as_ref().unwrap());
    assert_eq!(
        (act.side, act.first.0, act.head.host.as_deref(), table(act)),
        (Side::Server, start, Some("shop"), Some("users"))
    );
    assert_eq!(
        (end.asked.0, act.response.as_ref().unwrap().1.0, end.at.0),
        (start + 10, start + 20, start + 30)
    );
    assert_eq!(end.bytes, (ask.len() as u64, answer.len() as u64));
    assert_eq!(stage.interests(), [Interest::Calls, Interest::Everything]);
}

#[test]
fn every_kind_of_answer_has_its_end() {
    let more = [
        &packets(1, &[b"\x01", COLUMN, EOF, b"\x011", b"\xfe\0\0\x0a\0"])[..],
        &packets(6, &[b"\0\x01\0\x0a\0\0\0"]),
        &packet(7, OK),
    ];
    let mut stage = server(None);
    let mut expected = Vec::new();
    for eof in [true, false] {
        for (ask, answer, name) in [
            (query("SELECT 1"), rows(eof, &[b"1", b"2"]), "SELECT SELECT ?"),
            (query("SELECT 1"), rows(eof, &[]), "SELECT SELECT ?"),
            (query("DELETE FROM a"), ok(), "DELETE DELETE FROM a"),
            (
                query("SELECT 1; UPDATE a SET b = 1; UPDATE c SET d = 2"),
                more.concat(),
                "SELECT SELECT ?; UPDATE a SET b = ?; UPDATE c SET d = ?",
            ),
            (command(0x0e, b""), ok(), "PING "),
            (command(0x09, b""), packet(1, b"Uptime: 5"), "STATISTICS "),
            (command(0x04, b"a\0"), packets(1, &[COLUMN, COLUMN, EOF]), "FIELD_LIST "),
            (command(0x1b, b"\0\0"), packet(1, EOF), "SET_OPTION "),
            (command(0x1f, b""), ok(), "RESET_CONNECTION "),
            // MariaDB, of columns that it has described before; and with reports of progress.
            (
                query("SELECT 1"),
                packets(1, &[b"\x01\0", b"\x011", if eof { EOF } else { OK_AS_EOF }]),
                "SELECT SELECT ?",
            ),
            (
                query("ALTER TABLE a ADD b INT"),
                packets(1, &[b"\xff\xff\xff\x01\x01\x02\0\0\0", OK]),
                "ALTER ALTER TABLE a ADD b INT",
            ),
        ] {
            says(&mut stage, &ask, &answer);
            expected.push(name);
        }
    }
    assert_eq!(short(&stage.told()), fine(&expected));
}

#[test]
fn errors_are_numbers() {
    let mut stage = server(None);
    says(&mut stage, &query("SELECT * FROM secret"), &error(1146));
    let late = packets(1, &[b"\x01", COLUMN, b"\x011", b"\xff\x15\x05#70100Query was killed"]);
    says(&mut stage, &query("SELECT 1"), &late);
    says(&mut stage, &query("SELECT 2"), &rows(false, &[]));
    let told = stage.told();
    let all: Vec<_> = told.iter().map(Act::error).collect();
    assert_eq!(all, [Some("1146"), Some("1301"), None]);
    assert_eq!(told[0].response.as_ref().unwrap().0.error.as_deref(), Some("1146"));
    assert_eq!(told[1].response.as_ref().unwrap().0.error, None, "it began well");
}

/// The answer to COM_STMT_PREPARE.
fn prepared(number: u8, parameters: u8, columns: u8, eof: bool) -> Vec<u8> {
    let head = [0, number, 0, 0, 0, columns, 0, parameters, 0, 0, 0, 0];
    let mut payloads: Vec<&[u8]> = vec![&head];
    for count in [parameters, columns] {
        payloads.extend(vec![COLUMN; count.into()]);
        if count > 0 && eof {
            payloads.push(EOF);
        }
    }
    packets(1, &payloads)
}

fn execute(number: u32) -> Vec<u8> {
    command(0x17, &[&number.to_le_bytes()[..], b"\0\x01\0\0\0\0\x01\x08\0secret"].concat())
}

#[test]
fn a_prepared_statement_is_known_by_its_number() {
    for eof in [true, false] {
        let mut stage = server(None);
        for (number, parameters, columns) in [(1, 2, 0), (2, 0, 2), (3, 1, 1), (4, 0, 0)] {
            let text = format!("SELECT a FROM t{number} WHERE b = ?");
            says(&mut stage, &command(0x16, text.as_bytes()), &prepared(number, parameters, columns, eof));
        }
        for number in [3, 1, 9] {
            says(&mut stage, &execute(number), &rows(eof, &[b"x"]));
        }
        // Neither of these is answered.
        stage.call(Rx, &command(0x18, b"\x02\0\0\0\0\0data"));
        stage.call(Rx, &[command(0x19, &[3, 0, 0, 0]), execute(3)].concat());
        stage.call(Tx, &error(1243));
        says(&mut stage, &command(0x1f, b""), &ok());
        says(&mut stage, &execute(1), &error(1243));
        stage.call(Rx, &command(0x01, b""));
        let told = stage.told();
        let asked: Vec<String> = told.iter().map(Act::asked).collect();
        let statement = |number: u8| format!("SELECT a FROM t{number} WHERE b = ?");
        let mut expected: Vec<String> =
            (1..=4).map(|number| format!("PREPARE {}", statement(number))).collect();
        expected.extend([3, 1].map(|number| format!("SELECT {}", statement(number))));
        expected.extend(["EXECUTE ", "EXECUTE ", "RESET_CONNECTION ", "EXECUTE "].map(str::to_owned));
        assert_eq!(asked, expected);
        assert_eq!((table(&told[0]), table(&told[4]), table(&told[6])), (Some("t1"), Some("t3"), None));
        assert!(told.iter().all(|act| act.outcome() == Some(Outcome::Complete)));
        assert_eq!(stage.ledger().tally.unrequested, 0);
    }
}

#[test]
fn the_schema_follows_what_the_server_agreed_to() {
    let mut stage = server(Some("a"));
    let now = query("SELECT 1");
    for (ask, answer) in [
        (query("USE b"), ok()),
        (now.clone(), rows(true, &[])),
        (query("USE `none`"), error(1049)),
        (command(2, b"c"), ok()),
        (now.clone(), rows(true, &[])),
        (query("SELECT 1; use d"), [packet(1, b"\0\0\0\x0a\0\0\0"), packet(2, OK)].concat()),
        (now.clone(), rows(true, &[])),
        (command(0x11, b"me\0\0e\0"), packets(1, &[b"\x01\x03", OK])),
        (now.clone(), rows(true, &[])),
    ] {
        says(&mut stage, &ask, &answer);
    }
    let told = stage.told();
    let schemas: Vec<_> = told.iter().map(|act| act.head.host.as_deref().unwrap_or("-")).collect();
    assert_eq!(schemas, ["a", "b", "b", "-", "c", "c", "-", "-", "e"]);
    assert_eq!(told[7].asked(), "CHANGE_USER ");
}

#[test]
fn a_file_is_part_of_its_command() {
    let mut stage = server(None);
    stage.call(Rx, &query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t"));
    stage.call(Tx, &packet(1, b"\xfbx"));
    stage.call(Rx, &packets(2, &[b"1,2", b"3,4"]));
    stage.call(Rx, &packet(4, b""));
    stage.call(Tx, &packet(5, OK));
    says(&mut stage, &query("SELECT 1"), &rows(true, &[]));
    let told = stage.told();
    assert_eq!(short(&told).len(), 2);
    assert_eq!(
        told[0].end.as_ref().unwrap().bytes.0,
        query("LOAD DATA LOCAL INFILE 'x' INTO TABLE t").len() as u64 + 18
    );
}

#[test]
fn packets_of_full_length_go_on() {
    let mut stage = server(None);
    let long =
        [b"INSERT INTO t VALUES ('".to_vec(), vec![b'x'; 0xff_ffff + 100 - 25], b"')".to_vec()].concat();
    let payload = [b"\x03", &long[..]].concat();
    let (first, rest) = payload.split_at(0xff_ffff);
    stage.cut(Rx, &[packet(0, first), packet(1, rest)].concat(), 8192);
    stage.call(Tx, &packet(2, OK));
    // The same, all of it in sight.
    stage.call(Rx, &packet(0, first));
    stage.call(Rx, &packet(1, rest));
    stage.call(Tx, &packet(2, OK));
    // A row of which the second part begins like the end of the rows.
    let mut row = vec![b'x'; 0xff_ffff];
    row[..4].copy_from_slice(&[0xfd, 0xff, 0xff, 0xff]);
    let answer = packets(1, &[b"\x01", COLUMN, &row, EOF, OK_AS_EOF]);
    says(&mut stage, &query("SELECT a FROM t"), &answer);
    let told = stage.told();
    assert_eq!(told[0].outcome(), Some(Outcome::Complete));
    assert!(told[0].head.truncated && told[0].response.is_some());
    assert_eq!(
        (told[1].asked().split('(').next(), told[1].outcome()),
        (Some("INSERT INSERT INTO t VALUES "), Some(Outcome::Complete))
    );
    assert_eq!(
        (told[2].asked(), told[2].outcome()),
        ("SELECT SELECT a FROM t".to_owned(), Some(Outcome::Complete))
    );
    assert_eq!(told[2].end.as_ref().unwrap().bytes.1, answer.len() as u64);
}

#[test]
fn commands_sent_ahead_are_answered_in_order() {
    let mut stage = server(None);
    stage.call(Rx, &[command(0x16, b"SELECT a FROM t"), execute(u32::MAX), query("SELECT 2")].concat());
    stage.call(Tx, &prepared(7, 0, 1, true));
    stage.call(Tx, &[rows(true, &[b"1"]), error(1064)].concat());
    says(&mut stage, &execute(7), &rows(true, &[]));
    let told = stage.told();
    let all: Vec<_> = told.iter().map(|act| (act.asked(), act.error())).collect();
    assert_eq!(all[..2], fine(&["PREPARE SELECT a FROM t", "SELECT SELECT a FROM t"]));
    assert_eq!(
        all[2..],
        [("SELECT SELECT ?".to_owned(), Some("1064")), ("SELECT SELECT a FROM t".to_owned(), None)]
    );
}

#[test]
fn what_is_encrypted_or_compressed_is_counted() {
    for (reply, why) in [
        (packet(1, &login(1 << 11, None)[..32]), Skip::Tls),
        (packet(1, &login(1 << 5 | 1 << 15, None)), Skip::Compressed),
    ] {
        let mut stage = Stage::new(Role::Passive);
        stage.call(Tx, &packet(0, GREETING));
        stage.call(Rx, &reply);
        if why == Skip::Compressed {
            stage.call(Tx, &packet(2, OK));
        }
        says(&mut stage, &query("SELECT 1"), &rows(true, &[]));
        stage.close();
        assert!(stage.told().is_empty());
        let expected = (query("SELECT 1").len() + rows(true, &[]).len()) as u64;
        assert_eq!(stage.ledger().tally.skipped(why), expected);
        assert_eq!(stage.interests().last(), Some(&Interest::Nothing));
    }
}

#[test]
fn nothing_of_the_login_is_told() {
    let mut stage = server(Some("shop"));
    assert!(stage.told().is_empty());
    assert_eq!((stage.ledger().tally.requests, stage.ledger().tally.skipped_total()), (0, 0));
}

#[test]
fn literals_do_not_show_whatever_a_backslash_means() {
    let (escaped, plain) = (query(r"SELECT 'a\', secret'"), query(r"SELECT 'a\', 'secret'"));
    let mut stage = server(None);
    says(&mut stage, &escaped, &rows(true, &[]));
    // The server says: NO_BACKSLASH_ESCAPES.
    says(&mut stage, &query("SET x = 1"), &packet(1, b"\0\0\0\x02\x02\0\0"));
    says(&mut stage, &plain, &rows(true, &[]));
    // Which of them holds is not known.
    stage.lose(Rx, &query("SET x = 2"));
    stage.call(Tx, &ok());
    says(&mut stage, &escaped, &error(1064));
    says(&mut stage, &command(0x16, &plain[5..]), &error(1064));
    assert_eq!(stage.ledger().tally.requests, 5);
    for act in stage.told() {
        assert!(!act.head.target.contains("secret"), "{}", act.head.target);
    }
}
