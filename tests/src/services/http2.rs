//! Servers and clients that speak HTTP/2 and gRPC, in Node and Python, each with a log of its own of every call
//! (`tests/services/http2.js`, `grpc_calls.py`, `grpc_calls.js`).

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{Process, Spec};
use crate::scratch::Scratch;
use crate::{net, pace, paths};

/// Requests that a client has on its one connection at a time.
pub const STREAMS: u32 = 100;
/// How long a list of calls may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One call, as one of its ends wrote it down.
#[derive(Clone, Debug)]
pub struct Call {
    /// The path; of a gRPC call its method and number (`Echo 17`).
    pub what: String,
    /// The HTTP method; empty for gRPC.
    pub method: String,
    /// Status of HTTP, or of gRPC.
    pub status: u16,
    /// How long it took there.
    pub ms: f64,
}

/// Which programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Node's `http2`.
    Node,
    /// grpcio.
    GrpcIo,
    /// `@grpc/grpc-js`, a client only.
    GrpcJs,
}

impl Program {
    fn spec(self, role: &str, scratch: &Scratch) -> Result<Spec> {
        let script = match self {
            Program::Node => "http2.js",
            Program::GrpcIo => "grpc_calls.py",
            Program::GrpcJs => "grpc_calls.js",
        };
        scratch.stage(script)?;
        let spec = match self {
            Program::Node => Spec::new("node")?,
            Program::GrpcIo => Spec::new(python()?)?,
            Program::GrpcJs => Spec::new("node")?.env("NODE_PATH", modules()?.to_string_lossy()),
        };
        let log = scratch.write("calls.log", "")?;
        let spec = spec.arg(script).arg(role).env("LOG", log.to_string_lossy());
        Ok(spec.env("STREAMS", STREAMS.to_string()).in_directory(scratch.path()))
    }
}

/// The Python of the environment with the PyPI packages.
fn python() -> Result<PathBuf> {
    let python = paths::deps_dir()?.join("venv/bin/python");
    ensure!(python.is_file(), "grpcio is not installed; `cargo xtask setup` installs it");
    Ok(python)
}

/// Where npm's packages are.
fn modules() -> Result<PathBuf> {
    let modules = paths::deps_dir()?.join("node/node_modules");
    ensure!(
        modules.join("@grpc/grpc-js").is_dir(),
        "@grpc/grpc-js is not installed; `cargo xtask setup` installs it"
    );
    Ok(modules)
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    _process: Process,
    port: u16,
    scratch: Scratch,
}

impl Server {
    /// Starts it.
    pub fn start(program: Program) -> Result<Server> {
        let scratch = Scratch::new()?;
        let port = net::free_port()?;
        let spec = program.spec("server", &scratch)?.env("PORT", port.to_string());
        let mut process = spec.start(scratch.path())?;
        net::wait_for_port(port, &mut process)?;
        Ok(Server { _process: process, port, scratch })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it wrote down so far.
    pub fn log(&self) -> Result<Vec<Call>> {
        read(&self.scratch.join("calls.log"))
    }
}

/// nginx that passes gRPC calls on.
pub fn grpc_proxy(backend: u16) -> Result<(Process, u16, Scratch)> {
    let (scratch, port) = (Scratch::new()?, net::free_port()?);
    let config = scratch.render(
        "grpc_pass.conf",
        &[
            ("DIR", &scratch.path().to_string_lossy()),
            ("PORT", &port.to_string()),
            ("BACKEND", &format!("127.0.0.1:{backend}")),
        ],
    )?;
    let errors = scratch.join("nginx.error.log");
    let spec = Spec::new("nginx")?
        .args(["-e", &errors.to_string_lossy(), "-c", &config.to_string_lossy()])
        .in_directory(scratch.path());
    let mut process = spec.start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok((process, port, scratch))
}

/// A client with one connection, which it opens with its first calls.
#[derive(Debug)]
pub struct Client {
    process: Process,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    scratch: Scratch,
}

impl Client {
    /// Starts it.
    pub fn start(program: Program, port: u16) -> Result<Client> {
        let scratch = Scratch::new()?;
        let spec = program.spec("client", &scratch)?.env("PORT", port.to_string());
        let mut child = spec
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the client")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("the client has no stdout")?);
        Ok(Client { process: Process::adopt("client", child), input, output, scratch })
    }

    /// Makes calls, all of this list at once as far as there are streams, and waits until all are answered.
    pub fn make(&mut self, kind: &str, from: u32, to: u32) -> Result<()> {
        let input = self.input.as_mut().context("the client has ended")?;
        writeln!(input, "{kind} {from} {to}").context("cannot write to the client")?;
        input.flush().context("cannot write to the client")?;
        let mut line = String::new();
        self.output.read_line(&mut line).context("cannot read from the client")?;
        ensure!(line.trim() == "done", "the client said {line:?}");
        Ok(())
    }

    /// What it wrote down so far.
    pub fn log(&self) -> Result<Vec<Call>> {
        read(&self.scratch.join("calls.log"))
    }

    /// Lets it close its connection and end.
    pub fn end(&mut self) -> Result<()> {
        self.input = None;
        self.process.wait(pace::limit(PATIENCE))?;
        Ok(())
    }
}

/// As [`Server::log`], once there are so many lines.
pub fn at_least(log: impl Fn() -> Result<Vec<Call>>, count: usize) -> Result<Vec<Call>> {
    let deadline = Instant::now() + pace::limit(Duration::from_secs(5));
    loop {
        let calls = log()?;
        if calls.len() >= count {
            return Ok(calls);
        }
        if Instant::now() > deadline {
            bail!("{} calls were written down, not {count}", calls.len());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn read(path: &Path) -> Result<Vec<Call>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("no log at {}", path.display()))?;
    // The last line may be on its way.
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    whole.lines().map(call).collect()
}

fn call(line: &str) -> Result<Call> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("no call: {line}"))?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    let what = match value.get("path") {
        Some(_) => text("path"),
        None => format!("{} {}", text("method"), number("number").context("a call without a number")?),
    };
    let method = if value.get("path").is_some() { text("method") } else { String::new() };
    let status = number("status").or_else(|| number("code")).and_then(|code| u16::try_from(code).ok());
    let ms = value.get("ms").and_then(Value::as_f64).context("a call without a duration")?;
    Ok(Call { what, method, status: status.context("a call without a status")?, ms })
}
