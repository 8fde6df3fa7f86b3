//! The account of a recording: what was seen, what was lost and why, what it cost. It is written with `--ledger`, carried in
//! the capture, and printed at the end of `record` and of `analyze`: one form for all of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::summary::{Lost, NotUnderstood};
use crate::text::{Duration, bytes, count, plural};
use crate::trace::Stats;

/// The account. Another version may have written it, so every part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// How long was observed.
    pub observed_ms: u64,
    /// Why it ended: `told`, `targets gone`, `output failed`, `file full` (--max-size), `memory full` (--max-memory).
    pub ended: String,
    /// How socket calls were seen.
    pub provider: String,
    /// Masking was off.
    pub unmasked: bool,

    /// Records that the probes made and userspace took.
    pub events_captured: u64,
    /// Events that were lost, whatever the reason.
    pub events_lost: u64,
    /// Records that did not fit into the kernel's buffer.
    pub lost_ring_full: u64,
    /// Connections that did not fit into the kernel's table.
    pub lost_map_full: u64,
    /// Message heads that could not be read: their memory was not present.
    pub heads_not_present_in_memory: u64,
    /// Message heads that never were in user memory (sendfile, splice).
    pub heads_without_user_buffer: u64,
    /// Records of a kind that this version does not know.
    pub records_unknown: u64,
    /// Socket calls that the kernel did not show.
    pub calls_missed: u64,
    /// Starts and ends of processes and connections that the kernel did not show.
    pub changes_missed: u64,
    /// Socket calls of 32-bit programs, which are not read.
    pub calls_of_32_bit_programs: u64,

    /// Connection ends that were seen: the sum of the next six.
    pub connections: u64,
    /// On these a protocol was spoken that is parsed.
    pub connections_understood: u64,
    /// TLS, from the beginning or after the peers had agreed on it in the clear, as clients of databases do.
    pub connections_encrypted: u64,
    /// Began as HTTP/2 does, and could not be understood; HTTP/2 that was counts as understood.
    pub connections_http2: u64,
    /// Excluded by the choice of ports.
    pub connections_excluded: u64,
    /// Not understood.
    pub connections_unknown: u64,
    /// No byte moved.
    pub connections_silent: u64,
    /// Of all connections, those whose beginning was not seen.
    pub connections_joined: u64,
    /// Events of connections beyond the limit of those followed.
    pub connections_untracked_events: u64,
    /// TCP connections that were open before.
    pub connections_open_before: u64,
    /// Of the sockets open before, those that spoke.
    pub connections_open_before_that_spoke: u64,

    /// Bytes that moved, both directions of every end: parsed, skipped and pending together.
    pub bytes_seen: u64,
    /// Bytes of messages.
    pub bytes_parsed: u64,
    /// Bytes of no message, by reason.
    pub bytes_skipped: BTreeMap<String, u64>,
    /// Bytes held back because what they are was not decided.
    pub bytes_pending: u64,
    /// The sums close.
    pub sums_close: bool,
    /// Bytes of sockets that are not followed (datagrams and others). In no other count.
    pub bytes_of_other_sockets: u64,
    /// Bytes of connections that did not fit into the kernel's table. In no other count.
    pub bytes_untracked: u64,
    /// Bytes that TCP counted and no probe saw. They are among those seen.
    pub bytes_unseen: u64,

    /// Requests: the sum of the next four.
    pub requests: u64,
    /// Of which the response was seen.
    pub requests_paired: u64,
    /// The connection ended without a response.
    pub requests_unanswered: u64,
    /// Not answered when the capture ended.
    pub requests_pending: u64,
    /// The response was not captured.
    pub requests_response_unseen: u64,
    /// Responses whose request was not seen.
    pub responses_without_request: u64,
    /// Requests beyond the limit of those outstanding on one connection. In no other count.
    pub requests_beyond_limit: u64,
    /// What began like a message and was none.
    pub heads_malformed: u64,
    /// Heads longer than what is captured.
    pub heads_truncated: u64,

    /// Spans, if the capture was analysed.
    #[serde(flatten)]
    pub spans: Option<Spans>,

    /// Where spans were pushed to, if they were: host and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_to: Option<String>,
    /// Spans that the collector confirmed.
    pub spans_delivered: u64,
    /// Spans that it did not. Why is among what was lost.
    pub spans_not_delivered: u64,
    /// Data points of metrics that the collector confirmed.
    pub metric_points_delivered: u64,
    /// Data points that it did not. What is delivered later says all that these said.
    pub metric_points_not_delivered: u64,

    /// Processor time of the tracer.
    pub tracer_cpu_ms: u64,
    /// The most memory that the tracer had resident at one time.
    pub tracer_peak_rss_bytes: u64,
    /// How long the probes ran, all processors together, while that was measured.
    pub probes_run_micros: u64,
    /// How often.
    pub probes_runs: u64,
    /// For how long that was measured: it costs something itself, so it is done for a tenth of the time.
    pub probes_measured_ms: u64,
    /// How long taking the probes out took.
    pub detach_micros: u64,

    /// Connections that were not understood, by endpoint.
    pub not_understood: Vec<NotUnderstood>,
    /// What was lost, in words.
    pub lost: Vec<Lost>,
}

/// What the analysis made of the exchanges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spans {
    /// Spans.
    pub spans: u64,
    /// Spans that could not be written.
    pub spans_unwritten: u64,
    /// Traces.
    pub traces: u64,
    /// Requests as the service saw them.
    pub server_spans: u64,
    /// Requests as the caller saw them: linked, undecided and ownerless together.
    pub client_spans: u64,
    /// Calls of which both ends were joined.
    pub joined: u64,
    /// Calls that were linked to the request that made them.
    pub linked: u64,
    /// Calls that several requests could have made.
    pub calls_undecided: u64,
    /// Calls made while no request was open that could have made them.
    pub calls_ownerless: u64,
    /// Spans given out before they were decided, because there were too many.
    pub spans_forced_out: u64,
}

impl Spans {
    /// From the engine's counters.
    pub fn of(stats: &Stats, unwritten: u64) -> Self {
        Self {
            spans: stats.spans,
            spans_unwritten: unwritten,
            traces: stats.traces,
            server_spans: stats.servers,
            client_spans: stats.clients,
            joined: stats.joined,
            linked: stats.linked,
            calls_undecided: stats.undecided,
            calls_ownerless: stats.ownerless,
            spans_forced_out: stats.forced,
        }
    }
}

impl fmt::Display for Account {
    /// The paragraph "accounted for"; what was lost and what was not understood have paragraphs of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\naccounted for:")?;
        let connections = parts(&[
            (self.connections_understood, "understood"),
            (self.connections_encrypted, "encrypted"),
            (self.connections_http2, "HTTP/2 that was not understood"),
            (self.connections_excluded, "excluded"),
            (self.connections_unknown, "not understood"),
            (self.connections_silent, "silent"),
        ]);
        write!(f, "  {}: {connections}", plural(self.connections, "connection end"))?;
        if self.connections_joined > 0 {
            write!(f, " ({} joined after their beginning)", count(self.connections_joined))?;
        }
        let skipped: Vec<String> = self
            .bytes_skipped
            .iter()
            .filter(|(_, skipped)| **skipped > 0)
            .map(|(why, skipped)| format!("{} {why}", bytes(*skipped)))
            .collect();
        write!(f, "\n  {}: {} parsed", bytes(self.bytes_seen), bytes(self.bytes_parsed))?;
        if !skipped.is_empty() {
            write!(f, ", skipped {}", skipped.join(", "))?;
        }
        if !self.sums_close {
            // A defect of ours, and the reader must know.
            write!(f, "; THESE SUMS DO NOT CLOSE: please report this")?;
        }
        let requests = parts(&[
            (self.requests_paired, "answered"),
            (self.requests_unanswered, "never answered"),
            (self.requests_pending, "not answered yet"),
            (self.requests_response_unseen, "whose response was not captured"),
        ]);
        write!(f, "\n  {}: {requests}", plural(self.requests, "request"))?;
        if self.responses_without_request > 0 {
            write!(f, "; {} without a request", plural(self.responses_without_request, "response"))?;
        }
        writeln!(f, "\n  {}", self.cost())
    }
}

impl Account {
    fn cost(&self) -> String {
        let own = format!(
            "the tracer: {} of processor time, {} of memory",
            Duration(self.tracer_cpu_ms.saturating_mul(1_000_000)),
            bytes(self.tracer_peak_rss_bytes)
        );
        if self.probes_measured_ms == 0 {
            return format!("{own}; the probes: not measured (needs CAP_SYS_ADMIN)");
        }
        let share = self.probes_run_micros as f64 / 10.0 / self.probes_measured_ms as f64;
        format!(
            "{own}; its probes: {share:.2} % of one processor (measured for {})",
            Duration(self.probes_measured_ms.saturating_mul(1_000_000))
        )
    }
}

/// Those that are there: `3 understood, 1 silent`.
fn parts(of: &[(u64, &str)]) -> String {
    let there: Vec<String> =
        of.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_survives_its_json_and_an_older_one_can_be_read() {
        let account = Account {
            connections: 3,
            bytes_skipped: BTreeMap::from([("encrypted (TLS)".to_owned(), 7)]),
            spans: Some(Spans { spans: 5, ..Spans::default() }),
            lost: vec![Lost { what: "records".to_owned(), count: 1, advice: None }],
            ..Account::default()
        };
        let json = serde_json::to_string(&account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), account);
        let without = Account { spans: None, ..account };
        let json = serde_json::to_string(&without).unwrap();
        assert!(!json.contains("\"spans\""), "{json}");
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), without);
        assert_eq!(
            serde_json::from_str::<Account>("{\"requests\":2,\"new\":1}").unwrap(),
            Account { requests: 2, ..Account::default() }
        );
    }

    #[test]
    fn everything_that_is_there_is_told_and_nothing_else() {
        let account = Account {
            connections: 4,
            connections_understood: 3,
            connections_unknown: 1,
            connections_joined: 2,
            bytes_seen: 12_345,
            bytes_parsed: 12_000,
            bytes_skipped: BTreeMap::from([("malformed message".to_owned(), 345)]),
            sums_close: true,
            requests: 2,
            requests_paired: 1,
            requests_unanswered: 1,
            tracer_cpu_ms: 12,
            tracer_peak_rss_bytes: 43 << 20,
            probes_run_micros: 5_000,
            probes_measured_ms: 1_000,
            ..Account::default()
        };
        assert_eq!(
            account.to_string(),
            "\naccounted for:\n  \
             4 connection ends: 3 understood, 1 not understood (2 joined after their beginning)\n  \
             12.3 kB: 12.0 kB parsed, skipped 345 bytes malformed message\n  \
             2 requests: 1 answered, 1 never answered\n  \
             the tracer: 12.0ms of processor time, 45.1 MB of memory; its probes: 0.50 % of one processor (measured for 1.00s)\n"
        );
        assert!(Account::default().to_string().contains("DO NOT CLOSE"));
    }
}
