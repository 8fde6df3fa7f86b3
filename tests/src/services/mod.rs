//! Real servers, unmodified, started with our configuration in a temporary directory on a free port of 127.0.0.1.
//!
//! They are Debian's own programs where Debian has them. No system service is started, stopped or relied upon.

pub mod apache;
pub mod dnsmasq;
pub mod fpm;
pub mod golang;
pub mod gunicorn;
pub mod h2c;
pub mod http1;
pub mod http2;
pub mod java;
pub mod kafka;
pub mod mariadb;
pub mod memcached;
pub mod mongodb;
pub mod nginx;
pub mod node;
pub mod odd;
pub mod pgbouncer;
pub mod postgres;
pub mod postgres_log;
pub mod rabbitmq;
pub mod redis;
pub mod sdk;
pub mod users;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::access_log::{self, Line, Unit};
use crate::net;
use crate::process::{Process, Spec};
use crate::scratch::Scratch;
use crate::truth::{self, Call};

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Service {
    // Before the directory, so that the server ends before its files go.
    process: Process,
    port: u16,
    access_log: PathBuf,
    truth: PathBuf,
    unit: Unit,
    scratch: Scratch,
}

impl Service {
    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A URL of it.
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address())
    }

    /// Process id of its main process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The unit of its access log.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The directory it works in.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// What its access log says about targets with that beginning.
    pub fn log(&self, prefix: &str) -> Result<Vec<Line>> {
        access_log::read(&self.access_log, self.unit, prefix)
    }

    /// As [`Service::log`], once there are at least `count` lines.
    pub fn log_at_least(&self, prefix: &str, count: usize) -> Result<Vec<Line>> {
        access_log::read_at_least(&self.access_log, self.unit, prefix, count)
    }

    /// The calls it wrote down.
    pub fn calls(&self) -> Result<Vec<Call>> {
        truth::read(&self.truth)
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts a program that listens on `port`, logs to `access_log` in nanoseconds, and finds both, the truth file
    /// and its backend in its environment: how the small programs are written.
    fn start_program(spec: Spec, scratch: Scratch, options: &Options) -> Result<Self> {
        let port = net::free_port()?;
        let access_log = scratch.write("access.log", "")?;
        let truth = scratch.write("truth", "")?;
        let spec = options
            .apply(spec)
            .env("PORT", port.to_string())
            .env("ACCESS_LOG", access_log.to_string_lossy())
            .env("TRUTH", truth.to_string_lossy())
            .in_directory(scratch.path());
        let mut process = spec.start(scratch.path())?;
        net::wait_for_port(port, &mut process)?;
        Ok(Self { process, port, access_log, truth, unit: Unit::Nanos, scratch })
    }
}

/// What differs from test to test.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `OTEL_SERVICE_NAME` in the server's environment.
    pub name: Option<String>,
    /// `HOST:PORT` (or `unix:/PATH`, for nginx) of the server that it calls.
    pub backend: Option<String>,
    /// The network namespace it runs in.
    pub namespace: Option<String>,
}

impl Options {
    /// A service with that name.
    pub fn named(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    /// A service that calls `backend`.
    pub fn calling(mut self, backend: &Service) -> Self {
        self.backend = Some(backend.address());
        self
    }

    fn apply(&self, mut spec: Spec) -> Spec {
        if let Some(name) = &self.name {
            spec = spec.env("OTEL_SERVICE_NAME", name);
        }
        if let Some(namespace) = &self.namespace {
            spec = spec.in_namespace(namespace);
        }
        spec.env("BACKEND", self.backend_or_nobody())
    }

    /// Port 9 (discard) stands for no backend: some configurations must name one.
    fn backend_or_nobody(&self) -> String {
        self.backend.clone().unwrap_or_else(|| "127.0.0.1:9".to_owned())
    }
}
