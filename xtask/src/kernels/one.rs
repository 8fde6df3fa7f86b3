//! `cargo xtask kernels run SERIES -- COMMAND...`: one command in one guest, its output and exit code passed through.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tracer_guest::frame::Frame;
use tracer_guest::plan::{Cgroup, Job, Root};

use super::initramfs::JobFile;
use super::laboratory::{Laboratory, Order};
use super::versions::Wanted;

/// Exit code when the guest, not the command, failed.
const GUEST_FAILED: u8 = 125;

/// What to run where.
#[derive(Args)]
pub struct Options {
    /// The kernel: SERIES or SERIES-FLAVOUR (6.1, 6.12-rt, newest, 5.10-amd64)
    kernel: Wanted,
    /// Put a file or directory into the guest, at /job/NAME (or the path's last part)
    #[arg(long = "file", value_name = "PATH[=NAME]", value_parser = JobFile::parse)]
    files: Vec<JobFile>,
    /// The static tracer to put at /job/tracer; built from this checkout if not given
    #[arg(long, value_name = "PATH")]
    tracer: Option<PathBuf>,
    /// Put no tracer into the guest
    #[arg(long, conflicts_with = "tracer")]
    no_tracer: bool,
    /// A root with nothing but a static busybox, instead of the image with services
    #[arg(long)]
    busybox: bool,
    /// Mount control groups of version 1
    #[arg(long)]
    cgroup_v1: bool,
    /// Add to the kernel's command line (lockdown=integrity, ...)
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Set a variable in the command's environment
    #[arg(long = "env", value_name = "KEY=VALUE")]
    environment: Vec<String>,
    /// Memory in MiB
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// How long the command may run, in seconds; booting has its own limit
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    limit: u64,
    /// Keep the console's log and the initramfs, and say where
    #[arg(long)]
    keep: bool,
    /// Fetch the newest package of that series even if one is there
    #[arg(long)]
    refresh: bool,
    /// The command. A single word with spaces goes to `sh -c`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it. The exit code is the command's; 124 if its time was up; 125 if the guest failed.
pub fn run(options: &Options) -> Result<ExitCode> {
    let root = if options.busybox { Root::Busybox } else { Root::Image };
    let mut environment = Vec::new();
    for pair in &options.environment {
        let (key, value) = pair.split_once('=').with_context(|| format!("{pair:?} is not KEY=VALUE"))?;
        environment.push((key.to_owned(), value.to_owned()));
    }
    let laboratory = Laboratory::open(options.refresh)?;
    let kernel = laboratory.kernels(&[options.kernel], options.refresh)?.pop().context("no kernel")?;
    let mut files = options.files.clone();
    if !options.no_tracer {
        let tracer = super::programs::tracer(options.tracer.as_deref())?;
        files.push(JobFile { from: tracer, name: "tracer".to_owned() });
    }
    let order = Order {
        root,
        cgroup: if options.cgroup_v1 { Cgroup::V1 } else { Cgroup::V2 },
        append: options.append.clone(),
        memory: options.memory,
        files,
        jobs: vec![Job { command: shell_if_one(&options.command), environment, limit_s: options.limit }],
        keep: options.keep,
    };
    let mut exit = None;
    let outcome = laboratory.run(&kernel, &order, |frame| match frame {
        Frame::Stdout(bytes) => pass(&mut io::stdout(), &bytes),
        Frame::Stderr(bytes) => pass(&mut io::stderr(), &bytes),
        Frame::Exit { code, .. } => exit = Some(code),
        _ => {}
    });
    match (outcome, exit) {
        (Ok(()), Some(code)) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))),
        (Err(error), _) => {
            eprintln!("error: {} on {}: {error:#}", kernel.package, kernel.name);
            Ok(ExitCode::from(GUEST_FAILED))
        }
        (Ok(()), None) => {
            eprintln!("error: the guest ran no command");
            Ok(ExitCode::from(GUEST_FAILED))
        }
    }
}

fn pass(to: &mut impl Write, bytes: &[u8]) {
    // Whoever reads may have gone (`| head`): the command's exit code still counts.
    let _gone = to.write_all(bytes).and_then(|()| to.flush());
}

/// A single word with spaces is for a shell.
fn shell_if_one(command: &[String]) -> Vec<String> {
    match command {
        [line] if line.contains(char::is_whitespace) => vec!["sh".into(), "-c".into(), line.clone()],
        words => words.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_to_a_shell_and_words_do_not() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(shell_if_one(&words(&["uname -r; id"])), words(&["sh", "-c", "uname -r; id"]));
        assert_eq!(shell_if_one(&words(&["uname"])), words(&["uname"]));
        assert_eq!(shell_if_one(&words(&["echo", "a b"])), words(&["echo", "a b"]));
    }
}
