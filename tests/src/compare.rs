//! Access log against server spans: each request exactly once, with the same method, path, status and duration.
//!
//! Requests are told apart by their target, which the load makes unique ([`crate::load`]).

use std::collections::HashMap;
use std::fmt;

use anyhow::{Result, bail};

use crate::access_log::{Line, Unit};
use crate::pace;
use crate::span::Span;

/// How far a span's duration may be from the logged one: this many milliseconds, or this share, whichever is more;
/// and the log's own resolution on top.
const NEAR_MS: f64 = 1.0;
const NEAR_SHARE: f64 = 0.05;

/// A program's clock and the kernel's are one, but figures are rounded.
const CLOCKS_MS: f64 = 0.01;

/// In a short run a share says little: so many misses, one in twenty at the most, are no finding.
const FEW: usize = 5;

/// What is asked of the durations.
///
/// A span runs from the first byte of the request read to the last byte of the response written, as the kernel sees
/// it. A log line's interval is never longer than that but may be shorter: the server reads its clock some time after
/// the first read returned, and before the last write or after it. On a machine with more runnable threads than
/// cores a thread can lose its core between the system call and the reading of the clock. Such a request is not
/// measured wrongly by either side, so a small share of misses is allowed, is printed, and is bounded.
///
/// Where the log has what the program measured itself ([`Line::within_ms`]), that interval begins after the request was read and ends
/// before the response is written. So every span contains it, whatever the scheduler does, and a span that is shorter is wrong. The
/// server's own figure is only a bound from above then: it may begin long before the request is read (PHP-FPM: with `accept`).
#[derive(Clone, Copy, Debug)]
pub struct Durations {
    /// The log's unit.
    pub unit: Unit,
    /// The share of requests, 0 to 1, that must be near the log's figure.
    pub share: f64,
    /// No request may be further away than this.
    pub at_most_ms: f64,
    /// How far apart two readings of the server's clock may be, where it reads it once per turn of its event loop.
    pub turn_ms: f64,
}

/// What a request adds to a turn of an event loop that serves many at once, traced and with a backend on the same two
/// cores. Measured with nginx as a proxy; a static file takes half of it.
const TURN_MS_PER_CONNECTION: f64 = 0.05;

impl Durations {
    /// At least 95 % near, none further away than half a second: what a neighbour on the same host may take away at the
    /// worst. On two shared virtual cores, quiet, between 98.4 and 100 % were seen near, and none beyond 60 ms.
    pub fn of(unit: Unit) -> Self {
        Self { unit, share: 0.95, at_most_ms: pace::milliseconds(500.0), turn_ms: 0.0 }
    }

    /// The server's clock stands still while its event loop serves what is ready, at most all of so many connections.
    pub fn clock_per_turn(self, connections: u32) -> Self {
        Self { turn_ms: f64::from(connections) * TURN_MS_PER_CONNECTION, ..self }
    }

    /// Whether a span's duration is near a logged one, both in milliseconds.
    pub fn near(&self, span: f64, log: f64) -> bool {
        near(span, log, self.unit.resolution_ms() + self.turn_ms, pace::factor())
    }
}

/// Where everything is slow, the way from a system call to the reading of a clock is long too, by no known measure: there
/// a span may be longer than the logged interval, which it contains, but still not shorter.
fn near(span: f64, log: f64, resolution_ms: f64, slow: u32) -> bool {
    // The span's duration is exact; a tenth of a microsecond covers the rounding of decimals.
    let allowed = f64::from(slow) * NEAR_MS.max(NEAR_SHARE * log) + resolution_ms + 1e-4;
    if slow > 1 { log - span <= allowed } else { (span - log).abs() <= allowed }
}

/// Requests that the load's end cut off: the server read them and noticed on writing that the client had gone. A span
/// each is right; a server that never finished such a request (gunicorn's sync worker) does not log it.
#[derive(Clone, Copy, Debug)]
pub struct CutOff {
    /// When the load closed its connections, nanoseconds since the Unix epoch. Only spans that end later count.
    pub after_ns: u64,
    /// At most one per connection.
    pub at_most: usize,
}

/// The outcome of a comparison.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests in the log.
    pub requests: usize,
    /// Targets in the log that no span has.
    pub missing: Vec<String>,
    /// Targets of spans that the log does not have.
    pub extra: Vec<String>,
    /// Spans that the log does not have because the load's end cut the request off.
    pub cut_off: usize,
    /// Targets with more spans than lines.
    pub repeated: Vec<String>,
    /// Other statuses or methods, said in words.
    pub different: Vec<String>,
    /// Durations that are not near, said in words.
    pub off: Vec<String>,
    /// The largest difference of durations, in milliseconds.
    pub largest_ms: f64,
    /// Of the requests that have a span, the share whose duration is near, 0 to 1.
    pub near_share: f64,
}

impl Report {
    /// Fails unless every request is exactly one span, and the durations are as asked.
    pub fn check(&self, durations: &Durations) -> Result<()> {
        self.check_requests(durations)?;
        if self.is_far(durations) {
            bail!("{self}");
        }
        Ok(())
    }

    /// More durations are off than a few stolen moments explain.
    pub fn is_far(&self, durations: &Durations) -> bool {
        self.off.len() > FEW.min(self.requests / 20) && self.near_share < durations.share
    }

    /// Fails unless every request is exactly one span, and no duration is out of all bounds.
    pub fn check_requests(&self, durations: &Durations) -> Result<()> {
        let exact = self.missing.is_empty()
            && self.extra.is_empty()
            && self.repeated.is_empty()
            && self.different.is_empty();
        if self.requests == 0 {
            bail!("the access log is empty: nothing was compared");
        }
        if !exact || self.largest_ms > durations.at_most_ms {
            bail!("{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests: {} without a span, {} spans without a request, {} repeated, {} different; durations near \
             {:.2} %, largest difference {:.3} ms",
            self.requests,
            self.missing.len(),
            self.extra.len(),
            self.repeated.len(),
            self.different.len(),
            self.near_share * 100.0,
            self.largest_ms
        )?;
        if self.cut_off > 0 {
            write!(f, "; {} cut off by the end of the load", self.cut_off)?;
        }
        let lists = [
            ("without a span", &self.missing),
            ("without a request", &self.extra),
            ("repeated", &self.repeated),
            ("different", &self.different),
            ("duration", &self.off),
        ];
        for (name, list) in lists {
            for entry in list.iter().take(5) {
                write!(f, "\n  {name}: {entry}")?;
            }
        }
        Ok(())
    }
}

/// Compares a server's log with its spans.
pub fn compare(log: &[Line], spans: &[&Span], durations: &Durations, cut_off: Option<CutOff>) -> Report {
    let mut by_target: HashMap<&str, Vec<&Span>> = HashMap::new();
    for span in spans {
        by_target.entry(span.target()).or_default().push(span);
    }
    let mut report = Report { requests: log.len(), ..Report::default() };
    for line in log {
        let found = by_target.remove(line.target.as_str()).unwrap_or_default();
        let Some((span, others)) = found.split_first() else {
            report.missing.push(format!("{} {} {}", line.method, line.target, line.status));
            continue;
        };
        if !others.is_empty() {
            report.repeated.push(format!("{} has {} spans", line.target, found.len()));
        }
        if span.status() != Some(line.status) || span.method() != line.method {
            report.different.push(format!(
                "{}: log {} {}, span {} {:?}",
                line.target,
                line.method,
                line.status,
                span.method(),
                span.status()
            ));
        }
        if let Some(outcome) = span.outcome() {
            report.different.push(format!("{}: complete in the log, {outcome} in the span", line.target));
        }
        let within = line.within_ms.unwrap_or_default();
        if span.duration_ms + CLOCKS_MS < within {
            report.different.push(format!(
                "{}: {within} ms in the program, {} ms in the span",
                line.target, span.duration_ms
            ));
        }
        let difference = match line.within_ms {
            Some(_) => (span.duration_ms - line.duration_ms).max(0.0),
            None => (span.duration_ms - line.duration_ms).abs(),
        };
        report.largest_ms = report.largest_ms.max(difference);
        let shorter = line.within_ms.is_some() && span.duration_ms <= line.duration_ms;
        if !shorter && !durations.near(span.duration_ms, line.duration_ms) {
            report
                .off
                .push(format!("{}: log {} ms, span {} ms", line.target, line.duration_ms, span.duration_ms));
        }
    }
    let mut extra = Vec::new();
    for span in by_target.values().flatten() {
        match cut_off {
            Some(cut) if span.end_ns() >= cut.after_ns && report.cut_off < cut.at_most => report.cut_off += 1,
            _ => extra.push(format!("{} {:?} {:?}", span.operation, span.status(), span.tags)),
        }
    }
    extra.sort();
    report.extra = extra;
    let compared = log.len().saturating_sub(report.missing.len());
    if compared > 0 {
        report.near_share = 1.0 - report.off.len() as f64 / compared as f64;
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::{trace, value};

    fn line(target: &str, status: u16, duration_ms: f64) -> Line {
        Line { method: "GET".into(), target: target.into(), status, duration_ms, within_ms: None }
    }

    const MICROS: Durations = Durations { unit: Unit::Micros, share: 0.99, at_most_ms: 200.0, turn_ms: 0.0 };

    #[test]
    fn equal_sides_pass() {
        let trace = trace(vec![value(1, "server", "/a", None, 1.0), value(2, "server", "/b", None, 104.0)]);
        let report =
            compare(&[line("/a", 200, 0.5), line("/b", 200, 100.0)], &trace.servers("/"), &MICROS, None);
        report.check(&MICROS).unwrap();
    }

    #[test]
    fn every_kind_of_difference_fails() {
        let spans = || trace(vec![value(1, "server", "/a", None, 1.0), value(2, "server", "/b", None, 1.0)]);
        let a = line("/a", 200, 1.0);
        let b = line("/b", 200, 1.0);
        let check = |log: &[Line]| compare(log, &spans().servers("/"), &MICROS, None).check(&MICROS);
        check(&[a.clone(), b.clone()]).unwrap();
        check(std::slice::from_ref(&a)).unwrap_err();
        check(&[a.clone(), b.clone(), line("/c", 200, 1.0)]).unwrap_err();
        check(&[a.clone(), b.clone(), b.clone()]).unwrap_err();
        check(&[a.clone(), line("/b", 404, 1.0)]).unwrap_err();
        check(&[a.clone(), line("/b", 200, 2.2)]).unwrap_err();
        check(&[]).unwrap_err();
    }

    #[test]
    fn a_span_contains_what_the_program_measured() {
        let trace = trace(vec![value(1, "server", "/a", None, 1.0)]);
        let check = |duration_ms, within_ms| {
            let line = Line { within_ms: Some(within_ms), ..line("/a", 200, duration_ms) };
            let log = vec![line; 1];
            let report = compare(&log, &trace.servers("/"), &MICROS, None);
            report.check_requests(&MICROS).map(|()| report.off.len())
        };
        // The server's clock ran long before; not at all; and less than the program's.
        assert_eq!(check(30.0, 0.9).unwrap(), 0);
        assert_eq!(check(0.1, 0.9).unwrap(), 0);
        check(30.0, 1.1).unwrap_err();
        // Longer than the server's own figure is what it always was.
        let trace = super::tests::trace(vec![value(1, "server", "/a", None, 30.0)]);
        let line = Line { within_ms: Some(0.5), ..line("/a", 200, 1.0) };
        assert_eq!(compare(&[line], &trace.servers("/"), &MICROS, None).off.len(), 1);
    }

    #[test]
    fn two_spans_for_one_line_fail() {
        let trace = trace(vec![value(1, "server", "/a", None, 1.0), value(2, "server", "/a", None, 1.0)]);
        let report = compare(&[line("/a", 200, 1.0)], &trace.servers("/"), &MICROS, None);
        assert_eq!(report.repeated.len(), 1);
        report.check(&MICROS).unwrap_err();
    }

    #[test]
    fn few_far_durations_pass_and_a_very_far_one_does_not() {
        let log: Vec<Line> = (0..200).map(|n| line(&format!("/{n}"), 200, 1.0)).collect();
        let spans = |last: f64| {
            trace(
                (0..200)
                    .map(|n| {
                        let ms = if n == 199 { last } else { 1.0 };
                        value(n + 1, "server", &format!("/{n}"), None, ms)
                    })
                    .collect(),
            )
        };
        compare(&log, &spans(50.0).servers("/"), &MICROS, None).check(&MICROS).unwrap();
        compare(&log, &spans(5000.0).servers("/"), &MICROS, None).check(&MICROS).unwrap_err();
    }

    #[test]
    fn a_request_cut_off_needs_no_line_but_only_at_the_end() {
        let trace = trace(vec![value(1, "server", "/a", None, 1.0), value(2, "server", "/late", None, 1.0)]);
        let end = trace.spans[1].end_ns();
        let check = |after_ns, at_most| {
            let cut = Some(CutOff { after_ns, at_most });
            compare(&[line("/a", 200, 1.0)], &trace.servers("/"), &MICROS, cut).check(&MICROS)
        };
        check(end, 1).unwrap();
        check(end, 0).unwrap_err();
        check(end + 1, 1).unwrap_err();
    }

    #[test]
    fn the_resolution_of_the_log_is_allowed_for() {
        let millis = Durations::of(Unit::SecondsToMillis);
        assert!(millis.near(1.9, 0.0));
        assert!(!millis.near(2.1, 0.0));
        assert!(!MICROS.near(1.9, 0.0));
        let turns = millis.clock_per_turn(64);
        assert!(turns.near(5.1, 0.0) && !turns.near(5.3, 0.0));
    }

    #[test]
    fn where_all_is_slow_a_span_may_be_longer_but_not_shorter_than_the_log() {
        assert!(near(400.0, 100.0, 1e-3, 10));
        assert!(near(60.0, 100.0, 1e-3, 10));
        assert!(!near(40.0, 100.0, 1e-3, 10));
        assert!(!near(400.0, 100.0, 1e-3, 1));
    }
}
