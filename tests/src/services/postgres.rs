//! A PostgreSQL cluster of our own, as nobody, because the server refuses root.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{net, paths};

/// A running cluster; ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    programs: PathBuf,
    scratch: Scratch,
}

/// Makes a cluster and starts it. Everyone on 127.0.0.1, or through a unix socket in its directory, may connect as `postgres`,
/// without a password and without TLS.
pub fn start() -> Result<Postgres> {
    start_with(&[])
}

/// As [`start`], with settings (`name=value`).
pub fn start_with(settings: &[&str]) -> Result<Postgres> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let programs = paths::newest("/usr/lib/postgresql", "", "")
        .context("PostgreSQL is not installed; `cargo xtask setup` installs it")?
        .join("bin");
    process::run(
        &Spec::new(programs.join("initdb"))?
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
                "data",
            ])
            .as_nobody()
            .in_directory(scratch.path()),
    )?;
    let mut process = Spec::new(programs.join("postgres"))?
        .args(["-D", "data", "-p", &port.to_string(), "-k", &scratch.path().to_string_lossy()])
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "ssl=off"])
        .args(settings.iter().flat_map(|setting| ["-c", *setting]))
        .as_nobody()
        .in_directory(scratch.path())
        // "Fast shutdown": it does not wait for its clients.
        .stop_with(libc::SIGINT)
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    let postgres = Postgres { process, port, programs, scratch };
    postgres.wait_until_it_answers()?;
    Ok(postgres)
}

impl Postgres {
    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory that it works in, with its unix socket.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// One of its programs, such as `psql`.
    pub fn program(&self, name: &str) -> Result<Spec> {
        Spec::new(self.programs.join(name))
    }

    /// Process id of its main process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Runs a statement in a database and returns what psql prints, without headings.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        process::run(
            &self
                .program("psql")?
                .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-d", database])
                .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-c", statement]),
        )
    }

    /// The port is open some moments before the server is willing.
    fn wait_until_it_answers(&self) -> Result<()> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            match self.sql("postgres", "SELECT 1") {
                Ok(_) => return Ok(()),
                Err(error) if std::time::Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(50)),
            }
        }
    }
}
