//! What the services call: an HTTP server and a database, both of which answer after a random time.
//!
//! Threads of the harness itself, so that recording the service records nothing else. A thread for each connection costs
//! little here: hundreds of them sleep.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long an HTTP answer takes, microseconds: uniform.
const CALL_US: (u64, u64) = (1_000, 20_000);
/// How long the database takes, microseconds.
const QUERY_US: (u64, u64) = (1_000, 10_000);
/// What a connection's thread needs.
const STACK: usize = 128 * 1024;
/// A request's head that is longer than this is nonsense.
const HEAD: usize = 16 * 1024;

/// A server that answers every request, as long as this process lives.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    address: SocketAddr,
}

impl Backend {
    /// HTTP/1.1 with kept connections; any target is answered with `ok`, when the request's body is there.
    pub fn http() -> Result<Self> {
        Self::start(|stream, seed| {
            // The end of a connection is the client's affair.
            let _closed = answer_http(stream, seed);
        })
    }

    /// A database that knows Redis's `PING`, each connection one question at a time.
    pub fn database() -> Result<Self> {
        Self::start(|stream, seed| {
            let _closed = answer_database(stream, seed);
        })
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(serve: fn(TcpStream, u64)) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
        let address = listener.local_addr().context("cannot read the address of a fresh socket")?;
        spawn(move || {
            for (number, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                // Where no thread can be started, the client sees its connection closed.
                let _refused = spawn(move || serve(stream, number as u64 + 1));
            }
        })?;
        Ok(Self { address })
    }
}

fn spawn<T>(work: impl FnOnce() -> T + Send + 'static) -> Result<()>
where
    T: Send + 'static,
{
    thread::Builder::new().stack_size(STACK).spawn(work).map(drop).context("cannot start a thread")
}

fn answer_http(mut stream: TcpStream, seed: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut random = Random::new(seed);
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
            let read = stream.read(&mut piece)?;
            if read == 0 || head.len() > HEAD {
                return Ok(());
            }
            head.extend_from_slice(piece.get(..read).unwrap_or_default());
            continue;
        };
        let text = String::from_utf8_lossy(head.get(..end).unwrap_or_default()).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length = length.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0).min(HEAD);
        let last = text.contains("connection: close");
        head.drain(..end + 4);
        while head.len() < length {
            let read = stream.read(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            head.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
        head.drain(..length);
        thread::sleep(random.between(CALL_US));
        let keep = if last { "Connection: close\r\n" } else { "" };
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n{keep}\r\nok\n");
        stream.write_all(answer.as_bytes())?;
        if last {
            return Ok(());
        }
    }
}

fn answer_database(mut stream: TcpStream, seed: u64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut random = Random::new(seed);
    let mut piece = [0; 64];
    while stream.read(&mut piece)? > 0 {
        thread::sleep(random.between(QUERY_US));
        stream.write_all(b"+PONG\r\n")?;
    }
    Ok(())
}

/// A small generator (xorshift64*, Marsaglia and Vigna): the same delays and arrivals in every run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Started from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A time between two numbers of microseconds.
    pub fn between(&mut self, (from, to): (u64, u64)) -> Duration {
        Duration::from_micros(from + (self.unit() * (to - from) as f64) as u64)
    }
}
