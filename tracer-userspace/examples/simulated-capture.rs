//! Writes a capture of simulated traffic: `simulated-capture CALLS FILE.tcap`. `cargo xtask bench offline` runs it.
//!
//! Says on its standard output, as JSON, what it has written.

use std::fs::File;
use std::io::BufWriter;

use anyhow::{Context, Result};
use tracer_userspace::analysis::simulate::{self, Written};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let calls = args.next().and_then(|text| text.parse().ok()).context("how many calls?")?;
    let path = args.next().context("into which file?")?;
    let file = BufWriter::new(File::create(&path).with_context(|| format!("cannot create {path}"))?);
    let Written { counts, milliseconds, bytes } = simulate::write(calls, file)?;
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
