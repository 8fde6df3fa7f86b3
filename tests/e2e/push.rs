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
const OPENSSL: &[Need] = &[Need::Command("nginx"), Need::Command("openssl")];
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
            test(
                "a_second_signal_ends_the_wait_for_a_collector",
                a_second_signal_ends_the_wait_for_a_collector,
            )
            .needing(NGINX),
            test("a_certificate_is_checked", a_certificate_is_checked).needing(OPENSSL),
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
    /// What the collector forwards to.
    behind: u16,
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
        Ok(Self { grpc, http, behind, taken, _processes: [reader, agent] })
    }

    /// Waits until what was pushed has come through, and compares it with the file.
    fn compare(&self, otlp: &str) -> Result<String> {
        self.wait_until("compare", otlp)
    }

    /// Waits until the last metrics have come through, and compares them with the spans.
    fn compare_metrics(&self, traces: &str) -> Result<String> {
        self.wait_until("metrics", traces)
    }

    fn wait_until(&self, what: &str, file: &str) -> Result<String> {
        let compare = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?.args([
            reader(),
            what.to_owned(),
            file.to_owned(),
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
fn record(args: &[&str], ports: &[u16]) -> Result<(Recording, Duration)> {
    let tracer = traced(args, ports)?;
    let recording = tracer.stop()?;
    let stopping = recording.stopping;
    ensure!(recording.trace.spans.len() == 2 * REQUESTS, "{} spans", recording.trace.spans.len());
    Ok((recording, stopping))
}

/// A recording with these arguments that has seen requests to nginx.
fn traced(args: &[&str], ports: &[u16]) -> Result<Tracer> {
    let nginx = nginx::start(&Options::default())?;
    let mut args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
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
    Ok(tracer)
}

/// While recording over gRPC, and from the file over HTTP in both forms. The recording sees the collector's port, too: what the
/// tracer itself sends there is in no trace. Metrics come with the recordings, in each form; their counts are those of the spans.
fn a_collector_gets_every_span_once() -> Result<String> {
    let collector = Collector::start()?;
    let grpc = format!("otlp+grpc://127.0.0.1:{}", collector.grpc);
    let gzip = ["--push", &grpc, "--push-compression", "gzip"];
    let (recording, _) = record(&gzip, &[collector.grpc])?;
    let delivered = recording.ledger.count("spans_delivered")?;
    ensure!(delivered == 2 * REQUESTS as u64, "{delivered} spans delivered:\n{}", recording.said);
    ensure!(recording.ledger.count("spans_not_delivered")? == 0, "{}", recording.said);
    let scratch = Scratch::new()?;
    let otlp = scratch.join("traces.otlp.jsonl").to_string_lossy().into_owned();
    let traces = recording.output.to_string_lossy().into_owned();
    export(&[&traces, "-o", &otlp], 0)?;
    let mut said =
        vec![format!("gRPC: {}, {}", collector.compare(&otlp)?, collector.compare_metrics(&traces)?)];
    check_metrics(&recording)?;
    // Compressed as it would be to another host, and not.
    for (language, compression) in [("otlp", "gzip"), ("otlp+json", "none")] {
        collector.clear()?;
        let url = format!("{language}+http://localhost:{}", collector.http);
        export(&[&traces, "--push", &url, "--push-compression", compression], 0)?;
        said.push(format!("{language}: {}", collector.compare(&otlp)?));
    }
    for (url, compression) in [
        (format!("otlp+http://127.0.0.1:{}", collector.http), "gzip"),
        // This rotel reads no whole numbers of metrics in JSON, which are text (ProtoJSON); OpenTelemetry's classes do.
        (format!("otlp+json+http://127.0.0.1:{}", collector.behind), "none"),
    ] {
        collector.clear()?;
        let recording = traced(&["--push", &url, "--push-compression", compression], &[])?.stop()?;
        check_metrics(&recording)?;
        let traces = recording.output.to_string_lossy().into_owned();
        said.push(format!("metrics, {compression}: {}", collector.compare_metrics(&traces)?));
    }
    Ok(said.join("; "))
}

/// All of them were delivered.
fn check_metrics(recording: &Recording) -> Result<()> {
    let count = |name| recording.ledger.count(name);
    let (delivered, lost) = (count("metric_points_delivered")?, count("metric_points_not_delivered")?);
    ensure!(delivered > 0 && lost == 0, "{delivered} data points delivered, {lost} not:\n{}", recording.said);
    Ok(())
}

/// A collector that takes connections and never answers is waited for, until a second signal: then all is told and written all the same.
fn a_second_signal_ends_the_wait_for_a_collector() -> Result<String> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let mut tracer = traced(&["--push", &format!("otlp+http://{}", silent.local_addr()?)], &[])?;
    tracer.signal(libc::SIGINT)?;
    tracer.wait_for("tracer: pushing to 127.0.0.1", pace::limit(FLUSH))?;
    tracer.signal(libc::SIGINT)?;
    let recording = tracer.finish_as(130)?;
    ensure!(recording.trace.spans.len() == 2 * REQUESTS, "{} spans", recording.trace.spans.len());
    let lost = recording.ledger.count("spans_not_delivered")?;
    ensure!(lost == 2 * REQUESTS as u64, "{lost} not delivered:\n{}", recording.said);
    ensure!(recording.ledger.count("metric_points_not_delivered")? > 0, "{}", recording.said);
    ensure!(recording.said.contains("when a second signal ended the wait"), "{}", recording.said);
    Ok(format!("gone after {} ms", recording.stopping.as_millis()))
}

/// A collector with TLS, whose certificate an authority of the moment has signed; with it nobody else's is trusted.
fn a_certificate_is_checked() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = |name: &str| scratch.join(name).to_string_lossy().into_owned();
    let openssl = |args: &[&str]| process::run(&Spec::new("openssl")?.args(args.iter().copied()));
    let (ca, ca_key) = (file("ca.pem"), file("ca.key"));
    let (certificate, key, request) = (file("collector.pem"), file("collector.key"), file("collector.csr"));
    let extension = file("extension");
    fs::write(&extension, "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")?;
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(
        &[&new[..], &["-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", &ca_key, "-out", &ca]]
            .concat(),
    )?;
    openssl(&[&new[..], &["-subj", "/CN=collector", "-keyout", &key, "-out", &request]].concat())?;
    openssl(&[
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-days",
        "2",
        "-extfile",
        &extension,
        "-out",
        &certificate,
    ])?;
    let port = net::free_port()?;
    let taken = Scratch::new()?;
    let mut reader = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?
        .args([reader(), "serve".to_owned(), port.to_string(), shown(&taken), certificate, key])
        .start(taken.path())?;
    net::wait_for_port(port, &mut reader)?;

    let fixture = fixture().to_string_lossy().into_owned();
    let url = format!("otlp+https://127.0.0.1:{port}");
    let told = export(&[&fixture, "--push", &url, "--push-ca", &ca], 0)?;
    ensure!(told.contains("52 spans delivered"), "{told}");
    // Not for this name.
    let named = format!("otlp+https://localhost:{port}");
    let told = export(&[&fixture, "--push", &named, "--push-ca", &ca], 1)?;
    ensure!(told.contains("certificate is not accepted") && told.contains("a name that it is for"), "{told}");
    // Not spoken to in its language, and what does not speak TLS.
    let told = export(&[&fixture, "--push", &format!("otlp+grpcs://127.0.0.1:{port}")], 1)?;
    ensure!(told.contains("certificate is not accepted"), "{told}");
    let plain = TcpListener::bind("127.0.0.1:0")?;
    let url_of_plain = format!("otlp+https://{}", plain.local_addr()?);
    thread::spawn(move || {
        for mut stream in plain.incoming().map_while(Result::ok) {
            // As web servers do; that it cannot be sent is seen at the other end.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let told = export(&[&fixture, "--push", &url_of_plain, "--push-ca", &ca], 1)?;
    ensure!(told.contains("does not speak TLS"), "{told}");

    // Not trusted: it is told at once, what comes is counted, and nothing waits.
    let (recording, stopping) = record(&["--push", &url], &[])?;
    let warned = recording.said.matches("certificate is not accepted").count();
    ensure!(recording.said.contains("--push-ca FILE"), "what to do is not told:\n{}", recording.said);
    let lost = recording.ledger.count("spans_not_delivered")?;
    ensure!(lost == 2 * REQUESTS as u64, "{lost} not delivered:\n{}", recording.said);
    ensure!(stopping < FLUSH, "it ended {stopping:?} after the signal:\n{}", recording.said);
    Ok(format!("told {warned} times, ended {:.1} s after the signal", stopping.as_secs_f64()))
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
                let (recording, stopping) = record(&["--push", &url], &[])?;
                let lost = recording.ledger.count("spans_not_delivered")?;
                ensure!(lost == 2 * REQUESTS as u64, "{lost} not delivered:\n{}", recording.said);
                ensure!(recording.ledger.count("spans_delivered")? == 0, "{}", recording.said);
                let host = url.rsplit('/').next().unwrap_or_default();
                let words = format!("spans: not delivered to {host}: not confirmed 5 s after the end");
                ensure!(recording.said.contains(&words), "the reason is not told:\n{}", recording.said);
                if url.contains("grpc") {
                    let warned = recording.said.matches("tracer: pushing spans to").count();
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
