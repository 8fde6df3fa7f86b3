//! What requests say of themselves: trace contexts that are kept or ignored, and exchanges that were observed elsewhere.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::span::{Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("contexts_are_kept_and_can_be_ignored", contexts_are_kept_and_can_be_ignored),
            test("too_many_headers_are_refused", || {
                let many: Vec<String> = (0..9).map(|number| format!("--keep-header=x-{number}")).collect();
                let mut words = vec!["record", "-d", "1s", "-o", "/dev/null"];
                words.extend(many.iter().map(String::as_str));
                tracer::refuses(&[], &words, &["--keep-header", "8 times"])
            }),
            test("exchanges_from_elsewhere", exchanges_from_elsewhere),
        ],
    )
}

/// Headers that a library would send, and the ids that they stand for.
const CONTEXTS: &[(&str, &str, &str)] = &[
    (
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0af7651916cd43dd8448eb211c80319c",
        "b7ad6b7169203331",
    ),
    ("b3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-1", "000000000000000064fe8b2a57d3eff7", "e457b5a2e4d86bd1"),
    (
        "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7\r\nX-B3-SpanId: 05e3ac9a4f6e3b90",
        "80f198ee56343ba864fe8b2a57d3eff7",
        "05e3ac9a4f6e3b90",
    ),
    ("uber-trace-id: 3d0c43b1a2d5e6f7:5f6a7b8c:0:1", "00000000000000003d0c43b1a2d5e6f7", "000000005f6a7b8c"),
    (
        "x-datadog-trace-id: 1311768467463790320\r\nx-datadog-parent-id: 5678",
        "0000000000000000123456789abcdef0",
        "000000000000162e",
    ),
    (
        "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
        "5759e988bd862e3fe1be46a994272793",
        "53995c3f42cd8ad8",
    ),
];

fn find(spans: &[Span], number: usize) -> Result<&Span> {
    let target = format!("/item/{number}");
    spans.iter().find(|span| span.target() == target).with_context(|| format!("no span of {target}"))
}

fn analyzed(words: &[&str], output: &Path) -> Result<(Option<i32>, String)> {
    let output = output.to_string_lossy();
    let (status, _, said) = tracer::run(&[], &[&["analyze"], words, &["-o", &output]].concat())?;
    ensure!(!said.contains("panicked"), "it panicked:\n{said}");
    Ok((status.code(), said))
}

fn contexts_are_kept_and_can_be_ignored() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let scratch = Scratch::new()?;
    let capture = scratch.join("capture.tcap");
    let pid = nginx.pid().to_string();
    let tracer = Tracer::record(&["--pid", &pid, "-o", &capture.to_string_lossy()])?;
    let mut connection = Connection::open(nginx.port())?;
    for (number, (headers, ..)) in CONTEXTS.iter().enumerate() {
        let id = "X-Request-Id: 7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";
        connection.send(format!("GET /item/{number} HTTP/1.1\r\nHost: h\r\n{headers}\r\n{id}\r\n\r\n"))?;
        ensure!(connection.answer()?.status == 200, "/item/{number} was not answered");
    }
    let recording = tracer.stop()?;
    for (number, (_, trace, parent)) in CONTEXTS.iter().enumerate() {
        let span = find(&recording.trace.spans, number)?;
        ensure!(span.trace_id == *trace && span.parent.as_deref() == Some(parent), "{span:?}");
        let confidence = span.tags.get("tracer.link.confidence").and_then(serde_json::Value::as_f64);
        ensure!(confidence == Some(1.0), "{span:?}");
    }
    let bytes = std::fs::read(&capture).context("no capture")?;
    let plain = b"7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";
    ensure!(!bytes.windows(plain.len()).any(|part| part == plain), "a request's id is in the capture");

    let output = scratch.join("later.json");
    let file = capture.to_string_lossy();
    let (code, said) = analyzed(&[&file], &output)?;
    ensure!(code == Some(0), "{said}");
    let live = std::fs::read(&recording.output)?;
    ensure!(std::fs::read(&output)? == live, "analyzed later the traces are others");
    let (code, said) = analyzed(&[&file, "--ignore-context"], &output)?;
    ensure!(code == Some(0), "{said}");
    let without = Trace::read(&output)?.spans;
    for (number, (_, trace, _)) in CONTEXTS.iter().enumerate() {
        let span = find(&without, number)?;
        ensure!(span.trace_id != *trace && span.parent.is_none(), "--ignore-context: {span:?}");
    }
    let (code, said) = analyzed(&[&file, "--ignore-header", "B3", "--keep-header", "x-absent"], &output)?;
    ensure!(code == Some(0) && said.contains("holds no header x-absent"), "{said}");
    let some = Trace::read(&output)?.spans;
    ensure!(
        find(&some, 0)?.parent.is_some() && find(&some, 1)?.parent.is_none(),
        "--ignore-header: {some:?}"
    );
    Ok(format!("{} forms", CONTEXTS.len()))
}

fn exchanges_from_elsewhere() -> Result<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exchanges.md");
    let docs = std::fs::read_to_string(&docs).context("no docs/exchanges.md")?;
    let lines: Vec<&str> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with('{'))
        .collect();
    ensure!(lines.len() == 6, "the worked example has {} lines", lines.len());
    let scratch = Scratch::new()?;
    let (input, output) = (scratch.join("in.jsonl"), scratch.join("out.json"));
    let file = input.to_string_lossy();

    std::fs::write(&input, lines.join("\n"))?;
    let (code, said) = analyzed(&["--exchanges", &file], &output)?;
    ensure!(
        code == Some(0) && said.contains("6 exchanges read, 0 lines refused; 2 traces"),
        "{code:?}\n{said}"
    );
    // What the page shows is what it says.
    let shown = docs.lines().filter(|line| line.starts_with("    calls: ")).map(str::trim);
    for line in shown {
        ensure!(said.contains(line), "the page has {line:?}, it says\n{said}");
    }
    let whole = Trace::read(&output)?.spans;
    ensure!(whole.len() == 6, "{whole:?}");
    let (_, show, _) = tracer::run(&[], &["show", &output.to_string_lossy()])?;
    ensure!(show.contains("shop GET /cart?user=7") && show.contains("stock"), "show:\n{show}");

    std::fs::write(&input, format!("{}\n{{\"process\":7}}\nnonsense\n", lines.join("\n")))?;
    let (code, said) = analyzed(&["--exchanges", &file], &output)?;
    ensure!(code == Some(2), "exit code {code:?} for lines that are wrong:\n{said}");
    for words in ["line 7, column ", "line 8, column 2", "6 exchanges read, 2 lines refused"] {
        ensure!(said.contains(words), "it does not say {words:?}:\n{said}");
    }
    let ids = |spans: &[Span]| spans.iter().map(|span| span.span_id.clone()).collect::<Vec<_>>();
    ensure!(ids(&Trace::read(&output)?.spans) == ids(&whole), "the good lines gave something else");
    tracer::refuses(&[], &["analyze", "--exchanges", &file, "-o", &file], &["overwritten"])?;
    tracer::refuses(&[], &["analyze", "--exchanges", "/no/such/file"], &["cannot read"])?;
    Ok(format!("{} exchanges", whole.len()))
}
