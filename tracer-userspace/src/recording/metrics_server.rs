//! Serves the metrics over HTTP/1.1, in a thread of its own. Each answer is what the recording thread leaves when it is asked
//! ([`super::live`]); it never waits for a reader.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::live::Live;
use crate::export::openmetrics;

/// Connections at one time; further ones wait. An answer has eight megabytes at most, and each may hold one.
const CONNECTIONS: usize = 4;
/// A connection serves one request, and is not open for longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The request's head must be there by then.
const HEAD: Duration = Duration::from_secs(2);
/// Longest head, bytes; the least that hyper takes.
const HEAD_BYTES: usize = 8192;
/// The recording thread turns every 50 ms, on a host that is not overloaded. Prometheus itself waits for 10 s.
const FIGURES: Duration = Duration::from_secs(4);
/// After `accept` has failed (no descriptor left).
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens; nobody is answered yet.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the port; with port 0 the kernel chooses one.
    pub fn new(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, until what is returned is dropped.
    pub fn serve(self, live: Arc<Live>) -> io::Result<Server> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let listener = self.listener;
        let thread = std::thread::Builder::new().name("tracer-metrics".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, live) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Server { _stop: stop, _thread: thread })
    }
}

/// Answers while it is there.
pub struct Server {
    /// Dropping it ends the thread, at whatever it is.
    _stop: oneshot::Sender<()>,
    _thread: JoinHandle<()>,
}

async fn accept(listener: TcpListener, live: Arc<Live>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::warn!("no metrics are served: {error}"),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let live = Arc::clone(&live);
                tokio::spawn(async move {
                    // Whoever is not done by then has lost.
                    let _ = timeout(PATIENCE, connection(stream, &live)).await;
                    drop(place);
                });
            }
            Err(error) => {
                log::debug!("metrics: accept: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, live: &Live) {
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request, live).await) });
    let served = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("metrics: {error}");
    }
}

async fn answer(request: &Request<Incoming>, live: &Live) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        _ if !is_read => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        "/metrics" => metrics(live).await,
        "/" => plain(StatusCode::OK, "tracer: the metrics are at /metrics\n"),
        _ => plain(StatusCode::NOT_FOUND, "there is only /metrics\n"),
    }
}

async fn metrics(live: &Live) -> Response<Full<Bytes>> {
    let mut left = live.scrape.subscribe();
    live.scrape.ask();
    let scrape = match timeout(FIGURES, left.changed()).await {
        Ok(Ok(())) => left.borrow_and_update().clone(),
        Ok(Err(_)) | Err(_) => None,
    };
    match scrape.map(openmetrics::text) {
        Some(Ok(text)) => response(StatusCode::OK, text, openmetrics::CONTENT_TYPE),
        Some(Err(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n"),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "the recording is ending, or too busy to answer\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, text.to_owned(), "text/plain; charset=utf-8")
}

fn response(status: StatusCode, text: String, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
#[path = "metrics_server_tests.rs"]
mod tests;
