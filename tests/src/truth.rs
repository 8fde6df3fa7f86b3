//! Who really called whom: the truth files, and how a trace is scored against them.
//!
//! Every hop draws a fresh id for each outgoing call, puts it into that call's query (`/b?truth=<id>`), and appends
//! `INCOMING OUTGOING` to a file. The tracer does not look at it; here it tells which span is which. No id is used for
//! two hops, so nothing in the traffic repeats along a trace.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::span::{Kind, Span, Trace};

/// One call that a service made while it served a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The id that came in with the request being served.
    pub incoming: String,
    /// The id that went out.
    pub outgoing: String,
}

/// Reads a truth file. Lines without an incoming id (the harness asking whether the service is up) do not count.
pub fn read(path: &Path) -> Result<Vec<Call>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("no truth file at {}", path.display()))?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(incoming, outgoing)| !matches!(*incoming, "" | "-") && !outgoing.is_empty())
        .map(|(incoming, outgoing)| Call { incoming: incoming.to_owned(), outgoing: outgoing.to_owned() })
        .collect())
}

/// How many links there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Every call has its right parent.
    All,
    /// At least this many of a hundred must be right, and at most one of two hundred may be wrong: loops, where several
    /// requests could have made a call and all calls are weighed together.
    AtLeast(usize),
    /// A call has its right parent or none, but for one in two hundred; the share is reported.
    RightOrAbsent,
}

/// How a trace compares with the truth.
#[derive(Debug, Default)]
pub struct Score {
    /// Calls in the truth file.
    pub calls: usize,
    /// Calls that are not exactly one client and one server span, said in words.
    pub not_once: Vec<String>,
    /// Calls whose server span does not have the client span as its parent.
    pub not_joined: Vec<String>,
    /// Client spans with the right parent.
    pub right: usize,
    /// Client spans without a parent.
    pub absent: usize,
    /// Client spans with another parent, said in words.
    pub wrong: Vec<String>,
    /// How many client spans name which evidence for their parent.
    pub evidence: HashMap<String, usize>,
}

impl Score {
    /// The share of calls with the right parent, 0 to 1.
    pub fn coverage(&self) -> f64 {
        if self.calls == 0 { 0.0 } else { self.right as f64 / self.calls as f64 }
    }

    /// Fails unless every call is one client and one server span, joined, and the parents are as asked.
    pub fn check(&self, links: Links) -> Result<()> {
        if self.calls == 0 {
            bail!("the truth file has no calls: nothing was compared");
        }
        let allowed = match links {
            Links::All => 0,
            Links::AtLeast(_) | Links::RightOrAbsent => self.calls / 200,
        };
        let exact = self.not_once.is_empty() && self.not_joined.is_empty() && self.wrong.len() <= allowed;
        let complete = match links {
            Links::All => self.right == self.calls,
            Links::AtLeast(percent) => self.right * 100 >= self.calls * percent,
            Links::RightOrAbsent => true,
        };
        if !exact || !complete {
            bail!("{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut evidence: Vec<_> = self.evidence.iter().collect();
        evidence.sort();
        write!(
            f,
            "{} calls: {} not exactly one client and one server span, {} not joined; parents: {} right ({:.2} %), {} \
             absent, {} wrong; evidence {evidence:?}",
            self.calls,
            self.not_once.len(),
            self.not_joined.len(),
            self.right,
            self.coverage() * 100.0,
            self.absent,
            self.wrong.len()
        )?;
        for (name, list) in
            [("not once", &self.not_once), ("not joined", &self.not_joined), ("wrong", &self.wrong)]
        {
            for entry in list.iter().take(5) {
                write!(f, "\n  {name}: {entry}")?;
            }
        }
        Ok(())
    }
}

/// Scores a trace against the truth.
pub fn score(calls: &[Call], trace: &Trace) -> Score {
    let clients = by_id(trace, Kind::Client);
    let servers = by_id(trace, Kind::Server);
    let none = Vec::new();
    let mut score = Score { calls: calls.len(), ..Score::default() };
    for call in calls {
        let client = clients.get(call.outgoing.as_str()).unwrap_or(&none);
        let server = servers.get(call.outgoing.as_str()).unwrap_or(&none);
        let ([client], [server]) = (client.as_slice(), server.as_slice()) else {
            score.not_once.push(format!(
                "{}: {} client and {} server spans",
                call.outgoing,
                client.len(),
                server.len()
            ));
            continue;
        };
        if Trace::check_joined(client, server).is_err() {
            score.not_joined.push(format!("{}: the server's parent is {:?}", call.outgoing, server.parent));
        }
        let expected = servers.get(call.incoming.as_str()).and_then(|spans| spans.first());
        match (&client.parent, expected) {
            (None, _) => score.absent += 1,
            (Some(parent), Some(expected)) if *parent == expected.span_id => {
                score.right += 1;
                let evidence = client.evidence().unwrap_or_else(|| "not named".to_owned());
                *score.evidence.entry(evidence).or_default() += 1;
            }
            (Some(parent), expected) => score.wrong.push(format!(
                "{}: parent {parent}, should be {:?}; evidence {:?}",
                call.outgoing,
                expected.map(|span| &span.span_id),
                client.evidence()
            )),
        }
    }
    score
}

fn by_id(trace: &Trace, kind: Kind) -> HashMap<&str, Vec<&Span>> {
    let mut spans: HashMap<&str, Vec<&Span>> = HashMap::new();
    for span in trace.spans.iter().filter(|span| span.kind == kind) {
        if let Some(id) = truth_id(span.target()) {
            spans.entry(id).or_default().push(span);
        }
    }
    spans
}

/// The value of `truth` in a target's query.
fn truth_id(target: &str) -> Option<&str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("truth="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::{trace, value};

    fn call(incoming: &str, outgoing: &str) -> Call {
        Call { incoming: incoming.into(), outgoing: outgoing.into() }
    }

    /// A front (span 1) that serves `in` and calls `out` (client span 2, server span 3).
    fn chain(client_parent: Option<u64>, server_parent: Option<u64>) -> Trace {
        trace(vec![
            value(1, "server", "/front?truth=in", None, 5.0),
            value(2, "client", "/b?truth=out", client_parent, 3.0),
            value(3, "server", "/b?truth=out", server_parent, 2.0),
            value(4, "server", "/front?truth=other", None, 5.0),
        ])
    }

    #[test]
    fn a_right_chain_passes() {
        let score = score(&[call("in", "out")], &chain(Some(1), Some(2)));
        score.check(Links::All).unwrap();
        assert_eq!(score.coverage(), 1.0);
    }

    #[test]
    fn a_wrong_parent_never_passes() {
        let score = score(&[call("in", "out")], &chain(Some(4), Some(2)));
        score.check(Links::All).unwrap_err();
        score.check(Links::RightOrAbsent).unwrap_err();
    }

    #[test]
    fn an_absent_parent_passes_only_where_that_is_allowed() {
        let score = score(&[call("in", "out")], &chain(None, Some(2)));
        score.check(Links::All).unwrap_err();
        score.check(Links::RightOrAbsent).unwrap();
    }

    #[test]
    fn two_views_that_are_not_joined_fail() {
        let score = score(&[call("in", "out")], &chain(Some(1), None));
        assert_eq!(score.not_joined.len(), 1);
        score.check(Links::RightOrAbsent).unwrap_err();
    }

    #[test]
    fn a_call_without_spans_fails_and_so_does_an_empty_truth() {
        score(&[call("in", "gone")], &chain(Some(1), Some(2))).check(Links::RightOrAbsent).unwrap_err();
        score(&[], &chain(Some(1), Some(2))).check(Links::RightOrAbsent).unwrap_err();
    }
}
