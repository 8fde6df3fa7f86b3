//! Clients of MariaDB: PyMySQL, PHP's mysqli and PDO with prepared statements, and MariaDB's own.
//!
//! The server's general log says which statements it executed. Each of them is one span of the server and one of the client, joined;
//! the client's lies within what the client measured. What a client does first on a connection takes long enough for the probes to be
//! told that every call is of use.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::process::{self, Spec};
use tracer_tests::services::mariadb::{self, Logged, MariaDb};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{Recording, Tracer};

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("mariadbd"),
    Need::Command("mariadb-install-db"),
    Need::Command("mariadb"),
    Need::PythonModule("pymysql"),
];
const PHP: &[Need] = &[Need::Command("php"), Need::File("/usr/share", "php", "-mysql")];

fn main() -> ExitCode {
    let python = |connections: u32| {
        test(format!("pymysql_{connections}"), move || {
            each_statement_once(&["mysql_client.py"], |server, name, program| {
                server.client(program, &[name, &connections.to_string(), "40"])
            })
        })
    };
    let tests = vec![
        python(1),
        python(8),
        test("php_prepared", || {
            each_statement_once(&["mysql_client.php"], |server, name, program| {
                server.client(program, &[name, "60"])
            })
        })
        .needing(PHP),
        test("own_client", own_client),
    ];
    suite::run(NEEDS, tests)
}

fn server() -> Result<MariaDb> {
    let server = mariadb::start()?;
    server.sql(
        "CREATE DATABASE shop; USE shop; CREATE TABLE items (id INT PRIMARY KEY, name TEXT, body TEXT); \
         CREATE TABLE log (n INT, text TEXT); \
         INSERT INTO items SELECT seq, CONCAT('item ', seq), REPEAT('y', 200) FROM seq_1_to_1000;",
    )?;
    Ok(server)
}

/// What a client says of one statement.
struct Measured {
    start: u64,
    end: u64,
    error: Option<String>,
}

fn measured(text: &str) -> Result<BTreeMap<String, Measured>> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let mut next = || words.next().with_context(|| format!("the client said {line:?}"));
        let (marker, start, end, error) = (next()?, next()?, next()?, next()?);
        let error = (error != "-").then(|| error.to_owned());
        Ok((marker.to_owned(), Measured { start: start.parse()?, end: end.parse()?, error }))
    };
    text.lines().map(line).collect()
}

fn mysql(trace: &Trace) -> Vec<&Span> {
    trace.spans.iter().filter(|span| span.tag("db.system") == Some("mysql")).collect()
}

fn statement(span: &Span) -> &str {
    span.tag("db.statement").unwrap_or_default()
}

fn is_preparation(span: &Span) -> bool {
    span.tag("db.operation") == Some("PREPARE")
}

fn record(
    server: &MariaDb,
    load: impl FnOnce() -> Result<String>,
) -> Result<(String, Recording, Vec<Logged>)> {
    let before = server.commands()?.len();
    let tracer = Tracer::record(&[])?;
    let said = load()?;
    std::thread::sleep(Duration::from_millis(200));
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let log = server.commands()?.split_off(before);
    Ok((said, recording, log))
}

/// Every statement that the log says was executed: one span at each end, joined, and as the client measured it.
fn each_statement_once(
    programs: &[&str],
    run: impl Fn(&MariaDb, &str, &str) -> Result<String>,
) -> Result<String> {
    let server = server()?;
    let (said, recording, log) =
        record(&server, || programs.iter().map(|program| run(&server, "m", program)).collect())?;
    let measured = measured(&said)?;
    ensure!(!measured.is_empty(), "the client said nothing");
    let executed = |marker: &str| {
        let has = |text: &str| {
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == marker)
        };
        log.iter().filter(|(name, text)| (name == "Query" || name == "Execute") && has(text)).count()
    };
    let spans = mysql(&recording.trace);
    let mut by_marker: HashMap<&str, Vec<&Span>> = HashMap::new();
    for span in spans.iter().filter(|span| !is_preparation(span)) {
        let words = statement(span).split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for marker in words.filter(|word| measured.contains_key(*word)) {
            by_marker.entry(marker).or_default().push(span);
        }
        ensure!(!statement(span).contains("secret"), "a value is shown: {}", statement(span));
    }
    let mut longest = 0.0f64;
    for (marker, took) in &measured {
        ensure!(executed(marker) == 1, "the log has {marker} {} times", executed(marker));
        let found = by_marker.get(marker.as_str()).map(Vec::as_slice).unwrap_or_default();
        let of = |kind: Kind| found.iter().copied().filter(|span| span.kind == kind).collect::<Vec<_>>();
        let (clients, servers) = (of(Kind::Client), of(Kind::Server));
        let ([call], [served]) = (clients.as_slice(), servers.as_slice()) else {
            anyhow::bail!("{marker}: {} client spans and {} server spans", clients.len(), servers.len());
        };
        Trace::check_joined(call, served)?;
        for span in [call, served] {
            ensure!(span.outcome().is_none(), "{marker} has the outcome {:?}", span.outcome());
            ensure!(
                span.tag("db.response.status_code") == took.error.as_deref(),
                "{marker}: {:?}",
                span.tags
            );
            ensure!(span.tag("db.instance") == Some("shop"), "{marker}: {:?}", span.tags);
        }
        // Two clocks: wall time of the client's library, and the kernel's.
        let slack = 5_000_000;
        ensure!(
            call.start_ns + slack >= took.start && call.end_ns() <= took.end + slack,
            "{marker}: the span {} to {}, the client {} to {}",
            call.start_ns,
            call.end_ns(),
            took.start,
            took.end
        );
        longest = longest.max(call.duration_ms);
    }
    // Nothing else: what the log has besides are logins, preparations, and what is not answered.
    let asked = log
        .iter()
        .filter(|(name, _)| matches!(&**name, "Query" | "Execute" | "Prepare" | "Ping" | "Init DB"))
        .count();
    let served = spans.iter().filter(|span| span.kind == Kind::Server).count();
    ensure!(served == asked, "{served} server spans, {asked} commands in the log");
    Ok(format!("{} statements, {served} commands, longest {longest:.1} ms", measured.len()))
}

/// MariaDB's own client: several statements, errors, and a schema that changes; and a connection that it compresses.
fn own_client() -> Result<String> {
    let server = server()?;
    let (_, recording, log) = record(&server, || {
        server.sql("SELECT SLEEP(0.4); USE shop; SELECT COUNT(*) FROM items WHERE name = 'secret'; SELECT body FROM items; USE mysql; SELECT user FROM user")
    })?;
    let spans = mysql(&recording.trace);
    let mut served: Vec<&Span> = spans.iter().copied().filter(|span| span.kind == Kind::Server).collect();
    served.sort_by_key(|span| span.start_ns);
    let all: Vec<(&str, &str)> =
        served.iter().map(|span| (span.operation.as_str(), span.tag("db.instance").unwrap_or("-"))).collect();
    let last: Vec<_> = all
        .iter()
        .filter(|(name, _)| name.starts_with("SELECT ") && name.contains(|c: char| c.is_ascii_lowercase()))
        .collect();
    ensure!(
        last == [&("SELECT items", "shop"), &("SELECT items", "shop"), &("SELECT user", "mysql")],
        "the statements are {all:?}; the log {log:?}"
    );
    let packed = compressed(&server)?;
    Ok(format!("{} commands; {packed} bytes are compressed", served.len()))
}

/// A connection that is compressed after its login says nothing, and is in the ledger; others are told as ever.
fn compressed(server: &MariaDb) -> Result<u64> {
    let statements = "SELECT SLEEP(0.2) AS packed; SELECT name AS packed FROM items";
    let (_, recording, log) = record(server, || {
        process::run(
            &Spec::new("mariadb")?
                .args(["--no-defaults", "--skip-ssl", "--compress", "-h", "127.0.0.1", "-u", "root"])
                .args(["-P", &server.port().to_string(), "-D", "shop", "-e", statements]),
        )?;
        server.sql("SELECT name AS plain FROM shop.items LIMIT 1")
    })?;
    let logged = |word: &str| log.iter().filter(|(_, text)| text.contains(word)).count();
    ensure!((logged("packed"), logged("plain")) == (2, 1), "the log says {log:?}");
    let spans = mysql(&recording.trace);
    let told = |word: &str| spans.iter().filter(|span| statement(span).contains(word)).count();
    ensure!((told("packed"), told("plain")) == (0, 2), "{spans:?}");
    let counted = recording.ledger.value().pointer("/bytes_skipped/compressed");
    let counted = counted.and_then(serde_json::Value::as_u64).context("no counter of what is compressed")?;
    // At both ends; the names alone are some 3 kB even so.
    ensure!(counted > 5_000, "{counted} bytes are counted as compressed");
    Ok(counted)
}
