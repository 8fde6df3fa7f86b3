//! The status line, on a terminal of 80 columns (`script`, of util-linux, makes one): it moves, it fits, and it leaves nothing behind.

use std::io::Write;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::client::Connection;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer;
use tracer_tests::{pace, paths, scratch::Scratch};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("script")];
const COLUMNS: usize = 80;

fn main() -> ExitCode {
    let tests = vec![
        test("until_ctrl_c", until_ctrl_c),
        test("with_a_duration", with_a_duration),
        test("without_a_terminal", without_a_terminal),
    ];
    suite::run(NEEDS, tests)
}

/// A terminal on which the tracer records.
struct Terminal {
    script: Child,
    scratch: Scratch,
}

impl Terminal {
    fn record(args: &str) -> Result<Self> {
        let scratch = Scratch::new()?;
        let tracer = paths::tracer_binary()?;
        let output = scratch.join("traces.json");
        let command =
            format!("stty cols {COLUMNS} && exec {} record {args} -o {}", tracer.display(), output.display());
        let script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command])
            .arg(scratch.join("typescript"))
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start script")?;
        Ok(Self { script, scratch })
    }

    fn written(&self) -> Result<String> {
        let bytes = std::fs::read(self.scratch.join("typescript")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A line of script's own at the beginning, another one at the end.
        let text = text.split_once('\n').map_or("", |(_, text)| text);
        Ok(text.split("\nScript done on ").next().unwrap_or_default().to_owned())
    }

    fn wait_for(&self, word: &str) -> Result<()> {
        let end = Instant::now() + pace::limit(Duration::from_secs(30));
        while !self.written()?.contains(word) {
            ensure!(Instant::now() < end, "no {word:?} in\n{}", self.written()?);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Presses Ctrl-C.
    fn interrupt(&mut self) -> Result<()> {
        let keys = self.script.stdin.as_mut().context("no keyboard")?;
        keys.write_all(b"\x03").and_then(|()| keys.flush()).context("cannot type")
    }

    /// What was written, once the tracer has ended.
    fn end(mut self) -> Result<String> {
        let end = Instant::now() + pace::limit(Duration::from_secs(30));
        loop {
            if let Some(status) = self.script.try_wait()? {
                ensure!(status.success(), "it ended with {status}:\n{}", self.written()?);
                return self.written();
            }
            if Instant::now() > end {
                bail!("it does not end:\n{}", self.written()?);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The terminal goes with it, and with the terminal the tracer.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// What stands on the terminal in the end, and every state of a line that was to be seen on the way.
fn shown(written: &str) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut states, mut column) = (vec![String::new()], Vec::new(), 0);
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        let Some(line) = lines.last_mut() else { break };
        match c {
            '\r' => {
                states.push(line.clone());
                column = 0;
            }
            '\n' => {
                states.push(line.clone());
                lines.push(String::new());
                column = 0;
            }
            '\x1b' => {
                let sequence: String = rest.by_ref().take_while(|c| !c.is_ascii_alphabetic()).collect();
                // Of those that are used only this one takes anything away; colours end in another letter.
                if sequence == "[" {
                    *line = line.chars().take(column).collect();
                }
            }
            c => {
                // What stood there before is written over.
                let all: Vec<char> = line.chars().collect();
                let (before, after) = (all.iter().take(column), all.iter().skip(column + 1));
                *line = before.chain([&c]).chain(after).collect();
                column += 1;
            }
        }
    }
    (lines, states)
}

/// Whether this is a state of the status line.
fn is_status(line: &str) -> bool {
    line.as_bytes().get(2) == Some(&b':') && line.contains("/s  ")
}

fn check(written: &str) -> Result<Vec<String>> {
    let (lines, states) = shown(written);
    let status: Vec<String> = states.into_iter().filter(|line| is_status(line)).collect();
    ensure!(status.len() >= 2, "it was drawn {} times:\n{written}", status.len());
    for line in &status {
        ensure!(line.len() < COLUMNS, "{} columns: {line}", line.len());
        ensure!(line.contains(" lost  overhead "), "not all is there: {line}");
    }
    ensure!(!lines.iter().any(|line| line.contains("overhead ")), "it was left behind: {lines:#?}");
    // What came before and what comes after begin lines of their own.
    for beginning in ["tracing port ", "accounted for:", "lost:"] {
        ensure!(lines.iter().any(|line| line.starts_with(beginning)), "no line {beginning:?}: {lines:#?}");
    }
    ensure!(lines.iter().any(|line| line.contains(" spans in ")), "no summary: {lines:#?}");
    ensure!(!lines.iter().any(|line| line.contains("^C")), "{lines:#?}");
    Ok(status)
}

fn until_ctrl_c() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let mut terminal = Terminal::record(&format!("--port {}", nginx.port()))?;
    terminal.wait_for(" requests/s  ")?;
    for number in 0..50 {
        Connection::open(nginx.port())?.fetch(&format!("/item/{number}"))?;
    }
    // Each of them at both ends.
    terminal.wait_for("  100 spans  ")?;
    terminal.interrupt()?;
    let written = terminal.end()?;
    let status = check(&written)?;
    ensure!(status.iter().any(|line| !line.contains(" 0 requests/s")), "no rate: {status:#?}");
    Ok(status.last().cloned().unwrap_or_default())
}

fn with_a_duration() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let terminal = Terminal::record(&format!("--port {} -d 2s", nginx.port()))?;
    let status = check(&terminal.end()?)?;
    let full = |line: &String| line.chars().filter(|c| *c == '#').count();
    let bars: Vec<usize> = status.iter().map(full).collect();
    ensure!(bars.is_sorted() && bars.first() < bars.last(), "the bar does not grow: {status:#?}");
    ensure!(status.iter().all(|line| line.contains("] 00:02  ")), "{status:#?}");
    Ok(status.last().cloned().unwrap_or_default())
}

fn without_a_terminal() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let port = nginx.port().to_string();
    let (status, _, said) = tracer::run(&[], &["record", "--port", &port, "-d", "1s", "-o", "/dev/null"])?;
    ensure!(status.success(), "{status}: {said}");
    ensure!(!said.contains(['\r', '\x1b']) && !said.contains("overhead"), "{said:?}");
    Ok(String::new())
}
