//! Runs the tests of one file, one after the other.
//!
//! A test that cannot run here (not root, a server is not installed) is reported as ignored, with the reason. With
//! `TRACER_E2E=required`, as `cargo xtask test` sets it after its set-up, it fails instead: there it must run.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::paths;

/// What the tests of a file need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The program under test.
    Tracer,
    /// A command in the usual places.
    Command(&'static str),
    /// A file `DIRECTORY/PREFIX*SUFFIX`.
    File(&'static str, &'static str, &'static str),
    /// The Go toolchain.
    Go,
    /// A module that Debian's own Python can import.
    PythonModule(&'static str),
}

impl Need {
    fn check(self) -> Result<()> {
        match self {
            Need::Command(name) if paths::find_command(name).is_none() => bail!("{name} is not installed"),
            Need::File(directory, prefix, suffix) if paths::newest(directory, prefix, suffix).is_none() => {
                bail!("there is no {directory}/{prefix}*{suffix}")
            }
            Need::Tracer => paths::tracer_binary().map(|_| ()),
            Need::Go => paths::go_binary().map(|_| ()),
            Need::PythonModule(module) if !paths::has_python_module(module) => {
                bail!("python3 has no module {module}")
            }
            Need::Command(_) | Need::File(..) | Need::PythonModule(_) => Ok(()),
        }
    }
}

/// One test: its name and what it does. What it returns is printed, for the figures it measured.
pub struct Test {
    name: String,
    needs: &'static [Need],
    body: Box<dyn FnOnce() -> Result<String> + Send>,
}

/// Makes a test. The text it returns is printed when it passes.
pub fn test(name: impl Into<String>, body: impl FnOnce() -> Result<String> + Send + 'static) -> Test {
    Test { name: name.into(), needs: &[], body: Box::new(body) }
}

impl Test {
    /// What this test needs besides what its whole file does.
    pub fn needing(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }
}

/// Runs the tests that the command line selects (`--help` tells how). Called from `main`.
pub fn run(needs: &'static [Need], tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test measures and has the machine to itself. Also, a service ends with the thread that started it
    // (see `process`), which therefore must be the main one.
    arguments.test_threads = Some(1);
    let trials = tests
        .into_iter()
        .map(|test| Trial::ignorable_test(test.name.clone(), move || run_one(needs, test)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run_one(needs: &[Need], test: Test) -> Result<Completion, Failed> {
    if let Err(reason) = can_run(needs).and_then(|()| can_run(test.needs)) {
        let required = std::env::var("TRACER_E2E").is_ok_and(|value| value == "required");
        let reason = format!("{reason:#} (`cargo xtask test` does the set-up and runs this as root)");
        return if required { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
    }
    let start = Instant::now();
    match (test.body)() {
        Ok(said) => {
            // On the line that the runner has begun: "test NAME ... (said; 3.1 s) ok".
            let said = if said.is_empty() { said } else { format!("{said}; ") };
            print!("({said}{:.1} s) ", start.elapsed().as_secs_f64());
            let _flushed = std::io::stdout().flush();
            Ok(Completion::Completed)
        }
        Err(error) => Err(format!("{error:#}").into()),
    }
}

fn can_run(needs: &[Need]) -> Result<()> {
    // SAFETY: geteuid only returns a number.
    if unsafe { libc::geteuid() } != 0 {
        bail!("not root");
    }
    needs.iter().try_for_each(|need| need.check())
}
