//! Scoring a recorded cell: `tracer analyze`, the truth, the baselines, the audit.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::known::{self, Known};
use super::{audit, baselines, score};
use crate::scratch::Scratch;
use crate::span::Trace;

/// The file with the observations.
pub const CAPTURE: &str = "capture.tcap";
/// The file with the truth.
pub const TRUTH: &str = "truth.txt";
/// The file with what the load was and what the recording lost.
pub const CIRCUMSTANCES: &str = "run.json";

/// How captures are scored.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The tracer under test.
    pub tracer: PathBuf,
    /// More arguments for `tracer analyze`.
    pub arguments: Vec<String>,
    /// Whether the ids are proved to play no part.
    pub audit: bool,
}

/// What came out for a cell.
#[derive(Debug)]
pub struct Verdict {
    /// The cell's name.
    pub name: String,
    /// The comparison with the truth.
    pub score: score::Score,
    /// What simple rules reach.
    pub baselines: baselines::Baselines,
    /// How long the analysis took, spans written.
    pub took: Duration,
    /// What `run.json` says; null where the capture came without one.
    pub circumstances: Value,
    /// What the audit found different; `None` if it was not made.
    pub audit: Option<Vec<String>>,
}

impl Judge {
    /// Scores the capture in a directory.
    pub fn judge(&self, directory: &Path) -> Result<Verdict> {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let capture = directory.join(CAPTURE);
        let truth = known::read_truth(&directory.join(TRUTH))?;
        let scratch = Scratch::new()?;
        let (trace, took) = self.analyze(&capture, &scratch)?;
        let circumstances = match fs::read(directory.join(CIRCUMSTANCES)) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("run.json is not JSON")?,
            Err(_) => Value::Null,
        };
        let audit = if self.audit { Some(self.audit(&capture, &truth, &trace, &scratch)?) } else { None };
        let known = Known::new(&trace, &truth);
        let score = score::score(&known);
        Ok(Verdict { name, score, baselines: baselines::apply(&known), took, circumstances, audit })
    }

    fn analyze(&self, capture: &Path, scratch: &Scratch) -> Result<(Trace, Duration)> {
        let output = scratch.join("traces.json");
        let begun = Instant::now();
        let done = Command::new(&self.tracer)
            .args(["analyze", "--keep-header", known::HEADER, "--ignore-header", known::HEADER])
            .args(&self.arguments)
            .arg(capture)
            .arg("-o")
            .arg(&output)
            .output()
            .with_context(|| format!("cannot start {}", self.tracer.display()))?;
        let took = begun.elapsed();
        ensure!(done.status.success(), "tracer analyze failed:\n{}", String::from_utf8_lossy(&done.stderr));
        Ok((Trace::read(&output)?, took))
    }

    /// Analyses the capture once more without ids.
    fn audit(
        &self,
        capture: &Path,
        truth: &HashMap<String, Option<String>>,
        trace: &Trace,
        scratch: &Scratch,
    ) -> Result<Vec<String>> {
        let written = truth.iter().flat_map(|(outgoing, incoming)| [Some(outgoing), incoming.as_ref()]);
        let seen = trace.spans.iter().filter_map(|span| known::id(span).map(str::to_owned));
        let ids: HashSet<String> = written.flatten().cloned().chain(seen).collect();
        let bytes = fs::read(capture).with_context(|| format!("cannot read {}", capture.display()))?;
        let (blanked, replaced) = audit::blank(&bytes, &ids)?;
        ensure!(replaced >= truth.len(), "only {replaced} ids were found in the capture, of {}", truth.len());
        let path = scratch.write("blanked.tcap", blanked)?;
        let (without, _) = self.analyze(&path, scratch)?;
        ensure!(
            without.spans.iter().filter_map(known::id).collect::<HashSet<_>>().len() <= 2,
            "ids are left in the capture"
        );
        Ok(audit::differences(trace, &without))
    }
}
