//! Writes a capture of simulated traffic: `simulated-capture CALLS FILE.tcap`. `cargo xtask bench offline` runs it.
//!
//! Says on its standard output, as JSON, what it has written.

use std::fs::File;
use std::io::BufWriter;

use anyhow::{Context, Result};
use tracer_userspace::analysis::simulate::{CLOCK, Traffic};
use tracer_userspace::tcap::{Description, Writer};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let calls = args.next().and_then(|text| text.parse().ok()).context("how many calls?")?;
    let path = args.next().context("into which file?")?;
    let file = BufWriter::new(File::create(&path).with_context(|| format!("cannot create {path}"))?);
    let description = Description {
        clock: CLOCK,
        kernel: "simulated".to_owned(),
        provider: "simulated".to_owned(),
        missing: Vec::new(),
        unmasked: false,
        raw: false,
        features: Vec::new(),
    };
    let mut writer = Writer::new(file, &description)?;
    let mut traffic = Traffic::new(calls);
    let mut last = CLOCK.monotonic;
    for (now, observation) in traffic.by_ref() {
        writer.observe(&observation, now)?;
        writer.tick(now)?;
        last = now;
    }
    let counts = traffic.counts();
    let milliseconds = last.since(CLOCK.monotonic) / 1_000_000;
    let bytes = writer.finish(serde_json::json!({ "observed_ms": milliseconds }).to_string().as_bytes())?;
    println!(
        "{}",
        serde_json::json!({
            "calls": counts.calls,
            "exchanges": counts.exchanges,
            "connections": counts.connections,
            "milliseconds": milliseconds,
            "bytes": bytes,
        })
    );
    Ok(())
}
