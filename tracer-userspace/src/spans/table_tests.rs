use super::file::{read_again, read_outlines, read_table};
use super::*;

fn span(trace: &str, id: &str, parent: Option<&str>, start: u32, duration: i32, tags: &str) -> String {
    let parent = parent.map_or("null".to_owned(), |parent| format!("\"{parent}\""));
    format!(
        "{{\"traceId\":\"{trace}\",\"spanId\":\"{id}\",\"parentSpanId\":{parent},\"serviceName\":\"shop\",\"operationName\":\"op {id}\",\
         \"startTime\":\"2023-10-27T10:00:{start:02}Z\",\"duration\":{duration},\"tags\":{{{tags}}}}}"
    )
}

fn table(spans: &[String]) -> Table {
    read_table(format!("[\n{}\n]\n", spans.join(",\n")).as_bytes()).unwrap()
}

#[test]
fn parents_are_found_in_whatever_order_they_come() {
    let table = table(&[
        span("aa", "3", Some("2"), 2, 1, ""),
        span("bb", "1", None, 0, 5, ""),
        span("aa", "2", Some("1"), 1, 10, ""),
        span("aa", "1", None, 0, 100, "\"error\":true"),
    ]);
    assert_eq!(table.rows.iter().map(|row| row.parent).collect::<Vec<_>>(), [2, NO_ROW, 3, NO_ROW]);
    let [aa, bb] = &table.traces[..] else { panic!("{:?}", table.traces) };
    assert_eq!((table.rows_of(aa), aa.root, aa.errors), (&[3, 2, 0][..], 3, 1));
    assert_eq!((table.rows_of(bb), bb.root, bb.errors), (&[1][..], 1, 0));
    assert_eq!(table.duration(aa), 100_000_000);
    assert_eq!(table.problems, Problems::default());
    assert_eq!(table.find("a").count(), 1);
}

#[test]
fn spans_by_others_are_dealt_with_by_rule() {
    let table = table(&[
        // A circle of two, and what hangs on it.
        span("aa", "1", Some("2"), 5, 10, ""),
        span("aa", "2", Some("1"), 4, 10, ""),
        span("aa", "3", Some("1"), 6, 10, ""),
        // Its own parent; a parent that is nowhere; one there twice; one that lasts less than nothing.
        span("aa", "4", Some("4"), 7, 10, ""),
        span("aa", "5", Some("nowhere"), 8, 10, ""),
        span("aa", "5", None, 9, 99, ""),
        span("aa", "6", None, 9, -1, ""),
        "{\"traceId\":\"aa\"}".to_owned(),
    ]);
    assert_eq!(
        table.rows.iter().map(|row| row.parent).collect::<Vec<_>>(),
        [1, NO_ROW, 0, NO_ROW, NO_ROW, NO_ROW]
    );
    let problems = &table.problems;
    assert_eq!(
        (
            problems.duplicates,
            problems.absent_parents,
            problems.circles,
            problems.negative,
            problems.unusable
        ),
        (1, 1, 3, 1, 1)
    );
    assert!(table.rows[4].is_torn);
    let said = problems.to_string();
    assert!(said.contains("line 9 column 1: a span without startTime; the span is left out"), "{said}");
    assert!(said.contains("1 span with the id of one before"), "{said}");
}

#[test]
fn a_long_chain_is_no_deep_recursion_and_long_circles_are_cut_once() {
    let id = |n: usize| n.to_string();
    let chain: Vec<String> =
        (0..20_000).map(|n| span("aa", &id(n), (n > 0).then(|| id(n - 1)).as_deref(), 1, 1, "")).collect();
    assert_eq!(table(&chain).rows_of(&table(&chain).traces[0]).len(), 20_000);
    let circle: Vec<String> =
        (0..1000).map(|n| span("aa", &id(n), Some(&id((n + 1) % 1000)), 1, 1, "")).collect();
    let circle = table(&circle);
    assert_eq!((circle.problems.circles, circle.rows[0].parent), (1000, NO_ROW));
    assert_eq!(circle.rows.iter().filter(|row| row.parent == NO_ROW).count(), 1);
}

#[test]
fn tags_say_who_was_called_and_what_came_of_it() {
    let of = |tags: &str| {
        let table = table(&[span("a", "1", None, 0, 1, tags)]);
        (table.name(table.rows[0].peer).to_owned(), table.rows[0])
    };
    assert_eq!(of("").0, "");
    assert_eq!(
        of(r#""db.system":"postgresql","db.instance":"users_db","net.peer.ip":"10.0.0.1""#).0,
        "postgresql users_db"
    );
    assert_eq!(
        of(r#""net.peer.ip":"10.0.0.1","net.peer.port":6379,"db.system":"redis""#).0,
        "redis 10.0.0.1:6379"
    );
    assert_eq!(of(r#""http.host":"shop","net.peer.ip":"10.0.0.1""#).0, "shop");
    let (_, row) = of(
        r#""span.kind":"client","http.status_code":"503","error":"true","tracer.incomplete":true,"tracer.link.confidence":0.93"#,
    );
    assert_eq!((row.kind, row.status, row.is_error, row.is_incomplete), (Kind::Client, 503, true, true));
    assert!((row.confidence - 0.93).abs() < 1e-6);
}

#[test]
fn what_the_table_leaves_out_is_read_again_at_its_place() {
    let spans = [span("a", "1", None, 0, 1, r#""x":"ö\n""#), span("a", "2", Some("1"), 0, 1, "\"y\":[1,2]")];
    let text = format!("[\n{}\n]\n", spans.join(",\n"));
    let table = read_table(text.as_bytes()).unwrap();
    for (row, span) in table.rows.iter().zip(&spans) {
        let from = row.place.offset as usize;
        let bytes = &text.as_bytes()[from..from + row.place.len as usize];
        assert_eq!(bytes, span.as_bytes());
        assert_eq!(read_again(bytes).unwrap().operation_name, table.name(row.operation));
    }
}

#[test]
fn requests_for_the_same_thing_are_one_group() {
    let named = |id: &str, name: &str| span("a", id, None, 0, 1, "").replace(&format!("op {id}"), name);
    let table = table(&[named("1", "GET /users/17"), named("2", "GET /users/18"), named("3", "GET /users")]);
    let groups: Vec<&str> = table.rows.iter().map(|row| table.name(row.group)).collect();
    assert_eq!(groups, ["GET /users/*", "GET /users/*", "GET /users"]);
    assert_eq!(table.name(table.rows[1].operation), "GET /users/18");
}

#[test]
fn an_outline_is_the_table_without_what_tags_and_names_say() {
    let spans = [
        span("aa", "3", Some("2"), 2, 1, "\"span.kind\":\"server\",\"error\":true,\"http.status_code\":500"),
        span("aa", "2", Some("3"), 1, 10, "\"tracer.link.confidence\":0.5"),
        span("bb", "1", Some("0"), 0, 5, "\"db.system\":\"redis\""),
        span("bb", "1", None, 0, 5, ""),
        // What is wrong in tags is wrong here too.
        span("bb", "2", None, 0, 5, "\"lone\":\"\\ud800\""),
        span("bb", "3", None, 0, 5, "\"large\":1e999"),
        span("bb", "4", None, 0, 5, &format!("\"deep\":{}1{}", "[".repeat(200), "]".repeat(200))),
        span("bb", "5", None, 0, -5, "").replace("{}", "[]"),
    ];
    let text = format!("[\n{}\n]\n", spans.join(",\n"));
    let (whole, outline) =
        (read_table(text.as_bytes()).unwrap(), read_outlines(text.as_bytes(), || false).unwrap());
    assert_eq!((whole.rows.len(), whole.problems.unusable, whole.problems.duplicates), (3, 4, 1));
    assert_eq!(whole.problems, outline.problems);
    for (whole, own) in whole.rows.iter().zip(&outline.rows) {
        let Row { start, duration, place, trace, parent, service, is_torn, .. } = *whole;
        let bare = Row { start, duration, place, trace, parent, service, is_torn, ..*own };
        assert_eq!(bare, *own);
        assert_eq!((outline.name(own.operation), own.kind, own.status), ("", Kind::Internal, 0));
    }
    assert_eq!(outline.rows.len(), 3);
    let shape = |table: &Table| -> Vec<_> {
        table
            .traces
            .iter()
            .map(|trace| (trace.id.clone(), trace.root, table.rows_of(trace).to_vec()))
            .collect()
    };
    assert_eq!(shape(&whole), shape(&outline));
}
