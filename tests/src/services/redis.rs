//! A Redis server of our own, which keeps nothing.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::net;
use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: u16,
    _scratch: Scratch,
}

/// Starts it on a port of 127.0.0.1.
pub fn start() -> Result<Redis> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let mut process = Spec::new("redis-server")?
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(Redis { process, port, _scratch: scratch })
}

impl Redis {
    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn command(&self, words: &[&str]) -> Result<String> {
        process::run(
            &Spec::new("redis-cli")?.args(["-p", &self.port.to_string()]).args(words.iter().copied()),
        )
    }

    /// Its own counts begin anew.
    pub fn reset(&self) -> Result<()> {
        self.command(&["CONFIG", "RESETSTAT"]).map(drop)
    }

    /// How often each command was executed since then, by its name in upper case (`CLIENT SETINFO`), but for what this harness sends.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for line in self.command(&["INFO", "commandstats"])?.lines() {
            let Some(rest) = line.trim().strip_prefix("cmdstat_") else { continue };
            let (name, rest) = rest.split_once(":calls=").context("no count")?;
            let (calls, _) = rest.split_once(',').context("no end of a count")?;
            let name = name.replace('|', " ").to_uppercase();
            if !matches!(name.as_str(), "INFO" | "CONFIG RESETSTAT") {
                counts.insert(name, calls.parse().context("not a count")?);
            }
        }
        Ok(counts)
    }
}
