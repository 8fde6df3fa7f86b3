//! Whether the traces of the demonstration are what really happened.

use anyhow::{Context, Result, ensure};
use tracer_tests::span::{Kind, Span, Trace};

/// The services, from the outside in.
const CHAIN: [&str; 3] = ["nginx", "frontend-api", "user-service"];

/// Every request is one trace: a root in nginx, and per further service a client span and the joined server span.
/// Spans of the database calls may hang below them.
pub fn every_request_is_one_trace(trace: &Trace, requests: u32) -> Result<()> {
    let roots: Vec<&Span> = of(trace, Kind::Server).filter(|span| span.service == CHAIN[0]).collect();
    ensure!(
        roots.len() == requests as usize,
        "{requests} requests were sent to nginx, which has {} server spans",
        roots.len()
    );
    for root in roots {
        ensure!(root.parent.is_none(), "{} in nginx has a parent", root.operation);
        follow(trace, root).with_context(|| format!("trace {} ({})", root.trace_id, root.operation))?;
    }
    for service in CHAIN.into_iter().skip(1) {
        let count = of(trace, Kind::Server).filter(|span| span.service == service).count();
        ensure!(count == requests as usize, "{service} has {count} server spans for {requests} requests");
    }
    Ok(())
}

/// What user-service asks of its database.
const INSERT: &str = "INSERT INTO users (name, email) VALUES (?, ?) RETURNING id";
const SELECT: &str = "SELECT * FROM users WHERE id = ?";

/// The database calls of one request: a POST inserts a user and reads it, a GET only reads it.
fn asks_the_database(trace: &Trace, server: &Span) -> Result<()> {
    let expected: &[&str] = if server.method() == "POST" { &[INSERT, SELECT] } else { &[SELECT] };
    let mut calls: Vec<&Span> =
        trace.spans.iter().filter(|span| span.parent.as_ref() == Some(&server.span_id)).collect();
    calls.sort_by_key(|span| span.start_ns);
    let statements: Vec<&str> = calls.iter().filter_map(|span| span.tag("db.statement")).collect();
    ensure!(statements == expected, "user-service asked {statements:?} instead of {expected:?}");
    for call in calls {
        let (database, kind) = (call.tag("db.instance"), call.kind);
        ensure!(database == Some("users_db") && kind == Kind::Client, "a call to {database:?} is {kind:?}");
        ensure!(
            call.end_ns() <= server.end_ns() && call.start_ns >= server.start_ns,
            "a call outside of its request"
        );
    }
    Ok(())
}

/// Goes down the chain from its root.
fn follow(trace: &Trace, root: &Span) -> Result<()> {
    let mut server = root;
    for pair in CHAIN.windows(2) {
        let [caller, callee] = pair else { continue };
        let client = only_child(trace, server, Kind::Client, caller)?;
        let next = only_child(trace, client, Kind::Server, callee)?;
        Trace::check_joined(client, next)?;
        ensure!(next.status() == root.status(), "{callee} answered {:?}", next.status());
        server = next;
    }
    asks_the_database(trace, server)
}

fn only_child<'a>(trace: &'a Trace, parent: &Span, kind: Kind, service: &str) -> Result<&'a Span> {
    let mut children = of(trace, kind).filter(|span| {
        span.parent.as_ref() == Some(&parent.span_id)
            && span.trace_id == parent.trace_id
            && span.service == service
    });
    let child = children.next().with_context(|| {
        format!("{} of {} has no {kind:?} span of {service} below it", parent.operation, parent.service)
    })?;
    ensure!(
        children.next().is_none(),
        "{} of {} has several {kind:?} spans of {service} below it",
        parent.operation,
        parent.service
    );
    Ok(child)
}

/// The spans of HTTP of one kind.
fn of(trace: &Trace, kind: Kind) -> impl Iterator<Item = &Span> {
    trace.spans.iter().filter(move |span| span.kind == kind && span.tags.contains_key("http.method"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn span(id: u64, parent: Option<u64>, service: &str, kind: &str) -> Value {
        json!({
            "traceId": format!("{:032x}", 1),
            "spanId": format!("{id:016x}"),
            "parentSpanId": parent.map(|id| format!("{id:016x}")),
            "serviceName": service,
            "operationName": "POST /users",
            "startTime": "2023-10-27T10:00:00.05Z",
            "duration": 1.0,
            "tags": { "http.method": "POST", "http.status_code": 201, "span.kind": kind },
        })
    }

    fn statement(id: u64, start: &str, statement: &str, database: &str) -> Value {
        json!({
            "traceId": format!("{:032x}", 1),
            "spanId": format!("{id:016x}"),
            "parentSpanId": format!("{:016x}", 5),
            "serviceName": "user-service",
            "operationName": "INSERT users",
            "startTime": start,
            "duration": 0.1,
            "tags": { "db.statement": statement, "db.instance": database, "span.kind": "client" },
        })
    }

    /// One request's spans; `parent` is that of frontend-api's call.
    fn check(parent: Option<u64>, requests: u32) -> Result<()> {
        check_with(parent, requests, INSERT, "users_db")
    }

    fn check_with(parent: Option<u64>, requests: u32, insert: &str, database: &str) -> Result<()> {
        let spans = json!([
            span(1, None, "nginx", "server"),
            span(2, Some(1), "nginx", "client"),
            span(3, Some(2), "frontend-api", "server"),
            span(4, parent, "frontend-api", "client"),
            span(5, Some(4), "user-service", "server"),
            statement(7, "2023-10-27T10:00:00.0505Z", SELECT, database),
            statement(6, "2023-10-27T10:00:00.0501Z", insert, database),
        ]);
        every_request_is_one_trace(&Trace::parse(spans.to_string().as_bytes()).unwrap(), requests)
    }

    #[test]
    fn the_whole_chain_passes_and_a_broken_one_does_not() {
        check(Some(3), 1).unwrap();
        check(None, 1).unwrap_err();
        check(Some(1), 1).unwrap_err();
        check(Some(3), 2).unwrap_err();
        check_with(Some(3), 1, SELECT, "users_db").unwrap_err();
        check_with(Some(3), 1, INSERT, "postgres").unwrap_err();
    }
}
