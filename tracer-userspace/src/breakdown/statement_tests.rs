//! Sentences, word for word, on traces made by hand.

use super::samples::{client, detached, inner, node, server};
use super::{Named, View, statement};

const WHY: &str = "no call linked to it explains that: computing, waiting for a lock or a processor, or a call that could not be read or linked";

#[track_caller]
fn says(spans: &[Named], sentence: &str) {
    assert_eq!(statement(spans).unwrap().replace(WHY, "WHY"), sentence);
}

/// POST /users with three statements one after another.
fn inserts() -> Vec<Named<'static>> {
    let insert = |from, to| client(node(Some(0), from, to), "frontend-api", "INSERT users", "users_db");
    let root = server(node(None, 0, 150), "frontend-api", "POST /users");
    vec![root, insert(10, 50), insert(55, 97), insert(97, 138)]
}

#[test]
fn calls_one_after_another() {
    says(
        &inserts(),
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
}

#[test]
fn a_failed_call_is_told() {
    let mut spans = inserts();
    spans[2].error = true;
    says(
        &spans,
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another, of which 1 failed",
    );
}

#[test]
fn a_link_that_may_be_wrong_is_named() {
    let mut spans = inserts();
    spans[2].confidence = Some(0.919);
    spans[3].confidence = Some(0.99);
    says(
        &spans,
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another, if the link of 91 % is right",
    );
    spans[1].confidence = Some(0.95);
    says(
        &spans,
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another, if 2 links of 91 % or more are right",
    );
}

#[test]
fn a_call_whose_end_was_not_seen_lasted_at_least_that_long() {
    let mut spans = inserts();
    spans[3].incomplete = true;
    says(
        &spans,
        "at least 82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
}

#[test]
fn several_of_a_kind_take_nothing_from_each_other() {
    let mut spans = inserts();
    spans[1].incomplete = true;
    says(
        &spans,
        "at least 82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
}

#[test]
fn what_lies_within_a_call_whose_end_was_not_seen_is_certain() {
    let mut spans = two_tiers(6, 94, (10, 70));
    spans[1].incomplete = true;
    says(&spans, "60 % of GET /cart (60.0 ms of 100 ms) is SELECT cards on cards_db, one call by payment");
    // But not beside another one.
    let beside = [&spans[..], &[client(node(Some(0), 8, 9), "shop", "GET /rates", "rates")]].concat();
    let beside = beside.into_iter().map(|span| Named { incomplete: span.operation == "GET /rates", ..span });
    says(
        &beside.collect::<Vec<_>>(),
        "at most 60 % of GET /cart (60.0 ms of 100 ms) is SELECT cards on cards_db, one call by payment",
    );
}

#[test]
fn an_upper_bound_is_rounded_up_and_everything_else_down() {
    let mut spans = inserts();
    spans[0].node = node(None, 0, 148);
    says(
        &spans,
        "83 % of POST /users (123 ms of 148 ms) is INSERT users on users_db, 3 calls one after another",
    );
    spans.push(client(node(Some(0), 90, 92), "frontend-api", "GET /rates", "rates"));
    spans[4].incomplete = true;
    says(
        &spans,
        "at most 84 % of POST /users (123 ms of 148 ms) is INSERT users on users_db, 3 calls one after another",
    );
}

#[test]
fn another_call_whose_end_was_not_seen_may_have_been_waited_for() {
    let mut spans = inserts();
    spans.push(client(node(Some(0), 90, 92), "frontend-api", "GET /rates", "rates"));
    spans[4].incomplete = true;
    says(
        &spans,
        "at most 82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
    // But not before it began.
    spans[4].node = node(Some(0), 140, 142);
    says(
        &spans,
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
}

#[test]
fn a_root_whose_end_was_not_seen_is_no_whole() {
    let mut spans = inserts();
    spans[0].incomplete = true;
    says(
        &spans,
        "82 % of what was seen of POST /users (123 ms of at least 150 ms) is INSERT users on users_db, 3 calls one after another",
    );
    let mut own = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        client(node(Some(0), 30, 130), "shop", "GET /rates", "rates"),
    ];
    own[0].incomplete = true;
    // Nobody knows who ended first.
    says(
        &own,
        "70 % of what was seen of GET /cart (70.0 ms of at least 100 ms) is GET /rates on rates, one call",
    );
    own[1].node = node(Some(0), 70, 90);
    says(&own, "80 % of what was seen of GET /cart (80.0 ms of at least 100 ms) is in shop itself: WHY");
}

#[test]
fn calls_at_the_same_time() {
    let get = |to| client(node(Some(0), 5, to), "shop", "GET /price", "prices");
    let spans = [server(node(None, 0, 100), "shop", "GET /cart"), get(60), get(95), get(80)];
    says(
        &spans,
        "90 % of GET /cart (90.0 ms of 100 ms) is GET /price on prices, 3 calls at the same time, 1 of them on the critical path",
    );
    let some = [spans[0], spans[1], client(node(Some(0), 60, 95), "shop", "GET /price", "prices"), spans[3]];
    says(
        &some,
        "90 % of GET /cart (90.0 ms of 100 ms) is GET /price on prices, 3 calls, up to 2 at the same time, 2 of them on the critical path",
    );
}

#[test]
fn time_within_the_service_itself() {
    let spans = [
        server(node(None, 0, 100), "frontend-api", "GET /cart"),
        client(node(Some(0), 10, 30), "frontend-api", "SELECT carts", "shop_db"),
    ];
    says(&spans, "80 % of GET /cart (80.0 ms of 100 ms) is in frontend-api itself: WHY");
    let mut unsure = spans;
    unsure[1].incomplete = true;
    says(&unsure, "at most 80 % of GET /cart (80.0 ms of 100 ms) is in frontend-api itself: WHY");
}

#[test]
fn time_within_the_service_beside_calls_that_ended_too_late() {
    let call = |from, to, name| client(node(Some(0), from, to), "shop", name, "b");
    let mut spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        call(10, 90, "GET /long"),
        call(80, 100, "GET /last"),
    ];
    says(
        &spans,
        "80 % of GET /cart (80.0 ms of 100 ms) is in shop itself, 70.0 ms of it while calls were under way that had not ended when it went on: WHY",
    );
    spans[1].node = node(Some(0), 0, 90);
    says(
        &spans,
        "80 % of GET /cart (80.0 ms of 100 ms) is in shop itself, 80.0 ms of it while calls were under way that had not ended when it went on",
    );
}

#[test]
fn work_within_a_process_has_its_own_name() {
    let spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        inner(node(Some(0), 10, 90), "shop", "render"),
        client(node(Some(1), 20, 30), "shop", "GET", "cache"),
    ];
    says(&spans, "70 % of GET /cart (70.0 ms of 100 ms) is render in shop itself: WHY");
}

/// A call of which both ends were seen, with a call in turn.
fn two_tiers(server_from: i64, server_to: i64, select: (i64, i64)) -> [Named<'static>; 4] {
    [
        server(node(None, 0, 100), "shop", "GET /cart"),
        client(node(Some(0), 5, 95), "shop", "POST /charge", "10.0.0.7:80"),
        server(node(Some(1), server_from, server_to), "payment", "POST /charge"),
        client(node(Some(2), select.0, select.1), "payment", "SELECT cards", "cards_db"),
    ]
}

#[test]
fn both_ends_of_a_call_are_one_and_the_callee_is_named() {
    says(
        &two_tiers(6, 94, (30, 40)),
        "80 % of GET /cart (80.0 ms of 100 ms) is POST /charge on payment, one call, without what it called in turn: 78.0 ms in payment itself (WHY)",
    );
    says(
        &two_tiers(25, 75, (75, 75)),
        "90 % of GET /cart (90.0 ms of 100 ms) is POST /charge on payment, one call: 50.0 ms in payment itself (WHY), 40.0 ms between the two ends (network, and waiting to be read)",
    );
    says(
        &two_tiers(5, 95, (95, 95)),
        "90 % of GET /cart (90.0 ms of 100 ms) is POST /charge on payment, one call: all of it in payment itself (WHY)",
    );
}

#[test]
fn who_called_is_named_when_it_is_not_the_root() {
    let mut spans = two_tiers(6, 94, (10, 70));
    says(&spans, "60 % of GET /cart (60.0 ms of 100 ms) is SELECT cards on cards_db, one call by payment");
    // Each link on the way counts.
    spans[1].confidence = Some(0.7);
    spans[3].confidence = Some(0.8);
    says(
        &spans,
        "60 % of GET /cart (60.0 ms of 100 ms) is SELECT cards on cards_db, one call by payment, if 2 links of 70 % or more are right",
    );
}

#[test]
fn a_server_whose_client_was_not_seen_is_a_call_too() {
    let spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        server(node(Some(0), 10, 90), "payment", "POST /charge"),
    ];
    says(
        &spans,
        "80 % of GET /cart (80.0 ms of 100 ms) is POST /charge on payment, one call: all of it in payment itself (WHY)",
    );
}

#[test]
fn the_way_to_the_first_service() {
    let spans = |from, to| {
        [
            client(node(None, 0, 100), "curl", "GET /cart", "shop:80"),
            server(node(Some(0), from, to), "shop", "GET /cart"),
            client(node(Some(1), from, from + 5), "shop", "GET", "cache"),
        ]
    };
    says(
        &spans(50, 99),
        "51 % of GET /cart (51.0 ms of 100 ms) lies between curl and shop: network, and waiting to be read",
    );
    says(&spans(10, 99), "84 % of GET /cart (84.0 ms of 100 ms) is in shop itself: WHY");
}

#[test]
fn a_call_that_outlived_its_caller_may_have_been_waited_for_or_not() {
    let mut spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        client(node(Some(0), 5, 130), "shop", "GET /rates", "rates"),
    ];
    says(
        &spans,
        "95 % of GET /cart (95.0 ms of 100 ms) is GET /rates on rates, one call, still under way when shop was done",
    );
    // What times in whole microseconds leave open is no reason to doubt.
    spans[1].node.duration = 95_001_000;
    says(&spans, "95 % of GET /cart (95.0 ms of 100 ms) is GET /rates on rates, one call");
    let within = [
        spans[0],
        client(node(Some(0), 5, 130), "shop", "GET /rates", "rates"),
        server(node(Some(1), 6, 129), "rates", "GET /rates"),
        client(node(Some(2), 7, 97), "rates", "SELECT rates", "db"),
    ];
    says(
        &within,
        "90 % of GET /cart (90.0 ms of 100 ms) is SELECT rates on db, one call by rates, within a call that was still under way when shop was done",
    );
}

#[test]
fn a_call_that_was_given_up_by_its_caller_was_waited_for() {
    let spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        client(node(Some(0), 5, 95), "shop", "GET /rates", "rates"),
        server(node(Some(1), 6, 5_000), "rates", "GET /rates"),
    ];
    says(
        &spans,
        "90 % of GET /cart (90.0 ms of 100 ms) is GET /rates on rates, one call: 89.0 ms in rates itself (WHY)",
    );
}

#[test]
fn time_that_is_spread() {
    let call = |at, name, peer| client(node(Some(0), at, at + 20), "shop", name, peer);
    let mut spans = [
        server(node(None, 0, 100), "shop", "GET /cart"),
        call(0, "GET /a", "a"),
        client(node(Some(0), 20, 45), "shop", "GET /b", "b"),
        call(45, "GET /c", "c"),
        call(65, "GET /d", "d"),
    ];
    says(
        &spans,
        "the time of GET /cart (100 ms) is spread: the largest shares are GET /b on b (25 %) and GET /a on a (20 %)",
    );
    spans[1].confidence = Some(0.5);
    spans[2].incomplete = true;
    says(
        &spans,
        "the time of GET /cart (100 ms) is spread: the largest shares are GET /b on b (at least 25 %) and GET /a on a (20 %), if the link of 50 % is right",
    );
}

#[test]
fn a_span_alone() {
    let mut alone = [server(node(None, 0, 100), "shop", "GET /health")];
    says(&alone, "GET /health took 100 ms in shop; no call was seen below it");
    (alone[0].incomplete, alone[0].error) = (true, true);
    says(&alone, "GET /health took at least 100 ms in shop and failed; no call was seen below it");
    let call = [client(node(None, 0, 3), "shop", "SELECT carts", "shop_db")];
    says(&call, "SELECT carts on shop_db took 3.00 ms as shop saw it; no call was seen below it");
    let handed_over = [
        client(node(None, 0, 3), "shop", "publish orders", ""),
        server(detached(Some(0), 3, 900), "billing", "process orders"),
    ];
    says(
        &handed_over,
        "publish orders took 3.00 ms as shop saw it; no call that it waited for was seen below it",
    );
}

#[test]
fn a_trace_of_several_parts_is_told_by_the_longest() {
    let mut spans = inserts();
    spans.push(server(node(None, 0, 9), "frontend-api", "GET /health"));
    says(
        &spans,
        "82 % of POST /users (123 ms of 150 ms) is INSERT users on users_db, 3 calls one after another; of 2 parts of this trace that no link joins, this is the longest",
    );
    let mut view = View::new(&spans).unwrap();
    view.look_from(4);
    assert_eq!(
        view.statement().unwrap(),
        "GET /health took 9.00 ms in frontend-api; no call was seen below it"
    );
    view.look_from(99);
    assert_eq!((view.statement(), statement(&[])), (None, None));
}

#[test]
fn a_service_that_calls_itself() {
    let call = |parent, from, to| client(node(Some(parent), from, to), "shop", "GET /tree", "shop");
    let answer = |parent, from, to| server(node(Some(parent), from, to), "shop", "GET /tree");
    let spans = [
        server(node(None, 0, 100), "shop", "GET /tree"),
        call(0, 10, 90),
        answer(1, 10, 90),
        call(2, 20, 80),
        answer(3, 20, 80),
    ];
    says(
        &spans,
        "80 % of GET /tree (80.0 ms of 100 ms) is GET /tree on shop, 2 calls, some within others: all of it in shop itself (WHY)",
    );
}

#[test]
fn no_time_at_all() {
    let spans =
        [server(node(None, 0, 0), "shop", "GET /cart"), client(node(Some(0), 0, 0), "shop", "GET", "cache")];
    says(&spans, "GET /cart took no measurable time");
}

#[test]
fn names_of_others_are_cut_and_made_safe() {
    let long = "GET /".to_owned() + &"x".repeat(100);
    let spans = [server(node(None, 0, 100), "sh\u{1b}op", &long)];
    says(&spans, &format!("GET /{}… took 100 ms in sh?op; no call was seen below it", "x".repeat(54)));
}
