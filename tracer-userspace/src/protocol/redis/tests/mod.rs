//! Conversations, through the simulated kernel.

mod messages;
mod random;

use crate::event::Direction::{self, Rx, Tx};
use crate::event::Role;
use crate::exchange::{Outcome, Side, Step};
use crate::protocol::Limits;
use crate::stream::Streams;
use crate::stream::simulate::{Kernel, Told, replay};

const US: u64 = 1_000;

/// A client's connection, of which everything is captured.
fn client() -> Kernel {
    let mut kernel = Kernel::new(1, Role::Active);
    kernel.variation.all = true;
    kernel
}

/// A command as client libraries send it.
fn array(words: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

/// A connection on which these are said: each at its millisecond, commands as `>`, answers as they are.
fn talk(kernel: &mut Kernel, lines: &[(Direction, &[u8])]) {
    for (at, (dir, bytes)) in lines.iter().enumerate() {
        kernel.call(*dir, bytes, (at as u64 + 1) * 1000 * US);
    }
}

fn told(kernel: &Kernel) -> Vec<Told> {
    replay(&kernel.events, Limits::default(), 1_000_000_000).unwrap().0
}

/// The steps themselves.
fn steps(kernel: &Kernel) -> Vec<Step> {
    let (mut streams, mut steps) = (Streams::new(Limits::default()), Vec::new());
    for event in &kernel.events {
        event.feed(&mut streams, &mut steps);
    }
    steps
}

fn short(told: &[Told]) -> Vec<(String, Option<String>, Outcome)> {
    let error = |one: &Told| Some(one.response.as_ref()?.0.error.as_ref()?.to_string());
    told.iter().map(|one| (one.target.to_string(), error(one), one.outcome().unwrap())).collect()
}

fn complete(targets: &[&str]) -> Vec<(String, Option<String>, Outcome)> {
    targets.iter().map(|target| ((*target).to_string(), None, Outcome::Complete)).collect()
}

#[test]
fn a_command_and_its_answer() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (Tx, &array("GET secret")),
            (Rx, b"$5\r\nvalue\r\n"),
            (Tx, &array("LPUSH a b")),
            (Rx, b"-WRONGTYPE x\r\n"),
        ],
    );
    kernel.close(10_000_000);
    let all = told(&kernel);
    assert_eq!(short(&all)[0], complete(&["GET ?"])[0]);
    assert_eq!(short(&all)[1], ("LPUSH ? ?".into(), Some("WRONGTYPE".into()), Outcome::Complete));
    assert_eq!(all[0].side, Side::Client);
    assert_eq!(&*all[0].method, "GET");
    assert_eq!(
        all[0].end.unwrap(),
        (Outcome::Complete, crate::time::Nanos(1_000_000), crate::time::Nanos(2_000_000), 25, 11)
    );
}

#[test]
fn answers_come_in_the_order_of_the_commands() {
    let mut kernel = client();
    let batch = [array("SET a 1"), array("GET a"), array("INCR a"), b"PING\r\n".to_vec()].concat();
    talk(&mut kernel, &[(Tx, &batch), (Rx, b"+OK\r\n$1\r\n1\r\n-ERR no\r\n+PO"), (Rx, b"NG\r\n")]);
    kernel.close(10_000_000);
    let all = short(&told(&kernel));
    assert_eq!(all[2], ("INCR ?".into(), Some("ERR".into()), Outcome::Complete));
    assert_eq!(all.len(), 4);
    assert_eq!(all[3], complete(&["PING"])[0]);
}

#[test]
fn values_may_be_out_of_sight() {
    let mut kernel = client();
    kernel.call(Tx, &array("GET a"), 1000);
    // What the kernel side cuts off.
    kernel.variation.all = false;
    kernel.call(Rx, b"$100000\r\n", 2000);
    kernel.sendfile(Rx, 100_002, 3000);
    kernel.variation.all = true;
    kernel.call(Tx, &array("GET b"), 4000);
    kernel.call(Rx, b"$1\r\nx\r\n", 5000);
    kernel.close(6000);
    let all = told(&kernel);
    assert_eq!(all.iter().map(|one| &*one.target).collect::<Vec<_>>(), ["GET ?", "GET ?"]);
}

#[test]
fn an_answer_whose_parts_hide_is_over_when_the_next_command_begins() {
    for begun in [true, false] {
        let mut kernel = client();
        kernel.call(Tx, &array("MGET a b c"), 1000);
        if begun {
            kernel.call(Rx, b"*3\r\n$10\r\nabc", 2000);
        }
        kernel.sendfile(Rx, 5000, 3000);
        kernel.call(Tx, &array("GET b"), 4000);
        kernel.call(Rx, b"$1\r\nx\r\n", 5000);
        kernel.close(6000);
        let all = told(&kernel);
        let outcome = if begun { Outcome::EndUnframed } else { Outcome::ResponseUnseen };
        assert_eq!(all[0].outcome(), Some(outcome));
        assert_eq!(all[0].end.unwrap().2, crate::time::Nanos(3000));
        assert_eq!(short(&all)[1..], complete(&["GET ?"]));
    }
}

#[test]
fn several_that_wait_are_given_up_where_answers_hide() {
    let mut kernel = client();
    kernel.call(Tx, &[array("GET a"), array("GET b")].concat(), 1000);
    kernel.sendfile(Rx, 500, 2000);
    kernel.call(Rx, b"$1\r\nx\r\n", 3000);
    kernel.call(Tx, &array("SET a b"), 4000);
    kernel.call(Rx, b"+OK\r\n", 5000);
    kernel.close(6000);
    let all = told(&kernel);
    let outcomes: Vec<_> = all.iter().map(|one| one.outcome().unwrap()).collect();
    assert_eq!(outcomes, [Outcome::ResponseUnseen, Outcome::ResponseUnseen, Outcome::Complete]);
}

#[test]
fn a_connection_that_staggers_is_not_believed_after_a_loss() {
    let lossy = |quiet: u64| {
        let mut kernel = client();
        kernel.call(Tx, &array("GET a"), 1000);
        kernel.call(Tx, &array("GET b"), 2000);
        kernel.call(Rx, b"$1\r\na\r\n", 3000);
        kernel.call(Rx, b"$1\r\nb\r\n", 4000);
        kernel.sendfile(Rx, 500, 5000);
        kernel.call(Tx, &array("SET a b"), 5000 + quiet);
        kernel.call(Rx, b"+OK\r\n", 6000 + quiet);
        kernel.close(7000 + quiet);
        replay(&kernel.events, Limits::default(), 20_000_000_000).unwrap().0.len()
    };
    assert_eq!(lossy(1000), 2);
    assert_eq!(lossy(super::QUIET), 3, "nobody waits so long");
}

#[test]
fn a_connection_that_is_joined_is_paired_from_the_first_command_that_owes_nothing() {
    let mut kernel = client();
    // Whether an earlier command waits is not known.
    talk(
        &mut kernel,
        &[
            (Tx, &array("GET a")),
            (Rx, b"$1\r\n1\r\n"),
            (Tx, &array("SET a 1")),
            (Rx, b"+OK\r\n"),
            (Tx, &array("DEL a")),
            (Rx, b":1\r\n"),
        ],
    );
    kernel.close(10_000_000);
    if let crate::stream::simulate::Recorded::Open(open) = &mut kernel.events[0] {
        open.role = Role::Unseen;
    }
    assert_eq!(short(&told(&kernel)), complete(&["SET ? ?", "DEL ?"]));
}

#[test]
fn what_is_told_unasked_is_nobodys() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (Tx, &array("SUBSCRIBE a b")),
            (Rx, b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"),
            (Rx, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n"),
            (Tx, &array("PING")),
            (Rx, b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n"),
            (Tx, &array("UNSUBSCRIBE")),
            (
                Rx,
                b"*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n",
            ),
            (Tx, &array("LRANGE l")),
            (Rx, b"*1\r\n$7\r\nmessage\r\n"),
        ],
    );
    kernel.close(100_000_000);
    let (all, streams) = replay(&kernel.events, Limits::default(), 1_000_000_000).unwrap();
    assert_eq!(short(&all), complete(&["SUBSCRIBE ? ?", "PING", "UNSUBSCRIBE", "LRANGE ?"]));
    assert_eq!(streams.ledger().tally.skipped(crate::protocol::tally::Skip::Unrequested), 2 * 32 + 33);
}

#[test]
fn pushes_and_monitor_lines_are_nobodys() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (Tx, &array("HELLO 3")),
            (Rx, b"%1\r\n+proto\r\n:3\r\n"),
            (Tx, &array("GET a")),
            (Rx, b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n_\r\n"),
            (Tx, &array("SUBSCRIBE a")),
            (Rx, b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"),
            (Tx, &array("LRANGE l")),
            (Rx, b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n*1\r\n$7\r\nmessage\r\n"),
            (Tx, &array("MONITOR")),
            (Rx, b"+OK\r\n+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n"),
            (Tx, &array("QUIT")),
            (Rx, b"+1339518083.107412 [0 127.0.0.1:60866] \"keys\" \"*\"\r\n+OK\r\n"),
        ],
    );
    kernel.close(100_000_000);
    let targets = ["HELLO ?", "GET ?", "SUBSCRIBE ?", "LRANGE ?", "MONITOR", "QUIT"];
    assert_eq!(short(&told(&kernel)), complete(&targets));
}

#[test]
fn the_database_is_the_one_that_was_selected() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (Tx, &[array("GET a"), array("SELECT 12"), array("GET a")].concat()),
            (Rx, b"$-1\r\n+OK\r\n$-1\r\n"),
            (Tx, &array("GET a")),
            (Rx, b"$-1\r\n"),
            (Tx, &array("SELECT 99")),
            (Rx, b"-ERR DB index is out of range\r\n"),
            (Tx, &array("GET a")),
            (Rx, b"$-1\r\n"),
        ],
    );
    let hosts: Vec<_> = steps(&kernel)
        .iter()
        .filter_map(|step| match step {
            Step::Request { head, .. } if &*head.method == "GET" => {
                Some(head.host.as_deref().map(str::to_string))
            }
            _ => None,
        })
        .collect();
    assert_eq!(hosts, [Some("0".into()), None, Some("12".into()), None], "only what is certain is said");
}

#[test]
fn another_protocol_follows_replication() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (Tx, &array("PSYNC ? -1")),
            (Rx, b"+FULLRESYNC abc 1\r\n$5\r\nREDIS"),
            (Rx, b"*1\r\n$4\r\nPING\r\n"),
            (Tx, &array("REPLCONF ACK 5")),
        ],
    );
    kernel.close(100_000_000);
    assert_eq!(short(&told(&kernel)), complete(&["PSYNC ? ?"]));
}

#[test]
fn what_nobody_answers_is_not_told() {
    let mut kernel = client();
    let batch = [array("CLIENT REPLY SKIP"), array("SET a 1"), array("GET a")].concat();
    talk(
        &mut kernel,
        &[
            (Tx, &batch),
            (Rx, b"$1\r\n1\r\n"),
            (
                Tx,
                &[array("CLIENT REPLY OFF"), array("SET a 1"), array("CLIENT REPLY ON"), array("PING")]
                    .concat(),
            ),
            (Rx, b"+OK\r\n+PONG\r\n"),
        ],
    );
    kernel.close(100_000_000);
    assert_eq!(short(&told(&kernel)), complete(&["GET ?", "CLIENT REPLY ?", "PING"]));
}

#[test]
fn an_answer_may_be_recorded_before_its_command() {
    let mut kernel = client();
    kernel.call(Tx, &array("GET a"), 1000);
    kernel.call(Rx, b"$1\r\n1\r\n", 2000);
    kernel.call(Rx, b"+OK\r\n", 3100);
    kernel.call(Tx, &array("SET a 1"), 3000);
    kernel.close(6000);
    assert_eq!(short(&told(&kernel)), complete(&["GET ?", "SET ? ?"]));
}

#[test]
fn what_is_no_redis_is_not_taken_for_it() {
    for bytes in [
        &b"*1\r\n$0\r\n\r\n"[..],
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b"*1\r\n$3\r\n\0\0\0\r\n",
        b"*01\r\n$3\r\nGET\r\n",
        b"+OK\r\n",
        b"*1\r\n$4\r\n",
    ] {
        assert!(!super::is_command(bytes), "{bytes:?}");
    }
    assert!(super::is_command(b"*1\r\n$4\r\nPI"));
}
