//! The table of operations.

use std::fmt::Write as _;

use super::operations::{Operation, Operations};
use super::paint::Paint;
use super::waterfall::Style;
use crate::measure::Counts;
use crate::spans::{Kind, Table};
use crate::text::{Duration, columns, count, fit, fit_pair, padded, plural, rate, wrapped};

/// Columns right of the name: count, rate, errors, three quantiles, share.
const NUMBERS: usize = 9 + 8 + 8 + 8 + 8 + 8 + 7;

/// The operations with the most time of their own, `max` of them.
pub fn render(table: &Table, operations: &Operations, style: Style, max: usize) -> String {
    let paint = Paint(style.color);
    let ellipsis = if style.unicode { '…' } else { '~' };
    let shown = operations.all.get(..max).unwrap_or(&operations.all);
    let names: Vec<_> = shown.iter().map(|operation| name(table, operation, style)).collect();
    let length =
        |(service, between, what): &(&str, &str, String)| columns(service) + columns(between) + columns(what);
    let longest = names.iter().map(length).max().unwrap_or(0).max(BETWEEN.len());
    let width = longest.min(style.width.max(80) - NUMBERS);
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        "{}",
        paint.faint(&format!(
            "{:width$}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>7}",
            "operation", "count", "per s", "errors", "p50", "p95", "p99", "time"
        ))
    );
    for (operation, (service, between, what)) in shown.iter().zip(names) {
        let errors = format!("{:>8}", count(operation.counts.errors));
        let quantile = |percent| {
            operation.quantile(percent).map_or_else(|| "-".to_owned(), |nanos| Duration(nanos).to_string())
        };
        let _ = writeln!(
            out,
            "{}{:>9}{:>8}{}{:>8}{:>8}{:>8}{:>7}",
            padded(&fit_pair(service, between, &what, width, ellipsis), width),
            count(operation.counts.requests),
            rate(operation.counts.requests, operations.observed),
            if operation.counts.errors > 0 { paint.bad(&errors) } else { paint.plain(&errors) },
            quantile(50),
            quantile(95),
            quantile(99),
            share(operation.own, operations.own),
        );
    }
    let hidden = operations.all.get(shown.len()..).unwrap_or_default();
    if !hidden.is_empty() {
        let own = hidden.iter().fold(0, |sum: u64, operation| sum.saturating_add(operation.own));
        let calls = hidden.iter().map(|operation| operation.counts.requests).sum();
        let text = format!("{ellipsis} {}", plural(hidden.len() as u64, "more operation"));
        let _ = writeln!(out, "{text:width$}{:>9}{:>47}", count(calls), share(own, operations.own));
    }
    if operations.between > 0 {
        let _ = writeln!(
            out,
            "{:width$}{:>56}",
            fit(BETWEEN, width, ellipsis),
            share(operations.between, operations.own)
        );
    }
    if let Some(text) = incomplete(table, operations) {
        out.push_str(&wrapped(&text, 0, style.width.max(80)));
    }
    out
}

/// Named with what was not seen to its end: those with the most of it.
const NAMED: usize = 3;

/// What the quantiles leave out, in a sentence.
fn incomplete(table: &Table, operations: &Operations) -> Option<String> {
    let mut cut: Vec<&Operation> =
        operations.all.iter().filter(|operation| operation.counts.incomplete > 0).collect();
    let all: u64 = cut.iter().map(|operation| operation.counts.incomplete).sum();
    if all == 0 {
        return None;
    }
    cut.sort_by_key(|operation| std::cmp::Reverse(operation.counts.incomplete));
    let mut named: Vec<String> = cut
        .iter()
        .take(NAMED)
        .map(|operation| {
            let Counts { requests, incomplete, .. } = operation.counts;
            let (service, what) = (table.name(operation.service), table.name(operation.operation));
            format!("{} of {} {service} {what}", count(incomplete), count(requests))
        })
        .collect();
    if let Some(more @ 1..) = cut.len().checked_sub(NAMED) {
        named.push(format!("and of {}", plural(more as u64, "more operation")));
    }
    Some(format!(
        "The end of {} was not seen, so that {} longer than what was seen; {} in no p50, p95 or p99: {}.",
        plural(all, "request"),
        if all == 1 { "it lasted" } else { "they lasted" },
        if all == 1 { "it is" } else { "they are" },
        named.join(", ")
    ))
}

/// What lies between caller and callee.
const BETWEEN: &str = "(network, waiting to be read)";

/// Service, what stands between, and what was done.
fn name<'a>(table: &'a Table, operation: &Operation, style: Style) -> (&'a str, &'static str, String) {
    let (service, what, peer) =
        (table.name(operation.service), table.name(operation.operation), table.name(operation.peer));
    match (operation.kind, style.unicode) {
        (Kind::Client | Kind::Producer, unicode) => {
            let what = if peer.is_empty() { what.to_owned() } else { format!("{what} ({peer})") };
            (service, if unicode { " → " } else { " > " }, what)
        }
        (Kind::Server | Kind::Consumer | Kind::Internal, _) => (service, " ", what.to_owned()),
    }
}

fn share(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        share if part > 0 && share < 0.1 => "<0.1 %".to_owned(),
        99.95.. => "100 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::filter::Filter;
    use crate::report::operations::operations;
    use crate::report::tree::self_times;
    use crate::spans::file::read_table;

    fn span(
        id: u32,
        parent: &str,
        service: &str,
        kind: &str,
        start: u32,
        duration: u32,
        tags: &str,
    ) -> String {
        format!(
            "{{\"traceId\":\"t\",\"spanId\":\"{id}\",\"parentSpanId\":{parent},\"serviceName\":\"{service}\",\"operationName\":\"GET /\",\
             \"startTime\":\"2023-10-27T10:00:00.{start:03}Z\",\"duration\":{duration},\"tags\":{{\"span.kind\":\"{kind}\"{tags}}}}}"
        )
    }

    fn table() -> Table {
        let spans = [
            span(1, "null", "front", "server", 0, 100, ""),
            span(2, "\"1\"", "front", "client", 10, 60, ""),
            span(3, "\"2\"", "back", "server", 20, 40, ",\"error\":true"),
            span(4, "\"3\"", "back", "client", 30, 10, ",\"db.system\":\"redis\""),
        ];
        read_table(format!("[{}]", spans.join(",")).as_bytes()).unwrap()
    }

    fn rendered(filter: &Filter, max: usize) -> String {
        let table = table();
        let all = operations(&table, &self_times(&table), filter);
        render(&table, &all, Style { width: 80, unicode: false, ..Style::default() }, max)
    }

    #[test]
    fn each_operation_has_a_row_and_the_shares_are_of_all_time() {
        let text = rendered(&Filter::default(), 9);
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let expected = [
            "operation count per s errors p50 p95 p99 time",
            "front GET / 1 - 0 100ms 100ms 100ms 40.0 %",
            "back GET / 1 - 1 40.0ms 40.0ms 40.0ms 30.0 %",
            "back > GET / (redis) 1 - 0 10.0ms 10.0ms 10.0ms 10.0 %",
        ];
        for (line, expected) in words.iter().zip(expected) {
            assert_eq!(line.join(" "), expected, "{text}");
        }
        assert!(text.lines().last().unwrap().starts_with("(network"), "{text}");
        assert!(text.lines().last().unwrap().ends_with(" 20.0 %"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() == 80), "{text}");
    }

    #[test]
    fn what_is_not_shown_is_summed_up() {
        let text = rendered(&Filter::default(), 1);
        assert!(text.contains("~ 2 more operations"), "{text}");
        assert!(text.lines().nth(2).unwrap().ends_with(" 40.0 %"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn what_was_not_seen_to_its_end_is_counted_told_and_in_no_quantile() {
        let cut = ",\"tracer.incomplete\":true";
        let mut spans: Vec<String> =
            (1..=4).map(|id| span(id, "null", "shop", "server", id * 100, id * 10, "")).collect();
        spans.push(span(5, "null", "shop", "server", 500, 900, cut));
        spans.push(span(6, "null", "hang", "server", 500, 900, cut));
        let table = read_table(format!("[{}]", spans.join(",")).as_bytes()).unwrap();
        let all = operations(&table, &self_times(&table), &Filter::default());
        let text = render(&table, &all, Style { width: 100, unicode: false, ..Style::default() }, 9);
        let line = |with: &str| {
            let line = text.lines().find(|line| line.starts_with(with)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("shop"), "shop GET / 5 12.5 0 20.0ms 40.0ms 40.0ms 52.6 %");
        assert_eq!(line("hang"), "hang GET / 1 - 0 - - - 47.4 %");
        let said = text.replace('\n', " ");
        assert!(
            said.contains(
                "The end of 2 requests was not seen, so that they lasted longer than what was seen; they are in no p50, p95 or p99: \
                 1 of 5 shop GET /, 1 of 1 hang GET /."
            ),
            "{text}"
        );
    }

    #[test]
    fn a_filter_asks_for_spans() {
        let text = rendered(&Filter { errors: true, ..Filter::default() }, 9);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("back GET /"), "{text}");
        let slowest = |filter: Filter| filter.slowest(&table()).len();
        assert_eq!(
            (slowest(Filter::default()), slowest(Filter { min_duration: 101_000_000, ..Filter::default() })),
            (1, 0)
        );
    }
}
