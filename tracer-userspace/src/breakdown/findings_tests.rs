//! Findings, as numbers, on traces made by hand.

use super::findings::{Call, Collector, Downstream, Failing, Findings, Repeated, Unexplained};
use super::samples::{client, detached, node, server};
use super::{Kind, Named};

const MS: u64 = 1_000_000;

fn findings(traces: &[Vec<Named>]) -> Findings {
    let mut collector = Collector::default();
    for (number, spans) in traces.iter().enumerate() {
        collector.add(number, spans);
    }
    collector.finish()
}

fn call(caller: &str, operation: &str, callee: &str) -> Call {
    Call { caller: caller.into(), operation: operation.into(), callee: Some(callee.into()) }
}

/// A request with so many statements one after another, of 5 ms each, 1 ms apart.
fn selects(count: i64) -> Vec<Named<'static>> {
    let select = |at| client(node(Some(0), 6 * at + 1, 6 * at + 6), "shop", "SELECT carts", "shop_db");
    let root = server(node(None, 0, 6 * count + 1), "shop", "GET /cart");
    std::iter::once(root).chain((0..count).map(select)).collect()
}

#[test]
fn a_call_made_over_and_over_is_found() {
    let found = findings(&[selects(4), selects(5), selects(7), selects(6)]);
    let expected = Repeated {
        request: "GET /cart".into(),
        call: call("shop", "SELECT carts", "shop_db"),
        requests: 3,
        calls: 18,
        most: 7,
        time: 18 * 5 * MS,
        trace: 2,
    };
    assert_eq!(found.repeated, [expected]);
}

#[test]
fn time_on_the_path_is_told_by_call_and_by_who_is_without_one() {
    let found = findings(&[selects(2), selects(3)]);
    assert_eq!((found.traces, found.time), (2, (13 + 19) * MS));
    let selects = Downstream {
        call: call("shop", "SELECT carts", "shop_db"),
        time: 25 * MS,
        between: 0,
        traces: 2,
        trace: 1,
        longest: 15 * MS,
    };
    assert_eq!(found.downstream, [selects]);
    let own = Unexplained {
        service: "shop".into(),
        operation: "GET /cart".into(),
        time: 7 * MS,
        spans: 2,
        trace: 1,
        longest: 4 * MS,
    };
    assert_eq!(found.unexplained, [own]);
}

#[test]
fn both_ends_of_a_call_are_counted_once() {
    let mut spans = vec![
        server(node(None, 0, 100), "shop", "GET /cart"),
        client(node(Some(0), 10, 90), "shop", "GET /rates", "10.0.0.7:80"),
        server(node(Some(1), 20, 80), "rates", "GET /rates"),
        client(node(Some(2), 30, 40), "rates", "SELECT rates", "db"),
    ];
    spans.iter_mut().for_each(|span| span.error = true);
    spans[0].error = false;
    let found = findings(&[vec![spans[0]], spans]);
    let names: Vec<_> =
        found.downstream.iter().map(|one| (&one.call, one.time / MS, one.between / MS)).collect();
    assert_eq!(
        names,
        [(&call("shop", "GET /rates", "rates"), 70, 20), (&call("rates", "SELECT rates", "db"), 10, 0)]
    );
    let failing = |service: &str, operation: &str, callee: Option<&str>, kind| Failing {
        service: service.into(),
        operation: operation.into(),
        callee: callee.map(Into::into),
        kind,
        failed: 1,
        count: 1,
        trace: 1,
    };
    assert_eq!(
        found.failing,
        [
            failing("rates", "GET /rates", None, Kind::Server),
            failing("rates", "SELECT rates", Some("db"), Kind::Client)
        ]
    );
}

#[test]
fn what_nobody_waited_for_has_a_path_of_its_own() {
    let spans = vec![
        server(node(None, 0, 100), "shop", "GET /cart"),
        server(detached(Some(0), 50, 900), "audit", "process carts"),
        client(node(Some(1), 60, 860), "audit", "INSERT carts", "audit_db"),
    ];
    let found = findings(&[spans, vec![]]);
    assert_eq!((found.traces, found.time), (1, 950 * MS));
    assert_eq!(found.downstream.iter().map(|one| one.time / MS).collect::<Vec<_>>(), [800]);
    let own: Vec<_> = found.unexplained.iter().map(|one| (&*one.service, one.time / MS)).collect();
    assert_eq!(own, [("shop", 100), ("audit", 50)]);
}

#[test]
fn the_worst_come_first_and_equals_in_the_order_of_their_names() {
    let one = |service, length| vec![server(node(None, 0, length), service, "GET /")];
    let found = findings(&[one("c", 5), one("b", 5), one("a", 9), one("d", 7)]);
    let order: Vec<&str> = found.unexplained.iter().map(|one| &*one.service).collect();
    assert_eq!(order, ["a", "d", "b", "c"]);
}
