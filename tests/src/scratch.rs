//! A directory that a test works in and that is gone afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::paths;
use crate::process::{self, Spec};

/// A temporary directory, removed when dropped. Everyone may enter and write: the servers in it run as several users.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes one.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tracer-e2e-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))
            .with_context(|| format!("cannot open {} to all users", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file into it and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Copies a file of `tests/services` into it: a server that runs as nobody may not read the checkout.
    pub fn stage(&self, name: &str) -> Result<PathBuf> {
        let from = paths::services_dir().join(name);
        let to = self.join(name);
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        Ok(to)
    }

    /// As [`Scratch::stage`], with each `@KEY@` replaced.
    pub fn render(&self, name: &str, values: &[(&str, &str)]) -> Result<PathBuf> {
        self.render_as(name, name, values)
    }

    /// As [`Scratch::render`], under another name.
    pub fn render_as(&self, name: &str, to: &str, values: &[(&str, &str)]) -> Result<PathBuf> {
        let from = paths::services_dir().join(name);
        let mut text =
            fs::read_to_string(&from).with_context(|| format!("cannot read {}", from.display()))?;
        for (key, value) in values {
            text = text.replace(&format!("@{key}@"), value);
        }
        self.write(to, text)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // TRACER_E2E_KEEP=1 leaves logs and traces to be looked at.
        if std::env::var_os("TRACER_E2E_KEEP").is_some() {
            eprintln!("kept: {}", self.path.display());
            return;
        }
        // A failure leaves files in the temporary directory, which is what it is for.
        let _left = fs::remove_dir_all(&self.path);
    }
}

/// A file system of a few KiB in a directory of its own, gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(Scratch);

impl SmallDisk {
    /// Makes one.
    pub fn new(kib: u32) -> Result<Self> {
        let scratch = Scratch::new()?;
        let path = scratch.path().to_string_lossy().into_owned();
        process::run(&Spec::new("mount")?.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={kib}k"),
            "tmpfs",
            &path,
        ]))?;
        Ok(Self(scratch))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Ok(umount) = Spec::new("umount") {
            let path = self.0.path().to_string_lossy().into_owned();
            if let Err(error) = process::run(&umount.args(["-l", &path])) {
                eprintln!("please unmount {path}: {error:#}");
            }
        }
    }
}
