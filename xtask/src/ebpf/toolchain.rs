//! Finds what builds the probes: a compiler with the sources of `core`, the BPF linker, and a strip that knows BPF.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// bpf-linker must read the compiler's bitcode, so it is bound to LLVM 22, as the compiler is.
const LINKER_VERSION: &str = "0.13.0";
const LLVM: &str = "22";
/// The tools, found.
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// Its `--version`.
    pub rustc_version: String,
    /// Its sysroot.
    pub sysroot: PathBuf,
    /// Where the sources of `core` really lie.
    pub library: PathBuf,
    /// bpf-linker.
    pub linker: PathBuf,
    /// Its version.
    pub linker_version: String,
    /// llvm-strip.
    pub strip: PathBuf,
}

impl Toolchain {
    /// Finds the tools; on Debian installs what is missing, elsewhere says what to install.
    pub fn find(workspace: &Path) -> Result<Self> {
        let Some((rustc, sysroot, library)) = compiler() else {
            install_debian_packages()?;
            let found =
                compiler().context("the packages are installed, and still no compiler has its sources")?;
            return Self::with_compiler(workspace, found);
        };
        Self::with_compiler(workspace, (rustc, sysroot, library))
    }

    fn with_compiler(
        workspace: &Path,
        (rustc, sysroot, library): (PathBuf, PathBuf, PathBuf),
    ) -> Result<Self> {
        let strip = match llvm_strip(&sysroot) {
            Some(strip) => strip,
            None => {
                install_debian_packages()?;
                llvm_strip(&sysroot).context("there is no llvm-strip, even after installing llvm-22")?
            }
        };
        let rustc_version = output(Command::new(&rustc).arg("--version"))?;
        let linker = linker(workspace)?;
        let linker_version = output(Command::new(&linker).arg("--version"))?;
        Ok(Self { rustc, rustc_version, sysroot, library, linker, linker_version, strip })
    }
}

/// A compiler that has the sources of `core`: Debian's before rustup's, because the committed objects come from it.
fn compiler() -> Option<(PathBuf, PathBuf, PathBuf)> {
    [PathBuf::from("/usr/bin/rustc"), PathBuf::from("rustc")].into_iter().find_map(|rustc| {
        let sysroot = PathBuf::from(output(Command::new(&rustc).args(["--print", "sysroot"])).ok()?);
        let library = sysroot.join("lib/rustlib/src/rust/library");
        library.join("core/src/lib.rs").exists().then(|| {
            let library = library.canonicalize().unwrap_or(library);
            (rustc, sysroot, library)
        })
    })
}

fn llvm_strip(sysroot: &Path) -> Option<PathBuf> {
    let host = output(Command::new("rustc").args(["--print", "host-tuple"])).unwrap_or_default();
    [
        PathBuf::from(format!("/usr/lib/llvm-{LLVM}/bin/llvm-strip")),
        sysroot.join("lib/rustlib").join(host).join("bin/llvm-strip"),
    ]
    .into_iter()
    .find(|path| path.exists())
}

/// bpf-linker of the pinned version, built into `target/tools` if it is not there yet.
fn linker(workspace: &Path) -> Result<PathBuf> {
    let root = workspace.join("target/tools");
    let mut places = vec![root.join("bin/bpf-linker")];
    if let Some(home) = std::env::var_os("HOME") {
        places.push(PathBuf::from(home).join(".cargo/bin/bpf-linker"));
    }
    let wanted = |path: &PathBuf| {
        output(Command::new(path).arg("--version")).is_ok_and(|version| version.contains(LINKER_VERSION))
    };
    if let Some(found) = places.iter().find(|path| wanted(path)) {
        return Ok(found.clone());
    }
    let prefix = PathBuf::from(format!("/usr/lib/llvm-{LLVM}"));
    if !prefix.join("lib").exists() || !prefix.join("include").exists() {
        install_debian_packages()?;
    }
    println!("building bpf-linker {LINKER_VERSION} into target/tools (takes a minute or two)");
    let status = Command::new("cargo")
        .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked", "--quiet"])
        .args(["--no-default-features", "--features", "llvm-22", "--root"])
        .arg(&root)
        .env("LLVM_PREFIX", &prefix)
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .context("cannot run cargo")?;
    if !status.success() {
        bail!("building bpf-linker failed; it needs LLVM {LLVM} with headers under {}", prefix.display());
    }
    Ok(root.join("bin/bpf-linker"))
}

/// Installs Debian's packages, or says what to install elsewhere.
fn install_debian_packages() -> Result<()> {
    if !Path::new("/etc/debian_version").exists()
        || output(Command::new("apt-cache").args(["show", "rustc-web"])).is_err()
    {
        bail!(
            "building the probes needs a Rust compiler with LLVM {LLVM} and its own sources, and LLVM {LLVM}'s development \
             files. With rustup: `rustup toolchain install 1.96 --component rust-src` and `rustup default 1.96`; \
             on Debian: the packages {}. (Using the tracer needs none of this: the built probes are committed.)",
            crate::setup::probe_packages().join(" ")
        );
    }
    crate::setup::probes()
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
