//! A MariaDB of our own, as nobody, with its general log, which says every command that it was sent.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{net, pace, paths};

/// A command of the general log (`Query`, `Prepare`, `Execute`, `Quit`, ...), and its text.
pub type Logged = (String, String);

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct MariaDb {
    process: Process,
    port: u16,
    log: PathBuf,
    scratch: Scratch,
}

/// Makes a data directory and starts the server. Everyone on 127.0.0.1 may do everything, without a password and without TLS.
pub fn start() -> Result<MariaDb> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let directory = scratch.path().to_string_lossy().into_owned();
    process::run(
        &Spec::new("mariadb-install-db")?
            .args(["--no-defaults", &format!("--datadir={directory}/data"), "--skip-test-db"])
            .args(["--auth-root-authentication-method=normal"])
            .as_nobody()
            .in_directory(scratch.path()),
    )?;
    let log = scratch.join("general.log");
    let mut process = Spec::new("mariadbd")?
        .args(["--no-defaults", &format!("--datadir={directory}/data"), &format!("--port={port}")])
        .args([
            "--bind-address=127.0.0.1",
            &format!("--socket={directory}/mariadb.sock"),
            "--skip-name-resolve",
        ])
        .args(["--skip-ssl", "--general-log", &format!("--general-log-file={}", log.display())])
        .args([&format!("--pid-file={directory}/mariadb.pid"), "--innodb-flush-log-at-trx-commit=0"])
        .as_nobody()
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    let server = MariaDb { process, port, log, scratch };
    let deadline = Instant::now() + pace::limit(Duration::from_secs(20));
    while let Err(error) = server.sql("SELECT 1") {
        ensure!(Instant::now() < deadline, "MariaDB does not answer: {error:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(server)
}

impl MariaDb {
    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A directory that lives as long as the server.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs statements with MariaDB's own client, over TCP, and returns what it prints.
    pub fn sql(&self, statements: &str) -> Result<String> {
        process::run(
            &Spec::new("mariadb")?
                .args(["--no-defaults", "--skip-ssl", "-h", "127.0.0.1", "-u", "root", "-N", "-B"])
                .args(["-P", &self.port.to_string(), "-e", statements]),
        )
    }

    /// Runs a program of `tests/services` with this server's port, and returns what it prints.
    pub fn client(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let file = paths::services_dir().join(program);
        let interpreter = if program.ends_with(".php") { "php" } else { "/usr/bin/python3" };
        process::run(
            &Spec::new(interpreter)?
                .arg(file.to_string_lossy())
                .arg(self.port.to_string())
                .args(arguments.iter().copied()),
        )
    }

    /// The commands of its general log.
    pub fn commands(&self) -> Result<Vec<Logged>> {
        let bytes = std::fs::read(&self.log).context("no general log")?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // The time, which is left out where it is that of the line before; the connection's number, the command, a tab, the text.
        let command = |line: &str| {
            let line = line.trim_start();
            let line = line
                .split_once('\t')
                .filter(|(time, _)| time.contains(':'))
                .map_or(line, |(_, rest)| rest.trim_start());
            let (number, rest) = line.split_once(' ')?;
            let (name, text) = rest.split_once('\t').unwrap_or((rest, ""));
            number.parse::<u64>().is_ok().then(|| (name.trim().to_owned(), text.to_owned()))
        };
        Ok(text.lines().skip(3).filter_map(command).collect())
    }
}
