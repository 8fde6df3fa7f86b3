//! The servers' own statement of what they served: their access logs.
//!
//! Every service is configured to, or in the small programs writes, one line per request of one shape:
//!
//! ```text
//! GET /item/00c0ffee HTTP/1.1 200 0.015
//! ```
//!
//! the request line, the status, and the duration as the server measured it, in a unit of its own. A server that lets its program add
//! something adds how long the program itself took, in the same unit.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pace;

/// The unit in which a server logs durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// nginx's `$request_time`: seconds with three decimals, differences of a clock that nginx reads once per turn
    /// of its event loop.
    SecondsToMillis,
    /// gunicorn's and Apache's `%D`.
    Micros,
    /// The small programs.
    Nanos,
}

impl Unit {
    /// The smallest difference that the logged figure can express, in milliseconds.
    pub fn resolution_ms(self) -> f64 {
        match self {
            // Start and end are each cut to a millisecond.
            Unit::SecondsToMillis => 1.0,
            Unit::Micros => 0.001,
            Unit::Nanos => 0.000_001,
        }
    }

    fn to_ms(self, figure: f64) -> f64 {
        match self {
            Unit::SecondsToMillis => figure * 1e3,
            Unit::Micros => figure / 1e3,
            Unit::Nanos => figure / 1e6,
        }
    }
}

/// One request, as the server tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The status code.
    pub status: u16,
    /// Duration in milliseconds.
    pub duration_ms: f64,
    /// What the program measured itself, between reading the request and writing the response, if the server logs that.
    pub within_ms: Option<f64>,
}

/// Reads the lines whose target begins with `prefix`.
pub fn read(path: &Path, unit: Unit, prefix: &str) -> Result<Vec<Line>> {
    let bytes = std::fs::read(path).with_context(|| format!("no access log at {}", path.display()))?;
    let mut lines = Vec::new();
    for line in String::from_utf8_lossy(&bytes).lines() {
        // Other lines are the server's answers to something that was no request.
        let Some(line) = parse(line, unit) else { continue };
        if line.target.starts_with(prefix) {
            lines.push(line);
        }
    }
    Ok(lines)
}

/// As [`read`], but waits until there are at least `count` lines: some servers log after the client has its answer.
pub fn read_at_least(path: &Path, unit: Unit, prefix: &str, count: usize) -> Result<Vec<Line>> {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(5));
    loop {
        let lines = read(path, unit, prefix)?;
        if lines.len() >= count {
            return Ok(lines);
        }
        if Instant::now() > deadline {
            bail!("{} has {} lines for {prefix}, expected {count}", path.display(), lines.len());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn parse(line: &str, unit: Unit) -> Option<Line> {
    let mut words = line.split(' ');
    let method = words.next()?.to_owned();
    let target = words.next()?.to_owned();
    words.next()?.strip_prefix("HTTP/")?;
    let status = words.next()?.parse().ok()?;
    let duration_ms = unit.to_ms(words.next()?.parse().ok()?);
    let within_ms = words.next().and_then(|figure| figure.parse().ok()).map(|figure| unit.to_ms(figure));
    Some(Line { method, target, status, duration_ms, within_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_becomes_milliseconds() {
        let line = |figure: &str, unit| parse(&format!("GET /a?b HTTP/1.1 200 {figure}"), unit).unwrap();
        assert_eq!(line("0.015", Unit::SecondsToMillis).duration_ms, 15.0);
        assert_eq!(line("1500", Unit::Micros).duration_ms, 1.5);
        assert_eq!(line("1500", Unit::Nanos).duration_ms, 0.0015);
        assert_eq!(line("1", Unit::Micros).target, "/a?b");
        assert_eq!(line("1500 700", Unit::Micros).within_ms, Some(0.7));
    }

    #[test]
    fn a_line_for_a_broken_request_is_passed_over() {
        assert_eq!(parse("\\x16\\x03\\x01 400 0.000", Unit::SecondsToMillis), None);
    }
}
