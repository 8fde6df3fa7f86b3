//! `cargo xtask demo`: a real chain, traced.
//!
//! nginx → `frontend-api` → `user-service` → PostgreSQL, started here in temporary directories on free ports; some
//! requests; `tracer record`; `tracer show`. Ends with an error if the traces are not what really happened.

mod check;

use std::env;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tracer_tests::paths;
use tracer_tests::process::{Process, Spec};
use tracer_tests::services::users::{self, Users};
use tracer_tests::span::Trace;

use crate::{run, setup};

/// How the demonstration runs.
#[derive(Args)]
pub struct Options {
    /// How many requests to send
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..=10_000))]
    requests: u32,
    /// The part that runs as root, once the rest is done
    #[arg(long, hide = true)]
    as_root: bool,
}

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    if options.as_root {
        return trace(options);
    }
    setup::demo()?;
    run::build_tracer()?;
    if run::is_root() {
        return trace(options);
    }
    run::say("tracing needs root: continuing through sudo");
    let this = env::current_exe().context("cannot tell where this executable is")?;
    let mut command = run::as_root(this);
    command.args(["demo", "--as-root", "--requests", &options.requests.to_string()]);
    run::check(&mut command)
}

fn trace(options: &Options) -> Result<()> {
    let tracer = paths::tracer_binary()?;
    let output = env::current_dir().context("there is no current directory")?.join("traces.json");

    run::say("starting nginx -> frontend-api -> user-service -> PostgreSQL (users_db)");
    let chain = users::start()?;
    let recording = record(&tracer, &output, &chain)?;
    let sent = chain.send(options.requests)?;
    run::say(&format!(
        "sent {} POST /users and {} GET /users/ID to port {}",
        sent.0,
        sent.1,
        chain.nginx.port()
    ));
    stop(recording)?;
    give_to_caller(&output)?;
    drop(chain);

    let show = [Path::new("show"), &output, Path::new("--slowest"), Path::new("3")];
    run::say("tracer show traces.json --slowest 3");
    run::check(Command::new(&tracer).args(show))?;
    let trace = Trace::read(&output)?;
    check::every_request_is_one_trace(&trace, options.requests)?;
    run::say(&format!(
        "all {} requests are one trace each, nginx -> frontend-api -> user-service -> users_db; they are in {}",
        options.requests,
        output.display()
    ));
    Ok(())
}

/// Starts the tracer, its words going to our stderr too, and waits until it traces.
fn record(tracer: &Path, output: &Path, chain: &Users) -> Result<(Process, PathBuf)> {
    let pids = [chain.nginx.pid(), chain.frontend.pid(), chain.users.pid(), chain.postgres.pid()];
    let mut spec = Spec::new(tracer)?.arg("record");
    for pid in pids {
        spec = spec.args(["--pid", &pid.to_string()]);
    }
    spec = spec.args(["-o", &output.to_string_lossy()]);
    run::say(&format!(
        "tracer record --pid {} -o traces.json",
        pids.map(|pid| pid.to_string()).join(" --pid ")
    ));
    let directory = chain.nginx.directory();
    let mut process = spec.start(directory)?;
    let log = process.log().context("the tracer's words go nowhere")?.to_path_buf();
    tracer_tests::net::wait("its probes", &mut process, || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.lines().any(|line| line.starts_with("tracing ")))
    })?;
    Ok((process, log))
}

/// Stops the tracer as Ctrl-C does, and passes its words on.
fn stop((mut process, log): (Process, PathBuf)) -> Result<()> {
    process.signal(libc::SIGINT)?;
    let status = process.wait(Duration::from_secs(60))?;
    let said = std::fs::read_to_string(&log).context("the tracer's words are lost")?;
    eprint!("{said}");
    ensure!(status.success(), "the tracer ended with {status}");
    Ok(())
}

/// Written by root, wanted by whoever called sudo.
fn give_to_caller(output: &Path) -> Result<()> {
    let id = |name: &str| env::var(name).ok().and_then(|id| id.parse::<u32>().ok());
    if let (Some(user), Some(group)) = (id("SUDO_UID"), id("SUDO_GID"))
        && let Err(error) = chown(output, Some(user), Some(group))
    {
        bail!("cannot give {} to its user: {error}", output.display());
    }
    Ok(())
}
