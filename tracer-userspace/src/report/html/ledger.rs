//! The account of a recording, as lines of a table.

use serde::Serialize;

use crate::report::account::Account;
use crate::text::{Duration, bytes, count};

/// Lines that belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub title: &'static str,
    pub lines: Vec<Line>,
}

/// One number of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    pub what: String,
    pub value: String,
    /// What to do about it, or why.
    pub note: String,
    /// Something is missing because of it.
    pub is_loss: bool,
}

/// All of it that is not nothing.
pub(super) fn groups(account: &Account) -> Vec<Group> {
    let mut groups = vec![
        run(account),
        losses(account),
        counts(
            "Connection ends",
            &[
                (account.connections, "seen"),
                (account.connections_understood, "understood"),
                (account.connections_encrypted, "encrypted"),
                (account.connections_http2, "HTTP/2 that was not understood"),
                (account.connections_excluded, "excluded by the choice of ports"),
                (account.connections_unknown, "not understood"),
                (account.connections_silent, "silent"),
                (account.connections_joined, "joined after their beginning"),
                (account.connections_open_before, "open before the recording"),
                (account.connections_open_before_that_spoke, "of these, that spoke"),
            ],
        ),
        volume(account),
        counts(
            "Requests",
            &[
                (account.requests, "seen"),
                (account.requests_paired, "answered"),
                (account.requests_unanswered, "never answered"),
                (account.requests_pending, "not answered when the recording ended"),
                (account.requests_response_unseen, "whose response was not captured"),
                (account.responses_without_request, "responses without a request"),
                (account.heads_truncated, "heads longer than what is captured"),
                (account.heads_malformed, "what began like a message and was none"),
            ],
        ),
        not_understood(account),
    ];
    groups.retain(|group| !group.lines.is_empty());
    groups
}

fn line(what: impl Into<String>, value: impl Into<String>) -> Line {
    Line { what: what.into(), value: value.into(), note: String::new(), is_loss: false }
}

fn counts(title: &'static str, all: &[(u64, &str)]) -> Group {
    let lines =
        all.iter().filter(|(number, _)| *number > 0).map(|(number, what)| line(*what, count(*number)));
    Group { title, lines: lines.collect() }
}

fn run(account: &Account) -> Group {
    let milliseconds = |ms: u64| Duration(ms.saturating_mul(1_000_000)).to_string();
    let mut lines = vec![line("observed for", milliseconds(account.observed_ms))];
    for (what, text) in [("how it ended", &account.ended), ("socket calls seen by", &account.provider)] {
        if !text.is_empty() {
            lines.push(line(what, text.as_str()));
        }
    }
    if account.unmasked {
        lines.push(Line { note: "secrets are shown as they were sent".to_owned(), ..line("masking", "off") });
    }
    lines.push(line("the tracer's processor time", milliseconds(account.tracer_cpu_ms)));
    lines.push(line("the tracer's memory", bytes(account.tracer_peak_rss_bytes)));
    let probes = match account.probes_measured_ms {
        0 => "not measured".to_owned(),
        measured => {
            format!("{:.2} % of one processor", account.probes_run_micros as f64 / 10.0 / measured as f64)
        }
    };
    lines.push(line("its probes", probes));
    Group { title: "The run", lines }
}

fn losses(account: &Account) -> Group {
    let mut lines: Vec<Line> = account
        .lost
        .iter()
        .map(|lost| Line {
            note: lost.advice.clone().unwrap_or_default(),
            is_loss: true,
            ..line(lost.what.as_str(), count(lost.count))
        })
        .collect();
    if lines.is_empty() {
        lines.push(line("events captured and not lost", count(account.events_captured)));
    }
    Group { title: if account.lost.is_empty() { "Lost: nothing" } else { "Lost" }, lines }
}

fn volume(account: &Account) -> Group {
    let mut lines =
        vec![line("seen", bytes(account.bytes_seen)), line("parsed", bytes(account.bytes_parsed))];
    for (why, skipped) in account.bytes_skipped.iter().filter(|(_, skipped)| **skipped > 0) {
        lines.push(line(format!("skipped: {why}"), bytes(*skipped)));
    }
    for (number, what) in [
        (account.bytes_pending, "not decided when the recording ended"),
        (account.bytes_unseen, "counted by TCP and seen by no probe"),
        (account.bytes_of_other_sockets, "of sockets that are not followed"),
        (account.bytes_untracked, "of connections that did not fit into the kernel's table"),
    ] {
        if number > 0 {
            lines.push(line(what, bytes(number)));
        }
    }
    if !account.sums_close {
        let note = "a defect of the tracer: please report it".to_owned();
        lines.push(Line { note, is_loss: true, ..line("these sums", "do not close") });
    }
    Group { title: "Bytes", lines }
}

fn not_understood(account: &Account) -> Group {
    let lines = account.not_understood.iter().map(|one| Line {
        note: format!("{} in {} connections", bytes(one.bytes), count(one.connections)),
        ..line(one.who.as_str(), one.why.as_str())
    });
    Group { title: "Not understood", lines: lines.collect() }
}
