//! What the tracer itself uses, at a fixed rate of requests: CPU per exchange, memory, time to attach and detach.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tracer_tests::tracer::Tracer;

use super::cpu_nanos;
use super::victim::Nginx;

/// Requests per second that are asked for.
pub const RATE: u64 = 20_000;
const CONNECTIONS: u64 = 16;

/// What was seen.
pub struct Own {
    /// For how long.
    pub seconds: u64,
    /// Requests per second that were reached.
    pub rate: f64,
    /// CPU of the tracer per span, µs, while recording.
    pub cpu_per_span_micros: f64,
    /// Largest resident set, MiB.
    pub rss_mib: f64,
    /// Kernel memory of its maps, MiB.
    pub maps_mib: f64,
    /// From start to the first event believed, ms.
    pub attach_ms: f64,
    /// Taking the probes out, ms, as it reports itself.
    pub detach_ms: f64,
    /// Spans, against twice the requests: one at each end.
    pub spans: u64,
    /// Requests sent.
    pub requests: u64,
    /// Events lost.
    pub lost: u64,
}

/// Runs nginx under a paced load, all processes traced.
pub fn measure(seconds: u64) -> Result<Own> {
    let nginx = Nginx::start()?;
    let begun = Instant::now();
    let tracer = Tracer::record(&[])?;
    let attach_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    let maps_mib = map_bytes(tracer.pid()) as f64 / f64::from(1 << 20);
    eprintln!("{seconds} s of {RATE} requests/s, every process traced");
    let cpu = cpu_nanos(tracer.pid());
    let load = Instant::now();
    let requests = paced_load(nginx.port, seconds)?;
    let rate = requests as f64 / load.elapsed().as_secs_f64();
    let cpu = cpu_nanos(tracer.pid()).saturating_sub(cpu);
    let rss_mib = peak_rss_kib(tracer.pid())? as f64 / 1024.0;
    let recording = tracer.stop_unread(libc::SIGINT)?;
    nginx.stop();
    let spans = recording.count("spans")?;
    Ok(Own {
        seconds,
        rate,
        cpu_per_span_micros: cpu as f64 / 1_000.0 / spans as f64,
        rss_mib,
        maps_mib,
        attach_ms,
        detach_ms: recording.count("detach_micros")? as f64 / 1_000.0,
        spans,
        requests,
        lost: recording.count("events_lost")?,
    })
}

/// Keeps the rate over some keep-alive connections: each has its own schedule and catches up when it is late.
fn paced_load(port: u16, seconds: u64) -> Result<u64> {
    let sent = AtomicU64::new(0);
    let interval = Duration::from_nanos(1_000_000_000 * CONNECTIONS / RATE);
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..CONNECTIONS).map(|_| scope.spawn(|| one_connection(port, interval, end, &sent))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a client panicked")))
    })?;
    Ok(sent.load(Ordering::Relaxed))
}

fn one_connection(port: u16, interval: Duration, end: Instant, sent: &AtomicU64) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect to nginx")?;
    stream.set_nodelay(true)?;
    let mut buffer = [0u8; 4096];
    let mut next = Instant::now();
    loop {
        let now = Instant::now();
        if now >= end {
            return Ok(());
        }
        if next > now {
            thread::sleep(next - now);
        }
        next += interval;
        stream.write_all(b"GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut got = 0;
        // The header ends with an empty line and is followed by 200 bytes.
        loop {
            let n = stream.read(buffer.get_mut(got..).unwrap_or_default())?;
            if n == 0 {
                bail!("nginx closed the connection");
            }
            got += n;
            let head = buffer.get(..got).unwrap_or_default();
            if head.windows(4).position(|w| w == b"\r\n\r\n").is_some_and(|at| got >= at + 4 + 200) {
                break;
            }
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// `VmHWM` of /proc/PID/status.
fn peak_rss_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
        .context("no VmHWM in /proc/PID/status")
}

/// The kernel's own account of a process's BPF maps (`memlock` in /proc/PID/fdinfo), each map once.
fn map_bytes(pid: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return 0 };
    let mut seen = std::collections::BTreeMap::new();
    for entry in entries.flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            seen.insert(id, bytes);
        }
    }
    seen.values().sum()
}
