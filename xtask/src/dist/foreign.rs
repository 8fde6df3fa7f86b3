//! The standard library and the linker for a foreign processor, on a machine whose toolchain has neither.
//!
//! Where rustup's target is installed (`rustup target add aarch64-unknown-linux-gnu`) only the linker is needed. Else
//! Debian has the library of the same compiler that builds the probes, as a package of the foreign architecture. It
//! is unpacked below cargo's target directory; dpkg and apt of this machine never hear of that architecture.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tracer_tests::paths;

use super::target::Arch;
use crate::{run, setup};

/// The compiler of the package whose library is fetched.
const COMPILER: &str = "/usr/bin/rustc";
const COMPILER_PACKAGE: &str = "rustc-web";
const LIBRARY_PACKAGE: &str = "libstd-rust-web-dev";

/// The cross linker, installed if it is missing.
pub fn linker(arch: Arch) -> Result<&'static str> {
    match arch {
        Arch::Aarch64 => {
            setup::cross()?;
            Ok("aarch64-linux-gnu-gcc")
        }
        Arch::X86_64 => bail!("a program for x86_64 is built on x86_64 only"),
    }
}

/// Debian's compiler, and a sysroot with the standard library of `triple` that fits it.
pub fn debian(arch: Arch, triple: &str) -> Result<(PathBuf, PathBuf)> {
    if !Path::new("/etc/debian_version").exists() {
        bail!("the compiler has no standard library for {triple}: run `rustup target add {triple}`");
    }
    setup::probes()?;
    let version = installed_version(COMPILER_PACKAGE)?;
    let directory = paths::target_dir()?.join("cross").join(&version);
    let sysroot = directory.join("sysroot");
    let library = sysroot.join("lib/rustlib").join(triple);
    if !library.join("lib").is_dir() {
        run::say(&format!("fetching {LIBRARY_PACKAGE} {version} for {triple} into {}", directory.display()));
        let package = download(&directory, debian_name(arch), &format!("{LIBRARY_PACKAGE}={version}"))?;
        let unpacked = directory.join("unpacked");
        run::check(Command::new("dpkg-deb").arg("--extract").args([&package, &unpacked]))?;
        let from = unpacked.join("usr/lib/rustlib").join(triple);
        if !from.join("lib").is_dir() {
            bail!("{LIBRARY_PACKAGE} {version} has no library for {triple}");
        }
        fs::create_dir_all(sysroot.join("lib/rustlib"))
            .with_context(|| format!("cannot make {}", sysroot.display()))?;
        fs::rename(&from, &library).with_context(|| format!("cannot make {}", library.display()))?;
    }
    Ok((COMPILER.into(), sysroot))
}

fn debian_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "amd64",
        Arch::Aarch64 => "arm64",
    }
}

fn installed_version(package: &str) -> Result<String> {
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat=${Version}", package])
        .output()
        .context("cannot start dpkg-query")?;
    if !output.status.success() {
        bail!("{package} is not installed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Downloads a package of another architecture from where apt is configured to fetch, with lists of its own.
fn download(directory: &Path, architecture: &str, package: &str) -> Result<PathBuf> {
    let apt = directory.join("apt");
    for name in ["state/lists/partial", "cache/archives/partial"] {
        let path = apt.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    }
    fs::write(apt.join("status"), "").with_context(|| format!("cannot write {}", apt.display()))?;
    let options = [
        format!("Dir::State={}", apt.join("state").display()),
        format!("Dir::State::status={}", apt.join("status").display()),
        format!("Dir::Cache={}", apt.join("cache").display()),
        format!("APT::Architecture={architecture}"),
        format!("APT::Architectures={architecture}"),
        // As root, apt would fetch as a user who may not enter the build directory.
        "APT::Sandbox::User=root".to_owned(),
    ];
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.current_dir(directory).arg("--quiet=2");
        command.args(options.iter().flat_map(|option| ["-o", option]));
        command
    };
    run::check(apt_get().arg("update"))?;
    run::check(apt_get().args(["download", package])).with_context(|| {
        format!("the package must be of {COMPILER_PACKAGE}'s version; is {COMPILER_PACKAGE} up to date?")
    })?;
    let name = package.split('=').next().unwrap_or(package);
    paths::newest(&directory.to_string_lossy(), &format!("{name}_"), ".deb")
        .with_context(|| format!("apt-get left no {name} in {}", directory.display()))
}
