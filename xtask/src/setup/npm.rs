//! Packages of npm, in a directory below cargo's target directory.

use std::process::Command;

use anyhow::{Context, Result, bail};
use tracer_tests::paths;

use super::needs::Npm;
use crate::run;

/// Installs what is missing.
pub fn install(list: &[Npm]) -> Result<()> {
    let directory = paths::deps_dir()?.join("node");
    let is_there = |package: &Npm| directory.join("node_modules").join(package.name).is_dir();
    let missing: Vec<String> = list
        .iter()
        .filter(|package| !is_there(package))
        .map(|package| format!("{}@{}", package.name, package.version))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run::say(&format!("installing with npm into {}: {}", directory.display(), missing.join(" ")));
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let npm = paths::find_command("npm").context("npm is not installed")?;
    let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--prefix"];
    run::check(Command::new(npm).args(options).arg(&directory).args(&missing))?;
    for package in list {
        if !is_there(package) {
            bail!("{} was installed, and is not there", package.name);
        }
    }
    Ok(())
}

/// Unpacks what is missing, without what it depends on: for the sake of what a package itself has.
pub fn unpack(list: &[Npm]) -> Result<()> {
    let modules = paths::deps_dir()?.join("npm-alone");
    for package in list {
        let directory = modules.join(package.name);
        if directory.join("package.json").is_file() {
            continue;
        }
        let wanted = format!("{}@{}", package.name, package.version);
        run::say(&format!("unpacking with npm below {}: {wanted}", modules.display()));
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let npm = paths::find_command("npm").context("npm is not installed")?;
        let mut pack = Command::new(npm);
        pack.args(["pack", "--silent", "--pack-destination"]).arg(&modules).arg(&wanted);
        let output = pack.output().context("cannot start npm")?;
        let name = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("npm has no {wanted}: {}{name}", String::from_utf8_lossy(&output.stderr));
        }
        let archive = modules.join(name.trim());
        run::check(
            Command::new("tar")
                .args(["--extract", "--gzip", "--strip-components=1", "--file"])
                .arg(&archive)
                .arg("--directory")
                .arg(&directory),
        )?;
        std::fs::remove_file(&archive).with_context(|| format!("cannot remove {}", archive.display()))?;
    }
    Ok(())
}
