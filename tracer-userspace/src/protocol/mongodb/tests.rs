use super::bson;
use super::wire;
use crate::event::Direction::{Rx, Tx};
use crate::event::Role;
use crate::exchange::{Outcome, Side};
use crate::protocol::rehearse::{Act, Dice, Stage};
use crate::protocol::tally::Skip;
use crate::protocol::{Interest, Limits};

/// One element: its type, name and value.
fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], name.as_bytes(), &[0], value].concat()
}

pub(super) fn text(name: &str, value: &str) -> Vec<u8> {
    let value = [&(value.len() as i32 + 1).to_le_bytes()[..], value.as_bytes(), &[0]].concat();
    element(2, name, &value)
}

pub(super) fn number(name: &str, value: i32) -> Vec<u8> {
    element(0x10, name, &value.to_le_bytes())
}

fn double(name: &str, value: f64) -> Vec<u8> {
    element(1, name, &value.to_le_bytes())
}

fn doc(elements: &[Vec<u8>]) -> Vec<u8> {
    let inner = elements.concat();
    [&(inner.len() as i32 + 5).to_le_bytes()[..], &inner, &[0]].concat()
}

fn nested(name: &str, elements: &[Vec<u8>]) -> Vec<u8> {
    element(3, name, &doc(elements))
}

fn array(name: &str, documents: &[Vec<u8>]) -> Vec<u8> {
    let elements: Vec<Vec<u8>> =
        documents.iter().enumerate().map(|(at, document)| element(3, &at.to_string(), document)).collect();
    element(4, name, &doc(&elements))
}

fn message(op: i32, id: i32, to: i32, rest: &[u8]) -> Vec<u8> {
    let len = rest.len() as i32 + 16;
    [&len.to_le_bytes()[..], &id.to_le_bytes(), &to.to_le_bytes(), &op.to_le_bytes(), rest].concat()
}

fn msg(id: i32, to: i32, flags: u32, elements: &[Vec<u8>]) -> Vec<u8> {
    message(2013, id, to, &[&flags.to_le_bytes()[..], &[0], &doc(elements)].concat())
}

fn find(id: i32, collection: &str) -> Vec<u8> {
    let filter = nested("filter", &[text("email", "secret@x"), nested("age", &[number("$gt", 17)])]);
    msg(id, 0, 0, &[text("find", collection), filter, number("limit", 3), text("$db", "shop")])
}

fn ok(to: i32) -> Vec<u8> {
    msg(1000 + to, to, 0, &[double("ok", 1.0)])
}

fn failed(to: i32, code: i32, name: &str) -> Vec<u8> {
    let all = [double("ok", 0.0), text("errmsg", "secret"), number("code", code), text("codeName", name)];
    msg(1000 + to, to, 0, &all)
}

/// A client's end, seen from its beginning.
fn client() -> Stage {
    Stage::new(Role::Active)
}

fn short(acts: &[Act]) -> Vec<(String, String, Option<Outcome>)> {
    let short = |act: &Act| (act.head.operation(), act.error().unwrap_or("-").to_owned(), act.outcome());
    acts.iter().map(short).collect()
}

fn done(operation: &str, error: &str) -> (String, String, Option<Outcome>) {
    (operation.to_owned(), error.to_owned(), Some(Outcome::Complete))
}

#[test]
fn a_command_says_what_it_is_applied_to_and_none_of_its_values() {
    let mut stage = client();
    stage.call(Tx, &find(7, "users"));
    stage.call(Rx, &ok(7));
    let all = stage.told();
    assert_eq!(short(&all), [done("find users", "-")]);
    assert_eq!(&*all[0].head.target, "{find: users, filter: {email: ?, age: {$gt: ?}}, limit: ?}");
    assert_eq!((all[0].head.host.as_deref(), all[0].side), (Some("shop"), Side::Client));
    assert!(!format!("{all:?}").contains("secret"));
    let end = all[0].end.as_ref().unwrap();
    assert_eq!((all[0].first.0, end.asked.0, end.at.0), (10, 10, 20));
    assert_eq!(end.bytes, (find(7, "users").len() as u64, ok(7).len() as u64));
}

/// What is shown of commands that hold documents.
#[test]
fn documents_are_not_shown() {
    let target = |elements: &[Vec<u8>]| {
        let mut stage = client();
        stage.call(Tx, &msg(1, 0, 0, elements));
        stage.call(Rx, &ok(1));
        let all = stage.told();
        let attributes = all[0].head.attributes();
        let count = attributes.iter().find(|attribute| attribute.key == "db.operation.batch.size").cloned();
        (all[0].head.target.to_string(), count.map(|count| count.value))
    };
    let people = [doc(&[text("name", "Bob")]), doc(&[text("name", "Eve")])];
    let two = Some(crate::exchange::Value::Number(2));
    assert_eq!(
        target(&[text("insert", "u"), array("documents", &people), number("ordered", 1)]),
        ("{insert: u, documents: ?, ordered: ?}".to_owned(), two)
    );
    let change = |by: Vec<u8>| doc(&[nested("q", &[text("_id", "x")]), by]);
    let set = change(nested("u", &[nested("$set", &[text("name", "x")])]));
    let replace = change(nested("u", &[text("bob", "x")]));
    assert_eq!(
        target(&[text("update", "u"), array("updates", &[set.clone(), set, replace])]).0,
        "{update: u, updates: [{q: {_id: ?}, u: {$set: {name: ?}}}, {q: {_id: ?}, u: ?}]}"
    );
    // Names that look like values, and names of users, are none of fields and collections.
    let odd = nested("filter", &[number("507f1f77bcf86cd799439011", 1), number("bob@example.com", 2)]);
    assert_eq!(target(&[text("find", "u"), odd]).0, "{find: u, filter: {?: ?, ?: ?}}");
    assert_eq!(target(&[text("dropUser", "bob"), text("$db", "a")]).0, "{dropUser: ?}");
    // Nesting has an end.
    let mut deep = text("x", "secret");
    for _ in 0..40 {
        deep = nested("x", &[deep]);
    }
    let shown = target(&[text("find", "u"), deep]).0;
    assert_eq!(shown, "{find: u, x: {x: {x: {x: {x: {x: {x: ?}}}}}}}");
}

#[test]
fn documents_beside_a_command_are_counted() {
    let one = doc(&[text("name", "secret")]);
    let section = [&b"documents\0"[..], &one, &one, &one].concat();
    let len = section.len() as i32 + 4;
    let body = doc(&[text("insert", "users"), text("$db", "shop")]);
    for flags in [0u32, 1] {
        let mut rest = [&flags.to_le_bytes()[..], &[0], &body, &[1], &len.to_le_bytes(), &section].concat();
        rest.extend_from_slice(if flags == 1 { b"\x01\x02\x03\x04" } else { b"" });
        let mut stage = client();
        stage.call(Tx, &message(2013, 1, 0, &rest));
        stage.call(Rx, &ok(1));
        let all = stage.told();
        assert_eq!(short(&all), [done("insert users", "-")]);
        assert!(format!("{:?}", all[0].head.attributes()).contains("batch.size\", value: Number(3)"));
        assert!(!format!("{all:?}").contains("secret"));
        // The other order.
        let mut turned = [&flags.to_le_bytes()[..], &[1], &len.to_le_bytes(), &section, &[0], &body].concat();
        turned.extend_from_slice(if flags == 1 { b"\x01\x02\x03\x04" } else { b"" });
        let mut stage = client();
        stage.call(Tx, &message(2013, 1, 0, &turned));
        stage.call(Rx, &ok(1));
        assert_eq!(stage.told()[0].head, all[0].head);
    }
}

#[test]
fn an_error_is_its_name_or_else_its_code() {
    let error = |elements: &[Vec<u8>]| {
        let mut stage = client();
        stage.call(Tx, &find(1, "u"));
        stage.call(Rx, &msg(9, 1, 0, elements));
        let all = stage.told();
        assert!(!format!("{all:?}").contains("secret"));
        all[0].error().map(str::to_owned)
    };
    assert_eq!(error(&[double("ok", 1.0), number("code", 3)]), None);
    assert_eq!(error(&[number("ok", 0), number("code", 26)]).as_deref(), Some("26"));
    assert_eq!(
        error(&[
            double("ok", 0.0),
            text("errmsg", "secret"),
            number("code", 26),
            text("codeName", "NamespaceNotFound")
        ])
        .as_deref(),
        Some("NamespaceNotFound")
    );
    let write =
        array("writeErrors", &[doc(&[number("index", 0), number("code", 11000), text("errmsg", "secret")])]);
    assert_eq!(error(&[number("n", 0), write, double("ok", 1.0)]).as_deref(), Some("11000"));
    let concern = nested("writeConcernError", &[number("code", 64), text("codeName", "WriteConcernFailed")]);
    assert_eq!(error(&[number("n", 1), concern, double("ok", 1.0)]).as_deref(), Some("WriteConcernFailed"));
    assert_eq!(error(&[double("ok", 0.0), text("codeName", "a secret")]).as_deref(), Some("error"));
}

#[test]
fn old_handshakes_are_exchanges() {
    let query =
        [&[0u8; 4][..], b"admin.$cmd\0", &[0; 4], &[0xff; 4], &doc(&[number("isMaster", 1)])].concat();
    let answer = [&[8u8, 0, 0, 0][..], &[0; 12], &[1, 0, 0, 0], &doc(&[double("ok", 1.0)])].concat();
    let mut stage = Stage::new(Role::Passive);
    stage.call(Rx, &message(2004, 1, 0, &query));
    stage.call(Tx, &message(1, 9, 1, &answer));
    let all = stage.told();
    assert_eq!(short(&all), [done("isMaster", "-")]);
    assert_eq!((all[0].side, all[0].head.host.as_deref()), (Side::Server, Some("admin")));
    assert_eq!(&*all[0].head.target, "{isMaster: ?}");
    // A query of old drivers.
    let query = [&[0u8; 4][..], b"shop.users\0", &[0; 8], &doc(&[text("name", "Bob")])].concat();
    let mut stage = client();
    stage.call(Tx, &message(2004, 1, 0, &query));
    stage.call(Rx, &message(1, 9, 1, &answer));
    assert_eq!(short(&stage.told()), [done("find users", "-")]);
}

#[test]
fn what_is_not_answered_is_a_message() {
    let mut stage = client();
    stage.call(Tx, &msg(1, 0, 2, &[text("insert", "log"), text("$db", "shop")]));
    stage.call(Tx, &find(2, "users"));
    stage.call(Rx, &ok(2));
    let all = stage.told();
    assert_eq!(short(&all), [done("insert log", "-"), done("find users", "-")]);
    assert!(all[0].head.is_message && all[0].response.is_none());
    assert!(!all[1].head.is_message);
}

/// Several answers to one request: the first is its own.
#[test]
fn answers_that_nobody_asked_for_are_counted() {
    let mut stage = client();
    let hello = [number("hello", 1), number("maxAwaitTimeMS", 10_000), text("$db", "admin")];
    stage.call(Tx, &msg(1, 0, 1 << 16, &hello));
    let mut to = 1;
    for id in 100..110 {
        stage.call(Rx, &msg(id, to, 2, &[double("ok", 1.0)]));
        to = id;
    }
    let all = stage.told();
    assert_eq!(short(&all), [done("hello", "-")]);
    assert_eq!(all[0].end.as_ref().unwrap().at.0, 20);
    assert!(format!("{:?}", all[0].head.attributes()).contains("db.mongodb.blocking"));
    assert_eq!(stage.ledger().tally.skipped(Skip::Unrequested), 9 * ok(1).len() as u64);
}

#[test]
fn what_is_compressed_is_counted() {
    let mut stage = client();
    stage.call(Tx, &msg(1, 0, 0, &[number("hello", 1)]));
    stage.call(Rx, &ok(1));
    let packed = [&2013i32.to_le_bytes()[..], &100i32.to_le_bytes(), &[2], b"......"].concat();
    for id in 2..5 {
        stage.call(Tx, &message(2012, id, 0, &packed));
        stage.call(Rx, &message(2012, 100 + id, id, &packed));
    }
    assert_eq!(short(&stage.told()), [done("hello", "-")]);
    assert_eq!(stage.ledger().tally.skipped(Skip::Compressed), 6 * (packed.len() as u64 + 16));
}

#[test]
fn answers_find_their_requests_in_any_order() {
    let mut stage = client();
    for id in 1..5 {
        stage.call(Tx, &find(id, &format!("c{id}")));
    }
    for id in [3, 1, 4, 2] {
        stage.call(Rx, &failed(id, id, &format!("E{id}")));
    }
    let expected: Vec<_> = (1..5).map(|id| done(&format!("find c{id}"), &format!("E{id}"))).collect();
    assert_eq!(short(&stage.told()), expected);
}

/// A server reads the header in a call of its own; anything may be split anywhere.
#[test]
fn messages_end_where_they_end_however_they_are_cut() {
    let lines = [
        (Rx, [find(1, "a"), find(2, "b")].concat()),
        (Tx, [ok(1), failed(2, 26, "NamespaceNotFound")].concat()),
    ];
    let expected = [done("find a", "-"), done("find b", "NamespaceNotFound")];
    for size in 1..220 {
        let mut stage = Stage::new(Role::Passive);
        stage.call(Rx, &msg(90, 0, 0, &[number("hello", 1)]));
        stage.call(Tx, &ok(90));
        for (dir, bytes) in &lines {
            bytes.chunks(size).for_each(|part| stage.call(*dir, part));
        }
        assert_eq!(short(&stage.told())[1..], expected, "{size}");
    }
    let mut stage = Stage::new(Role::Passive);
    for id in 1..4 {
        let bytes = find(id, "a");
        stage.call(Rx, &bytes[..16]);
        stage.call(Rx, &bytes[16..]);
        stage.call(Tx, &ok(id));
    }
    assert_eq!(short(&stage.told()), vec![done("find a", "-"); 3]);
    assert_eq!(stage.interests(), [Interest::Calls, Interest::Everything]);
}

#[test]
fn a_connection_may_be_joined_at_a_message() {
    let mut stage = Stage::new(Role::Unseen);
    stage.call(Rx, &find(1, "a")[40..]);
    stage.call(Rx, &ok(1));
    stage.call(Tx, &find(2, "b"));
    stage.call(Rx, &ok(2));
    assert_eq!(short(&stage.told()), [done("find b", "-")]);
    assert_eq!(stage.ledger().tally.skipped(Skip::Joined), find(1, "a").len() as u64 - 40);
}

/// What was lost costs the requests whose answers may have been in it, and no others.
#[test]
fn lost_answers_are_given_up() {
    let mut stage = client();
    stage.call(Tx, &find(1, "a"));
    stage.lose(Rx, &ok(1));
    stage.call(Tx, &find(2, "b"));
    stage.call(Rx, &ok(2));
    let all = stage.told();
    assert_eq!(all[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(short(&all)[1..], [done("find b", "-")]);
    // One that comes all the same.
    let mut stage = client();
    stage.call(Tx, &[find(1, "a"), find(2, "b")].concat());
    stage.lose(Rx, &ok(1));
    stage.call(Rx, &ok(2));
    let all = stage.told();
    assert_eq!(all[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(short(&all)[1..], [done("find b", "-")]);
}

/// The end of long messages is not captured; their lengths are known.
#[test]
fn long_messages_may_be_cut_off() {
    let big = element(5, "pad", &[&9000i32.to_le_bytes()[..], &[0], &[7; 9000]].concat());
    let filter =
        msg(1, 0, 0, &[text("find", "users"), nested("filter", &[text("a", "secret"), big.clone()])]);
    let cursor = nested("cursor", &[array("firstBatch", &[doc(&[big])])]);
    let mut stage = client();
    for most in [40, 48, 60, 100, 4000] {
        stage.cut(Tx, &filter, most);
        stage.cut(Rx, &msg(9, 1, 0, &[cursor.clone(), double("ok", 1.0)]), most);
    }
    let all = stage.told();
    assert_eq!(all.len(), 4, "40 bytes do not say which command it is");
    assert_eq!(short(&all), vec![done("find users", "-"); 4]);
    for act in &all {
        assert!(act.head.truncated && act.head.target.ends_with("..."), "{:?}", act.head);
        assert!(!act.response.as_ref().unwrap().0.truncated);
    }
    assert!(!format!("{all:?}").contains("secret"));
}

#[test]
fn a_connection_ends_within_an_answer() {
    for (closed, outcome) in [(true, Outcome::Aborted), (false, Outcome::Streaming)] {
        let mut stage = client();
        stage.call(Tx, &find(1, "a"));
        stage.call(Rx, &ok(1)[..30]);
        if closed {
            stage.close();
        }
        let all = stage.told();
        assert_eq!((all[0].outcome(), all[0].end.as_ref().unwrap().bytes.1), (Some(outcome), 30));
    }
    let mut stage = client();
    stage.call(Tx, &find(1, "a"));
    stage.close();
    assert_eq!(stage.told()[0].outcome(), Some(Outcome::Unanswered));
}

#[test]
fn what_contradicts_the_protocol_is_not_believed() {
    // A section that is none, a document that lies, an operation that is unknown, a length that is too large.
    let mut kind = find(2, "b");
    kind[20] = 7;
    let mut longer = find(2, "b");
    longer[21..25].copy_from_slice(&900i32.to_le_bytes());
    let mut inner = find(2, "b");
    inner[26 + 5] = 0xff;
    let huge = message(2013, 2, 0, &[0xff; 60]);
    let unknown = message(2014, 2, 0, &find(2, "b")[16..]);
    for bad in [kind, longer, inner, huge, unknown, vec![0xff; 80], vec![0; 80]] {
        let mut stage = client();
        stage.call(Tx, &find(1, "a"));
        stage.call(Rx, &ok(1));
        stage.call(Tx, &bad);
        stage.call(Tx, &find(3, "c"));
        stage.call(Rx, &ok(3));
        assert_eq!(short(&stage.told()), [done("find a", "-"), done("find c", "-")], "{bad:?}");
    }
}

#[test]
fn requests_that_wait_are_bounded() {
    let limits = Limits { outstanding: 4, ..Limits::default() };
    let mut stage = Stage::within(Role::Active, limits);
    for id in 1..10 {
        stage.call(Tx, &find(id, "a"));
    }
    for id in 1..10 {
        stage.call(Rx, &ok(id));
    }
    assert_eq!(stage.told().len(), 4);
    assert_eq!(stage.ledger().tally.overflow, 5);
    // A number that comes again.
    let mut stage = client();
    stage.call(Tx, &find(1, "a"));
    stage.call(Tx, &find(1, "b"));
    stage.call(Rx, &ok(1));
    let all = stage.told();
    assert_eq!(all[0].outcome(), Some(Outcome::ResponseUnseen));
    assert_eq!(short(&all)[1..], [done("find b", "-")]);
}

#[test]
fn elements_end_with_their_document() {
    let whole =
        doc(&[text("a", "x"), nested("b", &[number("c", 5)]), element(0x0b, "r", b"x\0i\0"), number("z", 1)]);
    let read = |bytes: &[u8]| {
        let mut elements = bson::document(bytes).unwrap();
        (elements.by_ref().count(), elements.ended())
    };
    assert_eq!(read(&whole), (4, bson::Ended::Well));
    for cut in 4..whole.len() {
        let (count, ended) = read(&whole[..cut]);
        assert!(count <= 4 && ended == bson::Ended::Cut, "{cut}: {count} {ended:?}");
    }
    assert!(!wire::begins(b"", 0));
}

/// Right or absent: every answer that is told is that of its own request, whatever was lost, cut off or missed.
#[test]
fn random_conversations_are_told_right_or_not_at_all() {
    let mut told = 0;
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let is_gentle = seed % 3 == 0;
        let role = if is_gentle || dice.below(2) == 0 { Role::Active } else { Role::Unseen };
        let mut stage = Stage::new(role);
        for id in 1..40i32 {
            let asks = find(id, &format!("c{id}"));
            let answers = failed(id, id, &format!("E{id}"));
            for (dir, bytes) in [(Tx, asks), (Rx, answers)] {
                // A beginning of few bytes would not say which protocol it is.
                let parts = if id == 1 && is_gentle { vec![&bytes[..]] } else { dice.split(&bytes) };
                for part in parts {
                    stage.play(&mut dice, is_gentle, dir, part);
                }
            }
        }
        let all = stage.told();
        if is_gentle {
            assert_eq!(all.len(), 39);
        }
        for act in &all {
            let number = act.head.operation().replace("find c", "");
            if let (Ok(number), Some(error)) = (number.parse::<u32>(), act.error()) {
                // Of what is cut off the name may be missing, or the code as well.
                let may_be = [format!("E{number}"), number.to_string(), "unknown".to_owned()];
                assert!(may_be.iter().any(|may_be| may_be == error), "seed {seed}: {number} has {error}");
                told += 1;
            }
        }
    }
    assert!(told > 4000, "{told}");
}
