//! The capture file, from outside: a reader that was written from its description alone reads what the tracer reads; and
//! what `tracer analyze` says of files that are of a later version, damaged, cut off, or no captures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::client::Connection;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tcap::{self, MAJOR_AT, kind};
use tracer_tests::tracer::{self, Recording, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx")];
/// Of the stranger's reader.
const STRANGER: &[Need] = &[
    Need::Command("python3"),
    Need::Command("protoc"),
    Need::PythonModule("google.protobuf"),
    Need::PythonModule("lz4.block"),
];
/// What `analyze` leaves for a file that is damaged, or none.
const BAD_INPUT: i32 = 2;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("a_strangers_reader_agrees", a_strangers_reader_agrees).needing(STRANGER),
            test("an_unknown_frame_is_passed_over", an_unknown_frame_is_passed_over).needing(STRANGER),
            test("a_newer_major_version_is_refused", a_newer_major_version_is_refused),
            test("damage_is_told_and_the_rest_is_read", damage_is_told_and_the_rest_is_read)
                .needing(STRANGER),
            test("a_tail_that_is_missing_is_told", a_tail_that_is_missing_is_told).needing(STRANGER),
            test("what_is_no_capture_is_refused", what_is_no_capture_is_refused),
            test("the_capture_is_not_overwritten", the_capture_is_not_overwritten),
        ],
    )
}

/// A capture, and the traces of the same run.
struct Captured {
    recording: Recording,
    bytes: Vec<u8>,
    path: PathBuf,
    scratch: Scratch,
}

/// nginx before nginx, the one in front being traced: server and client requests, none of which has its other end in the
/// capture. Long enough for several batches.
fn capture() -> Result<Captured> {
    let backend = nginx::start(&Options::default())?;
    let front = nginx::start(&Options::default().calling(&backend))?;
    let scratch = Scratch::new()?;
    let path = scratch.join("capture.tcap");
    let pid = front.pid().to_string();
    let kept = ["--keep-header", "X-Kept", "--keep-header", "cookie"];
    let tracer = Tracer::record(&[&["--pid", &pid, "-o", &path.to_string_lossy()][..], &kept].concat())?;
    for round in 0..40 {
        let mut connection = Connection::open(front.port())?;
        for number in 0..3 {
            connection.fetch(&format!("/proxied/item/{round}-{number}?token=secret-{round}"))?;
            connection.fetch(&format!("/item/{round}-{number}"))?;
        }
        connection.send(format!(
            "HEAD /missing/{round} HTTP/1.0\r\nX-KEPT: \"{round}\"\r\nCookie: a=secret-{round}\r\n\r\n"
        ))?;
        ensure!(connection.answer_to_head()?.status == 404, "/missing/ is there");
        thread::sleep(Duration::from_millis(40));
    }
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let bytes = std::fs::read(&path).context("no capture")?;
    Ok(Captured { recording, bytes, path, scratch })
}

/// What `tracer analyze` made of a file.
struct Analysed {
    code: Option<i32>,
    said: String,
    /// The traces, as bytes; none if it refused.
    traces: Option<Vec<u8>>,
}

impl Analysed {
    fn of(file: &Path, scratch: &Scratch) -> Result<Self> {
        let output = scratch.join("analysed.json");
        if output.exists() {
            std::fs::remove_file(&output).context("cannot remove the last output")?;
        }
        let arguments = ["analyze", &file.to_string_lossy(), "-o", &output.to_string_lossy()];
        let (status, _, said) = tracer::run(&[], &arguments)?;
        ensure!(!said.contains("panicked"), "it panicked:\n{said}");
        let traces = std::fs::read(&output).ok();
        if let Some(traces) = &traces {
            Trace::parse(traces).context("what it wrote is not in the documented form")?;
        }
        Ok(Self { code: status.code(), said, traces })
    }

    /// What it says of the file itself: sentences that begin with its name.
    fn sentences(&self, file: &Path) -> Vec<&str> {
        let beginning = format!("tracer: {}: ", file.display());
        self.said.lines().filter_map(|line| line.strip_prefix(&beginning)).collect()
    }

    /// It says one thing of the file, with these words in it, and ends as for bad input.
    fn check_bad(&self, file: &Path, words: &[&str]) -> Result<()> {
        ensure!(self.code == Some(BAD_INPUT), "exit code {:?}, it said:\n{}", self.code, self.said);
        let sentences = self.sentences(file);
        let [sentence] = sentences.as_slice() else {
            anyhow::bail!("{} sentences about the file:\n{}", sentences.len(), self.said)
        };
        for word in words {
            ensure!(sentence.contains(word), "it does not say {word:?}:\n{}", self.said);
        }
        Ok(())
    }

    /// As [`Analysed::check_bad`], and nothing else was said or written.
    fn check_refused(&self, file: &Path, words: &[&str]) -> Result<()> {
        self.check_bad(file, words)?;
        ensure!(self.said.lines().count() == 1, "more than a sentence:\n{}", self.said);
        ensure!(self.traces.is_none(), "it wrote traces all the same");
        Ok(())
    }

    fn spans(&self) -> Result<Vec<Span>> {
        Ok(Trace::parse(self.traces.as_deref().context("no traces")?)?.spans)
    }
}

/// What both readers say of a request. Times are whole microseconds, as traces have them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    start: u64,
    duration: u64,
    side: String,
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(String, String)>,
    status: Option<u64>,
    pid: u64,
    request_bytes: u64,
    response_bytes: u64,
    outcome: String,
}

/// The texts whose names begin so, by what follows in their names.
fn texts(fields: &serde_json::Map<String, Value>, beginning: &str) -> Vec<(String, String)> {
    let all = fields.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix(beginning)?.to_owned(), value.as_str()?.to_owned()))
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

fn row_of_span(span: &Span) -> Result<Row> {
    let number = |name: &str| {
        span.tags.get(name).and_then(Value::as_u64).with_context(|| format!("no {name} in {span:?}"))
    };
    Ok(Row {
        start: span.start_ns / 1_000,
        duration: (span.duration_ms * 1e3).round() as u64,
        side: if span.kind == Kind::Client { "client" } else { "server" }.to_owned(),
        method: span.method().to_owned(),
        target: span.tag("http.url").unwrap_or_default().to_owned(),
        host: span.tag("http.host").map(str::to_owned),
        headers: texts(&span.tags, "http.request.header."),
        status: span.status().map(u64::from),
        pid: number("process.pid")?,
        request_bytes: number("http.request.bytes")?,
        response_bytes: number("http.response.bytes")?,
        outcome: span.outcome().unwrap_or("complete").to_owned(),
    })
}

fn row_of_exchange(exchange: &Value) -> Result<Row> {
    let field = |name: &str| exchange.get(name).with_context(|| format!("no {name} in {exchange}"));
    let number = |name: &str| field(name)?.as_u64().with_context(|| format!("{name} in {exchange}"));
    let text = |name: &str| -> Result<Option<String>> { Ok(field(name)?.as_str().map(str::to_owned)) };
    let start = number("start_ns")? / 1_000;
    Ok(Row {
        start,
        duration: number("end_ns")? / 1_000 - start,
        side: text("side")?.context("no side")?,
        method: text("method")?.context("no method")?,
        target: text("target")?.context("no target")?,
        host: text("host")?,
        headers: texts(field("headers")?.as_object().context("headers")?, ""),
        status: field("status")?.as_u64(),
        pid: number("pid")?,
        request_bytes: number("request_bytes")?,
        response_bytes: number("response_bytes")?,
        outcome: text("outcome")?.unwrap_or_default(),
    })
}

fn sorted(rows: impl Iterator<Item = Result<Row>>) -> Result<Vec<Row>> {
    let mut rows = rows.collect::<Result<Vec<_>>>()?;
    rows.sort();
    Ok(rows)
}

fn a_strangers_reader_agrees() -> Result<String> {
    let captured = capture()?;
    let told = tcap::by_stranger(&captured.path)?;
    ensure!(told.code == Some(0), "it ended with {:?}: {}", told.code, told.said);
    let theirs = sorted(told.exchanges.iter().map(row_of_exchange))?;
    let ours = sorted(captured.recording.trace.spans.iter().map(row_of_span))?;
    // Each round: six requests and one by HEAD, and three that nginx sent on.
    ensure!(ours.len() == 40 * 10, "{} spans of 400 exchanges", ours.len());
    ensure!(theirs.len() == ours.len(), "{} exchanges, {} spans", theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(&ours) {
        ensure!(theirs == ours, "the stranger reads {theirs:?}, the tracer {ours:?}");
    }
    let kept = ours.iter().filter(|row| {
        let number = row.target.strip_prefix("/missing/").unwrap_or_default();
        row.headers
            == [("cookie".to_owned(), "***".to_owned()), ("x-kept".to_owned(), format!("\"{number}\""))]
    });
    ensure!(kept.count() == 40, "headers that were asked for are missing: {ours:?}");
    let program = |exchange: &Value| exchange.get("program").and_then(Value::as_str).map(str::to_owned);
    for exchange in &told.exchanges {
        let program = program(exchange);
        ensure!(program.as_deref().is_some_and(|it| it.ends_with("/nginx")), "by {program:?}: {exchange}");
    }
    ensure!(&told.ledger == captured.recording.ledger.value(), "the ledger in it is {}", told.ledger);
    let clock = told.description.pointer("/clock/monotonic");
    ensure!(clock.is_some(), "the description is {}", told.description);
    ensure!(told.reading.get("clocks").and_then(Value::as_u64) >= Some(1), "{}", told.reading);
    let text = String::from_utf8_lossy(&captured.bytes);
    ensure!(!text.contains("secret-"), "a secret is in the capture");

    let later = Analysed::of(&captured.path, &captured.scratch)?;
    ensure!(later.code == Some(0) && later.sentences(&captured.path).is_empty(), "it said:\n{}", later.said);
    let live = std::fs::read(&captured.recording.output)?;
    ensure!(later.traces.as_ref() == Some(&live), "analyzed later the traces are others");
    let batches = tcap::frames(&captured.bytes)?.iter().filter(|frame| frame.kind == kind::BATCH).count();
    Ok(format!("{} exchanges in {} bytes, {batches} batches", ours.len(), captured.bytes.len()))
}

fn an_unknown_frame_is_passed_over() -> Result<String> {
    let captured = capture()?;
    let whole = Analysed::of(&captured.path, &captured.scratch)?;
    let frames = tcap::frames(&captured.bytes)?;
    let batch = frames.iter().find(|frame| frame.kind == kind::BATCH).context("no batch")?;
    let (before, behind) = captured.bytes.split_at(batch.at.end);
    // One of them looks like a frame inside; of none may anything be read.
    let inside = captured.bytes.get(batch.at.clone()).unwrap_or_default();
    let bytes =
        [before, &tcap::frame(77, b"of a later version")?, &tcap::frame(200, inside)?, behind].concat();
    let mut bytes = bytes;
    if let Some(minor) = bytes.get_mut(MAJOR_AT + 2) {
        *minor = 9;
    }
    let file = captured.scratch.write("later.tcap", bytes)?;
    let later = Analysed::of(&file, &captured.scratch)?;
    ensure!(later.code == Some(0), "exit code {:?}, it said:\n{}", later.code, later.said);
    ensure!(later.traces == whole.traces, "the traces are others");
    let sentences = later.sentences(&file);
    let said = sentences.join("\n");
    ensure!(sentences.len() == 1 && said.contains("passed over 2 frames"), "it said:\n{}", later.said);
    let told = tcap::by_stranger(&file)?;
    ensure!(told.code == Some(0), "the stranger ended with {:?}: {}", told.code, told.said);
    let unknown = told.reading.get("unknown_frames").map(Value::to_string);
    ensure!(unknown.as_deref() == Some(r#"{"200":1,"77":1}"#), "{}", told.reading);
    ensure!(told.exchanges.len() == captured.recording.trace.spans.len(), "the stranger misses some");
    Ok(said)
}

fn a_newer_major_version_is_refused() -> Result<String> {
    let captured = capture()?;
    let mut bytes = captured.bytes.clone();
    *bytes.get_mut(MAJOR_AT).context("no version")? = 2;
    let file = captured.scratch.write("newer.tcap", &bytes)?;
    let newer = Analysed::of(&file, &captured.scratch)?;
    newer.check_refused(&file, &["version 2.2", "offset 8", "reads up to version 1", "newer one"])?;
    Ok(newer.said.trim().replace(&captured.scratch.path().display().to_string(), ""))
}

/// Flipped bytes everywhere: each is told with a place that it lies in, and what the frame did not hold is read.
fn damage_is_told_and_the_rest_is_read() -> Result<String> {
    let captured = capture()?;
    let frames = tcap::frames(&captured.bytes)?;
    let all = captured.recording.trace.spans.len();
    let (mut tried, mut said) = (0, String::new());
    for frame in &frames {
        for at in [frame.at.start, frame.at.start + 9, frame.at.start + 23, frame.at.end - 1] {
            let mut bytes = captured.bytes.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 0x20;
            }
            let file = captured.scratch.write("damaged.tcap", &bytes)?;
            let analysed = Analysed::of(&file, &captured.scratch)?;
            tried += 1;
            if frame.kind == kind::END {
                // Nothing stands behind it: half a frame looks the same.
                ensure!(analysed.code == Some(BAD_INPUT), "exit code {:?} at {at}", analysed.code);
                ensure!(analysed.said.contains("its tail is missing"), "it said:\n{}", analysed.said);
                continue;
            }
            let place = format!("{} bytes at offset {}", frame.at.len(), frame.at.start);
            analysed
                .check_bad(&file, &[&place, "damaged", "copy the file again"])
                .with_context(|| format!("the byte at {at} was flipped"))?;
            let spans = analysed.spans()?.len();
            let lost = all.saturating_sub(spans);
            ensure!(frame.kind == kind::BATCH || lost == 0, "{lost} spans lost with a frame of none");
            ensure!(spans > 0 || frames.len() < 6, "nothing was read");
            if at == frame.at.start {
                let told = tcap::by_stranger(&file)?;
                let damaged = told.reading.pointer("/damaged/0/offset").and_then(Value::as_u64);
                ensure!(told.code == Some(BAD_INPUT), "the stranger took it for whole");
                ensure!(damaged == Some(frame.at.start as u64), "the stranger says {}", told.reading);
                said = analysed.sentences(&file).concat();
            }
        }
    }
    // Without the description, and the clock behind it, nothing can be placed in time.
    let mut bytes = captured.bytes.clone();
    for frame in frames.iter().take(2) {
        if let Some(byte) = bytes.get_mut(frame.at.start + tcap::HEAD) {
            *byte ^= 1;
        }
    }
    let file = captured.scratch.write("undescribed.tcap", &bytes)?;
    Analysed::of(&file, &captured.scratch)?.check_refused(&file, &["description", "offset 12"])?;
    Ok(format!("{tried} flipped bytes in {} frames; the last: {said:?}", frames.len()))
}

fn a_tail_that_is_missing_is_told() -> Result<String> {
    let captured = capture()?;
    let frames = tcap::frames(&captured.bytes)?;
    let described = frames.first().context("no description")?.at.end;
    let steps = 24;
    let mut most = 0;
    for step in 0..=steps {
        // At the end of each frame's neighbours too: without the end frame alone nothing but that is missing.
        let end = match step {
            24 => captured.bytes.len() - tcap::HEAD,
            step => described + (captured.bytes.len() - described - 1) * step / steps,
        };
        let file = captured.scratch.write("cut.tcap", captured.bytes.get(..end).unwrap_or_default())?;
        let analysed = Analysed::of(&file, &captured.scratch)?;
        let place = format!("ends at offset {end}");
        analysed.check_bad(&file, &["its tail is missing", &place, "copy the file again"])?;
        let spans = analysed.spans()?.len();
        ensure!(spans >= most, "{spans} spans of {end} bytes, {most} of fewer");
        most = spans;
    }
    ensure!(most == captured.recording.trace.spans.len(), "{most} spans without the last frame alone");
    let file = captured.scratch.write("cut.tcap", captured.bytes.get(..described + 7).unwrap_or_default())?;
    let told = tcap::by_stranger(&file)?;
    ensure!(told.code == Some(BAD_INPUT), "the stranger took it for whole");
    ensure!(
        told.reading.get("cut_off_at").and_then(Value::as_u64) == Some(described as u64),
        "{}",
        told.reading
    );
    Ok(format!("cut off at {} places", steps + 1))
}

fn what_is_no_capture_is_refused() -> Result<String> {
    let scratch = Scratch::new()?;
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".repeat(500);
    let traces = b"[{\"traceId\":\"00000000000000000000000000000001\"}]";
    // Among its bytes are those of whole frames.
    let frames = [b"PK\x03\x04 in an archive ".as_slice(), &tcap::frame(kind::END, b"")?].concat();
    let beginning = b"\x89tcap\r\n\x1a\x01\0\0\0";
    let line_ends_changed = b"\x89tcap\n\x1a\x01\0\0\0".repeat(100);
    for (name, bytes, words) in [
        ("empty.tcap", b"".as_slice(), &["is empty", "record"][..]),
        ("picture.jpg", &jpeg, &["no capture", "offset 0", "tracer record"]),
        ("traces.json", traces, &["no capture", "offset 0", "tracer show"]),
        ("archive.zip", &frames, &["no capture", "offset 0"]),
        ("short.tcap", &beginning[..5], &["no capture", "offset 0"]),
        ("text.tcap", &line_ends_changed, &["no capture", "offset 0"]),
        ("beginning.tcap", beginning, &["description", "offset 12", "record"]),
        ("version_0.tcap", b"\x89tcap\r\n\x1a\0\0\0\0", &["version 0.0", "offset 8", "copy"]),
    ] {
        let file = scratch.write(name, bytes)?;
        Analysed::of(&file, &scratch)?.check_refused(&file, words).with_context(|| name.to_owned())?;
    }
    let directory = scratch.join("directory.tcap");
    std::fs::create_dir(&directory)?;
    Analysed::of(&directory, &scratch)?.check_refused(&directory, &["cannot be read", "directory"])?;
    let nowhere = scratch.join("nowhere.tcap");
    let refused = Analysed::of(&nowhere, &scratch)?;
    refused.check_refused(&nowhere, &["cannot be read", "No such file"])?;
    Ok(String::new())
}

/// A typing error must not cost the capture.
fn the_capture_is_not_overwritten() -> Result<String> {
    let captured = capture()?;
    let link = captured.scratch.join("traces.json");
    std::fs::hard_link(&captured.path, &link)?;
    for output in [&captured.path, &link] {
        let arguments = ["analyze", &captured.path.to_string_lossy(), "-o", &output.to_string_lossy()];
        tracer::refuses(&[], &arguments, &["overwritten", "-o"])?;
        ensure!(std::fs::read(&captured.path)? == captured.bytes, "the capture is another now");
    }
    Ok(String::new())
}
