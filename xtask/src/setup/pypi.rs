//! Packages of PyPI, through pip, in an environment below cargo's target directory: the system's Python stays as it is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tracer_tests::paths;

use super::needs::PyPi;
use crate::run;

/// Installs what is missing. Returns whether anything was.
pub fn install(list: &[PyPi]) -> Result<bool> {
    let environment = paths::deps_dir()?.join("venv");
    let missing: Vec<&str> = list
        .iter()
        .filter(|package| !present(&environment, package))
        .map(|package| package.requirement)
        .collect();
    if missing.is_empty() {
        return Ok(false);
    }
    run::say(&format!("installing with pip into {}: {}", environment.display(), missing.join(" ")));
    let pip = environment.join("bin/pip");
    if !pip.is_file() {
        let python = paths::find_command("python3").context("python3 is not installed")?;
        run::check(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
    }
    run::check(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check"]).args(&missing))?;
    for package in list {
        if !present(&environment, package) {
            bail!("{} is installed, but brought no {}", package.requirement, package.brings);
        }
    }
    Ok(true)
}

fn present(environment: &Path, package: &PyPi) -> bool {
    if package.brings.starts_with("bin/") {
        return environment.join(package.brings).is_file();
    }
    paths::newest(&environment.join("lib").to_string_lossy(), "python", "")
        .is_some_and(|python| python.join("site-packages").join(package.brings).is_dir())
}
