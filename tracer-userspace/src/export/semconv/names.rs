//! The names, old and new, and the words that have changed with them.

use std::borrow::Cow;

macro_rules! names {
    ($($variant:ident = $text:literal,)*) => {
        /// Names of today that more than one older name became, or that come from a value that is taken apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key {
            $(#[doc = $text] $variant,)*
        }

        impl Key {
            /// The name.
            pub fn text(self) -> &'static str {
                match self { $(Key::$variant => $text,)* }
            }

            /// That name.
            fn of(text: &str) -> Option<Self> {
                match text { $($text => Some(Key::$variant),)* _ => None }
            }
        }
    };
}

names! {
    HttpRequestMethod = "http.request.method",
    HttpRequestMethodOriginal = "http.request.method_original",
    HttpResponseStatusCode = "http.response.status_code",
    HttpRequestSize = "http.request.size",
    HttpResponseSize = "http.response.size",
    UrlFull = "url.full",
    UrlOriginal = "url.original",
    UrlPath = "url.path",
    UrlQuery = "url.query",
    UrlScheme = "url.scheme",
    UserAgentOriginal = "user_agent.original",
    ServerAddress = "server.address",
    ServerPort = "server.port",
    ClientAddress = "client.address",
    NetworkPeerAddress = "network.peer.address",
    NetworkPeerPort = "network.peer.port",
    NetworkLocalAddress = "network.local.address",
    NetworkLocalPort = "network.local.port",
    NetworkProtocolVersion = "network.protocol.version",
    NetworkTransport = "network.transport",
    RpcSystemName = "rpc.system.name",
    RpcMethod = "rpc.method",
    RpcResponseStatusCode = "rpc.response.status_code",
    DbSystemName = "db.system.name",
    DbNamespace = "db.namespace",
    DbCollectionName = "db.collection.name",
    DbOperationName = "db.operation.name",
    DbQueryText = "db.query.text",
    DbResponseStatusCode = "db.response.status_code",
    MessagingDestinationName = "messaging.destination.name",
    MessagingDestinationPartitionId = "messaging.destination.partition.id",
    MessagingMessageId = "messaging.message.id",
    MessagingMessageConversationId = "messaging.message.conversation_id",
    MessagingOperationName = "messaging.operation.name",
    MessagingOperationType = "messaging.operation.type",
    ServicePeerName = "service.peer.name",
    ErrorType = "error.type",
}

/// What becomes of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It stays.
    Keep,
    /// It is said elsewhere: as the kind, or the status.
    Drop,
    /// It is said by the resource, if it is a number.
    Pid,
    /// It is said by the resource, if it is text.
    Host,
    /// It has another name now.
    Rename(Key),
    /// Likewise, and is a number.
    Whole(Key),
    /// Likewise, and is text.
    Text(Key),
    /// A header: a list of its values.
    Header,
    /// `http.method`.
    Method,
    /// `http.url`, `http.target`.
    Url,
    /// `http.host`.
    Authority,
    /// `http.flavor`.
    Version,
    /// `net.transport`.
    Transport,
    /// `db.system`.
    Database,
    /// `messaging.operation`.
    Messaging,
    /// `rpc.service`.
    RpcService,
    /// `rpc.method`.
    RpcMethod,
    /// `rpc.grpc.status_code`.
    GrpcStatus,
}

/// That of a tag of this name.
pub fn rule(name: &str) -> Rule {
    use Key as N;
    match name {
        "span.kind" | "error" => Rule::Drop,
        "process.pid" => Rule::Pid,
        "host.name" | "container.id" => Rule::Host,
        "http.method" | "http.request.method" => Rule::Method,
        "http.url" | "http.target" => Rule::Url,
        "http.host" => Rule::Authority,
        "http.flavor" => Rule::Version,
        "http.status_code" => Rule::Whole(N::HttpResponseStatusCode),
        "http.request.bytes" => Rule::Rename(N::HttpRequestSize),
        "http.response.bytes" => Rule::Rename(N::HttpResponseSize),
        "http.scheme" => Rule::Rename(N::UrlScheme),
        "http.user_agent" => Rule::Rename(N::UserAgentOriginal),
        "http.client_ip" => Rule::Rename(N::ClientAddress),
        "rpc.system" => Rule::Rename(N::RpcSystemName),
        "rpc.service" => Rule::RpcService,
        "rpc.method" => Rule::RpcMethod,
        "rpc.grpc.status_code" => Rule::GrpcStatus,
        "db.system" => Rule::Database,
        "db.instance" | "db.name" => Rule::Text(N::DbNamespace),
        "db.statement" => Rule::Rename(N::DbQueryText),
        "db.operation" => Rule::Rename(N::DbOperationName),
        "db.sql.table" | "db.mongodb.collection" | "db.cassandra.table" => Rule::Rename(N::DbCollectionName),
        "db.response.status_code" => Rule::Text(N::DbResponseStatusCode),
        "messaging.destination" => Rule::Rename(N::MessagingDestinationName),
        "messaging.destination.partition.id" => Rule::Text(N::MessagingDestinationPartitionId),
        "messaging.operation" => Rule::Messaging,
        "messaging.message_id" => Rule::Rename(N::MessagingMessageId),
        "messaging.conversation_id" => Rule::Rename(N::MessagingMessageConversationId),
        "net.peer.ip" | "net.sock.peer.addr" => Rule::Rename(N::NetworkPeerAddress),
        "net.peer.port" | "net.sock.peer.port" => Rule::Rename(N::NetworkPeerPort),
        "net.peer.name" | "net.host.name" => Rule::Rename(N::ServerAddress),
        "net.host.port" => Rule::Rename(N::ServerPort),
        "net.host.ip" | "net.sock.host.addr" => Rule::Rename(N::NetworkLocalAddress),
        "net.sock.host.port" => Rule::Rename(N::NetworkLocalPort),
        "net.transport" => Rule::Transport,
        "peer.service" => Rule::Rename(N::ServicePeerName),
        _ if name.starts_with("tracer.") => Rule::Keep,
        _ if name.starts_with("http.request.header.") || name.starts_with("http.response.header.") => {
            Rule::Header
        }
        _ => Key::of(name).map_or(Rule::Keep, Rule::Rename),
    }
}

/// The methods of RFC 9110 and RFC 5789, and QUERY (draft-ietf-httpbis-safe-method-w-body); all others are `_OTHER` to the conventions.
pub fn is_known_method(method: &str) -> bool {
    matches!(
        method,
        "GET"
            | "HEAD"
            | "POST"
            | "PUT"
            | "DELETE"
            | "CONNECT"
            | "OPTIONS"
            | "TRACE"
            | "PATCH"
            | "QUERY"
            | "_OTHER"
    )
}

/// The word for a status of gRPC, as `rpc.response.status_code` has it (gRPC, "Status codes and their use in gRPC").
pub fn grpc_status(code: i64) -> Cow<'static, str> {
    Cow::Borrowed(match code {
        0 => "OK",
        1 => "CANCELLED",
        2 => "UNKNOWN",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => return Cow::Owned(code.to_string()),
    })
}

/// Databases that have another name now.
pub fn database(system: &str) -> Option<&'static str> {
    Some(match system {
        "mssql" => "microsoft.sql_server",
        "oracle" => "oracle.db",
        "db2" => "ibm.db2",
        "dynamodb" => "aws.dynamodb",
        "redshift" => "aws.redshift",
        "cosmosdb" => "azure.cosmosdb",
        "spanner" => "gcp.spanner",
        _ => return None,
    })
}

/// What sort of operation on messages that is, of those that the conventions know.
pub fn messaging_type(operation: &str) -> Option<&'static str> {
    Some(match operation {
        "publish" | "send" => "send",
        "receive" | "poll" => "receive",
        "process" | "deliver" => "process",
        "create" => "create",
        "settle" | "ack" | "nack" | "reject" => "settle",
        _ => return None,
    })
}
