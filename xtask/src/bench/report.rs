//! The result as a page of docs.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::{bystander, own, victim};

/// Everything measured.
pub struct Report {
    rounds: usize,
    seconds: u32,
    machine: String,
    /// Bystanders.
    pub bystander: Vec<bystander::Row>,
    /// nginx.
    pub victim: Vec<victim::Row>,
    /// The tracer.
    pub own: Option<own::Own>,
}

/// Between two such lines of the page stands what the command writes; around them, what people wrote.
#[derive(Clone, Copy)]
pub struct Place {
    begin: &'static str,
    end: &'static str,
}

/// What the tracer costs while it records.
pub const LIVE: Place =
    Place { begin: "<!-- measured: begin (cargo xtask bench --write) -->", end: "<!-- measured: end -->" };
/// What gathering evidence costs the traced.
pub const EVIDENCE: Place = Place {
    begin: "<!-- evidence: begin (cargo xtask bench evidence --write) -->",
    end: "<!-- evidence: end -->",
};
/// What the analysis of a capture costs.
pub const OFFLINE: Place = Place {
    begin: "<!-- offline: begin (cargo xtask bench offline --write) -->",
    end: "<!-- offline: end -->",
};
/// How fast spans are written for other tools.
pub const EXPORT: Place =
    Place { begin: "<!-- export: begin (cargo xtask bench export --write) -->", end: "<!-- export: end -->" };
/// How long lists, reports and comparisons of spans take.
pub const VIEWS: Place =
    Place { begin: "<!-- views: begin (cargo xtask bench views --write) -->", end: "<!-- views: end -->" };
/// What parsing costs.
pub const PARSERS: Place = Place {
    begin: "<!-- parsers: begin (cargo xtask bench parsers --write) -->",
    end: "<!-- parsers: end -->",
};
/// How fast links are found.
pub const ENGINE: Place =
    Place { begin: "<!-- engine: begin (cargo xtask bench engine --write) -->", end: "<!-- engine: end -->" };

impl Report {
    /// An empty one, with a description of the machine.
    pub fn new(rounds: usize, seconds: u32) -> Result<Self> {
        let machine = machine()?;
        Ok(Self { rounds, seconds, machine, bystander: Vec::new(), victim: Vec::new(), own: None })
    }

    /// The tables.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write_tables(&mut out);
        out
    }

    fn write_tables(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "{}. {} rounds, {} s a run, medians.\n", self.machine, self.rounds, self.seconds)?;
        if !self.victim.is_empty() {
            let rate = super::median(&self.victim.iter().map(|row| row.untraced_rate).collect::<Vec<_>>());
            writeln!(
                out,
                "### nginx, one worker, 200-byte file, keep-alive, saturated ({rate:.0} requests/s untraced)\n"
            )?;
            writeln!(
                out,
                "| beside it | throughput | CPU per request | p99 | requests captured | events lost |"
            )?;
            writeln!(out, "|---|---|---|---|---|---|")?;
            for row in &self.victim {
                let captured = row.captured.map_or(String::new(), |share| format!("{:.2} %", share * 100.0));
                let lost = row.lost.map_or(String::new(), |lost| lost.to_string());
                writeln!(
                    out,
                    "| {} | {:.3} | {:+.2} µs | {:.2}× | {captured} | {lost} |",
                    row.contender.name(),
                    row.throughput,
                    row.cpu_micros,
                    row.p99
                )?;
            }
            writeln!(out)?;
        }
        if !self.bystander.is_empty() {
            writeln!(out, "### A process that is not traced\n")?;
            writeln!(out, "| beside it | getppid | write to /dev/null |\n|---|---|---|")?;
            for row in &self.bystander {
                writeln!(
                    out,
                    "| {} | {:+.1} ns (of {:.0}) | {:+.1} ns |",
                    row.contender.name(),
                    row.getppid,
                    row.untraced,
                    row.write
                )?;
            }
            writeln!(out)?;
        }
        if let Some(own) = &self.own {
            writeln!(out, "### The tracer itself, every process traced\n")?;
            writeln!(out, "| | |\n|---|---|")?;
            writeln!(
                out,
                "| load | {:.0} requests/s for {} s ({} asked for) |",
                own.rate,
                own.seconds,
                own::RATE
            )?;
            writeln!(
                out,
                "| spans of requests | {} of {} (both ends of each) |",
                own.spans,
                own.requests * 2
            )?;
            writeln!(out, "| events lost | {} |", own.lost)?;
            writeln!(out, "| CPU per span | {:.2} µs |", own.cpu_per_span_micros)?;
            writeln!(out, "| peak resident memory | {:.0} MiB |", own.rss_mib)?;
            writeln!(out, "| kernel maps | {:.1} MiB |", own.maps_mib)?;
            writeln!(out, "| start to attached | {:.0} ms |", own.attach_ms)?;
            writeln!(out, "| detach | {:.1} ms |\n", own.detach_ms)?;
        }
        Ok(())
    }
}

/// What everything is measured on.
pub fn machine() -> Result<String> {
    let kernel =
        std::fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read the kernel's release")?;
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    Ok(format!("Linux {}, {cpus} processors (virtual, shared)", kernel.trim()))
}

/// Puts tables into their place of the page, leaving what people wrote.
pub fn write(page: &Path, Place { begin, end }: Place, tables: &str) -> Result<()> {
    let old = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let (before, rest) =
        old.split_once(begin).with_context(|| format!("{} has no line {begin}", page.display()))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("{} has no line {end}", page.display()))?;
    let new = format!("{before}{begin}\n{tables}{end}{after}");
    std::fs::write(page, new).with_context(|| format!("cannot write {}", page.display()))
}
