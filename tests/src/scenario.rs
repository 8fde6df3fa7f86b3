//! The two questions that every server is asked under load.
//!
//! 1. Is every request of its access log exactly one server span, alike in method, path, status and duration?
//! 2. Is every call it makes exactly one client and one server span, joined, under the right parent?

use std::collections::{BTreeSet, HashMap};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::compare::{self, CutOff, Durations, Report};
use crate::load::{Ending, Wrk};
use crate::pace;
use crate::services::Service;
use crate::span::{Kind, Span, Trace};
use crate::tracer::Tracer;
use crate::truth::{self, Links};

/// The numbers of keep-alive connections that each server is loaded with.
pub const CONNECTIONS: [u32; 3] = [1, 8, 64];

/// How often the durations are looked at, if they are not near at once.
const ATTEMPTS: u32 = 3;

/// How close to the end of a wrk run its connections may already have been closed.
const CLOSING: Duration = Duration::from_millis(100);

/// Question 1. The tracer starts before the load and ends after it, and is given the server's main process.
///
/// What a neighbour on the host takes from the server between a system call and the reading of its clock is nobody's
/// defect, and passes; a wrong duration does not. So the durations must be right in one of [`ATTEMPTS`] runs. All else
/// is asked of each.
pub fn each_request_is_one_span(service: &Service, load: &Wrk, durations: &Durations) -> Result<String> {
    let mut said = String::new();
    for attempt in 1..=ATTEMPTS {
        let (report, rate) = requests_and_spans(service, load, durations)?;
        if report.is_far(durations) && attempt < ATTEMPTS {
            said.push_str(&format!("{report}; once more: "));
            continue;
        }
        report.check(durations).with_context(|| format!("attempt {attempt}"))?;
        said.push_str(&format!("{report}; {rate:.0} requests/s"));
        break;
    }
    Ok(said)
}

/// One run of it: the comparison, and requests per second.
fn requests_and_spans(service: &Service, load: &Wrk, durations: &Durations) -> Result<(Report, f64)> {
    let before = service.log("/")?.len();
    let tracer = Tracer::record(&["--pid", &service.pid().to_string()])?;
    let outcome = load.run()?;
    let log = settled(|| Ok(service.log("/")?.split_off(before)))?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;

    let cut_off = (load.ending == Ending::Abrupt).then(|| CutOff {
        after_ns: outcome.ended_ns.saturating_sub(pace::limit(CLOSING).as_nanos() as u64),
        at_most: load.connections as usize,
    });
    let spans = recording.trace.servers("/");
    let report = compare::compare(&log, &spans, durations, cut_off);
    report.check_requests(durations)?;
    check_one_service(&spans)?;
    Ok((report, outcome.rate))
}

/// All processes and threads of one server are one service, whose name says more than its interpreter.
pub fn check_one_service(spans: &[&Span]) -> Result<()> {
    let names: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    let mut names = names.into_iter();
    let (Some(name), None) = (names.next(), names.next()) else {
        bail!("one server has {} service names", 2 + names.count());
    };
    let interpreter = ["python", "node", "java", "php", "gunicorn", "sh"].iter().any(|&bare| {
        name.strip_prefix(bare).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
    });
    ensure!(!interpreter && !name.is_empty(), "the service's name is {name:?}, which says nothing");
    Ok(())
}

/// Question 2. The whole host is traced, so that the caller's, the front's and the backend's sides are all there.
pub fn each_call_has_its_parent(front: &Service, load: &Wrk, links: Links) -> Result<String> {
    let before = front.calls()?.len();
    let tracer = Tracer::record(&[])?;
    load.run()?;
    let calls = settled(|| Ok(front.calls()?.split_off(before)))?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;

    let score = truth::score(&calls, &recording.trace);
    score.check(links)?;
    check_joined(&recording.trace, "/front?truth=")?;
    Ok(score.to_string())
}

/// Every server span with a target of that beginning has the caller's span, of the same target, as its parent.
/// Returns how many there are, at least one.
pub fn check_joined(trace: &Trace, prefix: &str) -> Result<usize> {
    let clients: HashMap<&str, &Span> =
        trace.clients(prefix).into_iter().map(|span| (span.span_id.as_str(), span)).collect();
    let servers = trace.servers(prefix);
    ensure!(!servers.is_empty(), "no server span of {prefix}");
    for server in &servers {
        let client = server.parent.as_deref().and_then(|id| clients.get(id)).with_context(|| {
            format!("the parent of {} is {:?}, no client span", server.target(), server.parent)
        })?;
        ensure!(client.target() == server.target(), "{} joined {}", client.target(), server.target());
        Trace::check_joined(client, server)?;
    }
    Ok(servers.len())
}

/// The only span with that kind and target.
pub fn the_span<'a>(trace: &'a Trace, kind: Kind, target: &str) -> Result<&'a Span> {
    let found: Vec<&Span> =
        trace.spans.iter().filter(|span| span.kind == kind && span.target() == target).collect();
    match found.as_slice() {
        [span] => Ok(span),
        others => bail!("{target} has {} {kind:?} spans, not one; all spans: {}", others.len(), list(trace)),
    }
}

/// The spans of a small trace, for messages.
pub fn list(trace: &Trace) -> String {
    let mut text = format!("{} spans", trace.spans.len());
    for span in trace.spans.iter().take(20) {
        text.push_str(&format!("\n  {:?} {} {} {:?}", span.kind, span.service, span.operation, span.tags));
    }
    text
}

/// Reads a growing list until it has stood still for a moment: servers finish what they had accepted, and log late.
fn settled<T>(read: impl Fn() -> Result<Vec<T>>) -> Result<Vec<T>> {
    let still = pace::limit(Duration::from_millis(200));
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    let mut list = read()?;
    let mut since = Instant::now();
    while since.elapsed() < still {
        ensure!(Instant::now() < deadline, "a log still grows long after the load");
        thread::sleep(Duration::from_millis(20));
        let now = read()?;
        if now.len() != list.len() {
            (list, since) = (now, Instant::now());
        }
    }
    Ok(list)
}
