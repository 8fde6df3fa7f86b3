//! The first process of a guest: makes a usable machine of it, runs the jobs of the plan, reports, powers off.
//!
//! It runs as process 1. Whatever goes wrong is reported on the port if there is one, else on the console, and ends
//! in power-off: a guest that could not do its work must not look like one that is still busy.

mod devices;
mod filesystems;
mod jobs;
mod report;

use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::reboot::{RebootMode, reboot};
use tracer_guest::frame::Frame;
use tracer_guest::plan::{self, Plan};

use crate::report::Report;

fn main() {
    if let Err(error) = run() {
        // No port: the console is the only place left.
        report::console(&format!("guest-init: {error:#}"));
    }
    nix::unistd::sync();
    // It returns only where power-off is not possible; the kernel then panics over the end of process 1, which is seen.
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    report::console(&format!("guest-init: cannot power off: {error}"));
}

/// Everything up to power-off. An error means that not even reporting was possible.
fn run() -> Result<()> {
    filesystems::basic()?;
    let plan = std::fs::read(plan::PATH).with_context(|| format!("no plan at {}", plan::PATH))?;
    let plan: Plan = serde_json::from_slice(&plan).context("the plan cannot be read")?;
    devices::load_modules(&plan.modules)?;
    let report = Report::open()?;
    if let Err(error) = work(&plan, &report) {
        report.send(&Frame::Failed(format!("{error:#}")))?;
    }
    report.send(&Frame::Done)
}

fn work(plan: &Plan, report: &Report) -> Result<()> {
    devices::loopback_up()?;
    devices::raise_limits()?;
    let root = filesystems::root(plan.root)?;
    filesystems::inside(&root, plan.cgroup)?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").context("no kernel release")?;
    report.send(&Frame::Ready(release.trim().to_owned()))?;
    for job in &plan.jobs {
        jobs::run(job, Path::new(&root), report)?;
    }
    Ok(())
}
