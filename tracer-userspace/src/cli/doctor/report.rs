//! What `tracer doctor` found, as a value: the shape of `tracer doctor --json`, and what its text is made from.
//!
//! Programs read this (`cargo xtask kernels`, and whoever opens a support bundle): members may be added, and keep their
//! names and meaning. Nothing in it names the host, a user, a process or an address.

use anyhow::{Context, Result};
use serde::Serialize;

use super::host::HostReport;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The program that speaks.
    pub tracer: TracerReport,
    /// The host's facts.
    pub host: HostReport,
    /// What stands in the way, what blocks first.
    pub problems: Vec<ProblemReport>,
    /// Every way of seeing socket calls, in the order in which they are tried.
    pub providers: Vec<ProviderReport>,
    /// The one that is used.
    pub provider: Option<String>,
    /// The programs that were loaded.
    pub programs: Vec<ProgramReport>,
    /// What traces will not show, because an optional program could not be attached.
    pub missing: Vec<String>,
    /// Where members lie in this kernel's structures.
    pub offsets: Vec<OffsetReport>,
    /// The check on connections of the tracer's own.
    pub self_check: SelfCheckReport,
    /// How long taking the programs out took, ms; null when none were attached.
    pub detach_ms: Option<f64>,
    /// One sentence.
    pub verdict: String,
    /// Whether `tracer record` works here.
    pub can_trace: bool,
}

/// The program that speaks.
#[derive(Debug, Serialize)]
pub struct TracerReport {
    /// Its version.
    pub version: &'static str,
    /// The architecture it was built for (`std::env::consts::ARCH`).
    pub arch: &'static str,
    /// SHA-256 of the probes' object in it, hexadecimal.
    pub probes_sha256: &'static str,
}

impl TracerReport {
    /// This program.
    pub const THIS: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        arch: std::env::consts::ARCH,
        // Taken by build.rs of the file that `capture::load` includes.
        probes_sha256: env!("TRACER_PROBES_SHA256"),
    };
}

/// Something that stands in the way.
#[derive(Debug, Serialize)]
pub struct ProblemReport {
    /// `blocks` or `limits`.
    pub severity: &'static str,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// What came of one way of seeing socket calls.
#[derive(Debug, Serialize)]
pub struct ProviderReport {
    /// Its name, as `--provider` takes it.
    pub name: String,
    /// What came of it.
    pub state: ProviderState,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// What came of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ProviderState {
    /// It is the one.
    #[serde(rename = "used")]
    Used,
    /// The kernel, or the self-check, refused it.
    #[serde(rename = "refused")]
    Refused,
    /// A better one was found first, or nothing was tried.
    #[serde(rename = "not tried")]
    NotTried,
}

/// A program that the kernel took.
#[derive(Debug, Serialize)]
pub struct ProgramReport {
    /// Its name in the object.
    pub name: String,
    /// Tracepoints or functions.
    pub attached_to: Vec<String>,
    /// Instructions that the verifier walked; null before Linux 5.16, which does not say.
    pub verified_instructions: Option<u32>,
}

/// Where a member lies.
#[derive(Debug, Serialize)]
pub struct OffsetReport {
    /// The tracer's name for it.
    pub field: String,
    /// `struct.member`, as the kernel's source names it.
    pub path: String,
    /// Bytes from the beginning of the structure; null when this kernel has no such member.
    pub bytes: Option<u32>,
    /// Where that is known from.
    pub source: String,
}

/// The check of what the probes read.
#[derive(Debug, Serialize)]
pub struct SelfCheckReport {
    /// Everything read was as it should be.
    pub passed: bool,
    /// What was not, or why there was no check.
    pub error: Option<String>,
}

impl Report {
    /// One JSON object, indented, with a line end.
    pub fn to_json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self).context("cannot write the report as JSON")?;
        text.push('\n');
        Ok(text)
    }
}
