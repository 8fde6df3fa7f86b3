//! A RabbitMQ broker of our own, with a port mapper of its own.

use std::time::Duration;

use anyhow::Result;

use crate::process::{Process, Spec};
use crate::scratch::Scratch;
use crate::{net, pace};

/// A running broker; ends when dropped.
#[derive(Debug)]
pub struct RabbitMq {
    _epmd: Process,
    _process: Process,
    port: u16,
    _scratch: Scratch,
}

/// Starts it on a port of 127.0.0.1. That takes some ten seconds.
pub fn start() -> Result<RabbitMq> {
    let scratch = Scratch::new()?;
    let (port, mapper, other) = (net::free_port()?, net::free_port()?, net::free_port()?);
    let directory = scratch.path().to_string_lossy().into_owned();
    scratch.write("plugins", "[].")?;
    let mut epmd = Spec::new("epmd")?
        .args(["-port", &mapper.to_string(), "-address", "127.0.0.1"])
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(mapper, &mut epmd)?;
    let mut process = Spec::new("/usr/lib/rabbitmq/bin/rabbitmq-server")?
        .env("HOME", &*directory)
        .env("RABBITMQ_MNESIA_BASE", format!("{directory}/mnesia"))
        .env("RABBITMQ_LOG_BASE", format!("{directory}/log"))
        .env("RABBITMQ_NODENAME", "queue@localhost")
        .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", other.to_string())
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{directory}/plugins"))
        .env("RABBITMQ_CONFIG_FILE", format!("{directory}/none"))
        .env("RABBITMQ_PID_FILE", format!("{directory}/pid"))
        .env("ERL_EPMD_PORT", mapper.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .in_directory(scratch.path())
        .start(scratch.path())?;
    // It listens before it serves.
    let mut ready = net::wait_for_port(port, &mut process);
    for _ in 0..2 {
        if ready.is_err() {
            ready = net::wait_for_port(port, &mut process);
        }
    }
    ready?;
    std::thread::sleep(pace::limit(Duration::from_secs(2)));
    Ok(RabbitMq { _epmd: epmd, _process: process, port, _scratch: scratch })
}

impl RabbitMq {
    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}//", self.port)
    }
}
