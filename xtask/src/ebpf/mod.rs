//! `build-ebpf` and `check-ebpf`: from the probes' sources to the committed objects, byte for byte the same each time.

mod inspect;
mod toolchain;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::private;
use crate::source_hash::{hex, source_hash};
use toolchain::Toolchain;

/// Architectures that objects are built for: the layout of saved registers differs.
const ARCHES: &[&str] = &["x86_64", "aarch64"];
/// The objects: the probes, and the reader of kernel memory that finds offsets at start.
const OBJECTS: &[&str] = &["tracer", "peek"];
const TARGET: &str = "bpfel-unknown-none";

/// Builds the objects and records what they came from.
pub fn build(workspace: &Path) -> Result<()> {
    let tools = Toolchain::find(workspace)?;
    let directory = workspace.join("tracer-userspace/bpf");
    std::fs::create_dir_all(&directory)?;
    let mut provenance =
        String::from("# Written by `cargo xtask build-ebpf`; proved by `cargo xtask check-ebpf`.\n");
    provenance += &format!("sources {}\n", source_hash(workspace)?);
    provenance += &format!("rustc {}\nbpf-linker {}\n", tools.rustc_version, tools.linker_version);
    for arch in ARCHES {
        for (object, bytes) in compile(workspace, &tools, arch)? {
            provenance += &format!("object {object} {arch} {}\n", hex(&Sha256::digest(&bytes)));
            let to = object_path(workspace, object, arch);
            std::fs::write(&to, &bytes).with_context(|| format!("cannot write {}", to.display()))?;
            println!("{}: {} bytes", relative(workspace, &to), bytes.len());
        }
    }
    std::fs::write(directory.join("provenance.txt"), provenance)?;
    Ok(())
}

/// Proves that the committed objects come from the sources: the same compiler must give the same bytes.
pub fn check(workspace: &Path) -> Result<()> {
    let path = workspace.join("tracer-userspace/bpf/provenance.txt");
    let provenance =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let recorded = |key: &str| -> Result<&str> {
        let prefix = format!("{key} ");
        provenance
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .with_context(|| format!("no `{key}` recorded"))
    };
    if recorded("sources")? != source_hash(workspace)? {
        bail!("the sources of the probes changed after the objects were built: run `cargo xtask build-ebpf`");
    }
    for (object, arch) in OBJECTS.iter().flat_map(|object| ARCHES.iter().map(move |arch| (object, arch))) {
        let committed = std::fs::read(object_path(workspace, object, arch))?;
        inspect::refuse_defects(&committed, &[])
            .with_context(|| format!("the committed object {object} for {arch}"))?;
        if hex(&Sha256::digest(&committed)) != recorded(&format!("object {object} {arch}"))? {
            bail!(
                "the committed object {object} for {arch} is not the one that was recorded: run `cargo xtask build-ebpf`"
            );
        }
    }
    let tools = Toolchain::find(workspace)?;
    for (what, have) in [("rustc", &tools.rustc_version), ("bpf-linker", &tools.linker_version)] {
        let want = recorded(what)?;
        if want != have {
            bail!(
                "the objects were built with {what} {want}, and this machine has {have}: their bytes cannot be \
                 compared. Install that version, or run `cargo xtask build-ebpf` and commit the result"
            );
        }
    }
    for arch in ARCHES {
        for (object, bytes) in compile(workspace, &tools, arch)? {
            if bytes != std::fs::read(object_path(workspace, object, arch))? {
                bail!("building {object} for {arch} gives other bytes than the committed ones");
            }
            println!("{object}, {arch}: the committed object comes from the committed sources");
        }
    }
    Ok(())
}

fn object_path(workspace: &Path, object: &str, arch: &str) -> PathBuf {
    workspace.join(format!("tracer-userspace/bpf/{object}.{arch}.o"))
}

fn relative(workspace: &Path, path: &Path) -> String {
    path.strip_prefix(workspace).unwrap_or(path).display().to_string()
}

/// Compiles for one architecture and returns the stripped objects.
fn compile(workspace: &Path, tools: &Toolchain, arch: &str) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let target_dir = workspace.join("target/ebpf").join(arch);
    let private =
        private::prefixes(workspace, [(tools.library.clone(), "library"), (tools.sysroot.clone(), "rust")])?;
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{arch}\""),
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={}", tools.linker.display()),
        // BTF for the kernel: names of maps and functions, and source lines in the verifier's log.
        "-Clink-arg=--btf".to_owned(),
    ];
    flags.extend(private::remap(&private));
    // Whoever builds may have set how their own programs are to be compiled (CARGO_INCREMENTAL alone gives other bytes).
    let mut cargo = Command::new("cargo");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name == "CARGO_INCREMENTAL"
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("CARGO_BUILD_")
        {
            cargo.env_remove(&*name);
        }
    }
    let status = cargo
        .args(["build", "--release", "--locked", "--quiet", "-Zbuild-std=core", "--target", TARGET])
        .arg("--manifest-path")
        .arg(workspace.join("tracer-ebpf/Cargo.toml"))
        .env("RUSTC", &tools.rustc)
        // Inline assembly and build-std are unstable features; the compiler is a stable release.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env("CARGO_TARGET_DIR", &target_dir)
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("building the probes for {arch} failed");
    }
    let mut objects = Vec::new();
    for object in OBJECTS {
        let bytes = strip(tools, &target_dir, object)?;
        inspect::refuse_defects(&bytes, &private).with_context(|| format!("{object} for {arch}"))?;
        objects.push((*object, bytes));
    }
    Ok(objects)
}

/// Takes the debug information out of a built object.
fn strip(tools: &Toolchain, target_dir: &Path, object: &str) -> Result<Vec<u8>> {
    let built = target_dir.join(TARGET).join("release").join(object);
    let stripped = target_dir.join(format!("{object}.o"));
    let status = Command::new(&tools.strip)
        .arg("--strip-debug")
        .arg("-o")
        .args([&stripped, &built])
        .status()
        .with_context(|| format!("cannot run {}", tools.strip.display()))?;
    if !status.success() {
        bail!("stripping {} failed", built.display());
    }
    Ok(std::fs::read(&stripped)?)
}
