//! What each contender costs nginx: one worker, a small static file, keep-alive, saturated by wrk.

use std::time::Duration;

use anyhow::{Context, Result};
use tracer_tests::net;
use tracer_tests::process::{self, Process, Spec};
use tracer_tests::scratch::Scratch;

use super::contenders::{self, Contender};
use super::{cpu_nanos, median};

/// Medians over the rounds.
pub struct Row {
    /// Who.
    pub contender: Contender,
    /// Throughput relative to the untraced runs around it.
    pub throughput: f64,
    /// CPU added in nginx per request, µs.
    pub cpu_micros: f64,
    /// 99th percentile of latency relative to the untraced runs.
    pub p99: f64,
    /// Requests per second of the untraced runs.
    pub untraced_rate: f64,
    /// Share of the requests that became a span, where it can be told.
    pub captured: Option<f64>,
    /// Events lost.
    pub lost: Option<u64>,
}

struct Run {
    rate: f64,
    requests: u64,
    cpu_micros: f64,
    p99_micros: f64,
}

/// nginx with one worker.
pub struct Nginx {
    master: Process,
    /// The worker's process id.
    pub worker: u32,
    /// Its port.
    pub port: u16,
    scratch: Scratch,
}

impl Nginx {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let scratch = Scratch::new()?;
        let port = net::free_port()?;
        scratch.write("small.txt", "x".repeat(200))?;
        let root = scratch.path().display();
        let config = scratch.write(
            "nginx.conf",
            format!(
                "worker_processes 1; daemon off; pid {root}/pid; error_log /dev/null;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; keepalive_requests 1000000000; sendfile on;\n\
                 client_body_temp_path {root}/t; proxy_temp_path {root}/t; fastcgi_temp_path {root}/t;\n\
                 uwsgi_temp_path {root}/t; scgi_temp_path {root}/t;\n\
                 server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n"
            ),
        )?;
        let mut master = Spec::new("nginx")?.args(["-c", &config.to_string_lossy()]).start(scratch.path())?;
        net::wait_for_port(port, &mut master)?;
        let children = format!("/proc/{0}/task/{0}/children", master.pid());
        // The port is open before the worker is there.
        let mut worker: Option<u32> = None;
        for _ in 0..100 {
            let ids =
                std::fs::read_to_string(&children).with_context(|| format!("cannot read {children}"))?;
            worker = ids.split_whitespace().next().and_then(|pid| pid.parse().ok());
            if worker.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let worker = worker.context("nginx has no worker process")?;
        Ok(Self { master, worker, port, scratch })
    }

    /// URL of the small file.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/small.txt", self.port)
    }

    fn load(&self, seconds: u32) -> Result<Run> {
        let before = cpu_nanos(self.worker);
        let spec =
            Spec::new("wrk")?.args(["-t1", "-c16", &format!("-d{seconds}s"), "--latency", &self.url()]);
        let output = process::run(&spec)?;
        let cpu = cpu_nanos(self.worker).saturating_sub(before);
        let requests = number_before(&output, " requests in").context("wrk printed no count")?;
        Ok(Run {
            rate: number_after(&output, "Requests/sec:").context("wrk printed no rate")?,
            requests: requests as u64,
            cpu_micros: cpu as f64 / 1_000.0 / requests,
            p99_micros: number_after(&output, "99%").context("wrk printed no latency")?,
        })
    }

    /// Stops it.
    pub fn stop(mut self) {
        self.master.stop();
        drop(self.scratch);
    }
}

/// Of each run: throughput, CPU, p99, and the untraced rate around it.
type Ratios = Vec<[f64; 4]>;
/// Of each run: the share of requests that became a span, and the events lost.
type Captures = Vec<(f64, u64)>;

/// Measures all contenders, round by round, so that slow changes of the machine hit all alike.
pub fn measure(rounds: usize, seconds: u32) -> Result<Vec<Row>> {
    let nginx = Nginx::start()?;
    nginx.load(seconds)?;
    let mut columns: Vec<(Contender, Ratios, Captures)> =
        Contender::ALL.iter().map(|contender| (*contender, Vec::new(), Vec::new())).collect();
    for round in 0..rounds {
        for (contender, ratios, captures) in &mut columns {
            eprintln!("round {} of {rounds}: {}", round + 1, contender.name());
            let before = nginx.load(seconds)?;
            let running = match contenders::start(*contender, nginx.worker, nginx.port) {
                Ok(running) => running,
                Err(error) => {
                    eprintln!("left out: {error:#}");
                    continue;
                }
            };
            let during = nginx.load(seconds)?;
            let stopped = running.stop()?;
            let after = nginx.load(seconds)?;
            let rate = (before.rate + after.rate) / 2.0;
            ratios.push([
                during.rate / rate,
                during.cpu_micros - (before.cpu_micros + after.cpu_micros) / 2.0,
                during.p99_micros / ((before.p99_micros + after.p99_micros) / 2.0),
                rate,
            ]);
            if let Some((lost, spans)) = stopped {
                captures.push((spans as f64 / during.requests as f64, lost));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    nginx.stop();
    let column = |ratios: &[[f64; 4]], pick: fn(&[f64; 4]) -> f64| {
        median(&ratios.iter().map(pick).collect::<Vec<_>>())
    };
    Ok(columns
        .into_iter()
        .filter(|(_, ratios, _)| !ratios.is_empty())
        .map(|(contender, ratios, captures)| Row {
            contender,
            throughput: column(&ratios, |r| r[0]),
            cpu_micros: column(&ratios, |r| r[1]),
            p99: column(&ratios, |r| r[2]),
            untraced_rate: column(&ratios, |r| r[3]),
            captured: captures.iter().map(|(share, _)| *share).reduce(f64::min),
            lost: captures.iter().map(|(_, lost)| *lost).max(),
        })
        .collect())
}

/// `1234 requests in`
fn number_before(text: &str, mark: &str) -> Option<f64> {
    text.split(mark).next()?.split_whitespace().last()?.parse().ok()
}

/// `99%   312.00us`, `Requests/sec:  123.4`, at the beginning of a line: in microseconds where it has a unit.
fn number_after(text: &str, mark: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.trim_start().strip_prefix(mark))?;
    let word = rest.split_whitespace().next()?;
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match word.get(digits.len()..)? {
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        _ => 1.0,
    };
    Some(digits.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As wrk 4.1 prints it. The share of requests within a standard deviation may end in `99%` too.
    const PRINTED: &str = "\
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   310.55us  102.11us   8.02ms   98.99%
    Req/Sec    46.76k     1.20k   48.01k    60.00%
  Latency Distribution
     50%  301.00us
     99%    1.50ms
  93000 requests in 2.00s, 30.00MB read
Requests/sec:  46500.12
";

    #[test]
    fn what_wrk_printed_is_read_from_the_line_that_says_it() {
        assert_eq!(number_after(PRINTED, "99%"), Some(1_500.0));
        assert_eq!(number_after(PRINTED, "50%"), Some(301.0));
        assert_eq!(number_after(PRINTED, "Requests/sec:"), Some(46_500.12));
        assert_eq!(number_before(PRINTED, " requests in"), Some(93_000.0));
        assert_eq!(number_after("nothing", "99%"), None);
    }
}
