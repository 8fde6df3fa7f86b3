//! The programs that go into guests. All are linked statically: a guest's userland is older than the machine that
//! builds them, or has no C library at all.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tracer_tests::paths;

use super::apt::{self, Apt};
use crate::dist::inspect;
use crate::dist::target::{Arch, Target};
use crate::{dist, run};

/// The only architecture that guests have.
const ARCH: Arch = Arch::X86_64;

/// Builds the guest's first process.
pub fn init() -> Result<PathBuf> {
    let target = Target::find(ARCH)?;
    run::say("building guest-init, linked statically");
    let arguments = ["build", "--profile", "dist", "-p", "tracer-guest", "--target", target.triple()];
    run::check(target.cargo()?.args(arguments))?;
    let path = paths::target_dir()?.join(target.triple()).join("dist/guest-init");
    check_static(&path)?;
    Ok(path)
}

/// The tracer: the one given, else the one that is shipped, built.
pub fn tracer(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(path) => {
            check_static(path)?;
            Ok(path.to_owned())
        }
        None => dist::build(ARCH),
    }
}

/// Builds the end-to-end tests and returns their names and programs.
pub fn tests() -> Result<Vec<(String, PathBuf)>> {
    run::say("building the end-to-end tests, linked statically");
    crate::test::built(ARCH)
}

/// Debian's static busybox, unpacked below `directory`; nothing is installed.
pub fn busybox(directory: &Path) -> Result<PathBuf> {
    let place = directory.join("busybox");
    // Debian 13 has no /bin beside /usr/bin.
    let find = || {
        ["bin/busybox", "usr/bin/busybox"]
            .map(|name| place.join(name))
            .into_iter()
            .find(|path| path.is_file())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    let apt = Apt::open(&directory.join("apt"), false)?;
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let files = apt.download(&["busybox-static".to_owned()], &place)?;
    apt::unpack(&files, &place)?;
    let path = find().context("the package busybox-static has no busybox")?;
    check_static(&path)?;
    Ok(path)
}

/// Fails if a program wants a loader of its own: in a guest there may be none.
fn check_static(path: &Path) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    inspect::refuse_loader(&bytes)
        .with_context(|| format!("{} is of no use in a guest, which may have no C library", path.display()))
}
