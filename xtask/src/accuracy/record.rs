//! Recording a cell: the service is started, the tracer records it and nothing else, the load runs, and the capture, the
//! truth and the circumstances are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tracer_tests::accuracy::backend::Backend;
use tracer_tests::accuracy::cell::Cell;
use tracer_tests::accuracy::judge::{CAPTURE, CIRCUMSTANCES, TRUTH};
use tracer_tests::accuracy::known;
use tracer_tests::accuracy::load::{Drive, Load};
use tracer_tests::accuracy::service::Running;
use tracer_tests::tracer::Tracer;

/// Records cells.
pub struct Recorder {
    tracer: PathBuf,
    backend: Backend,
    database: Backend,
    requests: usize,
    time: Duration,
}

impl Recorder {
    /// With this tracer and this many requests for each cell, and not longer than `seconds`.
    pub fn new(tracer: &Path, requests: usize, seconds: u64) -> Result<Self> {
        Ok(Self {
            tracer: tracer.to_path_buf(),
            backend: Backend::http()?,
            database: Backend::database()?,
            requests,
            time: Duration::from_secs(seconds),
        })
    }

    /// Records a cell into a directory; returns a line about it.
    pub fn record(&self, cell: &Cell, directory: &Path) -> Result<String> {
        let mut service = cell.service.start(cell.shape, self.backend, self.database)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let capture = directory.join(CAPTURE);
        let drive = Drive {
            server: service.address(),
            paths: cell.shape.paths(),
            bodies: cell.shape.has_bodies(),
            requests: self.requests,
            time: self.time,
        };
        let said = |service: &Running| format!("the service said:\n{}", service.output());
        if cell.service.warm_up > Duration::ZERO {
            let warm_up = Drive { requests: usize::MAX, time: cell.service.warm_up, ..drive.clone() };
            warm_up.closed(8).with_context(|| said(&service))?;
        }
        // Tried out before the recording, which has that load alone in it.
        let rate =
            if cell.load == Load::Poisson { drive.pace().with_context(|| said(&service))? } else { 0.0 };
        let tracer = Tracer::record_by(&self.tracer, &words(&arguments(&service.pids(), &capture)))?;
        service.forget()?;
        let driven = match cell.load {
            Load::Closed(open) => drive.closed(open),
            Load::Poisson => drive.open(rate),
        };
        let driven = driven.with_context(|| said(&service))?;
        // The ends of the last exchanges are still on their way.
        thread::sleep(Duration::from_millis(300));
        let recording = tracer.stop()?;
        service.check_alive()?;
        fs::copy(service.truth(), directory.join(TRUTH)).context("cannot keep the truth")?;
        let lost = recording.ledger.count("events_lost")?;
        let circumstances = json!({
            "requests": driven.requests,
            "in_flight": driven.in_flight,
            "rate": driven.rate,
            "events_lost": lost,
        });
        fs::write(directory.join(CIRCUMSTANCES), format!("{circumstances}\n"))?;
        Ok(format!(
            "{} requests, {:.1} in flight, {:.0}/s, {lost} events lost, {} spans",
            driven.requests,
            driven.in_flight,
            driven.rate,
            recording.trace.spans.len()
        ))
    }
}

/// The id must be in the spans, and must prove nothing.
fn arguments(pids: &[u32], capture: &Path) -> Vec<String> {
    let mut arguments: Vec<String> =
        pids.iter().flat_map(|pid| ["--pid".to_owned(), pid.to_string()]).collect();
    arguments
        .extend(["--keep-header", known::HEADER, "--ignore-header", known::HEADER, "-o"].map(String::from));
    arguments.push(capture.to_string_lossy().into_owned());
    arguments
}

fn words(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
