//! Tests of framing and pairing, through the simulated kernel.

mod errors;
mod framing;
mod loss;
mod pairing;
mod random;
mod speed;
mod unusual;

use crate::event::Direction::{self, Rx, Tx};
use crate::event::Role;
use crate::exchange::Outcome;
use crate::protocol::Limits;
use crate::stream::Streams;
use crate::stream::simulate::{Kernel, Told, replay};

/// A server's connection, seen from its first byte.
fn server() -> Kernel {
    Kernel::new(1, Role::Passive)
}

/// What is told of it, the capture ending at time 1 000 000.
fn told(kernel: &Kernel) -> Vec<Told> {
    run(kernel).0
}

fn run(kernel: &Kernel) -> (Vec<Told>, Streams) {
    let (told, streams) = replay(&kernel.events, Limits::default(), 1_000_000).unwrap();
    (told, streams)
}

/// Method, target, status, outcome of each exchange.
fn short(told: &[Told]) -> Vec<(String, Option<u16>, Outcome)> {
    told.iter()
        .map(|one| (format!("{} {}", one.method, one.target), one.status(), one.outcome().unwrap()))
        .collect()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

/// A response with a body, unless the status forbids one.
fn ok(status: u16, length: usize) -> Vec<u8> {
    let length = if matches!(status, 204 | 304) { 0 } else { length };
    let mut bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

/// Expected: complete exchanges of `GET /<status>` answered with that status.
fn complete(statuses: &[u16]) -> Vec<(String, Option<u16>, Outcome)> {
    statuses.iter().map(|status| (format!("GET /{status}"), Some(*status), Outcome::Complete)).collect()
}
