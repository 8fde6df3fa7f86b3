//! Truth and spans brought together: for every call, its span, the request it was really made for, and the requests that
//! could have made it.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::span::{Kind, Span, Trace};

/// The header that carries the id. Recordings keep it and are told to ignore it.
pub const HEADER: &str = "x-truth-id";
/// Where the tracer puts a header that it keeps.
const KEPT: &str = "http.request.header.x-truth-id";
/// Who calls when nobody asked.
const NOBODY: &str = "-";
/// Spans are written in microseconds: what is shorter is not seen to differ.
const ROUNDING_NS: u64 = 2_000;

/// The id that a span carries. The only place that knows where it stands.
pub fn id(span: &Span) -> Option<&str> {
    span.tag(KEPT)
}

/// A truth file: from the id of a call to the id of the request it was made for; `None` where it belongs to nobody.
pub fn read_truth(path: &Path) -> Result<HashMap<String, Option<String>>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("no truth file at {}", path.display()))?;
    let mut truth = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let (incoming, outgoing) =
            line.split_once(' ').with_context(|| format!("line {} of {}", number + 1, path.display()))?;
        let incoming = (!matches!(incoming, NOBODY | "")).then(|| incoming.to_owned());
        let earlier = truth.insert(outgoing.to_owned(), incoming);
        ensure!(earlier.is_none(), "{outgoing} was drawn twice");
    }
    Ok(truth)
}

/// A call, and what is known of it.
#[derive(Debug)]
pub struct Call<'a> {
    /// Its span.
    pub span: &'a Span,
    /// The request it was made for; `None` if it belongs to nobody.
    pub cause: Option<&'a Span>,
    /// Requests of the same process, by start, that were open from its beginning to its end.
    pub candidates: Vec<&'a Span>,
}

/// Everything known of one recording.
#[derive(Debug)]
pub struct Known<'a> {
    /// The calls, in the order of their start.
    pub calls: Vec<Call<'a>>,
    /// The requests that the load sent, in the order of their start.
    pub requests: Vec<&'a Span>,
    /// Calls made for requests that have no span, or more than one, or whose request has none: the tracer did not see them,
    /// or not whole.
    pub unseen: usize,
}

impl<'a> Known<'a> {
    /// Brings them together.
    pub fn new(trace: &'a Trace, truth: &HashMap<String, Option<String>>) -> Self {
        let mut clients: HashMap<&str, Vec<&Span>> = HashMap::new();
        let mut servers: HashMap<&str, &Span> = HashMap::new();
        for span in &trace.spans {
            match (span.kind, id(span)) {
                (Kind::Client, Some(id)) => clients.entry(id).or_default().push(span),
                (Kind::Server, Some(id)) => drop(servers.insert(id, span)),
                _ => {}
            }
        }
        let open = Open::new(trace);
        let mut known = Self { calls: Vec::new(), requests: servers.values().copied().collect(), unseen: 0 };
        for (outgoing, incoming) in truth {
            let span = clients.get(outgoing.as_str()).map(Vec::as_slice);
            let cause = incoming.as_ref().map(|incoming| servers.get(incoming.as_str()).copied());
            let (Some([span]), None | Some(Some(_))) = (span, cause) else {
                // Who calls for nobody does so before and after the recording, too.
                known.unseen += usize::from(incoming.is_some());
                continue;
            };
            known.calls.push(Call { span, cause: cause.flatten(), candidates: open.during(span) });
        }
        known.calls.sort_by_key(|call| (call.span.start_ns, &call.span.span_id));
        known.requests.sort_by_key(|span| (span.start_ns, &span.span_id));
        known
    }
}

/// The requests of each process, by start.
struct Open<'a> {
    requests: HashMap<u64, Vec<&'a Span>>,
    longest_ns: u64,
}

impl<'a> Open<'a> {
    fn new(trace: &'a Trace) -> Self {
        let mut open = Self { requests: HashMap::new(), longest_ns: 0 };
        for span in trace.spans.iter().filter(|span| span.kind == Kind::Server) {
            open.requests.entry(process(span)).or_default().push(span);
            open.longest_ns = open.longest_ns.max(span.end_ns().saturating_sub(span.start_ns));
        }
        for requests in open.requests.values_mut() {
            requests.sort_by_key(|span| (span.start_ns, &span.span_id));
        }
        open
    }

    fn during(&self, call: &Span) -> Vec<&'a Span> {
        let requests = self.requests.get(&process(call)).map(Vec::as_slice).unwrap_or_default();
        let earliest = call.start_ns.saturating_sub(self.longest_ns + ROUNDING_NS);
        let first = requests.partition_point(|span| span.start_ns < earliest);
        let begun = requests.get(first..).unwrap_or_default().iter();
        begun
            .take_while(|span| span.start_ns <= call.start_ns + ROUNDING_NS)
            .filter(|span| span.end_ns() + ROUNDING_NS >= call.end_ns())
            .copied()
            .collect()
    }
}

fn process(span: &Span) -> u64 {
    span.tags.get("process.pid").and_then(serde_json::Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::span::tests::trace;

    /// A span of process 7 from `from` to `to`, microseconds.
    pub(crate) fn span(id: u64, kind: &str, truth: &str, parent: Option<u64>, from: u32, to: u32) -> Value {
        json!({
            "traceId": format!("{id:032x}"),
            "spanId": format!("{id:016x}"),
            "parentSpanId": parent.map(|id| format!("{id:016x}")),
            "serviceName": "front",
            "operationName": "GET",
            "startTime": format!("2023-10-27T10:00:00.{from:06}Z"),
            "duration": f64::from(to - from) / 1e3,
            "tags": { "http.url": "/b", "span.kind": kind, "process.pid": 7, "thread.id": id % 2, KEPT: truth },
        })
    }

    /// Two requests that overlap, with a call each, and a call of nobody in between. `parents`: of calls 3, 4 and 5.
    pub(crate) fn pair(parents: [Option<u64>; 3]) -> Trace {
        trace(vec![
            span(1, "server", "i1", None, 100, 900),
            span(2, "server", "i2", None, 200, 1000),
            span(3, "client", "o1", parents[0], 150, 400),
            span(4, "client", "o2", parents[1], 300, 500),
            span(5, "client", "o3", parents[2], 350, 550),
        ])
    }

    pub(crate) fn truth() -> HashMap<String, Option<String>> {
        let call =
            |outgoing: &str, incoming: Option<&str>| (outgoing.to_owned(), incoming.map(str::to_owned));
        HashMap::from([call("o1", Some("i1")), call("o2", Some("i2")), call("o3", None)])
    }

    #[test]
    fn calls_know_their_cause_and_who_else_could_have_made_them() {
        let trace = pair([None; 3]);
        let known = Known::new(&trace, &truth());
        let causes: Vec<_> =
            known.calls.iter().map(|call| call.cause.map(|span| span.span_id.as_str())).collect();
        assert_eq!(causes, [Some("0000000000000001"), Some("0000000000000002"), None]);
        let candidates: Vec<_> = known.calls.iter().map(|call| call.candidates.len()).collect();
        assert_eq!(candidates, [1, 2, 2]);
        assert_eq!((known.requests.len(), known.unseen), (2, 0));
    }

    #[test]
    fn who_ended_before_the_call_did_is_no_candidate() {
        let trace = trace(vec![
            span(1, "server", "i1", None, 100, 300),
            span(2, "server", "i2", None, 200, 1000),
            span(4, "client", "o2", None, 250, 500),
        ]);
        let known = Known::new(&trace, &truth());
        let candidates: Vec<_> = known.calls[0].candidates.iter().map(|span| span.span_id.as_str()).collect();
        assert_eq!(candidates, ["0000000000000002"]);
    }

    #[test]
    fn a_call_without_a_span_is_counted() {
        let mut truth = truth();
        truth.insert("gone".into(), Some("i1".into()));
        truth.insert("of nobody seen".into(), Some("i9".into()));
        assert_eq!(Known::new(&pair([None; 3]), &truth).unseen, 2);
    }
}
