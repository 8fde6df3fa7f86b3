use super::*;
use crate::spans::file::{read_again, read_table};

/// A span of a service called shop, times in milliseconds.
fn span(id: u32, parent: Option<u32>, start: i64, duration: u64, tags: &str) -> String {
    named("shop", "GET /cart", id, parent, start, duration, tags)
}

fn named(
    service: &str,
    operation: &str,
    id: u32,
    parent: Option<u32>,
    start: i64,
    duration: u64,
    tags: &str,
) -> String {
    let parent = parent.map_or("null".to_owned(), |parent| format!("\"{parent}\""));
    let start = Rfc3339Micros(1_698_400_800_000_000_000 + (start * 1_000_000) as u64);
    format!(
        "{{\"traceId\":\"aa\",\"spanId\":\"{id}\",\"parentSpanId\":{parent},\"serviceName\":\"{service}\",\"operationName\":\"{operation}\",\
         \"startTime\":\"{start}\",\"duration\":{duration},\"tags\":{{{tags}}}}}"
    )
}

fn drawn(spans: &[String], style: Style) -> String {
    let text = format!("[{}]", spans.join(","));
    let table = read_table(text.as_bytes()).unwrap();
    let details = |_, row: &Row| {
        let from = row.place.offset as usize;
        Details::of(&read_again(&text.as_bytes()[from..from + row.place.len as usize]).unwrap())
    };
    render(&table, &table.traces[0], style, details, None)
}

const PLAIN: Style = Style { width: 84, unicode: false, color: false, max_lines: 10 };
const OK: &str = "\"http.status_code\":200";

#[test]
fn a_trace_looks_like_this() {
    let client = "\"span.kind\":\"client\",\"http.status_code\":200";
    let spans = [
        span(1, None, 0, 100, OK),
        span(2, Some(1), 25, 50, client),
        span(3, Some(2), 30, 40, "\"http.status_code\":503,\"error\":true"),
        span(
            4,
            Some(1),
            30,
            20,
            "\"span.kind\":\"client\",\"tracer.incomplete\":true,\"tracer.outcome\":\"pending\"",
        ),
    ];
    assert_eq!(
        drawn(&spans, PLAIN),
        "\
trace aa  100ms  4 spans  1 failed  2023-10-27T10:00:00.000000Z
shop GET /cart     ######===========######      +0ns    100ms   50.0ms 200
  > shop GET /cart ......#=========#......   +25.0ms   50.0ms   10.0ms 200
    shop GET /cart .......#########.......   +30.0ms   40.0ms   40.0ms 503 !
  > shop GET /cart .......=====...........   +30.0ms   20.0ms   20.0ms   - ? pending
"
    );
}

#[test]
fn calls_of_the_same_become_one_line_and_others_do_not() {
    let select = "\"span.kind\":\"client\",\"db.statement\":\"SELECT * FROM users WHERE id = ?\"";
    let mut spans = vec![span(1, None, 0, 100, OK)];
    for n in 0..37 {
        spans.push(named("shop", "SELECT users", 10 + 2 * n, Some(1), 2 * i64::from(n), 2, select));
        spans.push(named(
            "db",
            "SELECT users",
            11 + 2 * n,
            Some(10 + 2 * n),
            2 * i64::from(n),
            1,
            "\"span.kind\":\"server\"",
        ));
    }
    spans.push(named("shop", "SELECT users", 3, Some(1), 90, 2, &format!("{select},\"error\":true")));
    let text = drawn(&spans, Style { width: 120, ..PLAIN });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].contains("shop SELECT * FROM users") && lines[2].contains("74.0ms   37.0ms"), "{text}");
    assert!(lines[2].ends_with("x37 +1 below each"), "{text}");
    assert!(lines[3].ends_with("err !"), "{text}");
}

#[test]
fn calls_that_differ_by_identifiers_only_are_one_line() {
    let client = "\"span.kind\":\"client\",\"http.status_code\":200";
    let mut spans = vec![span(1, None, 0, 100, OK)];
    for n in 0..5 {
        let operation = format!("GET /users/{}", n + 17);
        spans.push(named("shop", &operation, 10 + n, Some(1), 10 * i64::from(n), 5, client));
    }
    spans.push(named("shop", "GET /orders/9", 3, Some(1), 90, 2, client));
    let text = drawn(&spans, PLAIN);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].starts_with("  > shop GET /users/* ") && lines[2].ends_with("x5"), "{text}");
    assert!(lines[3].starts_with("  > shop GET /orders/9 "), "{text}");
}

#[test]
fn what_was_not_seen_to_its_end_took_at_least_so_long() {
    let spans = [span(1, None, 0, 100, "\"tracer.incomplete\":true")];
    assert!(drawn(&spans, PLAIN).starts_with("trace aa  >=100ms  1 span  2023"));
}

#[test]
fn a_link_that_may_be_doubted_says_so() {
    let marked = |confidence: &str| {
        let spans = [
            span(1, None, 0, 9, OK),
            span(2, Some(1), 1, 1, &format!("\"tracer.link.confidence\":{confidence}")),
        ];
        drawn(&spans, PLAIN).lines().last().unwrap().to_owned()
    };
    assert!(!marked("1.0").contains("link") && !marked("0.99").contains("link"));
    assert!(marked("0.939").ends_with(" link 93 %") && marked("0.9").ends_with(" link 90 %"));
}

#[test]
fn lines_fit_the_terminal_with_and_without_colour() {
    let tags = "\"error\":true,\"tracer.outcome\":\"an outcome longer than any\",\"tracer.n_plus_one\":9,\
                \"tracer.n_plus_one.operation\":\"SELECT everything\"";
    let wide = named("shop", &"GET /a/very/long/path/".repeat(20), 1, None, 0, 100, tags);
    for width in [80, 100, 200] {
        let plain = drawn(std::slice::from_ref(&wide), Style { width, ..Style::default() });
        assert!(plain.lines().all(|line| line.chars().count() <= width), "{width}\n{plain}");
        let color = drawn(std::slice::from_ref(&wide), Style { width, color: true, ..Style::default() });
        assert!(color.contains("\x1b[31m") && !plain.contains('\x1b'));
        let mut stripped = String::new();
        for (at, piece) in color.split("\x1b[").enumerate() {
            stripped.push_str(if at == 0 { piece } else { piece.split_once('m').unwrap().1 });
        }
        assert_eq!(stripped, plain);
    }
    drawn(&[wide], Style { width: 0, max_lines: 0, ..Style::default() });
}

#[test]
fn foreign_files_are_drawn_whatever_they_say() {
    let spans = [
        // A circle, a span that is its own parent, a missing parent, a duplicate.
        span(1, Some(2), 0, 10, ""),
        span(2, Some(1), 1, 10, ""),
        span(3, Some(3), 2, 10, ""),
        span(4, Some(99), 3, 10, ""),
        span(4, Some(4), 4, 10, ""),
        span(5, None, 5, 0, ""),
        span(6, None, 5, u64::from(u32::MAX), ""),
    ];
    let text = drawn(&spans, Style::default());
    assert_eq!(text.lines().count(), 1 + spans.len() - 1, "{text}");
    assert!(text.contains("parent not here"), "{text}");
}

#[test]
fn a_deep_trace_neither_overflows_nor_hides_its_size() {
    let spans: Vec<String> = (0..20_000)
        .map(|n| named("shop", &format!("op {n}"), n, n.checked_sub(1), n.into(), 1, ""))
        .collect();
    let text = drawn(&spans, Style::default());
    assert!(text.contains("and 19 900 more spans"), "{text}");
}
