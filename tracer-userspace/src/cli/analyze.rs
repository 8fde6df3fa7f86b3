//! `tracer analyze`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::args::AnalyzeArgs;
use super::learned;
use super::output::{self, create};
use super::push::{own_calls, told};
use super::remarks;
use crate::analysis::{Analysis, Observation};
use crate::exchange::Step;
use crate::export::formats::Host;
use crate::protocol::headers::Headers;
use crate::recording::push::Pace;
use crate::recording::spans::SpanFile;
use crate::report::account::{Account, Spans};
use crate::report::summary::Summary;
use crate::tcap::{Problem, Reader, Told};

/// The exit code for a file that is damaged, or no capture.
pub(super) const BAD_INPUT: u8 = 2;

/// Turns a capture into traces.
pub fn run(args: &AnalyzeArgs) -> Result<ExitCode> {
    let headers = args.headers.read()?;
    let Some(file) = &args.file else { bail!("give the capture that is to be analysed") };
    let name = file.display();
    let mut reader = match File::open(file).map_err(Problem::from).and_then(Reader::open) {
        Ok(reader) => reader,
        Err(problem) => {
            eprintln!("tracer: {name}: {problem}");
            return Ok(ExitCode::from(BAD_INPUT));
        }
    };
    if are_one_file(file, &args.output) {
        bail!("{name} would be overwritten by its own traces; choose another file for them (-o)");
    }
    let spans = output::span_file(create(&args.output)?, &args.output, Host::default(), u64::MAX)?;
    // Where it was recorded is another host, perhaps.
    let mut spans = spans.pushed(args.push.begin(&own_calls(), Host::default(), Pace::Patient, false)?);
    let mut analysis = learned::analysis(reader.description().clock, &args.links, &headers)?;
    let mut shown = BTreeSet::new();
    let mut account = read(&mut reader, &headers, &mut shown, &mut analysis, &mut spans)
        .with_context(|| format!("cannot read {name}"))?;
    analysis.finish(&mut |span| spans.span(&span));
    spans.finish(None);

    let stats = analysis.stats();
    // What the recording pushed is another matter.
    account.pushed_to = spans.delivery.as_ref().map(|delivery| delivery.to.clone());
    account.spans_delivered = spans.delivery.as_ref().map_or(0, |delivery| delivery.spans.delivered);
    (account.metric_points_delivered, account.metric_points_not_delivered) = (0, 0);
    account.spans_not_delivered = spans.delivery.as_ref().map_or(0, |delivery| delivery.spans.lost());
    account.spans = Some(Spans::of(&stats, spans.unwritten));
    remarks::say(&name, &remarks::secrets(&reader, account.unmasked));
    let summary = Summary { account, services: Some(spans.tally), stats };
    eprint!("{summary}");
    for absent in headers.kept().iter().filter(|header| !shown.contains(*header)) {
        eprintln!("tracer: {name} holds no header {absent}; `tracer record --keep-header {absent}` keeps it");
    }
    if let Some(error) = spans.failed {
        bail!("{error}");
    }
    eprintln!("{}", output::written(stats.spans, &args.output));
    remarks::say(&name, &remarks::gaps(&reader));
    if let Some(delivery) = &spans.delivery {
        eprintln!("{}", told(delivery));
    }
    if spans.delivery.as_ref().is_some_and(|delivery| delivery.spans.lost() > 0) {
        return Ok(ExitCode::FAILURE);
    }
    Ok(if reader.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(BAD_INPUT) })
}

/// Reads the file to its end; what the recorder says of its run is returned. `shown` become the kept headers that there are,
/// of those that `headers` asks for.
pub(super) fn read(
    reader: &mut Reader<File>,
    headers: &Headers,
    shown: &mut BTreeSet<Arc<str>>,
    analysis: &mut Analysis,
    spans: &mut SpanFile,
) -> io::Result<Account> {
    let mut account = Account::default();
    while let Some(told) = reader.read_next()? {
        match told {
            Told::Observation(mut observation) => {
                if let Observation::Step(Step::Request { head, .. }) = &mut observation {
                    headers.restrict(head);
                    if headers.keeps_any() {
                        shown.extend(head.kept().iter().map(|kept| Arc::clone(&kept.name)));
                    }
                }
                analysis.observe(observation, &mut |span| spans.span(&span));
            }
            Told::Hole => analysis.interrupted(&mut |span| spans.span(&span)),
            // Of this run: it is of use to others.
            Told::Clock(_) | Told::Learned(_) => {}
            Told::Ledger(json) => account = serde_json::from_slice(&json).unwrap_or_default(),
        }
    }
    Ok(account)
}

/// Writing the traces must not be what destroys the capture, whatever both are called.
pub(super) fn are_one_file(capture: &Path, traces: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    identity(capture).is_some_and(|capture| identity(traces) == Some(capture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_recognised_by_its_other_names() {
        let directory = std::env::temp_dir().join(format!("tracer-analyze-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (capture, link, other) =
            (directory.join("a.tcap"), directory.join("b.json"), directory.join("c.json"));
        fs::write(&capture, "x").unwrap();
        fs::hard_link(&capture, &link).unwrap();
        assert!(are_one_file(&capture, &link));
        assert!(!are_one_file(&capture, &other));
        fs::write(&other, "x").unwrap();
        assert!(!are_one_file(&capture, &other));
        fs::remove_dir_all(&directory).unwrap();
    }
}
