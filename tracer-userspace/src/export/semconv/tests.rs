use super::*;
use crate::spans::file::read_again;

/// The attributes of a span with these tags, as `name=value`.
fn of(tags: &str) -> Vec<String> {
    let json = format!(
        "{{\"traceId\":\"a\",\"spanId\":\"b\",\"serviceName\":\"shop\",\"startTime\":\"2023-10-27T10:00:00Z\",\"duration\":1,\"tags\":{{{tags}}}}}"
    );
    let span = read_again(json.as_bytes()).unwrap();
    let mut all = Vec::new();
    attributes(&span, |name, value| {
        all.push(match value {
            Attribute::As(value) => format!("{name}={}", crate::export::encode::as_json(value)),
            Attribute::Text(text) => format!("{name}=\"{text}\""),
            Attribute::Int(number) => format!("{name}={number}"),
            Attribute::Texts(text) => format!("{name}=[\"{text}\"]"),
        });
    });
    all
}

#[test]
fn what_a_span_of_ours_says_of_http_has_its_name_of_today() {
    assert_eq!(
        of(
            r#""http.method":"POST","http.url":"/users?page=2","http.host":"shop:8080","http.status_code":201,
              "http.flavor":"2.0","span.kind":"server","error":false,"process.pid":17,"thread.id":18,"net.peer.ip":"10.0.0.1",
              "net.peer.port":4242,"http.request.bytes":100,"http.response.bytes":200,"tracer.ttfb_ms":1.5,
              "tracer.link.evidence":["thread"],"http.request.header.x-id":"7""#
        ),
        [
            r#"http.request.method="POST""#,
            r#"url.path="/users""#,
            r#"url.query="page=2""#,
            r#"server.address="shop""#,
            "server.port=8080",
            "http.response.status_code=201",
            r#"network.protocol.version="2""#,
            "thread.id=18",
            r#"network.peer.address="10.0.0.1""#,
            "network.peer.port=4242",
            "http.request.size=100",
            "http.response.size=200",
            "tracer.ttfb_ms=1.5",
            r#"tracer.link.evidence=["thread"]"#,
            r#"http.request.header.x-id=["7"]"#,
        ]
    );
}

#[test]
fn databases_calls_and_messages_too() {
    assert_eq!(
        of(
            r#""db.system":"postgresql","db.instance":"users_db","db.operation":"INSERT","db.statement":"INSERT ?",
              "db.sql.table":"users","db.response.status_code":"23505","error":true"#
        ),
        [
            r#"db.system.name="postgresql""#,
            r#"db.namespace="users_db""#,
            r#"db.operation.name="INSERT""#,
            r#"db.query.text="INSERT ?""#,
            r#"db.collection.name="users""#,
            r#"db.response.status_code="23505""#,
            r#"error.type="23505""#,
        ]
    );
    assert_eq!(
        of(
            r#""rpc.system":"grpc","rpc.service":"shop.Orders","rpc.method":"Place","rpc.grpc.status_code":5,"error":true"#
        ),
        [
            r#"rpc.system.name="grpc""#,
            r#"rpc.method="shop.Orders/Place""#,
            r#"rpc.response.status_code="NOT_FOUND""#,
            r#"error.type="NOT_FOUND""#,
        ]
    );
    assert_eq!(
        of(
            r#""messaging.system":"rabbitmq","messaging.operation":"publish","messaging.destination":"orders",
              "messaging.destination.partition.id":3,"messaging.message_id":"m","messaging.conversation_id":"c""#
        ),
        [
            r#"messaging.system="rabbitmq""#,
            r#"messaging.operation.name="publish""#,
            r#"messaging.operation.type="send""#,
            r#"messaging.destination.name="orders""#,
            r#"messaging.destination.partition.id="3""#,
            r#"messaging.message.id="m""#,
            r#"messaging.message.conversation_id="c""#,
        ]
    );
    assert_eq!(of(r#""db.system":"mssql""#), [r#"db.system.name="microsoft.sql_server""#]);
    assert_eq!(of(r#""rpc.service":"alone""#), [r#"rpc.service="alone""#]);
    assert_eq!(of(r#""rpc.grpc.status_code":77"#), [r#"rpc.response.status_code="77""#]);
}

#[test]
fn targets_of_every_form_are_told_apart() {
    for (url, expected) in [
        ("/", &[r#"url.path="/""#][..]),
        ("/a//b://c?d=/?#e", &[r#"url.path="/a//b://c""#, r#"url.query="d=/?""#]),
        (
            "http://shop:80/a?b",
            &[
                r#"url.full="http://shop:80/a?b""#,
                r#"url.scheme="http""#,
                r#"url.path="/a""#,
                r#"url.query="b""#,
            ],
        ),
        ("https://shop", &[r#"url.full="https://shop""#, r#"url.scheme="https""#, r#"url.path="/""#]),
        ("*", &[r#"url.original="*""#]),
        ("shop:443", &[r#"url.original="shop:443""#]),
        ("", &[r#"url.original="""#]),
        ("?x://y", &[r#"url.original="?x://y""#]),
    ] {
        assert_eq!(of(&format!("\"http.url\":\"{url}\"")), expected, "{url}");
    }
    for (host, expected) in [
        ("shop", &[r#"server.address="shop""#][..]),
        ("shop:80", &[r#"server.address="shop""#, "server.port=80"]),
        ("[::1]:80", &[r#"server.address="::1""#, "server.port=80"]),
        ("[::1]", &[r#"server.address="::1""#]),
        ("::1", &[r#"server.address="::1""#]),
        ("shop:port", &[r#"server.address="shop:port""#]),
    ] {
        assert_eq!(of(&format!("\"http.host\":\"{host}\"")), expected, "{host}");
    }
    assert_eq!(
        of(r#""http.method":"BREW""#),
        [r#"http.request.method="_OTHER""#, r#"http.request.method_original="BREW""#]
    );
}

#[test]
fn each_name_is_there_once_whatever_was_there_before() {
    assert_eq!(
        of(
            r#""http.status_code":200,"http.response.status_code":201,"http.status_code":202,"server.address":"a","http.host":"b:1""#
        ),
        ["http.response.status_code=200", r#"server.address="a""#, "server.port=1"]
    );
    assert_eq!(of(r#""own.name":1,"own.name":2"#), ["own.name=1"]);
}

#[test]
fn errors_have_a_type_where_something_tells_it() {
    assert_eq!(
        of(r#""http.status_code":503,"error":"true""#),
        ["http.response.status_code=503", r#"error.type="503""#]
    );
    assert_eq!(
        of(r#""error.type":"timeout","http.status_code":503,"error":true"#)[0],
        r#"error.type="timeout""#
    );
    assert_eq!(of(r#""error":true"#), [""; 0]);
    assert_eq!(of(r#""http.status_code":404"#), ["http.response.status_code=404"]);
}

#[test]
fn resource_kind_and_status_stand_beside_the_attributes() {
    let json = r#"{"traceId":"a","spanId":"b","serviceName":"shop","startTime":"2023-10-27T10:00:00Z","duration":1,
        "tags":{"process.pid":17,"host.name":"h","container.id":"c","span.kind":"producer","error":"true"}}"#;
    let span = read_again(json.as_bytes()).unwrap();
    let resource = Resource { service: "shop", pid: Some(17), host: Some("h"), container: Some("c") };
    assert_eq!(frame(&span), Frame { resource, kind: Kind::Producer, is_error: true });
    attributes(&span, |name, _| panic!("{name}"));
    assert_eq!(of(r#""process.pid":"many","host.name":7"#), [r#"process.pid="many""#, "host.name=7"]);
}
