//! `cargo xtask test`: set-up, build, then every test there is.
//!
//! The end-to-end tests need root, cargo does not: cargo builds them as the user who called, and only the finished test
//! programs run through sudo.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::dist::target::{Arch, Target};
use crate::{run, setup};

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Only these end-to-end test files (nginx, chains, ...); no unit tests then
    #[arg(long = "file", value_name = "NAME")]
    files: Vec<String>,
    /// Passed to the end-to-end tests: a part of a test's name, --exact, ...
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    setup::everything()?;
    run::build_tracer()?;
    let mut failed = Vec::new();
    if options.files.is_empty() && options.arguments.is_empty() {
        run::say("unit and integration tests: cargo test --workspace");
        // Not the end-to-end tests, which follow as root.
        let mut unit = run::cargo();
        unit.args(["test", "--workspace", "--exclude", "tracer-tests"]);
        let mut harness = run::cargo();
        harness.args(["test", "-p", "tracer-tests", "--lib"]);
        for (name, mut command) in [("the unit tests", unit), ("the harness's own tests", harness)] {
            if run::check(&mut command).is_err() {
                failed.push(name.to_owned());
            }
        }
    }
    let how = if run::is_root() { "" } else { " through sudo, because the tracer needs root" };
    run::say(&format!("end-to-end tests{how}"));
    let mut ran = 0;
    for (name, program) in built(Arch::host()?)? {
        if !options.files.is_empty() && !options.files.contains(&name) {
            continue;
        }
        ran += 1;
        run::say(&format!("end to end: {name}"));
        let mut command = run::as_root("env");
        // After the set-up nothing is missing: a test that cannot run has failed.
        command.arg("TRACER_E2E=required").arg(&program).args(&options.arguments);
        if run::check(&mut command).is_err() {
            failed.push(name);
        }
    }
    if ran == 0 {
        bail!("no end-to-end test file is called {}", options.files.join(" or "));
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    run::say("all tests passed");
    Ok(())
}

/// Builds the end-to-end tests for a processor and returns their names and programs, in order of name. They are
/// static, as the tracer is, so that they can be carried to where it is tested.
pub fn built(arch: Arch) -> Result<Vec<(String, PathBuf)>> {
    let target = Target::find(arch)?;
    let output = target
        .cargo()?
        .args(["test", "-p", "tracer-tests", "--no-run", "--message-format=json-render-diagnostics"])
        .args(["--target", target.triple()])
        // All of them travel into each guest of `cargo xtask kernels`.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_PROFILE_DEV_STRIP", "symbols")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the end-to-end tests do not build");
    }
    let mut programs: Vec<(String, PathBuf)> = output
        .stdout
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .filter_map(|message: Value| {
            let target = message.get("target")?;
            let is_test = target.get("kind")?.as_array()?.iter().any(|kind| kind == "test");
            let name = target.get("name")?.as_str()?.to_owned();
            let program = message.get("executable")?.as_str()?.into();
            is_test.then_some((name, program))
        })
        .collect();
    programs.sort();
    Ok(programs)
}
