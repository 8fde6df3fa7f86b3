//! Sends a batch and reads the answer.

use std::error::Error;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;
use tonic_types::StatusExt;

use super::answer::Answer;
use super::connect::Connector;
use super::encode::Encoded;
use super::headers::Headers;
use super::place::{Language, Place};
use crate::recording::own_calls::OwnCalls;

/// An answer must be there by then. OpenTelemetry's own exporters wait as long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that was not used for so long is closed: what stands in between would forget it.
const IDLE: Duration = Duration::from_secs(60);
/// Of an answer, no more is read, bytes.
const ANSWER: usize = 64 << 10;

/// One collector's client.
pub struct Client {
    http: Http<HttpsConnector<Connector>, Body>,
    connector: Connector,
    place: Place,
    headers: Headers,
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// With TLS, when this host has no certificates of authorities.
    pub fn new(place: Place, headers: Headers, calls: OwnCalls) -> Result<Self> {
        let builder = ClientConfig::builder();
        let tls = if place.is_tls() {
            builder.with_native_roots().context(
                "this host has no certificates of authorities that a collector's could be checked by; the package \
                 ca-certificates brings them",
            )?
        } else {
            builder.with_root_certificates(RootCertStore::empty())
        };
        let tls = tls.with_no_client_auth();
        let connector = Connector { calls, host: place.host.clone(), port: place.port };
        let is_grpc = place.language == Language::OtlpGrpc;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = if is_grpc {
            https.enable_http2().wrap_connector(connector.clone())
        } else {
            https.enable_http1().wrap_connector(connector.clone())
        };
        let http = Http::builder(TokioExecutor::new())
            .http2_only(is_grpc)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(https);
        Ok(Self { http, connector, place, headers })
    }

    /// Whether anything answers there.
    pub async fn probe(&self) -> Result<(), String> {
        self.connector.clone().connect().await.map(drop).map_err(|error| error.to_string())
    }

    /// Sends a batch.
    pub async fn send(&self, batch: &Encoded) -> Answer {
        let answer = async {
            match batch {
                Encoded::Bytes { body, content_type } => self.post(body.clone(), content_type).await,
                Encoded::Messages(request) => self.call(request.clone()).await,
            }
        };
        timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Answer::unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    async fn post(&self, body: Bytes, content_type: &'static str) -> Answer {
        let mut request = Request::new(Body::new(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.place.uri.clone();
        *request.headers_mut() = self.headers.all().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let own = HeaderValue::from_static(concat!("tracer/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(own);
        match self.http.request(request).await {
            Ok(response) => self.read(response).await,
            Err(error) => Answer::unreachable(chain(&error)),
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(body, ANSWER).collect().await.map(|body| body.to_bytes());
        if !head.status.is_success() {
            return Answer::of_status(head.status, &head.headers, SystemTime::now());
        }
        // What it says beside "taken" may be missing.
        let body = body.unwrap_or_default();
        match self.place.language {
            Language::Otlp => match ExportTraceServiceResponse::decode(body) {
                Ok(response) => of_response(response),
                Err(_) => Answer::Taken,
            },
            Language::OtlpJson => of_json(&body),
            Language::OtlpGrpc | Language::Zipkin => Answer::Taken,
        }
    }

    async fn call(&self, request: ExportTraceServiceRequest) -> Answer {
        let origin = Uri::builder()
            .scheme(self.place.uri.scheme_str().unwrap_or("http"))
            .authority(self.place.to_string())
            .path_and_query("/")
            .build()
            .unwrap_or_default();
        let path = self.place.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let mut request = tonic::Request::new(request);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.all().clone());
        let mut grpc = Grpc::with_origin(self.http.clone(), origin);
        if let Err(error) = grpc.ready().await {
            return Answer::unreachable(chain(&error));
        }
        match grpc.unary(request, path, ProstCodec::default()).await {
            Ok(response) => of_response(response.into_inner()),
            Err(status) => of_grpc(&status),
        }
    }
}

fn of_response(response: ExportTraceServiceResponse) -> Answer {
    response
        .partial_success
        .map_or(Answer::Taken, |partial| Answer::partly(partial.rejected_spans, &partial.error_message))
}

/// The same in JSON, where a number of 64 bits is text, or a number.
fn of_json(body: &[u8]) -> Answer {
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return Answer::Taken };
    let partial = |name: &str| json.get("partialSuccess").and_then(|partial| partial.get(name));
    let rejected = partial("rejectedSpans");
    let rejected = rejected
        .and_then(|number| number.as_i64().or_else(|| number.as_str().and_then(|text| text.parse().ok())));
    let message = partial("errorMessage").and_then(Value::as_str);
    Answer::partly(rejected.unwrap_or_default(), message.unwrap_or_default())
}

fn of_grpc(status: &Status) -> Answer {
    // It has a cause where no answer came.
    if status.source().is_some() {
        return Answer::unreachable(chain(status));
    }
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Answer::of_code(status.code(), status.message(), after)
}

/// The innermost cause says what happened; those around it say where in the libraries.
fn chain(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rejected_is_read_from_json() {
        assert_eq!(of_json(b"{}"), Answer::Taken);
        assert_eq!(of_json(b""), Answer::Taken);
        assert_eq!(of_json(b"{\"partialSuccess\":{}}"), Answer::Taken);
        for rejected in ["\"3\"", "3"] {
            let json = format!(r#"{{"partialSuccess":{{"rejectedSpans":{rejected},"errorMessage":"no"}}}}"#);
            let partly = Answer::Partly { rejected: 3, message: "no".to_owned() };
            assert_eq!(of_json(json.as_bytes()), partly);
        }
    }
}
