//! The HTML report, opened from disk in a real browser: read, searched, sorted and walked through by keyboard, with no word on the console and
//! nothing fetched. What the browser does is in `tests/readers/report.py`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tracer_tests::paths;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer;

const NEEDS: &[Need] = &[Need::Tracer];
const BROWSER: &[Need] = &[Need::Command("chromium"), Need::Command("chromedriver")];
/// What a report may have, bytes.
const LARGEST: u64 = 10_000_000;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("a_person_finds_their_way", a_person_finds_their_way).needing(BROWSER),
            test("a_capture_is_told_with_its_account", a_capture_is_told_with_its_account).needing(BROWSER),
            test("names_are_text_and_sizes_do_not_matter", names_are_text_and_sizes_do_not_matter)
                .needing(BROWSER),
            test("an_old_browser_is_told_so", an_old_browser_is_told_so).needing(BROWSER),
            test("a_pipe_will_do", a_pipe_will_do),
            test("what_cannot_be_done_is_said", what_cannot_be_done_is_said),
        ],
    )
}

/// Spans, as a file has them.
#[derive(Default)]
struct File(String);

impl File {
    /// Adds one: times in microseconds.
    fn span(
        &mut self,
        trace: &str,
        (id, parent): (u64, Option<u64>),
        (service, operation): (&str, &str),
        (start, duration): (u64, u64),
        tags: &str,
    ) {
        let parent = parent.map_or("null".to_owned(), |parent| format!("\"{parent:016x}\""));
        let (seconds, micros) = (start / 1_000_000, start % 1_000_000);
        let json = serde_json::to_string;
        let (Ok(service), Ok(operation)) = (json(service), json(operation)) else { return };
        let comma = if self.0.is_empty() { "[" } else { ",\n" };
        // Writing into a string does not fail.
        let _ = write!(
            self.0,
            r#"{comma}{{"traceId":"{trace}","spanId":"{id:016x}","parentSpanId":{parent},"serviceName":{service},"operationName":{operation},"startTime":"2026-11-22T10:{:02}:{:02}.{micros:06}Z","duration":{}.{:03},"tags":{{{tags}}}}}"#,
            seconds / 60 % 60,
            seconds % 60,
            duration / 1_000,
            duration % 1_000,
        );
    }

    fn write(self, scratch: &Scratch, name: &str) -> Result<PathBuf> {
        scratch.write(name, self.0 + "]\n")
    }
}

/// More traces than a report holds, of four operations; some fail.
fn many() -> File {
    let mut file = File::default();
    let exact = r#""tracer.link.evidence":["connection"],"tracer.link.confidence":1.0"#;
    let ruled = r#""tracer.link.evidence":["thread"],"tracer.link.confidence":0.99"#;
    for number in 0..12_000 {
        let trace = format!("{number:032x}");
        let operation = match number % 4 {
            0 => "GET /users/7",
            1 => "POST /users",
            2 => "GET /orders",
            _ => "POST /orders",
        };
        let is_bad = number % 97 == 0;
        let status =
            if is_bad { r#""http.status_code":500,"error":true"# } else { r#""http.status_code":201"# };
        let (start, length) = (number * 400, 3_000 + (number * 7_919) % 20_000);
        let mut span = |id, parent: Option<u64>, who, what: &str, from, to, tags: String| {
            let at = (start + from * length / 100, (to - from) * length / 100);
            file.span(
                &trace,
                (number * 16 + id, parent.map(|parent| number * 16 + parent)),
                (who, what),
                at,
                &tags,
            );
        };
        span(1, None, "nginx", operation, 0, 100, format!(r#""span.kind":"server",{status}"#));
        span(2, Some(1), "nginx", operation, 2, 98, format!(r#""span.kind":"client",{status},{ruled}"#));
        span(
            3,
            Some(2),
            "user-service",
            operation,
            4,
            95,
            format!(r#""span.kind":"server",{status},{exact}"#),
        );
        for at in 0..3 {
            let tags =
                format!(r#""span.kind":"client","db.system":"postgresql","db.instance":"users_db",{ruled}"#);
            span(4 + at, Some(3), "user-service", "SELECT users", 10 + at * 25, 30 + at * 25, tags);
        }
    }
    file
}

/// Markup as names, a circle, a candidate in another trace, a deep and a wide trace.
fn hostile() -> File {
    let mut file = File::default();
    let markup = r#"<script>document.title='owned'</script><img src=x onerror="document.title='owned'">"#;
    let tags = format!(r#""http.url":{},"__proto__":"x","constructor":1"#, serde_json::Value::from(markup));
    for number in 0..3 {
        let parent = (number > 0).then_some(1);
        file.span("markup</script>", (number + 1, parent), (markup, markup), (number, 50), &tags);
    }
    for number in 0..3 {
        file.span("circle", (number + 1, Some((number + 1) % 3 + 1)), ("circle", "round"), (number, 9), "");
    }
    // What could be its parent lies in another trace.
    let asks = r#""span.kind":"client","tracer.link.reason":"two could be","tracer.link.candidates":[{"spanId":"00000000000a5ced","confidence":0.6}]"#;
    file.span("asks", (0xa5c, None), ("asks", "GET /a"), (0, 9), asks);
    file.span("asked", (0xa5c0, None), ("asked", "GET /b"), (0, 20), "");
    file.span("asked", (0xa5ced, Some(0xa5c0)), ("asked", "GET /c"), (1, 9), "");
    for number in 0..100_000 {
        let parent = (number > 0).then_some(number);
        file.span("deep", (number + 1, parent), ("a", "deep"), (number, 200_000 - number), "");
        let parent = (number > 0).then_some(1);
        file.span(
            "wide",
            (number + 1, parent),
            ("b", "wide"),
            (number, if number == 0 { 200_000 } else { 3 }),
            "",
        );
    }
    file
}

/// Makes a report of a file.
fn report(scratch: &Scratch, file: &Path) -> Result<(PathBuf, String)> {
    let page = scratch.join("report.html");
    let said = tracer::run(&[], &["report", &file.to_string_lossy(), "-o", &page.to_string_lossy()])?;
    ensure!(said.0.success(), "it ended with {}:\n{}", said.0, said.2);
    let size = std::fs::metadata(&page).context("no report")?.len();
    ensure!(size <= LARGEST, "the report has {size} bytes");
    Ok((page, said.2))
}

fn browse(scenario: &str, page: &Path) -> Result<String> {
    let python = paths::deps_dir()?.join("venv/bin/python");
    let reader = paths::readers_dir().join("report.py");
    let mut words =
        vec![reader.to_string_lossy().into_owned(), scenario.to_owned(), page.to_string_lossy().into_owned()];
    // Where pictures of the page go, for whoever wants to look at them.
    words.extend(std::env::var("TRACER_E2E_PICTURES"));
    let said = process::run(&Spec::new(python)?.args(words))?;
    Ok(said.trim().to_owned())
}

fn a_person_finds_their_way() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = many().write(&scratch, "traces.json")?;
    let (page, said) = report(&scratch, &file)?;
    ensure!(said.contains("10 000 of 12 000 traces"), "it says {said}");
    let size = std::fs::metadata(&page)?.len();
    Ok(format!("{size} bytes, {}", browse("browse", &page)?))
}

fn a_capture_is_told_with_its_account() -> Result<String> {
    let scratch = Scratch::new()?;
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/accuracy/asyncio-repeated-8/capture.tcap");
    let (page, _) = report(&scratch, &fixture)?;
    browse("capture", &page)
}

fn names_are_text_and_sizes_do_not_matter() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = hostile().write(&scratch, "<b><img src=x>.json")?;
    let (page, _) = report(&scratch, &file)?;
    browse("hostile", &page)
}

fn an_old_browser_is_told_so() -> Result<String> {
    let scratch = Scratch::new()?;
    let mut file = File::default();
    file.span("t", (1, None), ("a", "b"), (0, 1), "");
    let file = file.write(&scratch, "traces.json")?;
    browse("old", &report(&scratch, &file)?.0)
}

/// `-` in and out, and the same page as from a file of that name.
fn a_pipe_will_do() -> Result<String> {
    let scratch = Scratch::new()?;
    let mut file = File::default();
    file.span("t", (1, None), ("a", "b"), (0, 1), "");
    let file = file.write(&scratch, "-")?;
    let (page, _) = report(&scratch, &file)?;
    let tracer = paths::tracer_binary()?;
    let shell = format!("{} report - -o - < {}", tracer.display(), file.display());
    let piped = process::run(&Spec::new("sh")?.args(["-c", &shell]))?;
    ensure!(piped == std::fs::read_to_string(page)?, "not the same page");
    Ok(String::new())
}

fn what_cannot_be_done_is_said() -> Result<String> {
    let scratch = Scratch::new()?;
    let absent = scratch.join("absent.json").to_string_lossy().into_owned();
    tracer::refuses(&[], &["report", &absent], &["absent.json", "tracer record"])?;
    let no_spans = scratch.write("words.json", "no spans")?.to_string_lossy().into_owned();
    let output = scratch.join("report.html").to_string_lossy().into_owned();
    tracer::refuses(&[], &["report", &no_spans, "-o", &output], &["words.json", "line 1"])?;
    tracer::refuses(&[], &["report", &no_spans, "-o", &no_spans], &["overwritten"])?;
    let mut file = File::default();
    file.span("t", (1, None), ("a", "b"), (0, 1), "");
    let file = file.write(&scratch, "traces.json")?.to_string_lossy().into_owned();
    tracer::refuses(&[], &["report", &file, "-o", "/nowhere/report.html"], &["/nowhere/report.html"])?;
    tracer::refuses(
        &[],
        &["report", &file, "-o", &output, "--ledger", &no_spans],
        &["words.json", "--ledger"],
    )?;
    Ok(String::new())
}
