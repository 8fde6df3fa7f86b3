//! Files for other tools, read by what is not the tracer's: OpenTelemetry's message classes and its list of names, Zipkin's model and encoder,
//! Python's CSV reader, Perfetto's user interface with its trace processor in a browser, and what Jaeger's user interface makes of traces, which
//! Kiali's has too (`tests/readers/exports.py`, `exports_zipkin.js`, `exports_jaeger.js`, `perfetto.py`).
//!
//! The spans are a recording that is checked in (nginx, a service in Python, redis, PostgreSQL) and a file that nobody should write.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::client::Connection;
use tracer_tests::process::{Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};
use tracer_tests::{pace, paths};

const NEEDS: &[Need] = &[Need::Tracer];
const READERS: &[Need] = &[Need::Command("python3"), Need::Command("node")];
const BROWSER: &[Need] = &[Need::Command("chromium"), Need::Command("chromedriver")];
/// Every form, by what its files are called.
const FORMS: [&str; 6] = ["otlp.jsonl", "zipkin.json", "jaeger.json", "perfetto.json", "csv", "traces.json"];
/// What `export` leaves where spans are left out.
const BAD_INPUT: i32 = 2;
/// And where it was interrupted.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("a_recording_is_read_by_others", || are_read("traces.json", 0)).needing(READERS),
            test("a_hostile_file_is_read_by_others", || are_read("hostile.json", BAD_INPUT)).needing(READERS),
            test("perfetto_finds_what_the_files_say", perfetto_finds_what_the_files_say).needing(BROWSER),
            test("a_recording_writes_what_export_would", a_recording_writes_what_export_would)
                .needing(&[Need::Command("nginx")]),
            test("an_interrupted_export_is_whole", an_interrupted_export_is_whole),
            test("pipes_go_in_and_out", pipes_go_in_and_out),
            test("what_cannot_be_done_is_said", what_cannot_be_done_is_said),
        ],
    )
}

fn fixture(name: &str) -> PathBuf {
    paths::readers_dir().with_file_name("fixtures").join("exports").join(name)
}

/// Runs `tracer export`; what it says must be no panic.
fn export(input: &Path, output: &Path) -> Result<(Option<i32>, String)> {
    let (status, _, said) =
        tracer::run(&[], &["export", &input.to_string_lossy(), "-o", &output.to_string_lossy()])?;
    ensure!(!said.contains("panicked"), "it panicked:\n{said}");
    Ok((status.code(), said))
}

fn are_read(name: &str, code: i32) -> Result<String> {
    let scratch = Scratch::new()?;
    for form in FORMS {
        let (ended, said) = export(&fixture(name), &scratch.join(&format!("traces.{form}")))?;
        ensure!(ended == Some(code), "{form}: it ended with {ended:?}:\n{said}");
    }
    // A recording is in the documented form already, and stays as it is.
    let again = scratch.join("traces.traces.json");
    if code == 0 {
        ensure!(fs::read(&again)? == fs::read(fixture(name))?, "the trace JSON became another");
    }
    let python = python("exports.py", &[&again, scratch.path()])?;
    let deps = paths::deps_dir()?;
    let modules = [deps.join("node/node_modules"), deps.join("npm-alone")].map(|path| text(&path)).join(":");
    let node = |name: &str, form: &str| -> Result<String> {
        let files = [reader(name), text(&again), text(&scratch.join(&format!("traces.{form}")))];
        read_by(&Spec::new("node")?.env("NODE_PATH", modules.as_str()).args(files))
    };
    let (zipkin, jaeger) =
        (node("exports_zipkin.js", "zipkin.json")?, node("exports_jaeger.js", "jaeger.json")?);
    Ok(format!("{}; {zipkin}; {jaeger}", read_by(&python)?))
}

/// Slices, their names, times, processes, threads and arguments, what lies below what, and arrows.
fn perfetto_finds_what_the_files_say() -> Result<String> {
    let scratch = Scratch::new()?;
    let mut files = Vec::new();
    for (name, code) in [("traces", 0), ("hostile", BAD_INPUT)] {
        let file = scratch.join(&format!("{name}.perfetto.json"));
        let (ended, said) = export(&fixture(&format!("{name}.json")), &file)?;
        ensure!(ended == Some(code), "{name}: it ended with {ended:?}:\n{said}");
        files.push(file);
    }
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    read_by(&python("perfetto.py", &files)?)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn reader(name: &str) -> String {
    text(&paths::readers_dir().join(name))
}

fn python(name: &str, files: &[&Path]) -> Result<Spec> {
    let python = Spec::new(paths::deps_dir()?.join("venv/bin/python"))?;
    Ok(python.args([reader(name)]).args(files.iter().map(|file| text(file))))
}

fn read_by(reader: &Spec) -> Result<String> {
    let output = reader.command().output().context("cannot start a reader")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
    let lines: Vec<_> = std::str::from_utf8(&output.stdout)?.lines().collect();
    Ok(lines.join("; "))
}

/// `record -o x.FORM`, `analyze -o x.FORM` and `export -o x.FORM` are the same to the byte; OpenTelemetry's has the host's name where
/// that is known. Nothing is left beside them.
fn a_recording_writes_what_export_would() -> Result<String> {
    let mut sizes = Vec::new();
    for form in ["jaeger.json", "otlp.jsonl"] {
        let nginx = nginx::start(&Options::default())?;
        let scratch = Scratch::new()?;
        let file = |name: &str| scratch.join(&format!("{name}.{form}"));
        let capture = scratch.join("capture.tcap");
        let port = nginx.port().to_string();
        let options = ["--port", &port, "-o", &capture.to_string_lossy()];
        let mut tracer = Tracer::start(&options, Scratch::new()?, file("recorded"))?;
        tracer.wait_for("tracing ", pace::limit(Duration::from_secs(20)))?;
        let mut connection = Connection::open(nginx.port())?;
        for number in 0..40 {
            connection.fetch(&format!("/item/{number}?token=secret-{number}"))?;
        }
        thread::sleep(pace::limit(Duration::from_millis(200)));
        tracer.signal(libc::SIGINT)?;
        let end = tracer.end(pace::limit(Duration::from_secs(60)))?;
        ensure!(end.status.success(), "it ended with {}:\n{}", end.status, end.said);
        let analyse = |output: &Path| {
            tracer::run(&[], &["analyze", &capture.to_string_lossy(), "-o", &output.to_string_lossy()])
        };
        analyse(&file("analysed"))?;
        let traces = scratch.join("traces.json");
        analyse(&traces)?;
        export(&traces, &file("exported"))?;
        let read = |name: &str| fs::read_to_string(file(name)).with_context(|| format!("no {name}.{form}"));
        let (mut recorded, analysed, exported) = (read("recorded")?, read("analysed")?, read("exported")?);
        ensure!(analysed == exported, "{form}: analyze and export differ");
        ensure!(recorded.contains("/item/39"), "{form}: the last request is not there");
        ensure!(!recorded.contains("secret-1"), "{form}: a secret is there");
        if form == "otlp.jsonl" {
            // While recording, lines are written as time goes on; what counts is what is in them.
            ensure!(recorded.contains(r#"{"key":"host.name""#), "the host has no name:\n{recorded}");
            ensure!(!analysed.contains("host.name"), "the analysing host is not the recorded one");
            recorded = spans_of(&recorded)?.join("\n");
            ensure!(recorded == spans_of(&analysed)?.join("\n"), "{form}: record and analyze differ");
        } else {
            ensure!(recorded == analysed, "{form}: record and analyze differ");
        }
        let left = fs::read_dir(scratch.path())?.count();
        ensure!(left == 5, "{left} files in the directory, not the five that were asked for");
        sizes.push(format!("{} bytes of {form}", recorded.len()));
    }
    Ok(sizes.join(", "))
}

/// The spans in a file of OpenTelemetry's.
fn spans_of(lines: &str) -> Result<Vec<String>> {
    let mut spans = Vec::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line)?;
        let resources = line.get("resourceSpans").and_then(Value::as_array).context("no resources")?;
        for resource in resources {
            let own =
                resource.pointer("/scopeSpans/0/spans").and_then(Value::as_array).context("no spans")?;
            spans.extend(own.iter().map(Value::to_string));
        }
    }
    spans.sort();
    Ok(spans)
}

/// The input comes slowly and the signal in its midst.
fn an_interrupted_export_is_whole() -> Result<String> {
    let span = |id: u32| {
        format!(
            "{{\"traceId\":\"{id:032x}\",\"spanId\":\"{id:016x}\",\"serviceName\":\"shop\",\"operationName\":\"GET /\",\
             \"startTime\":\"2023-10-27T10:00:00Z\",\"duration\":1}}"
        )
    };
    for form in FORMS {
        let scratch = Scratch::new()?;
        let output = scratch.join(&format!("x.{form}"));
        let mut child = Command::new(paths::tracer_binary()?)
            .args(["export", "-", "-o"])
            .arg(&output)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the tracer")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let mut process = Process::adopt("tracer", child);
        stdin.write_all(format!("[{}", span(1)).as_bytes())?;
        // It has opened its output once it can be interrupted.
        let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
        while !output.exists() {
            ensure!(Instant::now() < deadline, "{form}: no output");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(pace::limit(Duration::from_millis(300)));
        process.signal(libc::SIGTERM)?;
        thread::sleep(pace::limit(Duration::from_millis(300)));
        stdin.write_all(format!(",{},{}]", span(2), span(3)).as_bytes())?;
        drop(stdin);
        let status = process.wait(pace::limit(Duration::from_secs(20)))?;
        ensure!(status.code() == Some(INTERRUPTED), "{form}: it ended with {status}");
        let text = fs::read_to_string(&output)?;
        let is_whole = match form {
            "csv" => text.ends_with("\r\n"),
            "otlp.jsonl" => text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            _ => serde_json::from_str::<Value>(&text).is_ok(),
        };
        ensure!(is_whole, "{form}: {text}");
        ensure!(!text.contains(&format!("{:016x}", 3)), "{form}: it went on");
        ensure!(fs::read_dir(scratch.path())?.count() == 1, "{form}: something is left beside it");
    }
    Ok(String::new())
}

fn pipes_go_in_and_out() -> Result<String> {
    for form in FORMS {
        let scratch = Scratch::new()?;
        let output = scratch.join(&format!("x.{form}"));
        export(&fixture("traces.json"), &output)?;
        let format = form.split('.').next().unwrap_or(form).trim_end_matches('s');
        let mut child = Command::new(paths::tracer_binary()?)
            .args(["export", "-", "-o", "-", "--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the tracer")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let spans = fs::read(fixture("traces.json"))?;
        let writer = thread::spawn(move || stdin.write_all(&spans));
        let piped = child.wait_with_output()?;
        ensure!(writer.join().is_ok_and(|written| written.is_ok()), "{form}: it did not read all");
        ensure!(piped.status.success(), "{form}: it ended with {}", piped.status);
        ensure!(piped.stdout == fs::read(&output)?, "{form}: standard output differs from a file");
    }
    Ok(String::new())
}

fn what_cannot_be_done_is_said() -> Result<String> {
    let scratch = Scratch::new()?;
    let traces = fixture("traces.json");
    let output = scratch.join("x.zipkin.json");
    // A name that says nothing, with the names that would.
    for name in ["x.json", "x", "-"] {
        let name = if name == "-" { PathBuf::from(name) } else { scratch.join(name) };
        let (code, said) = export(&traces, &name)?;
        ensure!(code == Some(1) && !name.exists(), "{}: {code:?}", name.display());
        for word in ["otlp", "zipkin", "jaeger", "perfetto", "csv", "--format"] {
            ensure!(said.contains(word), "it does not speak of {word}:\n{said}");
        }
    }
    // No spans, or those of another tool.
    export(&traces, &output)?;
    let other = scratch.join("y.jaeger.json");
    export(&traces, &other)?;
    let again = scratch.join("z.csv");
    let (code, said) = export(&other, &again)?;
    ensure!(code == Some(BAD_INPUT) && said.contains("Jaeger"), "{code:?}: {said}");
    // Its own input.
    let before = fs::read(&output)?;
    let (code, said) = export(&output, &output)?;
    ensure!(code == Some(1) && said.contains("overwritten"), "{code:?}: {said}");
    ensure!(fs::read(&output)? == before, "it was overwritten");
    // A disk that is full.
    if Path::new("/dev/full").exists() {
        let (status, _, said) = tracer::run(
            &[],
            &["export", &traces.to_string_lossy(), "-o", "/dev/full", "--format", "zipkin"],
        )?;
        ensure!(status.code() == Some(1) && said.contains("space"), "{status}: {said}");
    }
    Ok(String::new())
}
