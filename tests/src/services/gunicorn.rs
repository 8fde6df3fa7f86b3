//! gunicorn with a WSGI program (`tests/services/app.py`), two worker processes.

use std::path::Path;

use anyhow::Result;

use super::{Options, Service};
use crate::access_log::Unit;
use crate::net;
use crate::process::Spec;
use crate::scratch::Scratch;

/// How a worker serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worker {
    /// One request at a time, one request per connection.
    Sync,
    /// A pool of eight threads; connections are kept.
    Threads,
}

/// Starts it on a port of 127.0.0.1.
pub fn start(worker: Worker, options: &Options) -> Result<Service> {
    let port = net::free_port()?;
    let (scratch, spec) = prepare(worker, &format!("127.0.0.1:{port}"), options)?;
    let mut process = spec.start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(service(process, port, scratch))
}

/// Starts it on the unix socket `path`.
pub fn start_unix(worker: Worker, path: &Path, options: &Options) -> Result<Service> {
    let (scratch, spec) = prepare(worker, &format!("unix:{}", path.display()), options)?;
    // Its clients run as others.
    let mut process = spec.args(["--umask", "0"]).start(scratch.path())?;
    net::wait_for_unix(path, &mut process)?;
    Ok(service(process, 0, scratch))
}

/// Starts another program of `tests/services` with one sync worker.
pub(super) fn start_program(file: &str, environment: &[(&str, &str)], options: &Options) -> Result<Service> {
    let port = net::free_port()?;
    let scratch = Scratch::new()?;
    scratch.stage(file)?;
    let access_log = scratch.write("access.log", "")?;
    let mut spec = Spec::new("gunicorn")?
        .args(["--bind", &format!("127.0.0.1:{port}"), "--workers", "1"])
        .args(["--access-logfile", &access_log.to_string_lossy()])
        .args(["--access-logformat", "%(r)s %(s)s %(D)s"])
        .arg(format!("{}:application", file.trim_end_matches(".py")))
        .in_directory(scratch.path());
    for (key, value) in environment {
        spec = spec.env(key, *value);
    }
    let mut process = options.apply(spec).start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(service(process, port, scratch))
}

fn prepare(worker: Worker, bind: &str, options: &Options) -> Result<(Scratch, Spec)> {
    let scratch = Scratch::new()?;
    scratch.stage("app.py")?;
    let access_log = scratch.write("access.log", "")?;
    let truth = scratch.write("truth", "")?;
    let spec = Spec::new("gunicorn")?
        .args(["--bind", bind, "--workers", "2", "--keep-alive", "60", "--backlog", "256"])
        .args(["--access-logfile", &access_log.to_string_lossy()])
        .args(["--access-logformat", "%(r)s %(s)s %(D)s"])
        .env("TRUTH", truth.to_string_lossy())
        .in_directory(scratch.path());
    let spec = match worker {
        Worker::Sync => spec.args(["--worker-class", "sync"]),
        Worker::Threads => spec.args(["--worker-class", "gthread", "--threads", "8"]),
    };
    Ok((scratch, options.apply(spec.arg("app:application"))))
}

fn service(process: crate::process::Process, port: u16, scratch: Scratch) -> Service {
    let (access_log, truth) = (scratch.join("access.log"), scratch.join("truth"));
    Service { process, port, access_log, truth, unit: Unit::Micros, scratch }
}
