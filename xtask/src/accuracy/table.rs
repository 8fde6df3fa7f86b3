//! One line for each cell, for people who look at a terminal.

use std::fmt::Write;

use tracer_tests::accuracy::judge::Verdict;
use tracer_tests::accuracy::score::{BINS, Share};

/// The line above the lines.
pub fn head() -> String {
    format!(
        "{:<30} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>5} | {:>6} {:>6} {:>6} | {:>5} {:>5} {:>5} {:>5} | {:>5} {:>6}  audit",
        "cell",
        "calls",
        "right",
        "wrong",
        "open",
        "whole",
        "ambig",
        "cand",
        "p.90",
        "p.95",
        "p.99",
        "rand",
        "fifo",
        "last",
        "thrd",
        "lost",
        "ms"
    )
}

/// A cell's line.
pub fn line(verdict: &Verdict) -> String {
    let score = &verdict.score;
    let of_calls = |right: f64| percent(Some(right * 100.0 / score.calls.max(1) as f64));
    let [p90, p95, p99] = score.levels.map(|share| percent(share.percent()));
    let lost = verdict.circumstances.get("events_lost").map_or("?".to_owned(), ToString::to_string);
    let audit = match &verdict.audit {
        None => "-".to_owned(),
        Some(none) if none.is_empty() => "same".to_owned(),
        Some(some) => format!("{} DIFFER", some.len()),
    };
    let unseen = if score.unseen > 0 { format!("  {} not seen", score.unseen) } else { String::new() };
    let squeezed = if score.nobodys > 0 {
        format!("  {} of {} of nobody given a parent", score.squeezed, score.nobodys)
    } else {
        String::new()
    };
    let baselines = &verdict.baselines;
    format!(
        "{:<30} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>5.1} | {p90:>6} {p95:>6} {p99:>6} | {:>5} {:>5} {:>5} {:>5} | {lost:>5} {:>6}  {audit}{unseen}{squeezed}",
        verdict.name,
        score.calls,
        percent(Some(score.right_percent())),
        percent(Some(score.wrong_percent())),
        percent(Some(score.open_percent())),
        percent(score.whole.percent()),
        percent(score.ambiguous.percent()),
        score.candidates,
        of_calls(baselines.random),
        of_calls(baselines.fifo as f64),
        of_calls(baselines.latest as f64),
        of_calls(baselines.thread as f64),
        verdict.took.as_millis(),
    )
}

/// What stands behind the line: evidence, reasons, reliability.
pub fn details(verdict: &Verdict) -> String {
    let mut text = String::new();
    for (evidence, share) in &verdict.score.evidence {
        push(&mut text, &format!("evidence {evidence}"), *share);
    }
    for (reason, count) in &verdict.score.reasons {
        // Writing to a string does not fail.
        let _ = writeln!(text, "    {count:>6} left open: {reason}");
    }
    for (from, share) in BINS.iter().zip(verdict.score.reliability) {
        if share.of > 0 {
            push(&mut text, &format!("confidence from {from}"), share);
        }
    }
    for difference in verdict.audit.iter().flatten().take(3) {
        let _ = writeln!(text, "    audit: {difference}");
    }
    text
}

fn push(text: &mut String, what: &str, share: Share) {
    let _ = writeln!(text, "    {:>6} {what}: {} % right", share.of, percent(share.percent()));
}

/// A number of percent as the tables have it; a dash for nothing.
pub fn percent(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        // All is not the same as almost all.
        Some(value) if value < 100.0 && value > 99.9 => "99.9".to_owned(),
        Some(value) if value > 0.0 && value < 0.1 => format!("{value:.2}"),
        Some(value) => format!("{value:.1}"),
    }
}
