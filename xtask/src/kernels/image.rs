//! The root image of guests: a small Debian with real services, as a file system in a file.
//!
//! Made by mmdebstrap and mke2fs, without a loop device or a mount. It lies below `target/kernels` under a hash of its
//! recipe: a changed recipe is another image.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::apt::Mirror;
use crate::run;
use crate::source_hash::hex;

/// What is in it besides the essential packages.
const PACKAGES: &[&str] = &[
    // The services that are traced.
    "nginx-light",
    "python3-minimal",
    "gunicorn",
    "redis-server",
    // Their clients and load.
    "curl",
    "wrk",
    "hey",
    // Namespaces, users and capabilities.
    "iproute2",
    "util-linux",
    "libcap2-bin",
    "procps",
];

/// An old and common userland.
const RELEASE: &str = "bookworm";

/// Not needed by any service.
const EXCLUDED: &[&str] =
    &["/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*"];

/// Returns the image; makes it first if it is not there or if `refresh`. Making it needs root (sudo).
pub fn image(directory: &Path, refresh: bool) -> Result<PathBuf> {
    let image = directory.join(format!("image-{}.ext4", recipe_hash()));
    if image.is_file() && !refresh {
        return Ok(image);
    }
    let how = if run::is_root() { "" } else { ", through sudo" };
    run::say(&format!("making the guests' root image ({} packages of {RELEASE}{how})", PACKAGES.len()));
    let tree = directory.join("image.tree");
    remove(&tree)?;
    let mirror = Mirror::of_system()?;
    let mut make = run::as_root("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", &format!("--include={}", PACKAGES.join(","))]);
    for path in EXCLUDED {
        make.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    make.arg(RELEASE).arg(&tree);
    for line in mirror.sources(&[RELEASE], &[&format!("{RELEASE}-security")]).lines() {
        make.arg(line);
    }
    run::check(make.stdout(std::io::stderr()))?;

    let draft = directory.join("image.new");
    let size = megabytes(&tree)? * 13 / 10 + 64;
    let mut mke2fs = run::as_root("mke2fs");
    // No journal: it is never written. No checksums: the module for them would have to be loaded first.
    mke2fs.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-b", "4096", "-d"]);
    run::check(mke2fs.arg(&tree).arg(&draft).arg(format!("{size}M")))?;
    remove(&tree)?;
    fs::rename(&draft, &image).with_context(|| format!("cannot rename {}", draft.display()))?;
    Ok(image)
}

fn recipe_hash() -> String {
    let mut hasher = Sha256::new();
    for part in [&[RELEASE], PACKAGES, EXCLUDED].concat() {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    hex(hasher.finalize().get(..6).unwrap_or_default())
}

/// What a tree takes, counted as root, who can look into all of it.
fn megabytes(tree: &Path) -> Result<u64> {
    let output =
        run::as_root("du").args(["-sm", "--apparent-size"]).arg(tree).output().context("cannot start du")?;
    ensure!(output.status.success(), "du cannot read {}", tree.display());
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("du said {text:?}"))
}

/// The tree belongs to root.
fn remove(tree: &Path) -> Result<()> {
    if tree.exists() {
        run::check(run::as_root("rm").args(["-rf", "--one-file-system"]).arg(tree))?;
    }
    Ok(())
}
