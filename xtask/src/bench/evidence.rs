//! What gathering evidence costs the traced: the same calls of a traced process with `--evidence sockets`, with all of it,
//! and without a tracer. This process is the traced one.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tracer_tests::tracer::Tracer;

use super::{median, report};

/// What is timed, with the number of calls that one stretch makes.
const CALLS: [(&str, u32); 4] = [
    ("getppid", 500),
    ("epoll_wait without a wait", 500),
    ("socket call (a head of a message each)", 40),
    ("request and response between two threads (4 socket calls, 2 wakes)", 10),
];

/// For so long each is repeated in one measurement; the fastest stretch counts, since whatever interrupts only adds.
const PATIENCE: Duration = Duration::from_millis(400);

/// Nanoseconds a call.
type Times = [f64; CALLS.len()];

/// Medians over the rounds.
pub struct Cost {
    /// Without a tracer.
    pub untraced: Times,
    /// Added by a tracer that looks at socket calls only.
    pub sockets: Times,
    /// Added by one that gathers all evidence.
    pub all: Times,
}

/// Measures in turn, so that slow changes of the machine hit all alike.
pub fn measure(rounds: usize) -> Result<Cost> {
    let mut calls = Calls::new()?;
    let (mut untraced_rows, mut socket_rows, mut all_rows) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        eprintln!("evidence, round {} of {rounds}", round + 1);
        let before = calls.time()?;
        let sockets = calls.traced("sockets")?;
        let all = calls.traced("all")?;
        let after = calls.time()?;
        let untraced: Times = std::array::from_fn(|at| pick(&before, at).min(pick(&after, at)));
        let added =
            |times: Times| -> Times { std::array::from_fn(|at| pick(&times, at) - pick(&untraced, at)) };
        untraced_rows.push(untraced);
        socket_rows.push(added(sockets));
        all_rows.push(added(all));
    }
    let middle = |rows: &[Times]| -> Times {
        std::array::from_fn(|at| median(&rows.iter().map(|times| pick(times, at)).collect::<Vec<_>>()))
    };
    Ok(Cost { untraced: middle(&untraced_rows), sockets: middle(&socket_rows), all: middle(&all_rows) })
}

fn pick(times: &Times, at: usize) -> f64 {
    times.get(at).copied().unwrap_or(f64::NAN)
}

/// As a table.
pub fn markdown(cost: &Cost, rounds: usize) -> Result<String> {
    let mut out = format!(
        "{}. {rounds} rounds, medians of the fastest stretches; nanoseconds a call.\n\n",
        report::machine()?
    );
    out += "| call of a traced process | untraced | `--evidence sockets` | all | evidence alone |\n|---|---|---|---|---|\n";
    for (at, (name, _)) in CALLS.iter().enumerate() {
        let (untraced, sockets, all) =
            (pick(&cost.untraced, at), pick(&cost.sockets, at), pick(&cost.all, at));
        writeln!(out, "| {name} | {untraced:.0} | {sockets:+.0} | {all:+.0} | **{:+.0}** |", all - sockets)?;
    }
    out.push('\n');
    Ok(out)
}

const REQUEST: &[u8] = b"GET /item HTTP/1.1\r\nHost: localhost\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the calls are made on.
struct Calls {
    epoll: libc::c_int,
    /// Both ends in this thread.
    near: (TcpStream, TcpStream),
    /// The other end is in another thread.
    far: TcpStream,
}

impl Calls {
    fn new() -> Result<Self> {
        let pair = || -> Result<(TcpStream, TcpStream)> {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            Ok((client, server))
        };
        let (far, mut server) = pair().context("cannot connect")?;
        std::thread::spawn(move || while answer(&mut server).is_ok() {});
        let near = pair().context("cannot connect")?;
        // SAFETY: an integer; the descriptor lives as long as this process.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(Self { epoll, near, far })
    }

    fn traced(&mut self, evidence: &str) -> Result<Times> {
        let pid = std::process::id().to_string();
        let tracer = Tracer::record(&["--pid", &pid, "--evidence", evidence])?;
        let times = self.time()?;
        tracer.stop_unread(libc::SIGINT)?;
        Ok(times)
    }

    /// Nanoseconds a call.
    fn time(&mut self) -> Result<Times> {
        let mut best = [f64::MAX; CALLS.len()];
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE * CALLS.len() as u32 {
            for (at, ((_, count), best)) in CALLS.iter().zip(&mut best).enumerate() {
                let stretch = Instant::now();
                self.stretch(at, *count)?;
                *best = best.min(stretch.elapsed().as_nanos() as f64 / f64::from(*count));
            }
        }
        Ok(best)
    }

    fn stretch(&mut self, which: usize, count: u32) -> Result<()> {
        let mut buffer = [0; 256];
        match which {
            0 => (0..count).for_each(|_| {
                // SAFETY: no arguments, no effects.
                unsafe { libc::getppid() };
            }),
            1 => (0..count).for_each(|_| {
                let mut event = libc::epoll_event { events: 0, u64: 0 };
                // SAFETY: room for one event, in a local.
                unsafe { libc::epoll_wait(self.epoll, &raw mut event, 1, 0) };
            }),
            2 => {
                let (client, server) = &mut self.near;
                for _ in 0..count / 4 {
                    client.write_all(REQUEST)?;
                    let _ = server.read(&mut buffer)?;
                    server.write_all(RESPONSE)?;
                    let _ = client.read(&mut buffer)?;
                }
            }
            _ => {
                for _ in 0..count {
                    self.far.write_all(REQUEST)?;
                    let _ = self.far.read(&mut buffer)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // Ends the thread at the other end.
        let _ = self.far.shutdown(std::net::Shutdown::Both);
    }
}

fn answer(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 256];
    if stream.read(&mut buffer)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    stream.write_all(RESPONSE)
}
