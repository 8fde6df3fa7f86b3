use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::metrics::{Figures, Scrape};

/// A server whose recording thread has seen `records` records by the n-th answer, until it is dropped.
struct Recording {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _server: Server,
}

impl Recording {
    fn begin() -> Self {
        let bound = Bound::new(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let (address, live) = (bound.address(), Arc::new(Live::default()));
        let server = bound.serve(Arc::clone(&live)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut records = 0;
            while !told.load(Ordering::Acquire) {
                live.scrape.answer(|| {
                    records += 1;
                    let figures = Figures { records, ..Figures::default() };
                    Some(Arc::new(Scrape { figures, ..Scrape::default() }))
                });
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { address, stop, thread: Some(thread), _server: server }
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn each_scrape_sees_what_there_is_now() {
    let recording = Recording::begin();
    for nth in 1..=3 {
        let answer = recording.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n")
        );
        assert!(answer.contains(&format!("\ntracer_events_total {nth}\n")), "{answer}");
        assert!(answer.ends_with("# EOF\n"), "{answer}");
    }
}

#[test]
fn whatever_else_is_asked_is_refused_in_words() {
    let recording = Recording::begin();
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
        ("GET /other HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ("garbage\r\n\r\n", "400"),
        (&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000)), "4"),
    ] {
        let answer = recording.ask(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:.20}: {answer}");
    }
    let head = recording.ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn who_says_nothing_keeps_nobody_else_waiting_for_ever() {
    let recording = Recording::begin();
    let silent: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(recording.address).unwrap()).collect();
    let answer = recording.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    drop(silent);
}

#[test]
fn without_an_answer_of_the_recording_it_is_said() {
    let bound = Bound::new(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = bound.address();
    let _server = bound.serve(Arc::default()).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
}

#[test]
fn a_port_belongs_to_one() {
    let first = Bound::new(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let error = Bound::new(first.address()).err().unwrap();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
