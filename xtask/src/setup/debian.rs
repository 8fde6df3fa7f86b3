//! Packages of Debian and Ubuntu, by name, through apt-get.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tracer_tests::paths;

use super::needs::{Need, Sign};
use crate::run;

/// Asked by the packages' own scripts whether a daemon may be started (Debian Policy 9.3.3.1).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing of these lists.
pub fn install(lists: &[&[Need]]) -> Result<()> {
    let missing: BTreeSet<&str> = lists
        .iter()
        .flat_map(|list| list.iter())
        .filter(|need| !present(need.sign))
        .map(|need| need.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.into_iter().collect();
    if paths::find_command("apt-get").is_none() {
        bail!(
            "this is neither Debian nor Ubuntu (no apt-get); install what these packages bring: {}",
            names.join(" ")
        );
    }
    let how = if run::is_root() { "" } else { " (through sudo)" };
    run::say(&format!("installing with apt-get{how}: {}", names.join(" ")));
    // No daemon of theirs is needed, and a machine that runs one already keeps it as it is.
    let _policy = NoDaemons::begin()?;
    if !known(&names)? {
        run::say(&format!("the package lists do not know them all yet: apt-get update{how}"));
        run::check(run::as_root("apt-get").args(["update", "-q"]))?;
    }
    let apt = || {
        let mut apt = run::as_root("env");
        apt.args([
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-y",
            "-q",
            "--no-install-recommends",
        ]);
        apt.args(&names);
        apt
    };
    if run::check(&mut apt()).is_err() {
        // Lists that are too old name files that are gone.
        run::say(&format!("once more with fresh package lists: apt-get update{how}"));
        run::check(run::as_root("apt-get").args(["update", "-q"]))?;
        run::check(&mut apt())?;
    }
    for need in lists.iter().flat_map(|list| list.iter()) {
        if !present(need.sign) {
            bail!("{} is installed, but {:?} is still not there", need.package, need.sign);
        }
    }
    Ok(())
}

fn present(sign: Sign) -> bool {
    match sign {
        Sign::Command(name) => paths::find_command(name).is_some(),
        Sign::File(directory, prefix, suffix) => paths::newest(directory, prefix, suffix).is_some(),
        Sign::PythonModule(module) => paths::has_python_module(module),
    }
}

/// Whether apt's lists have a version to install of each package.
fn known(names: &[&str]) -> Result<bool> {
    let output = Command::new("apt-cache")
        .args(["policy"])
        .args(names)
        .env("LC_ALL", "C")
        .output()
        .context("cannot start apt-cache")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let candidates = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .filter(|version| *version != "(none)")
        .count();
    Ok(candidates == names.len())
}

/// While this lives, the packages being installed start no daemons. Does nothing where the machine has a policy.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn begin() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        run::say(&format!("until they are installed, {POLICY} keeps their daemons from being started"));
        // It speaks only while this process lives: should it be left behind, it forbids nothing.
        let script = format!(
            "#!/bin/sh\n# By `cargo xtask`, for the time of one installation; remove it if you find it.\n\
             if [ -d /proc/{} ]; then exit 101; fi\nexit 0\n",
            std::process::id()
        );
        let draft = std::env::temp_dir().join(format!("policy-rc.d.{}", std::process::id()));
        fs::write(&draft, script).with_context(|| format!("cannot write {}", draft.display()))?;
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).context("cannot set a mode")?;
        let copied = run::check(run::as_root("install").args(["-m", "755"]).arg(&draft).arg(POLICY));
        fs::remove_file(&draft).with_context(|| format!("cannot remove {}", draft.display()))?;
        copied?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = run::check(run::as_root("rm").args(["-f", POLICY]))
        {
            eprintln!("please remove {POLICY}: {error:#}");
        }
    }
}
