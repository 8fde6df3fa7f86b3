//! librdkafka's broker for tests (`tests/services/kafka_broker.py`), and real clients.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{net, paths};

/// A running broker; ends when dropped.
#[derive(Debug)]
pub struct Kafka {
    _process: Process,
    address: String,
    _scratch: Scratch,
}

/// Starts it on a port of 127.0.0.1 that it chooses.
pub fn start() -> Result<Kafka> {
    let scratch = Scratch::new()?;
    let file = scratch.join("address");
    let mut process = Spec::new(python()?)?
        .arg(paths::services_dir().join("kafka_broker.py").to_string_lossy())
        .env("ADDRESS", file.to_string_lossy())
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait("the broker's address", &mut process, || file.is_file())?;
    let address = std::fs::read_to_string(&file).context("no address")?;
    Ok(Kafka { _process: process, address, _scratch: scratch })
}

/// The Python of the environment with the PyPI packages.
fn python() -> Result<PathBuf> {
    let python = paths::deps_dir()?.join("venv/bin/python");
    ensure!(python.is_file(), "confluent-kafka is not installed; `cargo xtask setup` installs it");
    Ok(python)
}

impl Kafka {
    /// Its port.
    pub fn port(&self) -> Result<u16> {
        let (_, port) = self.address.rsplit_once(':').context("no port in the broker's address")?;
        port.parse().context("not a port")
    }

    /// Runs a program of `tests/services` with its address, and returns what it prints.
    pub fn client(&self, program: &str, count: u32) -> Result<String> {
        let program = paths::services_dir().join(program);
        let spec = Spec::new(python()?)?.arg(program.to_string_lossy());
        process::run(&spec.arg(self.address.clone()).arg(count.to_string())).context("the client failed")
    }
}
