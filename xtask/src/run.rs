//! Running other programs, as root where it must be, and saying so.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::dist;

/// Says what it is about to do.
pub fn say(text: &str) {
    eprintln!("==> {text}");
}

/// Whether we are root.
pub fn is_root() -> bool {
    // The owner of our own /proc entry is our effective user.
    std::fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

/// A command that will run as root: as it is when we are root, else through sudo, keeping the environment.
pub fn as_root(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-E");
    // sudo drops some variables even so.
    for name in ["PATH", "CARGO_TARGET_DIR", "TRACER_BIN", "TRACER_E2E", "TRACER_E2E_KEEP", "RUST_BACKTRACE"]
    {
        if let Some(value) = std::env::var_os(name) {
            let mut pair = std::ffi::OsString::from(format!("{name}="));
            pair.push(value);
            command.arg(pair);
        }
    }
    command.arg(program);
    command
}

/// A run of the cargo that runs us.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Runs a command to its end; fails unless it succeeds.
pub fn check(command: &mut Command) -> Result<()> {
    let text = describe(command);
    let status = command.status().with_context(|| format!("cannot start {text}"))?;
    if !status.success() {
        bail!("{text} ended with {status}");
    }
    Ok(())
}

/// The command line, for messages.
pub fn describe(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

/// Builds the tracer as it is shipped and returns its path, which is where [`tracer_tests::paths`] looks for it.
pub fn build_tracer() -> Result<PathBuf> {
    dist::build(dist::target::Arch::host()?)
}
