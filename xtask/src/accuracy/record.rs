//! Recording a cell: the service is started, the tracer records it and nothing else, the load runs, and the capture, the
//! truth and the circumstances are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tracer_tests::accuracy::backend::Backend;
use tracer_tests::accuracy::load::Drive;
use tracer_tests::tracer::Tracer;

use super::cell::Cell;

/// The file with the observations.
pub const CAPTURE: &str = "capture.tcap";
/// The file with the truth.
pub const TRUTH: &str = "truth.txt";
/// The file with what the load was and what the recording lost.
pub const CIRCUMSTANCES: &str = "run.json";

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
        let service = cell.service.start(cell.shape, self.backend, self.database, true)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let capture = directory.join(CAPTURE);
        let pid = service.pid().to_string();
        let tracer = Tracer::record_by(&self.tracer, &["--pid", &pid, "-o", &capture.to_string_lossy()])?;
        let drive = Drive {
            server: service.address(),
            paths: cell.shape.paths(),
            in_query: true,
            requests: self.requests,
            time: self.time,
        };
        let driven = drive.run(cell.load).with_context(|| format!("the service said:\n{}", service.output()))?;
        // The ends of the last exchanges are still on their way.
        thread::sleep(Duration::from_millis(300));
        let recording = tracer.stop()?;
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
