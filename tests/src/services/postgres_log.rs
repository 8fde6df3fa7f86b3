//! What a PostgreSQL server says of the calls it served: its log in JSON, with the duration of every statement.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::postgres::{self, Postgres};
use crate::pace;

/// A line of the log that is about a statement.
#[derive(Clone, Debug)]
pub struct Line {
    /// What the server did: `statement`, `execute`, `parse`, `bind`; or it failed.
    pub kind: Kind,
    /// The statement.
    pub statement: String,
    /// The database.
    pub database: String,
    /// Milliseconds; 0 for what failed.
    pub duration_ms: f64,
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A simple query.
    Statement,
    /// An Execute.
    Execute,
    /// A Parse of a statement with a name.
    Prepare,
    /// Another part of the extended protocol.
    Part,
    /// It failed with this SQLSTATE.
    Error(String),
}

/// Starts a server that writes everything down.
pub fn start() -> Result<Postgres> {
    postgres::start_with(&[
        "logging_collector=on",
        "log_destination=jsonlog",
        "log_directory=log",
        "log_filename=all",
        "log_min_duration_statement=0",
        "log_rotation_age=0",
        "log_rotation_size=0",
    ])
}

/// How many lines there are up to now.
pub fn length(postgres: &Postgres) -> Result<usize> {
    Ok(read_behind(postgres, 0)?.len() + 1)
}

/// What came behind so many lines, up to now. A last statement is sent, and waited for in the log.
pub fn read_behind(postgres: &Postgres, skipped: usize) -> Result<Vec<Line>> {
    let last = format!("SELECT {skipped} AS read_until_here");
    postgres.sql("postgres", &last)?;
    let file = postgres.directory().join("data/log/all.json");
    let deadline = Instant::now() + pace::limit(Duration::from_secs(10));
    loop {
        let mut lines = read_file(&file)?;
        if let Some(end) = lines.iter().position(|line| line.statement == last) {
            lines.truncate(end);
            return Ok(lines.split_off(skipped.min(end)));
        }
        if Instant::now() > deadline {
            bail!("the server's log does not come to its end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read_file(file: &Path) -> Result<Vec<Line>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("no log at {}", file.display()))?;
    // The last line may be written at this moment.
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter_map(|line| parse(&line))
        .collect())
}

fn parse(line: &Value) -> Option<Line> {
    let field = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
    let database = field("dbname").to_owned();
    if field("error_severity") == "ERROR" {
        let kind = Kind::Error(field("state_code").to_owned());
        return Some(Line { kind, statement: field("statement").to_owned(), database, duration_ms: 0.0 });
    }
    let rest = field("message").strip_prefix("duration: ")?;
    let (duration, rest) = rest.split_once(" ms  ")?;
    let (what, statement) = rest.split_once(": ")?;
    let kind = match what.split_once(' ').unwrap_or((what, "")) {
        ("statement", _) => Kind::Statement,
        ("execute", _) => Kind::Execute,
        ("parse", name) if name != "<unnamed>" => Kind::Prepare,
        _ => Kind::Part,
    };
    Some(Line { kind, statement: statement.to_owned(), database, duration_ms: duration.parse().ok()? })
}

/// What a statement is called: the first word in it that begins with `q_` (but for the table `q_rows`); else its first word, in capitals.
pub fn name(statement: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = || statement.split(|c| !is_word(c)).filter(|word| !word.is_empty());
    // The table that all calls have in common names none of them.
    let named = words().find(|word| word.starts_with("q_") && *word != "q_rows");
    named.map_or_else(|| words().next().unwrap_or_default().to_ascii_uppercase(), str::to_owned)
}

/// How often each name, with its error, occurs.
pub type Counts = BTreeMap<(String, Option<String>), usize>;
