use super::super::samples::span;
use super::*;

fn series<'a>(requests: &'a Requests, service: &str, operation: &str) -> &'a Series {
    let is_it =
        |series: &&Series| &*series.labels.service == service && &*series.labels.operation == operation;
    requests.series().iter().find(is_it).unwrap()
}

#[test]
fn requests_are_counted_by_service_operation_kind_and_protocol() {
    let mut requests = Requests::default();
    for number in 0..10 {
        requests.add(&span("shop", Side::Server, "GET", &format!("/item/{number}?q=1"), 300));
    }
    let mut failed = span("shop", Side::Server, "GET", "/item/11", 20_000);
    failed.tags.error = true;
    requests.add(&failed);
    requests.add(&span("shop", Side::Client, "GET", "/item/12", 300));
    let mut database = span("shop", Side::Client, "SELECT", "SELECT ?", 300);
    database.tags.protocol = Protocol::PostgreSql;
    requests.add(&database);
    let mut message = span("shop", Side::Client, "publish", "orders", 300);
    (message.tags.protocol, message.tags.is_message) = (Protocol::Amqp, true);
    requests.add(&message);

    let all: Vec<_> = requests
        .series()
        .iter()
        .map(|series| (&*series.labels.operation, series.labels.kind, series.requests, series.errors))
        .collect();
    assert_eq!(
        all,
        [
            ("GET /item/*", "server", 11, 1),
            ("GET /item/*", "client", 1, 0),
            ("SELECT", "client", 1, 0),
            ("publish orders", "producer", 1, 0),
        ]
    );
    let served = series(&requests, "shop", "GET /item/*").durations();
    assert_eq!((served.count(), served.sum()), (11, 23_000_000));
}

#[test]
fn what_was_not_seen_to_its_end_has_no_duration() {
    let mut requests = Requests::default();
    let mut pending = span("shop", Side::Server, "GET", "/", 300);
    pending.tags.incomplete = true;
    requests.add(&pending);
    let series = series(&requests, "shop", "GET /");
    assert_eq!((series.requests, series.durations().count()), (1, 0));
}

#[test]
fn operations_without_bound_take_bounded_room_and_every_request_is_counted() {
    let mut requests = Requests::default();
    let word = |number: usize| -> String {
        number.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect()
    };
    let mut added = 0;
    for service in 0..2 * MAX_OTHERS {
        for operation in 0..20 {
            let service = format!("service-{service}");
            let path = format!("/{}", word(operation));
            for kind in [Side::Server, Side::Client] {
                requests.add(&span(&service, kind, "GET", &path, 1_000));
                added += 1;
            }
        }
    }
    assert_eq!(requests.series().len(), MAX_SERIES + MAX_OTHERS + 2);
    assert_eq!(requests.series().iter().map(|series| series.requests).sum::<u64>(), added);
    assert_eq!(requests.series().iter().map(|series| series.durations().count()).sum::<u64>(), added);
    let named: u64 = requests
        .series()
        .iter()
        .filter(|series| &*series.labels.operation != OTHER)
        .map(|series| series.requests)
        .sum();
    assert_eq!((named, requests.beyond()), (MAX_SERIES as u64, added - MAX_SERIES as u64));
    // Those that have a series keep it, and of the last services only the sum is known.
    requests.add(&span("service-0", Side::Server, "GET", "/a", 1_000));
    assert_eq!(series(&requests, "service-0", "GET /a").requests, 2);
    assert!(series(&requests, OTHER, OTHER).requests > 0);
}
