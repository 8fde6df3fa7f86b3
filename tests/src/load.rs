//! Load from real load generators: `wrk`, whose requests each carry an id of their own, and `hey`, which sends an
//! exact number of identical ones.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use crate::pace;
use crate::paths;
use crate::process::{self, Spec};

/// How the load ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All connections fall silent before they are closed: no request is cut off.
    Quiet,
    /// The connections are closed in the middle, as wrk does it by itself. For servers that cannot hold idle
    /// connections, and for the highest rate.
    Abrupt,
}

/// A run of wrk.
#[derive(Clone, Debug)]
pub struct Wrk {
    /// `http://ADDRESS`, without a path.
    pub url: String,
    /// Beginnings of the targets, used in turn; an id follows.
    pub prefixes: Vec<String>,
    /// Keep-alive connections.
    pub connections: u32,
    /// For how long requests are sent.
    pub time: Duration,
    /// How it ends.
    pub ending: Ending,
}

/// What a load generator says of its run.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Answered requests.
    pub requests: u64,
    /// Requests per second while it was sending.
    pub rate: f64,
    /// When its connections were closed, nanoseconds since the Unix epoch; it may have been a little earlier.
    pub ended_ns: u64,
}

impl Wrk {
    /// A good second of load on a server on 127.0.0.1.
    pub fn new(port: u16, prefix: &str, connections: u32) -> Self {
        Self {
            url: format!("http://127.0.0.1:{port}"),
            prefixes: vec![prefix.to_owned()],
            connections,
            time: Duration::from_millis(1200),
            ending: Ending::Quiet,
        }
    }

    /// Uses several prefixes in turn.
    pub fn prefixes(mut self, prefixes: &[&str]) -> Self {
        self.prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
        self
    }

    /// Ends by closing the connections in the middle.
    pub fn abrupt(mut self) -> Self {
        self.ending = Ending::Abrupt;
        self
    }

    /// Runs it.
    pub fn run(&self) -> Result<Outcome> {
        // Ids differ between the runs of one test, so that logs need not be emptied in between.
        static FIRST_ID: AtomicU32 = AtomicU32::new(1);
        let id = FIRST_ID.fetch_add(1, Ordering::Relaxed);
        let patience = u64::from(pace::factor()).min(10);
        let (quiet_after, whole) = match self.ending {
            // A second for the answers still on their way (more where all is slow); wrk counts in whole seconds.
            Ending::Quiet => (self.time.as_millis(), self.time.as_secs() + 1 + patience),
            Ending::Abrupt => (0, self.time.as_secs().max(1)),
        };
        let script = paths::services_dir().join("load.lua");
        let spec = Spec::new("wrk")?
            .args(["-t1", &format!("-c{}", self.connections), &format!("-d{whole}s"), "--timeout"])
            .arg(format!("{}s", pace::limit(Duration::from_secs(20)).as_secs()))
            .args(["-s", &script.to_string_lossy(), &self.url, "--"])
            .args([id.to_string(), quiet_after.to_string()])
            .args(self.prefixes.iter().cloned());
        let output = process::run(&spec)?;
        let requests = wrk_requests(&output).with_context(|| format!("wrk printed no count:\n{output}"))?;
        ensure!(requests > 0, "wrk got no answer from {}:\n{output}", self.url);
        ensure!(!output.contains("Socket errors"), "wrk had errors with {}:\n{output}", self.url);
        let sending = match self.ending {
            Ending::Quiet => self.time.as_secs_f64(),
            Ending::Abrupt => whole as f64,
        };
        Ok(Outcome { requests, rate: requests as f64 / sending, ended_ns: now_ns() })
    }
}

/// As many identical requests as `connections` connections can, for some whole seconds, with `wrk`; its end is abrupt.
pub fn saturate(url: &str, connections: u32, seconds: u32) -> Result<Outcome> {
    let spec = Spec::new("wrk")?.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), url]);
    let output = process::run(&spec)?;
    let requests = wrk_requests(&output).with_context(|| format!("wrk printed no count:\n{output}"))?;
    Ok(Outcome { requests, rate: requests as f64 / f64::from(seconds), ended_ns: now_ns() })
}

/// Sends `requests` identical requests over `connections` connections with `hey`; all must be answered with 200.
pub fn hey(url: &str, requests: u32, connections: u32, keep_alive: bool) -> Result<Outcome> {
    let mut spec = Spec::new("hey")?.args(["-n", &requests.to_string(), "-c", &connections.to_string()]);
    if !keep_alive {
        spec = spec.arg("-disable-keepalive");
    }
    let output = process::run(&spec.arg(url))?;
    let answered = hey_requests(&output).with_context(|| format!("hey printed no count:\n{output}"))?;
    ensure!(answered == u64::from(requests), "hey sent {requests} requests, {answered} had 200:\n{output}");
    Ok(Outcome { requests: answered, rate: 0.0, ended_ns: now_ns() })
}

/// Nanoseconds since the Unix epoch.
pub fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// `  3042 requests in 2.00s, 2.10MB read`
fn wrk_requests(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

/// `  [200] 2000 responses`, with a tab after the code.
fn hey_requests(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.trim_start().starts_with("[200]"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_are_found() {
        let wrk = "Running 2s test\n  1 threads and 8 connections\n  3042 requests in 2.00s, 2.10MB read\n";
        assert_eq!(wrk_requests(wrk), Some(3042));
        let hey = "Status code distribution:\n  [200]\t2000 responses\n";
        assert_eq!(hey_requests(hey), Some(2000));
        assert_eq!(hey_requests("Error distribution:\n [5] dial tcp"), None);
    }
}
