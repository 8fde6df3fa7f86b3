//! The load: requests with an id of their own, either a number of them always open (closed loop) or arriving on their own
//! (open loop, Poisson).
//!
//! A thread for each connection: whoever waits costs nothing, and a blocked `read` is the simplest client there is.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::backend::Random;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections of an open loop: more requests than this are never open, the rest waits.
const OPEN_LOOP_CONNECTIONS: usize = 256;
/// What requests with bodies have.
const BODY: &str = r#"{"item": "0123456789abcdef0123456789abcdef", "count": 12}"#;
/// How long after the head a body comes that comes later, microseconds: uniform.
const LATE_US: (u64, u64) = (0, 3_000);

/// How requests arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Load {
    /// This many open at any time.
    Closed(usize),
    /// Arriving at random, see [`Drive::pace`].
    Poisson,
}

impl Load {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Closed(1), Self::Closed(8), Self::Closed(32), Self::Closed(128), Self::Poisson];

    /// From the word in a cell's name.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "poisson" {
            return Some(Self::Poisson);
        }
        text.parse().ok().filter(|&open| open > 0).map(Self::Closed)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(open) => write!(f, "{open}"),
            Self::Poisson => f.write_str("poisson"),
        }
    }
}

/// What to send, and how long.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Where to.
    pub server: SocketAddr,
    /// Paths, in turn.
    pub paths: &'static [&'static str],
    /// Each has a body ([`BODY`]), of every other one by a later call.
    pub bodies: bool,
    /// It ends after this many requests,
    pub requests: usize,
    /// or after this time.
    pub time: Duration,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Driven {
    /// Requests that were answered.
    pub requests: usize,
    /// How many were open on average, over the time of the load.
    pub in_flight: f64,
    /// Requests per second.
    pub rate: f64,
}

/// What the threads of one load share.
struct Shared {
    drive: Drive,
    begun: Instant,
    sent: AtomicUsize,
    answered: AtomicUsize,
    /// The sum of all requests' durations.
    open_ns: AtomicU64,
    failed: Mutex<Option<anyhow::Error>>,
}

impl Drive {
    /// How fast requests of a load without a number of its own arrive, per second: half as fast as eight in a closed loop
    /// are answered, which this tries out for a second.
    pub fn pace(&self) -> Result<f64> {
        let trial = Self { requests: usize::MAX, time: Duration::from_secs(1), ..self.clone() };
        Ok(trial.closed(8)?.rate / 2.0)
    }

    /// Keeps `open` requests open; fails if one fails.
    pub fn closed(&self, open: usize) -> Result<Driven> {
        let shared = self.shared();
        let threads: Vec<_> = (0..open)
            .map(|_| {
                let shared = Arc::clone(&shared);
                start(move || {
                    let mut connection = Connection::open(shared.drive.server)?;
                    while shared.goes_on() {
                        let number = shared.sent.fetch_add(1, Ordering::Relaxed);
                        if number >= shared.drive.requests {
                            break;
                        }
                        shared.ask(&mut connection, number)?;
                    }
                    Ok(())
                })
            })
            .collect::<Result<_>>()?;
        shared.finish(threads)
    }

    /// Lets requests arrive at random, so many per second on average; fails if one fails.
    pub fn open(&self, rate: f64) -> Result<Driven> {
        ensure!(rate > 0.0, "{rate} requests per second are none");
        let shared = self.shared();
        let (arrivals, waiting) = mpsc::channel::<usize>();
        let waiting = Arc::new(Mutex::new(waiting));
        let threads: Vec<_> = (0..OPEN_LOOP_CONNECTIONS)
            .map(|_| {
                let (shared, waiting) = (Arc::clone(&shared), Arc::clone(&waiting));
                start(move || {
                    let mut connection = None;
                    loop {
                        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok(number) = next else { return Ok(()) };
                        let connection = match &mut connection {
                            Some(connection) => connection,
                            none => none.insert(Connection::open(shared.drive.server)?),
                        };
                        shared.ask(connection, number)?;
                    }
                })
            })
            .collect::<Result<_>>()?;
        let mut random = Random::new(17);
        let mut at = Duration::ZERO;
        for number in 0..self.requests {
            // The time to the next arrival of a Poisson process.
            at += Duration::from_secs_f64(-(1.0 - random.unit()).ln() / rate);
            thread::sleep(at.saturating_sub(shared.begun.elapsed()));
            if !shared.goes_on() || arrivals.send(number).is_err() {
                break;
            }
        }
        drop(arrivals);
        shared.finish(threads)
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::new(Shared {
            drive: self.clone(),
            begun: Instant::now(),
            sent: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            open_ns: AtomicU64::new(0),
            failed: Mutex::new(None),
        })
    }
}

impl Shared {
    fn goes_on(&self) -> bool {
        self.begun.elapsed() < self.drive.time
            && self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn ask(&self, connection: &mut Connection, number: usize) -> Result<()> {
        let path = self.drive.paths.get(number % self.drive.paths.len().max(1)).context("no path")?;
        let begun = Instant::now();
        let late = (number % 2 == 1).then(|| Random::new(number as u64).between(LATE_US));
        let body = self.drive.bodies.then_some(late);
        let answer = connection.ask(path, &fresh_id(), body);
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.open_ns.fetch_add(took, Ordering::Relaxed);
        if let Err(error) = answer {
            let error = error.context(format!("request {number}, {path}"));
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            bail!("a request failed");
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn finish(&self, threads: Vec<thread::JoinHandle<Result<()>>>) -> Result<Driven> {
        let mut first = Ok(());
        for thread in threads {
            let end = thread.join().unwrap_or_else(|_| bail!("a thread of the load panicked"));
            first = first.and(end);
        }
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        first?;
        let seconds = self.begun.elapsed().as_secs_f64();
        let requests = self.answered.load(Ordering::Relaxed);
        let in_flight = self.open_ns.load(Ordering::Relaxed) as f64 / 1e9 / seconds;
        Ok(Driven { requests, in_flight, rate: requests as f64 / seconds })
    }
}

fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<thread::JoinHandle<T>> {
    thread::Builder::new().stack_size(256 * 1024).spawn(work).context("cannot start a thread")
}

/// 16 hex digits that no other request of this run has.
fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // A bijection of the counter (splitmix64's), so that ids look random and never repeat.
    let mut id = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("{:016x}", id ^ (id >> 31))
}

/// A kept connection of an HTTP/1.1 client.
struct Connection {
    server: SocketAddr,
    stream: TcpStream,
}

impl Connection {
    fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).with_context(|| format!("cannot connect to {server}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { server, stream })
    }

    /// One request, with a body if there is `Some`, that long after its head if there is `Some` again; the connection is made anew if the
    /// server does not keep it.
    fn ask(&mut self, path: &str, id: &str, body: Option<Option<Duration>>) -> Result<()> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: front\r\nx-truth-id: {id}\r\n");
        if body.is_some() {
            head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", BODY.len());
        }
        head += "\r\n";
        match body {
            Some(Some(late)) => {
                self.stream.write_all(head.as_bytes()).context("cannot send")?;
                thread::sleep(late);
                self.stream.write_all(BODY.as_bytes()).context("cannot send")?;
            }
            at_once => {
                head += at_once.map_or("", |_| BODY);
                self.stream.write_all(head.as_bytes()).context("cannot send")?;
            }
        }
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let read = self.stream.read(&mut piece).context("no answer")?;
            if read == 0 {
                ensure!(is_whole(&answer, true), "the answer is cut off: {}", beginning(&answer));
                break;
            }
            answer.extend_from_slice(piece.get(..read).unwrap_or_default());
            if is_whole(&answer, false) {
                break;
            }
        }
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "the answer is {}", beginning(&answer));
        if beginning(&answer).to_lowercase().contains("connection: close") {
            *self = Self::open(self.server)?;
        }
        Ok(())
    }
}

fn beginning(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer.get(..answer.len().min(500)).unwrap_or_default()).into_owned()
}

/// Whether all of an answer is there: its length is given, it comes in chunks, or it lasts until the connection's end.
fn is_whole(answer: &[u8], ended: bool) -> bool {
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = answer.split_at(head + 4);
    let head = String::from_utf8_lossy(head).to_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match value("content-length:").and_then(|text| text.parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None if value("transfer-encoding:") == Some("chunked") => body.ends_with(b"0\r\n\r\n"),
        None => ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::backend::Backend;

    #[test]
    fn an_answer_is_whole_when_its_length_says_so() {
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false));
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n", false));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false));
        assert!(is_whole(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            false
        ));
        assert!(is_whole(b"HTTP/1.0 200 OK\r\n\r\nok", true));
    }

    #[test]
    fn a_closed_loop_keeps_as_many_open_as_it_is_told() {
        let backend = Backend::http().unwrap();
        let drive = Drive {
            server: backend.address(),
            paths: &["/b"],
            bodies: false,
            requests: 200,
            time: Duration::from_secs(5),
        };
        let driven = drive.closed(8).unwrap();
        assert_eq!(driven.requests, 200);
        assert!((6.0..=8.1).contains(&driven.in_flight), "{driven:?}");
    }

    #[test]
    fn requests_with_bodies_are_answered_when_the_body_is_there() {
        let drive = Drive {
            server: Backend::http().unwrap().address(),
            paths: &["/save"],
            bodies: true,
            requests: 40,
            time: Duration::from_secs(5),
        };
        assert_eq!(drive.closed(4).unwrap().requests, 40);
        // A body that nobody waited for would be taken for the next request's head.
        let mut connection = Connection::open(drive.server).unwrap();
        for late in [None, Some(Duration::from_millis(2)), None] {
            connection.ask("/save", "0", Some(late)).unwrap();
        }
        connection.ask("/b", "0", None).unwrap();
    }

    #[test]
    fn an_open_loop_lets_requests_arrive_at_its_rate() {
        let drive = Drive {
            server: Backend::http().unwrap().address(),
            paths: &["/b"],
            bodies: false,
            requests: 300,
            time: Duration::from_secs(5),
        };
        let driven = drive.open(400.0).unwrap();
        assert_eq!(driven.requests, 300);
        assert!((250.0..=500.0).contains(&driven.rate), "{driven:?}");
    }

    #[test]
    fn loads_have_names() {
        for load in Load::ALL {
            assert_eq!(Load::parse(&load.to_string()), Some(load));
        }
        assert_eq!(Load::parse("0"), None);
        assert_eq!(Load::parse("many"), None);
    }
}
