//! `cargo xtask dist`: the tracer as it is shipped, one static program, and the proof that it is one.
//!
//! The tests, the demonstration and the benchmarks use exactly this program.

mod foreign;
pub mod inspect;
pub mod target;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use tracer_tests::paths;

use crate::run;
use crate::source_hash::hex;
use target::{Arch, Target};

/// What to build.
#[derive(Args)]
pub struct Options {
    /// The processor it is for; default: this machine's
    #[arg(long)]
    arch: Option<Arch>,
}

/// Builds, checks, and prints the program's hash, path and size.
pub fn run(options: &Options) -> Result<()> {
    let arch = options.arch.map_or_else(Arch::host, Ok)?;
    let path = build(arch)?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // As `sha256sum --check` reads it.
    println!("{}  {}", hex(&Sha256::digest(&bytes)), path.display());
    run::say(&format!("{} bytes, static, needs nothing beside it", bytes.len()));
    Ok(())
}

/// Builds the program for `arch`, refuses it unless it can stand alone, and returns its path.
pub fn build(arch: Arch) -> Result<PathBuf> {
    let target = Target::find(arch)?;
    let arguments = ["build", "--profile", "dist", "-p", "tracer-userspace", "--target", target.triple()];
    run::say(&format!("building the tracer: cargo {} (statically linked)", arguments.join(" ")));
    let mut command = target.cargo()?;
    command.args(arguments);
    run::check(&mut command).with_context(|| {
        format!(
            "cannot build for {}; if the linker misses libc.a, install the C library's static form \
             (Debian: libc6-dev, Fedora: glibc-static)",
            target.triple()
        )
    })?;
    let built = paths::target_dir()?.join(target.triple()).join("dist/tracer");
    let bytes =
        std::fs::read(&built).with_context(|| format!("cargo left nothing at {}", built.display()))?;
    inspect::refuse_defects(&bytes, arch, &target.private()?)
        .with_context(|| format!("{} cannot be shipped", built.display()))?;
    if Arch::host()? == arch {
        says_its_version(&built)?;
    }
    let directory = paths::target_dir()?.join("dist");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(format!("tracer-{}", arch.name()));
    // A tracer may be running from there: the new one takes its name, the running one keeps its file.
    let draft = path.with_extension("new");
    std::fs::copy(&built, &draft).with_context(|| format!("cannot write {}", draft.display()))?;
    std::fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Proves that everything compiles for `arch`: programs, tests and this command.
pub fn check(arch: Arch) -> Result<()> {
    let target = Target::find(arch)?;
    // The cryptography of TLS brings C and assembler, which are compiled even for a check.
    foreign::linker(arch)?;
    let arguments = ["check", "--workspace", "--all-targets", "--target", target.triple()];
    run::say(&format!("cargo {}", arguments.join(" ")));
    run::check(target.cargo()?.args(arguments))
}

fn says_its_version(program: &std::path::Path) -> Result<()> {
    let output = Command::new(program)
        .arg("--version")
        .env_clear()
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    // One version for the whole workspace.
    let expected = concat!("tracer ", env!("CARGO_PKG_VERSION"));
    if !output.status.success() || said.trim() != expected {
        bail!(
            "{} --version ended with {} and said {said:?}, not {expected:?}",
            program.display(),
            output.status
        );
    }
    Ok(())
}
