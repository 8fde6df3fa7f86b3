//! HTTP/1.1 with what is rarely used of it: Node as server and client (`tests/services/http1.js`), Apache as a forward proxy, WebSocket, and a
//! server behind TLS.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::apache::MODULES;
use super::{Options, Service};
use crate::access_log::{self, Line, Unit};
use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::{net, paths};

/// Starts Node's server.
pub fn node() -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("http1.js")?;
    Service::start_program(Spec::new("node")?.args(["http1.js", "server"]), scratch, &Options::default())
}

/// Lets Node's client make its calls, `rounds` of each kind on each of `connections`, below `prefix`. Returns what it measured.
pub fn calls(port: u16, prefix: &str, connections: u32, rounds: u32) -> Result<Vec<Line>> {
    let scratch = Scratch::new()?;
    let program = scratch.stage("http1.js")?;
    let spec = Spec::new("node")?
        .args([&program.to_string_lossy(), "client"])
        .env("PORT", port.to_string())
        .env("PREFIX", prefix)
        .env("CONNECTIONS", connections.to_string())
        .env("ROUNDS", rounds.to_string());
    let said = scratch.write("calls", process::run(&spec)?)?;
    access_log::read(&said, Unit::Nanos, "/")
}

/// Starts Apache as a forward proxy, which opens tunnels to that port only.
pub fn forward_proxy(tunnels: u16) -> Result<Service> {
    let (scratch, port) = (Scratch::new()?, net::free_port()?);
    let access_log = scratch.write("apache.access.log", "")?;
    let truth = scratch.write("truth", "")?;
    let config = scratch.render(
        "forward-proxy.conf",
        &[
            ("DIR", &scratch.path().to_string_lossy()),
            ("PORT", &port.to_string()),
            ("TUNNELS", &tunnels.to_string()),
            ("MODULES", MODULES),
        ],
    )?;
    let mut process = Spec::new("apache2")?
        .args(["-f", &config.to_string_lossy(), "-DFOREGROUND"])
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(Service { process, port, access_log, truth, unit: Unit::Micros, scratch })
}

/// A server without a log; ends when dropped.
#[derive(Debug)]
pub struct Plain {
    _process: Process,
    /// Its port on 127.0.0.1.
    pub port: u16,
    _scratch: Scratch,
}

impl Plain {
    fn start(spec: Spec, port: u16, scratch: Scratch) -> Result<Self> {
        let mut process = spec.in_directory(scratch.path()).start(scratch.path())?;
        net::wait_for_port(port, &mut process)?;
        Ok(Self { _process: process, port, _scratch: scratch })
    }
}

/// The Python of the environment with the PyPI packages.
fn python() -> Result<PathBuf> {
    let python = paths::deps_dir()?.join("venv/bin/python");
    ensure!(python.is_file(), "websockets is not installed; `cargo xtask setup` installs it");
    Ok(python)
}

/// Starts a WebSocket server that echoes.
pub fn websocket() -> Result<Plain> {
    let (scratch, port) = (Scratch::new()?, net::free_port()?);
    scratch.stage("websocket.py")?;
    let spec = Spec::new(python()?)?.args(["websocket.py", "server", &port.to_string()]);
    Plain::start(spec, port, scratch)
}

/// What a WebSocket client measured of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Bytes of messages in both directions, without their frames.
    pub moved: u64,
    /// How long it took to open, with the TCP handshake.
    pub opened_ms: f64,
}

/// Has so many conversations over WebSocket at once, at `path` and a number. Returns what was measured of each, by number.
pub fn talks(port: u16, path: &str, connections: usize, messages: u32) -> Result<Vec<Talk>> {
    let program = paths::services_dir().join("websocket.py");
    let said = process::run(
        &Spec::new(python()?)?
            .args([&program.to_string_lossy(), "client", &port.to_string(), path])
            .args([connections.to_string(), messages.to_string()]),
    )?;
    let mut talks = vec![None; connections];
    for line in said.lines() {
        let talk = |line: &str| {
            let mut words = line.split(' ');
            let number: usize = words.next()?.parse().ok()?;
            let talk = Talk { moved: words.next()?.parse().ok()?, opened_ms: words.next()?.parse().ok()? };
            Some((number, talk))
        };
        let (number, talk) = talk(line).with_context(|| format!("the client said {line:?}"))?;
        *talks.get_mut(number).context("a connection that nobody asked for")? = Some(talk);
    }
    talks.into_iter().collect::<Option<_>>().context("the client did not say something of each connection")
}

/// Starts OpenSSL's server, with a certificate of the moment; it answers HTTP over TLS.
pub fn tls() -> Result<Plain> {
    let (scratch, port) = (Scratch::new()?, net::free_port()?);
    let (key, certificate) = (scratch.join("key.pem"), scratch.join("certificate.pem"));
    let (key, certificate) = (key.to_string_lossy(), certificate.to_string_lossy());
    process::run(
        &Spec::new("openssl")?
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-keyout", &key, "-out", &certificate]),
    )?;
    let spec = Spec::new("openssl")?
        .args(["s_server", "-accept", &port.to_string(), "-key", &key, "-cert", &certificate])
        .args(["-www", "-quiet"]);
    Plain::start(spec, port, scratch)
}
