//! The hash of what the probes are built from. Compiled into `xtask`, which records it, and into the build script of
//! `tracer-userspace`, which refuses an object that is older than its sources.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the object depends on, relative to the workspace: files and directories.
const INPUTS: &[&str] =
    &["tracer-ebpf/Cargo.toml", "tracer-ebpf/Cargo.lock", "tracer-ebpf/src", "tracer-common/src"];

/// SHA-256 over names and contents of all inputs, as 64 hex digits.
pub fn source_hash(workspace: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&workspace.join(input), &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        let name = file.strip_prefix(workspace).unwrap_or(&file);
        let content = std::fs::read(&file)?;
        hasher.update(name.to_string_lossy().as_bytes());
        hasher.update([0]);
        hasher.update((content.len() as u64).to_le_bytes());
        hasher.update(&content);
    }
    Ok(hex(&hasher.finalize()))
}

/// Bytes as hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All paths that the hash depends on, for the build script to watch.
#[allow(dead_code, reason = "used by the build script only")]
pub fn inputs(workspace: &Path) -> Vec<PathBuf> {
    INPUTS.iter().map(|input| workspace.join(input)).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_owned());
    }
    Ok(())
}
