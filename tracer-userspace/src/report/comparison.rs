//! The table of a comparison.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::compare::{Change, Compared, LEVEL, MIN_REQUESTS};
use super::paint::Paint;
use super::waterfall::Style;
use crate::spans::Kind;
use crate::text::{Duration, columns, count, fit, padded, rate, wrapped};

/// Columns right of the name: requests, per second, errors, p50, p95, each before and after.
const NUMBERS: usize = 5 * 16;
/// The name has so many at least.
const MIN_NAME: usize = 30;

/// Each operation in two lines: what it is and what changed, and the numbers of both files.
pub fn render(compared: &[Compared], style: Style) -> String {
    let mut out = String::new();
    let arrow = if style.unicode { '→' } else { '>' };
    let width = style.width.max(MIN_NAME + NUMBERS.min(style.width));
    let ellipsis = if style.unicode { '…' } else { '~' };
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        "{}",
        Paint(style.color).faint(&format!(
            "  {:<15} {:<15} {:<15} {:<15} {}",
            "requests", "per second", "failed", "p50", "p95"
        ))
    );
    for one in compared {
        let words = words(one);
        let name = format!(
            "{} {}{}",
            one.service,
            match (one.kind, style.unicode) {
                (Kind::Client | Kind::Producer, true) => "→ ",
                (Kind::Client | Kind::Producer, false) => "> ",
                (Kind::Server | Kind::Consumer | Kind::Internal, _) => "",
            },
            one.operation
        );
        let room = width.saturating_sub(columns(&words) + 2).max(MIN_NAME);
        let name = fit(&name, room, ellipsis);
        let _ = writeln!(out, "{}  {}", padded(&name, room), painted(one, &words, style));
        let (before, after) = (&one.before, &one.after);
        let none = || "-".to_owned();
        let nanos = |time: Option<u64>| time.map_or_else(none, |time| Duration(time).to_string());
        let both = |first: String, second: String| {
            let first = if before.counts.requests > 0 { first } else { none() };
            format!("{first} {arrow} {}", if after.counts.requests > 0 { second } else { none() })
        };
        let line = format!(
            "  {:<15} {:<15} {:<15} {:<15} {}",
            both(count(before.counts.requests), count(after.counts.requests)),
            both(rate(before.counts.requests, before.observed), rate(after.counts.requests, after.observed)),
            both(percent(before.error_share()), percent(after.error_share())),
            both(nanos(before.p50), nanos(after.p50)),
            both(nanos(before.p95), nanos(after.p95)),
        );
        let _ = writeln!(out, "{}", line.trim_end());
        let cut = [before, after].map(|side| side.counts.incomplete);
        if cut != [0, 0] {
            let text = format!(
                "not seen to their end, and in no p50 or p95: {}",
                both(count(cut[0]), count(cut[1]))
            );
            let _ = writeln!(out, "  {}", Paint(style.color).doubtful(&text));
        }
    }
    out.push('\n');
    let text = format!(
        "A change is named where chance would bring one like it, in any of these operations, in less than {:.0} of 100 such comparisons, \
         and where it is large enough to matter; both files need {MIN_REQUESTS} requests for that. Other load makes other times: \
         compare like with like.",
        LEVEL * 100.0
    );
    out.push_str(&wrapped(&text, 0, width));
    out
}

fn words(one: &Compared) -> String {
    let [time, errors, rate] = one.chance;
    let words: Vec<String> = one
        .changes
        .iter()
        .map(|change| match change {
            Change::New => "new".to_owned(),
            Change::Gone => "gone".to_owned(),
            Change::Slower => format!("slower ({})", chance(time)),
            Change::Faster => format!("faster ({})", chance(time)),
            Change::MoreErrors => format!("fails more ({})", chance(errors)),
            Change::FewerErrors => format!("fails less ({})", chance(errors)),
            Change::MoreOften => format!("more often ({})", chance(rate)),
            Change::LessOften => format!("less often ({})", chance(rate)),
            Change::TooFew => "too few to say".to_owned(),
        })
        .collect();
    if words.is_empty() { "no change shown".to_owned() } else { words.join(", ") }
}

fn painted<'a>(one: &Compared, words: &'a str, style: Style) -> Cow<'a, str> {
    let paint = Paint(style.color);
    if one.changes.iter().any(|change| matches!(change, Change::Slower | Change::MoreErrors)) {
        paint.bad(words)
    } else if matches!(one.changes[..], [] | [Change::TooFew]) {
        paint.faint(words)
    } else {
        paint.strong(words)
    }
}

fn chance(chance: Option<f64>) -> String {
    match chance {
        Some(chance) if chance >= 0.001 => format!("p = {chance:.3}"),
        Some(_) => "p < 0.001".to_owned(),
        None => "p unknown".to_owned(),
    }
}

fn percent(share: f64) -> String {
    if share == 0.0 { "0 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}
