//! `tracer show`.

use std::fs::File;
use std::io::{BufReader, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::args::ShowArgs;
use crate::export::read::read_spans;
use crate::report::waterfall::{Style, render};

/// Columns where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 100;

/// Prints the slowest traces.
pub fn run(args: &ShowArgs) -> Result<ExitCode> {
    let name = args.file.display();
    let file = File::open(&args.file)
        .with_context(|| format!("cannot open {name}; `tracer record -o FILE` writes such a file"))?;
    let mut spans = Vec::new();
    read_spans(BufReader::new(file), |span| spans.push(span))
        .with_context(|| format!("{name} is not a trace file of this tool"))?;
    let stdout = std::io::stdout();
    let width = args.width.or_else(|| terminal_width(&stdout)).unwrap_or(DEFAULT_WIDTH).clamp(80, 400);
    let style = Style { width, ..Style::default() };
    let text = render(&spans, args.slowest, style);
    match stdout.lock().write_all(text.as_bytes()) {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        other => other.map(|()| ExitCode::SUCCESS).context("cannot print"),
    }
}

fn terminal_width(stdout: &std::io::Stdout) -> Option<usize> {
    if !stdout.is_terminal() {
        return None;
    }
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request fills a `winsize`, which is what is passed.
    let status = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (status == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
