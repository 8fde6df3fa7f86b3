use super::compare::{Change, Compared, compare};
use super::comparison;
use super::filter::Filter;
use super::operations::operations;
use super::tree::self_times;
use super::waterfall::Style;
use crate::spans::Table;
use crate::spans::file::read_table;

/// Requests of one operation, one every 10 ms; how long each took, and whether it failed.
fn requests(operation: &str, each: impl Iterator<Item = (f64, bool)>) -> Vec<String> {
    each.enumerate()
        .map(|(at, (milliseconds, failed))| {
            format!(
                "{{\"traceId\":\"{operation}{at}\",\"spanId\":\"1\",\"serviceName\":\"shop\",\"operationName\":\"{operation}\",\
                 \"startTime\":\"2023-10-27T10:00:{:02}.{:02}0Z\",\"duration\":{milliseconds},\"tags\":{{\"error\":{failed}}}}}",
                at / 100,
                at % 100
            )
        })
        .collect()
}

fn table(spans: &[Vec<String>]) -> Table {
    read_table(format!("[{}]", spans.concat().join(",")).as_bytes()).unwrap()
}

fn compared(before: &Table, after: &Table) -> Vec<Compared> {
    let [old, new] = [before, after].map(|table| operations(table, &self_times(table), &Filter::default()));
    compare((before, &old), (after, &new))
}

/// Those that hang are in no quantile, so they must be told.
#[test]
fn what_was_not_seen_to_its_end_is_told_and_not_measured() {
    let cut = |lines: Vec<String>| -> Vec<String> {
        lines
            .into_iter()
            .map(|line| line.replace("{\"error\":false", "{\"tracer.incomplete\":true"))
            .collect()
    };
    let mut hangs = requests("hangs", spread(200, 1.0));
    let tail = hangs.split_off(150);
    hangs.extend(cut(tail.iter().map(|line| line.replace("\"duration\":", "\"duration\":9")).collect()));
    let before = table(&[requests("hangs", spread(200, 1.0))]);
    let after = table(&[hangs]);
    let all = compared(&before, &after);
    assert_eq!((all[0].changes.as_slice(), all[0].after.counts.incomplete), (&[][..], 50));
    assert!(all[0].after.p95 <= Some(2_000_000), "{:?}", all[0].after);
    let text = comparison::render(&all, Style { unicode: false, ..Style::default() });
    assert!(text.contains("not seen to their end, and in no p50 or p95: 0 > 50"), "{text}");
    let none = table(&[cut(requests("hangs", spread(200, 1.0)))]);
    let all = compared(&before, &none);
    assert_eq!((all[0].changes.as_slice(), all[0].after.p50), (&[][..], None));
}

/// Durations from 1 to 2 ms in an order that looks like none.
fn spread(count: usize, factor: f64) -> impl Iterator<Item = (f64, bool)> {
    (0..count).map(move |n| ((1.0 + (n * 37 % 101) as f64 / 101.0) * factor, false))
}

#[test]
fn what_changed_is_named_and_what_did_not_is_not() {
    let failing = |count: usize, every: usize| {
        spread(count, 1.0).enumerate().map(move |(at, (time, _))| (time, at % every == 0))
    };
    let before = table(&[
        requests("slower", spread(300, 1.0)),
        requests("same", spread(300, 1.0)),
        requests("fails", failing(300, 100)),
        requests("gone", spread(20, 1.0)),
        requests("few", spread(5, 1.0)),
    ]);
    let after = table(&[
        requests("slower", spread(300, 1.5)),
        requests("same", spread(300, 1.0)),
        requests("fails", failing(300, 5)),
        requests("new", spread(20, 1.0)),
        requests("few", spread(5, 9.0)),
    ]);
    let all = compared(&before, &after);
    let told: Vec<(&str, &[Change])> = all.iter().map(|one| (&*one.operation, &one.changes[..])).collect();
    assert_eq!(
        told,
        [
            ("fails", &[Change::MoreErrors][..]),
            ("slower", &[Change::Slower]),
            ("gone", &[Change::Gone]),
            ("new", &[Change::New]),
            ("same", &[]),
            ("few", &[Change::TooFew]),
        ]
    );
    let text = comparison::render(&all, Style { width: 100, unicode: false, ..Style::default() });
    assert!(text.contains("shop slower") && text.contains("slower (p < 0.001)"), "{text}");
    assert!(text.contains("300 > 300") && text.contains("1.0 % > 20.0 %"), "{text}");
}

#[test]
fn a_difference_that_is_sure_but_small_is_none() {
    let before = table(&[requests("a", spread(4000, 1.0))]);
    let after = table(&[requests("a", spread(4000, 1.05))]);
    let one = &compared(&before, &after)[0];
    assert!(one.chance[0].unwrap() < 0.001, "{one:?}");
    assert_eq!(one.changes, []);
}

#[test]
fn a_difference_that_is_large_but_may_be_chance_is_none() {
    let before = table(&[requests("a", spread(12, 1.0))]);
    let after = table(&[requests("a", spread(12, 1.15))]);
    assert_eq!(compared(&before, &after)[0].changes, []);
}

#[test]
fn rates_are_of_the_time_that_was_observed() {
    // Twice as many in the same time, the same other load setting the time.
    let other = || requests("other", spread(3000, 1.0));
    let before = table(&[other(), requests("a", spread(3000, 1.0).step_by(1).take(150))]);
    let after = table(&[other(), requests("a", spread(3000, 1.0).take(400))]);
    let all = compared(&before, &after);
    let a = all.iter().find(|one| &*one.operation == "a").unwrap();
    assert_eq!(a.changes, [Change::MoreOften]);
    let other = all.iter().find(|one| &*one.operation == "other").unwrap();
    assert_eq!(other.changes, []);
}

#[test]
fn many_operations_do_not_bring_a_change_by_chance() {
    // A hundred operations that differ by luck only: the 5 % level without correction would name about five.
    let spans = |seed: usize| -> Vec<Vec<String>> {
        (0..100)
            .map(|op| {
                let noise = move |n: usize| {
                    let mixed = (n + 1) * 2_654_435_761 + op * 40_503 + seed * 97_531;
                    ((mixed ^ (mixed >> 13)) % 1009) as f64 / 1009.0
                };
                requests(&format!("op{op}"), (0..30).map(move |n| (1.0 + noise(n), false)))
            })
            .collect()
    };
    let told = compared(&table(&spans(1)), &table(&spans(2)));
    let named: Vec<_> = told.iter().filter(|one| !one.changes.is_empty()).collect();
    assert!(named.is_empty(), "{named:?}");
}
