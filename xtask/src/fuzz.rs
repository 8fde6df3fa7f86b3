//! `cargo xtask fuzz`: runs the fuzz targets, one after the other, and says how far they came.
//!
//! The checked-in corpus (fuzz/corpus) is read and never written to; what a run finds new is kept beside the builds. docs/fuzzing.md
//! says what each target asserts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::run;

/// The version that is installed where there is none.
const CARGO_FUZZ: &str = "0.13.2";

/// What to run.
#[derive(Args)]
pub struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these targets (default: all)
    targets: Vec<String>,
}

/// What one run came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    executions: u64,
    crashed: bool,
}

/// Runs them. Fails if one of them found something.
pub fn run(options: &Options) -> Result<()> {
    let known = targets()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target {unknown}; there are {}", known.join(", "));
    }
    let toolchain = toolchain()?;
    install()?;
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    run::say("building the targets with the address sanitizer");
    run::check(cargo_fuzz(&toolchain).args(["fuzz", "build"]))?;
    let mut outcomes = BTreeMap::new();
    for target in chosen {
        run::say(&format!("{target}: {} s", options.seconds));
        outcomes.insert(target, fuzz(&toolchain, target, options.seconds)?);
    }
    for (target, outcome) in &outcomes {
        let end = if outcome.crashed { "CRASHED" } else { "clean" };
        println!("{target:<12} {:>12} executions  {end}", outcome.executions);
    }
    let crashed: Vec<&str> =
        outcomes.iter().filter(|(_, outcome)| outcome.crashed).map(|(target, _)| target.as_str()).collect();
    if !crashed.is_empty() {
        bail!(
            "{} found something; the inputs are in {}. Mend it, and keep the input in fuzz/corpus, named for what broke",
            crashed.join(", "),
            run::workspace().join("fuzz/artifacts").display()
        );
    }
    Ok(())
}

/// The names of the targets: those of their files.
fn targets() -> Result<Vec<String>> {
    let folder = run::workspace().join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// A nightly compiler: the sanitizer and the coverage counters need its options.
fn toolchain() -> Result<String> {
    let listed = Command::new("rustup").args(["toolchain", "list"]).output();
    let listed =
        listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    match newest_nightly(&listed) {
        Some(name) => Ok(name),
        None => {
            bail!("fuzzing needs a nightly compiler: run `rustup toolchain install nightly`, then this again")
        }
    }
}

/// Plain `nightly` if it is there, else the last dated one.
fn newest_nightly(listed: &str) -> Option<String> {
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    let mut nightlies: Vec<&str> = names.filter(|name| name.starts_with("nightly-")).collect();
    nightlies.sort_unstable();
    nightlies.last().map(|name| (*name).to_owned())
}

fn install() -> Result<()> {
    let present =
        Command::new("cargo-fuzz").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if present.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    run::say(&format!("installing cargo-fuzz {CARGO_FUZZ} with cargo"));
    run::check(run::cargo().args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ]))
}

/// cargo of that toolchain, with a folder for builds of its own: its flags are not those of the other builds.
fn cargo_fuzz(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]);
    command.current_dir(run::workspace());
    // Those of the cargo that runs us point to another compiler.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(name);
    }
    command.env("CARGO_TARGET_DIR", builds());
    command
}

fn builds() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| run::workspace().join("target")).join("fuzz")
}

fn fuzz(toolchain: &str, target: &str, seconds: u32) -> Result<Outcome> {
    let found = builds().join("corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let log = builds().join(format!("{target}.log"));
    let file = fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = cargo_fuzz(toolchain);
    // What is new goes to the first folder; the others are only read.
    command.args(["fuzz", "run", target]).arg(&found).arg(Path::new("fuzz/corpus").join(target));
    command.arg("--").arg(format!("-max_total_time={seconds}"));
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    let status = command.stderr(file).status().context("cannot start cargo-fuzz")?;
    let text = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    if !status.success() {
        for line in text.lines().filter(|line| tells(line)) {
            eprintln!("{line}");
        }
        eprintln!("all of it is in {}", log.display());
    }
    Ok(Outcome { executions: executions(&text), crashed: !status.success() })
}

/// Whether a line of libFuzzer's says what went wrong.
fn tells(line: &str) -> bool {
    ["panicked at", "SUMMARY:", "ERROR:", "error:", "Test unit written"]
        .iter()
        .any(|part| line.contains(part))
}

/// The number of executions in what libFuzzer wrote: that of its statistics, or of its last line of progress.
fn executions(text: &str) -> u64 {
    let stated = text.lines().rev().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let progress = || {
        let lines = text.lines().rev().filter_map(|line| line.strip_prefix('#'));
        lines
            .map(|line| line.split_whitespace().next().unwrap_or_default())
            .find(|word| word.parse::<u64>().is_ok())
    };
    stated.map(str::trim).or_else(progress).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_found_in_both_forms() {
        let progress =
            "INFO: Seed: 1\n#2\tINITED cov: 1\n#1024\tpulse  cov: 2\nSUMMARY: libFuzzer: deadly signal\n";
        assert_eq!(executions(progress), 1024);
        assert_eq!(executions(&format!("{progress}stat::number_of_executed_units: 77\n")), 77);
        assert_eq!(executions("error: could not compile"), 0);
    }

    #[test]
    fn a_nightly_is_chosen() {
        let listed = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-2026-01-01-x86_64-unknown-linux-gnu\n\
                      nightly-x86_64-unknown-linux-gnu\n";
        assert_eq!(newest_nightly(listed).as_deref(), Some("nightly-x86_64-unknown-linux-gnu"));
        assert_eq!(newest_nightly("stable-x86_64-unknown-linux-gnu\n"), None);
    }

    #[test]
    fn there_are_targets() {
        let targets = targets().unwrap();
        assert!(targets.iter().any(|target| target == "streams"), "{targets:?}");
    }
}
