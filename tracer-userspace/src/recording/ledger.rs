//! The account of a run: what is printed at its end and written with `--ledger`.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::recorder::Ended;
use crate::capture::load::KernelCounters;
use crate::capture::probes::Provider;
use crate::export::json::WriteError;
use crate::protocol::tally::Skip;
use crate::report::latency::Tally;
use crate::report::summary::{Lost, NotUnderstood, Summary};
use crate::stream::{End, Ledger, Peer, Stranger};
use crate::tcap::Failed;
use crate::trace::Stats;

/// Everything counted in a run.
pub struct RunLedger {
    /// How long was observed, ns.
    pub observed: u64,
    /// Why it ended.
    pub ended: Ended,
    /// How long taking the probes out took.
    pub detach: Duration,
    /// The kernel side's counters.
    pub kernel: KernelCounters,
    /// Records of a kind that this version does not know.
    pub unknown_records: u64,
    /// Bytes and messages.
    pub streams: Ledger,
    /// Spans and links.
    pub stats: Stats,
    /// What was not understood.
    pub not_understood: Vec<Stranger>,
    /// TCP connections that were open before.
    pub open_before: u64,
    /// Of the sockets open before, those that spoke.
    pub open_before_spoke: u64,
    /// Requests by service, if they were analysed.
    pub tally: Option<Tally>,
    /// Spans that could not be written.
    pub unwritten: u64,
    /// Why the output ends early.
    pub output_error: Option<WriteError>,
    /// Why the capture file ends early.
    pub capture_error: Option<Failed>,
    /// The size of the capture file, where there is one that is whole.
    pub capture_bytes: Option<u64>,
    /// How socket calls were seen.
    pub provider: Provider,
}

impl RunLedger {
    /// Events that were lost, whatever the reason.
    pub fn events_lost(&self) -> u64 {
        self.kernel.lost_ring_full
            + self.kernel.lost_map_full
            + self.kernel.missed_returns
            + self.kernel.missed_runs
            + self.kernel.missed_changes
    }

    /// As JSON, for `--ledger`.
    pub fn to_json(&self) -> Value {
        let tally = &self.streams.tally;
        let skipped: Map<String, Value> =
            Skip::ALL.iter().map(|skip| (skip.phrase().to_owned(), json!(tally.skipped(*skip)))).collect();
        json!({
            "events_lost": self.events_lost(),
            "lost_ring_full": self.kernel.lost_ring_full,
            "lost_map_full": self.kernel.lost_map_full,
            "heads_not_present_in_memory": self.kernel.read_fault,
            "heads_without_user_buffer": self.kernel.no_buffer,
            "records_unknown": self.unknown_records,
            "connections": self.streams.connections,
            "connections_understood": self.streams.understood,
            "connections_open_before": self.open_before,
            "connections_open_before_that_spoke": self.open_before_spoke,
            "bytes_seen": self.streams.seen,
            "bytes_parsed": tally.parsed(),
            "bytes_skipped": skipped,
            "bytes_pending": self.streams.pending,
            "bytes_closed": self.streams.closes(),
            "bytes_of_other_sockets": self.kernel.other_bytes,
            "bytes_untracked": self.kernel.untracked_bytes,
            "bytes_unseen": self.kernel.unseen_bytes,
            "calls_of_32_bit_programs": self.kernel.calls_32_bit,
            "calls_missed": self.kernel.missed_returns + self.kernel.missed_runs,
            "changes_missed": self.kernel.missed_changes,
            "responses_without_request": tally.unrequested,
            "spans": self.stats.spans,
            "spans_unwritten": self.unwritten,
            "traces": self.stats.traces,
            "server_spans": self.stats.servers,
            "client_spans": self.stats.clients,
            "joined": self.stats.joined,
            "linked": self.stats.linked,
            "calls_undecided": self.stats.undecided,
            "calls_ownerless": self.stats.ownerless,
            "spans_forced_out": self.stats.forced,
            "observed_ms": self.observed / 1_000_000,
            "detach_micros": u64::try_from(self.detach.as_micros()).unwrap_or(u64::MAX),
            "provider": self.provider.describe(),
            "not_understood": self.not_understood.iter().map(describe).collect::<Vec<_>>(),
            "lost": self.lost(),
        })
    }

    /// As a person reads it.
    pub fn summary(&self) -> Summary {
        Summary {
            observed: self.observed,
            captured: self.tally.is_none().then_some(self.streams.tally.requests),
            services: self.tally.clone().unwrap_or_default(),
            stats: self.stats,
            not_understood: self.not_understood.iter().map(describe).collect(),
            lost: self.lost(),
        }
    }

    fn lost(&self) -> Vec<Lost> {
        let mut lost = Vec::new();
        let mut add = |what: &str, count: u64, advice: Option<&str>| {
            if count > 0 {
                lost.push(Lost { what: what.to_owned(), count, advice: advice.map(str::to_owned) });
            }
        };
        add(
            "records: the kernel's buffer was full",
            self.kernel.lost_ring_full,
            Some("a larger buffer (--ring-mib) or fewer processes (--port, --pid) helps"),
        );
        add(
            "connections: the kernel's table was full",
            self.kernel.lost_map_full,
            Some("fewer processes (--port, --pid) helps"),
        );
        add(
            "socket calls: the kernel had no room to watch their return",
            self.kernel.missed_returns,
            Some("--provider syscall misses none"),
        );
        add("socket calls: a probe was interrupted by itself", self.kernel.missed_runs, None);
        add(
            "starts and ends of processes and connections: a probe was interrupted by itself",
            self.kernel.missed_changes,
            None,
        );
        add("socket calls: of 32-bit programs, whose memory is not read", self.kernel.calls_32_bit, None);
        add("message heads: their memory was not present", self.kernel.read_fault, None);
        add("records: of an unknown kind", self.unknown_records, None);
        add("spans: the output could not be written", self.unwritten, None);
        lost
    }
}

fn describe(stranger: &Stranger) -> NotUnderstood {
    let place = match stranger.peer {
        Peer::Inet(address, port) if address.is_ipv6() => format!("[{address}]:{port}"),
        Peer::Inet(address, port) => format!("{address}:{port}"),
        Peer::Unix => "unix sockets".to_owned(),
        Peer::Unknown => "various".to_owned(),
    };
    let end = match stranger.end {
        End::Caller => "callers of ",
        End::Service => "service on ",
        End::Assumed => "",
    };
    NotUnderstood {
        who: format!("{end}{place}"),
        why: stranger
            .looks_like
            .map_or_else(|| "protocol not known".to_owned(), |guess| format!("looks like {guess}")),
        connections: stranger.connections,
        bytes: stranger.bytes,
    }
}
