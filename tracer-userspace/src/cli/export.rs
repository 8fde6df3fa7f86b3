//! `tracer export`.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};

use super::analyze::BAD_INPUT;
use super::args::ExportArgs;
use super::output::{beside, create, is_standard, shown};
use super::push::{own_calls, told};
use super::signals;
use crate::export::convert::{ConvertError, SpanWriter, Written, convert_file, convert_stream};
use crate::export::formats::{FileFormat, Host, trace};
use crate::recording::push::Pace;
use crate::spans::Problems;
use crate::spans::elements::ElementError;
use crate::spans::file::try_each_span;
use crate::text::count;

/// Writes the spans of a file in the form of another tool.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let Some(output) = &args.output else { return push(args) };
    let format = format(args, output)?;
    let name = shown(&args.file, "standard input");
    let input = open(&args.file)?;
    if !is_standard(output) && is_one_file(&input, output) {
        bail!("{name} would be overwritten by what is made of it; choose another file (-o)");
    }
    let target = create(output)?;
    // From here on an end by a signal leaves a file that is whole.
    let stop = signals::stop_flag()?;
    let stop = || stop.load(Ordering::Relaxed);
    let host = Host::default();
    let result = match format.of_stream(&host) {
        Some(form) => SpanWriter::new(target, form)
            .map_err(ConvertError::from)
            .and_then(|writer| convert_stream(&input, writer, stop)),
        None => {
            let input = seekable(input, &beside(output))
                .with_context(|| format!("cannot keep {name} until it is read"))?;
            convert_file(&input, target, format, &host, stop)
        }
    };
    let written = match result {
        Ok(written) => written,
        Err(ConvertError::Output(error)) => bail!("{error}"),
        Err(ConvertError::Input(ElementError::Io(error))) => {
            return Err(error).with_context(|| format!("cannot read {name}"));
        }
        Err(ConvertError::Input(error)) => {
            eprintln!("tracer: {name}: {error}");
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    Ok(report(args, output, format, &written))
}

/// Sends the spans of a file to a collector.
fn push(args: &ExportArgs) -> Result<ExitCode> {
    let name = shown(&args.file, "standard input");
    let input = open(&args.file)?;
    let Some(mut push) = args.push.begin(&own_calls(), Host::default(), Pace::Patient, false)? else {
        bail!("say where the spans go: -o FILE, or --push URL");
    };
    let stop = signals::stop_flag()?;
    let (mut problems, mut json) = (Problems::default(), Vec::new());
    let read = try_each_span(&input, &mut problems, |span, _| {
        json.clear();
        trace::object(&span, &mut json);
        push.span(&json);
        // Once it has failed for good, the rest is only counted.
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let delivery = push.finish(None);
    for line in problems.to_string().lines() {
        eprintln!("tracer: {name}: {line}");
    }
    eprintln!("{}", told(&delivery));
    match read {
        Ok(Some(())) => return Ok(ExitCode::from(signals::INTERRUPTED)),
        Ok(None) => {}
        Err(ElementError::Io(error)) => return Err(error).with_context(|| format!("cannot read {name}")),
        Err(error) => {
            eprintln!("tracer: {name}: {error}");
            return Ok(ExitCode::from(BAD_INPUT));
        }
    }
    if delivery.spans.lost() > 0 {
        return Ok(ExitCode::FAILURE);
    }
    let left_out = problems.lost_any() || problems.duplicates > 0;
    Ok(if left_out { ExitCode::from(BAD_INPUT) } else { ExitCode::SUCCESS })
}

/// What was asked for, or what the output's name says.
fn format(args: &ExportArgs, output: &Path) -> Result<FileFormat> {
    if let Some(format) = args.format {
        return Ok(format.into());
    }
    let Some(format) = FileFormat::of_name(output) else {
        let names: Vec<&str> = FileFormat::ALL.iter().map(|format| format.example()).collect();
        let output = output.display();
        bail!(
            "{output} does not say which format is wanted: choose a name such as {}, or say it with --format trace, otlp, zipkin, \
             jaeger, perfetto or csv",
            names.join(", ")
        );
    };
    Ok(format)
}

fn open(path: &Path) -> Result<File> {
    if is_standard(path) {
        let stdin = io::stdin().as_fd().try_clone_to_owned().context("cannot read standard input")?;
        return Ok(stdin.into());
    }
    File::open(path).with_context(|| {
        format!("cannot open {}; `tracer record -o FILE` writes such a file", path.display())
    })
}

/// A file that can be read twice: what comes through a pipe is kept in one without a name.
fn seekable(mut input: File, directory: &Path) -> io::Result<File> {
    if input.metadata()?.is_file() {
        return Ok(input);
    }
    let mut kept = tempfile::tempfile_in(directory)?;
    io::copy(&mut input, &mut kept)?;
    Ok(kept)
}

fn is_one_file(input: &File, output: &Path) -> bool {
    let identity = |file: fs::Metadata| (file.is_file(), file.dev(), file.ino());
    let input = input.metadata().map(identity);
    matches!((input, fs::metadata(output).map(identity)), (Ok(input), Ok(output)) if input.0 && input == output)
}

fn report(args: &ExportArgs, output: &Path, format: FileFormat, written: &Written) -> ExitCode {
    let name = shown(&args.file, "standard input");
    for line in written.problems.to_string().lines() {
        eprintln!("tracer: {name}: {line}");
    }
    if written.hashed_ids > 0 {
        eprintln!(
            "tracer: {name}: {} spans have ids that are no hexadecimal numbers of the usual length; each such id was replaced by one that \
             is made from it, the same for the same",
            count(written.hashed_ids)
        );
    }
    let output = shown(output, "standard output");
    if written.stopped {
        eprintln!(
            "interrupted: {} spans in {output}, which is whole as far as it goes",
            count(written.spans)
        );
        return ExitCode::from(signals::INTERRUPTED);
    }
    eprintln!("{} spans in {output}; {}", count(written.spans), format.use_of());
    let left_out = written.problems.lost_any() || written.problems.duplicates > 0;
    if left_out { ExitCode::from(BAD_INPUT) } else { ExitCode::SUCCESS }
}
