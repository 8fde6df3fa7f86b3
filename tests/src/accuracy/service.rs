//! The services that are measured: real runtimes, small programs (`tests/services/accuracy`).

use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::backend::Backend;
use super::prepare::{self, Place};
use super::shape::Shape;
use crate::net;
use crate::process::{Process, Spec};
use crate::scratch::Scratch;

/// One of the services.
#[derive(Clone, Copy)]
pub struct Service {
    /// The word for it in names of cells and on the command line.
    pub name: &'static str,
    /// What it is, for people.
    pub what: &'static str,
    /// How long it is used before it is recorded: a compiler at run time needs a while.
    pub warm_up: Duration,
    /// Makes it ready in its directory and says what is started, in this order; the last listens.
    prepare: fn(&Place) -> Result<Vec<Spec>>,
    /// Why it cannot have a shape, where it cannot.
    lacks: fn(Shape) -> Option<&'static str>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A service that runs; ends when dropped.
#[derive(Debug)]
pub struct Running {
    // Before the directory, so that they end before their files go.
    processes: Vec<Process>,
    address: SocketAddr,
    truth: PathBuf,
    _scratch: Scratch,
}

type Prepare = fn(&Place) -> Result<Vec<Spec>>;

const fn service(name: &'static str, what: &'static str, prepare: Prepare) -> Service {
    Service { name, what, warm_up: Duration::ZERO, prepare, lacks: |_| None }
}

const fn java(name: &'static str, what: &'static str, prepare: Prepare) -> Service {
    Service { warm_up: Duration::from_secs(3), ..service(name, what, prepare) }
}

const fn lacking(lacks: fn(Shape) -> Option<&'static str>, service: Service) -> Service {
    Service { lacks, ..service }
}

/// All of them, in the order of the tables.
pub const ALL: &[Service] = &[
    service("python-threads", "Python http.server, a thread for each connection", |place| {
        prepare::python(place, &["threads.py"])
    }),
    service("gunicorn-sync", "gunicorn, four sync workers", |place| {
        prepare::gunicorn(place, &["-w4", "-ksync"])
    }),
    service("gunicorn-gthread", "gunicorn, two workers with 16 threads each", |place| {
        prepare::gunicorn(place, &["-w2", "-kgthread", "--threads=16"])
    }),
    lacking(php_lacks, service("apache-php", "Apache prefork with mod_php", prepare::apache)),
    lacking(php_lacks, service("php-fpm", "nginx, FastCGI, PHP-FPM with 32 processes", prepare::php_fpm)),
    service("puma", "Ruby puma, 16 threads", prepare::puma),
    java("java-blocking", "JDK HttpServer, blocking client on the same thread", |place| {
        prepare::java(place, "blocking")
    }),
    java("java-virtual", "JDK HttpServer on virtual threads, blocking client", prepare::java_virtual),
    lacking(nginx_lacks, service("nginx", "nginx as a reverse proxy, one worker", prepare::nginx)),
    service("node", "Node http, keep-alive agent", |place| prepare::node(place, "keepalive")),
    service("node-sockets8", "Node http, agent with maxSockets 8: calls queue", |place| {
        prepare::node(place, "sockets8")
    }),
    service("go", "Go net/http", |place| prepare::go(place, &[])),
    service("go-stripped", "the same without symbols", |place| prepare::go(place, &["-ldflags=-s -w"])),
    service("asyncio", "Python asyncio, aiohttp server and client", |place| {
        prepare::python(place, &["loop.py", "asyncio"])
    }),
    service("uvloop", "the same on uvloop", |place| prepare::python(place, &["loop.py", "uvloop"])),
    service("uvicorn", "uvicorn, FastAPI, httpx", |place| prepare::python(place, &["loop.py", "uvicorn"])),
    service("tokio", "tokio, axum, reqwest", |place| prepare::tokio(place, "inline")),
    service("tokio-tasks", "the same, each call in a spawned task", |place| prepare::tokio(place, "tasks")),
    service("asyncio-pool", "asyncio server, blocking calls in a ThreadPoolExecutor(16)", |place| {
        prepare::python(place, &["loop.py", "pool"])
    }),
    java("java-executor", "JDK HttpServer, each call handed to an Executor(16)", |place| {
        prepare::java(place, "executor")
    }),
    java("java-async", "JDK HttpServer, asynchronous HttpClient", |place| prepare::java(place, "async")),
];

fn php_lacks(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::FanOut => Some("PHP's own client makes one call at a time"),
        Shape::Background => Some("nothing runs in PHP between requests"),
        _ => None,
    }
}

fn nginx_lacks(shape: Shape) -> Option<&'static str> {
    match shape {
        Shape::Repeated => Some("nginx asks before it passes on (auth_request), once"),
        Shape::Skipped => Some("nginx's configuration leaves nothing to chance"),
        Shape::Database => Some("nginx speaks no database protocol"),
        Shape::Background => Some("nginx's timers make no calls"),
        _ => None,
    }
}

impl Service {
    /// Why this service has no such shape.
    pub fn lacks(&self, shape: Shape) -> Option<&'static str> {
        (self.lacks)(shape)
    }

    /// Starts it and waits until it listens.
    pub fn start(&self, shape: Shape, backend: Backend, database: Backend) -> Result<Running> {
        let scratch = Scratch::new()?;
        let truth = scratch.write("truth", "")?;
        // Some write it as another user.
        std::fs::set_permissions(&truth, std::fs::Permissions::from_mode(0o666))
            .context("cannot open the truth file to all users")?;
        let (backend, database) = (backend.address(), database.address());
        let place = Place { scratch, port: net::free_port()?, backend, database };
        let mut processes = Vec::new();
        for spec in (self.prepare)(&place)? {
            let spec = spec
                .env("PORT", place.port.to_string())
                .env("BACKEND", backend.to_string())
                .env("DATABASE", database.to_string())
                .env("TRUTH", truth.to_string_lossy())
                .env("BACKGROUND", shape.background_ms().unwrap_or(0).to_string())
                .in_directory(place.scratch.path());
            // What is started later ends earlier.
            processes.insert(0, spec.start(place.scratch.path())?);
        }
        let listener = processes.first_mut().context("nothing was started")?;
        net::wait_for_port(place.port, listener)?;
        Ok(Running { processes, address: net::local(place.port), truth, _scratch: place.scratch })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its main processes.
    pub fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Process::pid).collect()
    }

    /// The file that it writes its calls into.
    pub fn truth(&self) -> &Path {
        &self.truth
    }

    /// Forgets the calls that were made so far. Everybody appends to the file.
    pub fn forget(&self) -> Result<()> {
        let file = File::options().write(true).open(&self.truth).context("cannot open the truth file")?;
        file.set_len(0).context("cannot empty the truth file")
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.processes.iter().map(Process::output).collect()
    }

    /// Fails if one of its processes has ended.
    pub fn check_alive(&mut self) -> Result<()> {
        for process in &mut self.processes {
            let ended = process.ended()?;
            ensure!(ended.is_none(), "{} ended: {}", process.name(), process.output());
        }
        Ok(())
    }
}
