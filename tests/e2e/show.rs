//! What `tracer show` and `tracer diff` make of files of traces: ours, others', and bad ones; on a terminal and in a pipe.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tracer_tests::scratch::Scratch;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer;

const NEEDS: &[Need] = &[Need::Tracer];
/// Makes a terminal for a command (util-linux).
const TERMINAL: &[Need] = &[Need::Command("script")];
/// Spans had to be left out.
const LEFT_OUT: i32 = 2;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("operations_and_the_slowest_traces", operations_and_the_slowest_traces),
            test("choices", choices),
            test("colour_on_terminals_only", colour_on_terminals_only).needing(TERMINAL),
            test("files_by_others", files_by_others),
            test("what_is_no_file_of_traces_is_refused", what_is_no_file_of_traces_is_refused),
            test("two_files_compared", two_files_compared),
        ],
    )
}

struct Span<'a> {
    trace: &'a str,
    id: u32,
    parent: Option<u32>,
    service: &'a str,
    operation: &'a str,
    start_ms: u32,
    duration_ms: f64,
    tags: &'a str,
}

impl Span<'_> {
    fn json(&self) -> String {
        let parent = self.parent.map_or("null".to_owned(), |parent| format!("\"{parent:016x}\""));
        format!(
            "{{\"traceId\":\"{}\",\"spanId\":\"{:016x}\",\"parentSpanId\":{parent},\"serviceName\":\"{}\",\"operationName\":\"{}\",\
             \"startTime\":\"2026-11-22T10:00:{:02}.{:03}000Z\",\"duration\":{},\"tags\":{{{}}}}}",
            self.trace,
            self.id,
            self.service,
            self.operation,
            self.start_ms / 1000,
            self.start_ms % 1000,
            self.duration_ms,
            self.tags
        )
    }
}

/// Ten requests, of which the `n`th takes 10 `n` ms and asks a database 5 times; the last one fails.
fn shop(factor: f64) -> String {
    let mut spans = Vec::new();
    for n in 1..=10 {
        let trace = format!("{n:032x}");
        let took = 10.0 * f64::from(n) * factor;
        let failed =
            if n == 10 { ",\"error\":true,\"http.status_code\":500" } else { ",\"http.status_code\":200" };
        let tags = format!("\"span.kind\":\"server\"{failed}");
        let span = Span {
            trace: &trace,
            id: 1,
            parent: None,
            service: "shop",
            operation: "GET /cart",
            start_ms: n * 100,
            duration_ms: took,
            tags: &tags,
        };
        spans.push(span.json());
        for call in 0..5 {
            let tags = "\"span.kind\":\"client\",\"db.system\":\"postgresql\",\"db.instance\":\"users_db\",\
                        \"db.statement\":\"SELECT * FROM users WHERE id = ?\"";
            let (operation, id) = ("SELECT users", 2 + call);
            spans.push(
                Span {
                    id,
                    parent: Some(1),
                    operation,
                    start_ms: n * 100 + call,
                    duration_ms: took / 20.0,
                    tags,
                    ..span
                }
                .json(),
            );
        }
    }
    format!("[\n{}\n]\n", spans.join(",\n"))
}

fn show(args: &[&str]) -> Result<String> {
    let (status, shown, said) = tracer::run(&[], &[&["show"], args].concat())?;
    ensure!(status.success(), "show {args:?} ended with {status}: {said}");
    ensure!(said.is_empty(), "it complains of a good file: {said}");
    Ok(shown)
}

fn operations_and_the_slowest_traces() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = scratch.join("traces.json");
    std::fs::write(&file, shop(1.0))?;
    let file = file.to_string_lossy();
    let shown = show(&[&file, "--slowest", "1", "--width", "80"])?;
    let line = |with: &str| {
        let line = shown.lines().find(|line| line.contains(with));
        line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .with_context(|| format!("no {with}:\n{shown}"))
    };
    let cart = line("shop GET /cart ")?;
    ensure!(cart.starts_with("shop GET /cart 10 11.1 1 50.0ms 100ms 100ms"), "{cart}\n{shown}");
    let select = line("SELECT users")?;
    ensure!(select.contains("(postgresql users_db)") || select.contains('…'), "{select}");
    ensure!(line("trace ")?.contains("0000a 100ms 6 spans 1 failed"), "{shown}");
    // Of five calls at the same time, 5 ms each, one is on the critical path.
    ensure!(
        line("of GET /cart")?.starts_with("95 % of GET /cart (95.0 ms of 100 ms) is in shop itself"),
        "{shown}"
    );
    ensure!(line("SELECT * F")?.ends_with("×5"), "{shown}");
    ensure!(
        shown
            .lines()
            .all(|line| line.chars().count() <= 80 || line.starts_with("  ") || line.starts_with("Each")),
        "{shown}"
    );

    // The same from a pipe, and in one.
    let piped = format!("cat '{file}' | \"$0\" show - --slowest 1 --width 80 | cat");
    let tracer = tracer_tests::paths::tracer_binary()?;
    let output = std::process::Command::new("sh").args(["-c", &piped]).arg(tracer).output()?;
    ensure!(String::from_utf8_lossy(&output.stdout) == shown, "a pipe gives something else:\n{output:?}");
    Ok(String::new())
}

fn choices() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = scratch.join("traces.json");
    std::fs::write(&file, shop(1.0))?;
    let file = file.to_string_lossy();
    let count = |shown: &str| shown.lines().filter(|line| line.starts_with("trace ")).count();
    for (args, traces, says) in [
        (&["--slowest", "3"][..], 3, "60 spans in 10 traces"),
        (&["--errors"], 1, "; 1 with spans like that"),
        (&["--min-duration", "75ms"], 3, "; 3 with spans like that"),
        (&["--op", "select*", "--slowest", "99"], 0, "none has a span like that"),
        (&["--op", "SELECT*", "--slowest", "99"], 10, "SELECT users"),
        (&["--op", "cart", "--service", "sh?p", "--slowest", "99"], 10, "GET /cart"),
        (&["--service", "other"], 0, "none"),
    ] {
        let shown = show(&[&[&*file], args].concat())?;
        // Lines end where the width does.
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(count(&shown) == traces && words.contains(says), "{args:?}:\n{shown}");
    }
    let one = show(&[&file, "--trace", "0000000000000000000000000000000a"])?;
    ensure!(count(&one) == 1 && !one.contains("operation "), "{one}");
    tracer::refuses(&[], &["show", &file, "--trace", "00"], &["several traces"])?;
    tracer::refuses(&[], &["show", &file, "--trace", "ff"], &["no trace whose id begins"])?;
    tracer::refuses(&[], &["show", &file, "--op", "[a"], &["--op", "not a pattern"])?;
    Ok(String::new())
}

fn colour_on_terminals_only() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = scratch.join("traces.json");
    std::fs::write(&file, shop(1.0))?;
    let tracer = tracer_tests::paths::tracer_binary()?;
    let on_terminal = |environment: &str| -> Result<String> {
        let command = format!(
            "env -u NO_COLOR TERM=xterm {environment} '{}' show '{}'",
            tracer.display(),
            file.display()
        );
        let output = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).output()?;
        ensure!(output.status.success(), "script ended with {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    ensure!(on_terminal("")?.contains("\x1b[31m"), "no colour on a terminal");
    ensure!(!on_terminal("NO_COLOR=1")?.contains('\x1b'), "NO_COLOR is not respected");
    ensure!(!show(&[&file.to_string_lossy()])?.contains('\x1b'), "colour in a pipe");
    Ok(String::new())
}

fn files_by_others() -> Result<String> {
    let scratch = Scratch::new()?;
    let file = scratch.join("traces.json");
    let bad = "\n{\"traceId\":\"a\",\"spanId\":\"1\",\"startTime\":\"now\",\"duration\":1},\n7,\n";
    std::fs::write(&file, shop(1.0).replacen('\n', bad, 1).trim_end().trim_end_matches(']'))?;
    let (status, shown, said) = tracer::run(&[], &["show", &file.to_string_lossy()])?;
    ensure!(status.code() == Some(LEFT_OUT), "exit code {status} for a file of which spans are missing");
    for words in ["line 2 column 1: startTime", "line 3 column 1: not a span", "ends in the middle"] {
        ensure!(said.contains(words), "it does not say {words:?}:\n{said}");
    }
    ensure!(shown.contains("60 spans in 10 traces"), "good spans are lost:\n{shown}");
    Ok(String::new())
}

fn what_is_no_file_of_traces_is_refused() -> Result<String> {
    let scratch = Scratch::new()?;
    for (name, text, words) in [
        ("empty", "", "the file is empty"),
        ("object", "{\"resourceSpans\":[]}", "looks like OTLP/JSON"),
        ("text", "hello", "line 1 column 1"),
        ("lines", "{\"traceId\":\"a\"}\n{\"traceId\":\"b\"}\n", "jq -s ."),
    ] {
        let file = scratch.join(name);
        std::fs::write(&file, text)?;
        tracer::refuses(&[], &["show", &file.to_string_lossy()], &[words])?;
    }
    tracer::refuses(&[], &["show", "/no/such/file"], &["cannot open", "tracer record"])?;
    Ok(String::new())
}

fn two_files_compared() -> Result<String> {
    let scratch = Scratch::new()?;
    let (before, after) = (scratch.join("before.json"), scratch.join("after.json"));
    std::fs::write(&before, shop(1.0))?;
    std::fs::write(&after, shop(3.0))?;
    let (before, after) = (before.to_string_lossy(), after.to_string_lossy());
    let (status, shown, said) = tracer::run(&[], &["diff", &before, &after])?;
    ensure!(status.success(), "diff ended with {status}: {said}");
    let line = shown.lines().find(|line| line.contains("SELECT users")).with_context(|| shown.clone())?;
    ensure!(line.contains("slower (p"), "{shown}");
    let (_, shown, _) = tracer::run(&[], &["diff", &before, &before])?;
    ensure!(shown.matches("no change shown").count() == 2, "a file is not like itself:\n{shown}");
    tracer::refuses(&[], &["diff", &before, "/no/such/file"], &["cannot open"])?;
    Ok(String::new())
}
