//! A server that speaks MongoDB's protocol (`tests/services/mongodb_server.py`), and real drivers.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{net, paths};

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct MongoDb {
    _process: Process,
    port: u16,
    scratch: Scratch,
}

/// A request as the server logged it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The command.
    pub command: String,
    /// The collection.
    pub collection: Option<String>,
    /// The database.
    pub database: String,
    /// The error of its answer.
    pub error: Option<String>,
}

/// Starts it on a port of 127.0.0.1.
pub fn start() -> Result<MongoDb> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let log = scratch.write("requests.log", "")?;
    let mut process = Spec::new(python()?)?
        .arg(paths::services_dir().join("mongodb_server.py").to_string_lossy())
        .arg(port.to_string())
        .env("LOG", log.to_string_lossy())
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(MongoDb { _process: process, port, scratch })
}

/// The Python of the environment with the PyPI packages.
fn python() -> Result<PathBuf> {
    let python = paths::deps_dir()?.join("venv/bin/python");
    ensure!(python.is_file(), "pymongo is not installed; `cargo xtask setup` installs it");
    Ok(python)
}

impl MongoDb {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Result<Vec<Request>> {
        let log = std::fs::read_to_string(self.scratch.join("requests.log")).context("no log")?;
        let line = |line: &str| {
            let (command, collection, database, error) = serde_json::from_str(line)?;
            Ok(Request { command, collection, database, error })
        };
        log.lines().map(line).collect()
    }

    /// PyMongo: a client in each thread. Returns what it prints.
    pub fn pymongo(&self, threads: u32, rounds: u32) -> Result<String> {
        let program = paths::services_dir().join("mongodb_client.py");
        let numbers = [u32::from(self.port), threads, rounds].map(|number| number.to_string());
        process::run(&Spec::new(python()?)?.arg(program.to_string_lossy()).args(numbers))
    }

    /// MongoDB's driver for Node, with so many connections.
    pub fn node(&self, connections: u32, rounds: u32) -> Result<String> {
        let modules = paths::deps_dir()?.join("node/node_modules");
        ensure!(
            modules.join("mongodb").is_dir(),
            "mongodb is not installed; `cargo xtask setup` installs it"
        );
        let program = paths::services_dir().join("mongodb_client.js");
        let numbers = [u32::from(self.port), connections, rounds].map(|number| number.to_string());
        let spec = Spec::new("node")?.env("NODE_PATH", modules.to_string_lossy());
        process::run(&spec.arg(program.to_string_lossy()).args(numbers))
    }
}
