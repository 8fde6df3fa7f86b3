//! How OpenTelemetry's conventions call the durations of requests, by protocol and side, and by what they want them told apart.
//!
//! The bounds of the buckets are those that the conventions advise (for messages and DNS they have none; those of databases serve). For what the
//! conventions have no name for, such as a database's own view of what it is asked, there is [`OTHER_DURATION`]. A test holds the names
//! against OpenTelemetry's own list (`tests/readers/push.py`).

use std::borrow::Cow;

use super::{authority, names};
use crate::exchange::{Family, Protocol, dns_code};
use crate::metrics::{BOUNDS, Ending, Labels, OPERATION_BOUNDS, OTHER, REQUEST_BOUNDS};

/// A histogram of durations, in seconds.
#[derive(Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its name.
    pub name: &'static str,
    /// What it is, in the conventions' words.
    pub description: &'static str,
    /// Upper bounds of its buckets, ns.
    pub bounds: &'static [u64],
    attributes: Attributes,
}

/// Which attributes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attributes {
    Http {
        is_client: bool,
    },
    Rpc,
    Database,
    Messaging,
    Dns,
    /// Of what the conventions have no name for.
    Own,
}

const fn http(name: &'static str, description: &'static str, is_client: bool) -> Instrument {
    Instrument { name, description, bounds: &REQUEST_BOUNDS, attributes: Attributes::Http { is_client } }
}

const fn rpc(name: &'static str, description: &'static str) -> Instrument {
    Instrument { name, description, bounds: &REQUEST_BOUNDS, attributes: Attributes::Rpc }
}

const fn operation(name: &'static str, description: &'static str, attributes: Attributes) -> Instrument {
    Instrument { name, description, bounds: &OPERATION_BOUNDS, attributes }
}

static HTTP_SERVER: Instrument =
    http("http.server.request.duration", "Duration of HTTP server requests.", false);
static HTTP_CLIENT: Instrument =
    http("http.client.request.duration", "Duration of HTTP client requests.", true);
static RPC_SERVER: Instrument =
    rpc("rpc.server.call.duration", "Measures the duration of an incoming Remote Procedure Call (RPC).");
static RPC_CLIENT: Instrument =
    rpc("rpc.client.call.duration", "Measures the duration of an outgoing Remote Procedure Call (RPC).");
static DATABASE: Instrument = operation(
    "db.client.operation.duration",
    "Duration of database client operations.",
    Attributes::Database,
);
static MESSAGING: Instrument = operation(
    "messaging.client.operation.duration",
    "Duration of messaging operation initiated by a producer or consumer client.",
    Attributes::Messaging,
);
static DNS: Instrument =
    operation("dns.lookup.duration", "Measures the time taken to perform a DNS lookup.", Attributes::Dns);

/// Of what the conventions have no name for.
pub static OTHER_DURATION: Instrument = Instrument {
    name: "tracer.request.duration",
    description: "From the first byte of the request to the last of the response, of requests that were seen to their end.",
    bounds: &BOUNDS,
    attributes: Attributes::Own,
};

/// That of the requests with these labels.
pub fn instrument(labels: &Labels) -> &'static Instrument {
    match (labels.protocol.family(), labels.kind) {
        // What a web server hands on is the application's request, and no call by HTTP.
        (Family::Http, "client") if labels.protocol == Protocol::FastCgi => &OTHER_DURATION,
        (Family::Http, "server") => &HTTP_SERVER,
        (Family::Http, "client") => &HTTP_CLIENT,
        (Family::Rpc, "server") => &RPC_SERVER,
        (Family::Rpc, "client") => &RPC_CLIENT,
        (Family::Database, "client") => &DATABASE,
        (Family::Messaging, "client" | "producer") => &MESSAGING,
        (Family::Dns, "client") => &DNS,
        _ => &OTHER_DURATION,
    }
}

/// The value of an attribute of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Int(i64),
}

impl<'a> From<&'a str> for Said<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl Instrument {
    /// Hands over the attributes of requests that ended so: those that the conventions ask for, beside the operation's name, which is ours.
    pub fn attributes<'a>(
        &self,
        labels: &'a Labels,
        ending: &'a Ending,
        put: &mut impl FnMut(&'static str, Said<'a>),
    ) {
        operation_and_side(labels, put);
        let verb = labels.verb();
        match self.attributes {
            Attributes::Http { is_client } => {
                match verb {
                    Some(method) if names::is_known_method(method) => {
                        put("http.request.method", method.into())
                    }
                    _ => put("http.request.method", "_OTHER".into()),
                }
                match labels.protocol {
                    // Which one the web server was asked by, it does not have to say.
                    Protocol::FastCgi => put("network.protocol.name", "fastcgi".into()),
                    // What is encrypted is not seen.
                    _ => put("url.scheme", "http".into()),
                }
                if labels.protocol == Protocol::Http2 {
                    put("network.protocol.version", "2".into());
                }
                if let Some(status) = ending.status {
                    put("http.response.status_code", Said::Int(status.into()));
                }
                if is_client {
                    server(ending, Some(80), put);
                }
            }
            Attributes::Rpc => {
                put("rpc.system.name", labels.protocol.system().into());
                if let Some(method) = labels.object() {
                    put("rpc.method", method.into());
                }
                if let Some(status) = ending.status {
                    put("rpc.response.status_code", Said::Text(names::grpc_status(status.into())));
                }
                server(ending, None, put);
            }
            Attributes::Database => {
                let system = labels.protocol.system();
                put("db.system.name", names::database(system).unwrap_or(system).into());
                if let Some(operation) = verb {
                    put("db.operation.name", operation.into());
                }
                if let Some(table) = labels.object() {
                    put("db.collection.name", table.into());
                }
                if let Some(name) = &ending.host {
                    put("db.namespace", (&**name).into());
                }
                if let Some(code) = &ending.code {
                    put("db.response.status_code", (&**code).into());
                }
            }
            Attributes::Messaging => {
                put("messaging.system", labels.protocol.system().into());
                put("messaging.operation.name", verb.unwrap_or("_OTHER").into());
                if let Some(kind) = verb.and_then(names::messaging_type) {
                    put("messaging.operation.type", kind.into());
                }
                if let Some(destination) = labels.object() {
                    put("messaging.destination.name", destination.into());
                }
            }
            Attributes::Dns => put("dns.question.name", labels.object().unwrap_or(OTHER).into()),
            Attributes::Own => put("protocol", labels.protocol.system().into()),
        }
        if ending.is_error {
            put("error.type", error_type(labels, ending));
        }
    }
}

/// What our own metrics are told apart by: the labels of what Prometheus is served (docs/metrics.md).
pub fn own_attributes<'a>(labels: &'a Labels, put: &mut impl FnMut(&'static str, Said<'a>)) {
    operation_and_side(labels, put);
    put("protocol", labels.protocol.system().into());
}

fn operation_and_side<'a>(labels: &'a Labels, put: &mut impl FnMut(&'static str, Said<'a>)) {
    put("operation", (&*labels.operation).into());
    put("span.kind", labels.kind.into());
}

/// Who was asked: as the request says, or as the connection does.
fn server<'a>(ending: &'a Ending, default: Option<u16>, put: &mut impl FnMut(&'static str, Said<'a>)) {
    let (address, port) = match (&ending.host, ending.peer) {
        (Some(host), _) => {
            let (address, port) = authority(host);
            (Said::Text(address.into()), port.or(default))
        }
        (None, Some((address, port))) => (Said::Text(address.to_string().into()), Some(port)),
        (None, None) => return,
    };
    put("server.address", address);
    if let Some(port) = port {
        put("server.port", Said::Int(port.into()));
    }
}

/// As the spans have it, but never nothing (`error.type`: `_OTHER` where there is no better word).
fn error_type<'a>(labels: &Labels, ending: &'a Ending) -> Said<'a> {
    match (&ending.code, ending.status) {
        (Some(code), _) => (&**code).into(),
        (None, Some(status)) => Said::Text(match labels.protocol.family() {
            Family::Rpc => names::grpc_status(status.into()),
            Family::Dns => dns_code::name(status).map_or_else(|| status.to_string().into(), Into::into),
            _ => status.to_string().into(),
        }),
        (None, None) => "_OTHER".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Side;
    use crate::metrics::Requests;
    use crate::metrics::samples::span;
    use crate::trace::Span;

    fn told(change: impl FnOnce(&mut Span)) -> (&'static str, String) {
        let mut one = span("shop", Side::Client, "GET", "/item/17?q=1", 300);
        change(&mut one);
        let mut requests = Requests::default();
        requests.add(&one);
        let series = &requests.series()[0];
        let (ending, _) = series.endings.iter().next().unwrap();
        let instrument = instrument(&series.labels);
        let mut told = Vec::new();
        instrument.attributes(&series.labels, ending, &mut |name, value| {
            told.push(match value {
                Said::Text(text) => format!("{name}={text}"),
                Said::Int(number) => format!("{name}=#{number}"),
            });
        });
        (instrument.name, told.join(" "))
    }

    #[test]
    fn requests_of_http_are_told_by_method_status_and_server() {
        let (name, told_of) = told(|span| span.tags.host = Some("cart:8080".into()));
        assert_eq!(name, "http.client.request.duration");
        assert_eq!(
            told_of,
            "operation=GET /item/* span.kind=client http.request.method=GET url.scheme=http \
             http.response.status_code=#200 server.address=cart server.port=#8080"
        );
        let (_, told_of) = told(|span| span.tags.host = Some("cart".into()));
        assert!(told_of.ends_with("server.address=cart server.port=#80"), "{told_of}");
        let (name, told_of) = told(|span| {
            span.tags.kind = Side::Server;
            span.tags.method = "BREW".into();
            span.tags.host = Some("whatever somebody sends".into());
            (span.tags.status, span.tags.error) = (Some(503), true);
        });
        assert_eq!(name, "http.server.request.duration");
        assert!(told_of.contains("http.request.method=_OTHER") && !told_of.contains("server."), "{told_of}");
        assert!(told_of.ends_with("error.type=503"), "{told_of}");
        let (_, told_of) = told(|span| (span.tags.status, span.tags.error) = (None, true));
        assert!(told_of.ends_with("error.type=_OTHER"), "{told_of}");
    }

    #[test]
    fn each_protocol_has_its_name_and_what_has_none_has_ours() {
        let of = |protocol, kind, method: &str, target: &str| {
            told(|span| {
                span.tags.protocol = protocol;
                span.tags.kind = kind;
                span.tags.method = method.into();
                span.tags.url = target.into();
                span.tags.status = None;
            })
        };
        let (name, told_of) = of(Protocol::Grpc, Side::Server, "POST", "/shop.Cart/Add");
        assert_eq!(name, "rpc.server.call.duration");
        assert!(told_of.ends_with("rpc.system.name=grpc rpc.method=shop.Cart/Add"), "{told_of}");
        let (name, told_of) = of(Protocol::Redis, Side::Client, "GET", "");
        assert_eq!(name, "db.client.operation.duration");
        assert!(told_of.ends_with("db.system.name=redis db.operation.name=GET"), "{told_of}");
        let (name, told_of) = of(Protocol::PostgreSql, Side::Server, "SELECT", "SELECT ?");
        assert_eq!(name, "tracer.request.duration");
        assert!(told_of.ends_with("protocol=postgresql"), "{told_of}");
        let (name, told_of) = of(Protocol::Amqp, Side::Client, "publish", "orders");
        assert_eq!(name, "messaging.client.operation.duration");
        assert!(
            told_of.ends_with(
                "messaging.operation.name=publish messaging.operation.type=send messaging.destination.name=orders"
            ),
            "{told_of}"
        );
        let (name, told_of) = of(Protocol::Dns, Side::Client, "A", "cart.local");
        assert_eq!(name, "dns.lookup.duration");
        assert!(told_of.ends_with("dns.question.name=cart.local"), "{told_of}");
        assert_eq!(of(Protocol::FastCgi, Side::Client, "GET", "/").0, "tracer.request.duration");
        assert_eq!(of(Protocol::FastCgi, Side::Server, "GET", "/").0, "http.server.request.duration");
    }
}
