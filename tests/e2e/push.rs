//! `--push`: to a collector that we did not write (rotel), which forwards what it took to OpenTelemetry's own classes; and to small servers
//! that behave badly. Whatever a collector does, the recording is whole, ends in time, and its ledger says what was not delivered.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::client::Connection;
use tracer_tests::process::{self, Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Recording, Tracer};
use tracer_tests::{net, pace, paths};

const NEEDS: &[Need] = &[Need::Tracer];
const NGINX: &[Need] = &[Need::Command("nginx")];
/// Requests of a recording: two spans each.
const REQUESTS: usize = 40;
/// What the end of a recording gives the collector, and what else ending takes.
const FLUSH: Duration = Duration::from_secs(5);
const ENDING: Duration = Duration::from_secs(3);

/// It took all but seven.
const PARTLY: &str = "200 OK\r\ncontent-length: 65\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"7\",\"errorMessage\":\"too old\"}}";

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("a_collector_gets_every_span_once", a_collector_gets_every_span_once).needing(NGINX),
            test("dead_collectors_stall_nothing", dead_collectors_stall_nothing).needing(NGINX),
            test("what_is_refused_for_now_is_sent_again", what_is_refused_for_now_is_sent_again),
            test("what_is_refused_for_good_is_counted", what_is_refused_for_good_is_counted),
            test("zipkin_gets_its_own_form", zipkin_gets_its_own_form),
            test("what_is_not_understood_is_refused_at_once", what_is_not_understood_is_refused_at_once),
        ],
    )
}

fn fixture() -> PathBuf {
    paths::readers_dir().with_file_name("fixtures").join("exports").join("traces.json")
}

/// The collector, and behind it what keeps the spans.
struct Collector {
    grpc: u16,
    http: u16,
    taken: Scratch,
    _processes: [Process; 2],
}

impl Collector {
    fn start() -> Result<Self> {
        let taken = Scratch::new()?;
        let (grpc, http, behind) = (net::free_port()?, net::free_port()?, net::free_port()?);
        let mut reader = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?
            .args([reader(), "serve".to_owned(), behind.to_string(), shown(&taken)])
            .start(taken.path())?;
        net::wait_for_port(behind, &mut reader)?;
        let site = paths::deps_dir()?.join("venv/lib");
        let found = paths::newest(&site.to_string_lossy(), "python", "").context("rotel is not installed")?;
        let mut agent = Spec::new(found.join("site-packages/rotel/rotel-agent"))?
            .args(["start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-grpc-endpoint".to_owned(), format!("127.0.0.1:{grpc}")])
            .args(["--otlp-http-endpoint".to_owned(), format!("127.0.0.1:{http}")])
            .args(["--otlp-exporter-endpoint".to_owned(), format!("http://127.0.0.1:{behind}")])
            .args(["--batch-timeout", "50ms"])
            .start(taken.path())?;
        net::wait_for_port(grpc, &mut agent)?;
        net::wait_for_port(http, &mut agent)?;
        Ok(Self { grpc, http, taken, _processes: [reader, agent] })
    }

    /// Waits until what was pushed has come through, and compares it with the file.
    fn compare(&self, otlp: &str) -> Result<String> {
        let compare = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?.args([
            reader(),
            "compare".to_owned(),
            otlp.to_owned(),
            shown(&self.taken),
        ]);
        let end = Instant::now() + pace::limit(Duration::from_secs(5));
        loop {
            match process::run(&compare) {
                Ok(said) => return Ok(said.trim().to_owned()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Forgets what was taken.
    fn clear(&self) -> Result<()> {
        for entry in fs::read_dir(self.taken.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "pb") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

fn reader() -> String {
    paths::readers_dir().join("push.py").to_string_lossy().into_owned()
}

fn shown(scratch: &Scratch) -> String {
    scratch.path().to_string_lossy().into_owned()
}

/// Records requests to nginx while pushing; `ports` are recorded besides.
fn record(url: &str, ports: &[u16]) -> Result<(Recording, Duration)> {
    let nginx = nginx::start(&Options::default())?;
    let mut args = vec!["--push".to_owned(), url.to_owned()];
    for port in ports.iter().copied().chain([nginx.port()]) {
        args.extend(["--port".to_owned(), port.to_string()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let tracer = Tracer::record(&args)?;
    let mut connection = Connection::open(nginx.port())?;
    for number in 0..REQUESTS {
        connection.fetch(&format!("/item/{number}"))?;
    }
    // Longer than a batch waits, where what is sent meanwhile counts.
    thread::sleep(pace::limit(Duration::from_millis(if ports.is_empty() { 200 } else { 1_200 })));
    let recording = tracer.stop()?;
    let stopping = recording.stopping;
    ensure!(recording.trace.spans.len() == 2 * REQUESTS, "{} spans", recording.trace.spans.len());
    Ok((recording, stopping))
}

/// While recording over gRPC, and from the file over HTTP in both forms. The recording sees the collector's port, too: what the
/// tracer itself sends there is in no trace.
fn a_collector_gets_every_span_once() -> Result<String> {
    let collector = Collector::start()?;
    let grpc = format!("otlp+grpc://127.0.0.1:{}", collector.grpc);
    let (recording, _) = record(&grpc, &[collector.grpc])?;
    let delivered = recording.ledger.count("spans_delivered")?;
    ensure!(delivered == 2 * REQUESTS as u64, "{delivered} spans delivered:\n{}", recording.said);
    ensure!(recording.ledger.count("spans_not_delivered")? == 0, "{}", recording.said);
    let scratch = Scratch::new()?;
    let otlp = scratch.join("traces.otlp.jsonl").to_string_lossy().into_owned();
    let traces = recording.output.to_string_lossy().into_owned();
    export(&[&traces, "-o", &otlp], 0)?;
    let mut said = vec![format!("gRPC: {}", collector.compare(&otlp)?)];
    for language in ["otlp", "otlp+json"] {
        collector.clear()?;
        export(&[&traces, "--push", &format!("{language}+http://localhost:{}", collector.http)], 0)?;
        said.push(format!("{language}: {}", collector.compare(&otlp)?));
    }
    Ok(said.join(", "))
}

/// Runs `tracer export`.
fn export(args: &[&str], code: i32) -> Result<String> {
    let args: Vec<&str> = [&["export"], args].concat();
    let (status, _, said) = tracer::run(&[], &args)?;
    ensure!(status.code() == Some(code), "{args:?} ended with {status}:\n{said}");
    Ok(said)
}

/// One that takes connections and never answers, and one that is not there. At once, because each takes the time that it gets.
fn dead_collectors_stall_nothing() -> Result<String> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let silent_url = format!("otlp+http://{}", silent.local_addr()?);
    let absent_url = format!("otlp+grpc://127.0.0.1:{}", net::free_port()?);
    thread::scope(|scope| {
        let both = [silent_url, absent_url].map(|url| {
            scope.spawn(move || -> Result<String> {
                let (recording, stopping) = record(&url, &[])?;
                let lost = recording.ledger.count("spans_not_delivered")?;
                ensure!(lost == 2 * REQUESTS as u64, "{lost} not delivered:\n{}", recording.said);
                ensure!(recording.ledger.count("spans_delivered")? == 0, "{}", recording.said);
                let host = url.rsplit('/').next().unwrap_or_default();
                let words = format!("spans: not delivered to {host}: not confirmed 5 s after the end");
                ensure!(recording.said.contains(&words), "the reason is not told:\n{}", recording.said);
                if url.contains("grpc") {
                    let warned = recording.said.matches("tracer: pushing to").count();
                    ensure!(
                        warned == 1 && recording.said.contains("refused"),
                        "warned {warned} times:\n{}",
                        recording.said
                    );
                }
                ensure!(stopping < pace::limit(FLUSH + ENDING), "it ended {stopping:?} after the signal");
                Ok(format!("ended {:.1} s after the signal", stopping.as_secs_f64()))
            })
        });
        let mut said = Vec::new();
        for one in both {
            said.push(one.join().map_err(|_| anyhow::anyhow!("a recording panicked"))??);
        }
        Ok(said.join(", "))
    })
}

/// A request that a small server took.
#[derive(Clone, Debug)]
struct Taken {
    head: String,
    body: Vec<u8>,
    at: Instant,
}

/// Answers requests, one after the other, with these responses; with the last of them from then on.
fn server(answers: Vec<&'static str>) -> Result<(u16, Arc<Mutex<Vec<Taken>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (all, answers) = (Arc::clone(&all), answers.clone());
            // It ends with the connection.
            thread::spawn(move || answer(stream, &answers, &all));
        }
    });
    Ok((port, taken))
}

fn answer(mut stream: TcpStream, answers: &[&str], taken: &Mutex<Vec<Taken>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let number = {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.push(Taken { head, body, at: Instant::now() });
            taken.len() - 1
        };
        let said = answers.get(number).or(answers.last())?;
        // Those with a body have the end of the head in them.
        let end = if said.contains("\r\n\r\n") { "" } else { "\r\n\r\n" };
        stream.write_all(format!("HTTP/1.1 {said}{end}").as_bytes()).ok()?;
    }
}

fn all(taken: &Mutex<Vec<Taken>>) -> Vec<Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn what_is_refused_for_now_is_sent_again() -> Result<String> {
    let fixture = fixture().to_string_lossy().into_owned();
    let busy = "503 Busy\r\ncontent-length: 0";
    let slow = "429 Slow\r\nretry-after: 1\r\ncontent-length: 0";
    let taken = "200 OK\r\ncontent-length: 0";
    // Two waits, the half of 0.5 s and of 1 s at least; and what the server asks for.
    let twice = || comes_back(&fixture, vec![busy, busy, taken], Duration::from_millis(750));
    let asked = || comes_back(&fixture, vec![slow, taken], Duration::from_secs(1));
    thread::scope(|scope| {
        let (twice, asked) = (scope.spawn(twice), scope.spawn(asked));
        let both = [twice, asked].map(|one| one.join().map_err(|_| anyhow::anyhow!("it panicked")));
        let [twice, asked] = both;
        Ok(format!("{}, {}", twice??, asked??))
    })
}

/// Pushes to a server that answers so; between the first time and the last it waits that long at least.
fn comes_back(fixture: &str, answers: Vec<&'static str>, least: Duration) -> Result<String> {
    let tries = answers.len();
    let (port, taken) = server(answers)?;
    let told = export(&[fixture, "--push", &format!("otlp+http://127.0.0.1:{port}")], 0)?;
    ensure!(told.contains("spans delivered") && !told.contains("not delivered"), "{told}");
    let taken = all(&taken);
    ensure!(taken.len() == tries, "{} requests, not {tries}", taken.len());
    let (first, last) = (taken.first().context("nothing came")?, taken.last().context("nothing came")?);
    ensure!(taken.iter().all(|one| one.body == first.body), "it sent something else again");
    let waited = last.at - first.at;
    ensure!(waited >= least, "it came back after {waited:?}");
    Ok(format!("again after {:.2} s", waited.as_secs_f64()))
}

fn what_is_refused_for_good_is_counted() -> Result<String> {
    let fixture = fixture().to_string_lossy().into_owned();
    let secret = "Authorization: Bearer hunter2";
    let (port, taken) = server(vec!["401 Unauthorized\r\ncontent-length: 0"])?;
    let url = format!("otlp+json+http://127.0.0.1:{port}");
    let told = export(&[&fixture, "--push", &url, "--push-header", secret], 1)?;
    ensure!(told.contains("52 spans not delivered") && told.contains("401 Unauthorized"), "{told}");
    ensure!(!told.contains("hunter2"), "the secret is told:\n{told}");
    ensure!(
        all(&taken).iter().all(|one| one.head.contains("authorization: bearer hunter2")),
        "no header came"
    );
    ensure!(all(&taken).len() == 1, "it was sent again");

    let (port, _) = server(vec![PARTLY])?;
    let told = export(&[&fixture, "--push", &format!("otlp+json+http://127.0.0.1:{port}")], 1)?;
    ensure!(told.contains("45 spans delivered") && told.contains("7 spans not delivered"), "{told}");
    ensure!(told.contains("too old"), "{told}");
    Ok(String::new())
}

/// Zipkin's form is checked with that of files (`exports.rs`); what is posted is the same.
fn zipkin_gets_its_own_form() -> Result<String> {
    let (port, taken) = server(vec!["202 Accepted\r\ncontent-length: 0"])?;
    let fixture = fixture().to_string_lossy().into_owned();
    let scratch = Scratch::new()?;
    let file = scratch.join("traces.zipkin.json");
    export(&[&fixture, "-o", &file.to_string_lossy()], 0)?;
    export(&[&fixture, "--push", &format!("zipkin+http://127.0.0.1:{port}")], 0)?;
    let taken = all(&taken);
    let mut spans = Vec::new();
    for one in &taken {
        ensure!(one.head.starts_with("post /api/v2/spans http/1.1"), "{}", one.head);
        ensure!(one.head.contains("content-type: application/json"), "{}", one.head);
        let batch: Vec<Value> = serde_json::from_slice(&one.body)?;
        spans.extend(batch);
    }
    let written: Vec<Value> = serde_json::from_slice(&fs::read(file)?)?;
    ensure!(spans == written, "what was posted is not what is written");
    Ok(format!("{} spans", spans.len()))
}

fn what_is_not_understood_is_refused_at_once() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = scratch.join("kept.json");
    fs::write(&file, "kept")?;
    let output = file.to_string_lossy();
    for (args, word) in [
        (&["--push", "http://localhost:4318"][..], "otlp+http://HOST:4318"),
        (&["--push", "otlp+http://localhost", "--push-header", "hunter2"], "--push-header"),
        (&["--push", "otlp+http://localhost", "--push-header", "@/nonexistent"], "/nonexistent"),
    ] {
        let args = [&["record", "-d", "1s", "-o", &output], args].concat();
        let (status, _, said) = tracer::run(&[], &args)?;
        ensure!(!status.success() && said.contains(word), "{args:?}: {status}\n{said}");
        ensure!(!said.contains("hunter2"), "a secret is told:\n{said}");
        ensure!(fs::read(&file)? == b"kept", "{args:?}: the output was overwritten");
    }
    Ok(String::new())
}
