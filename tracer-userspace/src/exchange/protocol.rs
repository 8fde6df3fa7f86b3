//! Which protocol an exchange was made in, and what is said of it beside the fields that all have.

use std::borrow::Cow;
use std::sync::Arc;

/// A protocol of which exchanges are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// HTTP/1.x (RFC 9112).
    #[default]
    Http1,
    /// HTTP/2 (RFC 9113).
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// FastCGI 1.0: the request that a web server hands to an application.
    FastCgi,
    /// PostgreSQL frontend/backend protocol 3.
    PostgreSql,
    /// MySQL and MariaDB client/server protocol.
    MySql,
    /// Redis serialization protocol, versions 2 and 3.
    Redis,
    /// memcached, text, meta and binary.
    Memcached,
    /// MongoDB wire protocol (OP_MSG).
    MongoDb,
    /// DNS (RFC 1035).
    Dns,
    /// AMQP 0-9-1.
    Amqp,
    /// Apache Kafka.
    Kafka,
}

/// What kind of work a protocol asks for, which decides how its spans are named and tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `http.*`: method and path.
    Http,
    /// `rpc.*`: a method of a service.
    Rpc,
    /// `db.*`: a statement or command.
    Database,
    /// `messaging.*`: a message and where it goes.
    Messaging,
    /// `dns.*`: a name.
    Dns,
}

impl Protocol {
    /// Every protocol, in the order of declaration.
    pub const ALL: [Protocol; 12] = [
        Protocol::Http1,
        Protocol::Http2,
        Protocol::Grpc,
        Protocol::FastCgi,
        Protocol::PostgreSql,
        Protocol::MySql,
        Protocol::Redis,
        Protocol::Memcached,
        Protocol::MongoDb,
        Protocol::Dns,
        Protocol::Amqp,
        Protocol::Kafka,
    ];

    /// What it asks for.
    pub fn family(self) -> Family {
        match self {
            Protocol::Http1 | Protocol::Http2 | Protocol::FastCgi => Family::Http,
            Protocol::Grpc => Family::Rpc,
            Protocol::PostgreSql
            | Protocol::MySql
            | Protocol::Redis
            | Protocol::Memcached
            | Protocol::MongoDb => Family::Database,
            Protocol::Dns => Family::Dns,
            Protocol::Amqp | Protocol::Kafka => Family::Messaging,
        }
    }

    /// OpenTelemetry's word for it where there is one (`db.system`, `rpc.system`, `messaging.system`, else
    /// `network.protocol.name`).
    pub fn system(self) -> &'static str {
        match self {
            Protocol::Http1 | Protocol::Http2 => "http",
            Protocol::Grpc => "grpc",
            Protocol::FastCgi => "fastcgi",
            Protocol::PostgreSql => "postgresql",
            Protocol::MySql => "mysql",
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
            Protocol::MongoDb => "mongodb",
            Protocol::Dns => "dns",
            Protocol::Amqp => "rabbitmq",
            Protocol::Kafka => "kafka",
        }
    }
}

/// Something that the parser of a protocol knows of a request, under OpenTelemetry's name for it (`db.sql.table`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The whole name of the tag.
    pub key: Cow<'static, str>,
    /// Its value, secrets masked.
    pub value: Value,
}

/// The value of an [`Attribute`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Arc<str>),
    /// A number.
    Number(i64),
}

impl Attribute {
    /// With a text.
    pub fn text(key: &'static str, value: impl Into<Arc<str>>) -> Attribute {
        Attribute { key: Cow::Borrowed(key), value: Value::Text(value.into()) }
    }

    /// With a number.
    pub fn number(key: &'static str, value: i64) -> Attribute {
        Attribute { key: Cow::Borrowed(key), value: Value::Number(value) }
    }
}
