//! A memcached of our own, as nobody.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{client, net, paths};

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Memcached {
    process: Process,
    port: u16,
    _scratch: Scratch,
}

/// Starts it on a port of 127.0.0.1.
pub fn start() -> Result<Memcached> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let mut process = Spec::new("memcached")?
        .args(["-l", "127.0.0.1", "-p", &port.to_string(), "-U", "0", "-m", "64"])
        .as_nobody()
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(Memcached { process, port, _scratch: scratch })
}

impl Memcached {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its own counters (`stats`).
    pub fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let mut connection = client::Connection::open(self.port)?;
        connection.send("stats\r\n")?;
        let mut stats = BTreeMap::new();
        loop {
            let line = connection.line()?;
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("STAT"), Some(name), Some(value)) => {
                    // Some are no whole numbers.
                    if let Ok(value) = value.parse() {
                        stats.insert(name.to_owned(), value);
                    }
                }
                _ => return Ok(stats),
            }
        }
    }

    /// Runs a program of `tests/services` with this server's port, in Debian's Python or, if it needs packages of PyPI, in their
    /// environment, and returns what it prints.
    pub fn client(&self, program: &str, needs_pypi: bool, arguments: &[&str]) -> Result<String> {
        let file = paths::services_dir().join(program);
        let python =
            if needs_pypi { paths::deps_dir()?.join("venv/bin/python") } else { "/usr/bin/python3".into() };
        process::run(
            &Spec::new(python)?
                .arg(file.to_string_lossy())
                .arg(self.port.to_string())
                .args(arguments.iter().copied()),
        )
        .context("the client failed")
    }
}
