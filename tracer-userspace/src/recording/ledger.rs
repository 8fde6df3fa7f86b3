//! The account of a run: what is printed at its end and written with `--ledger`.

use std::time::Duration;

use super::recorder::Ended;
use crate::capture::load::KernelCounters;
use crate::capture::probes::Provider;
use crate::capture::run_time::Measured;
use crate::exchange::Outcome;
use crate::export::json::WriteError;
use crate::protocol::guess::Guess;
use crate::protocol::tally::Skip;
use crate::recording::push::{Delivery, Fates};
use crate::report::account::{Account, Spans};
use crate::report::latency::Tally;
use crate::report::summary::{Lost, NotUnderstood, Summary};
use crate::secret::Masking;
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
    /// Records taken from the ring.
    pub records: u64,
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
    /// Requests that the metrics count under the operation `other`.
    pub in_other: u64,
    /// What became of the spans that were pushed.
    pub delivery: Option<Delivery>,
    /// Why the output ends early.
    pub output_error: Option<WriteError>,
    /// Why the capture file ends early.
    pub capture_error: Option<Failed>,
    /// The size of the capture file, where there is one that is whole.
    pub capture_bytes: Option<u64>,
    /// How socket calls were seen.
    pub provider: Provider,
    /// Whether secrets were masked.
    pub masking: Masking,
    /// Processor time of the tracer.
    pub cpu: Duration,
    /// Its most memory, bytes.
    pub peak_rss: u64,
    /// How long the probes ran.
    pub run_time: Measured,
}

impl RunLedger {
    /// As it is written and printed.
    pub fn account(&self) -> Account {
        let (streams, kernel) = (&self.streams, &self.kernel);
        let (tally, classes) = (&streams.tally, &streams.classes);
        let ended = |outcomes: &[Outcome]| outcomes.iter().map(|outcome| tally.ended(*outcome)).sum();
        let paired: u64 = ended(&[
            Outcome::Complete,
            Outcome::EndUnframed,
            Outcome::Aborted,
            Outcome::Streaming,
            Outcome::Upgraded,
        ]);
        Account {
            observed_ms: self.observed / 1_000_000,
            ended: self.ended.word().to_owned(),
            provider: self.provider.describe().to_owned(),
            unmasked: self.masking == Masking::Off,
            events_captured: self.records,
            events_lost: kernel.lost(),
            lost_ring_full: kernel.lost_ring_full,
            lost_map_full: kernel.lost_map_full,
            heads_not_present_in_memory: kernel.read_fault,
            heads_without_user_buffer: kernel.no_buffer,
            records_unknown: self.unknown_records,
            calls_missed: kernel.missed_returns + kernel.missed_runs,
            changes_missed: kernel.missed_changes,
            calls_of_32_bit_programs: kernel.calls_32_bit,
            connections: streams.connections,
            connections_understood: classes.understood,
            connections_encrypted: classes.encrypted,
            connections_http2: classes.http2,
            connections_excluded: classes.excluded,
            connections_unknown: classes.unknown,
            connections_silent: classes.silent,
            connections_joined: streams.joined,
            connections_untracked_events: streams.untracked,
            connections_open_before: self.open_before,
            connections_open_before_that_spoke: self.open_before_spoke,
            bytes_seen: streams.seen,
            bytes_parsed: tally.parsed(),
            bytes_skipped: Skip::ALL
                .iter()
                .map(|skip| (skip.phrase().to_owned(), tally.skipped(*skip)))
                .collect(),
            bytes_pending: streams.pending,
            sums_close: streams.closes() && tally.requests == tally.ended_total(),
            bytes_of_other_sockets: kernel.other_bytes,
            bytes_untracked: kernel.untracked_bytes,
            bytes_unseen: kernel.unseen_bytes,
            requests: tally.requests,
            requests_paired: paired,
            requests_unanswered: ended(&[Outcome::Unanswered]),
            requests_pending: ended(&[Outcome::Pending]),
            requests_response_unseen: ended(&[Outcome::ResponseUnseen]),
            responses_without_request: tally.unrequested,
            requests_beyond_limit: tally.overflow,
            heads_malformed: tally.malformed,
            heads_truncated: tally.truncated,
            spans: self.tally.is_some().then(|| Spans::of(&self.stats, self.unwritten)),
            pushed_to: self.delivery.as_ref().map(|delivery| delivery.to.clone()),
            spans_delivered: self.delivery.as_ref().map_or(0, |delivery| delivery.spans.delivered),
            spans_not_delivered: self.delivery.as_ref().map_or(0, |delivery| delivery.spans.lost()),
            metric_points_delivered: self.points().map_or(0, |points| points.delivered),
            metric_points_not_delivered: self.points().map_or(0, Fates::lost),
            tracer_cpu_ms: u64::try_from(self.cpu.as_millis()).unwrap_or(u64::MAX),
            tracer_peak_rss_bytes: self.peak_rss,
            probes_run_micros: self.run_time.nanos / 1_000,
            probes_runs: self.run_time.runs,
            probes_measured_ms: self.run_time.window / 1_000_000,
            detach_micros: u64::try_from(self.detach.as_micros()).unwrap_or(u64::MAX),
            not_understood: self.not_understood.iter().map(describe).collect(),
            lost: self.lost(),
        }
    }

    /// As a person reads it.
    pub fn summary(&self) -> Summary {
        Summary { account: self.account(), services: self.tally.clone(), stats: self.stats }
    }

    fn points(&self) -> Option<&Fates> {
        self.delivery.as_ref()?.points.as_ref()
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
        add(
            "looks at threads (evidence of which request made which call): the kernel's table was full",
            self.kernel.threads_full,
            Some("fewer processes (--pid) helps"),
        );
        add("message heads: their memory was not present", self.kernel.read_fault, None);
        add(
            "bytes: read from sockets that TCP had closed before anything of them was seen, or that did not fit into the kernel's table",
            self.kernel.untracked_bytes,
            None,
        );
        add("records: of an unknown kind", self.unknown_records, None);
        add(
            "records: of connections beyond those that the memory allows to follow",
            self.streams.untracked,
            Some("more memory (--max-memory) or fewer processes (--port, --pid) helps"),
        );
        add("requests: too many waiting on one connection", self.streams.tally.overflow, None);
        add("spans: their file could not be written, or was full", self.unwritten, None);
        if let Some(delivery) = &self.delivery {
            for (what, fates) in
                [("spans", Some(&delivery.spans)), ("data points of metrics", delivery.points.as_ref())]
            {
                for (why, count) in fates.iter().flat_map(|fates| &fates.undelivered) {
                    add(&format!("{what}: not delivered to {}: {why}", delivery.to), *count, None);
                }
            }
        }
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
        why: match stranger.looks_like {
            None => "protocol not known".to_owned(),
            Some(Guess::Tls) => "encrypted (TLS)".to_owned(),
            Some(guess) => format!("looks like {guess}"),
        },
        connections: stranger.connections,
        bytes: stranger.bytes,
    }
}
