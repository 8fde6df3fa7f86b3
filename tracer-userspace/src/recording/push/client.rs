//! Sends something and reads the answer.

use std::error::Error;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::Value;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic_types::StatusExt;
use tower_service::Service;

use super::answer::Answer;
use super::codec::Whole;
use super::connect::Connector;
use super::encode::{content_type, gzip};
use super::headers::Headers;
use super::place::{Language, Place};
use super::tls::{self, Authorities};
use crate::recording::own_calls::OwnCalls;

/// An answer must be there by then. OpenTelemetry's own exporters wait as long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that was not used for so long is closed: what stands in between would forget it.
const IDLE: Duration = Duration::from_secs(60);
/// Of an answer, no more is read, bytes.
const ANSWER: usize = 64 << 10;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Spans,
    /// Metrics.
    Metrics,
}

impl Signal {
    /// In a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Signal::Spans => "spans",
            Signal::Metrics => "metrics",
        }
    }
}

/// One collector's client.
pub struct Client {
    http: Http<HttpsConnector<Connector>, Body>,
    https: HttpsConnector<Connector>,
    place: Place,
    headers: Headers,
}

impl Client {
    /// Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// With TLS, when this host has no certificates of authorities, or those that were given cannot be used.
    pub fn new(place: Place, headers: Headers, authorities: &Authorities, calls: OwnCalls) -> Result<Self> {
        let tls = tls::settings(place.is_tls(), authorities)?;
        let connector = Connector { calls, host: place.host.clone(), port: place.port };
        let is_grpc = place.language == Language::OtlpGrpc;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let https = if is_grpc {
            https.enable_http2().wrap_connector(connector)
        } else {
            https.enable_http1().wrap_connector(connector)
        };
        let http = Http::builder(TokioExecutor::new())
            .http2_only(is_grpc)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .build(https.clone());
        Ok(Self { http, https, place, headers })
    }

    /// How the collector is spoken to.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether anything answers there, and is who it should be.
    pub async fn probe(&self) -> Result<(), String> {
        let connected = timeout(PATIENCE, self.https.clone().call(self.place.uri.clone())).await;
        let answer = match connected {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => of_error(&*error),
            Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        match answer {
            Answer::Later { why, .. } | Answer::Refused { why, .. } => Err(why),
            Answer::Taken | Answer::Partly { .. } => Ok(()),
        }
    }

    /// Sends it.
    pub async fn send(&self, signal: Signal, body: Bytes, compressed: bool) -> Answer {
        let answer = async {
            match self.place.language {
                Language::OtlpGrpc => self.call(signal, body, compressed).await,
                Language::Otlp | Language::OtlpJson | Language::Zipkin => {
                    self.post(signal, body, compressed).await
                }
            }
        };
        timeout(PATIENCE, answer)
            .await
            .unwrap_or_else(|_| Answer::unreachable(format!("no answer within {} s", PATIENCE.as_secs())))
    }

    fn uri(&self, signal: Signal) -> &Uri {
        match (signal, &self.place.metrics) {
            (Signal::Metrics, Some(uri)) => uri,
            (Signal::Metrics, None) | (Signal::Spans, _) => &self.place.uri,
        }
    }

    async fn post(&self, signal: Signal, body: Bytes, compressed: bool) -> Answer {
        let body = if compressed { gzip(&body) } else { body };
        let mut request = Request::new(Body::new(Full::new(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(signal).clone();
        *request.headers_mut() = self.headers.all().clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(self.place.language)));
        if compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let own = HeaderValue::from_static(concat!("tracer/", env!("CARGO_PKG_VERSION")));
        headers.entry(USER_AGENT).or_insert(own);
        match self.http.request(request).await {
            Ok(response) => self.read(signal, response).await,
            Err(error) => of_error(&error),
        }
    }

    async fn read(&self, signal: Signal, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        // Read to its end, so that the connection can be used again.
        let body = Limited::new(body, ANSWER).collect().await.map(|body| body.to_bytes());
        if !head.status.is_success() {
            return Answer::of_status(head.status, &head.headers, SystemTime::now());
        }
        // What it says beside "taken" may be missing.
        let body = body.unwrap_or_default();
        match self.place.language {
            Language::Otlp => of_message(signal, body),
            Language::OtlpJson => of_json(signal, &body),
            Language::OtlpGrpc | Language::Zipkin => Answer::Taken,
        }
    }

    async fn call(&self, signal: Signal, body: Bytes, compressed: bool) -> Answer {
        let uri = self.uri(signal);
        let origin = Uri::builder()
            .scheme(uri.scheme_str().unwrap_or("http"))
            .authority(self.place.to_string())
            .path_and_query("/")
            .build()
            .unwrap_or_default();
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let mut request = tonic::Request::new(body);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.all().clone());
        let mut grpc = Grpc::with_origin(self.http.clone(), origin);
        if compressed {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        if let Err(error) = grpc.ready().await {
            return of_error(&error);
        }
        match grpc.unary(request, path, Whole).await {
            Ok(response) => of_message(signal, response.into_inner()),
            Err(status) => of_grpc(&status),
        }
    }
}

/// What a collector that took something says besides.
fn of_message(signal: Signal, body: Bytes) -> Answer {
    let partial = match signal {
        Signal::Spans => ExportTraceServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Signal::Metrics => ExportMetricsServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
    };
    partial.map_or(Answer::Taken, |(rejected, message)| Answer::partly(rejected, &message))
}

/// The same in JSON, where a number of 64 bits is text, or a number.
fn of_json(signal: Signal, body: &[u8]) -> Answer {
    let Ok(json) = serde_json::from_slice::<Value>(body) else { return Answer::Taken };
    let partial = |name: &str| json.get("partialSuccess").and_then(|partial| partial.get(name));
    let rejected = partial(match signal {
        Signal::Spans => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
    });
    let rejected = rejected
        .and_then(|number| number.as_i64().or_else(|| number.as_str().and_then(|text| text.parse().ok())));
    let message = partial("errorMessage").and_then(Value::as_str);
    Answer::partly(rejected.unwrap_or_default(), message.unwrap_or_default())
}

fn of_grpc(status: &Status) -> Answer {
    // It has a cause where no answer came.
    if status.source().is_some() {
        return of_error(status);
    }
    let after = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Answer::of_code(status.code(), status.message(), after)
}

/// No answer came. The innermost cause says what happened; those around it say where in the libraries.
fn of_error(error: &(dyn Error + 'static)) -> Answer {
    if let Some(answer) = tls::answer(error) {
        return answer;
    }
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    Answer::unreachable(innermost.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_rejected_is_read_from_json() {
        for (signal, name) in [(Signal::Spans, "rejectedSpans"), (Signal::Metrics, "rejectedDataPoints")] {
            assert_eq!(of_json(signal, b"{}"), Answer::Taken);
            assert_eq!(of_json(signal, b""), Answer::Taken);
            assert_eq!(of_json(signal, b"{\"partialSuccess\":{}}"), Answer::Taken);
            for rejected in ["\"3\"", "3"] {
                let json = format!(r#"{{"partialSuccess":{{"{name}":{rejected},"errorMessage":"no"}}}}"#);
                let partly = Answer::Partly { rejected: 3, message: "no".to_owned() };
                assert_eq!(of_json(signal, json.as_bytes()), partly);
            }
        }
    }
}
